//! The outcome of each run, as lines of a file that a sweep can continue and merge.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::coverage::Coverage;
use super::guided::Trail;
use super::plan::{FORMAT, Plan};
use crate::trace::fingerprint::Fingerprint;

/// The outcome of one run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Which run of the [`Plan`], from 0.
    pub run: u64,
    /// What the run covered.
    pub coverage: Coverage,
    /// In a guided sweep: what the run drew from, and what it came across.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trail: Option<Trail>,
    /// How the run failed; `None` if it passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

/// How a run failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Which invariant or expectation failed, without names and numbers: equal for runs that fail
    /// alike.
    pub fingerprint: Fingerprint,
    /// The first failure, with names and numbers.
    pub words: String,
    /// Whether the simulation itself failed: by a panic, an error, or two executions that differ.
    pub internal: bool,
}

/// Outcomes by the number of their run in the plan.
pub type Outcomes = BTreeMap<u64, Outcome>;

/// Why a file cannot be read as results of a sweep.
#[derive(Debug, thiserror::Error)]
pub enum ResultsError {
    /// A line is not valid.
    #[error("line {line}: {words}")]
    Line {
        /// The line's number, from 1.
        line: usize,
        /// The parser's error.
        words: String,
    },
    /// The file is empty.
    #[error("there is nothing in it: a sweep writes its plan first")]
    Empty,
    /// A build with another format wrote the file.
    #[error("these are results of form {0}; this build reads form {FORMAT}")]
    Format(u32),
    /// A run is not in the file's plan.
    #[error("line {0}: there is no such run in its plan")]
    NoSuchRun(usize),
}

/// A line of a result file, without its line feed.
pub fn line<T: Serialize>(of: &T) -> String {
    // These types have no map with non-string keys and no failing Serialize, so this cannot fail.
    serde_json::to_string(of).unwrap_or_default()
}

/// Whether a line without its line feed is whole, so that [`read`] reads it. No beginning of one is.
pub fn is_whole(line: &[u8]) -> bool {
    serde_json::from_slice::<serde::de::IgnoredAny>(line).is_ok()
}

/// Reads a result file: a plan, and the outcomes of runs in any order. The last line may be cut
/// off, as by a killed process; its run then counts as not made.
///
/// # Errors
///
/// For the first invalid line.
pub fn read(text: &str) -> Result<(Plan, Outcomes), ResultsError> {
    let mut lines = text.split_inclusive('\n').enumerate();
    let (_, first) = lines.next().ok_or(ResultsError::Empty)?;
    let wrong = |at: usize, error: &dyn fmt::Display| ResultsError::Line {
        line: at + 1,
        words: error.to_string(),
    };
    let plan: Plan = serde_json::from_str(first).map_err(|error| wrong(0, &error))?;
    if plan.sweep != FORMAT {
        return Err(ResultsError::Format(plan.sweep));
    }
    let mut outcomes = Outcomes::new();
    for (at, line) in lines {
        let outcome: Outcome = match serde_json::from_str(line) {
            Ok(outcome) => outcome,
            Err(_) if !line.ends_with('\n') => break,
            Err(error) => return Err(wrong(at, &error)),
        };
        if outcome.run >= plan.len() {
            return Err(ResultsError::NoSuchRun(at + 1));
        }
        outcomes.insert(outcome.run, outcome);
    }
    Ok((plan, outcomes))
}

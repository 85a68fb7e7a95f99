//! The outcome of each run, as lines that can be kept, continued and merged.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::coverage::Coverage;
use super::plan::{FORMAT, Plan};
use crate::trace::fingerprint::Fingerprint;

/// The outcome of one run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Which run of the [`Plan`], from 0.
    pub run: u64,
    /// Its coverage.
    pub coverage: Coverage,
    /// How it failed, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

/// How a run failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// In which way.
    pub fingerprint: Fingerprint,
    /// What was wrong, with names and numbers.
    pub words: String,
    /// It is the simulation that failed, or came out differently the second time.
    pub internal: bool,
}

/// By the number of the run.
pub type Outcomes = BTreeMap<u64, Outcome>;

/// Why a file is none with results.
#[derive(Debug, thiserror::Error)]
pub enum ResultsError {
    /// A line is none that a sweep writes.
    #[error("line {line}: {words}")]
    Line {
        /// The line's number, from 1.
        line: usize,
        /// What is wrong with it.
        words: String,
    },
    /// There is nothing in it.
    #[error("there is nothing in it: a sweep writes its plan first")]
    Empty,
    /// Another build wrote it.
    #[error("these are results of form {0}; this build reads form {FORMAT}")]
    Format(u32),
    /// It has a run that is not in its plan.
    #[error("line {0}: there is no such run in its plan")]
    NoSuchRun(usize),
}

/// A line of a file with results, without its line feed.
pub fn line<T: Serialize>(of: &T) -> String {
    // These types have no map with odd keys and no failing Serialize: there is nothing to fail.
    serde_json::to_string(of).unwrap_or_default()
}

/// Reads a file with results: a plan, and the outcomes of runs in any order. The last line may be cut off, as when a process
/// was killed; that run is run again.
///
/// # Errors
///
/// With the first line that is wrong.
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

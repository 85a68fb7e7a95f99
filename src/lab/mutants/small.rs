//! Shrinks the runs in which a mutant was found.

use serde::Serialize;

use super::Mutant;
use super::hunt::Hunt;
use crate::scenario::Scenario;
use crate::shrink::{Limits, Shrunk, shrink};
use crate::sim::Simulator;

/// The number of steps that a person understands at a glance. A run that shrinks to this few ends
/// the search for smaller ones.
const FEW_STEPS: usize = 5;

/// The number of smaller scenarios that are tried of one find. Some finds need many clients, and
/// would take all the runs that there are.
const MOST_RUNS: usize = 1_000;

/// The smallest run that shows a mutant.
#[derive(Clone, Debug, Serialize)]
pub struct Small {
    /// The number of its steps.
    pub steps: usize,
    /// The number of its steps before shrinking.
    pub before: usize,
    /// The number of runs that shrinking took.
    pub runs: usize,
    /// The text of the scenario's file.
    #[serde(skip)]
    pub file: String,
}

impl Mutant {
    /// Shrinks the finds of these searches in turn, and returns the first with at most
    /// `FEW_STEPS` steps, or else the one with the fewest. The true server passes it.
    pub fn made_small(self, hunts: &[Hunt]) -> Option<Small> {
        let limits = Limits {
            runs: MOST_RUNS,
            simulator: self.in_place_of_all(Simulator::default()),
            // A run that fails on the true server does not show the mistake.
            passes: Some(Simulator::default()),
        };
        let finds = hunts.iter().filter_map(|hunt| hunt.find.as_ref());
        let mut best: Option<Shrunk> = None;
        for scenario in finds.filter_map(|find| find.scenario.as_ref()) {
            let Ok(shrunk) = shrink(scenario, limits.clone()) else {
                continue;
            };
            let steps = shrunk.scenario.steps.len();
            if best
                .as_ref()
                .is_none_or(|best| steps < best.scenario.steps.len())
            {
                best = Some(shrunk);
            }
            if steps <= FEW_STEPS {
                break;
            }
        }
        best.map(|shrunk| Small {
            steps: shrunk.scenario.steps.len(),
            before: shrunk.before,
            runs: shrunk.runs,
            file: self.file(&shrunk),
        })
    }

    /// The scenario's file, with comments that say what fails and how to run it.
    fn file(self, shrunk: &Shrunk) -> String {
        let name = self.name();
        let scenario = Scenario {
            title: self.sentence().to_owned(),
            ..shrunk.scenario.clone()
        };
        format!(
            "# Breaks {}.\n# Again: herd run --mutant {name} tests/mutants/{name}.toml\n\n{}",
            shrunk.fingerprint,
            scenario.to_toml()
        )
    }
}

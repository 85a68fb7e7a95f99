//! The runs in which a mutant was found, shrunk.

use serde::Serialize;

use super::Mutant;
use super::hunt::Hunt;
use crate::scenario::Scenario;
use crate::shrink::{Limits, Shrunk, shrink};
use crate::sim::{self, Simulator};

/// The number of steps that a person understands at a glance; with no more than these nobody looks for a smaller one.
const FEW_STEPS: usize = 5;

/// The smallest run in which a mutant is found.
#[derive(Clone, Debug, Serialize)]
pub struct Small {
    /// How many steps it has.
    pub steps: usize,
    /// How many it had.
    pub before: usize,
    /// How many runs it took to make it small.
    pub runs: usize,
    /// The scenario's file.
    #[serde(skip)]
    pub file: String,
}

impl Mutant {
    /// What was found, shrunk: of the first hunt in which that leaves few steps, or else of the one that leaves the
    /// fewest; and nothing that the true server breaks, too.
    pub fn made_small(self, hunts: &[Hunt]) -> Option<Small> {
        let limits = Limits {
            simulator: self.in_place_of_all(Simulator::default()),
            ..Limits::default()
        };
        let finds = hunts.iter().filter_map(|hunt| hunt.find.as_ref());
        let mut best: Option<Shrunk> = None;
        for scenario in finds.filter_map(|find| find.scenario.as_ref()) {
            let Ok(shrunk) = shrink(scenario, limits.clone()) else {
                continue;
            };
            // What breaks on the true server shows nothing.
            let holds =
                sim::run_once(&shrunk.scenario).is_ok_and(|trace| trace.verdict().failed == 0);
            if !holds {
                continue;
            }
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

    /// The file that shows it, with how to see that it does.
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

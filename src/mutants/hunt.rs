//! Who finds a mutant, and after how many runs.

use serde::Serialize;

use super::Mutant;
use crate::scenario::Scenario;
use crate::sim;
use crate::trace::fingerprint::Fingerprint;

/// What looks for bugs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Finder {
    /// Scenarios, one after the other, as they are.
    Run,
}

impl Finder {
    /// All of them.
    pub const ALL: [Self; 1] = [Self::Run];

    /// The command that it is.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Run => "run",
        }
    }
}

/// What they look at.
#[derive(Clone, Debug)]
pub struct Ground {
    /// For [`Finder::Run`], in this order.
    pub scenarios: Vec<Scenario>,
}

/// What came of looking for a mutant.
#[derive(Clone, Debug, Serialize)]
pub struct Hunt {
    /// Who looked.
    pub finder: Finder,
    /// After how many runs it was found, or how many were in vain.
    pub runs: usize,
    /// What was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub find: Option<Find>,
}

/// A run in which a mutant did not go unnoticed.
#[derive(Clone, Debug, Serialize)]
pub struct Find {
    /// Where it was.
    pub place: String,
    /// What was broken.
    pub fingerprint: Fingerprint,
    /// How to have it again.
    #[serde(skip)]
    pub scenario: Scenario,
}

impl Mutant {
    /// What comes of looking for it in this way, up to the first time that it is found.
    pub fn hunted_by(self, finder: Finder, ground: &Ground) -> Hunt {
        match finder {
            Finder::Run => self.hunted_by_run(&ground.scenarios),
        }
    }

    fn hunted_by_run(self, scenarios: &[Scenario]) -> Hunt {
        let finder = Finder::Run;
        for (at, scenario) in scenarios.iter().enumerate() {
            if let Some(fingerprint) = self.broken_in(scenario) {
                let find = Find {
                    place: scenario.name.clone(),
                    fingerprint,
                    scenario: scenario.clone(),
                };
                let (runs, find) = (at + 1, Some(find));
                return Hunt { finder, runs, find };
            }
        }
        Hunt {
            finder,
            runs: scenarios.len(),
            find: None,
        }
    }

    /// How a run of the scenario is broken if all servers are this mutant; nothing if it is not.
    pub fn broken_in(self, scenario: &Scenario) -> Option<Fingerprint> {
        match self.here(|| sim::run_once(scenario)) {
            Ok(trace) => Fingerprint::of(&trace),
            Err(error) => Some(Fingerprint::of_failure(&error.to_string())),
        }
    }
}

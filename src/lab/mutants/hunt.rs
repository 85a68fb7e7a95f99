//! Which search finds a mutant, and after how many runs.

use serde::Serialize;

use super::Mutant;
use crate::explore::{self, explore};
use crate::herd::Herd;
use crate::scenario::Scenario;
use crate::sim::Simulator;
use crate::survey::{self, survey};
use crate::sweep::plan::{Plan, Shard};
use crate::sweep::{self, Unwatched};
use crate::trace::fingerprint::Fingerprint;

/// A search for bugs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Finder {
    /// Runs scenarios once each, as their files have them.
    Run,
    /// Runs scenarios in every order in which their messages can arrive.
    Explore,
    /// Runs a herd with each small failure set, and an update from each server.
    Survey,
    /// Runs scenarios with many seeds, each with its own selection of faults.
    Sweep,
}

impl Finder {
    /// All searches.
    pub const ALL: [Self; 4] = [Self::Run, Self::Explore, Self::Survey, Self::Sweep];

    /// The command that does this search.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Explore => "explore",
            Self::Survey => "survey",
            Self::Sweep => "sweep",
        }
    }
}

/// The inputs and budgets of the searches.
#[derive(Clone, Debug)]
pub struct Ground {
    /// The scenarios of [`Finder::Run`], in this order.
    pub scenarios: Vec<Scenario>,
    /// The scenarios of [`Finder::Explore`], in this order.
    pub explored: Vec<Scenario>,
    /// The maximum number of orders of each explored scenario.
    pub orders: usize,
    /// The herds of [`Finder::Survey`], in this order, each with at most one dead server and one
    /// cut link.
    pub surveyed: Vec<Herd>,
    /// The scenarios of [`Finder::Sweep`], in this order.
    pub swept: Vec<Scenario>,
    /// The number of seeds of each swept scenario.
    pub seeds: u64,
    /// Whether seeds have all kinds of faults, at the rates in the file, and tasks in their own order.
    pub plain: bool,
    /// What runs the scenarios. A run that exceeds its limit of wall time counts as a find.
    pub simulator: Simulator,
}

/// The result of one search for a mutant.
#[derive(Clone, Debug, Serialize)]
pub struct Hunt {
    /// The search.
    pub finder: Finder,
    /// The number of runs up to the find, or of all runs if nothing was found.
    pub runs: usize,
    /// The first run that failed; `None` if all passed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub find: Option<Find>,
}

/// A run that failed.
#[derive(Clone, Debug, Serialize)]
pub struct Find {
    /// The scenario, seed or failure set of the run.
    pub place: String,
    /// What failed.
    pub fingerprint: Fingerprint,
    /// The scenario that repeats the run. `None` for a failure set, which no scenario file
    /// describes.
    #[serde(skip)]
    pub scenario: Option<Scenario>,
}

/// The number of runs of one scenario or herd, and what the last of them found.
type Piece = (usize, Option<Find>);

/// What comes of looking for a mutant in this way, up to the first time that it is found; without one, of looking for
/// something wrong with the true server. It all runs on one thread.
pub fn hunt(mutant: Option<Mutant>, finder: Finder, ground: &Ground) -> Hunt {
    let simulator = ground.simulator.clone();
    let simulator = &match mutant {
        Some(mutant) => mutant.in_place_of_all(simulator),
        None => simulator,
    };
    let pieces: Box<dyn Iterator<Item = Piece>> = match finder {
        Finder::Run => {
            Box::new((ground.scenarios.iter()).map(|scenario| run_one(scenario, simulator)))
        }
        Finder::Explore => {
            let explored = ground.explored.iter();
            Box::new(explored.map(|scenario| explore_one(scenario, ground.orders, simulator)))
        }
        Finder::Survey => {
            Box::new((ground.surveyed.iter()).map(|herd| survey_one(herd, simulator)))
        }
        Finder::Sweep => {
            let swept = ground.swept.iter();
            Box::new(swept.map(|scenario| sweep_one(scenario, ground, simulator)))
        }
    };
    let mut hunt = Hunt {
        finder,
        runs: 0,
        find: None,
    };
    for (runs, find) in pieces {
        hunt.runs += runs;
        hunt.find = find;
        if hunt.find.is_some() {
            break;
        }
    }
    hunt
}

fn run_one(scenario: &Scenario, simulator: &Simulator) -> Piece {
    let fingerprint = match simulator.run_once(scenario) {
        Ok(trace) => Fingerprint::of(&trace),
        Err(error) => Some(Fingerprint::of_failure(&error.to_string())),
    };
    let find = fingerprint.map(|fingerprint| Find {
        place: scenario.name.clone(),
        fingerprint,
        scenario: Some(scenario.clone()),
    });
    (1, find)
}

/// Explores with growing budgets: most mistakes show in the first few orders.
fn explore_one(scenario: &Scenario, orders: usize, simulator: &Simulator) -> Piece {
    let mut ran = 0;
    for budget in [1, orders.min(20), orders] {
        let options = explore::Options {
            budget,
            simulator: simulator.clone(),
            ..explore::Options::default()
        };
        let exploration = match explore(scenario, &options) {
            Ok(exploration) => exploration,
            Err(error) => {
                let find = Find {
                    place: scenario.name.clone(),
                    fingerprint: Fingerprint::of_failure(&error.to_string()),
                    scenario: None,
                };
                return (ran + 1, Some(find));
            }
        };
        let first = exploration
            .broken
            .into_iter()
            .min_by_key(|order| order.first);
        if let Some(order) = first {
            let find = Find {
                place: scenario.name.clone(),
                fingerprint: order.kind,
                scenario: Some(order.scenario),
            };
            return (order.first, Some(find));
        }
        ran = exploration.counts.orders;
        if exploration.complete {
            break;
        }
    }
    (ran, None)
}

/// The first set of failures in which something is not as it must be. The herd with nothing missing comes first.
fn survey_one(herd: &Herd, simulator: &Simulator) -> Piece {
    let mut ran = 0;
    for most in [0, 1] {
        let options = survey::Options {
            dead: most,
            cut: most,
            simulator: simulator.clone(),
            ..survey::Options::default()
        };
        let Ok(surveyed) = survey(herd, &options) else {
            // No built-in herd has too many sets of this size.
            return (ran, None);
        };
        if let Some(first) = surveyed.exceptions.first() {
            let mut sets = surveyed.sets.iter();
            let at = sets.position(|set| set.words() == first.set);
            let find = Find {
                place: format!("{}, {}", surveyed.herd, first.set),
                fingerprint: Fingerprint::of_failure(&first.what),
                scenario: None,
            };
            return (at.map_or(surveyed.sets.len(), |at| at + 1), Some(find));
        }
        ran = surveyed.sets.len();
    }
    (ran, None)
}

/// Sweeps up to the first seed that fails.
fn sweep_one(scenario: &Scenario, ground: &Ground, simulator: &Simulator) -> Piece {
    let scenarios = std::slice::from_ref(scenario);
    let plan = Plan::new(scenarios, 0..ground.seeds, !ground.plain, false, false);
    let outcomes = sweep::run_all(
        scenarios,
        &plan,
        plan.items(Shard::WHOLE),
        1,
        simulator,
        &Unwatched,
    );
    let runs = outcomes.len();
    let failed = outcomes
        .into_values()
        .find_map(|outcome| Some((outcome.run, outcome.failure?)));
    let find = failed.map(|(run, failure)| Find {
        place: format!("{}, seed {}", scenario.name, plan.run(run).1),
        fingerprint: failure.fingerprint,
        scenario: Some(sweep::scenario_of(scenarios, &plan, run)),
    });
    (runs, find)
}

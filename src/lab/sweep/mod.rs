//! Runs a scenario with many seeds on all cores. The report is the same however the runs are spread
//! over threads and machines.

pub mod coverage;
pub mod guided;
pub mod plan;
pub mod report;
pub mod results;
pub mod situations;
#[cfg(test)]
mod tests;

use std::ops::{ControlFlow, Range};
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::parallel::in_order;
use crate::scenario::{Recipe, Scenario};
use crate::sim::{self, SimError, Simulator};
use crate::trace::fingerprint::Fingerprint;
use crate::trace::{Judgement, Trace};
use coverage::Coverage;
use guided::{GENERATION, Guide, Trail};
use plan::{Plan, Shard};
use report::Report;
use results::{Failure, Outcome, Outcomes};
use situations::{Occurrence, Situation};

/// The maximum length of a failure's description in a report, in characters.
const MOST_WORDS: usize = 300;

/// The number of abandoned runs after which no other begins. Each may occupy a core until the
/// process ends, and runs that share the remaining cores would exceed their limit only for that.
const MOST_STUCK: usize = 16;

/// The settings of a sweep.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
pub struct Options {
    /// The seeds.
    pub seeds: Range<u64>,
    /// Whether each seed has a mixture of faults of its own: see [`Scenario::swarmed`].
    pub swarm: bool,
    /// Whether what earlier runs came across decides what later ones draw from.
    pub guided: bool,
    /// Whether every run is executed twice and compared.
    pub paired: bool,
    /// Whether the sweep continues after a failure.
    pub keep_going: bool,
    /// The number of threads.
    pub threads: usize,
    /// What runs the scenarios. A run that exceeds its limit of wall time has failed.
    pub simulator: Simulator,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seeds: 0..100,
            swarm: true,
            guided: false,
            paired: false,
            keep_going: false,
            threads: 1,
            simulator: Simulator::default(),
        }
    }
}

/// Observes a sweep in progress, and can stop it. Several threads call it.
pub trait Watch: Sync {
    /// Is called when a run ends, in whatever order runs end. All else in a sweep is in the order
    /// of its plan.
    fn finished(&self, outcome: &Outcome);

    /// Whether the sweep stops: no further run begins.
    fn is_over(&self) -> bool {
        false
    }
}

/// An observer that does nothing and never stops a sweep.
pub struct Unwatched;

impl Watch for Unwatched {
    fn finished(&self, _: &Outcome) {}
}

/// Runs the scenarios with every seed, and reports the results.
pub fn sweep(scenarios: &[Scenario], options: &Options) -> Report {
    let Options {
        swarm,
        paired,
        keep_going,
        ..
    } = *options;
    let plan = Plan::new(scenarios, options.seeds.clone(), swarm, paired, keep_going)
        .in_world(options.simulator.world)
        .guided(options.guided);
    let todo = plan.items(Shard::WHOLE);
    let Options {
        threads, simulator, ..
    } = options;
    let outcomes = if plan.guided {
        run_guided(
            scenarios,
            &plan,
            Outcomes::new(),
            *threads,
            simulator,
            &Unwatched,
        )
    } else {
        run_all(scenarios, &plan, todo, *threads, simulator, &Unwatched)
    };
    Report::new(plan, outcomes)
}

/// Runs the items `todo` of a plan. Unless the plan keeps going, the outcomes include every run
/// before the first failure. A run that exceeds its limit of wall time has failed, and its thread
/// is abandoned; after `MOST_STUCK` of those no other run begins.
pub fn run_all(
    scenarios: &[Scenario],
    plan: &Plan,
    todo: impl IntoIterator<Item = u64>,
    threads: usize,
    simulator: &Simulator,
    watch: &dyn Watch,
) -> Outcomes {
    let own = |item| (item, plan.run(item).1.into());
    let todo: Vec<(u64, Recipe)> = todo.into_iter().map(own).collect();
    run_recipes(scenarios, plan, &todo, threads, simulator, watch)
}

/// Runs a guided plan, or what of it is not in `outcomes`, generation by generation. Otherwise as [`run_all`].
pub fn run_guided(
    scenarios: &[Scenario],
    plan: &Plan,
    mut outcomes: Outcomes,
    threads: usize,
    simulator: &Simulator,
    watch: &dyn Watch,
) -> Outcomes {
    let mut guides: Vec<Guide> = scenarios.iter().map(|_| Guide::default()).collect();
    let is_over = |outcomes: &Outcomes| {
        let mut outcomes = outcomes.values();
        !plan.keep_going && outcomes.any(|outcome| outcome.failure.is_some())
    };
    for first in (0..plan.len()).step_by(usize::try_from(GENERATION).unwrap_or(usize::MAX)) {
        let generation = first..plan.len().min(first + GENERATION);
        let mut todo = Vec::new();
        for item in generation.clone() {
            let (which, seed) = plan.run(item);
            // Drawn for every run, so that what is resumed goes on as if it had not been interrupted.
            let recipe = guides[which].recipe(plan.seeds.0, item, seed);
            if !outcomes.contains_key(&item) {
                todo.push((item, recipe));
            }
        }
        if is_over(&outcomes)
            && todo
                .first()
                .is_none_or(|(item, _)| is_behind(&outcomes, *item))
        {
            break;
        }
        outcomes.extend(run_recipes(
            scenarios, plan, &todo, threads, simulator, watch,
        ));
        let trails = generation.clone().map_while(|item| outcomes.get(&item));
        let trails: Vec<&Outcome> = trails.collect();
        if trails.len() < usize::try_from(GENERATION).unwrap_or(usize::MAX) {
            break;
        }
        for outcome in trails {
            if let Some(trail) = &outcome.trail {
                guides[plan.run(outcome.run).0].learn(trail);
            }
        }
    }
    outcomes
}

/// Whether a run comes after the first failure.
fn is_behind(outcomes: &Outcomes, item: u64) -> bool {
    let failed = outcomes.values().find(|outcome| outcome.failure.is_some());
    failed.is_some_and(|failed| failed.run < item)
}

/// Runs items of a plan, each with what it draws from.
fn run_recipes(
    scenarios: &[Scenario],
    plan: &Plan,
    todo: &[(u64, Recipe)],
    threads: usize,
    simulator: &Simulator,
    watch: &dyn Watch,
) -> Outcomes {
    let run = |at: usize| {
        if watch.is_over() || sim::stuck() >= MOST_STUCK {
            return None;
        }
        let (item, recipe) = &todo[at];
        let outcome = run_one(scenarios, plan, *item, recipe, simulator)?;
        watch.finished(&outcome);
        Some(outcome)
    };
    let mut outcomes = Outcomes::new();
    in_order(threads, todo.len(), run, |_, outcome| {
        // `None` stops nothing: runs of other threads may still finish.
        let Some(outcome) = outcome else {
            return ControlFlow::Continue(());
        };
        let failed = outcome.failure.is_some();
        outcomes.insert(outcome.run, outcome);
        if failed && !plan.keep_going {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    outcomes
}

/// The scenario of a run, with its seed and, in a swarm, its selection of faults and order of tasks.
pub fn scenario_of(scenarios: &[Scenario], plan: &Plan, item: u64) -> Scenario {
    with_recipe(scenarios, plan, item, plan.run(item).1.into())
}

/// The same, with what the run draws from.
pub(crate) fn with_recipe(
    scenarios: &[Scenario],
    plan: &Plan,
    item: u64,
    recipe: Recipe,
) -> Scenario {
    let scenario = scenarios[plan.run(item).0].clone().with_seed(recipe);
    if plan.swarm {
        scenario.swarmed()
    } else {
        scenario
    }
}

/// Executes a run. `None` if it was interrupted.
fn run_one(
    scenarios: &[Scenario],
    plan: &Plan,
    item: u64,
    recipe: &Recipe,
    simulator: &Simulator,
) -> Option<Outcome> {
    let expanded = with_recipe(scenarios, plan, item, recipe.clone()).expanded();
    let trail = |occurrences: &[Occurrence<'_>]| {
        plan.guided.then(|| Trail::of(recipe.clone(), occurrences))
    };
    let outcome = match execute(&expanded, plan.paired, simulator) {
        Ok(trace) => {
            let occurrences = Situation::occurrences(&trace.herd, &trace.events);
            Outcome {
                run: item,
                coverage: Coverage::of(&expanded, &trace, &occurrences),
                trail: trail(&occurrences),
                failure: failure_of(&trace),
            }
        }
        Err(failure) => Outcome {
            run: item,
            coverage: Coverage::default(),
            trail: trail(&[]),
            failure: Some(failure?),
        },
    };
    Some(outcome)
}

/// Executes a scenario. A panic counts as a failure. The error is `None` if the run was
/// interrupted.
pub(crate) fn execute(
    scenario: &Scenario,
    paired: bool,
    simulator: &Simulator,
) -> Result<Trace, Option<Failure>> {
    let run = || simulator.judge(scenario, paired);
    let ran = catch_unwind(AssertUnwindSafe(run));
    let failed = |fingerprint: &str, words: String| {
        Some(Failure {
            fingerprint: Fingerprint::of_failure(fingerprint),
            words: shortened(&words),
            internal: true,
        })
    };
    match ran {
        Ok(Ok(trace)) => Ok(trace),
        Ok(Err(SimError::Interrupted)) => Err(None),
        Ok(Err(error @ SimError::PastLimit { .. })) => {
            Err(failed("a run does not end", error.to_string()))
        }
        Ok(Err(error @ SimError::Nondeterministic { .. })) => {
            Err(failed("two runs differ", error.to_string()))
        }
        Ok(Err(error)) => Err(failed("the simulation fails", error.to_string())),
        Err(_) => Err(failed("a panic", "a panic, which is told above".to_owned())),
    }
}

/// How a run failed; `None` if all its judgements passed.
pub fn failure_of(trace: &Trace) -> Option<Failure> {
    let fingerprint = Fingerprint::of(trace)?;
    let broken = trace
        .judgements
        .iter()
        .filter(|judgement| !judgement.passed);
    let is_it = |judgement: &&Judgement| {
        judgement
            .invariant
            .is_none_or(|invariant| invariant.name() == fingerprint.broken)
    };
    let has_invariant = |judgement: &&Judgement| judgement.invariant.is_some();
    let first = broken.clone().filter(has_invariant).find(is_it);
    let first = first.or_else(|| broken.clone().next());
    let words = first.map(|judgement| {
        let Judgement {
            about,
            expected,
            actual,
            ..
        } = judgement;
        if judgement.invariant.is_some() {
            return actual.clone();
        }
        format!("{about}: expected {expected}, but {actual}")
    });
    Some(Failure {
        fingerprint,
        words: shortened(&words.unwrap_or_default()),
        internal: false,
    })
}

fn shortened(words: &str) -> String {
    match words.char_indices().nth(MOST_WORDS) {
        Some((end, _)) => format!("{}…", &words[..end]),
        None => words.to_owned(),
    }
}

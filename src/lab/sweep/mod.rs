//! Many seeds: each a run, on all cores, and one report that is the same however they were spread.

pub mod coverage;
pub mod plan;
pub mod report;
pub mod results;
pub mod situations;
#[cfg(test)]
mod tests;

use std::ops::{ControlFlow, Range};
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::parallel::in_order;
use crate::scenario::Scenario;
use crate::sim::{self, SimError, Simulator};
use crate::trace::fingerprint::Fingerprint;
use crate::trace::{Judgement, Trace};
use coverage::Coverage;
use plan::{Plan, Shard};
use report::Report;
use results::{Failure, Outcome, Outcomes};

/// The maximum length, in characters, of what a report says of a failure.
const MOST_WORDS: usize = 300;

/// With this number of runs left behind no other begins: each may hold a core for as long as the process lives, and runs that have to
/// share what is left would be taken for such that hang.
const MOST_STUCK: usize = 16;

/// How to sweep.
#[derive(Clone, Debug)]
pub struct Options {
    /// The seeds.
    pub seeds: Range<u64>,
    /// Whether each seed has a mixture of faults of its own: see [`Scenario::swarmed`].
    pub swarm: bool,
    /// Whether everything is executed twice and compared.
    pub paired: bool,
    /// Whether to go on after a failure.
    pub keep_going: bool,
    /// On how many threads.
    pub threads: usize,
    /// How long one execution may take in wall time. One that takes longer failed.
    pub simulator: Simulator,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seeds: 0..100,
            swarm: true,
            paired: false,
            keep_going: false,
            threads: 1,
            simulator: Simulator::default(),
        }
    }
}

/// Who looks on while a sweep goes on, from several threads.
pub trait Watch: Sync {
    /// A run is over. What it says is the only thing that is in no order.
    fn finished(&self, outcome: &Outcome);

    /// Whether to begin no more runs.
    fn is_over(&self) -> bool {
        false
    }
}

/// Nobody.
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
    let plan = Plan::new(scenarios, options.seeds.clone(), swarm, paired, keep_going);
    let todo = plan.items(Shard::WHOLE);
    let Options {
        threads, simulator, ..
    } = options;
    let outcomes = run_all(scenarios, &plan, todo, *threads, simulator, &Unwatched);
    Report::new(plan, outcomes)
}

/// Runs what is to be done of a plan. Unless it keeps going, no run is missing before the first that failed. A run that is not over in
/// time failed, and its thread is left behind; where too many hold cores and memory, no other run begins.
pub fn run_all(
    scenarios: &[Scenario],
    plan: &Plan,
    todo: impl IntoIterator<Item = u64>,
    threads: usize,
    simulator: &Simulator,
    watch: &dyn Watch,
) -> Outcomes {
    let todo: Vec<u64> = todo.into_iter().collect();
    let run = |at: usize| {
        if watch.is_over() || sim::stuck() >= MOST_STUCK {
            return None;
        }
        let outcome = run_one(scenarios, plan, todo[at], simulator)?;
        watch.finished(&outcome);
        Some(outcome)
    };
    let mut outcomes = Outcomes::new();
    in_order(threads, todo.len(), run, |_, outcome| {
        // Others that were under way may be over in time.
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

/// The scenario of a run, as it runs.
pub fn scenario_of(scenarios: &[Scenario], plan: &Plan, item: u64) -> Scenario {
    let (which, seed) = plan.run(item);
    let scenario = scenarios[which].clone().with_seed(seed);
    if plan.swarm {
        scenario.swarmed()
    } else {
        scenario
    }
}

/// The outcome of a run; nothing if it was interrupted.
fn run_one(
    scenarios: &[Scenario],
    plan: &Plan,
    item: u64,
    simulator: &Simulator,
) -> Option<Outcome> {
    let expanded = scenario_of(scenarios, plan, item).expanded();
    let (coverage, failure) = match execute(&expanded, plan.paired, simulator) {
        Ok(trace) => (Coverage::of(&expanded, &trace), failure_of(&trace)),
        Err(failure) => (Coverage::default(), Some(failure?)),
    };
    Some(Outcome {
        run: item,
        coverage,
        failure,
    })
}

/// Runs a scenario; a panic is a failure like any other. There is none if the run was interrupted.
fn execute(
    scenario: &Scenario,
    paired: bool,
    simulator: &Simulator,
) -> Result<Trace, Option<Failure>> {
    let run = || {
        if paired {
            simulator.run(scenario)
        } else {
            simulator.run_once(scenario)
        }
    };
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

/// How a run failed, if an expectation did.
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

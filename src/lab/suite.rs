//! For test suites: runs many seeds of one scenario, and shrinks the first failure.

use std::fmt;
use std::num::NonZeroUsize;
use std::ops::{ControlFlow, Range};

use crate::parallel::in_order;
use crate::scenario::Scenario;
use crate::shrink::{Limits, Shrunk, shrink};
use crate::sim::Simulator;
use crate::trace::fingerprint::Fingerprint;

/// The maximum number of runs that shrinking the first failure takes, so that a failing test
/// reports within seconds.
const MOST_SHRINKING_RUNS: usize = 300;

/// The results of the seeds of a scenario.
#[derive(Debug)]
pub struct Seeds {
    /// The seeds that were run.
    pub seeds: Range<u64>,
    /// The seeds that failed, in ascending order, each with what failed.
    pub failures: Vec<(u64, String)>,
    /// The first failing run, shrunk. `None` if no run failed, or if no scenario file fails in the
    /// same way as that run.
    pub first: Option<Shrunk>,
}

/// Runs a scenario with each of these seeds, on all cores.
pub fn sweep(scenario: &Scenario, seeds: Range<u64>) -> Seeds {
    sweep_with(&Simulator::default(), scenario, seeds)
}

/// Runs a scenario with each of these seeds on `simulator`, which may run another server.
pub fn sweep_with(simulator: &Simulator, scenario: &Scenario, seeds: Range<u64>) -> Seeds {
    let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let count = usize::try_from(seeds.end.saturating_sub(seeds.start)).unwrap_or(usize::MAX);
    let seed = |at: usize| seeds.start + at as u64;
    let run = |at| {
        let scenario = scenario.clone().with_seed(seed(at));
        match simulator.run_once(&scenario) {
            Ok(trace) => Fingerprint::of(&trace).map(|fingerprint| fingerprint.to_string()),
            Err(error) => Some(error.to_string()),
        }
    };
    let mut failures = Vec::new();
    in_order(threads, count, run, |at, failed| {
        failures.extend(failed.map(|how| (seed(at), how)));
        ControlFlow::Continue(())
    });
    let first = failures.first().and_then(|(seed, _)| {
        let limits = Limits {
            runs: MOST_SHRINKING_RUNS,
            simulator: simulator.clone(),
            ..Limits::default()
        };
        shrink(&scenario.clone().with_seed(*seed), limits).ok()
    });
    Seeds {
        seeds,
        failures,
        first,
    }
}

impl Seeds {
    /// Passes if all seeds passed; otherwise panics with the first failure and its shrunk scenario.
    ///
    /// # Panics
    ///
    /// If a seed failed, or if the range has no seeds.
    #[track_caller]
    pub fn assert_passed(&self) {
        assert!(!self.seeds.is_empty(), "no seed was run");
        assert!(self.failures.is_empty(), "{self}");
    }
}

impl fmt::Display for Seeds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (count, Range { start, end }) = (self.failures.len(), &self.seeds);
        write!(f, "{count} of seeds {start}..{end} failed")?;
        if let Some((seed, how)) = self.failures.first() {
            write!(f, ", first {seed}: {how}")?;
        }
        if let Some(shrunk) = &self.first {
            let (before, left) = (shrunk.before, shrunk.scenario.steps.len());
            write!(
                f,
                "\nshrunk from {before} steps to {left}:\n\n{}",
                shrunk.scenario.to_toml()
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The seed draws the latencies, so only some seeds let the flood miss its deadline.
    fn jittery() -> Scenario {
        let built = Scenario::builder("riley")
            .with("link_latency", "10ms..60ms")
            .at("1s")
            .client("kiwi")
            .to("Riley")
            .send("IAMAT kiwi +1+1 {now}")
            .expect_update("kiwi")
            .with("reaches", "all")
            .with("within", "90ms");
        built.build().unwrap()
    }

    #[test]
    fn each_seed_that_fails_is_told_and_the_first_is_shown_small() {
        let seeds = sweep(&jittery(), 0..40);
        let alone = |seed| sweep(&jittery(), seed..seed + 1).failures.len();
        assert!(
            (1..40).contains(&seeds.failures.len()),
            "{}",
            seeds.failures.len()
        );
        assert!((0..40).map(alone).sum::<usize>() == seeds.failures.len());
        let told = seeds.to_string();
        let (first, _) = &seeds.failures[0];
        assert!(
            told.contains(&format!("of seeds 0..40 failed, first {first}: ")),
            "{told}"
        );
        assert!(told.contains(&format!("seed = {first}\n")), "{told}");
    }

    #[test]
    #[should_panic(expected = "kiwi: hops to Bernard: 2 (expected: 7)")]
    fn a_trace_says_what_failed() {
        let scenario = Scenario::builder("riley")
            .at("1s")
            .client("kiwi")
            .to("Riley")
            .send("IAMAT kiwi +1+1 {now}")
            .expect_update("kiwi")
            .with("hops", [("Bernard", 7)])
            .build();
        let trace = crate::sim::run_once(&scenario.unwrap()).unwrap();
        trace.assert_passed();
    }

    #[test]
    #[should_panic(expected = "no seed was run")]
    fn no_seed_at_all_passes_nothing() {
        sweep(&jittery(), 3..3).assert_passed();
    }
}

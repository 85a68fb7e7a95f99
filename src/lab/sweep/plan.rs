//! What a sweep runs: which scenario with which seed, in which order.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::coverage::CoverageGoal;
use crate::scenario::Scenario;
use crate::seed::derive;
use crate::trace::invariants::Invariant;

/// Everything that the results of a sweep depend on: two sweeps with the same have the same report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The form of files with results that this build writes and reads.
    pub sweep: u32,
    /// The version of the crate whose server ran.
    pub version: String,
    /// What is run with each seed.
    pub scenarios: Vec<Swept>,
    /// With which seeds: from the first on, to before the last.
    pub seeds: (u64, u64),
    /// Whether each seed has a mixture of faults of its own.
    pub swarm: bool,
    /// Whether everything is executed twice and compared.
    pub paired: bool,
    /// Whether it goes on after a failure.
    pub keep_going: bool,
    /// What it should come to.
    pub wanted: CoverageGoal,
}

/// A scenario, as a plan knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Swept {
    /// Its name.
    pub name: String,
    /// Its file.
    pub file: String,
    /// A hash of all that it says.
    pub digest: String,
    /// The invariants that are switched off in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<Invariant>,
}

/// A part of a sweep: of `of` parts that one, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Which.
    pub number: u64,
    /// Of how many.
    pub of: u64,
}

impl Shard {
    /// All of it.
    pub const WHOLE: Self = Self { number: 1, of: 1 };

    /// Whether a run is one of this part.
    pub fn has(&self, item: u64) -> bool {
        item % self.of.max(1) == self.number.saturating_sub(1)
    }
}

/// The form of results: a number that changes with it.
pub const FORMAT: u32 = 1;

impl Plan {
    /// The plan to run these with those seeds.
    pub fn new(
        scenarios: &[Scenario],
        seeds: Range<u64>,
        swarm: bool,
        paired: bool,
        keep_going: bool,
    ) -> Self {
        let swept = scenarios.iter().map(|scenario| Swept {
            name: scenario.name.clone(),
            file: scenario.source.name.clone(),
            digest: format!("{:016x}", derive(0, &scenario.to_toml(), 0)),
            without: scenario.without.clone(),
        });
        Self {
            sweep: FORMAT,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            scenarios: swept.collect(),
            seeds: (seeds.start, seeds.end),
            swarm,
            paired,
            keep_going,
            wanted: CoverageGoal::of(scenarios),
        }
    }

    /// How many runs there are.
    pub fn len(&self) -> u64 {
        (self.seeds.1.saturating_sub(self.seeds.0)).saturating_mul(self.scenarios.len() as u64)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The scenario, by its place, and the seed of a run. All scenarios run with a seed before any runs with the next.
    pub fn run(&self, item: u64) -> (usize, u64) {
        let scenarios = (self.scenarios.len() as u64).max(1);
        let scenario = usize::try_from(item % scenarios).unwrap_or_default();
        (scenario, self.seeds.0 + item / scenarios)
    }

    /// The runs of a part, in order. Parts take turns, so that they take about as long.
    pub fn items(&self, shard: Shard) -> impl Iterator<Item = u64> + use<> {
        let step = usize::try_from(shard.of).unwrap_or(usize::MAX).max(1);
        (shard.number.saturating_sub(1)..self.len()).step_by(step)
    }
}

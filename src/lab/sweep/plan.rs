//! What a sweep runs: which scenario with which seed, in which order.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::coverage::CoverageGoal;
use crate::scenario::Scenario;
use crate::seed::derive;
use crate::sim::WorldKind;
use crate::trace::invariants::Invariant;

/// Everything that the results of a sweep depend on. Two sweeps with equal plans have equal
/// reports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
pub struct Plan {
    /// The format of result files: [`FORMAT`] in plans of this build.
    pub sweep: u32,
    /// The version of the crate whose server ran.
    pub version: String,
    /// The scenarios, each of which runs with every seed.
    pub scenarios: Vec<Swept>,
    /// The first seed, and the one after the last.
    pub seeds: (u64, u64),
    /// The world in which all runs: `turmoil` if a result file does not say.
    #[serde(default = "turmoil")]
    pub world: WorldKind,
    /// Whether each seed has a mixture of faults of its own.
    pub swarm: bool,
    /// Whether what earlier runs came across decides what later ones draw from.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub guided: bool,
    /// Whether every run is executed twice and compared.
    pub paired: bool,
    /// Whether the sweep continues after a failure.
    pub keep_going: bool,
    /// The coverage that the sweep should reach.
    pub wanted: CoverageGoal,
}

fn turmoil() -> WorldKind {
    WorldKind::Turmoil
}

/// A scenario of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Swept {
    /// The scenario's name.
    pub name: String,
    /// The path of the scenario's file, as the user named it.
    pub file: String,
    /// A hash of the scenario's text, by which a changed file is noticed.
    pub digest: String,
    /// The invariants that the scenario switches off.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<Invariant>,
}

/// One of several parts of a sweep, for running them on different machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// The number of this part, from 1 to `of`.
    pub number: u64,
    /// The number of parts.
    pub of: u64,
}

impl Shard {
    /// The only part of a sweep that is not divided.
    pub const WHOLE: Self = Self { number: 1, of: 1 };

    /// Whether this part contains a run.
    pub fn has(&self, item: u64) -> bool {
        item % self.of.max(1) == self.number.saturating_sub(1)
    }
}

/// The format of result files. It is incremented when the format changes.
pub const FORMAT: u32 = 1;

impl Plan {
    /// Plans to run these scenarios with those seeds.
    pub fn new(
        scenarios: &[Scenario],
        seeds: Range<u64>,
        swarm: bool,
        paired: bool,
        keep_going: bool,
    ) -> Self {
        let swept = scenarios.iter().map(|scenario| Swept {
            name: scenario.name.clone(),
            file: scenario.path(),
            digest: format!("{:016x}", derive(0, &scenario.to_toml(), 0)),
            without: scenario.without.clone(),
        });
        Self {
            sweep: FORMAT,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            scenarios: swept.collect(),
            seeds: (seeds.start, seeds.end),
            world: WorldKind::default(),
            swarm,
            guided: false,
            paired,
            keep_going,
            wanted: CoverageGoal::of(scenarios),
        }
    }

    /// The same plan in a world.
    #[must_use]
    pub fn in_world(self, world: WorldKind) -> Self {
        Self { world, ..self }
    }

    /// The same plan, guided by what its runs come across.
    #[must_use]
    pub fn guided(self, guided: bool) -> Self {
        Self { guided, ..self }
    }

    /// The number of runs: seeds × scenarios.
    pub fn len(&self) -> u64 {
        (self.seeds.1.saturating_sub(self.seeds.0)).saturating_mul(self.scenarios.len() as u64)
    }

    /// Whether there are no runs.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The index of a run's scenario, and its seed. All scenarios run with one seed before any runs
    /// with the next.
    pub fn run(&self, item: u64) -> (usize, u64) {
        let scenarios = (self.scenarios.len() as u64).max(1);
        let scenario = usize::try_from(item % scenarios).unwrap_or_default();
        (scenario, self.seeds.0 + item / scenarios)
    }

    /// The runs of a part, in order. Parts take turns in the plan's runs, so that all take about as
    /// long.
    pub fn items(&self, shard: Shard) -> impl Iterator<Item = u64> + use<> {
        let step = usize::try_from(shard.of).unwrap_or(usize::MAX).max(1);
        (shard.number.saturating_sub(1)..self.len()).step_by(step)
    }
}

//! A scenario with disks, in which the power of all servers fails behind each operation of a disk.
//!
//! Whatever was not synced by then may be lost, in many ways. So at each moment the power fails several times, and
//! another part is lost each time. When it is back, all servers start with what their disks have, and the invariants say
//! whether that is what clients were told.

mod report;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::time::Duration;

use serde::Serialize;

use crate::parallel::in_order;
use crate::scenario::Scenario;
use crate::sim::{ENDS, SimError, Simulator};
use crate::trace::fingerprint::Fingerprint;

pub use report::{text, verdict};

/// How long behind an operation the power fails.
const BEHIND: Duration = Duration::from_nanos(1);

/// Why the power of a scenario could not be cut at each operation.
#[derive(Debug, thiserror::Error)]
pub enum PowerCutError {
    /// Its servers have no disks, so each cut loses everything.
    #[error("the servers have no disks; give them some: `durability` under `[server]`")]
    NoDisks,
    /// It has an order in place of time.
    #[error("`deliver` takes the place of time, and the power fails at a time")]
    NoTime,
    /// The simulator failed.
    #[error("{0}")]
    Run(#[from] SimError),
}

/// How the power is cut.
#[derive(Clone, Debug)]
pub struct Options {
    /// How often it is cut at each moment; another part of what was not synced is lost each time.
    pub draws: usize,
    /// On how many threads.
    pub threads: NonZeroUsize,
    /// What runs the scenario.
    pub simulator: Simulator,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            draws: 4,
            threads: NonZeroUsize::MIN,
            simulator: Simulator::default(),
        }
    }
}

/// What happened when the power was cut.
#[derive(Clone, Debug, Serialize)]
pub struct PowerCuts {
    /// The scenario's name.
    pub scenario: String,
    /// Its title.
    pub title: String,
    /// The number of operations of all disks, by what they are called.
    pub operations: BTreeMap<&'static str, usize>,
    /// The number of moments behind which the power was cut: operations of several disks can take effect at the same.
    pub moments: usize,
    /// The number of runs that were made.
    pub runs: usize,
    /// The number of runs in which an invariant was violated, or that did not end.
    pub failures: usize,
    /// One of them for each way to fail.
    pub broken: Vec<BrokenCut>,
    /// Whether the work was interrupted.
    pub interrupted: bool,
}

impl PowerCuts {
    /// Whether any run failed.
    pub fn is_broken(&self) -> bool {
        self.failures > 0
    }
}

/// A run that failed.
#[derive(Clone, Debug, Serialize)]
pub struct BrokenCut {
    /// When the power was cut, in nanoseconds.
    pub at: u64,
    /// How it failed.
    pub fingerprint: String,
    /// The number of runs that failed like that.
    pub runs: usize,
    /// The scenario that fails so.
    #[serde(skip)]
    pub scenario: Scenario,
}

/// Cuts the power of all servers behind each operation of a disk, `draws` times each.
///
/// # Errors
///
/// If the scenario has no disks or no time, or if the simulator fails.
pub fn power_cuts(scenario: &Scenario, options: &Options) -> Result<PowerCuts, PowerCutError> {
    power_cuts_watched(scenario, options, |_, _| ControlFlow::Continue(()))
}

/// As [`power_cuts`]; `watch` hears how many runs are made, and of how many, and may end the work.
///
/// # Errors
///
/// As of [`power_cuts`].
pub fn power_cuts_watched(
    scenario: &Scenario,
    options: &Options,
    mut watch: impl FnMut(usize, usize) -> ControlFlow<()>,
) -> Result<PowerCuts, PowerCutError> {
    if scenario.disks.is_none() {
        return Err(PowerCutError::NoDisks);
    }
    if scenario.deliver.is_some() {
        return Err(PowerCutError::NoTime);
    }
    let (plain, done) = options.simulator.disk_operations(scenario)?;
    let mut found = PowerCuts {
        scenario: scenario.name.clone(),
        title: scenario.title.clone(),
        operations: BTreeMap::new(),
        moments: 0,
        runs: 0,
        failures: 0,
        broken: Vec::new(),
        interrupted: false,
    };
    for (_, operation) in &done {
        *found.operations.entry(operation).or_default() += 1;
    }
    let mut moments: Vec<Duration> = done.into_iter().map(|(at, _)| at + BEHIND).collect();
    moments.sort();
    moments.dedup();
    found.moments = moments.len();
    let draws = options.draws.max(1);
    let count = moments.len().saturating_mul(draws);
    let nth = |at: usize| cut(&plain, moments[at / draws], at % draws);
    let work = |at| judge(&options.simulator, &nth(at));
    let mut failed = None;
    in_order(options.threads.get(), count, work, |at, judged| {
        match judged {
            Ok(None) => {}
            Ok(Some(how)) => found.add(moments[at / draws], &how, || nth(at)),
            Err(error) => {
                failed = Some(error);
                return ControlFlow::Break(());
            }
        }
        found.runs += 1;
        let goes_on = watch(found.runs, count);
        found.interrupted = goes_on.is_break() && found.runs < count;
        goes_on
    });
    failed.map_or(Ok(found), |error| Err(error.into()))
}

/// The scenario with its power cut at a moment. From then on, the first draw goes on with the scenario's seed, and each
/// other one with a seed of its own.
fn cut(plain: &Scenario, at: Duration, draw: usize) -> Scenario {
    let cut = plain.with_power_cut(at);
    if draw == 0 {
        return cut;
    }
    let seed = cut.seed.then(at, draw as u64);
    cut.with_seed(seed)
}

/// How a run fails, if it does: by an invariant, or since it does not end. What else is judged is about a run without a
/// cut, and whether a cut has an effect is no matter here.
fn judge(simulator: &Simulator, cut: &Scenario) -> Result<Option<Fingerprint>, SimError> {
    let mut trace = simulator.judge(cut, false)?;
    (trace.judgements).retain(|judged| judged.invariant.is_some() || judged.about == ENDS);
    Ok(Fingerprint::of(&trace))
}

impl PowerCuts {
    fn add(&mut self, at: Duration, how: &Fingerprint, scenario: impl FnOnce() -> Scenario) {
        self.failures += 1;
        let fingerprint = how.to_string();
        let same = self.broken.iter_mut();
        if let Some(same) = same.into_iter().find(|cut| cut.fingerprint == fingerprint) {
            same.runs += 1;
            return;
        }
        self.broken.push(BrokenCut {
            at: u64::try_from(at.as_nanos()).unwrap_or(u64::MAX),
            fingerprint,
            runs: 1,
            scenario: scenario(),
        });
    }
}

#[cfg(test)]
mod tests;

//! What is explored, and how far.

use std::num::NonZeroUsize;

use crate::herd::ServerId;
use crate::scenario::Held;
use crate::sim::Simulator;

/// What to explore, and how far.
#[derive(Clone, Debug)]
pub struct Options {
    /// Partial-order reduction: of orders that differ only in the sequence of commuting choices,
    /// one is run.
    pub reduce: bool,
    /// The number of choices, from the beginning, that are varied; `None` for all.
    pub depth: Option<usize>,
    /// The maximum number of choices other than the default, which is what became possible first.
    /// `None` for no maximum.
    pub preemptions: Option<usize>,
    /// The maximum number of runs, including those that are cut short.
    pub budget: usize,
    /// The number of threads that share the runs. The result does not depend on it.
    pub threads: NonZeroUsize,
    /// Whether every step can happen at any moment after the step before it. Otherwise only steps
    /// of the same time change places with messages.
    pub any_time: bool,
    /// Which messages are varied.
    pub held: Held,
    /// The server to which the first client sends, in place of the scenario's.
    pub origin: Option<ServerId>,
    /// The maximum number of orders that are kept, each with its outcome. 0 keeps none.
    pub keep: usize,
    /// What runs the scenario, with a limit of wall time for each run.
    pub simulator: Simulator,
}

impl Default for Options {
    /// Every order of updates without reduction, up to 50,000 runs, on one thread.
    fn default() -> Self {
        Self {
            reduce: false,
            depth: None,
            preemptions: None,
            budget: 50_000,
            threads: NonZeroUsize::MIN,
            any_time: false,
            held: Held::default(),
            origin: None,
            keep: 0,
            simulator: Simulator::default(),
        }
    }
}

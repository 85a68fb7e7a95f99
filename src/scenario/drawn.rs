//! Steps that stand for many, which the seed draws.

use std::time::Duration;

use super::FaultKind;
use crate::herd::{Name, ServerId};
use crate::units::LatencyRange;

/// The percentage of lines that must be answered where a scenario does not say.
const USUALLY_ANSWERED: usize = 50;

/// A stream of clients' lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workload {
    /// What it is called; its clients are `name-1`, `name-2` and so on. No other workload is called so.
    pub name: Name,
    /// How many clients there are; at least one.
    pub clients: u32,
    /// The servers that they talk to. Never empty.
    pub to: Vec<ServerId>,
    /// How many lines are sent each second.
    pub rate: u32,
    /// How long it goes on. At least one line is sent in that time.
    pub lasts: Duration,
    /// How many lines of a hundred are a WHATSAT.
    pub whatsat: u8,
    /// How many lines of a hundred must be answered; if not given, half of them.
    pub answered: Option<u8>,
}

impl Workload {
    /// How many lines of these must be answered: at least one, since a workload that nobody answers proves nothing.
    pub fn least_answered(&self, lines: usize) -> usize {
        let percent = self.answered.map_or(USUALLY_ANSWERED, usize::from);
        (lines * percent).div_ceil(100).max(1)
    }

    /// How many lines are sent.
    pub fn lines(&self) -> u64 {
        let lines = self.lasts.as_nanos() * u128::from(self.rate) / 1_000_000_000;
        u64::try_from(lines).unwrap_or(u64::MAX)
    }

    /// The name of its `number`-th client, from 1.
    pub fn client(&self, number: u32) -> Name {
        numbered(&self.name, number)
    }
}

/// The name of one of many clients.
pub(super) fn numbered(name: &str, number: u32) -> Name {
    Name::from(format!("{name}-{number}"))
}

/// Faults that come and go at random.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Random {
    /// Each kind of fault with the mean time from one to the next, in the order of
    /// [`FaultKind::drawn`]. Never empty, and nothing is in it twice.
    pub faults: Vec<(FaultKind, Duration)>,
    /// How long faults go on. At its end, all of them are cleared.
    pub lasts: Duration,
    /// How long each fault holds.
    pub holds: LatencyRange,
    /// The servers that anything may happen to.
    pub of: Vec<ServerId>,
    /// Whether it is acceptable that no fault is chosen, or that none has an effect.
    pub maybe: bool,
}

/// A step that stood for many and was drawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Drawn {
    /// A workload.
    Workload(Workload),
    /// Faults at random, and how many of each kind were chosen.
    Random(Random, Vec<u32>),
}

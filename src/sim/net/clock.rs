//! The clock of a machine or client, with its error.

use std::time::Duration;

use crate::protocol::time::Timestamp;
use crate::scenario::ClockError;
use crate::sim::time::{elapsed, takes};

#[derive(Clone, Copy, Default)]
pub(super) struct Clock {
    skewed: ClockError,
    /// When the error was set, in simulated time.
    since: Duration,
    reads: u64,
}

impl Clock {
    /// Sets the clock's error from now on.
    pub(super) fn set(&mut self, skewed: ClockError, now: Duration) {
        (self.skewed, self.since) = (skewed, now);
    }

    /// The number of times it was read.
    pub(super) fn reads(&self) -> u64 {
        self.reads
    }

    /// Reads it. It goes as fast as tokio's. `epoch` is what a right clock shows when the run begins, in nanoseconds since the POSIX epoch.
    pub(super) fn read(&mut self, epoch: u128) -> Timestamp {
        self.reads += 1;
        let run = elapsed().unwrap_or_default();
        let shown =
            i128::try_from(epoch).unwrap_or(i128::MAX) + nanos(takes(run)) + self.nanos_wrong(run);
        Timestamp::from_nanos(u128::try_from(shown).unwrap_or(0))
    }

    /// The clock's error at this simulated time.
    pub(super) fn error(&self, now: Duration) -> ClockError {
        ClockError {
            by: i64::try_from(self.nanos_wrong(now)).unwrap_or(i64::MAX),
            drift: self.skewed.drift,
        }
    }

    fn nanos_wrong(&self, now: Duration) -> i128 {
        let run = nanos(now.saturating_sub(self.since));
        i128::from(self.skewed.by) + run * i128::from(self.skewed.drift) / 1_000_000_000
    }
}

fn nanos(duration: Duration) -> i128 {
    i128::try_from(duration.as_nanos()).unwrap_or(i128::MAX)
}

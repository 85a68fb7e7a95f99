//! Draws latencies from the seed.

use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::ChaCha8Rng;

use crate::seed::stream;
use crate::units::LatencyRange;

/// A generator of latencies.
pub(super) struct Latencies {
    rng: ChaCha8Rng,
    tick: Duration,
}

impl Latencies {
    pub(super) fn new(seed: u64, purpose: &str, tick: Duration) -> Self {
        Self {
            rng: stream(seed, purpose, 0),
            tick,
        }
    }

    /// Draws from another seed from now on.
    pub(super) fn redraw(&mut self, seed: u64, purpose: &str) {
        self.rng = stream(seed, purpose, 0);
    }

    /// Draws a latency within `range`, in whole ticks.
    pub(super) fn draw(&mut self, range: LatencyRange) -> Duration {
        let ticks = |duration: Duration| {
            u32::try_from(duration.as_nanos() / self.tick.as_nanos()).unwrap_or(u32::MAX)
        };
        let (least, most) = (ticks(range.least), ticks(range.most));
        self.tick * self.rng.random_range(least..=most)
    }
}

//! Everything random in a run follows from the scenario's seed, by generators whose numbers are the
//! same on every machine.

use std::time::Duration;

use rand::rngs::ChaCha8Rng;
use rand::{RngExt as _, SeedableRng as _};
use siphasher::sip::SipHasher13;

use crate::units::LatencyRange;

/// The seed for one purpose, such as the third run of one server. Other purposes have others, so
/// that what one of them draws does not change what the others see.
pub(super) fn derive(seed: u64, purpose: &str, number: u64) -> u64 {
    SipHasher13::new_with_keys(seed, number).hash(purpose.as_bytes())
}

/// Draws latencies.
pub(super) struct Latencies {
    rng: ChaCha8Rng,
    tick: Duration,
}

impl Latencies {
    pub(super) fn new(seed: u64, purpose: &str, tick: Duration) -> Self {
        Self {
            rng: ChaCha8Rng::seed_from_u64(derive(seed, purpose, 0)),
            tick,
        }
    }

    /// A latency within `range`, in whole ticks.
    pub(super) fn draw(&mut self, range: LatencyRange) -> Duration {
        let ticks = |duration: Duration| {
            u32::try_from(duration.as_nanos() / self.tick.as_nanos()).unwrap_or(u32::MAX)
        };
        let (least, most) = (ticks(range.least), ticks(range.most));
        self.tick * self.rng.random_range(least..=most)
    }
}

//! Counters and histograms. They are atomics, so counting never waits.

use crate::sync::atomic::{AtomicU64, Ordering};

/// A counter, which only grows.
#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    pub(super) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A histogram of `N` buckets, each up to its bound inclusive, and one bucket above them all.
#[derive(Debug)]
pub(super) struct Histogram<const N: usize> {
    pub(super) bounds: [u64; N],
    pub(super) counts: [Count; N],
    pub(super) above: Count,
    pub(super) sum: Count,
}

impl<const N: usize> Histogram<N> {
    pub(super) fn new(bounds: [u64; N]) -> Self {
        Self {
            bounds,
            counts: std::array::from_fn(|_| Count::default()),
            above: Count::default(),
            sum: Count::default(),
        }
    }

    pub(super) fn observe(&self, value: u64) {
        self.observe_many(value, 1);
    }

    /// Adds `value` to the histogram `times` times.
    pub(super) fn observe_many(&self, value: u64, times: u64) {
        let bucket = self.bounds.iter().position(|&bound| value <= bound);
        bucket
            .map_or(&self.above, |bucket| &self.counts[bucket])
            .add(times);
        self.sum.add(value.saturating_mul(times));
    }
}

/// Converts bounds from microseconds to nanoseconds.
pub(super) const fn micros<const N: usize>(mut bounds: [u64; N]) -> [u64; N] {
    let mut at = 0;
    while at < N {
        bounds[at] *= 1000;
        at += 1;
    }
    bounds
}

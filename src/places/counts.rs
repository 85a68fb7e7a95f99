//! What became of look-ups, counted.

use std::sync::atomic::{AtomicU64, Ordering};

use super::answer::Failure;

/// How often a look-up came to what.
#[derive(Debug, Default)]
pub struct Counts([AtomicU64; STATUSES.len()]);

const STATUSES: [&str; 9] = [
    "answered",
    "no_key",
    "unreachable",
    "late",
    "busy",
    "too_large",
    "unaskable",
    "http_status",
    "malformed",
];

impl Counts {
    pub(super) fn count<T>(&self, answer: &Result<T, Failure>) {
        let position = match answer {
            Ok(_) => 0,
            Err(Failure::NoKey) => 1,
            Err(Failure::Unreachable) => 2,
            Err(Failure::Late) => 3,
            Err(Failure::Busy) => 4,
            Err(Failure::TooLarge) => 5,
            Err(Failure::Unaskable) => 6,
            Err(Failure::Status(_)) => 7,
            Err(Failure::Malformed) => 8,
        };
        self.0[position].fetch_add(1, Ordering::Relaxed);
    }

    /// Each status, in a word, and how many look-ups came to it.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = self.0.iter().map(|count| count.load(Ordering::Relaxed));
        STATUSES.into_iter().zip(counts)
    }
}

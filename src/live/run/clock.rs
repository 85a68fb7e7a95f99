//! The time of a run on this thread: the machine's since its beginning, times its speed.

use std::cell::Cell;
use std::time::Duration;

use tokio::time::Instant;

use crate::net::Net as _;
use crate::net::tokio::TokioNet;
use crate::scenario::EpochNs;
use crate::sim::outside::follow;

thread_local! {
    /// When the run on this thread began, and its speed.
    static BEGUN: Cell<Option<(Instant, u32)>> = const { Cell::new(None) };
}

/// From now on a run goes on on this thread. Returns what the machine's clock shows.
pub(super) fn begin(speed: u32) -> EpochNs {
    let mut read = both();
    for _ in 0..READINGS {
        if read.2 < CLOSE {
            break;
        }
        read = both();
    }
    let (begun, epoch, _) = read;
    BEGUN.set(Some((begun, speed)));
    follow(elapsed, speed);
    epoch
}

/// How long it may take to read both clocks. What the harness and servers record is put in order by them, and a pause in
/// between would put effects before their causes.
const CLOSE: Duration = Duration::from_micros(20);

/// How often both clocks are read, at most, until it takes no longer than that.
const READINGS: u32 = 1000;

/// The time of the run's clock and of the machine's, and how long it took to read both.
fn both() -> (Instant, EpochNs, Duration) {
    let begun = Instant::now();
    let epoch = TokioNet.now().as_nanos().unsigned_abs();
    (begun, epoch, begun.elapsed())
}

/// No run goes on on this thread any more.
pub(super) fn end() {
    BEGUN.set(None);
    follow(elapsed, 1);
}

/// How long the run has lasted, in the scenario's time.
fn elapsed() -> Option<Duration> {
    let (begun, speed) = BEGUN.get()?;
    Some(begun.elapsed() * speed)
}

/// The same; nothing before it began.
pub(super) fn now() -> Duration {
    elapsed().unwrap_or_default()
}

/// The moment at which the run has lasted this long.
pub(super) fn moment(at: Duration) -> Instant {
    let (begun, speed) = BEGUN.get().unwrap_or_else(|| (Instant::now(), 1));
    begun + at / speed
}

//! The time of the run on this thread, and how fast it goes.

use std::cell::Cell;
use std::time::Duration;

thread_local! {
    /// How the world of the run on this thread says what time it is, and how many times faster than tokio's its time goes.
    static CLOCK: Cell<(Option<Clock>, u32)> = const { Cell::new((None, 1)) };
}

/// Says how long a run has lasted; nothing while only the harness does anything.
pub(crate) type Clock = fn() -> Option<Duration>;

/// From now on, this clock says what time it is on this thread. It goes `speed` times as fast as tokio's.
pub(crate) fn follow(clock: Clock, speed: u32) {
    CLOCK.set((Some(clock), speed));
}

/// The time since the beginning of the run on this thread, for what runs in its world.
pub(super) fn elapsed() -> Option<Duration> {
    CLOCK.get().0.and_then(|clock| clock())
}

/// How long a time of the run on this thread takes by tokio's clock.
pub(super) fn takes(time: Duration) -> Duration {
    time / CLOCK.get().1
}

//! The simulated time of the run on this thread.

use std::cell::Cell;
use std::time::Duration;

thread_local! {
    /// How the world of the run on this thread says what time it is.
    static CLOCK: Cell<Option<Clock>> = const { Cell::new(None) };
}

/// Says how long a run has lasted; nothing while only the harness does anything.
type Clock = fn() -> Option<Duration>;

/// From now on, this clock says what time it is on this thread.
pub(super) fn follow(clock: Clock) {
    CLOCK.set(Some(clock));
}

/// The time since the beginning of the run on this thread, for what runs in its world.
pub(super) fn elapsed() -> Option<Duration> {
    CLOCK.get().and_then(|clock| clock())
}

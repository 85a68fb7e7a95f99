//! Primitives for tests of interleavings: shuttle's where it has them, otherwise real ones with a
//! scheduling point before each use.
//!
//! What stays real (`watch`, `broadcast`, `Semaphore`, all of tokio's IO) is as if it took no time:
//! no other thread comes in between. All memory is sequentially consistent.

use std::future::Future;
use std::sync::Arc;

use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, Runner};

pub(crate) use shuttle::sync::MutexGuard as FairMutexGuard;
pub(crate) use shuttle::sync::{Mutex, MutexGuard, atomic, mpsc};
pub(crate) use shuttle::thread;

/// Which schedules are tried. `SHUTTLE_RANDOM_SEED` in the environment chooses others.
const SEED: u64 = 1;

/// The number of changes of priority in a schedule by priorities. Most errors of synchronisation
/// need fewer.
const DEPTH: usize = 3;

/// The stack of a thread: in a development build a whole connection needs much.
const STACK: usize = 1 << 20;

/// Runs `story` under `schedules` schedules of its threads: half of them choose a thread at random
/// at each point (which finds what needs many changes), half by priorities that seldom change (PCT,
/// which finds what needs a thread to stand for long).
///
/// A panic in any thread fails, and so does a state in which every thread waits: no timer ever
/// fires, since the clock stands.
pub(crate) fn check(schedules: usize, story: impl Fn() + Send + Sync + 'static) {
    let clock = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    // It is never dropped: after a failure its timers would wake threads that no longer exist.
    let _clock = Box::leak(Box::new(clock)).enter();
    let story = Arc::new(story);
    let half = schedules / 2;
    run(RandomScheduler::new_from_seed(SEED, half), &story);
    run(PctScheduler::new_from_seed(SEED, DEPTH, half), &story);
}

fn run<S: Scheduler + 'static>(scheduler: S, story: &Arc<impl Fn() + Send + Sync + 'static>) {
    let mut config = Config::new();
    config.stack_size = STACK;
    config.silence_warnings = true;
    let story = Arc::clone(story);
    Runner::new(scheduler, config).run(move || story());
}

/// A point at which another thread can go on.
#[derive(Debug, Default)]
struct Point(atomic::AtomicBool);

impl Point {
    fn pass(&self) {
        self.0.load(atomic::Ordering::SeqCst);
    }
}

/// Stands for `parking_lot`'s lock, which can't be poisoned.
#[derive(Debug, Default)]
pub(crate) struct FairMutex<T>(Mutex<T>);

impl<T> FairMutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> FairMutexGuard<'_, T> {
        self.0.lock().expect("no thread panics and goes on")
    }
}

/// The standard library's, with scheduling points.
#[derive(Debug)]
pub(crate) struct OnceLock<T> {
    point: Point,
    cell: std::sync::OnceLock<T>,
}

impl<T> OnceLock<T> {
    pub(crate) fn new() -> Self {
        Self {
            point: Point::default(),
            cell: std::sync::OnceLock::new(),
        }
    }

    pub(crate) fn get(&self) -> Option<&T> {
        self.point.pass();
        self.cell.get()
    }

    pub(crate) fn set(&self, value: T) -> Result<(), T> {
        self.point.pass();
        self.cell.set(value)
    }
}

/// tokio's, with scheduling points.
#[derive(Debug, Default)]
pub(crate) struct Notify {
    point: Point,
    notify: tokio::sync::Notify,
}

impl Notify {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn notify_one(&self) {
        self.point.pass();
        self.notify.notify_one();
    }

    pub(crate) fn notify_waiters(&self) {
        self.point.pass();
        self.notify.notify_waiters();
    }

    pub(crate) fn notified(&self) -> impl Future<Output = ()> {
        self.point.pass();
        self.notify.notified()
    }
}

//! Runs independent work on several threads, and hands out the results in order.

use std::any::Any;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// The maximum number of finished results for each thread that wait for an earlier one. A higher
/// number would only use more memory.
const LEAD: usize = 4;

/// Calls `work` for each of `0..count` on `threads` threads. Each result goes to `take`, on the
/// calling thread, in order, and as soon as all earlier results are finished. After `take` breaks,
/// no further work begins.
///
/// With one thread, all work runs on the calling thread, and so sees its thread-local state.
///
/// # Panics
///
/// If `work` panics. The panic is raised in order: after the results before it were taken.
pub(crate) fn in_order<T: Send>(
    threads: usize,
    count: usize,
    work: impl Fn(usize) -> T + Sync,
    mut take: impl FnMut(usize, T) -> ControlFlow<()>,
) {
    let threads = threads.min(count);
    if threads <= 1 {
        let _ = (0..count).try_for_each(|at| take(at, work(at)));
        return;
    }
    let desk = Desk::new(count, threads * LEAD);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(at) = desk.next() {
                    let done = catch_unwind(AssertUnwindSafe(|| work(at)));
                    desk.put(at, done);
                }
            });
        }
        // Closes the desk on every path out. Otherwise the workers would compute results that
        // nobody takes, and a panic in `take` would wait for them.
        let _closed = Closing(&desk);
        let _ = (0..count).try_for_each(|at| match desk.take(at) {
            Ok(result) => take(at, result),
            Err(panic) => resume_unwind(panic),
        });
    });
}

type Done<T> = Result<T, Box<dyn Any + Send>>;

/// The queue between the workers and the thread that takes their results.
struct Desk<T> {
    count: usize,
    lead: usize,
    state: Mutex<State<T>>,
    changed: Condvar,
}

struct State<T> {
    /// The index of the next work to begin.
    next: usize,
    /// The number of results that `take` has received.
    taken: usize,
    done: BTreeMap<usize, Done<T>>,
    is_closed: bool,
}

struct Closing<'a, T>(&'a Desk<T>);

impl<T> Drop for Closing<'_, T> {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl<T> Desk<T> {
    fn new(count: usize, lead: usize) -> Self {
        Self {
            count,
            lead,
            state: Mutex::new(State {
                next: 0,
                taken: 0,
                done: BTreeMap::new(),
                is_closed: false,
            }),
            changed: Condvar::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State<T>>) -> MutexGuard<'a, State<T>> {
        let waited = self.changed.wait(state);
        waited.unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self) -> Option<usize> {
        let mut state = self.state();
        loop {
            if state.is_closed || state.next == self.count {
                return None;
            }
            if state.next < state.taken + self.lead {
                state.next += 1;
                return Some(state.next - 1);
            }
            state = self.wait(state);
        }
    }

    fn put(&self, at: usize, done: Done<T>) {
        self.state().done.insert(at, done);
        self.changed.notify_all();
    }

    fn take(&self, at: usize) -> Done<T> {
        let mut state = self.state();
        loop {
            if let Some(done) = state.done.remove(&at) {
                state.taken = at + 1;
                self.changed.notify_all();
                return done;
            }
            state = self.wait(state);
        }
    }

    fn close(&self) {
        self.state().is_closed = true;
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn results_come_in_order_however_long_each_takes() {
        for threads in [1, 2, 7] {
            let mut came = Vec::new();
            let slow_ones_first = |at: usize| {
                for _ in 0..(100 - at) * 50 {
                    std::thread::yield_now();
                }
                at * 2
            };
            in_order(threads, 100, slow_ones_first, |at, result| {
                came.push((at, result));
                ControlFlow::Continue(())
            });
            let all: Vec<_> = (0..100).map(|at| (at, at * 2)).collect();
            assert_eq!(came, all);
        }
    }

    #[test]
    fn nothing_is_begun_far_ahead_or_when_it_is_over() {
        let begun = AtomicUsize::new(0);
        let work = |_| begun.fetch_add(1, Ordering::Relaxed);
        in_order(2, 1000, work, |at, _| {
            let most = at + 1 + 2 * LEAD + 2;
            assert!(begun.load(Ordering::Relaxed) <= most);
            match at {
                9 => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        });
        assert!(begun.load(Ordering::Relaxed) <= 10 + 2 * LEAD + 2);
    }

    #[test]
    fn a_panic_comes_when_it_is_its_turn_and_ends_everything() {
        let mut came = Vec::new();
        let ran = catch_unwind(AssertUnwindSafe(|| {
            let work = |at: usize| assert!(at != 5, "the fifth");
            in_order(3, 100, work, |at, ()| {
                came.push(at);
                ControlFlow::Continue(())
            });
        }));
        let panic = ran.expect_err("it panicked");
        assert_eq!(panic.downcast_ref::<&str>(), Some(&"the fifth"));
        assert_eq!(came, [0, 1, 2, 3, 4]);
    }
}

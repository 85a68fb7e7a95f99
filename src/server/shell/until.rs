//! Reading from a client, until its deadline passes or the server stops.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use tokio::io::AsyncRead;
use tokio::time::{Instant, Sleep};

use super::Timing;
use super::lines::Lines;
use crate::journal::CloseReason;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, Ordering};

/// The stop and the deadline of a connection. They are set up once, and polled only after they
/// fired, since polling both for each read would cost more than most lines do.
pub(super) struct Until<S> {
    stopped: Pin<Box<S>>,
    /// A timer that fires at the deadline or earlier. If it fires early, it is reset to the
    /// deadline.
    alarm: Pin<Box<Sleep>>,
    bell: Arc<Bell>,
    /// A waker that rings the bell.
    ringing: Waker,
    /// The task that the bell wakes.
    task: Waker,
}

/// A flag that remembers a wake-up, since the task may be waiting for something else at that time.
struct Bell {
    rung: AtomicBool,
    wakes: Mutex<Waker>,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rung.store(true, Ordering::Release);
        let wakes = self.wakes.lock().unwrap_or_else(PoisonError::into_inner);
        wakes.wake_by_ref();
    }
}

impl<S: Future<Output = ()>> Until<S> {
    pub(super) fn new(stopped: S, alarm: Sleep) -> Self {
        let bell = Arc::new(Bell {
            // The bell has rung at first, so that the first wait polls both and registers the
            // waker.
            rung: AtomicBool::new(true),
            wakes: Mutex::new(Waker::noop().clone()),
        });
        Self {
            stopped: Box::pin(stopped),
            alarm: Box::pin(alarm),
            ringing: Arc::clone(&bell).into(),
            bell,
            task: Waker::noop().clone(),
        }
    }

    /// Reads once into `lines`, unless a deadline of `timing` passes or the server stops before.
    /// Available bytes are read in any case. After a deadline another read may follow, with a
    /// deadline of its own; after any other error the connection is over. `now` is an argument to
    /// spare a reading of the clock.
    pub(super) async fn read(
        &mut self,
        timing: &Timing,
        now: Instant,
        lines: &mut Lines,
        reader: &mut (impl AsyncRead + Unpin),
    ) -> Result<usize, CloseReason> {
        let (deadline, late) = match lines.half_since() {
            Some(since) => (since + timing.half_line, CloseReason::HalfLine),
            None => (now + timing.idle, CloseReason::Silent),
        };
        if deadline < self.alarm.deadline() {
            self.set_alarm(deadline);
        }
        let mut late = Some(late);
        let mut read = pin!(lines.read_now(reader));
        poll_fn(|context| {
            if let Poll::Ready(read) = read.as_mut().poll(context) {
                return Poll::Ready(read.map_err(|error| CloseReason::from(&error)));
            }
            self.wake(context.waker());
            if !self.bell.rung.swap(false, Ordering::Acquire) {
                return Poll::Pending;
            }
            if self.poll_passed(deadline).is_ready() {
                // A timer that fired stays silent until it is polled and reset.
                self.bell.rung.store(true, Ordering::Relaxed);
                return Poll::Ready(Err(late.take().unwrap_or(CloseReason::Silent)));
            }
            let mut context = Context::from_waker(&self.ringing);
            let stopped = self.stopped.as_mut().poll(&mut context);
            stopped.map(|()| Err(CloseReason::Stopping))
        })
        .await
    }

    fn set_alarm(&mut self, to: Instant) {
        self.alarm.as_mut().reset(to);
        // A timer that was reset must be polled to fire again.
        self.bell.rung.store(true, Ordering::Relaxed);
    }

    /// Makes the bell wake `task` from now on.
    fn wake(&mut self, task: &Waker) {
        if !self.task.will_wake(task) {
            self.task.clone_from(task);
            let wakes = self.bell.wakes.lock();
            let mut wakes = wakes.unwrap_or_else(PoisonError::into_inner);
            wakes.clone_from(task);
        }
    }

    /// Whether `deadline` has passed. The timer may be set to any time.
    fn poll_passed(&mut self, deadline: Instant) -> Poll<()> {
        let mut context = Context::from_waker(&self.ringing);
        while self.alarm.as_mut().poll(&mut context).is_ready() {
            if self.alarm.deadline() >= deadline {
                return Poll::Ready(());
            }
            self.alarm.as_mut().reset(deadline);
        }
        Poll::Pending
    }
}

#[cfg(all(test, feature = "threads"))]
mod threads;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_lite::future::poll_once;
    use tokio::io::AsyncWriteExt as _;
    use tokio::sync::oneshot;
    use tokio::time::{Instant, sleep, sleep_until};

    use super::Until;
    use crate::journal::CloseReason;
    use crate::server::Timing;
    use crate::server::shell::lines::{Lines, Next};

    fn timing() -> Timing {
        Timing {
            idle: Duration::from_secs(10),
            half_line: Duration::from_secs(3),
            ..Timing::default()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_that_comes_while_something_else_is_waited_for_is_not_lost() {
        let (stop, stopped) = oneshot::channel::<()>();
        let stopped = async {
            let _ = stopped.await;
        };
        let mut until = Until::new(stopped, sleep_until(Instant::now() + timing().idle));
        let (mut lines, (mut near, mut far)) = (Lines::new(100), tokio::io::duplex(100));
        let waited = poll_once(until.read(&timing(), Instant::now(), &mut lines, &mut near)).await;
        assert!(waited.is_none());
        drop(stop);
        // This wait consumes the wake-up.
        sleep(Duration::from_secs(1)).await;
        // Available bytes are read before the stop is reported.
        far.write_all(b"one\n").await.expect("there is room");
        assert_eq!(
            until
                .read(&timing(), Instant::now(), &mut lines, &mut near)
                .await,
            Ok(4)
        );
        let read = until
            .read(&timing(), Instant::now(), &mut lines, &mut near)
            .await;
        assert_eq!(read, Err(CloseReason::Stopping));
    }

    #[tokio::test(start_paused = true)]
    async fn each_read_has_the_deadline_of_what_was_read_before() {
        let began = Instant::now();
        let never = std::future::pending::<()>();
        let mut until = Until::new(never, sleep_until(began + timing().idle));
        let (mut lines, (mut near, mut far)) = (Lines::new(100), tokio::io::duplex(100));
        let writing = async {
            for line in ["one\n", "two\n", "half"] {
                sleep(Duration::from_secs(6)).await;
                far.write_all(line.as_bytes()).await.expect("there is room");
            }
        };
        let reading = async {
            for _ in 0..3 {
                assert_eq!(
                    until
                        .read(&timing(), Instant::now(), &mut lines, &mut near)
                        .await,
                    Ok(4)
                );
                while matches!(lines.next(), Next::Line(_)) {}
            }
            until
                .read(&timing(), Instant::now(), &mut lines, &mut near)
                .await
        };
        let ((), read) = tokio::join!(writing, reading);
        assert_eq!(read, Err(CloseReason::HalfLine));
        assert_eq!(began.elapsed().as_secs(), 18 + 3);
    }

    #[tokio::test(start_paused = true)]
    async fn who_says_nothing_more_is_waited_for_from_what_was_read_last() {
        let began = Instant::now();
        let never = std::future::pending::<()>();
        let mut until = Until::new(never, sleep_until(began + timing().idle));
        let (mut lines, (mut near, mut far)) = (Lines::new(100), tokio::io::duplex(100));
        sleep(Duration::from_secs(6)).await;
        far.write_all(b"one\n").await.expect("there is room");
        assert_eq!(
            until
                .read(&timing(), Instant::now(), &mut lines, &mut near)
                .await,
            Ok(4)
        );
        while matches!(lines.next(), Next::Line(_)) {}
        let read = until
            .read(&timing(), Instant::now(), &mut lines, &mut near)
            .await;
        assert_eq!(read, Err(CloseReason::Silent));
        assert_eq!(began.elapsed().as_secs(), 16);
        // After a deadline a further read waits as long again.
        let read = until
            .read(&timing(), Instant::now(), &mut lines, &mut near)
            .await;
        assert_eq!(read, Err(CloseReason::Silent));
        assert_eq!(began.elapsed().as_secs(), 26);
    }
}

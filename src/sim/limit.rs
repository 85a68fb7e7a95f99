//! The limit of wall time for a run.
//!
//! Simulated time stands still while a server runs, so a server that never returns from a poll
//! would block a run, and a sweep with it, for ever. Each run is therefore simulated on another
//! thread than the one that waits for it. No thread can be ended from outside: past the limit it is
//! abandoned with all that it has, and the next run gets a new one. A run that returns after all
//! notices that it was abandoned, and ends. A trace contains no wall time.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use super::SimError;
use super::machines::Machine;
use crate::seed::Recipe;

/// The interval of checks whether the run was cancelled. Time is counted in these intervals, so
/// that a suspended process loses one of them and not a whole run.
const LOOKS: Duration = Duration::from_millis(100);

/// How long a run may continue after it was cancelled: most runs finish in this time, and then
/// count.
const GRACE: Duration = Duration::from_secs(1);

/// The stack size of simulation threads: that of a process's first thread, which simulations once
/// used.
const STACK: usize = 8 << 20;

/// The number of abandoned threads that still run.
static STUCK: AtomicUsize = AtomicUsize::new(0);

/// The number of simulations of this process that were abandoned and still occupy a thread, a core
/// and memory.
pub(crate) fn stuck() -> usize {
    STUCK.load(Ordering::Relaxed)
}

/// The states of a run: in progress, finished, or abandoned.
const RUNNING: u8 = 0;
const OVER: u8 = 1;
const LEFT: u8 = 2;

/// The progress of a run, for the thread that waits for it.
#[derive(Default)]
pub(super) struct Progress {
    state: AtomicU8,
    /// The simulated time, in nanoseconds.
    at: AtomicU64,
    /// The machine whose task runs, plus one; 0 if no task runs.
    running: AtomicUsize,
    names: OnceLock<Vec<String>>,
    /// How often a task of any machine was polled.
    polls: AtomicU64,
}

impl Progress {
    /// Sets the machines' names.
    pub(super) fn name(&self, names: &[String]) {
        // A run has one set of machines, so the names are set once.
        let _ = self.names.set(names.to_vec());
    }

    /// Whether the run was abandoned.
    pub(super) fn is_left(&self) -> bool {
        self.state.load(Ordering::Relaxed) == LEFT
    }

    /// Calls `poll`, which polls a task of `machine`, and keeps that visible in the progress
    /// meanwhile.
    pub(super) fn during<T>(&self, machine: Machine, now: Duration, poll: impl FnOnce() -> T) -> T {
        self.at.store(nanos(now), Ordering::Relaxed);
        self.running.store(machine + 1, Ordering::Relaxed);
        self.polls.fetch_add(1, Ordering::Relaxed);
        let polled = poll();
        self.running.store(0, Ordering::Relaxed);
        polled
    }

    /// How often a task of any machine was polled.
    pub(super) fn polls(&self) -> u64 {
        self.polls.load(Ordering::Relaxed)
    }

    /// Notes that the run has reached this moment.
    ///
    /// # Errors
    ///
    /// If the run was abandoned.
    pub(super) fn reaches(&self, now: Duration) -> Result<(), SimError> {
        self.at.store(nanos(now), Ordering::Relaxed);
        if self.is_left() {
            return Err(SimError::Interrupted);
        }
        Ok(())
    }

    /// Marks the run as finished.
    fn end(&self) {
        if self.state.swap(OVER, Ordering::AcqRel) == LEFT {
            STUCK.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Abandons the run. Returns `false` if it finished just now.
    fn leave(&self) -> bool {
        STUCK.fetch_add(1, Ordering::Relaxed);
        let left = self
            .state
            .compare_exchange(RUNNING, LEFT, Ordering::AcqRel, Ordering::Acquire);
        if left.is_err() {
            STUCK.fetch_sub(1, Ordering::Relaxed);
        }
        left.is_ok()
    }

    fn past(&self, limit: Duration, seed: &Recipe) -> SimError {
        let running = self.running.load(Ordering::Relaxed).checked_sub(1);
        let name = running.and_then(|machine| self.names.get()?.get(machine).cloned());
        SimError::PastLimit {
            limit,
            seed: seed.clone(),
            at: Duration::from_nanos(self.at.load(Ordering::Relaxed)),
            who: name,
        }
    }
}

fn nanos(at: Duration) -> u64 {
    u64::try_from(at.as_nanos()).unwrap_or(u64::MAX)
}

/// How long a run may go on.
#[derive(Clone, Debug)]
pub(super) struct Limit {
    /// In wall time.
    pub(super) wall: Duration,
    /// Cancels the run.
    pub(super) interrupt: Option<Arc<AtomicBool>>,
}

/// A run for a simulation thread.
type Work = Box<dyn FnOnce() + Send>;

thread_local! {
    /// The simulation thread that works for this thread. It is reused, since starting a thread for
    /// each run would cost more than a short run. It ends when this thread does, or when it is
    /// abandoned.
    static SIMULATES: Cell<Option<Sender<Work>>> = const { Cell::new(None) };
}

fn start() -> Result<Sender<Work>, SimError> {
    let (give, given) = channel::<Work>();
    let work = move || given.into_iter().for_each(|work| work());
    let thread = thread::Builder::new()
        .name("simulation".to_owned())
        .stack_size(STACK);
    let started = thread.spawn(work);
    started.map_err(|error| SimError::Failed(format!("no thread to simulate on: {error}")))?;
    Ok(give)
}

/// Runs `work` on the simulation thread, within the limit. A panic of `work` is raised here.
///
/// # Errors
///
/// The errors of `work`, or that it did not finish in time.
pub(super) fn within<T: Send + 'static>(
    limit: &Limit,
    seed: &Recipe,
    work: impl FnOnce(&Arc<Progress>) -> Result<T, SimError> + Send + 'static,
) -> Result<T, SimError> {
    let progress = Arc::new(Progress::default());
    let (tell, told) = sync_channel(1);
    let theirs = Arc::clone(&progress);
    let work: Work = Box::new(move || {
        let done = catch_unwind(AssertUnwindSafe(|| work(&theirs)));
        theirs.end();
        // A run that was abandoned has no receiver.
        let _ = tell.send(done);
    });
    let thread = match SIMULATES.take() {
        Some(thread) => thread,
        None => start()?,
    };
    let gone = || SimError::Failed("the thread that simulates is gone".to_owned());
    thread.send(work).map_err(|_| gone())?;
    let done = wait(&told, limit, || progress.past(limit.wall, seed));
    let done = match done {
        Ok(done) => done,
        Err(error) if progress.leave() => return Err(error),
        Err(_) => told.recv().ok(),
    };
    match done {
        Some(Ok(done)) => {
            SIMULATES.set(Some(thread));
            done
        }
        Some(Err(panic)) => resume_unwind(panic),
        None => Err(gone()),
    }
}

/// Waits for the result within the limit; `None` if the thread ended without one.
fn wait<T>(
    told: &Receiver<T>,
    limit: &Limit,
    past: impl FnOnce() -> SimError,
) -> Result<Option<T>, SimError> {
    let mut left = limit.wall;
    let mut unwanted = Duration::ZERO;
    while !left.is_zero() {
        let piece = LOOKS.min(left);
        match told.recv_timeout(piece) {
            Ok(done) => return Ok(Some(done)),
            Err(RecvTimeoutError::Disconnected) => return Ok(None),
            Err(RecvTimeoutError::Timeout) => left -= piece,
        }
        let interrupt = limit.interrupt.as_ref();
        if interrupt.is_some_and(|wanted| wanted.load(Ordering::Relaxed)) {
            unwanted += piece;
            if unwanted >= GRACE {
                return Err(SimError::Interrupted);
            }
        }
    }
    Err(past())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::mistakes::Mistake;
    use crate::scenario::Scenario;
    use crate::sim::{Simulator, run_once};

    /// Longer than anything here takes unless it hangs.
    const HANGS: Duration = Duration::from_mins(2);

    /// A hundred times as long as the runs below take, so that only one that hangs exceeds it.
    const LIMIT: Duration = Duration::from_secs(3);

    /// Calls `work` on another thread, so that a hang fails the test instead of hanging it.
    fn bounded<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
        let (tell, told) = sync_channel(1);
        let thread = thread::Builder::new().spawn(move || tell.send(work()));
        thread.expect("a thread");
        told.recv_timeout(HANGS).expect("it does not hang")
    }

    /// A scenario in which Ada's neighbour crashes after a second.
    fn crash() -> Scenario {
        let text = r#"
            title = "A neighbour dies"
            herd = { name = "pair", servers = ["Ada", "Bob"], links = ["Ada-Bob"] }
            seed = 7
            tick = "10ms"
            client_latency = "10ms"
            end = "2s"
            steps = [{ at = "1s", crash = "Bob" }]
        "#;
        let parsed = Scenario::parse("crash.toml", text, None);
        parsed.expect("a right scenario").0
    }

    /// The error of that scenario while a mistake makes Ada spin for ever once her link is down.
    fn spinning(limit: Simulator) -> SimError {
        bounded(move || {
            let held = Arc::new(());
            let mistake = Mistake::SpinsWithoutLink.made_by("Ada").while_held(&held);
            let failed = limit.with_mistake(mistake).run_once(&crash());
            drop(held);
            // Whoever waited can go on.
            run_once(&crash()).expect("the true server comes back");
            failed.expect_err("it fails")
        })
    }

    #[test]
    fn a_server_that_never_comes_back_is_left_behind_and_named() {
        let failed = spinning(LIMIT.into());
        let SimError::PastLimit {
            limit,
            seed,
            at,
            who,
        } = &failed
        else {
            panic!("{failed}");
        };
        assert_eq!(
            (*limit, seed.first(), who.as_deref()),
            (LIMIT, 7, Some("Ada"))
        );
        let around = Duration::from_secs(1)..Duration::from_millis(1_100);
        assert!(around.contains(at), "{at:?}");
        let told = failed.to_string();
        assert!(
            told.contains("left behind after 3s (seed 7, at 1"),
            "{told}"
        );
        assert!(told.contains("while Ada was running"), "{told}");
    }

    #[test]
    fn one_that_comes_back_after_all_ends_by_itself() {
        spinning(LIMIT.into());
        // Nobody holds any more what it spins for; other tests leave such behind, too.
        bounded(|| {
            while stuck() > 0 {
                thread::yield_now();
            }
        });
    }

    #[test]
    fn nobody_waits_for_a_run_that_was_interrupted() {
        let limit = Simulator {
            wall: Duration::from_hours(1),
            interrupt: Some(Arc::new(AtomicBool::new(true))),
            ..Simulator::default()
        };
        let failed = spinning(limit);
        assert!(matches!(failed, SimError::Interrupted), "{failed}");
    }

    #[test]
    fn a_run_that_is_interrupted_when_it_is_nearly_over_counts() {
        let limit = Simulator {
            interrupt: Some(Arc::new(AtomicBool::new(true))),
            ..Simulator::default()
        };
        limit
            .run_once(&crash())
            .expect("it takes less than what is left to it");
    }

    #[test]
    fn a_panic_goes_on_where_the_run_is_waited_for() {
        let panics = || {
            within::<()>(&Simulator::default().limit(), &1.into(), |_| {
                panic!("a bug")
            })
        };
        let caught = catch_unwind(panics).expect_err("it panics");
        assert_eq!(caught.downcast_ref(), Some(&"a bug"));
        run_once(&crash()).expect("the next one runs");
    }
}

//! The world of segments: time goes from event to event, and every segment between two machines is an event of ours.
//!
//! All programs run on one runtime whose clock stands still while any of them has something to do. When none has, it
//! jumps to the next timer or to the next segment, whichever comes first. Timers have tokio's grain of a millisecond;
//! segments arrive at their nanosecond.

mod acknowledgements;
mod by_hand;
mod connection;
mod flights;
mod impairments;
mod links;
mod sockets;
mod tcp;
#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_lite::future::or;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::{Program, Running, Setup, Wire, World};
use crate::journal::EventId;
use crate::scenario::{Impairment, Route, Scenario};
use crate::sim::limit::Progress;
use crate::sim::machines::Machine;
use crate::sim::net::Faults;
use crate::sim::time::follow;
use crate::sim::{SimError, failed};
use crate::units::LatencyRange;
pub(super) use links::LEAST_TIMEOUT;
use links::Links;
pub(super) use sockets::SegmentSockets;
use sockets::Shared;
use tcp::Systems;

thread_local! {
    /// When the run began on this thread, by the clock of its runtime. A run has a thread of its own.
    static BEGAN: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// The simulated time, for whoever runs on the runtime of a run.
fn elapsed() -> Option<Duration> {
    let began = BEGAN.get()?;
    // Anywhere else the clock is that of the process.
    Handle::try_current().ok()?;
    Some(Instant::now() - began)
}

/// What tokio's timers are multiples of.
const GRAIN: Duration = Duration::from_millis(1);

/// The last whole millisecond up to this moment.
fn floor(moment: Duration) -> Duration {
    Duration::from_millis(u64::try_from(moment.as_millis()).unwrap_or(u64::MAX))
}

/// A machine's program. It is dropped at once when the machine is killed, and not when its task is polled next.
#[derive(Clone, Default)]
struct Slot(Arc<Mutex<Option<Running>>>);

impl Slot {
    fn lock(&self) -> MutexGuard<'_, Option<Running>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn poll(&self, context: &mut Context<'_>) -> Poll<Result<(), String>> {
        match &mut *self.lock() {
            Some(running) => running.as_mut().poll(context),
            None => Poll::Pending,
        }
    }
}

/// A machine's program, what runs of it, and the task that polls that.
struct Host {
    program: Program,
    slot: Slot,
    task: Option<JoinHandle<Result<(), String>>>,
}

/// Machines whose segments are events.
pub(in crate::sim) struct Segments {
    /// Dropped first: its tasks own sockets.
    runtime: Runtime,
    began: Instant,
    hosts: Vec<Host>,
    shared: Arc<Shared>,
    scenario: Scenario,
    faults: Faults,
    progress: Arc<Progress>,
    now: Duration,
}

impl Segments {
    /// # Errors
    ///
    /// If this process can't have a runtime.
    pub(in crate::sim) fn new(
        setup: Setup<'_>,
        sockets: &SegmentSockets,
    ) -> Result<Self, SimError> {
        let Setup {
            scenario,
            machines,
            programs,
            faults,
            progress,
        } = setup;
        let runtime = Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            // Timers are looked at when nothing else is to do, and at no other moment.
            .event_interval(u32::MAX)
            // What the driver wakes comes first, whatever ran before.
            .global_queue_interval(1)
            .build()
            .map_err(|error| SimError::Failed(error.to_string()))?;
        let began = runtime.block_on(async { Instant::now() });
        BEGAN.set(Some(began));
        follow(elapsed);
        let links = Links::new(scenario, &machines, faults.clone());
        *sockets.0.lock() = Some(Systems::new(programs.len(), links));
        let hosts = programs.into_iter().map(|program| Host {
            program,
            slot: Slot::default(),
            task: None,
        });
        let mut world = Self {
            runtime,
            began,
            hosts: hosts.collect(),
            shared: Arc::clone(&sockets.0),
            scenario: scenario.clone(),
            faults,
            progress,
            now: Duration::ZERO,
        };
        for machine in 0..world.hosts.len() {
            world.run(machine);
        }
        Ok(world)
    }

    /// Runs a machine's program from its beginning.
    fn run(&mut self, machine: Machine) {
        let _entered = self.runtime.enter();
        let host = &mut self.hosts[machine];
        let slot = Slot::default();
        *slot.lock() = Some((host.program)());
        host.slot = slot.clone();
        let polled = poll_fn(move |context| slot.poll(context));
        host.task = Some(self.runtime.spawn(polled));
    }

    /// Drops what a machine runs.
    fn drop_program(&mut self, machine: Machine) {
        let _entered = self.runtime.enter();
        let host = &mut self.hosts[machine];
        if let Some(task) = host.task.take() {
            task.abort();
        }
        let running = host.slot.lock().take();
        drop(running);
    }

    fn systems<T>(&self, act: impl FnOnce(&mut Systems) -> T) -> Option<T> {
        let _entered = self.runtime.enter();
        self.shared.act(act)
    }

    /// Ends the run if a program has ended.
    fn check_programs(&mut self) -> Result<(), SimError> {
        for host in &mut self.hosts {
            let Some(task) = host.task.take_if(|task| task.is_finished()) else {
                continue;
            };
            match self.runtime.block_on(task) {
                Ok(Err(error)) => {
                    let error = io::Error::other(error);
                    return Err(failed(&self.scenario, self.now, &error));
                }
                Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
                Ok(Ok(())) | Err(_) => {}
            }
        }
        Ok(())
    }

    /// Lets time pass until the whole millisecond `whole`, while timers fire, or until something is sent that arrives
    /// before `next`.
    fn sleep(&mut self, whole: Duration, next: Duration) {
        *self.shared.sleeps_until() = next;
        let (shared, wake) = (Arc::clone(&self.shared), self.began + whole);
        self.runtime.block_on(async move {
            let earlier = shared.earlier.notified();
            or(earlier, tokio::time::sleep_until(wake)).await;
        });
        *self.shared.sleeps_until() = Duration::ZERO;
        let began = self.began;
        self.now = self.runtime.block_on(async { Instant::now() - began });
    }

    /// Moves the clock to this moment, before which no timer is.
    fn advance(&mut self, to: Duration) {
        let step = to.saturating_sub(self.now);
        self.runtime.block_on(tokio::time::advance(step));
        self.now = to;
    }

    /// Lets all programs run until they wait, at this moment.
    fn settle(&self) {
        loop {
            let before = self.progress.polls();
            self.runtime.block_on(tokio::task::yield_now());
            if self.progress.polls() == before {
                return;
            }
        }
    }
}

impl World for Segments {
    fn now(&self) -> Duration {
        self.now
    }

    fn go_on(&mut self, until: Duration) -> Result<(), SimError> {
        let until = until.max(self.now);
        loop {
            self.progress.reaches(self.now)?;
            self.settle();
            self.check_programs()?;
            let arrival = self.systems(|systems| systems.next_arrival()).flatten();
            if arrival.is_some_and(|arrival| arrival <= self.now) {
                let shared = Arc::clone(&self.shared);
                self.runtime
                    .block_on(async move { shared.act(Systems::arrive) });
                continue;
            }
            if self.now >= until {
                return Ok(());
            }
            let next = arrival.map_or(until, |arrival| arrival.min(until));
            // tokio's timers are whole milliseconds, and its clock goes on by such from wherever it stands. So it is
            // led from one to the next where a segment arrives between two.
            let (here, whole) = (floor(self.now), floor(next));
            if here < self.now {
                self.advance(next.min(here + GRAIN));
            } else if whole > here {
                self.sleep(whole, next);
            } else {
                self.advance(next);
            }
        }
    }

    fn start(&mut self, machine: Machine) {
        self.systems(|systems| systems.plug_in(machine));
        self.run(machine);
    }

    fn kill(&mut self, machine: Machine) {
        self.systems(|systems| systems.close_ports(machine));
        let entered = self.runtime.enter();
        self.faults.close_all(machine);
        drop(entered);
        self.drop_program(machine);
    }

    fn unplug(&mut self, machine: Machine) {
        self.systems(|systems| systems.unplug(machine));
        let entered = self.runtime.enter();
        self.faults.close_all(machine);
        drop(entered);
        self.drop_program(machine);
    }

    fn delay(&mut self, routes: &[Route], latency: LatencyRange) {
        let now = self.now;
        self.systems(|systems| systems.links.delay(routes, latency, now));
    }

    fn cut(&mut self, fault: EventId, wires: &[Wire]) {
        self.systems(|systems| systems.links.cut(fault, wires));
    }

    fn heal(&mut self, fault: EventId, wires: &[Wire]) {
        self.systems(|systems| systems.links.heal(fault, wires));
    }

    fn impair(&mut self, fault: EventId, wires: &[Wire], impairment: Impairment) {
        let now = self.now;
        self.systems(|systems| systems.links.impair(fault, wires, impairment, now));
    }

    fn longest_latency(&self) -> Duration {
        let longest = self.systems(|systems| systems.links.longest());
        longest.unwrap_or_default()
    }

    fn settled(&self) -> Duration {
        let settled = self.systems(|systems| systems.links.settled().max(systems.resent()));
        settled.unwrap_or_default()
    }

    fn hold_updates(&mut self) {
        let servers = self.scenario.herd.servers().len();
        self.systems(|systems| systems.hold(servers));
    }

    fn waiting(&mut self, runs: &dyn Fn(Machine) -> bool) -> (bool, Vec<Wire>) {
        let waiting = self.systems(|systems| systems.waiting(runs));
        waiting.unwrap_or_default()
    }

    fn release(&mut self, wire: Wire) {
        self.systems(|systems| systems.release(wire));
    }
}

impl Drop for Segments {
    fn drop(&mut self) {
        for machine in 0..self.hosts.len() {
            self.drop_program(machine);
        }
        // Whatever closes a socket from now on closes nothing.
        *self.shared.lock() = None;
        BEGAN.set(None);
    }
}

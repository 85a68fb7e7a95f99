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

    /// The simulated time while it stands, so that nobody has to ask the clock, which takes longer.
    static STANDS: Cell<Option<Duration>> = const { Cell::new(None) };
}

/// As long as it exists, time stands.
struct Stands;

impl Stands {
    fn at(now: Duration) -> Self {
        STANDS.set(Some(now));
        Self
    }
}

impl Drop for Stands {
    fn drop(&mut self) {
        STANDS.set(None);
    }
}

/// The simulated time, for whoever runs on the runtime of a run.
fn elapsed() -> Option<Duration> {
    if let Some(stands) = STANDS.get() {
        return Some(stands);
    }
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
            ..
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
        follow(elapsed, 1);
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
}

/// The simulated time, while it goes on.
struct Time<'a> {
    began: Instant,
    shared: &'a Shared,
    progress: &'a Progress,
}

impl Time<'_> {
    /// Lets all programs run until they wait, at this moment.
    async fn settle(&self, now: Duration) {
        let _stands = Stands::at(now);
        loop {
            let before = self.progress.polls();
            tokio::task::yield_now().await;
            if self.progress.polls() == before {
                return;
            }
        }
    }

    /// Lets time pass from one moment up to another, or to one in between, and returns to which.
    ///
    /// tokio's timers are whole milliseconds, and its clock goes on by such from wherever it stands. So it is led from one
    /// to the next where a segment arrives between two.
    async fn pass(&self, now: Duration, next: Duration) -> Duration {
        let (here, whole) = (floor(now), floor(next));
        if here < now {
            advance(now, next.min(here + GRAIN)).await
        } else if whole > here {
            self.sleep(whole, next).await
        } else {
            advance(now, next).await
        }
    }

    /// Lets time pass until the whole millisecond `whole`, while timers fire, or until something is sent that arrives
    /// before `next`.
    async fn sleep(&self, whole: Duration, next: Duration) -> Duration {
        *self.shared.sleeps_until() = next;
        let earlier = self.shared.earlier.notified();
        or(earlier, tokio::time::sleep_until(self.began + whole)).await;
        *self.shared.sleeps_until() = Duration::ZERO;
        Instant::now() - self.began
    }
}

/// Moves the clock to this moment, before which no timer is.
async fn advance(now: Duration, to: Duration) -> Duration {
    tokio::time::advance(to.saturating_sub(now)).await;
    to
}

/// Ends the run if a program has ended.
async fn check_programs(
    hosts: &mut [Host],
    scenario: &Scenario,
    now: Duration,
) -> Result<(), SimError> {
    for host in hosts {
        let Some(task) = host.task.take_if(|task| task.is_finished()) else {
            continue;
        };
        match task.await {
            Ok(Err(error)) => {
                let error = io::Error::other(error);
                return Err(failed(scenario, now, &error));
            }
            Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
            Ok(Ok(())) | Err(_) => {}
        }
    }
    Ok(())
}

impl World for Segments {
    fn now(&self) -> Duration {
        self.now
    }

    fn go_on(&mut self, until: Duration) -> Result<(), SimError> {
        let until = until.max(self.now);
        let Self {
            runtime,
            began,
            hosts,
            shared,
            scenario,
            progress,
            now,
            ..
        } = self;
        let time = Time {
            began: *began,
            shared,
            progress,
        };
        // Entering the runtime costs more than most of what happens at a moment.
        runtime.block_on(async {
            loop {
                progress.reaches(*now)?;
                time.settle(*now).await;
                check_programs(hosts, scenario, *now).await?;
                let arrival = shared.act(|systems| systems.next_arrival()).flatten();
                if arrival.is_some_and(|arrival| arrival <= *now) {
                    shared.act(Systems::arrive);
                    continue;
                }
                if *now >= until {
                    return Ok(());
                }
                let next = arrival.map_or(until, |arrival| arrival.min(until));
                *now = time.pass(*now, next).await;
            }
        })
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

    fn redraw(&mut self, seed: u64) {
        self.systems(|systems| systems.links.redraw(seed));
    }

    fn longest_latency(&self) -> Duration {
        let longest = self.systems(|systems| systems.links.longest());
        longest.unwrap_or_default()
    }

    fn settled(&self) -> Duration {
        let settled = self.systems(|systems| systems.links.settled().max(systems.resent()));
        settled.unwrap_or_default()
    }

    fn hold(&mut self) {
        let servers = self.scenario.herd.servers().len();
        let held = self.scenario.held;
        self.systems(|systems| systems.hold(servers, held));
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

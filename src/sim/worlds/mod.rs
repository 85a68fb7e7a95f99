//! What a scenario runs in: machines that run programs, and a network between them.
//!
//! A world is a file (or a folder) here that implements [`World`] and [`Sockets`]. The driver of steps, the recorder,
//! the judge and the reports know these and no engine.

mod cuts;
pub(super) mod packets;
pub(super) mod turmoil;
mod wires;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::SimError;
use super::limit::Progress;
use super::machines::{Machine, Machines};
use super::net::Faults;
use super::recorder::Recorder;
use super::sockets::Sockets;
use crate::journal::EventId;
use crate::scenario::{Action, ClientStep, Close, Fault, Impairment, Operation, Route, Scenario};
use crate::units::{LatencyRange, format_duration};

/// A kind of world.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WorldKind {
    /// turmoil's hosts: time goes in the scenario's ticks, and its TCP loses nothing.
    Turmoil,
    /// Segments as events: time is exact, and what a network loses is sent again.
    #[default]
    Packets,
}

impl WorldKind {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Packets, Self::Turmoil];

    /// Its name in commands and traces.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Turmoil => "turmoil",
            Self::Packets => "packets",
        }
    }

    /// After what time a lost segment is sent again at the earliest, if its network loses any.
    pub(super) const fn resend(self) -> Option<Duration> {
        match self {
            Self::Turmoil => None,
            Self::Packets => Some(packets::LEAST_TIMEOUT),
        }
    }

    /// The flag of commands that chooses it, with a space before it; empty for the default.
    pub fn flag(self) -> String {
        if self == Self::default() {
            return String::new();
        }
        format!(" --world {self}")
    }

    /// What the scenario has that there is not in this world, if anything.
    pub(super) fn lacks(self, scenario: &Scenario) -> Option<String> {
        if self == Self::Packets {
            return None;
        }
        if let Some(finer) = scenario.finer {
            let [tick, finer] = [scenario.tick, finer].map(format_duration);
            return Some(format!("time between two ticks of {tick}, as in {finer}"));
        }
        let impairs = |fault: &Fault| {
            let operations = fault.operations().into_iter();
            let mut operations = operations.map(|(_, operation)| operation);
            operations.any(|operation| matches!(operation, Operation::Impair(..)))
        };
        scenario.steps.iter().find_map(|step| match &step.action {
            Action::Begin(fault) => impairs(fault).then(|| format!("`{}`", fault.kind.name)),
            Action::Client(ClientStep { connection, .. })
            | Action::Peer(ClientStep { connection, .. }) => {
                let resets = connection.close == Some(Close::Reset);
                let resets = resets.then_some("client that resets its connection");
                let limits = connection
                    .receive_buffer
                    .map(|_| "receive buffer of a client");
                resets.or(limits).map(str::to_owned)
            }
            _ => None,
        })
    }

    /// What makes its sockets and the world itself.
    pub(super) fn engine(self) -> Engine {
        Box::new(move |machines| self.sockets(machines))
    }

    /// The sockets of a world, and what makes the world when there are programs that use them.
    pub(super) fn sockets(self, machines: &Machines) -> (Arc<dyn Sockets>, MakeWorld) {
        match self {
            Self::Turmoil => (
                Arc::new(turmoil::TurmoilSockets),
                Box::new(|setup| Ok(Box::new(turmoil::Ticks::new(setup)))),
            ),
            Self::Packets => {
                let sockets = packets::SegmentSockets::new(machines);
                let own = sockets.clone();
                let make = move |setup: Setup<'_>| {
                    let world = packets::Segments::new(setup, &own)?;
                    Ok(Box::new(world) as Box<dyn World>)
                };
                (Arc::new(sockets), Box::new(make))
            }
        }
    }
}

/// Makes sockets, and says what makes the world that has them.
pub(crate) type Engine = Box<dyn FnOnce(&Machines) -> (Arc<dyn Sockets>, MakeWorld)>;

/// Makes a world.
pub(crate) type MakeWorld = Box<dyn FnOnce(Setup<'_>) -> Result<Box<dyn World>, SimError>>;

/// No world is called so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown world `{0}`; there are `packets` and `turmoil`")]
pub struct UnknownWorld(pub String);

impl std::str::FromStr for WorldKind {
    type Err = UnknownWorld;

    fn from_str(name: &str) -> Result<Self, UnknownWorld> {
        let found = Self::ALL.into_iter().find(|kind| kind.name() == name);
        found.ok_or_else(|| UnknownWorld(name.to_owned()))
    }
}

impl std::fmt::Display for WorldKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// A direction between machines: sender and receiver.
pub(crate) type Wire = (Machine, Machine);

/// What runs on a machine, each time that it is started. An error ends the run.
pub(crate) type Program = Box<dyn Fn() -> Running>;

/// A program while it runs.
pub(crate) type Running = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// Machines and the network between them, in simulated time, or in real time outside the simulator.
pub(crate) trait World {
    /// The simulated time since the beginning of the run.
    fn now(&self) -> Duration;

    /// Goes on at most until the moment `until`, and at least by as little as the world can.
    ///
    /// # Errors
    ///
    /// If a program fails, or if the run was abandoned.
    fn go_on(&mut self, until: Duration) -> Result<(), SimError>;

    /// Starts the program of a machine that was killed or had no power.
    fn start(&mut self, machine: Machine);

    /// Ends a machine's program as SIGKILL does: its memory is lost, and its system closes its sockets and refuses
    /// connections from now on.
    fn kill(&mut self, machine: Machine);

    /// Ends a machine as a power failure does: everything in flight from or to it is lost, and nothing is closed.
    fn unplug(&mut self, machine: Machine);

    /// Sets the latency of messages on these routes from now on.
    fn delay(&mut self, routes: &[Route], latency: LatencyRange);

    /// Cuts directions, until each of them is healed. A direction can be cut by several faults at once. The messages
    /// that a fault holds up are counted in [`Faults::hold_up`].
    fn cut(&mut self, fault: EventId, wires: &[Wire]);

    /// Heals directions that this fault cut.
    fn heal(&mut self, fault: EventId, wires: &[Wire]);

    /// Impairs directions from now on, or no longer: a direction has one impairment of each name. The packets to which
    /// something happens by it are counted in [`Faults::hold_up`].
    fn impair(&mut self, fault: EventId, wires: &[Wire], impairment: Impairment);

    /// The highest latency that any message can have.
    fn longest_latency(&self) -> Duration;

    /// When the last message arrives that was sent before the latency of a route changed.
    fn settled(&self) -> Duration;

    /// From now on, segments between servers that carry what the scenario [holds](crate::scenario::Held) wait until they
    /// are [released](Self::release), in a run by hand. Asked again after each step, which may have started a machine anew.
    fn hold(&mut self);

    /// The directions in which held segments wait, in the order in which each became possible. All other segments that
    /// are in flight between servers arrive at once, and so do those to a machine that does not run; the first value
    /// says whether any did.
    fn waiting(&mut self, runs: &dyn Fn(Machine) -> bool) -> (bool, Vec<Wire>);

    /// Draws from another seed from now on.
    fn redraw(&mut self, seed: u64);

    /// Lets the segment arrive that has waited longest in this direction.
    fn release(&mut self, wire: Wire);

    /// Freezes or thaws a machine. Here and in what follows a simulated world has nothing to do: machines are frozen,
    /// closed and reset at their ends ([`Faults`]), and servers are told to stop by the harness.
    fn freeze(&mut self, _machine: Machine, _is_frozen: bool) {}

    /// Closes a machine's ports for new connections, or opens them again.
    fn refuse(&mut self, _machine: Machine, _refuses: bool) {}

    /// Tells a machine's program to stop in an orderly way.
    fn stop(&mut self, _machine: Machine) {}

    /// Starts a program again that was told to stop, once it has ended.
    fn go_on_again(&mut self, _machine: Machine) {}

    /// Resets all connections between two machines.
    fn sever(&mut self, _a: Machine, _b: Machine) {}

    /// Whether the events of servers are recorded, so that the state of their links is known.
    fn shows_servers(&self) -> bool {
        true
    }

    /// The run is over, and everything still runs.
    fn end(&mut self, _recorder: &Recorder) -> Result<(), SimError> {
        Ok(())
    }
}

/// What a world is made of.
pub(crate) struct Setup<'a> {
    pub(crate) scenario: &'a Scenario,
    pub(crate) machines: Machines,
    /// By machine.
    pub(crate) programs: Vec<Program>,
    pub(super) faults: Faults,
    pub(super) progress: Arc<Progress>,
    /// Where a world of processes says what happens to them.
    pub(crate) recorder: Recorder,
}

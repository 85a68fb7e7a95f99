//! What faults did to anybody, and how that is counted.

use super::machines::{Machine, Machines};
use super::net::Faults;
use crate::herd::Name;
use crate::journal::EventId;
use crate::scenario::{Fault, FaultKind};

/// What a fault did to anybody.
#[derive(Clone, Debug)]
pub(super) struct Impact {
    pub(super) origin: Origin,
    pub(super) event: EventId,
    pub(super) count: u64,
    /// What is counted.
    pub(super) what: &'static str,
}

/// Where something that is done comes from.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    /// Where the scenario's file says so, as a byte.
    pub(super) place: usize,
    pub(super) kind: FaultKind,
    /// The fault, such as `crash of Juzang`.
    pub(super) about: String,
    /// The number of the fault among those that are more than one operation, if it is one of them.
    pub(super) part_of: Option<usize>,
}

impl Origin {
    /// Of a fault that is written at `place`, whose single target these machines know by name.
    pub(super) fn new(place: usize, fault: &Fault, machines: &Machines) -> Self {
        let name = match fault.each().as_slice() {
            [one] => one
                .targets
                .first()
                .and_then(|target| machines.called(target)),
            _ => None,
        };
        let word = fault.kind.name;
        Self {
            place,
            kind: fault.kind,
            about: name.map_or_else(|| format!("`{word}`"), |name| format!("`{word}` of {name}")),
            part_of: None,
        }
    }
}

/// How to see what a fault affects. Every measure only grows.
pub(super) enum Measure {
    /// Connections that this machine's system refuses. The number is that of the connections that it had; they count,
    /// too.
    Refused(Machine, u64),
    /// Connections to this machine that are lost. The number is that of the connections that it had; they count, too.
    Lost(Machine, u64),
    Stopped(Machine),
    /// What the fault counts itself as it goes.
    Messages,
    ServerClock(Machine),
    ClientClock(Name),
    Once(u64),
}

impl Measure {
    /// What is counted.
    pub(super) fn unit(&self) -> &'static str {
        match self {
            Self::Refused(..) | Self::Lost(..) | Self::Once(_) => "connections",
            Self::Stopped(_) => "wake-ups",
            Self::Messages => "messages",
            Self::ServerClock(_) | Self::ClientClock(_) => "readings",
        }
    }

    /// How many it affects by its beginning.
    pub(super) fn at_once(&self) -> u64 {
        match self {
            Self::Refused(_, at_once) | Self::Lost(_, at_once) | Self::Once(at_once) => *at_once,
            _ => 0,
        }
    }

    /// What it shows now.
    pub(super) fn read(&self, faults: &Faults) -> u64 {
        match self {
            Self::Refused(machine, _) => faults.counts(*machine).refused,
            Self::Lost(machine, _) => {
                let counts = faults.counts(*machine);
                counts.refused + counts.given_up
            }
            Self::Stopped(machine) => faults.counts(*machine).stopped,
            Self::ServerClock(machine) => faults.counts(*machine).clock_reads,
            Self::ClientClock(name) => faults.client_reads(name),
            Self::Once(_) | Self::Messages => 0,
        }
    }
}

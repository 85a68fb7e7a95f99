//! What is done to a world. A world carries out operations, and knows no faults.

use super::target::{ClockError, ClockOwner, Direction, Party, Route};
use crate::herd::ServerId;
use crate::units::LatencyRange;

/// Something that is done to the world in which a scenario runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// This gets into a condition.
    Set(Condition, Party),
    /// It is in that condition no more.
    Clear(Condition, Party),
    /// What is sent these ways waits.
    Cut(Vec<Direction>),
    /// One cut less of each of these ways: what waited flows on when it was the last.
    Heal(Vec<Direction>),
    /// Connections between these are reset.
    Sever(Vec<(Party, Party)>),
    /// Messages have this latency on these routes from now on.
    Delay(Vec<Route>, LatencyRange),
    /// A clock is so wrong from now on.
    SetClock(ClockOwner, ClockError),
    /// A clock jumps by this number of nanoseconds, and goes on as before.
    Jump(ClockOwner, i64),
}

impl Operation {
    /// The servers that it acts on; none for operations on the network's routes and latencies.
    pub fn servers(&self) -> Vec<ServerId> {
        match self {
            Self::Set(_, party) | Self::Clear(_, party) => party.server().into_iter().collect(),
            Self::Sever(pairs) => {
                let ends = pairs.iter().flat_map(|&(a, b)| [a, b]);
                ends.filter_map(Party::server).collect()
            }
            Self::SetClock(ClockOwner::Server(id), _) | Self::Jump(ClockOwner::Server(id), _) => {
                vec![*id]
            }
            Self::SetClock(ClockOwner::Client(_), _)
            | Self::Jump(ClockOwner::Client(_), _)
            | Self::Cut(_)
            | Self::Heal(_)
            | Self::Delay(..) => Vec::new(),
        }
    }
}

/// What a server can be, or Places.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Condition {
    /// Killed, as by `kill -9`: its memory is gone, its system closes its sockets.
    Dead,
    /// Without power: its memory is gone, and nobody closes anything.
    Unpowered,
    /// Frozen, as by SIGSTOP: everything stays, and nothing happens.
    Frozen,
    /// Refusing new connections.
    Refusing,
}

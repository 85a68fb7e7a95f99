//! Whom and what something can happen to.

use std::collections::BTreeMap;

use super::{CLIENTS, PLACES};
use crate::herd::{Herd, Name, ServerId};
use crate::units::LatencyRange;

/// Whom a fault happens to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// A server, or Places.
    Party(Party),
    /// What the first sends to the second.
    Direction(Direction),
    /// Connections between two.
    Pair(Party, Party),
    /// What messages go by.
    Route(Route),
    /// A clock.
    Clock(ClockOwner),
}

impl Target {
    /// The party, if it is one.
    pub fn party(&self) -> Option<Party> {
        match self {
            Self::Party(party) => Some(*party),
            _ => None,
        }
    }

    /// From which party to which, or between which two.
    pub fn pair(&self) -> Option<(Party, Party)> {
        match self {
            Self::Direction(pair) => Some(*pair),
            Self::Pair(a, b) => Some((*a, *b)),
            _ => None,
        }
    }

    /// The route, if it is one.
    pub fn route(&self) -> Option<Route> {
        match self {
            Self::Route(route) => Some(*route),
            _ => None,
        }
    }

    /// The owner of the clock, if it is one.
    pub fn clock(&self) -> Option<&ClockOwner> {
        match self {
            Self::Clock(clocked) => Some(clocked),
            _ => None,
        }
    }

    /// The servers that it concerns.
    pub fn servers(&self, herd: &Herd) -> Vec<ServerId> {
        let both = |parties: &[Party]| parties.iter().filter_map(|party| party.server()).collect();
        match self {
            Self::Party(party) => both(&[*party]),
            Self::Direction((a, b)) | Self::Pair(a, b) => both(&[*a, *b]),
            Self::Route(Route::Link(at)) => {
                let link = &herd.links()[*at];
                vec![link.a, link.b]
            }
            Self::Clock(ClockOwner::Server(id)) => vec![*id],
            Self::Route(Route::Clients | Route::Places) | Self::Clock(ClockOwner::Client(_)) => {
                Vec::new()
            }
        }
    }
}

/// An end of what a network can cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Party {
    /// A server.
    Server(ServerId),
    /// All clients.
    Clients,
    /// The Places API.
    Places,
}

impl Party {
    /// The server, if it is one.
    pub fn server(self) -> Option<ServerId> {
        match self {
            Self::Server(id) => Some(id),
            Self::Clients | Self::Places => None,
        }
    }

    /// The name of the server, or the word that stands for the others.
    pub fn name(self, herd: &Herd) -> Name {
        match self {
            Self::Server(id) => herd.server(id).name.clone(),
            Self::Clients => CLIENTS.into(),
            Self::Places => PLACES.into(),
        }
    }
}

/// From which party to which: the sender first.
pub type Direction = (Party, Party);

/// What messages go by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Route {
    /// A link, as an index into the herd's.
    Link(usize),
    /// Between clients and all servers.
    Clients,
    /// Between Places and all servers.
    Places,
}

/// How long messages take in the beginning, by route.
pub type Usual = BTreeMap<Route, LatencyRange>;

/// Whose clock can be wrong.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum ClockOwner {
    /// A server's.
    Server(ServerId),
    /// A client's, by its name in the steps.
    Client(Name),
}

/// How wrong a clock is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClockError {
    /// Nanoseconds that it is ahead, from the moment of the step on.
    pub by: i64,
    /// Nanoseconds that it gains each second after that.
    pub drift: i64,
}

//! What is expected of a run.

use std::time::Duration;

use crate::diag::Span;
use crate::herd::{Name, ServerId};
use crate::scenario::Pattern;
use crate::trace::invariants::Invariant;
use crate::trace::state::LinkState;

/// Something that is expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expect {
    /// Where the file says so.
    pub span: Span,
    /// What it is about, and what must be true of it.
    pub what: Expected,
}

/// What an expectation is about. No list is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// An update.
    Update {
        /// Which.
        update: UpdateRef,
        /// What must be true of it, in this order: reaches, misses, hops, path, within, sends,
        /// useful, duplicates, ignored, refused, unheard.
        checks: Vec<Check>,
    },
    /// Servers.
    Servers {
        /// Which.
        servers: Vec<ServerId>,
        /// The moment at which each check is made that looks at one; the end of the run, if not
        /// given.
        at: Option<Duration>,
        /// What must be true of each.
        checks: Vec<ServerCheck>,
    },
    /// Links.
    Links {
        /// Which, as indices into the herd's.
        links: Vec<usize>,
        /// What must be true of each.
        checks: Vec<LinkCheck>,
    },
    /// What happened, in words.
    Log(LogCheck),
    /// The last updates of clients are kept: of each of them, every server that runs at the end holds the newest
    /// update that was answered, or a newer one.
    NoLostUpdates(ClientSet),
    /// The invariants that this run is about; they are checked against every run.
    Invariants(Vec<Invariant>),
}

/// The clients whose updates must not be lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientSet {
    /// Those of a workload's clients. There is exactly one of that name.
    Workload(Name),
    /// Those of these clients, by their names in the steps.
    Clients(Vec<Name>),
}

/// Something that must be true of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerCheck {
    /// At the moment that is looked at.
    State(StateCheck),
    /// The number of client queries that were passed on to Places in the whole run.
    LookUps(u64),
    /// The number of its requests that reached Places in the whole run.
    Requests(u64),
}

/// Something that must be true of a server at some moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StateCheck {
    /// It holds exactly this update of its client.
    Holds(UpdateRef),
    /// It holds nothing of the client of this id.
    Lacks(Vec<u8>),
    /// The number of clients of which it holds records.
    Records(u64),
}

/// Something that must be true of a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkCheck {
    /// It is in this state; a synchronised link is also up.
    Is {
        /// When; at the end of the run, if not given.
        at: Option<Duration>,
        /// The state.
        state: LinkState,
    },
    /// From the first time that it comes up until both ends are synchronised.
    SynchronisesWithin {
        /// What came before this moment is not looked at.
        since: Duration,
        /// The longest that it may take.
        limit: Duration,
    },
    /// The number of records that both ends together send in that synchronisation.
    Brings {
        /// What came before this moment is not looked at.
        since: Duration,
        /// How many.
        records: u64,
    },
}

/// Events that must be, or must not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogCheck {
    /// What an event's words look like.
    pub pattern: Pattern,
    /// Whose events count; everybody's, if not given.
    pub by: Option<String>,
    /// Only events from this moment on count.
    pub from: Duration,
    /// Only events up to this moment count; to the end of the run, if not given.
    pub until: Option<Duration>,
    /// How many there must be, exactly; at least one, if not given.
    pub times: Option<u64>,
}

/// Which update is meant. There is exactly one such in [`Scenario::updates`](super::Scenario::updates).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdateRef {
    /// The id in the IAMAT.
    pub client_id: Vec<u8>,
    /// Which of that id's updates, in order of sending, from 1.
    pub nth: usize,
    /// As the file says it.
    pub text: String,
}

/// Something that must be true of an update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Check {
    /// The server accepts it.
    Reaches(ServerId),
    /// The server does not accept it.
    Misses(ServerId),
    /// The number of links over which it first reaches the server.
    Hops(ServerId, u32),
    /// It first comes to the server by this way, which begins at the origin and ends at the server.
    Path(ServerId, Vec<ServerId>),
    /// It comes within that time to the server, or to every server that it comes to.
    Within {
        /// The server; none for every one that the update comes to.
        server: Option<ServerId>,
        /// The longest that it may take.
        limit: Duration,
    },
    /// The number of messages between servers that carried it.
    Sends(u64),
    /// The number of those messages that were new to their receiver.
    Useful(u64),
    /// The number of those messages that were duplicates.
    Duplicates(u64),
    /// It is answered and no server accepts it.
    Ignored,
    /// Its server does not understand it, so no server accepts it.
    Refused,
    /// No server ever hears it: the one that it was sent to is dead or out of reach.
    Unheard,
}

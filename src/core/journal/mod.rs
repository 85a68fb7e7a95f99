//! What happened, as values, recorded once. Text, logs, traces, metrics and pictures are all made
//! from these events; nothing else is.
//!
//! A server (and, in the simulator, a client and the harness itself) tells its [`Journal`] what it
//! did and what made it do so. An [`Event`] that was caused by another names it, and a line that
//! arrives names the line that was sent, so the way of an update can be followed backwards exactly.

pub mod forms;
mod kinds;
mod owned;
mod text;
mod why;
mod words;

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::protocol::client::Refusal;

pub use text::{RecordText, Text};
pub use why::CloseReason;

/// An event's number in its journal: 1, 2, 3 and so on in the order in which things happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventId(pub NonZeroU64);

/// A connection's number in its journal. Where one journal sees both ends, both have the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ConnId(pub u64);

/// Which end of a connection somebody is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// The one that connected.
    Dialler,
    /// The one that was connected to.
    Acceptor,
}

/// Where events go. One for each participant; it knows which participant it belongs to and what time it is.
///
/// Recording can't fail and doesn't wait: a server must not stop because its log does.
pub trait Journal: Send + Sync {
    /// A connection opens; gives it its number.
    fn open(&self, end: End, local: SocketAddr, remote: SocketAddr) -> ConnId;

    /// Something happened, because of `cause` where that is known.
    fn record(&self, cause: Option<EventId>, what: EventKind<'_>) -> EventId;

    /// `answers` answers to a client were written, each `took` after its line had come. That is no event: a trace
    /// records what happened, and must not depend on how long a machine takes for it.
    fn answered(&self, _how: Answered, _answers: u64, _took: Duration) {}
}

/// What an answer to a client had to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answered {
    /// Nothing.
    AtOnce,
    /// Places.
    LookedUp,
}

/// A journal that forgets: for tests and for a Node that nobody watches.
#[derive(Clone, Copy, Debug, Default)]
pub struct NullJournal;

impl Journal for NullJournal {
    fn open(&self, _: End, _: SocketAddr, _: SocketAddr) -> ConnId {
        ConnId(0)
    }

    fn record(&self, _: Option<EventId>, _: EventKind<'_>) -> EventId {
        EventId(NonZeroU64::MIN)
    }
}

/// Whom a server learned something from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// The client itself: this server is the update's origin.
    Client,
    /// A neighbour.
    Server(Arc<str>),
}

/// Who is expected at the other end of a connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PeerRole {
    /// Some client: it came in by the listener for clients.
    Client,
    /// Some server: it came in by the listener for servers and has not said its name.
    Peer,
    /// This server: it was dialled.
    Server(Arc<str>),
}

/// Why an update changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ignored {
    /// Exactly this record is known.
    Known,
    /// A record that [supersedes](crate::protocol::record::Record::supersedes) it is known, by its
    /// time.
    Older,
    /// A record of the same time is known, and all servers agree that it takes precedence.
    Tied,
    /// Its time to live is over.
    Expired,
}

/// What somebody did, or what was done to somebody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub enum EventKind<'a> {
    /// A server runs.
    Started {
        /// Which run of it: see [`BootId`](crate::protocol::peer::BootId).
        boot: Cow<'a, str>,
    },
    /// A server ended gracefully.
    Stopped,
    /// A connection opened.
    Opened {
        /// Its number.
        conn: ConnId,
        /// Which end this is.
        end: End,
        /// Who is expected at the other end.
        with: PeerRole,
    },
    /// A connection is no more.
    Closed {
        /// Its number.
        conn: ConnId,
        /// Why.
        why: CloseReason,
    },
    /// A connection that wanted to come in did not, or has to wait.
    NotAccepted {
        /// Who is expected there.
        with: PeerRole,
        /// Why.
        why: CloseReason,
        /// The address that it came from, where it came that far.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<IpAddr>,
    },
    /// A connection could not be opened.
    ConnectFailed {
        /// The server that was dialled.
        to: Arc<str>,
        /// Why.
        why: CloseReason,
    },
    /// A client meets a limit, and its lines wait. It is recorded once for as long as that goes on.
    HeldBack {
        /// By which connection.
        conn: ConnId,
        /// The setting that sets the limit.
        limit: Cow<'a, str>,
    },
    /// A line arrived.
    LineIn {
        /// By which connection.
        conn: ConnId,
        /// The line without its terminator.
        line: Text<'a>,
    },
    /// A line was written. An answer of several lines is one event.
    LineOut {
        /// To which connection.
        conn: ConnId,
        /// The line without its terminator.
        line: Text<'a>,
    },
    /// A client's line is answered with `?`.
    Refused {
        /// Why.
        why: Refusal,
    },
    /// An update is new: it is stored and sent to the other neighbours.
    Accepted {
        /// The update.
        #[serde(flatten)]
        record: RecordText<'a>,
        /// 0 at the origin, one more for each link.
        hops: u32,
        /// The client or server that sent it.
        from: Source,
    },
    /// An update is not new and changes nothing.
    Ignored {
        /// The update.
        #[serde(flatten)]
        record: RecordText<'a>,
        /// Why it is not new.
        why: Ignored,
        /// The client or server that sent it.
        from: Source,
    },
    /// A client is forgotten: an operator wants that here, or wanted it elsewhere.
    Forgotten {
        /// The tombstone that stands for the client from now on.
        #[serde(flatten)]
        record: RecordText<'a>,
        /// The neighbour that sent the tombstone; without one an operator did it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<Arc<str>>,
    },
    /// An update's time to live is over, and it is forgotten.
    Expired {
        /// The update.
        #[serde(flatten)]
        record: RecordText<'a>,
    },
    /// A client's question goes to Places.
    LookUp {
        /// The client around which to search.
        client: Text<'a>,
    },
    /// The herd has a link with this server from now on.
    Linked {
        /// The neighbour.
        peer: Arc<str>,
    },
    /// The herd has no link with this server any more.
    Unlinked {
        /// Who was a neighbour.
        peer: Arc<str>,
    },
    /// A neighbour was greeted; updates flow from now on.
    LinkUp {
        /// The neighbour.
        peer: Arc<str>,
        /// By which connection.
        conn: ConnId,
    },
    /// A neighbour is out of reach.
    LinkDown {
        /// The neighbour.
        peer: Arc<str>,
        /// Why.
        why: CloseReason,
    },
    /// Two servers have one name, and each takes a neighbour's link from the other.
    Namesakes {
        /// Their name.
        name: Arc<str>,
        /// This server is one of them.
        mine: bool,
        /// The run that has the link, or had it last, and by which connection, as far as that is known here.
        linked: Cow<'a, str>,
        /// That connection, if the link is up here.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        linked_by: Option<ConnId>,
        /// The run that is refused.
        refused: Cow<'a, str>,
        /// The connection by which it is.
        conn: ConnId,
    },
    /// This server has stopped, and a neighbour did not confirm that it has everything.
    Unconfirmed {
        /// The neighbour.
        peer: Arc<str>,
        /// The maximum number of records that may be unknown to it.
        records: u64,
    },
    /// Both ends of a link have compared all they know and requested what they lacked.
    Synchronised {
        /// The neighbour.
        peer: Arc<str>,
        /// How many records this end sent that the other lacked.
        sent: u64,
        /// How many it was sent.
        received: u64,
    },
    /// A request was sent to Places.
    PlacesAsked {
        /// Method and target of the request, without the key.
        request: Text<'a>,
    },
    /// Places answered, or did something else.
    PlacesTold {
        /// The HTTP status that it answers with, or would have.
        status: u16,
        /// What goes wrong with the answer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fault: Option<Cow<'a, str>>,
    },
    /// The harness begins a fault that is more than one thing done, each of which is an event that this one causes.
    Composed {
        /// The fault, in the words of its step.
        fault: Cow<'a, str>,
    },
    /// The harness killed a server.
    Crashed,
    /// The harness starts a server again.
    Restarted,
    /// The harness pulled a server's plug.
    PoweredOff,
    /// The harness gave a server its power back.
    PoweredOn,
    /// The harness froze a server.
    Frozen,
    /// The harness lets a server go on.
    Thawed,
    /// The harness closed a server's ports to new connections.
    Refusing,
    /// The harness opened them again.
    Accepting,
    /// The harness cut the network: what is sent these ways waits.
    Cut {
        /// From which machine to which.
        ways: Vec<(Arc<str>, Arc<str>)>,
    },
    /// The harness healed the network in these directions, once for each time that they are named.
    Healed {
        /// From which machine to which.
        ways: Vec<(Arc<str>, Arc<str>)>,
    },
    /// The harness reset all connections between these.
    Severed {
        /// The two ends of each.
        pairs: Vec<(Arc<str>, Arc<str>)>,
    },
    /// The harness gave these links another latency.
    Slowed {
        /// The two ends of each.
        links: Vec<(Arc<str>, Arc<str>)>,
        /// How long a message takes from now on.
        latency: Cow<'a, str>,
    },
    /// The harness set a clock wrong.
    Skewed {
        /// Nanoseconds ahead.
        by: i64,
        /// Nanoseconds more each second.
        drift: i64,
    },
    /// The harness chose a step by the seed. It is recorded before it happens.
    Chose {
        /// The step as a scenario's file would write it.
        step: Cow<'a, str>,
    },
    /// A fault, which is the cause, is over, or the run is: what it did to anybody.
    Affected {
        /// How often.
        count: u64,
        /// What: `connections`, `messages` and so on.
        of: Cow<'a, str>,
        /// The fault was still in force when the run ended.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        lasts: bool,
    },
    /// A client gave up waiting for an answer.
    Unanswered {
        /// The server that did not answer.
        to: Arc<str>,
        /// The line that was not answered.
        line: Text<'a>,
    },
}

impl<'a> EventKind<'a> {
    /// A client is forgotten, as this neighbour says, or as an operator here wants.
    pub fn forgotten(tombstone: impl Into<RecordText<'a>>, from: Option<Arc<str>>) -> Self {
        let record = tombstone.into();
        Self::Forgotten { record, from }
    }
}

/// Who did something.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Actor {
    /// This server.
    Server(Arc<str>),
    /// This client.
    Client(Arc<str>),
    /// Nobody in particular: the harness did it to the network.
    Network,
    /// The Places API.
    Places,
}

impl Actor {
    /// The name alone.
    pub fn name(&self) -> &str {
        match self {
            Self::Server(name) | Self::Client(name) => name,
            Self::Network => "network",
            Self::Places => "places",
        }
    }
}

/// One thing that happened: when, at which machine or client, what, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Its number.
    pub id: EventId,
    /// Nanoseconds since the journal began.
    pub at: u64,
    /// Who did it.
    pub who: Actor,
    /// The event that made it happen, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<EventId>,
    /// What it was.
    #[serde(flatten)]
    pub what: EventKind<'static>,
}

//! Events: what happened, as values, recorded once. Text, logs, traces, metrics and pictures are
//! made from these events.
//!
//! A server (in the simulator also a client and the harness) records in its [`Journal`] what it
//! did, and which event caused that. The cause of a line that arrives is the line that was sent, so
//! that the path of an update can be followed backwards exactly.

mod event;
pub mod forms;
mod ids;
mod kinds;
mod owned;
mod text;
mod why;
mod words;

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::protocol::client::Refusal;

pub use event::{Actor, Event};
pub use ids::{ConnId, End, EventId};
pub use text::{RecordText, Text};
pub use why::CloseReason;
#[cfg(feature = "sim")]
pub(crate) use words::arrows;

/// Receives the events of one participant. It knows which participant that is, and the time.
///
/// Recording can't fail and doesn't wait: a server must not stop because its log does.
pub trait Journal: Send + Sync {
    /// Returns the number of a connection that opens.
    fn open(&self, end: End, local: SocketAddr, remote: SocketAddr) -> ConnId;

    /// Records an event, and its `cause` if that is known.
    fn record(&self, cause: Option<EventId>, what: EventKind<'_>) -> EventId;

    /// Counts `answers` answers to a client, each written `took` after its line had arrived. That
    /// is no event, since a trace must not depend on the speed of a machine.
    fn answered(&self, _how: Answered, _answers: u64, _took: Duration) {}

    /// Counts a batch of records that its disk took so long to write and sync. That is no event,
    /// either.
    fn saved(&self, _took: Duration) {}
}

/// What the answer to a client had to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answered {
    /// Nothing: the answer was written at once.
    AtOnce,
    /// The answer of Places.
    LookedUp,
    /// The server's disk.
    Saved,
}

/// A journal that drops every event, for tests and for a Node without an observer.
#[derive(Clone, Copy, Debug, Default)]
pub struct NullJournal;

impl Journal for NullJournal {
    fn open(&self, _: End, _: SocketAddr, _: SocketAddr) -> ConnId {
        ConnId(0)
    }

    fn record(&self, _: Option<EventId>, _: EventKind<'_>) -> EventId {
        EventId(std::num::NonZeroU64::MIN)
    }
}

/// The sender of an update.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// The client itself, so that this server is the update's origin.
    Client,
    /// The neighbour of this name.
    Server(Arc<str>),
}

/// What is known of the other end of a connection when it opens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PeerRole {
    /// A client: it connected to the listener for clients.
    Client,
    /// A server that connected to the listener for servers, and has not sent its name yet.
    Peer,
    /// The server that was dialled.
    Server(Arc<str>),
}

/// Why an update changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ignored {
    /// Exactly this record is stored already.
    Known,
    /// The stored record [supersedes](crate::protocol::record::Record::supersedes) the update by
    /// its generation or time.
    Older,
    /// The stored record has the same time, and wins the tie as it does at every server.
    Tied,
    /// The time to live of the update is over.
    Expired,
}

/// What an [`Actor`] did, or what was done to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub enum EventKind<'a> {
    /// A server started.
    Started {
        /// Identifies this run of the server: see [`BootId`](crate::protocol::peer::BootId).
        boot: Cow<'a, str>,
    },
    /// A server stopped gracefully.
    Stopped,
    /// A connection opened.
    Opened {
        /// The connection's number.
        conn: ConnId,
        /// Which end recorded the event.
        end: End,
        /// What is known of the other end.
        with: PeerRole,
    },
    /// A connection closed.
    Closed {
        /// The connection's number.
        conn: ConnId,
        /// Why the connection closed.
        why: CloseReason,
    },
    /// A connection was not accepted, or has to wait.
    NotAccepted {
        /// What is known of the other end.
        with: PeerRole,
        /// Why the connection was not accepted, or has to wait.
        why: CloseReason,
        /// The address of the other end, if it is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<IpAddr>,
    },
    /// A server could not be connected to.
    ConnectFailed {
        /// The server that was dialled.
        to: Arc<str>,
        /// Why connecting failed.
        why: CloseReason,
    },
    /// A client's lines wait, because the client meets a limit. The event is recorded once for as
    /// long as that goes on.
    HeldBack {
        /// The client's connection.
        conn: ConnId,
        /// The setting that sets the limit.
        limit: Cow<'a, str>,
    },
    /// A line arrived.
    LineIn {
        /// The connection on which the line arrived.
        conn: ConnId,
        /// The line without its terminator.
        line: Text<'a>,
    },
    /// A line was written. An answer of several lines is one event.
    LineOut {
        /// The connection to which the line was written.
        conn: ConnId,
        /// The line without its terminator.
        line: Text<'a>,
    },
    /// A client's line is refused, which means answered with `?`.
    Refused {
        /// Why the line is refused.
        why: Refusal,
    },
    /// A new update was stored, and goes to the other neighbours.
    Accepted {
        /// The update.
        #[serde(flatten)]
        record: RecordText<'a>,
        /// How many links the update crossed: 0 at its origin.
        hops: u32,
        /// The client or server that sent it.
        from: Source,
    },
    /// An update changed nothing, because it is stale, a duplicate or expired.
    Ignored {
        /// The update.
        #[serde(flatten)]
        record: RecordText<'a>,
        /// Why the update changed nothing.
        why: Ignored,
        /// The client or server that sent it.
        from: Source,
    },
    /// A client was forgotten, as an operator requested here or at another server.
    Forgotten {
        /// The tombstone that stands for the client from now on.
        #[serde(flatten)]
        record: RecordText<'a>,
        /// The neighbour that sent the tombstone; `None` if an operator requested it here.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<Arc<str>>,
    },
    /// The time to live of a record was over, and the server removed it.
    Expired {
        /// The update.
        #[serde(flatten)]
        record: RecordText<'a>,
    },
    /// A record that was on the disk when the server started is stored again.
    Restored {
        /// The record, or a tombstone.
        #[serde(flatten)]
        record: RecordText<'a>,
        /// How many links the record crossed before it came here.
        hops: u32,
        /// How often an operator had the client forgotten before.
        #[serde(default, skip_serializing_if = "event::is_zero")]
        generation: u32,
    },
    /// What was on the disk when the server started is read.
    Loaded {
        /// The number of records, one for each client.
        records: u64,
        /// The number of bytes that were read.
        bytes: u64,
        /// The number of damaged places.
        damaged: u64,
        /// Whether answers to IAMAT wait for the disk from now on.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        answers_wait: bool,
    },
    /// A file on the disk is damaged. What is damaged of it was left out.
    Damaged {
        /// The file, the place in it, and what is wrong.
        place: Cow<'a, str>,
    },
    /// Records are on the disk: they survive a failure of power.
    Saved {
        /// The number of records.
        records: u64,
        /// The number of bytes that they take.
        bytes: u64,
    },
    /// The server did not start, since its disk can't be read. Whoever looks after it tries again.
    NotStarted {
        /// What the disk says.
        why: Cow<'a, str>,
    },
    /// A snapshot is on the disk, and what it replaces is removed.
    Compacted {
        /// The number of its records.
        records: u64,
        /// The number of bytes on the disk from now on, about.
        bytes: u64,
    },
    /// A snapshot could not be written. What it was to replace stays.
    NotCompacted {
        /// What the disk says.
        why: Cow<'a, str>,
    },
    /// The disk takes no records.
    SaveFailed {
        /// What the disk says.
        why: Cow<'a, str>,
        /// The number of clients whose latest record is not on the disk.
        unsaved: u64,
    },
    /// The disk takes records again.
    SavesAgain,
    /// A client's query goes to Places.
    LookUp {
        /// The client around which to search.
        client: Text<'a>,
    },
    /// The herd has a link between this server and the neighbour from now on.
    Linked {
        /// The neighbour.
        peer: Arc<str>,
    },
    /// The herd has no link between this server and the neighbour any more.
    Unlinked {
        /// The former neighbour.
        peer: Arc<str>,
    },
    /// The handshake with a neighbour succeeded; updates flow from now on.
    LinkUp {
        /// The neighbour.
        peer: Arc<str>,
        /// The connection of the link.
        conn: ConnId,
    },
    /// The link with a neighbour closed.
    LinkDown {
        /// The neighbour.
        peer: Arc<str>,
        /// Why the link closed.
        why: CloseReason,
    },
    /// Two servers have one name, and each takes a neighbour's link from the other.
    Namesakes {
        /// The name that both have.
        name: Arc<str>,
        /// Whether this server is one of the two.
        mine: bool,
        /// The boot id of the run that has the link, or had it last.
        linked: Cow<'a, str>,
        /// The connection of the run that has the link, if the link is up here.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        linked_by: Option<ConnId>,
        /// The boot id of the run that is refused.
        refused: Cow<'a, str>,
        /// The connection on which that run is refused.
        conn: ConnId,
    },
    /// This server has stopped, and a neighbour did not confirm that it holds everything.
    Unconfirmed {
        /// The neighbour.
        peer: Arc<str>,
        /// The maximum number of records that the neighbour may lack.
        records: u64,
    },
    /// A round of set reconciliation with a neighbour has completed.
    Synchronised {
        /// The neighbour.
        peer: Arc<str>,
        /// How many records this end sent because the neighbour lacked them.
        sent: u64,
        /// How many records the neighbour sent because this end lacked them.
        received: u64,
    },
    /// A request was sent to Places.
    PlacesAsked {
        /// Method and target of the request, without the key.
        request: Text<'a>,
    },
    /// Places answered, or the harness applied a fault to the answer.
    PlacesTold {
        /// The HTTP status of the answer, even if a fault kept it from arriving.
        status: u16,
        /// The fault that the harness applied to the answer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fault: Option<Cow<'a, str>>,
    },
    /// The harness begins a fault that consists of others; each of these is an event with this one
    /// as its cause.
    Composed {
        /// The fault, as its step describes it.
        fault: Cow<'a, str>,
    },
    /// The harness told a server to stop, as SIGTERM does.
    Stopping,
    /// The harness gave a server new settings, as SIGHUP does.
    Reloaded {
        /// The settings that changed, as a scenario writes them.
        settings: Cow<'a, str>,
    },
    /// The harness told a server to stop and to start again as another build.
    Upgraded {
        /// The build's name.
        build: Cow<'a, str>,
    },
    /// The harness took links out of the herd file.
    LinkRemoved {
        /// The two ends of each, in both orders.
        ways: Vec<(Arc<str>, Arc<str>)>,
    },
    /// The harness put links back into the herd file.
    LinkRestored {
        /// The two ends of each, in both orders.
        ways: Vec<(Arc<str>, Arc<str>)>,
    },
    /// The harness killed a server.
    Crashed,
    /// The harness restarted a server.
    Restarted,
    /// The harness cut a server's power.
    PoweredOff,
    /// The harness restored a server's power.
    PoweredOn,
    /// The harness froze a server.
    Frozen,
    /// The harness thawed a frozen server.
    Thawed,
    /// The harness closed a server's ports to new connections.
    Refusing,
    /// The harness opened a server's ports to new connections again.
    Accepting,
    /// The harness cut the network: messages in these directions wait.
    Cut {
        /// Each direction, from one machine to another.
        ways: Vec<(Arc<str>, Arc<str>)>,
    },
    /// The harness healed the network in these directions, each as many times as it is listed.
    Healed {
        /// Each direction, from one machine to another.
        ways: Vec<(Arc<str>, Arc<str>)>,
    },
    /// The harness reset all connections between these pairs of machines.
    Severed {
        /// The two machines of each pair.
        pairs: Vec<(Arc<str>, Arc<str>)>,
    },
    /// The harness changed the latency of these links.
    Slowed {
        /// The two ends of each link.
        links: Vec<(Arc<str>, Arc<str>)>,
        /// The new latency of a message.
        latency: Cow<'a, str>,
    },
    /// The harness impaired the network in these directions: it loses packets there, for instance.
    Impaired {
        /// Each direction, from one machine to another.
        ways: Vec<(Arc<str>, Arc<str>)>,
        /// The kind of the fault. A direction has one of each kind; another one replaces it.
        fault: Cow<'a, str>,
        /// What the network does to packets, in words.
        how: Cow<'a, str>,
        /// By how many nanoseconds a packet that arrives can be late.
        adds: u64,
        /// Whether packets get lost.
        loses: bool,
    },
    /// The harness ended an impairment of the network in these directions.
    Repaired {
        /// Each direction, from one machine to another.
        ways: Vec<(Arc<str>, Arc<str>)>,
        /// The kind of the fault.
        fault: Cow<'a, str>,
    },
    /// The harness made something wrong with a server's disk, which ended what was wrong with it before.
    DiskFaulty {
        /// The kind of the fault.
        fault: Cow<'a, str>,
        /// What the disk does from now on, or what happened to it, in words.
        how: Cow<'a, str>,
        /// Whether it may not have any more what it said it would keep: it lies, changes it or does
        /// not give it back.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        forgets: bool,
    },
    /// The harness ended what was wrong with a server's disk.
    DiskWorks,
    /// The harness set a clock wrong, or right again.
    Skewed {
        /// Nanoseconds by which the clock is ahead.
        by: i64,
        /// Nanoseconds that the clock gains each second.
        drift: i64,
    },
    /// The harness chose a step by the seed. The event is recorded before the step is performed.
    Chose {
        /// The step as a scenario file would write it.
        step: Cow<'a, str>,
    },
    /// What the author of the scenario says of the step that follows.
    Noted {
        /// The note.
        text: Cow<'a, str>,
    },
    /// A fault ended, or the run did: the impact of the fault, which is the cause.
    Affected {
        /// How many things the fault affected.
        count: u64,
        /// What it affected: `connections`, `messages` and so on.
        of: Cow<'a, str>,
        /// Whether the fault was still in force when the run ended.
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

//! What must hold in every run, whatever happens in it.
//!
//! Each [`Invariant`] is a pure function of a run's events. It trusts the events' causes, and
//! nothing that a server claims: what a server holds follows from what it accepted, and what it may
//! send follows from what it holds.

mod answers;
mod deadlines;
mod durable;
mod ending;
mod idle;
mod left;
mod limits;
mod links;
mod records;
mod rounds;
mod sends;
mod settings;
mod skew;
mod stop;
mod stores;
#[cfg(test)]
mod tests;
mod versions;
mod ways;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::herd::Herd;
use crate::journal::{Event, EventId};
use crate::protocol::escape;
use crate::trace::Header;
use crate::trace::clients::{self, Accusation};

pub use left::{Census, OwnCensus};
pub use settings::Rules;

/// A property that must hold in every run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Invariant {
    /// Every line that a server receives from a client is answered exactly once, in order, and by
    /// an answer that fits it, unless the connection was cut or the server killed before. An update
    /// in the line is stored by then.
    AnsweredOnceInOrder,
    /// An answer reflects what the server held when it received the line: for a WHATSAT, its record
    /// of the queried client, byte for byte; for an IAMAT, the record that it made of it at that
    /// moment.
    AnswersAsOfTheirLine,
    /// The skew of a client's update is the server's clock, however wrong that is, at the moment at
    /// which the line was received, less the client's time.
    SkewIsRight,
    /// While a server runs, its record of a client is never replaced by an older one, and no newer
    /// one is ignored.
    NeverBackInTime,
    /// A client sent every record to its origin, and from there it reached every server that holds
    /// it, unchanged but for its hops, one more with each link.
    NothingInvented,
    /// No server sends the same update twice over a link that stays up, or back to the neighbour
    /// that sent it.
    SendsBounded,
    /// No link goes down but by a fault, or because its other end closed it first.
    LinksFailForAReason,
    /// A server that stops gracefully while one of its links is up and works leaves behind no
    /// update that it answered and no other server holds.
    GracefulStopLosesNothing,
    /// A server whose answers wait for its disk has what it answered when it starts again, whatever
    /// ended it.
    Durable,
    /// Servers that run at the end and can reach each other hold the same records.
    Agreement,
    /// At the end no client waits, and if the run ends by itself, every link between running
    /// servers is up and synchronised.
    NothingWaits,
    /// Set reconciliation begins for a reason, and sends what was asked for once for each round.
    ReconciliationBounded,
    /// A server keeps to its limits, to rates and to deadlines of clients, and to how long records live.
    LimitsHold,
    /// A server does in time what it does at intervals, or after some time.
    DeadlinesHold,
    /// At a quiet end, servers have no task, stream, query or queue that they had not before.
    NothingIsLeft,
    /// By what clients sent and received alone: each answer is of the kind that its line asks for.
    AnswersOfTheirKind,
    /// By the same: what a client is told of another was sent by a client to the server that it
    /// names.
    ToldAsSent,
    /// By the same: after a server has answered an IAMAT, it tells nothing older.
    ReadYourWrites,
    /// By the same: after a server has answered a WHATSAT, it tells nothing older.
    MonotonicReads,
    /// By the same: servers that are asked when everybody is at rest tell the same.
    ConvergentReads,
}

/// The part of a run that invariants depend on.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    /// The scenario, the herd and the seed of the run.
    pub header: &'a Header,
    /// The herd of the run.
    pub herd: &'a Herd,
    /// All events, in order.
    pub events: &'a [Event],
    /// Whether the run was to end by itself, when everything is quiet. At a given time, links may
    /// be in any state.
    pub until_quiet: bool,
    /// The deadlines of servers; `None` if the order of messages was chosen by hand, so that each
    /// was in flight for as long as that took.
    pub patience: Option<Patience>,
    /// The settings with which all servers began; `None` if they are not known, as for a trace that was read.
    pub rules: Option<Rules>,
    /// What the harness counted at each server when the run ended; empty if it did not, as for a
    /// trace that was read.
    pub census: &'a [Census],
}

/// How long a server waits for a neighbour, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// The interval of heartbeats on a quiet link. A link closes after two intervals without a
    /// line.
    pub heartbeat: u64,
    /// The deadline of a greeting, after which the connection closes.
    pub hello: u64,
    /// After what time a lost segment is sent again at the earliest; twice that the next time, and so on. `None` in a
    /// world whose network loses nothing.
    pub resend: Option<u64>,
}

impl Patience {
    /// Deadlines that never pass: every link that closes for silence closes too early.
    pub const ENDLESS: Self = Self {
        heartbeat: u64::MAX,
        hello: u64::MAX,
        resend: None,
    };
}

/// One violation of an invariant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The invariant.
    pub invariant: Invariant,
    /// What was wrong, in words for a report.
    pub what: String,
    /// The events that show the violation, in order.
    pub events: Vec<EventId>,
}

/// There is no invariant of this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown invariant `{0}`")]
pub struct UnknownInvariant(pub String);

impl Invariant {
    /// All invariants, in order of evaluation.
    pub const ALL: [Self; 20] = [
        Self::AnsweredOnceInOrder,
        Self::AnswersAsOfTheirLine,
        Self::SkewIsRight,
        Self::NeverBackInTime,
        Self::NothingInvented,
        Self::SendsBounded,
        Self::LinksFailForAReason,
        Self::GracefulStopLosesNothing,
        Self::Durable,
        Self::Agreement,
        Self::NothingWaits,
        Self::ReconciliationBounded,
        Self::LimitsHold,
        Self::DeadlinesHold,
        Self::NothingIsLeft,
        Self::AnswersOfTheirKind,
        Self::ToldAsSent,
        Self::ReadYourWrites,
        Self::MonotonicReads,
        Self::ConvergentReads,
    ];

    /// The invariant's name in scenarios and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AnsweredOnceInOrder => "answered-once-in-order",
            Self::AnswersAsOfTheirLine => "answers-as-of-their-line",
            Self::SkewIsRight => "skew-is-right",
            Self::NeverBackInTime => "never-back-in-time",
            Self::NothingInvented => "nothing-invented",
            Self::SendsBounded => "sends-bounded",
            Self::LinksFailForAReason => "links-fail-for-a-reason",
            Self::GracefulStopLosesNothing => "graceful-stop-loses-nothing",
            Self::Durable => "durable",
            Self::Agreement => "agreement",
            Self::NothingWaits => "nothing-waits",
            Self::ReconciliationBounded => "reconciliation-bounded",
            Self::LimitsHold => "limits-hold",
            Self::DeadlinesHold => "deadlines-hold",
            Self::NothingIsLeft => "nothing-is-left",
            Self::AnswersOfTheirKind => "answers-of-their-kind",
            Self::ToldAsSent => "told-as-sent",
            Self::ReadYourWrites => "read-your-writes",
            Self::MonotonicReads => "monotonic-reads",
            Self::ConvergentReads => "convergent-reads",
        }
    }

    /// What the invariant requires, for a report.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::AnsweredOnceInOrder => {
                "each line of a client has one answer, in order and of the right kind"
            }
            Self::AnswersAsOfTheirLine => {
                "an answer reflects what its server held when it received the line"
            }
            Self::SkewIsRight => {
                "a skew is the server's clock when it received the line, minus the client's time"
            }
            Self::NeverBackInTime => "of two records of a client, every server keeps the newer one",
            Self::NothingInvented => {
                "each record was sent by its client and is forwarded unchanged"
            }
            Self::SendsBounded => {
                "no update is sent twice over a link that stays up, or back to its sender"
            }
            Self::LinksFailForAReason => "no link goes down without a fault that explains it",
            Self::GracefulStopLosesNothing => {
                "a server that stops gracefully loses no update that it answered"
            }
            Self::Durable => "what was answered when it was on a disk is there after any crash",
            Self::Agreement => {
                "at the end, servers that can reach each other hold the same records"
            }
            Self::NothingWaits => "at the end, no client waits and no link is down or behind",
            Self::ReconciliationBounded => {
                "set reconciliation begins for a reason and sends nothing again in a round"
            }
            Self::LimitsHold => "servers keep to their limits, and to what clients may rely on",
            Self::DeadlinesHold => "servers do what is due when it is due",
            Self::NothingIsLeft => {
                "at a quiet end, no server has a task, stream or queue more than before"
            }
            Self::AnswersOfTheirKind => {
                "clients receive the kind of answer that their line asks for"
            }
            Self::ToldAsSent => "clients are told only what a client sent to the server named",
            Self::ReadYourWrites => "after an answered IAMAT a server tells nothing older",
            Self::MonotonicReads => "after an answered WHATSAT a server tells nothing older",
            Self::ConvergentReads => "at rest, all servers tell clients the same",
        }
    }

    /// All violations of the invariant in `run`, in order of time.
    ///
    /// Takes time linear in the events, but for look-ups in maps; [`Agreement`](Self::Agreement)
    /// also compares the records of each two servers.
    pub fn violations(self, run: &Run<'_>) -> Vec<Violation> {
        let found = match self {
            Self::AnsweredOnceInOrder => answers::answered_once_in_order(run),
            Self::AnswersAsOfTheirLine => answers::answers_as_of_their_line(run),
            Self::SkewIsRight => skew::skew_is_right(run),
            Self::NeverBackInTime => records::never_back_in_time(run),
            Self::NothingInvented => records::nothing_invented(run),
            Self::SendsBounded => sends::sends_bounded(run),
            Self::LinksFailForAReason => links::links_fail_for_a_reason(run),
            Self::GracefulStopLosesNothing => stop::graceful_stop_loses_nothing(run),
            Self::Durable => durable::durable(run),
            Self::Agreement => ending::agreement(run),
            Self::NothingWaits => ending::nothing_waits(run),
            Self::ReconciliationBounded => rounds::reconciliation_bounded(run),
            Self::LimitsHold => limits::limits_hold(run),
            Self::DeadlinesHold => deadlines::deadlines_hold(run),
            Self::NothingIsLeft => left::nothing_is_left(run),
            Self::AnswersOfTheirKind => by_clients(clients::answers_of_their_kind(run.events)),
            Self::ToldAsSent => by_clients(clients::told_as_sent(run.events)),
            Self::ReadYourWrites => by_clients(clients::read_your_writes(run.events)),
            Self::MonotonicReads => by_clients(clients::monotonic_reads(run.events)),
            Self::ConvergentReads => {
                let is_whole = run.until_quiet && run.herd.is_connected();
                by_clients(clients::convergent_reads(run.events, is_whole))
            }
        };
        let violations = found.into_iter().map(|Finding { what, events }| Violation {
            invariant: self,
            what,
            events,
        });
        violations.collect()
    }
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Invariant {
    type Err = UnknownInvariant;

    fn from_str(name: &str) -> Result<Self, UnknownInvariant> {
        let found = Self::ALL.into_iter().find(|known| known.name() == name);
        found.ok_or_else(|| UnknownInvariant(name.to_owned()))
    }
}

impl Run<'_> {
    /// The event of this number.
    fn event(&self, id: EventId) -> Option<&Event> {
        let found = self.events.binary_search_by_key(&id, |event| event.id);
        self.events.get(found.ok()?)
    }

    /// The event that caused `event`.
    fn cause_of(&self, event: &Event) -> Option<&Event> {
        self.event(event.cause?)
    }
}

/// What is wrong, and the events that show it.
struct Finding {
    what: String,
    events: Vec<EventId>,
}

impl Finding {
    fn new<'e>(what: String, events: impl IntoIterator<Item = &'e Event>) -> Self {
        Self {
            what,
            events: events.into_iter().map(|event| event.id).collect(),
        }
    }
}

/// The accusations of the second judge, as findings like any other.
fn by_clients(accusations: Vec<Accusation>) -> Vec<Finding> {
    let findings = accusations
        .into_iter()
        .map(|Accusation { what, events }| Finding { what, events });
    findings.collect()
}

/// As much of a line as a report has room for.
fn shown(line: &[u8]) -> String {
    const MOST: usize = 100;
    match line.get(..MOST) {
        Some(beginning) if line.len() > MOST => format!("{}…", escape(beginning)),
        _ => escape(line),
    }
}

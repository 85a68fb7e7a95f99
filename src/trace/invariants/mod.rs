//! What must hold of every run, whatever happens in it.
//!
//! Each [`Invariant`] is a pure function over what happened. It trusts the events' causes and
//! nothing that a server thinks of itself: what a server holds follows from what it accepted, and
//! what it may say follows from that.

mod answers;
mod ending;
mod idle;
mod links;
mod records;
mod sends;
mod skew;
mod stop;
mod stores;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::herd::Herd;
use crate::journal::{Event, EventId};
use crate::protocol::escape;
use crate::trace::Header;

/// Something that must hold of every run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Invariant {
    /// Every line that a server hears from a client is answered exactly once, in order, by what belongs to it, unless
    /// the connection was cut or the server killed before; and an update in the line is stored by then.
    AnsweredOnceInOrder,
    /// What an answer says is what the server knew when it heard the line: the record that it had of the client that
    /// a WHATSAT queries, byte for byte; the record that it made of an IAMAT then and there.
    AnswersAsOfTheirLine,
    /// The skew of what a client says is the server's clock, however wrong that is, at the moment at which the line was
    /// heard, less the client's time.
    SkewIsRight,
    /// No server's record of a client gives way to an older one while the server runs, and no newer one is
    /// turned away for it.
    NeverBackInTime,
    /// Every record was sent by a client to its origin, and came from there to every server that holds it without a
    /// change but for its hops, one more with each link.
    NothingInvented,
    /// No server sends the same update twice over a link that stays up, nor back to the neighbour that it came from.
    SendsBounded,
    /// No link goes down but by a fault, or because its other end was done with it before.
    LinksFailForAReason,
    /// A server that stops gracefully while a link of its is up and sound leaves nothing behind that it
    /// answered and nobody else has.
    GracefulStopLosesNothing,
    /// Servers that run at the end and can reach each other hold the same records.
    Agreement,
    /// At the end no client waits, and where a run ends by itself, every link between running
    /// servers is up and synchronised.
    NothingWaits,
}

/// A run, as far as invariants look at it.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    /// What ran.
    pub header: &'a Header,
    /// The herd that it ran on.
    pub herd: &'a Herd,
    /// What happened, in order.
    pub events: &'a [Event],
    /// The run was to end by itself, when everything is quiet; not at a given time, at which links
    /// may be in any state.
    pub until_quiet: bool,
    /// How long servers wait; none where somebody chose the order of messages, and each was under way for as long as that took.
    pub patience: Option<Patience>,
}

/// How long a server waits for a neighbour, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// A link that has nothing else to say says so this often; after two of them without a word it is given up.
    pub heartbeat: u64,
    /// Whoever was not greeted by then gives a connection up.
    pub hello: u64,
}

impl Patience {
    /// More than anybody has: no link is ever given up in time.
    pub const ENDLESS: Self = Self {
        heartbeat: u64::MAX,
        hello: u64::MAX,
    };
}

/// How an invariant was violated, once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which one.
    pub invariant: Invariant,
    /// What was wrong.
    pub what: String,
    /// The events that show it, in order.
    pub events: Vec<EventId>,
}

/// No invariant is called so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown invariant `{0}`")]
pub struct UnknownInvariant(pub String);

impl Invariant {
    /// All of them, in the order in which they are judged.
    pub const ALL: [Self; 10] = [
        Self::AnsweredOnceInOrder,
        Self::AnswersAsOfTheirLine,
        Self::SkewIsRight,
        Self::NeverBackInTime,
        Self::NothingInvented,
        Self::SendsBounded,
        Self::LinksFailForAReason,
        Self::GracefulStopLosesNothing,
        Self::Agreement,
        Self::NothingWaits,
    ];

    /// How scenarios and reports call it.
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
            Self::Agreement => "agreement",
            Self::NothingWaits => "nothing-waits",
        }
    }

    /// What it says, for a report.
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
            Self::Agreement => {
                "at the end, servers that can reach each other hold the same records"
            }
            Self::NothingWaits => "at the end, no client waits and no link is down or behind",
        }
    }

    /// Every way in which `run` breaks it, in order of time.
    ///
    /// Takes time linear in the events, but for look-ups in maps; [`Agreement`](Self::Agreement)
    /// compares each two servers' records besides.
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
            Self::Agreement => ending::agreement(run),
            Self::NothingWaits => ending::nothing_waits(run),
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

    /// The event that made `event` happen.
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

/// As much of a line as a report has room for.
fn shown(line: &[u8]) -> String {
    const MOST: usize = 100;
    match line.get(..MOST) {
        Some(beginning) if line.len() > MOST => format!("{}…", escape(beginning)),
        _ => escape(line),
    }
}

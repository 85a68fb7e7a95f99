//! A second judge: what clients may be told, by what clients sent and received alone.
//!
//! It knows nothing of what servers say that they do. The invariants of a server's own events
//! ([`invariants`](super::invariants)) trust those to be complete; this does not, so a server that answers
//! otherwise than it records is found here. The two share no code but the types of events: the
//! protocol is read by `lines`, which is written for this judge alone.
//!
//! Of servers' events it uses three: that a run started, since a new run holds nothing; that a
//! record was forgotten or had expired, which no client is told; and, to know when everybody was at
//! rest, that something happened at all.

mod convergence;
mod exchanges;
mod kinds;
mod lines;
mod reads;
mod sent;
pub mod staleness;
#[cfg(test)]
mod tests;

pub(super) use convergence::convergent_reads;
pub(super) use kinds::answers_of_their_kind;
pub(super) use reads::{monotonic_reads, read_your_writes};
pub(super) use sent::told_as_sent;

use crate::journal::{Event, EventId};
use crate::protocol::escape;

/// What is wrong, and the events that show it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Accusation {
    pub(super) what: String,
    pub(super) events: Vec<EventId>,
}

impl Accusation {
    fn new<'e>(what: String, events: impl IntoIterator<Item = &'e Event>) -> Self {
        let mut events: Vec<EventId> = events.into_iter().map(|event| event.id).collect();
        events.sort_unstable();
        Self { what, events }
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

//! Events as a trace has them: numbered, timed, and about somebody.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{EventId, EventKind, RecordText};

/// The participant that an event is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Actor {
    /// The server of this name.
    Server(Arc<str>),
    /// The client of this name.
    Client(Arc<str>),
    /// Somebody of this name for whom a scenario speaks to servers as another server would.
    Peer(Arc<str>),
    /// The network, to which the harness did something.
    Network,
    /// The Places API.
    Places,
}

impl Actor {
    /// The participant's name, without its kind.
    pub fn name(&self) -> &str {
        match self {
            Self::Server(name) | Self::Client(name) | Self::Peer(name) => name,
            Self::Network => "network",
            Self::Places => "places",
        }
    }
}

/// One event: when and to whom it happened, what it is, and why it happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// The event's number.
    pub id: EventId,
    /// Nanoseconds since the journal began.
    pub at: u64,
    /// The participant that the event is about.
    pub who: Actor,
    /// The event that caused this one, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<EventId>,
    /// What happened.
    #[serde(flatten)]
    pub what: EventKind<'static>,
}

impl<'a> EventKind<'a> {
    /// A client was forgotten: the neighbour `from` sent the tombstone, or an operator requested it
    /// here if `from` is `None`.
    pub fn forgotten(tombstone: impl Into<RecordText<'a>>, from: Option<Arc<str>>) -> Self {
        let record = tombstone.into();
        Self::Forgotten { record, from }
    }

    /// The record that a server holds by this event, if it comes to hold one: no tombstone.
    pub fn held(&self) -> Option<&RecordText<'a>> {
        match self {
            Self::Accepted { record, .. } => Some(record),
            Self::Restored { record, .. } if !record.is_tombstone() => Some(record),
            _ => None,
        }
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
pub(super) fn is_zero(number: &u32) -> bool {
    *number == 0
}

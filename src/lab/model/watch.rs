//! Records what the Nodes of a model do.

use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Hearing, Reaction};
use crate::herd::ServerId;
use crate::journal::{ConnId, End, EventId, EventKind, Ignored, Journal};

/// The one journal that all Nodes share. An event does not name its server, so the model sets the
/// current server and time ([`Now`]) before each call of a Node.
pub(super) struct Watch(Mutex<Noted>);

struct Noted {
    now: Now,
    sends: u64,
    told: Vec<Hearing>,
}

/// The delivery that the model is performing.
#[derive(Clone, Copy)]
pub(super) struct Now {
    pub(super) at: u64,
    pub(super) server: ServerId,
    /// The sender of an update and the number of links that the update crossed. `None` if the
    /// current line comes from a client or is no update.
    pub(super) from: Option<(ServerId, u32)>,
}

impl Watch {
    pub(super) fn new(now: Now) -> Self {
        Self(Mutex::new(Noted {
            now,
            sends: 0,
            told: Vec::new(),
        }))
    }

    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn look(&self, now: Now) {
        self.noted().now = now;
    }

    /// The number of updates that were sent, and all receipts, since the last call.
    pub(super) fn take(&self) -> (u64, Vec<Hearing>) {
        let mut noted = self.noted();
        let sends = std::mem::take(&mut noted.sends);
        (sends, std::mem::take(&mut noted.told))
    }
}

impl Journal for Watch {
    fn open(&self, _: End, _: SocketAddr, _: SocketAddr) -> ConnId {
        ConnId(0)
    }

    fn record(&self, _: Option<EventId>, what: EventKind<'_>) -> EventId {
        let mut noted = self.noted();
        let made = match what {
            EventKind::Accepted { .. } => Some(Reaction::Accepted),
            EventKind::Ignored { why, .. } => Some(match why {
                Ignored::Known => Reaction::Known,
                Ignored::Older | Ignored::Tied | Ignored::Expired => Reaction::Older,
            }),
            // Only lines to servers count, so the answer to the client does not.
            EventKind::LineOut { conn, line } if conn == super::TO_SERVER => {
                noted.sends += u64::from(line.0.starts_with(b"AT "));
                None
            }
            _ => None,
        };
        if let Some(made) = made {
            let Now { at, server, from } = noted.now;
            noted.told.push(Hearing {
                at,
                server,
                from: from.map(|(from, _)| from),
                hops: from.map_or(0, |(_, hops)| hops),
                made,
            });
        }
        EventId(NonZeroU64::MIN)
    }
}

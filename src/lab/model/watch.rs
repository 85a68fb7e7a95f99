//! What Nodes do, as the model notes it.

use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Hearing, Reaction};
use crate::herd::ServerId;
use crate::journal::{ConnId, End, EventId, EventKind, Ignored, Journal};

/// The journal of all Nodes. The model says who is about to do something, and when.
pub(super) struct Watch(Mutex<Noted>);

struct Noted {
    now: Now,
    sends: u64,
    told: Vec<Hearing>,
}

/// What the model is doing.
#[derive(Clone, Copy)]
pub(super) struct Now {
    pub(super) at: u64,
    pub(super) server: ServerId,
    /// Whose line it hears, and after how many links, if it hears an update.
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

    /// The number of updates that were sent, and what was made of them, since the last call.
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
            // The client's answer is no line to a server.
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

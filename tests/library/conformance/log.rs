//! The events of a server, and waiting for them.

use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use proxy_herd::journal::{ConnId, End, EventId, EventKind, Journal};
use tokio::sync::watch;

use super::wire::soon;

/// A journal of all runs of one server.
#[derive(Clone)]
pub(crate) struct Log {
    events: Arc<watch::Sender<Vec<EventKind<'static>>>>,
    connections: Arc<AtomicU64>,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            events: Arc::new(watch::Sender::new(Vec::new())),
            connections: Arc::default(),
        }
    }
}

impl Journal for Log {
    fn open(&self, _: End, _: SocketAddr, _: SocketAddr) -> ConnId {
        ConnId(self.connections.fetch_add(1, Ordering::SeqCst))
    }

    fn record(&self, _: Option<EventId>, what: EventKind<'_>) -> EventId {
        self.events
            .send_modify(|events| events.push(what.into_owned()));
        EventId(NonZeroU64::MIN)
    }
}

impl Log {
    /// All events so far.
    pub(crate) fn all(&self) -> Vec<EventKind<'static>> {
        self.events.borrow().clone()
    }

    /// The number of events that match.
    pub(crate) fn count(&self, is_such: impl Fn(&EventKind<'_>) -> bool) -> usize {
        let events = self.events.borrow();
        events.iter().filter(|what| is_such(what)).count()
    }

    /// Waits for the first event that matches.
    pub(crate) async fn wait(&self, what: &str, is_such: impl Fn(&EventKind<'_>) -> bool) {
        self.wait_times(1, what, is_such).await;
    }

    /// Waits until this number of events have matched.
    pub(crate) async fn wait_times(
        &self,
        times: usize,
        what: &str,
        is_such: impl Fn(&EventKind<'_>) -> bool,
    ) {
        let mut events = self.events.subscribe();
        let often = |events: &Vec<EventKind<'static>>| {
            events
                .iter()
                .filter(|what| is_such(what))
                .take(times)
                .count()
                == times
        };
        let describe = || {
            let all = self.all();
            let last = all.iter().rev().take(30).rev();
            let last: Vec<_> = last.map(|what| format!("\n  {what:.200?}")).collect();
            format!("{what}, {times} times; the log ends:{}", last.concat())
        };
        let waited = soon(events.wait_for(often), describe).await;
        waited.expect("the log outlives the story");
    }
}

/// Whether a client's update was accepted, from the client or from a neighbour.
pub(crate) fn accepted(client: &str) -> impl Fn(&EventKind<'_>) -> bool {
    move |what| matches!(what, EventKind::Accepted { record, .. } if *record.client.0 == *client.as_bytes())
}

/// Whether the link with `neighbour` came up.
pub(crate) fn link_up(neighbour: &str) -> impl Fn(&EventKind<'_>) -> bool {
    move |what| matches!(what, EventKind::LinkUp { peer, .. } if **peer == *neighbour)
}

/// Whether the link with `neighbour` was synchronised.
pub(crate) fn synchronised(neighbour: &str) -> impl Fn(&EventKind<'_>) -> bool {
    move |what| matches!(what, EventKind::Synchronised { peer, .. } if **peer == *neighbour)
}

/// Whether a link went down for a reason that starts with `why`.
pub(crate) fn link_down(why: &str) -> impl Fn(&EventKind<'_>) -> bool {
    move |what| matches!(what, EventKind::LinkDown { why: came, .. } if came.to_string().starts_with(why))
}

/// Whether a connection was closed for a reason that starts with `why`.
pub(crate) fn closed(why: &str) -> impl Fn(&EventKind<'_>) -> bool {
    move |what| matches!(what, EventKind::Closed { why: came, .. } if came.to_string().starts_with(why))
}

/// Whether a neighbour failed to confirm that it has everything.
pub(crate) fn unconfirmed(what: &EventKind<'_>) -> bool {
    matches!(what, EventKind::Unconfirmed { .. })
}

/// Whether two servers were found to have one name.
pub(crate) fn namesakes(what: &EventKind<'_>) -> bool {
    matches!(what, EventKind::Namesakes { .. })
}

/// Whether a connect failed.
pub(crate) fn connect_failed(what: &EventKind<'_>) -> bool {
    matches!(what, EventKind::ConnectFailed { .. })
}

/// Whether a line arrived that starts with this text.
pub(crate) fn line_in(start: &str) -> impl Fn(&EventKind<'_>) -> bool {
    move |what| matches!(what, EventKind::LineIn { line, .. } if line.0.starts_with(start.as_bytes()))
}

/// Whether this limit began to hold a client back.
pub(crate) fn held_back(by: &str) -> impl Fn(&EventKind<'_>) -> bool {
    move |what| matches!(what, EventKind::HeldBack { limit, .. } if limit == by)
}

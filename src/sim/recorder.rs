//! One journal for all participants of a simulation, so that the arrival of a line can name its
//! sending.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::time::elapsed;
use crate::journal::{Actor, ConnId, End, Event, EventId, EventKind, Journal};
use crate::protocol::peer;

/// The number of events above which a run has failed. A flood that never ends would otherwise fill
/// the memory.
pub(super) const MOST_EVENTS: usize = 2_000_000;

/// Collects the events of all participants, in the order in which they happened.
#[derive(Clone)]
pub(crate) struct Recorder(Arc<Mutex<Inner>>);

impl Default for Recorder {
    fn default() -> Self {
        Self::of_at_most(2 * MOST_EVENTS)
    }
}

#[derive(Default)]
struct Inner {
    events: Vec<Event>,
    /// The maximum number of events.
    most: usize,
    /// The simulated time of events that the harness itself causes between ticks.
    now: Duration,
    connections: u64,
    /// Connections of which one end is open yet, by the dialler's and the acceptor's address.
    half_known: BTreeMap<(SocketAddr, SocketAddr), (ConnId, End)>,
    /// The end that a participant has of a connection.
    ends: BTreeMap<(Actor, ConnId), End>,
    /// Lines in flight, by connection and sender. TCP keeps their order, so the first one sent is
    /// the first one to arrive.
    under_way: BTreeMap<(ConnId, End), VecDeque<EventId>>,
    state: State,
}

/// The current state of the herd, as far as events show it.
#[derive(Default)]
pub(super) struct State {
    running: BTreeSet<Arc<str>>,
    /// Links that are up, by end, and whether that end is synchronised.
    links: BTreeMap<(Arc<str>, Arc<str>), bool>,
    /// The time of the last event that was no background activity.
    pub(super) last_activity: Duration,
}

impl State {
    /// Whether `server` runs.
    pub(super) fn is_running(&self, server: &Arc<str>) -> bool {
        self.running.contains(server)
    }

    /// Whether a link is synchronised at both ends.
    pub(super) fn is_synchronised(&self, a: &Arc<str>, b: &Arc<str>) -> bool {
        let seen = |from: &Arc<str>, to: &Arc<str>| {
            let state = self.links.get(&(Arc::clone(from), Arc::clone(to)));
            state.copied().unwrap_or(false)
        };
        seen(a, b) && seen(b, a)
    }

    /// Whether a link is up at both ends.
    pub(super) fn is_up(&self, a: &Arc<str>, b: &Arc<str>) -> bool {
        let ends = [(a, b), (b, a)].map(|(from, to)| (Arc::clone(from), Arc::clone(to)));
        ends.iter().all(|end| self.links.contains_key(end))
    }

    fn learn(&mut self, at: Duration, who: &Actor, what: &EventKind<'_>) {
        if !is_background(what) {
            self.last_activity = at;
        }
        let Actor::Server(me) = who else {
            return;
        };
        let link = |peer: &Arc<str>| (Arc::clone(me), Arc::clone(peer));
        match what {
            EventKind::Started { .. } => {
                self.running.insert(Arc::clone(me));
            }
            EventKind::Stopped | EventKind::Crashed | EventKind::PoweredOff => {
                self.running.remove(me);
                self.links.retain(|(from, _), _| from != me);
            }
            EventKind::LinkUp { peer, .. } => {
                self.links.insert(link(peer), false);
            }
            EventKind::Synchronised { peer, .. } => {
                self.links.insert(link(peer), true);
            }
            EventKind::LinkDown { peer, .. } => {
                self.links.remove(&link(peer));
            }
            _ => {}
        }
    }
}

/// Whether an event is background activity: heartbeats, and failed attempts to connect to servers
/// that are down, or to start one. They go on for ever, so they must not keep a run from ending.
fn is_background(what: &EventKind<'_>) -> bool {
    match what {
        EventKind::ConnectFailed { .. }
        | EventKind::NotStarted { .. }
        | EventKind::Affected { .. } => true,
        EventKind::LineIn { line, .. } | EventKind::LineOut { line, .. } => {
            peer::is_heartbeat(&line.0)
        }
        _ => false,
    }
}

impl Recorder {
    /// A recorder of up to `most` events. Recording more panics, which ends the run.
    fn of_at_most(most: usize) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            most,
            ..Inner::default()
        })))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // Poisoning does not matter: a simulation runs on one thread, and a panic ends the run.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The journal of one participant.
    pub(crate) fn journal(&self, who: Actor) -> Arc<dyn Journal> {
        Arc::new(Participant {
            who,
            recorder: self.clone(),
        })
    }

    /// Learns of the herd's state by an event that is recorded elsewhere.
    pub(crate) fn observe(&self, who: &Actor, what: &EventKind<'_>) {
        let mut inner = self.inner();
        let at = elapsed().unwrap_or(inner.now);
        inner.state.learn(at, who, what);
    }

    /// Connections of which only the dialling end is known, by the address of that and the one that was dialled.
    pub(crate) fn dialled(&self) -> BTreeMap<(SocketAddr, SocketAddr), ConnId> {
        let inner = self.inner();
        let open = inner.half_known.iter();
        let open = open.filter(|(_, (_, end))| *end == End::Dialler);
        open.map(|(key, (conn, _))| (*key, *conn)).collect()
    }

    /// Sets the time of the harness's own events.
    pub(super) fn set_now(&self, now: Duration) {
        self.inner().now = now;
    }

    /// Queries the herd's current state.
    pub(super) fn ask<T>(&self, question: impl FnOnce(&State) -> T) -> T {
        question(&self.inner().state)
    }

    /// The number of recorded events.
    pub(super) fn count(&self) -> usize {
        self.inner().events.len()
    }

    /// The servers with events after the first `count` events.
    pub(super) fn servers_since(&self, count: usize) -> BTreeSet<Arc<str>> {
        let inner = self.inner();
        let new = inner.events.get(count..).unwrap_or_default();
        let servers = new.iter().filter_map(|event| match &event.who {
            Actor::Server(name) => Some(Arc::clone(name)),
            _ => None,
        });
        servers.collect()
    }

    /// Takes all events.
    pub(super) fn take(&self) -> Vec<Event> {
        std::mem::take(&mut self.inner().events)
    }

    fn record(&self, who: &Actor, cause: Option<EventId>, what: EventKind<'_>) -> EventId {
        let mut inner = self.inner();
        let at = elapsed().unwrap_or(inner.now);
        let number = inner.events.len() as u64 + 1;
        let id = EventId(NonZeroU64::new(number).unwrap_or(NonZeroU64::MIN));
        let cause = cause.or_else(|| inner.cause_of(who, &what));
        if let EventKind::LineOut { conn, .. } = what
            && let Some(end) = inner.end_of(who, conn)
        {
            inner
                .under_way
                .entry((conn, end))
                .or_default()
                .push_back(id);
        }
        inner.state.learn(at, who, &what);
        // The driver checks the number of events between ticks. Within a tick only this check keeps
        // a server that sends without end from filling the memory.
        assert!(
            inner.events.len() < inner.most,
            "{} does more at {at:?} than anybody can read: its last event is `{what}`",
            who.name()
        );
        let at = u64::try_from(at.as_nanos()).unwrap_or(u64::MAX);
        inner.events.push(Event {
            id,
            at,
            who: who.clone(),
            cause,
            what: what.into_owned(),
        });
        id
    }
}

impl Inner {
    fn end_of(&self, who: &Actor, conn: ConnId) -> Option<End> {
        self.ends.get(&(who.clone(), conn)).copied()
    }

    /// The cause of an arriving line: its sending.
    fn cause_of(&mut self, who: &Actor, what: &EventKind<'_>) -> Option<EventId> {
        let EventKind::LineIn { conn, .. } = *what else {
            return None;
        };
        let sender = match self.end_of(who, conn)? {
            End::Dialler => End::Acceptor,
            End::Acceptor => End::Dialler,
        };
        self.under_way.get_mut(&(conn, sender))?.pop_front()
    }

    fn open(&mut self, who: &Actor, end: End, local: SocketAddr, remote: SocketAddr) -> ConnId {
        let key = match end {
            End::Dialler => (local, remote),
            End::Acceptor => (remote, local),
        };
        let conn = match self.half_known.get(&key) {
            Some(&(conn, other)) if other != end => {
                self.half_known.remove(&key);
                conn
            }
            _ => {
                self.connections += 1;
                let conn = ConnId(self.connections);
                self.half_known.insert(key, (conn, end));
                conn
            }
        };
        self.ends.insert((who.clone(), conn), end);
        conn
    }
}

struct Participant {
    who: Actor,
    recorder: Recorder,
}

impl Journal for Participant {
    fn open(&self, end: End, local: SocketAddr, remote: SocketAddr) -> ConnId {
        self.recorder.inner().open(&self.who, end, local, remote)
    }

    fn record(&self, cause: Option<EventId>, what: EventKind<'_>) -> EventId {
        self.recorder.record(&self.who, cause, what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_records_without_end_at_one_moment_ends_the_run_and_is_named() {
        let recorder = Recorder::of_at_most(10_000);
        let journal = recorder.journal(Actor::Server("Riley".into()));
        crate::sim::time::follow(turmoil::sim_elapsed, 1);
        let mut sim = turmoil::Builder::new().rng_seed(1).build();
        sim.client("Riley", async move {
            tokio::time::sleep(Duration::from_millis(5)).await;
            // Ten times the limit, so that a missing bound fails the test without filling the
            // memory.
            for _ in 0..100_000 {
                let conn = ConnId(1);
                let line = b"AT Riley".as_slice().into();
                journal.record(None, EventKind::LineOut { conn, line });
                tokio::task::yield_now().await;
            }
            Ok(())
        });
        let failed = sim.run().expect_err("it fails");
        let told = failed.to_string();
        assert!(told.contains("Riley does more at 5ms"), "{told}");
        assert_eq!(recorder.count(), 10_000);
    }
}

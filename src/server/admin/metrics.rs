//! Counters of a server's events. Each is an atomic, so an event of a line costs one or two of them
//! and no memory.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::LinkSeen;
use super::counts::{Count, Histogram, micros};
use super::disk::DiskCounts;
use super::outcomes::{LINES, LOOKED_UP, OUTCOMES, REASONS, ignored, reason, refused};
use crate::herd::Name;
use crate::journal::{
    Answered, CloseReason, ConnId, End, EventId, EventKind, Journal, PeerRole, RecordText, Source,
};
use crate::net::Net;
use crate::protocol::time::{Skew, Timestamp};
use crate::server::HOLD_BACK;
use crate::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use crate::sync::{Mutex, MutexGuard};

/// Counters of connections with clients, or with servers.
#[derive(Debug, Default)]
pub(super) struct Connections {
    pub(super) opened: Count,
    pub(super) closed: [Count; REASONS.len()],
    pub(super) not_accepted: [Count; REASONS.len()],
}

impl Connections {
    pub(super) fn closed(&self, why: &CloseReason) -> u64 {
        self.closed[reason(why)].get()
    }

    pub(super) fn not_accepted(&self, why: &CloseReason) -> u64 {
        self.not_accepted[reason(why)].get()
    }

    pub(super) fn open(&self) -> u64 {
        let closed = self.closed.iter().map(Count::get).sum();
        self.opened.get().saturating_sub(closed)
    }
}

/// Counters of a link.
#[derive(Debug, Default)]
pub(super) struct LinkCounts {
    pub(super) ups: Count,
    pub(super) downs: Count,
    pub(super) connect_failures: Count,
    pub(super) synchronisations: Count,
    pub(super) sent: Count,
    pub(super) received: Count,
    /// When the last synchronisation ended, in nanoseconds since 1970, and the number of records
    /// that it sent and received.
    pub(super) last: AtomicI64,
    pub(super) last_sent: AtomicU64,
    pub(super) last_received: AtomicU64,
    /// The number of records that the neighbour had not confirmed when this server stopped.
    pub(super) unconfirmed: AtomicU64,
    /// 1 if the link has been synchronised since it came up, otherwise 0.
    pub(super) whole: AtomicU64,
}

impl LinkCounts {
    pub(super) fn is_up(&self) -> bool {
        self.ups.get() > self.downs.get()
    }

    pub(super) fn is_synchronised(&self) -> bool {
        self.whole.load(Ordering::Relaxed) == 1
    }
}

/// An open connection with a server.
#[derive(Debug)]
struct WithServer {
    /// The neighbour that this server dialled, or `None` if the other end dialled.
    dialled: Option<Name>,
    /// The connection became a link.
    linked: bool,
}

/// How long a rejected handshake counts against readiness. Neighbours dial more often than this,
/// unless they are configured to be slower.
const LATELY: Duration = Duration::from_mins(1);

/// The bounds of histograms of latency, in nanoseconds.
const LATENCIES: [u64; 16] = micros([
    50, 100, 250, 500, 1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 2_500_000, 5_000_000,
]);

/// Counters of all of a server's events.
#[derive(Debug)]
pub struct Metrics {
    pub(super) started: Timestamp,
    /// The current neighbours, each with its link's counters.
    links: Mutex<Vec<(Name, Arc<LinkCounts>)>>,
    pub(super) lines_in: Count,
    pub(super) lines_out: Count,
    pub(super) client_lines: [Count; LINES.len()],
    pub(super) updates: [Count; OUTCOMES.len()],
    /// The time from a line's arrival to its answer, in nanoseconds, without look-ups.
    pub(super) at_once: Histogram<16>,
    /// The time from a line's arrival to its answer, in nanoseconds, for answers that needed
    /// Places.
    pub(super) looked_up: Histogram<16>,
    /// The time from a line's arrival to its answer, in nanoseconds, for answers that waited for
    /// the disk.
    pub(super) saved: Histogram<16>,
    /// The time of a look-up, in nanoseconds.
    pub(super) places: Histogram<16>,
    pub(super) delay: Histogram<16>,
    pub(super) hops: Histogram<8>,
    pub(super) expired: Count,
    pub(super) disk: DiskCounts,
    /// How often each limit in [`HOLD_BACK`] made a connection wait.
    pub(super) held_back: [Count; HOLD_BACK.len()],
    pub(super) with_clients: Connections,
    pub(super) with_servers: Connections,
    /// The open connections with servers. They are few, and no event of a line needs them.
    servers: Mutex<BTreeMap<ConnId, WithServer>>,
    /// How often two servers of one name were met.
    pub(super) namesakes: Count,
    /// When this server last learned that another one has its name.
    namesake: Mutex<Option<Instant>>,
    /// When a handshake with a neighbour that was dialled was last rejected, by either end.
    unwilling: Mutex<Option<Instant>>,
    /// Notifies its receivers of each event of a link.
    changed: watch::Sender<()>,
    /// A neighbour sent a record from before this server started, or the disk had one.
    knows_from_before: AtomicBool,
    /// The server became ready, or its grace ended.
    came_up: AtomicBool,
}

impl Metrics {
    /// Creates the counters. `started` is the server's clock at its start.
    pub fn new(started: Timestamp, neighbours: impl IntoIterator<Item = Name>) -> Self {
        let links = neighbours.into_iter().map(|name| (name, Arc::default()));
        Self {
            started,
            links: Mutex::new(links.collect()),
            lines_in: Count::default(),
            lines_out: Count::default(),
            client_lines: std::array::from_fn(|_| Count::default()),
            updates: std::array::from_fn(|_| Count::default()),
            at_once: Histogram::new(LATENCIES),
            looked_up: Histogram::new(LATENCIES),
            saved: Histogram::new(LATENCIES),
            places: Histogram::new(LATENCIES),
            delay: Histogram::new(micros([
                100, 250, 500, 1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
                1_000_000, 2_500_000, 10_000_000, 60_000_000,
            ])),
            hops: Histogram::new([1, 2, 3, 4, 5, 6, 7, 8]),
            expired: Count::default(),
            disk: DiskCounts::new(),
            held_back: std::array::from_fn(|_| Count::default()),
            with_clients: Connections::default(),
            with_servers: Connections::default(),
            servers: Mutex::default(),
            namesakes: Count::default(),
            namesake: Mutex::default(),
            unwilling: Mutex::default(),
            changed: watch::Sender::default(),
            knows_from_before: AtomicBool::new(false),
            came_up: AtomicBool::new(false),
        }
    }

    /// Marks the end of the start: from now on the server counts as empty if no neighbour has sent
    /// it a record from before its start.
    pub fn come_up(&self) {
        self.came_up.store(true, Ordering::Relaxed);
    }

    /// Adds the time that a look-up took.
    pub(super) fn looked_up_in(&self, took: Duration) {
        self.places.observe(nanos(took));
    }

    /// Notes when the origin heard a record that a neighbour sent, in nanoseconds since 1970.
    fn hear_of(&self, heard: i128) {
        if heard < self.started.as_nanos() {
            self.knows_from_before.store(true, Ordering::Relaxed);
        }
    }

    /// Whether the server has come up without any record from before its start. Newer records do
    /// not count, since even in a herd that has lost all records clients send updates at once.
    pub fn came_up_empty(&self) -> bool {
        self.came_up.load(Ordering::Relaxed) && !self.knows_from_before.load(Ordering::Relaxed)
    }

    /// The state of each link, with whether it was ever synchronised.
    pub fn links(&self) -> Vec<LinkSeen> {
        let links = self.link_counts().into_iter();
        let seen = links.map(|(peer, counts)| LinkSeen {
            peer: peer.to_string(),
            up: counts.is_up(),
            synchronised: counts.synchronisations.get() > 0,
        });
        seen.collect()
    }

    /// The counters of each link.
    pub(super) fn link_counts(&self) -> Vec<(Name, Arc<LinkCounts>)> {
        self.linked().clone()
    }

    fn linked(&self) -> MutexGuard<'_, Vec<(Name, Arc<LinkCounts>)>> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A receiver that is notified of each event of a link.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    fn servers(&self) -> MutexGuard<'_, BTreeMap<ConnId, WithServer>> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn last_unwilling(&self) -> MutexGuard<'_, Option<Instant>> {
        self.unwilling
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a handshake with a neighbour that this server dialled was rejected within the last
    /// minute, by either end.
    pub fn saw_unwilling(&self) -> bool {
        self.last_unwilling()
            .is_some_and(|last| last.elapsed() < LATELY)
    }

    /// Whether this server learned within the last minute that another one has its name.
    pub fn has_namesake(&self) -> bool {
        let last = self.namesake.lock();
        let last = *last.unwrap_or_else(PoisonError::into_inner);
        last.is_some_and(|last| last.elapsed() < LATELY)
    }

    /// Counts the end of a connection with a server. A handshake that failed counts against
    /// readiness if this server dialled: anybody else can connect and be refused, as often as they
    /// like. After such a refusal a server asks the neighbours that dial it, which it dials for
    /// that.
    fn closed(&self, with: &WithServer, why: &CloseReason) {
        let Some(neighbour) = with.dialled.as_ref().filter(|_| !with.linked) else {
            return;
        };
        let is_harmless = matches!(
            why,
            CloseReason::Stopping | CloseReason::Superseded | CloseReason::Full | CloseReason::Left
        );
        if !is_harmless {
            *self.last_unwilling() = Some(Instant::now());
            self.link(neighbour, |link| link.connect_failures.add(1));
        }
    }

    fn with(&self, other: &PeerRole) -> &Connections {
        match other {
            PeerRole::Client => &self.with_clients,
            PeerRole::Peer | PeerRole::Server(_) => &self.with_servers,
        }
    }

    fn link(&self, peer: &str, change: impl FnOnce(&LinkCounts)) {
        if let Some((_, link)) = self.linked().iter().find(|(name, _)| **name == *peer) {
            change(link);
            self.changed.send_replace(());
        }
    }

    /// Counts an event. `now` is called only for events that need the time.
    fn count(&self, what: &EventKind<'_>, now: impl Fn() -> Timestamp) {
        match what {
            EventKind::LineIn { .. } => self.lines_in.add(1),
            EventKind::LineOut { .. } => self.lines_out.add(1),
            EventKind::Accepted {
                from: Source::Client,
                ..
            } => self.client_lines[0].add(1),
            EventKind::Accepted {
                record,
                hops,
                from: Source::Server(_),
            } => {
                self.updates[0].add(1);
                self.hops.observe(u64::from(*hops).min(MOST_HOPS));
                let heard = heard(record);
                self.delay.observe(delay(heard, now()));
                self.hear_of(heard);
            }
            EventKind::Ignored {
                from: Source::Client,
                why,
                ..
            } => {
                self.client_lines[ignored(*why)].add(1);
            }
            EventKind::Ignored { record, why, .. } => {
                self.updates[ignored(*why)].add(1);
                // A client may have sent a newer update in the meantime, so an ignored record also
                // counts.
                if !self.knows_from_before.load(Ordering::Relaxed) {
                    self.hear_of(heard(record));
                }
            }
            EventKind::Refused { why } => self.client_lines[refused(*why)].add(1),
            EventKind::LookUp { .. } => self.client_lines[LOOKED_UP].add(1),
            EventKind::Expired { .. } => self.expired.add(1),
            EventKind::Forgotten { from: Some(_), .. } => self.updates[0].add(1),
            EventKind::Opened { conn, with, .. } => {
                self.with(with).opened.add(1);
                let dialled = match with {
                    PeerRole::Client => return,
                    PeerRole::Peer => None,
                    PeerRole::Server(name) => Some(Arc::clone(name)),
                };
                let linked = false;
                self.servers().insert(*conn, WithServer { dialled, linked });
            }
            EventKind::Closed { conn, why } => {
                let server = self.servers().remove(conn);
                let with = match &server {
                    Some(server) => {
                        self.closed(server, why);
                        &self.with_servers
                    }
                    None => &self.with_clients,
                };
                with.closed[reason(why)].add(1);
            }
            EventKind::HeldBack { limit, .. } => {
                let position = HOLD_BACK.iter().position(|known| known == limit);
                debug_assert!(position.is_some(), "`{limit}` is not counted");
                if let Some(position) = position {
                    self.held_back[position].add(1);
                }
            }
            EventKind::NotAccepted { with, why, .. } => {
                self.with(with).not_accepted[reason(why)].add(1);
            }
            EventKind::Loaded { records, .. } => {
                if *records > 0 {
                    self.knows_from_before.store(true, Ordering::Relaxed);
                }
                self.disk.count(what);
            }
            _ => self.count_link(what, now),
        }
    }

    fn count_link(&self, what: &EventKind<'_>, now: impl Fn() -> Timestamp) {
        match what {
            EventKind::Linked { peer } => {
                self.linked().push((Arc::clone(peer), Arc::default()));
                self.changed.send_replace(());
            }
            EventKind::Unlinked { peer } => {
                self.linked().retain(|(name, _)| name != peer);
                self.changed.send_replace(());
            }
            EventKind::ConnectFailed { to, .. } => {
                self.link(to, |link| link.connect_failures.add(1));
            }
            EventKind::LinkUp { peer, conn } => {
                if let Some(server) = self.servers().get_mut(conn) {
                    server.linked = true;
                }
                self.link(peer, |link| link.ups.add(1));
            }
            EventKind::Namesakes { mine, .. } => {
                self.namesakes.add(1);
                if *mine {
                    let mut last = self.namesake.lock().unwrap_or_else(PoisonError::into_inner);
                    *last = Some(Instant::now());
                }
            }
            EventKind::Unconfirmed { peer, records } => self.link(peer, |link| {
                link.unconfirmed.store(*records, Ordering::Relaxed);
            }),
            EventKind::LinkDown { peer, .. } => self.link(peer, |link| {
                link.downs.add(1);
                link.whole.store(0, Ordering::Relaxed);
            }),
            EventKind::Synchronised {
                peer,
                sent,
                received,
            } => self.link(peer, |link| {
                link.synchronisations.add(1);
                link.sent.add(*sent);
                link.received.add(*received);
                let now = i64::try_from(now().as_nanos()).unwrap_or(i64::MAX);
                link.last.store(now, Ordering::Relaxed);
                link.last_sent.store(*sent, Ordering::Relaxed);
                link.last_received.store(*received, Ordering::Relaxed);
                link.whole.store(1, Ordering::Relaxed);
            }),
            _ => self.disk.count(what),
        }
    }
}

/// The largest number of hops that is counted as it is. An update with a false number must not
/// spoil the sum of all others.
const MOST_HOPS: u64 = 1000;

/// The longest delay that is counted as it is, in nanoseconds. A record with a false time must not
/// spoil the sum of all others.
const LONGEST_DELAY: i128 = 24 * 3600 * 1_000_000_000;

/// The origin's clock when it received the client's line, in nanoseconds since 1970.
fn heard(record: &RecordText<'_>) -> i128 {
    let time = Timestamp::parse(&record.time.0).unwrap_or_default();
    let skew = Skew::parse(&record.skew.0).map_or(0, Skew::as_nanos);
    time.as_nanos() + skew
}

/// The clock `now` minus the origin's when it `heard` the client, in nanoseconds; 0 if this is
/// negative.
fn delay(heard: i128, now: Timestamp) -> u64 {
    let delay = now.as_nanos() - heard;
    u64::try_from(delay.clamp(0, LONGEST_DELAY)).unwrap_or_default()
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// A journal that counts events and passes them on.
pub struct Watched<N, J> {
    net: N,
    metrics: Arc<Metrics>,
    next: J,
}

impl<N: Net, J: Journal> Watched<N, J> {
    /// Counts events in `metrics` and passes them on to `next`.
    pub fn new(net: N, metrics: Arc<Metrics>, next: J) -> Self {
        Self { net, metrics, next }
    }
}

impl<N: Net, J: Journal> Journal for Watched<N, J> {
    fn open(&self, end: End, local: SocketAddr, remote: SocketAddr) -> ConnId {
        self.next.open(end, local, remote)
    }

    fn record(&self, cause: Option<EventId>, what: EventKind<'_>) -> EventId {
        self.metrics.count(&what, || self.net.now());
        self.next.record(cause, what)
    }

    fn answered(&self, how: Answered, answers: u64, took: Duration) {
        let histogram = match how {
            Answered::AtOnce => &self.metrics.at_once,
            Answered::LookedUp => &self.metrics.looked_up,
            Answered::Saved => &self.metrics.saved,
        };
        histogram.observe_many(nanos(took), answers);
    }

    fn saved(&self, took: Duration) {
        self.metrics.disk.saves.observe(nanos(took));
    }
}

#[cfg(all(test, feature = "threads"))]
mod threads;

#[cfg(test)]
mod tests;

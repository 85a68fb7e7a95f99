//! A server's events, added up. A count is an atomic; an event of a line costs one or two of them and no memory.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::LinkSeen;
use super::counts::{Count, Histogram, micros};
use super::outcomes::{LINES, LOOKED_UP, OUTCOMES, REASONS, ignored, reason, refused};
use crate::herd::Name;
use crate::journal::{
    Answered, CloseReason, ConnId, End, EventId, EventKind, Journal, PeerRole, RecordText, Source,
};
use crate::net::Net;
use crate::protocol::time::{Skew, Timestamp};
use crate::server::HOLD_BACK;

/// Connections with clients, or with servers.
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

/// What there was of a link.
#[derive(Debug, Default)]
pub(super) struct LinkCounts {
    pub(super) ups: Count,
    pub(super) downs: Count,
    pub(super) connect_failures: Count,
    pub(super) synchronisations: Count,
    pub(super) sent: Count,
    pub(super) received: Count,
    /// The last synchronisation: nanoseconds since 1970, and how many records it sent and brought.
    pub(super) last: AtomicI64,
    pub(super) last_sent: AtomicU64,
    pub(super) last_received: AtomicU64,
    /// Records that the neighbour did not confirm to have when this server stopped.
    pub(super) unconfirmed: AtomicU64,
    /// Whether it was synchronised since it came up.
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

/// A connection with a server.
#[derive(Debug)]
struct WithServer {
    /// Who was dialled, if this server did that.
    dialled: Option<Name>,
    /// A link was made of it.
    linked: bool,
}

/// How long a server that made no link counts against this one's readiness. Neighbours dial more often, unless they
/// are configured to be slower.
const LATELY: Duration = Duration::from_mins(1);

/// Of whatever somebody waits for.
const LATENCIES: [u64; 16] = micros([
    50, 100, 250, 500, 1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 2_500_000, 5_000_000,
]);

/// What a server's events add up to.
#[derive(Debug)]
pub struct Metrics {
    pub(super) started: Timestamp,
    /// By neighbour: those that there are.
    links: Mutex<Vec<(Name, Arc<LinkCounts>)>>,
    pub(super) lines_in: Count,
    pub(super) lines_out: Count,
    pub(super) client_lines: [Count; LINES.len()],
    pub(super) updates: [Count; OUTCOMES.len()],
    /// Answers to clients, in nanoseconds from when the line had come.
    pub(super) at_once: Histogram<16>,
    /// The same of answers that needed a request to Places.
    pub(super) looked_up: Histogram<16>,
    /// Look-ups, in nanoseconds.
    pub(super) places: Histogram<16>,
    pub(super) delay: Histogram<16>,
    pub(super) hops: Histogram<8>,
    pub(super) expired: Count,
    /// By the setting that holds back.
    pub(super) held_back: [Count; HOLD_BACK.len()],
    pub(super) with_clients: Connections,
    pub(super) with_servers: Connections,
    /// Those connections that are open and are with servers. Few, and of no interest to a line.
    servers: Mutex<BTreeMap<ConnId, WithServer>>,
    /// How often two servers of one name were met.
    pub(super) namesakes: Count,
    /// When this server last learned that another one has its name.
    namesake: Mutex<Option<Instant>>,
    /// When there last was a server there, and no link was made with it.
    unwilling: Mutex<Option<Instant>>,
    /// Changes with each event of a link.
    changed: watch::Sender<()>,
    /// A neighbour sent what was heard before this server started.
    knows_from_before: AtomicBool,
    /// It was ready, or had waited long enough to be.
    came_up: AtomicBool,
}

impl Metrics {
    /// Nothing has happened yet, and it is `started`.
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
            places: Histogram::new(LATENCIES),
            delay: Histogram::new(micros([
                100, 250, 500, 1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
                1_000_000, 2_500_000, 10_000_000, 60_000_000,
            ])),
            hops: Histogram::new([1, 2, 3, 4, 5, 6, 7, 8]),
            expired: Count::default(),
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

    /// From now on it counts as empty if no neighbour has sent it anything from before its start.
    pub fn come_up(&self) {
        self.came_up.store(true, Ordering::Relaxed);
    }

    /// A look-up took this long.
    pub(super) fn looked_up_in(&self, took: Duration) {
        self.places.observe(nanos(took));
    }

    /// A neighbour sent what a server heard then.
    fn hear_of(&self, heard: i128) {
        if heard < self.started.as_nanos() {
            self.knows_from_before.store(true, Ordering::Relaxed);
        }
    }

    /// Whether it came up, and no neighbour has sent it anything that a server heard before it started. What clients
    /// said since does not count: a herd that has lost all it knew hears of some clients at once.
    pub fn came_up_empty(&self) -> bool {
        self.came_up.load(Ordering::Relaxed) && !self.knows_from_before.load(Ordering::Relaxed)
    }

    /// How each link was so far.
    pub fn links(&self) -> Vec<LinkSeen> {
        let links = self.link_counts().into_iter();
        let seen = links.map(|(peer, counts)| LinkSeen {
            peer: peer.to_string(),
            up: counts.is_up(),
            synchronised: counts.synchronisations.get() > 0,
        });
        seen.collect()
    }

    /// What there was of the link with each neighbour.
    pub(super) fn link_counts(&self) -> Vec<(Name, Arc<LinkCounts>)> {
        self.linked().clone()
    }

    fn linked(&self) -> MutexGuard<'_, Vec<(Name, Arc<LinkCounts>)>> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes whenever something happens to a link.
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

    /// Whether a server was there lately and no link was made with it, whichever of the two did not want to.
    pub fn saw_unwilling(&self) -> bool {
        self.last_unwilling()
            .is_some_and(|last| last.elapsed() < LATELY)
    }

    /// Whether this server learned lately that another one has its name.
    pub fn has_namesake(&self) -> bool {
        let last = self.namesake.lock();
        let last = *last.unwrap_or_else(PoisonError::into_inner);
        last.is_some_and(|last| last.elapsed() < LATELY)
    }

    /// A connection with a server is no more.
    fn closed(&self, with: &WithServer, why: &CloseReason) {
        let in_vain = match (&with.dialled, why) {
            _ if with.linked => false,
            (
                _,
                CloseReason::Stopping
                | CloseReason::Superseded
                | CloseReason::Full
                | CloseReason::Left,
            ) => false,
            (Some(_), _) => true,
            // Anybody can connect and say nothing, or nonsense.
            (None, why) => matches!(why, CloseReason::Refused(_)),
        };
        if in_vain {
            *self.last_unwilling() = Some(Instant::now());
            if let Some(name) = &with.dialled {
                self.link(name, |link| link.connect_failures.add(1));
            }
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

    /// Adds an event; `now` is called only for those that need it.
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
                // What a client said meanwhile may be newer than what a neighbour sends.
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
            _ => {}
        }
    }
}

/// More count for these: an update that lies about its way must not spoil the sum of all others.
const MOST_HOPS: u64 = 1000;

/// More counts for this: a record that lies about its time must not spoil the sum of all others.
const LONGEST_DELAY: i128 = 24 * 3600 * 1_000_000_000;

/// The origin's clock when it heard the client, in nanoseconds since 1970.
fn heard(record: &RecordText<'_>) -> i128 {
    let time = Timestamp::parse(&record.time.0).unwrap_or_default();
    let skew = Skew::parse(&record.skew.0).map_or(0, Skew::as_nanos);
    time.as_nanos() + skew
}

/// This clock less the origin's when it `heard` the client, in nanoseconds; 0 if this clock is behind that one.
fn delay(heard: i128, now: Timestamp) -> u64 {
    let delay = now.as_nanos() - heard;
    u64::try_from(delay.clamp(0, LONGEST_DELAY)).unwrap_or_default()
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Adds events up, and passes them on.
pub struct Watched<N, J> {
    net: N,
    metrics: Arc<Metrics>,
    next: J,
}

impl<N: Net, J: Journal> Watched<N, J> {
    /// Adds what is recorded to `metrics` and passes it on to `next`.
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
        };
        histogram.observe_many(nanos(took), answers);
    }
}

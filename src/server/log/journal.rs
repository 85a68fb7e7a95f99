//! A server's events as lines of its logs.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tracing::Level;
use tracing::level_filters::LevelFilter;

use super::queue::Queue;
use super::quota::{Alike, Quota};
use crate::herd::Name;
use crate::journal::{CloseReason, ConnId, End, EventId, EventKind, Journal, PeerRole};
use crate::net::{Net, site};

/// Logs events with [`tracing`], and lines and links also in `log-NAME.txt`.
///
/// An event of a line costs a comparison if no log shows it. All events have the same id here,
/// because no log line refers to another event.
pub struct LogJournal<N> {
    net: N,
    server: Name,
    file: Option<Arc<Queue>>,
    connections: AtomicU64,
    state: Mutex<State>,
    whole: watch::Sender<bool>,
    quota: Arc<Quota>,
}

#[derive(Default)]
struct State {
    /// The number of links in the herd file.
    links: usize,
    open: BTreeMap<ConnId, Connection>,
    /// Neighbours that were unreachable since their last link. Only the first failure is logged at
    /// INFO.
    missed: BTreeSet<Name>,
    /// Neighbours that closed a connection before the handshake was complete, since their last
    /// link, with the reason. A repeated reason is not logged as a warning again.
    unwilling: BTreeMap<Name, String>,
    synchronised: BTreeSet<Name>,
}

/// The number of bytes at which a text in a log is cut: a peer chooses its name and its reasons for
/// refusing, so it could choose long ones.
const LONGEST: usize = 400;

struct Connection {
    remote: SocketAddr,
    with: Option<PeerRole>,
    /// The connection became a link.
    linked: bool,
}

/// The id of every event.
const SOME_EVENT: EventId = EventId(NonZeroU64::MIN);

impl<N: Net> LogJournal<N> {
    /// The journal of `server`, whose herd file gives it `links` links.
    pub fn new(net: N, server: Name, links: usize, file: Option<Arc<Queue>>) -> Self {
        Self {
            net,
            server,
            file,
            connections: AtomicU64::new(0),
            state: Mutex::new(State {
                links,
                ..State::default()
            }),
            whole: watch::Sender::new(links == 0),
            quota: Arc::default(),
        }
    }

    /// The limits on log lines that peers and clients can cause.
    pub fn quota(&self) -> Arc<Quota> {
        Arc::clone(&self.quota)
    }

    /// Whether all links are synchronised, as a value that can be watched.
    pub fn whole(&self) -> watch::Receiver<bool> {
        self.whole.subscribe()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Updates the state of connections and links.
    fn follow(&self, what: &EventKind<'_>) {
        match what {
            EventKind::Opened { conn, with, .. } => {
                if let Some(connection) = self.state().open.get_mut(conn) {
                    connection.with = Some(with.clone());
                }
            }
            EventKind::LinkUp { peer, conn } => {
                let mut state = self.state();
                state.missed.remove(peer);
                state.unwilling.remove(peer);
                if let Some(connection) = state.open.get_mut(conn) {
                    connection.with = Some(PeerRole::Server(Arc::clone(peer)));
                    connection.linked = true;
                }
            }
            EventKind::Synchronised { peer, .. } => self.relate(|state| {
                state.synchronised.insert(Arc::clone(peer));
            }),
            EventKind::LinkDown { peer, .. } => self.relate(|state| {
                state.synchronised.remove(peer);
            }),
            EventKind::Linked { .. } => self.relate(|state| state.links += 1),
            EventKind::Unlinked { peer } => self.relate(|state| {
                state.links -= 1;
                state.synchronised.remove(peer);
                state.missed.remove(peer);
                state.unwilling.remove(peer);
            }),
            _ => {}
        }
    }

    /// Changes the state of links, then publishes whether all are synchronised.
    fn relate(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state();
        change(&mut state);
        self.whole
            .send_replace(state.synchronised.len() == state.links);
    }

    /// The level of an event. An event that others can cause as often as they like is lowered to
    /// DEBUG beyond its quota.
    fn level(&self, what: &EventKind<'_>) -> Level {
        let level = self.level_of_one(what);
        if level > Level::INFO {
            return level;
        }
        let now = || self.net.now().as_nanos();
        let alike = self.alike(what);
        if alike.is_none_or(|alike| self.quota.takes(alike, now())) {
            level
        } else {
            Level::DEBUG
        }
    }

    fn level_of_one(&self, what: &EventKind<'_>) -> Level {
        match what {
            EventKind::Started { .. }
            | EventKind::Stopped
            | EventKind::Forgotten { from: None, .. }
            | EventKind::Linked { .. }
            | EventKind::Unlinked { .. }
            | EventKind::Loaded { .. }
            | EventKind::SavesAgain
            | EventKind::LinkUp { .. }
            | EventKind::Synchronised { .. }
            | EventKind::LinkDown {
                why: CloseReason::Stopping | CloseReason::Left,
                ..
            } => Level::INFO,
            EventKind::LinkDown { .. }
            | EventKind::NotAccepted { .. }
            | EventKind::HeldBack { .. }
            | EventKind::Unconfirmed { .. }
            | EventKind::Damaged { .. }
            | EventKind::NotCompacted { .. }
            | EventKind::Namesakes { .. } => Level::WARN,
            EventKind::SaveFailed { .. } => Level::ERROR,
            // Only the end that dialled knows the other server's name before the handshake is
            // complete.
            EventKind::Closed { conn, why } if let Some(unwilling) = self.unwilling(*conn, why) => {
                if unwilling {
                    Level::WARN
                } else {
                    Level::DEBUG
                }
            }
            EventKind::Closed {
                conn,
                why: CloseReason::Refused(_) | CloseReason::NoHello | CloseReason::Protocol(_),
            } if self.is_peer(*conn) => Level::WARN,
            EventKind::ConnectFailed { to, .. } if self.misses(to) => Level::INFO,
            EventKind::LineIn { .. }
            | EventKind::LineOut { .. }
            | EventKind::Restored { .. }
            | EventKind::Saved { .. } => Level::TRACE,
            _ => Level::DEBUG,
        }
    }

    /// The class of events that are counted together with this one. It is `None` for events that
    /// only this server causes.
    fn alike(&self, what: &EventKind<'_>) -> Option<Alike> {
        let about = |name: &str, what: &str| Alike {
            what: what.to_owned(),
            whom: name.to_owned(),
            is_stranger: false,
        };
        Some(match what {
            EventKind::LinkUp { peer, .. } => about(peer, "link is up"),
            EventKind::LinkDown { peer, .. } => about(peer, "link is down"),
            EventKind::Synchronised { peer, .. } => about(peer, "synchronised"),
            EventKind::ConnectFailed { to, .. } => about(to, "can't connect"),
            EventKind::Namesakes { name, .. } => about(name, "two servers of one name"),
            // A disk that comes and goes causes these again and again.
            EventKind::SaveFailed { .. } => about(&self.server, "can't write to its disk"),
            EventKind::SavesAgain => about(&self.server, "writes to its disk again"),
            EventKind::NotCompacted { .. } => about(&self.server, "can't write a snapshot"),
            EventKind::NotAccepted { with, why, from } => Alike {
                what: format!("does not take a connection of {with}: {why}"),
                whom: from.map_or_else(|| "wherever it is from".to_owned(), from_where),
                is_stranger: true,
            },
            EventKind::HeldBack { conn, limit } => Alike {
                what: format!("lets a connection wait: `{limit}`"),
                whom: from_where(self.state().open.get(conn)?.remote.ip()),
                is_stranger: true,
            },
            EventKind::Closed { conn, why } => {
                let what = match why {
                    CloseReason::Refused(_) => "refused",
                    CloseReason::Protocol(_) => "protocol error",
                    CloseReason::NoHello => "no HELLO in time",
                    _ => "closed",
                };
                match self.state().open.get(conn) {
                    Some(Connection {
                        with: Some(PeerRole::Server(name)),
                        ..
                    }) => about(name, what),
                    Some(Connection { remote, .. }) => Alike {
                        what: what.to_owned(),
                        whom: from_where(remote.ip()),
                        is_stranger: true,
                    },
                    None => return None,
                }
            }
            _ => return None,
        })
    }

    /// Logs how many lines were left out since the last such report.
    fn sum_up(&self) {
        sum_up(&self.server, &self.quota);
    }

    /// Whether this is the first failed connect to a neighbour since their last link.
    fn misses(&self, neighbour: &Name) -> bool {
        self.state().missed.insert(Arc::clone(neighbour))
    }

    /// Whether a neighbour closed a connection before it became a link, for a new reason. It is
    /// `None` for all other connections.
    fn unwilling(&self, conn: ConnId, why: &CloseReason) -> Option<bool> {
        let mut state = self.state();
        let Some(Connection {
            with: Some(PeerRole::Server(peer)),
            linked: false,
            ..
        }) = state.open.get(&conn)
        else {
            return None;
        };
        if matches!(why, CloseReason::Stopping | CloseReason::Left) {
            return None;
        }
        let (peer, why) = (Arc::clone(peer), why.to_string());
        let before = state.unwilling.insert(peer, why.clone());
        Some(before.is_none_or(|before| before != why))
    }

    fn is_peer(&self, conn: ConnId) -> bool {
        let state = self.state();
        let with = state
            .open
            .get(&conn)
            .and_then(|connection| connection.with.as_ref());
        matches!(with, Some(PeerRole::Peer | PeerRole::Server(_)))
    }

    /// Logs an event with `tracing`.
    fn trace(&self, what: &EventKind<'_>) {
        let server = &*self.server;
        let conn = connection(what).map(|ConnId(number)| number);
        match self.level(what) {
            Level::ERROR => tracing::error!(server, conn, "{what}"),
            Level::WARN => self.warn(what),
            Level::INFO => tracing::info!(server, conn, "{}", cut(what.to_string())),
            Level::DEBUG => tracing::debug!(server, conn, "{what}"),
            Level::TRACE => tracing::trace!(server, conn, "{what}"),
        }
    }

    /// Logs a warning with the address of the connection's peer, since an operator needs that to
    /// find it.
    fn warn(&self, what: &EventKind<'_>) {
        let (server, conn) = (&*self.server, connection(what));
        let with = conn.map(|conn| self.other(conn));
        let hint = match what {
            EventKind::Closed {
                why: CloseReason::Ended,
                ..
            } => ": it did not greet; it may want TLS or a secret, or be no server of this herd"
                .into(),
            EventKind::Namesakes {
                mine: true, linked, ..
            } => format!(
                ": this server is refused, boot {linked} is another one: end one of the two"
            )
            .into(),
            EventKind::Namesakes {
                linked_by, conn, ..
            } => {
                let linked =
                    linked_by.map_or_else(|| "out of reach now".into(), |conn| self.other(conn));
                let refused = self.other(*conn);
                Cow::from(format!(
                    ". The first is {linked}, the second {refused}: end one of the two"
                ))
            }
            _ => Cow::from(""),
        };
        let conn = conn.map(|ConnId(number)| number);
        tracing::warn!(server, conn, with, "{}{hint}", cut(what.to_string()));
    }

    /// Writes an event to `log-NAME.txt`: all lines in and out, and the links with other servers as
    /// they go up and down.
    fn write(&self, file: &Queue, what: &EventKind<'_>) {
        match what {
            EventKind::LineIn { conn, line } => {
                self.note(file, "input from", &self.other(*conn), line);
            }
            EventKind::LineOut { conn, line } => {
                self.note(file, "output to", &self.other(*conn), line);
            }
            EventKind::LinkUp { peer, .. } => self.note(file, "connected with", peer, &"link up"),
            EventKind::Unconfirmed { peer, .. } => {
                self.note(file, "no confirmation of", peer, what);
            }
            EventKind::LinkDown { peer, why } => self.note(file, "dropped", peer, why),
            EventKind::ConnectFailed { to, why } => self.note(file, "no connection with", to, why),
            EventKind::Closed { conn, why } if self.is_peer(*conn) => {
                self.note(file, "closed", &self.other(*conn), why);
            }
            EventKind::Started { .. }
            | EventKind::Stopped
            | EventKind::Forgotten { .. }
            | EventKind::Loaded { .. }
            | EventKind::Damaged { .. }
            | EventKind::NotCompacted { .. }
            | EventKind::SaveFailed { .. }
            | EventKind::SavesAgain
            | EventKind::Linked { .. }
            | EventKind::Unlinked { .. } => {
                self.note(file, "server", &self.server, what);
            }
            _ => {}
        }
    }

    fn note(&self, file: &Queue, what: &str, whom: &dyn Display, text: &dyn Display) {
        let now = self.net.now();
        file.put(format!("{now} {what} {whom}: {text}\n").into_bytes());
    }

    /// The peer of a connection, for people: its role and address as far as known.
    fn other(&self, conn: ConnId) -> String {
        let state = self.state();
        match state.open.get(&conn) {
            Some(Connection {
                remote,
                with: Some(with),
                ..
            }) => format!("{with} ({remote})"),
            Some(Connection {
                remote, with: None, ..
            }) => remote.to_string(),
            None => "somebody".to_owned(),
        }
    }
}

/// Logs how many lines the quota left out since the last such report.
pub fn sum_up(server: &str, quota: &Quota) {
    for line in quota.sum_up() {
        tracing::warn!(server, "{line}");
    }
}

fn from_where(address: IpAddr) -> String {
    format!("from {}", site(address))
}

/// Truncates a text that is too long for a log at a character boundary, and appends `…`.
fn cut(mut text: String) -> String {
    if text.len() > LONGEST {
        let end = text.floor_char_boundary(LONGEST);
        text.truncate(end);
        text.push('…');
    }
    text
}

/// Whether an event belongs to a single line, or to a record on disk. Nearly all events do, and they
/// change no state of connections and links here.
const fn is_of_a_line(what: &EventKind<'_>) -> bool {
    matches!(
        what,
        EventKind::LineIn { .. }
            | EventKind::LineOut { .. }
            | EventKind::Accepted { .. }
            | EventKind::Ignored { .. }
            | EventKind::Restored { .. }
            | EventKind::Saved { .. }
    )
}

/// The connection of an event.
const fn connection(what: &EventKind<'_>) -> Option<ConnId> {
    match what {
        EventKind::Opened { conn, .. }
        | EventKind::Closed { conn, .. }
        | EventKind::HeldBack { conn, .. }
        | EventKind::LineIn { conn, .. }
        | EventKind::LineOut { conn, .. }
        | EventKind::Namesakes { conn, .. }
        | EventKind::LinkUp { conn, .. } => Some(*conn),
        _ => None,
    }
}

impl<N: Net> Journal for LogJournal<N> {
    fn open(&self, _: End, _: SocketAddr, remote: SocketAddr) -> ConnId {
        let conn = ConnId(self.connections.fetch_add(1, Ordering::Relaxed) + 1);
        let connection = Connection {
            remote,
            with: None,
            linked: false,
        };
        self.state().open.insert(conn, connection);
        conn
    }

    fn record(&self, _: Option<EventId>, what: EventKind<'_>) -> EventId {
        if self.file.is_none() && LevelFilter::current() < Level::DEBUG && is_of_a_line(&what) {
            return SOME_EVENT;
        }
        self.follow(&what);
        if matches!(what, EventKind::Stopped) {
            self.sum_up();
        }
        self.trace(&what);
        if let Some(file) = &self.file {
            self.write(file, &what);
        }
        if let EventKind::Closed { conn, .. } = what {
            self.state().open.remove(&conn);
        }
        SOME_EVENT
    }
}

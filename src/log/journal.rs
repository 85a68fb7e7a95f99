//! A server's events as lines of its logs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tracing::Level;

use super::queue::Queue;
use crate::herd::Name;
use crate::journal::{ConnId, End, EventId, Journal, Other, What, Why};
use crate::net::Net;

/// Tells events to [`tracing`], and lines and links to `log-NAME.txt`.
///
/// Where nobody listens an event costs a comparison. Events have no numbers here: nothing in a log refers to another
/// event.
pub struct LogJournal<N> {
    net: N,
    server: Name,
    file: Option<Arc<Queue>>,
    connections: AtomicU64,
    state: Mutex<State>,
    whole: watch::Sender<bool>,
}

#[derive(Default)]
struct State {
    /// How many links there are to be.
    links: usize,
    open: BTreeMap<ConnId, Connection>,
    /// Neighbours that could not be reached since they last were: that is said once.
    missed: BTreeSet<Name>,
    /// Connections could not be accepted since one last was: that, too.
    refusing: bool,
    synchronised: BTreeSet<Name>,
    strangers: Strangers,
}

/// What was said lately of connections on which no server of this herd spoke.
#[derive(Default)]
struct Strangers {
    /// In this second of the clock
    second: i128,
    /// so many warnings were logged,
    logged: usize,
    /// and since the last one that was, so many were not.
    left_out: u64,
}

/// So many warnings of strangers are logged within a second.
const MOST_WARNINGS: usize = 10;

struct Connection {
    remote: SocketAddr,
    with: Option<Other>,
}

/// Every event has this number.
const SOME_EVENT: EventId = EventId(NonZeroU64::MIN);

impl<N: Net> LogJournal<N> {
    /// The journal of `server`, which begins with so many `links`.
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
        }
    }

    /// Says whether all links are synchronised.
    pub fn whole(&self) -> watch::Receiver<bool> {
        self.whole.subscribe()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps up with who is at the other end, and which links are whole.
    fn follow(&self, what: &What<'_>) {
        match what {
            What::Opened { conn, with, .. } => {
                let mut state = self.state();
                state.refusing = false;
                if let Some(connection) = state.open.get_mut(conn) {
                    connection.with = Some(with.clone());
                }
            }
            What::LinkUp { peer, conn } => {
                let mut state = self.state();
                state.missed.remove(peer);
                if let Some(connection) = state.open.get_mut(conn) {
                    connection.with = Some(Other::Server(Arc::clone(peer)));
                }
            }
            What::Synchronised { peer, .. } => self.relate(|state| {
                state.synchronised.insert(Arc::clone(peer));
            }),
            What::LinkDown { peer, .. } => self.relate(|state| {
                state.synchronised.remove(peer);
            }),
            What::Linked { .. } => self.relate(|state| state.links += 1),
            What::Unlinked { peer } => self.relate(|state| {
                state.links -= 1;
                state.synchronised.remove(peer);
                state.missed.remove(peer);
            }),
            _ => {}
        }
    }

    /// Changes what is known of links, and sees whether all are whole now.
    fn relate(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state();
        change(&mut state);
        self.whole
            .send_replace(state.synchronised.len() == state.links);
    }

    fn level(&self, what: &What<'_>) -> Level {
        match what {
            What::Started { .. }
            | What::Stopped
            | What::Linked { .. }
            | What::Unlinked { .. }
            | What::LinkUp { .. }
            | What::Synchronised { .. }
            | What::LinkDown {
                why: Why::Stopping, ..
            } => Level::INFO,
            What::LinkDown { .. } => Level::WARN,
            What::Closed {
                conn,
                why: Why::Refused(_) | Why::NoHello | Why::Protocol(_),
            } if self.is_peer(*conn) && self.warns_of_strangers() => Level::WARN,
            What::NotAccepted { .. } if self.begins_to_refuse() => Level::WARN,
            What::ConnectFailed { to, .. } if self.misses(to) => Level::INFO,
            What::LineIn { .. } | What::LineOut { .. } => Level::TRACE,
            _ => Level::DEBUG,
        }
    }

    /// Whether it is the first time since this neighbour was last reached that it can't be.
    fn misses(&self, neighbour: &Name) -> bool {
        self.state().missed.insert(Arc::clone(neighbour))
    }

    /// Whether it is the first time since a connection was last accepted that one is not. Whoever floods the listener
    /// must not flood the log.
    fn begins_to_refuse(&self) -> bool {
        !std::mem::replace(&mut self.state().refusing, true)
    }

    /// Whether a warning of a stranger is to be logged. Whoever connects thousands of times a second must not fill the disk.
    fn warns_of_strangers(&self) -> bool {
        let second = self.net.now().as_nanos() / 1_000_000_000;
        let mut state = self.state();
        let strangers = &mut state.strangers;
        if strangers.second != second {
            (strangers.second, strangers.logged) = (second, 0);
        }
        if strangers.logged == MOST_WARNINGS {
            strangers.left_out += 1;
            return false;
        }
        strangers.logged += 1;
        let left_out = std::mem::take(&mut strangers.left_out);
        drop(state);
        if left_out > 0 {
            let server = &*self.server;
            tracing::warn!(server, "{left_out} warnings as the next one were left out");
        }
        true
    }

    fn is_peer(&self, conn: ConnId) -> bool {
        let state = self.state();
        let with = state
            .open
            .get(&conn)
            .and_then(|connection| connection.with.as_ref());
        matches!(with, Some(Other::Peer | Other::Server(_)))
    }

    /// Tells `tracing`.
    fn trace(&self, what: &What<'_>) {
        let server = &*self.server;
        let conn = connection(what).map(|ConnId(number)| number);
        match self.level(what) {
            Level::ERROR => tracing::error!(server, conn, "{what}"),
            Level::WARN => tracing::warn!(server, conn, "{what}"),
            Level::INFO => tracing::info!(server, conn, "{what}"),
            Level::DEBUG => tracing::debug!(server, conn, "{what}"),
            Level::TRACE => tracing::trace!(server, conn, "{what}"),
        }
    }

    /// Tells `log-NAME.txt`: all input and output, and connections with other servers made and dropped.
    fn write(&self, file: &Queue, what: &What<'_>) {
        match what {
            What::LineIn { conn, line } => self.note(file, "input from", &self.other(*conn), line),
            What::LineOut { conn, line } => self.note(file, "output to", &self.other(*conn), line),
            What::LinkUp { peer, .. } => self.note(file, "connected with", peer, &"link up"),
            What::LinkDown { peer, why } => self.note(file, "dropped", peer, why),
            What::ConnectFailed { to, why } => self.note(file, "no connection with", to, why),
            What::Closed { conn, why } if self.is_peer(*conn) => {
                self.note(file, "closed", &self.other(*conn), why);
            }
            What::Started { .. } | What::Stopped | What::Linked { .. } | What::Unlinked { .. } => {
                self.note(file, "server", &self.server, what);
            }
            _ => {}
        }
    }

    fn note(&self, file: &Queue, what: &str, whom: &dyn Display, text: &dyn Display) {
        let now = self.net.now();
        file.put(format!("{now} {what} {whom}: {text}\n").into_bytes());
    }

    /// Who is at the other end of a connection.
    fn other(&self, conn: ConnId) -> String {
        let state = self.state();
        match state.open.get(&conn) {
            Some(Connection {
                remote,
                with: Some(with),
            }) => format!("{with} ({remote})"),
            Some(Connection { remote, with: None }) => remote.to_string(),
            None => "somebody".to_owned(),
        }
    }
}

/// The connection that an event is about.
const fn connection(what: &What<'_>) -> Option<ConnId> {
    match what {
        What::Opened { conn, .. }
        | What::Closed { conn, .. }
        | What::LineIn { conn, .. }
        | What::LineOut { conn, .. }
        | What::LinkUp { conn, .. } => Some(*conn),
        _ => None,
    }
}

impl<N: Net> Journal for LogJournal<N> {
    fn open(&self, _: End, _: SocketAddr, remote: SocketAddr) -> ConnId {
        let conn = ConnId(self.connections.fetch_add(1, Ordering::Relaxed) + 1);
        let connection = Connection { remote, with: None };
        self.state().open.insert(conn, connection);
        conn
    }

    fn record(&self, _: Option<EventId>, what: What<'_>) -> EventId {
        self.follow(&what);
        self.trace(&what);
        if let Some(file) = &self.file {
            self.write(file, &what);
        }
        if let What::Closed { conn, .. } = what {
            self.state().open.remove(&conn);
        }
        SOME_EVENT
    }
}

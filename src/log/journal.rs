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
    /// Neighbours that took a connection and made no link of it since they last made one, and why: that is said once, too.
    unwilling: BTreeMap<Name, String>,
    /// Connections could not be accepted since one last was: that, too.
    refusing: bool,
    synchronised: BTreeSet<Name>,
    strangers: Few,
    crowds: Few,
}

/// Warnings that others can bring about as often as they like. Whoever connects thousands of times a second must not fill
/// the disk.
#[derive(Default)]
struct Few {
    /// In this second of the clock
    second: i128,
    /// so many warnings were logged,
    logged: usize,
    /// and since the last one that was, so many were not.
    left_out: u64,
}

impl Few {
    /// Whether one more is to be logged, and how many were not before it.
    fn one_more(&mut self, second: i128) -> Option<u64> {
        if self.second != second {
            (self.second, self.logged) = (second, 0);
        }
        if self.logged == MOST_WARNINGS {
            self.left_out += 1;
            return None;
        }
        self.logged += 1;
        Some(std::mem::take(&mut self.left_out))
    }
}

/// So many warnings of strangers are logged within a second, and of clients that are too many.
const MOST_WARNINGS: usize = 10;

struct Connection {
    remote: SocketAddr,
    with: Option<Other>,
    /// A link was made of it.
    linked: bool,
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
                state.unwilling.remove(peer);
                if let Some(connection) = state.open.get_mut(conn) {
                    connection.with = Some(Other::Server(Arc::clone(peer)));
                    connection.linked = true;
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
                state.unwilling.remove(peer);
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
            // Only who dials knows by then whom it has to do with.
            What::Closed { conn, why } if let Some(unwilling) = self.unwilling(*conn, why) => {
                if unwilling {
                    Level::WARN
                } else {
                    Level::DEBUG
                }
            }
            What::Closed {
                conn,
                why: Why::Refused(_) | Why::NoHello | Why::Protocol(_),
            } if self.is_peer(*conn) && self.warns(|state| &mut state.strangers) => Level::WARN,
            What::NotAccepted { .. }
                if self.begins_to_refuse() && self.warns(|state| &mut state.crowds) =>
            {
                Level::WARN
            }
            What::ConnectFailed { to, .. } if self.misses(to) => Level::INFO,
            What::LineIn { .. } | What::LineOut { .. } => Level::TRACE,
            _ => Level::DEBUG,
        }
    }

    /// Whether it is the first time since this neighbour was last reached that it can't be.
    fn misses(&self, neighbour: &Name) -> bool {
        self.state().missed.insert(Arc::clone(neighbour))
    }

    /// Of a connection to a neighbour of which no link was made, whether that is news.
    fn unwilling(&self, conn: ConnId, why: &Why) -> Option<bool> {
        let mut state = self.state();
        let Some(Connection {
            with: Some(Other::Server(peer)),
            linked: false,
            ..
        }) = state.open.get(&conn)
        else {
            return None;
        };
        if *why == Why::Stopping {
            return None;
        }
        let (peer, why) = (Arc::clone(peer), why.to_string());
        let before = state.unwilling.insert(peer, why.clone());
        Some(before.is_none_or(|before| before != why))
    }

    /// Whether it is the first time since a connection was last accepted that one is not.
    fn begins_to_refuse(&self) -> bool {
        !std::mem::replace(&mut self.state().refusing, true)
    }

    /// Whether one more warning of a kind is to be logged now.
    fn warns(&self, kind: fn(&mut State) -> &mut Few) -> bool {
        let second = self.net.now().as_nanos() / 1_000_000_000;
        let left_out = kind(&mut self.state()).one_more(second);
        if let Some(left_out @ 1..) = left_out {
            let server = &*self.server;
            tracing::warn!(server, "{left_out} warnings as the next one were left out");
        }
        left_out.is_some()
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
            Level::WARN => self.warn(what),
            Level::INFO => tracing::info!(server, conn, "{what}"),
            Level::DEBUG => tracing::debug!(server, conn, "{what}"),
            Level::TRACE => tracing::trace!(server, conn, "{what}"),
        }
    }

    /// A warning also says whom a connection is with, since somebody will want to find them.
    fn warn(&self, what: &What<'_>) {
        let (server, conn) = (&*self.server, connection(what));
        let with = conn.map(|conn| self.other(conn));
        let hint = match what {
            What::Closed {
                why: Why::Ended, ..
            } => ": it did not greet; it may want TLS or a secret, or be no server of this herd",
            _ => "",
        };
        let conn = conn.map(|ConnId(number)| number);
        tracing::warn!(server, conn, with, "{what}{hint}");
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
                ..
            }) => format!("{with} ({remote})"),
            Some(Connection {
                remote, with: None, ..
            }) => remote.to_string(),
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
        let connection = Connection {
            remote,
            with: None,
            linked: false,
        };
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

//! A server's events for a harness that runs it: the last ones, by number, until they are fetched.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use crate::herd::Name;
use crate::journal::{Actor, Answered, ConnId, End, Event, EventId, EventKind, Journal};
use crate::net::Net;

/// The path at which events are fetched.
pub const JOURNAL: &str = "/journal";

/// The number of bytes of an answer after which no further event is added to it.
const ANSWER: usize = 1 << 20;

/// How long a server that has stopped waits until its last events are fetched.
const LINGER: Duration = Duration::from_secs(1);

/// How often it looks.
const LOOK: Duration = Duration::from_millis(5);

/// A line of what is fetched.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "journal", rename_all = "kebab-case")]
pub enum JournalLine {
    /// An event. Its time is in nanoseconds since 1970, its connection a number of this server.
    Event(Event),
    /// A connection opened, before any event names it.
    Connection {
        /// Its number.
        conn: ConnId,
        /// Which end this server has.
        end: End,
        /// The address of this end.
        local: SocketAddr,
        /// The address of the other end.
        remote: SocketAddr,
    },
    /// Where to go on, after all other lines.
    Next {
        /// What to ask for next.
        after: u64,
        /// How many lines were dropped since what was asked for, because nobody fetched them in time.
        dropped: u64,
    },
}

/// The last events of a server, and connections that opened.
#[derive(Debug)]
pub struct KeptEvents {
    most: usize,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    lines: VecDeque<String>,
    /// How many lines came before those that are kept.
    before: u64,
    events: u64,
    /// How many lines somebody has.
    fetched: u64,
}

impl KeptEvents {
    /// Keeps up to `most` lines.
    pub fn new(most: usize) -> Self {
        Self {
            most: most.max(1),
            inner: Mutex::default(),
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The lines after the first `after` ones, as far as an answer has room for them.
    pub fn lines_after(&self, after: u64) -> String {
        let mut inner = self.inner();
        // Who asks for what follows has what came before.
        inner.fetched = inner.fetched.max(after);
        let first = after.max(inner.before);
        let mut text = String::new();
        let mut next = first;
        let skipped = usize::try_from(first - inner.before).unwrap_or(usize::MAX);
        for line in inner.lines.iter().skip(skipped) {
            text.push_str(line);
            next += 1;
            if text.len() > ANSWER {
                break;
            }
        }
        let dropped = first - after.min(first);
        let end = JournalLine::Next {
            after: next,
            dropped,
        };
        push(&mut text, &end);
        text
    }

    /// Waits until somebody has all lines, but no longer than a harness takes that is there.
    pub async fn until_fetched(&self) {
        let until = Instant::now() + LINGER;
        let is_fetched = || {
            let inner = self.inner();
            inner.fetched >= inner.before + inner.lines.len() as u64
        };
        while !is_fetched() && Instant::now() < until {
            sleep(LOOK).await;
        }
    }

    fn keep(&self, inner: &mut Inner, line: &JournalLine) {
        if inner.lines.len() == self.most {
            inner.lines.pop_front();
            inner.before += 1;
        }
        let mut text = String::new();
        push(&mut text, line);
        inner.lines.push_back(text);
    }
}

fn push(text: &mut String, line: &JournalLine) {
    // No line has a map whose keys are not strings, so this can't fail.
    let json = serde_json::to_string(line).unwrap_or_default();
    let _ = writeln!(text, "{json}");
}

/// A journal that also keeps events if there is something to keep them in, and passes them on.
pub struct Keeping<N, J> {
    net: N,
    server: Name,
    kept: Option<Arc<KeptEvents>>,
    next: J,
}

impl<N: Net, J: Journal> Keeping<N, J> {
    /// Keeps the events of `server` in `kept`, and passes them on to `next`.
    pub fn new(net: N, server: Name, kept: Option<Arc<KeptEvents>>, next: J) -> Self {
        Self {
            net,
            server,
            kept,
            next,
        }
    }
}

impl<N: Net, J: Journal> Journal for Keeping<N, J> {
    fn open(&self, end: End, local: SocketAddr, remote: SocketAddr) -> ConnId {
        let conn = self.next.open(end, local, remote);
        if let Some(kept) = &self.kept {
            let line = JournalLine::Connection {
                conn,
                end,
                local,
                remote,
            };
            kept.keep(&mut kept.inner(), &line);
        }
        conn
    }

    fn record(&self, cause: Option<EventId>, what: EventKind<'_>) -> EventId {
        let Some(kept) = &self.kept else {
            return self.next.record(cause, what);
        };
        let mut inner = kept.inner();
        inner.events += 1;
        let id = EventId(NonZeroU64::new(inner.events).unwrap_or(NonZeroU64::MIN));
        // The clock is read inside of the lock, so that times have the order of events.
        let at = u64::try_from(self.net.now().as_nanos()).unwrap_or(0);
        let event = Event {
            id,
            at,
            who: Actor::Server(self.server.clone()),
            cause,
            what: what.clone().into_owned(),
        };
        kept.keep(&mut inner, &JournalLine::Event(event));
        drop(inner);
        // Its logs give all events one number; causes need those of here.
        self.next.record(cause, what);
        id
    }

    fn answered(&self, how: Answered, answers: u64, took: Duration) {
        self.next.answered(how, answers, took);
    }

    fn saved(&self, took: Duration) {
        self.next.saved(took);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::NullJournal;
    use crate::net::tokio::TokioNet;

    fn lines(text: &str) -> Vec<JournalLine> {
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
        lines.collect()
    }

    #[test]
    fn events_are_fetched_by_number_and_what_was_dropped_is_told() {
        let kept = Arc::new(KeptEvents::new(3));
        let journal = Keeping::new(TokioNet, "A".into(), Some(Arc::clone(&kept)), NullJournal);
        let at = SocketAddr::from(([127, 0, 0, 1], 7));
        let conn = journal.open(End::Acceptor, at, at);
        let first = journal.record(None, EventKind::Stopping);
        let second = journal.record(Some(first), EventKind::Stopped);
        assert_ne!(first, second);
        let all = lines(&kept.lines_after(0));
        assert!(matches!(all[0], JournalLine::Connection { conn: it, .. } if it == conn));
        let JournalLine::Event(event) = &all[2] else {
            panic!("{all:?}");
        };
        assert_eq!((event.id, event.cause), (second, Some(first)));
        assert!(matches!(
            all[3],
            JournalLine::Next {
                after: 3,
                dropped: 0
            }
        ));
        assert_eq!(lines(&kept.lines_after(3)).len(), 1);
        journal.record(None, EventKind::Stopped);
        let all = lines(&kept.lines_after(0));
        assert!(matches!(
            all[3],
            JournalLine::Next {
                after: 4,
                dropped: 1
            }
        ));
        let rest = lines(&kept.lines_after(2));
        assert!(matches!(
            rest[2],
            JournalLine::Next {
                after: 4,
                dropped: 0
            }
        ));
    }
}

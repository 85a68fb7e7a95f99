//! Whether set reconciliation comes to an end: how often it begins, and how often it sends the same.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::sends::was_asked_for;
use super::stores::Stores;
use super::{Finding, Run, shown};
use crate::journal::{Actor, ConnId, Event, EventId, EventKind, PeerRole, RecordText};
use crate::protocol::peer::PeerLine;
use crate::trace::state::Held;

/// From this number of clients on a round may leave sets uncompared, so that another one follows
/// (`SyncBounds`): every set that is cut up or listed has fewer records than that, so no bound is
/// met before.
const FEW: usize = 1024;

/// A connection between two servers, as one of them sees it.
#[derive(Default)]
struct Session<'a> {
    /// Whether this end dialled, and so begins the first round.
    dialled: bool,
    peer: Option<&'a Arc<str>>,
    /// The rounds that each end began: digests of everything, said and heard.
    begun: u32,
    heard: u32,
    /// By each `ROOT` that was heard: when the one before it was sent. What it causes may be written when later ones
    /// are heard, since all that is there is read first.
    roots: BTreeMap<EventId, EventId>,
    /// When the last of them was sent, and how many there were.
    last_root: Option<EventId>,
    root_count: u32,
    /// How often each update was sent because the neighbour's queries showed that it lacks it.
    given: BTreeMap<(Vec<u8>, u32), u32>,
}

struct Rounds<'a> {
    run: &'a Run<'a>,
    stores: Stores<'a>,
    sessions: BTreeMap<(&'a str, ConnId), Session<'a>>,
    /// Connections on which a scenario speaks by hand: who does may ask for the same as often as it likes, and what a
    /// server of its name holds says nothing of what it does.
    by_hand: BTreeSet<ConnId>,
    /// The event that last changed what each server holds.
    changed: BTreeMap<&'a str, EventId>,
    found: Vec<Finding>,
}

/// The bounds on set reconciliation, for each connection and each of its ends:
///
/// - An end begins a round when the link comes up, if it dialled, and one for every two `ROOT`s
///   that it hears, since two in a row must differ. (With many clients, a round that met a bound is
///   followed by another, and this is not judged.)
/// - An end begins no round by a `ROOT` while it and its neighbour hold the same records, and have
///   done so since the `ROOT` before it was sent.
/// - What an end sends because its neighbour's queries showed a lack, it sends at most once for
///   each round that either end began: in a round every client is in one set that is compared to
///   the end, but rounds of both ends may cross.
///
/// So a link on which nothing changes has heartbeats alone, and the messages for an update are
/// bounded by how often links came up and found a difference.
pub(super) fn reconciliation_bounded(run: &Run<'_>) -> Vec<Finding> {
    let mut rounds = Rounds {
        run,
        stores: Stores::default(),
        sessions: BTreeMap::new(),
        by_hand: BTreeSet::new(),
        changed: BTreeMap::new(),
        found: Vec::new(),
    };
    for event in run.events {
        match (&event.who, &event.what) {
            (Actor::Server(server), _) => rounds.at_server(server, event),
            (Actor::Peer(_), EventKind::Opened { conn, .. }) => {
                rounds.by_hand.insert(*conn);
            }
            _ => {}
        }
        rounds.stores.learn(event);
    }
    rounds.found
}

impl<'a> Rounds<'a> {
    fn at_server(&mut self, server: &'a str, event: &'a Event) {
        match &event.what {
            EventKind::Opened { conn, with, .. } if *with != PeerRole::Client => {
                let session = Session {
                    dialled: matches!(with, PeerRole::Server(_)),
                    ..Session::default()
                };
                self.sessions.insert((server, *conn), session);
            }
            EventKind::LinkUp { peer, conn } => {
                if let Some(session) = self.sessions.get_mut(&(server, *conn)) {
                    session.peer = Some(peer);
                }
            }
            EventKind::Closed { conn, .. } => {
                self.sessions.remove(&(server, *conn));
            }
            EventKind::LineIn { conn, line } => self.hears(server, *conn, event, &line.0),
            EventKind::LineOut { conn, line } => self.says(server, *conn, event, &line.0),
            EventKind::Started { .. }
            | EventKind::Accepted { .. }
            | EventKind::Forgotten { .. }
            | EventKind::Expired { .. } => {
                self.changed.insert(server, event.id);
            }
            _ => {}
        }
    }

    fn hears(&mut self, server: &'a str, conn: ConnId, event: &'a Event, line: &[u8]) {
        let Some(session) = self.sessions.get_mut(&(server, conn)) else {
            return;
        };
        if is_whole_digest(line) {
            session.heard += 1;
        } else if line.starts_with(b"ROOT ") {
            if let Some(before) = session.last_root {
                session.roots.insert(event.id, before);
            }
            session.last_root = event.cause;
            session.root_count += 1;
        }
    }

    fn says(&mut self, server: &'a str, conn: ConnId, event: &'a Event, line: &[u8]) {
        let Some(session) = self.sessions.get_mut(&(server, conn)) else {
            return;
        };
        if is_whole_digest(line) {
            session.begun += 1;
            self.begins(server, conn, event);
        } else if is_update(line)
            && !self.by_hand.contains(&conn)
            && was_asked_for(self.run, event, conn)
        {
            let Ok(PeerLine::At(update)) = PeerLine::parse(line) else {
                return;
            };
            let rounds = session.begun + session.heard;
            let key = (update.record.text().to_vec(), update.record.generation());
            let given = session.given.entry(key).or_default();
            *given += 1;
            if *given == rounds + 1 {
                let record = shown(update.record.text());
                let what = format!(
                    "{server} sends {record} for the {given}th time by set reconciliation, in {rounds} rounds of one link"
                );
                self.found.push(Finding::new(what, [event]));
            }
        }
    }

    /// Checks the beginning of a round.
    fn begins(&mut self, server: &'a str, conn: ConnId, event: &'a Event) {
        let Some(session) = self.sessions.get(&(server, conn)) else {
            return;
        };
        let held = self.stores.of(server);
        let allowed = u32::from(session.dialled) + session.root_count / 2;
        if session.begun == allowed + 1 && held.is_none_or(|held| held.len() < FEW) {
            let (begun, roots) = (session.begun, session.root_count);
            let peer = session.peer.map_or("a neighbour", |peer| &**peer);
            let what = format!(
                "{server} begins round {begun} with {peer} over one connection, by {roots} heard roots"
            );
            self.found.push(Finding::new(what, [event]));
        }
        if let Some(peer) = session.peer
            && !self.by_hand.contains(&conn)
            && let Some(since) = event.cause.and_then(|cause| session.roots.get(&cause))
            && self.are_same_since(server, peer, *since)
        {
            let what = format!(
                "{server} begins a round with {peer}, and both have held the same since two roots"
            );
            self.found.push(Finding::new(what, [event]));
        }
    }

    /// Whether two servers hold the same records and have held them since before an event.
    fn are_same_since(&self, a: &str, b: &str, since: EventId) -> bool {
        let is_unchanged =
            |server: &str| (self.changed.get(server)).is_some_and(|changed| *changed < since);
        let (Some(here), Some(there)) = (self.stores.of(a), self.stores.of(b)) else {
            return false;
        };
        is_unchanged(a) && is_unchanged(b) && records(here).eq(records(there))
    }
}

fn is_update(line: &[u8]) -> bool {
    line.starts_with(b"AT ") || line.starts_with(b"HAVE ")
}

/// The records of a server, in the order of their clients.
fn records<'a>(held: &'a Held<'a>) -> impl Iterator<Item = Option<&'a RecordText<'static>>> {
    let held = held.values();
    held.map(|event| event.what.held())
}

/// Whether a line is the digest of everything, which begins a round.
fn is_whole_digest(line: &[u8]) -> bool {
    line.starts_with(b"DIGEST ")
        && matches!(PeerLine::parse(line), Ok(PeerLine::Digest { under, .. }) if under.is_empty())
}

//! Whether a server that stops gracefully leaves what it answered to another server.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use super::stores::accepted;
use super::versions::{Version, Versions};
use super::{Finding, Run};
use crate::journal::{Actor, ConnId, Event, EventId, EventKind, Source};
use crate::protocol::peer::PeerLine;
use crate::trace::faults::{Faults, Kind};
use crate::trace::state::{LinkState, State};

/// A server that stops gracefully while a neighbour can receive must have sent it what it answered:
/// each record that it holds from its own client is then held by a server that runs or starts
/// later, even if that is the same server.
pub(super) fn graceful_stop_loses_nothing(run: &Run<'_>) -> Vec<Finding> {
    if !(run.events.iter()).any(|event| matches!(event.what, EventKind::Stopped)) {
        return Vec::new();
    }
    let mut stops = Stops {
        state: State::default(),
        versions: Versions::new(run),
        answered: BTreeSet::new(),
        leaving: BTreeMap::new(),
        conns: BTreeMap::new(),
        left: BTreeMap::new(),
        broken: broken(run),
        untold: BTreeMap::new(),
    };
    for event in run.events {
        stops.learn(event);
    }
    let mut untold: Vec<Untold<'_>> = stops.untold.into_values().flatten().collect();
    untold.sort_by_key(|untold| (untold.stopped.id, untold.held.event.id));
    let found = untold.into_iter().map(|Untold { held, stopped }| {
        let (server, record) = (stopped.who.name(), held.shown());
        let what =
            format!("{server} stops with {record}, which it answered and no other server holds");
        Finding::new(what, [held.event, stopped])
    });
    found.collect()
}

/// A record that a stopped server answered, as long as no server is seen to hold it.
struct Untold<'a> {
    held: Version<'a>,
    stopped: &'a Event,
}

struct Stops<'a> {
    state: State<'a>,
    versions: Versions<'a>,
    /// The lines that were answered.
    answered: BTreeSet<EventId>,
    /// When a server sent `BYE` to a neighbour.
    leaving: BTreeMap<(&'a str, &'a str), u64>,
    /// The neighbour on each connection of a link.
    conns: BTreeMap<(&'a str, ConnId), &'a str>,
    /// For each server, the neighbours whose end of a link was up when its own end went down, and
    /// when it had sent them `BYE`, or else when its own end went down.
    left: BTreeMap<&'a str, BTreeMap<&'a str, u64>>,
    broken: Vec<Broken<'a>>,
    /// The records that may be lost, by client.
    untold: BTreeMap<&'a [u8], Vec<Untold<'a>>>,
}

/// A fault that may keep a server from receiving: its scope, its beginning and its end.
pub(super) struct Broken<'a> {
    scope: Scope<'a>,
    begin: u64,
    end: u64,
}

enum Scope<'a> {
    Server(&'a str),
    Way(&'a str, &'a str),
}

pub(super) fn broken<'a>(run: &Run<'a>) -> Vec<Broken<'a>> {
    let until = |end: Option<&Event>| end.map_or(u64::MAX, |end| end.at);
    let mut broken = Vec::new();
    for fault in Faults::of(run.events).iter() {
        let begin = fault.begin.at;
        match fault.kind {
            // A server that refuses connections keeps its links, one that is told to stop still receives, and no message
            // depends on a clock or a disk.
            Kind::Refuse | Kind::Skew | Kind::Disk | Kind::Stop => {}
            Kind::Crash | Kind::PowerOff | Kind::Freeze => {
                let (scope, end) = (Scope::Server(fault.begin.who.name()), until(fault.end));
                broken.push(Broken { scope, begin, end });
            }
            Kind::Cut | Kind::Unlink | Kind::Sever | Kind::Slow | Kind::Impaired => {
                broken.extend(fault.parts.iter().map(|part| Broken {
                    scope: Scope::Way(part.pair.0, part.pair.1),
                    begin,
                    end: until(part.end),
                }));
            }
        }
    }
    broken
}

impl<'a> Stops<'a> {
    fn learn(&mut self, event: &'a Event) {
        if let Actor::Server(server) = &event.who {
            match &event.what {
                EventKind::Started { .. } => {
                    self.left.remove(&**server);
                    self.leaving.retain(|&(who, _), _| who != &**server);
                }
                EventKind::LinkUp { peer, conn } => {
                    self.conns.insert((server, *conn), peer);
                    self.leaving.remove(&(&**server, &**peer));
                    if let Some(left) = self.left.get_mut(&**server) {
                        left.remove(&**peer);
                    }
                }
                EventKind::LinkDown { peer, .. } if self.is_up(peer, server) => {
                    let since = self.leaving.get(&(&**server, &**peer));
                    let since = since.copied().unwrap_or(event.at);
                    let left = self.left.entry(server).or_default();
                    left.insert(peer, since);
                }
                EventKind::LineOut { conn, line } => {
                    self.answered.extend(event.cause);
                    if let (Some(peer), Ok(PeerLine::Bye { reason: b"" })) = (
                        self.conns.get(&(&**server, *conn)),
                        PeerLine::parse(&line.0),
                    ) {
                        let leaves = self.leaving.entry((server, peer));
                        leaves.or_insert(event.at);
                    }
                }
                EventKind::Accepted { .. } => self.comes_to_hold(event),
                // A record that is forgotten or expired need not be held.
                EventKind::Forgotten { record, .. } | EventKind::Expired { record } => {
                    self.untold.remove(&*record.client.0);
                }
                EventKind::Stopped => self.stops(server, event),
                _ => {}
            }
        }
        self.state.learn(event);
        self.versions.learn(event);
    }

    /// Whether `server` has recorded its link with `peer` as up.
    fn is_up(&self, server: &str, peer: &str) -> bool {
        let server = self.state.server(server);
        let end = server.and_then(|server| server.link(peer));
        end.is_some_and(|end| end.state != LinkState::Down)
    }

    /// A server accepts a record that may have been lost.
    fn comes_to_hold(&mut self, event: &'a Event) {
        let Some(new) = self.versions.of(event) else {
            return;
        };
        if let Some(untold) = self.untold.get_mut(&*new.record.client.0) {
            untold.retain(|untold| new.order(&untold.held) == Ordering::Less);
        }
    }

    fn stops(&mut self, server: &'a str, stopped: &'a Event) {
        let Some(this) = self.state.server(server) else {
            return;
        };
        let left = self.left.get(server).into_iter().flatten();
        let left = left.map(|(peer, since)| (*peer, *since));
        let others = || self.state.servers().filter(|(name, _)| *name != server);
        let still_up = others().filter_map(|(peer, _)| {
            let is_up = self.is_up(server, peer) && self.is_up(peer, server);
            is_up.then_some((peer, stopped.at))
        });
        let mut neighbours = left.chain(still_up);
        let can_be_told = neighbours.any(|(peer, since)| {
            self.state.server(peer).is_some()
                && !is_broken(&self.broken, server, peer, since, stopped.at)
        });
        if !can_be_told {
            return;
        }
        for (client, event) in &this.held {
            let is_own = accepted(event).is_some_and(|own| *own.from == Source::Client);
            let Some(held) = self.versions.get(server, client).filter(|_| is_own) else {
                continue;
            };
            let line = event.cause;
            let was_answered = line.is_some_and(|line| self.answered.contains(&line));
            // A tombstone counts: an operator wanted the record gone.
            let is_held = others().any(|(other, _)| {
                let other = self.versions.get(other, client);
                other.is_some_and(|other| other.order(&held) != Ordering::Less)
            });
            if was_answered && !is_held {
                let untold = self.untold.entry(client).or_default();
                untold.push(Untold { held, stopped });
            }
        }
    }
}

/// Whether a fault affected a link or its ends from one moment to another.
pub(super) fn is_broken(all: &[Broken<'_>], a: &str, b: &str, from: u64, to: u64) -> bool {
    all.iter().any(|broken| {
        let is_theirs = match broken.scope {
            Scope::Server(name) => name == a || name == b,
            Scope::Way(one, other) => (one, other) == (a, b) || (one, other) == (b, a),
        };
        is_theirs && broken.begin <= to && broken.end >= from
    })
}

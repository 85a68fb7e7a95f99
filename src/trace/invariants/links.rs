//! Whether every link that goes down had a reason outside of the server that closed it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::ways::{Ways, pair};
use super::{Finding, Patience, Run};
use crate::journal::{Actor, CloseReason, ConnId, Event, EventId, EventKind, PeerRole};
use crate::units::format_duration;

/// Every link that goes down must have been cut, reset or superseded, have lost its other end, or
/// have been silent for its timeout, for a reason that the harness knows of. The reason that a
/// server gives is only the claim to be checked.
pub(super) fn links_fail_for_a_reason(run: &Run<'_>) -> Vec<Finding> {
    let mut links = Links {
        run,
        ways: Ways::of(run),
        stops: Stops::of(run.events),
        conns: BTreeMap::new(),
        by_hand: BTreeSet::new(),
        up: BTreeMap::new(),
        died: BTreeMap::new(),
        told_to_stop: BTreeSet::new(),
        reset: BTreeMap::new(),
        full: BTreeMap::new(),
        parted: BTreeMap::new(),
        found: Vec::new(),
    };
    for event in run.events {
        links.learn(event);
    }
    links.found
}

/// A greeting that a cut holds up can arrive this long after its connection was opened, in nanoseconds: systems give up
/// sending it by then. It is judged by the faults since.
const OLDEST_GREETING: u64 = 120_000_000_000;

/// A connection between two servers.
struct Conn<'a> {
    opened: &'a Event,
    /// The servers that have closed it, and by which event.
    over: Vec<(&'a str, &'a Event)>,
    /// When each end last received a line.
    heard: Vec<(&'a str, u64)>,
}

/// One end of a link that is up.
#[derive(Clone, Copy)]
struct Up<'a> {
    conn: ConnId,
    event: &'a Event,
}

struct Links<'a> {
    run: &'a Run<'a>,
    ways: Ways<'a>,
    stops: Stops<'a>,
    conns: BTreeMap<ConnId, Conn<'a>>,
    /// Connections on which a scenario speaks by hand. Who says what it likes there is a reason for any end but one for
    /// silence, which the server measures.
    by_hand: BTreeSet<ConnId>,
    /// The ends that are up, by server and neighbour.
    up: BTreeMap<(&'a str, &'a str), Up<'a>>,
    /// When each server was last killed, lost its power, or stopped.
    died: BTreeMap<&'a str, EventId>,
    /// Servers that were told to stop, and have not started since.
    told_to_stop: BTreeSet<&'a str>,
    /// When all connections between two servers were last reset.
    reset: BTreeMap<(&'a str, &'a str), EventId>,
    /// When each server last left a connection of a server waiting for room.
    full: BTreeMap<&'a str, EventId>,
    /// When one of two servers last removed the other from its neighbours.
    parted: BTreeMap<(&'a str, &'a str), EventId>,
    found: Vec<Finding>,
}

impl<'a> Links<'a> {
    fn learn(&mut self, event: &'a Event) {
        match (&event.who, &event.what) {
            (Actor::Peer(_), EventKind::Opened { conn, .. }) => {
                self.by_hand.insert(*conn);
            }
            (Actor::Server(_), EventKind::Opened { conn, .. }) => {
                self.conns.entry(*conn).or_insert_with(|| Conn {
                    opened: event,
                    over: Vec::new(),
                    heard: Vec::new(),
                });
            }
            (Actor::Server(server), EventKind::LineIn { conn, .. }) => {
                if let Some(conn) = self.conns.get_mut(conn) {
                    match conn.heard.iter_mut().find(|(who, _)| *who == &**server) {
                        Some((_, at)) => *at = event.at,
                        None => conn.heard.push((server, event.at)),
                    }
                }
            }
            (Actor::Server(server), EventKind::LinkUp { peer, conn }) => {
                let up = Up { conn: *conn, event };
                self.up.insert((server, peer), up);
            }
            (Actor::Server(server), EventKind::LinkDown { peer, why }) => {
                if let Some(up) = self.up.remove(&(&**server, &**peer)) {
                    let wrong = self.wrong(server, peer, up, event, why);
                    self.found
                        .extend(wrong.map(|what| Finding::new(what, [up.event, event])));
                    self.over(server, up.conn, event);
                }
            }
            (Actor::Server(server), EventKind::Closed { conn, .. }) => {
                self.over(server, *conn, event);
            }
            (
                Actor::Server(server),
                EventKind::Crashed | EventKind::PoweredOff | EventKind::Stopped,
            ) => {
                self.died.insert(server, event.id);
                self.up.retain(|&(of, _), _| of != &**server);
            }
            (Actor::Server(server), EventKind::Stopping | EventKind::Upgraded { .. }) => {
                self.told_to_stop.insert(server);
            }
            (Actor::Server(server), EventKind::Started { .. }) => {
                self.told_to_stop.remove(&**server);
            }
            (Actor::Server(server), EventKind::NotAccepted { with, why, .. })
                if *with != PeerRole::Client && *why == CloseReason::Full =>
            {
                self.full.insert(server, event.id);
            }
            (Actor::Server(server), EventKind::Unlinked { peer }) => {
                self.parted.insert(pair(server, peer), event.id);
            }
            (Actor::Network, EventKind::Severed { pairs }) => {
                for (a, b) in pairs {
                    self.reset.insert(pair(a, b), event.id);
                }
            }
            (Actor::Network, EventKind::Slowed { links, latency }) => {
                for (a, b) in links {
                    self.ways.slow((a, b), event.at, latency);
                }
            }
            _ => {}
        }
    }

    /// Notes that a server has closed a connection.
    fn over(&mut self, server: &'a str, conn: ConnId, by: &'a Event) {
        if let Some(conn) = self.conns.get_mut(&conn)
            && !conn.over.iter().any(|(who, _)| *who == server)
        {
            conn.over.push((server, by));
        }
    }

    /// What is wrong with `server` closing its link with `peer`, if anything is.
    fn wrong(
        &mut self,
        server: &'a str,
        peer: &'a str,
        up: Up<'a>,
        down: &'a Event,
        why: &CloseReason,
    ) -> Option<String> {
        let opened = self.conns.get(&up.conn)?.opened;
        self.ways
            .forget((server, peer), opened.at.saturating_sub(OLDEST_GREETING));
        let since = |last: Option<&EventId>| last.is_some_and(|last| *last > opened.id);
        let both = pair(server, peer);
        let is_reset = since(self.reset.get(&both));
        let is_parted = since(self.parted.get(&both));
        let is_left = self.is_left(server, peer, up.conn, down) || self.by_hand.contains(&up.conn);
        let is_right = match why {
            CloseReason::Silent => {
                let heard = self.last_heard(server, up);
                let silence = down.at.saturating_sub(heard);
                if let Some(patience) = self.run.patience
                    && silence < patience.silence()
                {
                    let silence = shown(silence);
                    return Some(format!(
                        "{server} gives {peer} up after a silence of {silence}"
                    ));
                }
                is_left || self.can_be_silent(server, peer, heard, down.at)
            }
            CloseReason::Slow => {
                // The neighbour does not read what is written to it, or a stop that waited for it
                // is over.
                is_left
                    || self.stops.follows(server, down)
                    || self.ways.delay((server, peer), opened.at, down.at) > 0
            }
            // An error may be the answer to what was written to a server that is gone.
            // In the oldest version of the protocol, a server that stops ends its stream, and no line says so.
            CloseReason::Ended | CloseReason::Failed(_) => {
                is_left || is_reset || is_parted || self.told_to_stop.contains(peer)
            }
            // The neighbour dialled again, so it had closed the connection before. Or its greeting is
            // from an earlier connection that it had closed itself, and was sent again until it arrived.
            CloseReason::Superseded => {
                is_left
                    || is_parted
                    || self.superseding(server, down).is_some_and(|newer| {
                        self.by_hand.contains(&newer) || self.is_left(server, peer, newer, down)
                    })
            }
            // It may be killed before it has ended.
            CloseReason::Stopping => {
                self.stops.follows(server, down) || self.told_to_stop.contains(server)
            }
            CloseReason::Left => {
                self.stops.follows(peer, down) || is_left || self.told_to_stop.contains(peer)
            }
            CloseReason::Refused(_) => is_parted,
            CloseReason::Protocol(_) => self.by_hand.contains(&up.conn),
            _ => false,
        };
        let lasted = shown(down.at.saturating_sub(up.event.at));
        (!is_right).then(|| {
            format!("{server} loses its link with {peer} after {lasted} ({why}), and nothing was wrong with it")
        })
    }

    /// The connection whose greeting made `server` close a link.
    fn superseding(&self, server: &str, down: &Event) -> Option<ConnId> {
        let by = self.run.cause_of(down)?;
        match (&by.who, &by.what) {
            (Actor::Server(who), EventKind::LineIn { conn, .. }) if **who == *server => Some(*conn),
            _ => None,
        }
    }

    /// When `server` last received a line by the connection of a link.
    fn last_heard(&self, server: &str, up: Up<'_>) -> u64 {
        let heard = self.conns.get(&up.conn).map(|conn| conn.heard.iter());
        let own = heard.and_then(|mut heard| heard.find(|(who, _)| *who == server));
        own.map_or(up.event.at, |&(_, at)| at.max(up.event.at))
    }

    /// Whether the other end had closed the connection before, for a reason that is checked by
    /// itself.
    fn is_left(&self, server: &'a str, peer: &'a str, conn: ConnId, down: &Event) -> bool {
        let Some(known) = self.conns.get(&conn) else {
            return false;
        };
        let opened = known.opened;
        if self.died.get(peer).is_some_and(|died| *died > opened.id) {
            return true;
        }
        let Some(&(_, by)) = known.over.iter().find(|(who, _)| *who == peer) else {
            return false;
        };
        if matches!(by.what, EventKind::LinkDown { .. }) {
            return true;
        }
        // The peer sent a greeting and got no answer. Since no link goes down at the peer, the
        // reason is checked here.
        let both = pair(server, peer);
        let is_reset = (self.reset.get(&both)).is_some_and(|reset| *reset > opened.id);
        // Where a server has no room, a greeting waits until there is some.
        let is_full = (self.full.get(server)).is_some_and(|full| *full > opened.id);
        is_reset || is_full || self.is_late(server, peer, opened.at, down.at)
    }

    /// Whether the answer to a greeting can arrive after the deadline.
    fn is_late(&self, server: &'a str, peer: &'a str, from: u64, to: u64) -> bool {
        let Some(patience) = self.run.patience else {
            return true;
        };
        let (_, most) = self.ways.latency((server, peer), from);
        let delay = self.ways.delay((server, peer), from, to);
        let there_and_back = most.saturating_mul(2) + self.ways.ticks;
        there_and_back.saturating_add(delay) >= patience.hello
    }

    /// Whether `server` can receive nothing from `peer` from one moment to another although both
    /// run: a neighbour sends something with each heartbeat, and what it sends is late by no more
    /// than the spread of latencies and the faults in force meanwhile.
    fn can_be_silent(&self, server: &'a str, peer: &'a str, from: u64, to: u64) -> bool {
        let Some(patience) = self.run.patience else {
            return true;
        };
        let (least, most) = self.ways.latency((server, peer), from);
        // The last line that arrived was sent before it arrived.
        let from = from.saturating_sub(most);
        let delay = self.ways.delay((server, peer), from, to);
        // The first line of a link arrives after the greeting and its answer.
        let usual = (patience.heartbeat.saturating_add(most - least)).max(most.saturating_mul(2));
        let longest = usual.saturating_add(delay).saturating_add(self.ways.ticks);
        longest >= patience.silence()
    }
}

impl Patience {
    /// How long a link must be silent until it is closed.
    fn silence(self) -> u64 {
        self.heartbeat.saturating_mul(2)
    }
}

fn shown(nanoseconds: u64) -> String {
    format_duration(Duration::from_nanos(nanoseconds))
}

/// The starts and ends of each server's runs, and which of these events are graceful stops.
struct Stops<'a>(BTreeMap<&'a str, Vec<(EventId, bool)>>);

impl<'a> Stops<'a> {
    fn of(events: &'a [Event]) -> Self {
        let mut ends: BTreeMap<&str, Vec<(EventId, bool)>> = BTreeMap::new();
        for event in events {
            let stops = match event.what {
                EventKind::Stopped => true,
                EventKind::Crashed | EventKind::PoweredOff | EventKind::Started { .. } => false,
                _ => continue,
            };
            if let Actor::Server(server) = &event.who {
                ends.entry(server).or_default().push((event.id, stops));
            }
        }
        Self(ends)
    }

    /// Whether the run of `server` at the time of `event` ended gracefully.
    fn follows(&self, server: &str, event: &Event) -> bool {
        let ends = self.0.get(server).map_or(&[][..], Vec::as_slice);
        let next = ends.partition_point(|(id, _)| *id < event.id);
        ends.get(next).is_some_and(|(_, stops)| *stops)
    }
}

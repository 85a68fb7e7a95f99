//! Whether every link that goes down had a reason outside of the server that closed it.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::{Finding, Patience, Run};
use crate::journal::{Actor, CloseReason, ConnId, Event, EventId, EventKind};
use crate::trace::faults::{Fault, Faults, Kind};
use crate::units::{LatencyRange, format_duration};

/// How many ticks may pass in addition to a link's latency: a message that is sent between two
/// ticks counts from the next one, and one that arrives is handled in the tick after it.
const TICKS: u64 = 4;

/// Every link that goes down must have been cut, reset or superseded, have lost its other end, or
/// have been silent for its timeout, for a reason that the harness knows of. The reason that a
/// server gives is only the claim to be checked.
pub(super) fn links_fail_for_a_reason(run: &Run<'_>) -> Vec<Finding> {
    let mut links = Links {
        run,
        ways: Ways::of(run),
        stops: Stops::of(run.events),
        conns: BTreeMap::new(),
        up: BTreeMap::new(),
        died: BTreeMap::new(),
        reset: BTreeMap::new(),
        parted: BTreeMap::new(),
        found: Vec::new(),
    };
    for event in run.events {
        links.learn(event);
    }
    links.found
}

/// Two servers, in order of their names.
fn pair<'a>(a: &'a str, b: &'a str) -> (&'a str, &'a str) {
    if a <= b { (a, b) } else { (b, a) }
}

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
    /// The ends that are up, by server and neighbour.
    up: BTreeMap<(&'a str, &'a str), Up<'a>>,
    /// When each server was last killed, lost its power, or stopped.
    died: BTreeMap<&'a str, EventId>,
    /// When all connections between two servers were last reset.
    reset: BTreeMap<(&'a str, &'a str), EventId>,
    /// When one of two servers last removed the other from its neighbours.
    parted: BTreeMap<(&'a str, &'a str), EventId>,
    found: Vec<Finding>,
}

impl<'a> Links<'a> {
    fn learn(&mut self, event: &'a Event) {
        match (&event.who, &event.what) {
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
        self.ways.forget((server, peer), opened.at);
        let since = |last: Option<&EventId>| last.is_some_and(|last| *last > opened.id);
        let both = pair(server, peer);
        let is_reset = since(self.reset.get(&both));
        let is_parted = since(self.parted.get(&both));
        let is_left = self.is_left(server, peer, up.conn, down);
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
            CloseReason::Ended | CloseReason::Failed(_) => is_left || is_reset,
            // The neighbour dialled again, so it had closed the connection before. Or its greeting is
            // from an earlier connection that it had closed itself, and was sent again until it arrived.
            CloseReason::Superseded => {
                is_left
                    || (self.superseding(server, down))
                        .is_some_and(|newer| self.is_left(server, peer, newer, down))
            }
            CloseReason::Stopping => self.stops.follows(server, down),
            CloseReason::Left => self.stops.follows(peer, down) || is_left,
            CloseReason::Refused(_) => is_parted,
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
        is_reset || self.is_late(server, peer, opened.at, down.at)
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

/// When a fault began and ended, and whether segments were lost meanwhile.
#[derive(Clone, Copy)]
struct Interval {
    begin: u64,
    end: u64,
    loses: bool,
}

/// The faults and latencies between two neighbours, as far as one of them may still depend on
/// these.
#[derive(Default)]
struct Way {
    /// The intervals of faults that delay messages, in order of their beginnings.
    broken: VecDeque<Interval>,
    /// The moment from which a message took at least and at most these times, in nanoseconds.
    latency: VecDeque<(u64, u64, u64)>,
}

/// The faults and latencies between all neighbours, by direction.
struct Ways<'a> {
    ways: BTreeMap<(&'a str, &'a str), Way>,
    /// What the ticks of simulated time add to a message's time.
    ticks: u64,
    /// See [`Patience::resend`].
    resend: Option<u64>,
}

impl<'a> Ways<'a> {
    fn of(run: &Run<'a>) -> Self {
        let mut all = Self {
            ways: BTreeMap::new(),
            ticks: run.header.tick.saturating_mul(TICKS),
            resend: run.patience.and_then(|patience| patience.resend),
        };
        for link in &run.header.links {
            all.slow((&link.a, &link.b), 0, &link.latency);
        }
        for fault in Faults::of(run.events).iter() {
            all.breaks(run, fault);
        }
        all
    }

    fn slow(&mut self, (a, b): (&'a str, &'a str), from: u64, latency: &str) {
        // A latency that can't be parsed excuses nothing.
        let Ok(LatencyRange { least, most }) = latency.parse() else {
            return;
        };
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        for way in [(a, b), (b, a)] {
            let way = self.ways.entry(way).or_default();
            way.latency.push_back((from, nanos(least), nanos(most)));
        }
    }

    fn breaks(&mut self, run: &Run<'a>, fault: &Fault<'a>) {
        let until = |end: Option<&Event>| end.map_or(u64::MAX, |end| end.at);
        match fault.kind {
            Kind::Freeze => {
                let Some(id) = run.herd.id(fault.owner()) else {
                    return;
                };
                let name = |id| &*run.herd.server(id).name;
                for other in run.herd.neighbours(id) {
                    // The system of a frozen server still acknowledges what arrives.
                    let when = Interval {
                        begin: fault.begin.at,
                        end: until(fault.end),
                        loses: false,
                    };
                    self.broken((name(id), name(other)), when);
                }
            }
            Kind::Cut => {
                // If one fault cuts both directions of a link, that is one interval.
                let mut pairs: BTreeMap<(&str, &str), u64> = BTreeMap::new();
                for part in &fault.parts {
                    let end = pairs.entry(pair(part.pair.0, part.pair.1)).or_default();
                    *end = (*end).max(until(part.end));
                }
                for (both, end) in pairs {
                    let when = Interval {
                        begin: fault.begin.at,
                        end,
                        loses: true,
                    };
                    self.broken(both, when);
                }
            }
            // A server that is gone has closed the connection. Resets and latencies are checked
            // separately. A server that refuses connections keeps its links, and no link depends on
            // a clock.
            Kind::Refuse | Kind::Skew | Kind::Crash | Kind::PowerOff | Kind::Sever | Kind::Slow => {
            }
        }
    }

    fn broken(&mut self, (a, b): (&'a str, &'a str), when: Interval) {
        for way in [(a, b), (b, a)] {
            self.ways.entry(way).or_default().broken.push_back(when);
        }
    }

    /// Drops what ended before this moment, which nothing looks up from here on. So each look-up
    /// goes through the time since one link began, and no more.
    fn forget(&mut self, way: (&'a str, &'a str), before: u64) {
        let Some(way) = self.ways.get_mut(&way) else {
            return;
        };
        let before = before.saturating_sub(way.longest());
        while way.latency.get(1).is_some_and(|next| next.0 <= before) {
            way.latency.pop_front();
        }
        // A fault that lasts may stand before one that is over.
        let begun = way.broken.partition_point(|when| when.begin <= before);
        let lasting: Vec<Interval> = (way.broken.drain(..begun))
            .filter(|when| when.end >= before)
            .collect();
        for interval in lasting.into_iter().rev() {
            way.broken.push_front(interval);
        }
    }

    /// For how long, in all, faults can have delayed messages between the two from one moment to another.
    ///
    /// A segment that is lost is sent again after a time-out that doubles each time. So the next attempt comes as long
    /// after the last one as that came after the first, and a time-out more; if there is another cut by then, it is
    /// lost again. In a silence that is one segment, since everything behind it waits for it.
    fn delay(&self, between: (&'a str, &'a str), from: u64, to: u64) -> u64 {
        let Some(way) = self.ways.get(&between) else {
            return 0;
        };
        let longest = way.longest();
        let mut delay: u64 = 0;
        // The losses of one segment: when it was sent first, when the first of them began, and when it arrives.
        let mut losses: Option<(u64, u64, u64)> = None;
        let spent = |(_, begin, arrives): (u64, u64, u64)| arrives.min(to) - begin;
        for when in way.broken.iter().take_while(|when| when.begin <= to) {
            if when.end < from {
                continue;
            }
            let begin = when.begin.max(from);
            let Some(resend) = self.resend.filter(|_| when.loses) else {
                delay = delay.saturating_add(when.end.min(to) - begin);
                continue;
            };
            let (sent, begin, before) = match losses {
                Some(one) if begin <= one.2 => one,
                other => {
                    delay = delay.saturating_add(other.map_or(0, spent));
                    (from.max(begin.saturating_sub(longest)), begin, begin)
                }
            };
            let timeout = resend.saturating_add(longest.saturating_mul(2));
            let attempt =
                (when.end.saturating_add(when.end.saturating_sub(sent))).saturating_add(timeout);
            let arrives = attempt.saturating_add(longest).max(before);
            losses = Some((sent, begin, arrives));
        }
        delay.saturating_add(losses.map_or(0, spent))
    }

    /// The least and the greatest latency of messages that arrived from this moment on.
    fn latency(&self, way: (&'a str, &'a str), from: u64) -> (u64, u64) {
        let Some(way) = self.ways.get(&way) else {
            return (0, 0);
        };
        let from = from.saturating_sub(way.longest());
        let first = way.latency.partition_point(|&(at, ..)| at <= from);
        let in_force = || way.latency.iter().skip(first.saturating_sub(1));
        let least = in_force().map(|&(_, least, _)| least).min();
        let most = in_force().map(|&(.., most)| most).max();
        (least.unwrap_or_default(), most.unwrap_or_default())
    }
}

impl Way {
    fn longest(&self) -> u64 {
        let all = self.latency.iter().map(|&(.., most)| most);
        all.max().unwrap_or_default()
    }
}

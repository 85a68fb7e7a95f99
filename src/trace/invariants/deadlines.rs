//! Whether what servers do at intervals, or after some time, is done in time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::settings::{History, Rules};
use super::stop::{Broken, broken, is_broken};
use super::{Finding, Run};
use crate::journal::{Actor, CloseReason, ConnId, End, Event, EventKind, PeerRole};
use crate::units::format_duration;

/// What ticks of simulated time add to a time that is waited for.
const TICKS: u64 = 4;

/// As long as a connection that ends is still written to and read, at most twice.
const LINGER: u64 = 4_500_000_000;

/// A link that is silent is closed, a neighbour that does not greet is left, a quiet link gets its heartbeats and digests,
/// and a neighbour without a link is dialled again, all when the settings say so.
pub(super) fn deadlines_hold(run: &Run<'_>) -> Vec<Finding> {
    let (Some(rules), Some(_)) = (History::of(run), run.patience) else {
        return Vec::new();
    };
    let mut deadlines = Deadlines {
        run,
        rules,
        broken: broken(run),
        slack: run
            .header
            .tick
            .saturating_mul(TICKS)
            .saturating_add(2_000_000),
        ends: BTreeMap::new(),
        greeting: BTreeMap::new(),
        dialled: BTreeMap::new(),
        dials: BTreeMap::new(),
        wanted: BTreeMap::new(),
        unlinked: BTreeSet::new(),
        leaving: BTreeSet::new(),
        found: Vec::new(),
    };
    for event in run.events {
        if let Actor::Server(server) = &event.who {
            deadlines.at_server(server, event);
        }
    }
    if let Some(last) = run.events.last() {
        deadlines.at_the_end(last);
    }
    deadlines.found
}

/// One end of a link that is up.
struct UpEnd<'a> {
    peer: &'a str,
    up: &'a Event,
    heard: &'a Event,
    written: &'a Event,
    compared: &'a Event,
    /// One end has said goodbye, so nothing but the other's goodbye need be said any more.
    is_parting: bool,
}

/// A server that dials another, between two attempts.
struct Dial<'a> {
    /// The end of the last attempt, unless one is under way.
    over: Option<&'a Event>,
    /// The number of pauses since a link lasted.
    tried: u32,
}

struct Deadlines<'a> {
    run: &'a Run<'a>,
    rules: History<'a>,
    broken: Vec<Broken<'a>>,
    slack: u64,
    ends: BTreeMap<(&'a str, ConnId), UpEnd<'a>>,
    /// Connections between servers on which nothing was heard yet.
    greeting: BTreeMap<(&'a str, ConnId), &'a Event>,
    /// Open connections to servers that were dialled.
    dialled: BTreeMap<(&'a str, ConnId), (&'a Event, &'a str)>,
    dials: BTreeMap<(&'a str, &'a str), Dial<'a>>,
    /// How many attempts may come at any time, since the neighbour asked to be dialled.
    wanted: BTreeMap<(&'a str, &'a str), u32>,
    /// Neighbours that left the herd file, by server.
    unlinked: BTreeSet<(&'a str, &'a str)>,
    /// Servers that were told to stop, or have two of their name.
    leaving: BTreeSet<&'a str>,
    found: Vec<Finding>,
}

impl<'a> Deadlines<'a> {
    fn at_server(&mut self, server: &'a str, event: &'a Event) {
        match &event.what {
            EventKind::Opened { conn, end, with } if *with != PeerRole::Client => {
                self.greeting.insert((server, *conn), event);
                if let (End::Dialler, PeerRole::Server(peer)) = (end, with) {
                    self.dialled.insert((server, *conn), (event, peer));
                    self.attempted(server, peer, event);
                }
            }
            EventKind::ConnectFailed { to, .. } => {
                self.attempted(server, to, event);
                self.rests(server, to, event, false, 0);
            }
            EventKind::LinkUp { peer, conn } => {
                let end = UpEnd {
                    peer,
                    up: event,
                    heard: event,
                    written: event,
                    compared: event,
                    is_parting: false,
                };
                self.ends.insert((server, *conn), end);
            }
            EventKind::LineIn { conn, line } => self.hears(server, *conn, event, &line.0),
            EventKind::LineOut { conn, line } => self.says(server, *conn, event, &line.0),
            EventKind::LinkDown { peer, .. } => {
                let conns = self
                    .ends
                    .iter()
                    .filter(|((of, _), end)| *of == server && end.peer == &**peer);
                let conns: Vec<ConnId> = conns.map(|((_, conn), _)| *conn).collect();
                for conn in conns {
                    self.ended(server, conn, event);
                }
            }
            EventKind::Closed { conn, why } => self.closes(server, *conn, event, why),
            EventKind::Crashed
            | EventKind::PoweredOff
            | EventKind::Stopped
            | EventKind::Started { .. } => {
                self.ends.retain(|&(of, _), _| of != server);
                self.greeting.retain(|&(of, _), _| of != server);
                self.dialled.retain(|&(of, _), _| of != server);
                self.dials.retain(|&(of, _), _| of != server);
                self.wanted.retain(|&(of, _), _| of != server);
                self.unlinked.retain(|&(of, _)| of != server);
                self.leaving.remove(server);
            }
            EventKind::Stopping | EventKind::Upgraded { .. } | EventKind::Namesakes { .. } => {
                self.leaving.insert(server);
                self.dials.retain(|&(of, _), _| of != server);
            }
            EventKind::Unlinked { peer } => {
                self.dials.remove(&(server, &**peer));
                self.unlinked.insert((server, peer));
                // Whatever is under way between the two belongs to a link that is no more.
                self.dialled
                    .retain(|&(of, _), (_, to)| of != server || *to != &**peer);
                let is_theirs = |opened: &Event| match &opened.what {
                    EventKind::Opened { with, .. } => *with == PeerRole::Server(peer.clone()),
                    _ => false,
                };
                self.greeting
                    .retain(|&(of, _), opened| of != server || !is_theirs(opened));
            }
            EventKind::Linked { peer } => {
                self.dials.remove(&(server, &**peer));
                self.unlinked.remove(&(server, &**peer));
            }
            _ => {}
        }
    }

    fn hears(&mut self, server: &'a str, conn: ConnId, event: &'a Event, line: &[u8]) {
        if self.greeting.remove(&(server, conn)).is_some() && line.starts_with(b"DIAL ") {
            let name = line.split(|&byte| byte == b' ').nth(3).unwrap_or_default();
            if let Some(peer) = self
                .run
                .herd
                .server_names()
                .find(|peer| peer.as_bytes() == name)
            {
                // The request may be kept for a pause that begins only after the attempt under way.
                self.wanted.insert((server, peer), 2);
            }
        }
        self.is_silent(server, conn, event);
        if let Some(end) = self.ends.get_mut(&(server, conn)) {
            end.heard = event;
            end.is_parting |= line == b"BYE";
        }
    }

    fn says(&mut self, server: &'a str, conn: ConnId, event: &'a Event, line: &[u8]) {
        let is_root = line.starts_with(b"ROOT ");
        self.is_quiet(server, conn, event, is_root);
        if let Some(end) = self.ends.get_mut(&(server, conn)) {
            end.written = event;
            if is_root {
                end.compared = event;
            }
            end.is_parting |= line == b"BYE";
        }
    }

    /// An end of a link is over.
    fn ended(&mut self, server: &'a str, conn: ConnId, event: &'a Event) {
        self.is_silent(server, conn, event);
        self.is_quiet(server, conn, event, false);
        self.ends.remove(&(server, conn));
    }

    /// Whether a link stays up although nothing has been heard on it for two heartbeats.
    fn is_silent(&mut self, server: &'a str, conn: ConnId, event: &'a Event) {
        let Some(end) = self.ends.get(&(server, conn)) else {
            return;
        };
        let silence = event.at - end.heard.at;
        let may =
            |rules: &Rules| silence <= nanos(rules.timing.heartbeat * 2).saturating_add(self.slack);
        if !self.rules.some(server, end.up.at, event.at, may)
            && !self.is_held_up(server, end.heard.at, event.at)
        {
            let (peer, silence) = (end.peer, shown(silence));
            let what = format!(
                "{server} keeps its link with {peer}, from which nothing is heard for {silence}"
            );
            self.found.push(Finding::new(what, [end.heard, event]));
        }
    }

    /// Whether a server says nothing on a link for too long, or compares digests too seldom or too often.
    fn is_quiet(&mut self, server: &'a str, conn: ConnId, event: &'a Event, is_root: bool) {
        let Some(end) = self.ends.get(&(server, conn)) else {
            return;
        };
        let (up, peer) = (end.up.at, end.peer);
        let pause = event.at - end.compared.at;
        let often = |rules: &Rules| pause >= nanos(rules.timing.anti_entropy / 2);
        let seldom =
            |rules: &Rules| pause <= nanos(rules.timing.anti_entropy).saturating_add(self.slack);
        let quiet = event.at - end.written.at;
        let beats =
            |rules: &Rules| quiet <= nanos(rules.timing.heartbeat).saturating_add(self.slack);
        let holds = |ok: &dyn Fn(&Rules) -> bool| self.rules.some(server, up, up, ok);
        let mut wrong = Vec::new();
        // The first digest comes with the link, or as soon as what is before it is written.
        let is_first = end.compared.id == end.up.id;
        if is_root && !is_first && !holds(&often) {
            wrong.push((
                format!(
                    "{server} compares digests with {peer} after {}",
                    shown(pause)
                ),
                end.compared,
            ));
        }
        let is_free = |from| {
            !end.is_parting
                && !self.leaving.contains(server)
                && !is_broken(&self.broken, server, peer, from, event.at)
        };
        if !holds(&seldom) && is_free(end.compared.at) {
            let pause = shown(pause);
            wrong.push((
                format!("{server} compares no digests with {peer} for {pause}"),
                end.compared,
            ));
        }
        if !holds(&beats) && is_free(end.written.at) {
            wrong.push((
                format!("{server} says nothing to {peer} for {}", shown(quiet)),
                end.written,
            ));
        }
        for (what, since) in wrong {
            self.found.push(Finding::new(what, [since, event]));
        }
    }

    fn closes(&mut self, server: &'a str, conn: ConnId, event: &'a Event, why: &CloseReason) {
        if let Some(opened) = self.greeting.remove(&(server, conn)) {
            self.is_late(server, opened, event);
            let waited = event.at - opened.at;
            let is_early = |rules: &Rules| waited < nanos(rules.timing.hello_deadline);
            if *why == CloseReason::NoHello
                && !self
                    .rules
                    .some(server, opened.at, event.at, |rules| !is_early(rules))
            {
                let what = format!("{server} waits {} for a greeting", shown(waited));
                self.found.push(Finding::new(what, [opened, event]));
            }
        }
        let opened = self.dialled.remove(&(server, conn));
        if let Some((opened, peer)) = opened {
            let is_other_version = matches!(why, CloseReason::Refused(reason) if reason.contains("is not spoken here"));
            self.rests(server, peer, event, is_other_version, event.at - opened.at);
        }
    }

    /// Whether a neighbour that never greets is left in time.
    fn is_late(&mut self, server: &'a str, opened: &'a Event, event: &'a Event) {
        let waited = event.at - opened.at;
        let may = |rules: &Rules| {
            waited
                <= nanos(rules.timing.hello_deadline)
                    .saturating_add(LINGER)
                    .saturating_add(self.slack)
        };
        if !self.rules.some(server, opened.at, event.at, may)
            && !self.is_held_up(server, opened.at, event.at)
        {
            let what = format!("{server} waits {} for a greeting", shown(waited));
            self.found.push(Finding::new(what, [opened, event]));
        }
    }

    /// Whether it is this server that dials the other.
    fn dials(&self, server: &str, peer: &str) -> bool {
        self.run.herd.links().iter().any(|link| {
            *self.run.herd.server(link.a).name == *server
                && *self.run.herd.server(link.b).name == *peer
        })
    }

    /// An attempt to reach a neighbour is over; `lasted` is for how long there was a connection.
    fn rests(
        &mut self,
        server: &'a str,
        peer: &'a str,
        over: &'a Event,
        is_at_once: bool,
        lasted: u64,
    ) {
        let is_over = self.leaving.contains(server) || self.unlinked.contains(&(server, peer));
        if is_at_once || is_over || !self.dials(server, peer) {
            return;
        }
        let long = |rules: &Rules| lasted > nanos(rules.timing.redial_most);
        let tried = self.dials.get(&(server, peer)).map_or(0, |dial| dial.tried);
        let tried = if self.rules.some(server, 0, over.at, long) {
            0
        } else {
            tried
        };
        let over = Some(over);
        self.dials.insert((server, peer), Dial { over, tried });
    }

    /// The result of an attempt to reach a neighbour, after a pause.
    fn attempted(&mut self, server: &'a str, peer: &'a str, event: &'a Event) {
        if !self.dials(server, peer) {
            return;
        }
        self.is_redialled(server, peer, event);
        let Some(dial) = self.dials.get_mut(&(server, peer)) else {
            return;
        };
        // An attempt without a pause before it, in the older version, uses up no request.
        let Some(over) = dial.over.take() else {
            return;
        };
        let wanted = self.wanted.entry((server, peer)).or_default();
        let is_wanted = *wanted > 0;
        *wanted = wanted.saturating_sub(1);
        let (pause, tried) = (event.at - over.at, dial.tried);
        dial.tried = tried.saturating_add(1);
        let long = |rules: &Rules| {
            let doubled = rules
                .timing
                .redial_least
                .saturating_mul(2_u32.saturating_pow(tried));
            pause >= nanos(doubled.min(rules.timing.redial_most) / 2)
        };
        if !is_wanted && !self.rules.some(server, 0, event.at, long) {
            let what = format!("{server} dials {peer} again after {}", shown(pause));
            self.found.push(Finding::new(what, [over, event]));
        }
    }

    /// Whether a server that may dial has done so in time.
    fn is_redialled(&mut self, server: &'a str, peer: &'a str, event: &'a Event) {
        let dial = self.dials.get(&(server, peer));
        let Some(over) = dial.and_then(|dial| dial.over) else {
            return;
        };
        let pause = event.at - over.at;
        let may = |rules: &Rules| {
            let timing = &rules.timing;
            let most = timing.redial_most.max(timing.redial_least) + timing.connect_deadline;
            pause <= nanos(most).saturating_add(self.slack)
        };
        if !self.rules.some(server, 0, event.at, may) && !self.is_held_up(server, over.at, event.at)
        {
            let pause = shown(pause);
            let what = format!("{server} does not dial {peer} again for {pause}");
            self.found.push(Finding::new(what, [over, event]));
        }
    }

    /// Whether a server stood still between two moments.
    fn is_held_up(&self, server: &str, from: u64, to: u64) -> bool {
        is_broken(&self.broken, server, server, from, to)
    }

    fn at_the_end(&mut self, last: &'a Event) {
        for (server, conn) in self.ends.keys().copied().collect::<Vec<_>>() {
            self.is_silent(server, conn, last);
            self.is_quiet(server, conn, last, false);
        }
        for ((server, _), opened) in std::mem::take(&mut self.greeting) {
            self.is_late(server, opened, last);
        }
        for (server, peer) in self.dials.keys().copied().collect::<Vec<_>>() {
            self.is_redialled(server, peer, last);
        }
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn shown(nanoseconds: u64) -> String {
    format_duration(Duration::from_nanos(nanoseconds))
}

//! What must be so when a run has ended.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::stores::{Held, Stores, accepted};
use super::{Found, Run, shown};
use crate::herd::{Herd, ServerId};
use crate::journal::{ConnId, Event, EventId, What, Who};

pub(super) fn agreement(run: &Run<'_>) -> Vec<Found> {
    let mut stores = Stores::default();
    let mut network = Network::default();
    for event in run.events {
        stores.learn(event);
        network.learn(event);
    }
    let herd = run.herd;
    let name = |id: ServerId| &*herd.server(id).name;
    let mut found = Vec::new();
    for a in herd.ids() {
        let reached = network.reach(herd, a, |id| stores.of(name(id)).is_some());
        for b in herd.ids().filter(|&b| b > a && reached.contains(&b)) {
            let (Some(at_a), Some(at_b)) = (stores.of(name(a)), stores.of(name(b))) else {
                continue;
            };
            let differing = differing(at_a, at_b);
            if !differing.is_empty() {
                let what = format!("{} and {} differ", name(a), name(b));
                found.push(Found::new(what, differing));
            }
        }
    }
    found
}

/// By which events two servers hold what they hold of the first client of whom they hold different
/// things; nothing if there is none.
fn differing<'a>(a: &Held<'a>, b: &Held<'a>) -> Vec<&'a Event> {
    let record = |held: &'a Event| accepted(held).map(|accepted| accepted.record);
    let differs = |client: &&&'a [u8]| {
        let [a, b] = [a, b].map(|held| held.get(**client).and_then(|event| record(event)));
        a != b
    };
    let first = a.keys().chain(b.keys()).find(differs);
    let events = [a, b].map(|held| held.get(*first?).copied());
    let mut events: Vec<&Event> = events.into_iter().flatten().collect();
    events.sort_by_key(|event| event.id);
    events
}

/// What stands between servers at some moment, as the harness put it there.
#[derive(Default)]
struct Network<'a> {
    /// Ways that are cut, once for each time.
    cuts: Vec<(&'a str, &'a str)>,
    /// Servers that stand still or refuse connections.
    stuck: BTreeSet<&'a str>,
}

impl<'a> Network<'a> {
    fn learn(&mut self, event: &'a Event) {
        let who = event.who.name();
        match &event.what {
            What::Cut { ways } => self.cuts.extend(ways.iter().map(|(a, b)| (&**a, &**b))),
            What::Healed { ways } => {
                for (a, b) in ways {
                    let cut = self.cuts.iter().position(|cut| *cut == (&**a, &**b));
                    cut.map(|at| self.cuts.swap_remove(at));
                }
            }
            What::Frozen | What::Refusing => {
                self.stuck.insert(who);
            }
            What::Thawed | What::Accepting | What::Crashed | What::PoweredOff => {
                self.stuck.remove(who);
            }
            _ => {}
        }
    }

    /// Whether what two servers send each other arrives, and is heard.
    fn can_talk(&self, a: &str, b: &str) -> bool {
        let cut = self.cuts.iter().any(|&cut| cut == (a, b) || cut == (b, a));
        !cut && !self.stuck.contains(a) && !self.stuck.contains(b)
    }

    /// The servers that `from` can reach over others that run.
    fn reach(
        &self,
        herd: &Herd,
        from: ServerId,
        runs: impl Fn(ServerId) -> bool,
    ) -> BTreeSet<ServerId> {
        let name = |id: ServerId| &*herd.server(id).name;
        let mut reached = BTreeSet::from([from]);
        let mut next = vec![from];
        while let Some(at) = next.pop() {
            for other in herd.neighbours(at) {
                if runs(other) && self.can_talk(name(at), name(other)) && reached.insert(other) {
                    next.push(other);
                }
            }
        }
        reached
    }
}

/// One end of a link, as that end sees it: what was last said of it, and whether that is all right.
struct Seen<'a> {
    by: &'a Event,
    up: bool,
    synchronised: bool,
}

#[derive(Default)]
struct Waiting<'a> {
    /// A client's lines without an answer, by the events of sending them.
    lines: BTreeMap<EventId, &'a Event>,
    /// Which of them are on which connection.
    by_conn: BTreeMap<(&'a str, ConnId), VecDeque<EventId>>,
    /// Servers that run, with the event of their start.
    running: BTreeMap<&'a str, &'a Event>,
    links: BTreeMap<(&'a str, &'a str), Seen<'a>>,
}

pub(super) fn nothing_waits(run: &Run<'_>) -> Vec<Found> {
    let mut waiting = Waiting::default();
    let mut network = Network::default();
    for event in run.events {
        network.learn(event);
        match &event.who {
            Who::Client(client) => waiting.at_client(client, event),
            Who::Server(server) => waiting.at_server(server, event),
            Who::Network | Who::Places => {}
        }
    }
    let mut found: Vec<Found> = (waiting.lines.values())
        .filter_map(|event| match &event.what {
            What::LineOut { line, .. } => {
                let (client, line) = (event.who.name(), shown(&line.0));
                let what = format!("{client} still waits for an answer to `{line}`");
                Some(Found::new(what, [*event]))
            }
            _ => None,
        })
        .collect();
    if run.until_quiet {
        for link in run.herd.links() {
            let [a, b] = [link.a, link.b].map(|id| &*run.herd.server(id).name);
            if !network.can_talk(a, b) {
                continue;
            }
            found.extend(waiting.link(a, b));
            found.extend(waiting.link(b, a));
        }
    }
    found
}

impl<'a> Waiting<'a> {
    fn at_client(&mut self, client: &'a str, event: &'a Event) {
        match &event.what {
            What::LineOut { conn, .. } => {
                self.lines.insert(event.id, event);
                self.by_conn
                    .entry((client, *conn))
                    .or_default()
                    .push_back(event.id);
            }
            What::LineIn { conn, .. } => {
                let sent = self.by_conn.get_mut(&(client, *conn));
                if let Some(first) = sent.and_then(VecDeque::pop_front) {
                    self.lines.remove(&first);
                }
            }
            // Its cause is the line, if there was a connection to write it to.
            What::Unanswered { .. } => {
                if let Some(sent) = event.cause {
                    self.lines.remove(&sent);
                }
            }
            What::Closed { conn, .. } => {
                for sent in self.by_conn.remove(&(client, *conn)).unwrap_or_default() {
                    self.lines.remove(&sent);
                }
            }
            _ => {}
        }
    }

    fn at_server(&mut self, server: &'a str, event: &'a Event) {
        let (peer, up, synchronised): (&Arc<str>, bool, bool) = match &event.what {
            What::Started { .. } => {
                self.running.insert(server, event);
                return;
            }
            What::Crashed | What::PoweredOff | What::Stopped => {
                self.running.remove(server);
                self.links.retain(|&(of, _), _| of != server);
                return;
            }
            What::LinkUp { peer, .. } => (peer, true, false),
            What::Synchronised { peer, .. } => (peer, true, true),
            What::LinkDown { peer, .. } => (peer, false, false),
            _ => return,
        };
        let seen = Seen {
            by: event,
            up,
            synchronised,
        };
        self.links.insert((server, peer), seen);
    }

    /// What is wrong with a link, as `a` sees it.
    fn link(&self, a: &str, b: &str) -> Option<Found> {
        let (started, _) = (self.running.get(a)?, self.running.get(b)?);
        match self.links.get(&(a, b)) {
            None => {
                let what = format!("{a} never had a link with {b}");
                Some(Found::new(what, [*started]))
            }
            Some(seen) if !seen.up => {
                let what = format!("{a}'s link with {b} is down");
                Some(Found::new(what, [seen.by]))
            }
            Some(seen) if !seen.synchronised => {
                let what = format!("{a} is not synchronised with {b}");
                Some(Found::new(what, [seen.by]))
            }
            Some(_) => None,
        }
    }
}

//! What must be so when a run has ended.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::stores::accepted;
use super::{Found, Run, shown};
use crate::herd::{Herd, ServerId};
use crate::journal::{ConnId, Event, EventId, What, Who};
use crate::trace::state::{Held, LinkState, State};

pub(super) fn agreement(run: &Run<'_>) -> Vec<Found> {
    let mut state = State::default();
    let mut network = Network::default();
    for event in run.events {
        state.learn(event);
        network.learn(event);
    }
    let herd = run.herd;
    let name = |id: ServerId| &*herd.server(id).name;
    let mut found = Vec::new();
    for a in herd.ids() {
        let reached = network.reach(herd, a, |id| state.server(name(id)).is_some());
        for b in herd.ids().filter(|&b| b > a && reached.contains(&b)) {
            let (Some(at_a), Some(at_b)) = (state.server(name(a)), state.server(name(b))) else {
                continue;
            };
            let differing = differing(&at_a.held, &at_b.held);
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

#[derive(Default)]
struct Waiting<'a> {
    /// A client's lines without an answer, by the events of sending them.
    lines: BTreeMap<EventId, &'a Event>,
    /// Which of them are on which connection.
    by_conn: BTreeMap<(&'a str, ConnId), VecDeque<EventId>>,
}

pub(super) fn nothing_waits(run: &Run<'_>) -> Vec<Found> {
    let mut waiting = Waiting::default();
    let mut network = Network::default();
    let mut state = State::default();
    for event in run.events {
        network.learn(event);
        state.learn(event);
        if let Who::Client(client) = &event.who {
            waiting.at_client(client, event);
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
            found.extend(unready(&state, a, b));
            found.extend(unready(&state, b, a));
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
}

/// What is wrong with a link, as `a` sees it.
fn unready(state: &State<'_>, a: &str, b: &str) -> Option<Found> {
    let (here, _) = (state.server(a)?, state.server(b)?);
    let Some(end) = here.link(b) else {
        let what = format!("{a} never had a link with {b}");
        return Some(Found::new(what, [here.started]));
    };
    let what = match end.state {
        LinkState::Down => format!("{a}'s link with {b} is down"),
        LinkState::Up => format!("{a} is not synchronised with {b}"),
        LinkState::Synchronised => return None,
    };
    Some(Found::new(what, [end.by]))
}

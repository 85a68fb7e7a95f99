//! What must hold at the end of a run.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{Finding, Run, shown};
use crate::herd::ServerId;
use crate::journal::{Actor, ConnId, Event, EventId, EventKind};
use crate::trace::network::Network;
use crate::trace::state::{Held, LinkState, State};

pub(super) fn agreement(run: &Run<'_>) -> Vec<Finding> {
    let state = State::at(run.events, u64::MAX);
    let network = Network::at_the_end(run.events);
    let herd = run.herd;
    let name = |id: ServerId| &*herd.server(id).name;
    let mut found = Vec::new();
    // Who reaches somebody reaches whom they reach.
    let mut reached = BTreeSet::new();
    for a in herd.ids().filter(|id| state.server(name(*id)).is_some()) {
        if !reached.contains(&a) {
            reached = network.reach(herd, &state, a);
        }
        for b in herd.ids().filter(|&b| b > a && reached.contains(&b)) {
            let (Some(at_a), Some(at_b)) = (state.server(name(a)), state.server(name(b))) else {
                continue;
            };
            let differing = differing(&at_a.held, &at_b.held);
            if !differing.is_empty() {
                let what = format!("{} and {} differ", name(a), name(b));
                found.push(Finding::new(what, differing));
            }
        }
    }
    found
}

/// The events that accepted the two servers' records of the first client for which these differ;
/// empty if there is none.
fn differing<'a>(a: &Held<'a>, b: &Held<'a>) -> Vec<&'a Event> {
    let record = |held: &'a Event| held.what.held();
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

#[derive(Default)]
struct Waiting<'a> {
    /// Clients' lines without an answer, by the events that sent them.
    lines: BTreeMap<EventId, &'a Event>,
    /// The lines on each connection whose answer has not arrived, in order.
    by_conn: BTreeMap<(&'a str, ConnId), VecDeque<EventId>>,
}

pub(super) fn nothing_waits(run: &Run<'_>) -> Vec<Finding> {
    let mut waiting = Waiting::default();
    let network = Network::at_the_end(run.events);
    let mut state = State::default();
    for event in run.events {
        state.learn(event);
        if let Actor::Client(client) = &event.who {
            waiting.at_client(client, event);
        }
    }
    let mut found: Vec<Finding> = (waiting.lines.values())
        .filter_map(|event| match &event.what {
            EventKind::LineOut { line, .. } => {
                let (client, line) = (event.who.name(), shown(&line.0));
                let what = format!("{client} still waits for an answer to `{line}`");
                Some(Finding::new(what, [*event]))
            }
            _ => None,
        })
        .collect();
    if run.until_quiet {
        for link in run.herd.links() {
            if !network.can_talk(run.herd, &state, link) {
                continue;
            }
            let [a, b] = [link.a, link.b].map(|id| &*run.herd.server(id).name);
            found.extend(unready(&state, a, b));
            found.extend(unready(&state, b, a));
        }
    }
    found
}

impl<'a> Waiting<'a> {
    fn at_client(&mut self, client: &'a str, event: &'a Event) {
        match &event.what {
            EventKind::LineOut { conn, .. } => {
                self.lines.insert(event.id, event);
                self.by_conn
                    .entry((client, *conn))
                    .or_default()
                    .push_back(event.id);
            }
            EventKind::LineIn { conn, .. } => {
                let sent = self.by_conn.get_mut(&(client, *conn));
                if let Some(first) = sent.and_then(VecDeque::pop_front) {
                    self.lines.remove(&first);
                }
            }
            // The event's cause is the line, if there was a connection to write it to.
            EventKind::Unanswered { .. } => {
                if let Some(sent) = event.cause {
                    self.lines.remove(&sent);
                }
            }
            EventKind::Closed { conn, .. } => {
                for sent in self.by_conn.remove(&(client, *conn)).unwrap_or_default() {
                    self.lines.remove(&sent);
                }
            }
            _ => {}
        }
    }
}

/// What is wrong with the link with `b`, as `a` sees it.
fn unready(state: &State<'_>, a: &str, b: &str) -> Option<Finding> {
    let (here, _) = (state.server(a)?, state.server(b)?);
    let Some(end) = here.link(b) else {
        let what = format!("{a} never had a link with {b}");
        return Some(Finding::new(what, [here.started]));
    };
    let what = match end.state {
        LinkState::Down => format!("{a}'s link with {b} is down"),
        LinkState::Up => format!("{a} is not synchronised with {b}"),
        LinkState::Synchronised => return None,
    };
    Some(Finding::new(what, [end.by]))
}

//! Whether servers are as they were before, once everything is quiet.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Finding, Run};
use crate::journal::{Actor, ConnId, Event, EventKind, PeerRole};
use crate::trace::network::Network;
use crate::trace::state::{LinkState, State};

/// What a server had at the end of a run, counted by the harness. No event says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Census {
    /// The server.
    pub server: Arc<str>,
    /// Its tasks, as its machine runs them.
    pub tasks: usize,
    /// The streams that it has open, but for those to Places.
    pub streams: usize,
    /// The streams that it has open to Places.
    pub to_places: usize,
    /// What the server itself counts.
    pub own: OwnCensus,
}

/// What a server counts of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OwnCensus {
    /// The tasks that it has as long as it runs: for itself, its listeners and its neighbours.
    pub lasting_tasks: usize,
    /// Lines and records that wait to be written to neighbours.
    pub waiting: usize,
    /// Queries to neighbours without an answer yet, and rounds of set reconciliation under way.
    pub queries: usize,
    /// Look-ups of clients under way.
    pub look_ups: usize,
    /// The tasks of its look-ups at Places: one for each request in flight, which outlives the client
    /// that caused it, and one that looks after idle connections.
    pub tasks_of_places: usize,
    /// Permits of connections that exceed their share of work.
    pub permits: usize,
}

/// What follows from a server's events.
#[derive(Default)]
struct Open {
    /// Open connections whose task is their own: those that the server has accepted.
    accepted: usize,
    clients: usize,
    dialled: usize,
}

/// At a quiet end a server has a task for each connection that it has accepted and not closed, and
/// those that it has as long as it runs; no stream without a connection; no look-up without a
/// client; and nothing that waits for a link which can carry it.
pub(super) fn nothing_is_left(run: &Run<'_>) -> Vec<Finding> {
    if !run.until_quiet || run.census.is_empty() {
        return Vec::new();
    }
    let state = State::at(run.events, u64::MAX);
    let network = Network::at_the_end(run.events);
    let mut found = Vec::new();
    for census in run.census {
        let Some(server) = state.server(&census.server) else {
            continue;
        };
        if network.is_frozen(&census.server) {
            continue;
        }
        let open = Open::of(run.events, server.started, &census.server);
        let is_stuck = has_stuck_link(run, &state, &network, &census.server);
        for what in wrong(census, &open, is_stuck) {
            found.push(Finding::new(what, [server.started]));
        }
    }
    found
}

impl Open {
    /// The connections of a server's run that are open.
    fn of(events: &[Event], started: &Event, server: &str) -> Self {
        let mut open: [BTreeSet<ConnId>; 3] = Default::default();
        let own = events.iter().filter(|event| event.id >= started.id);
        let own = own.filter(|event| matches!(&event.who, Actor::Server(who) if **who == *server));
        for event in own {
            match &event.what {
                EventKind::Opened { conn, with, .. } => {
                    let kind = match with {
                        PeerRole::Client => 0,
                        PeerRole::Peer => 1,
                        PeerRole::Server(_) => 2,
                    };
                    open[kind].insert(*conn);
                }
                EventKind::Closed { conn, .. } => {
                    for open in &mut open {
                        open.remove(conn);
                    }
                }
                _ => {}
            }
        }
        let [clients, peers, dialled] = open.map(|open| open.len());
        Self {
            accepted: clients + peers,
            clients,
            dialled,
        }
    }
}

/// Whether a server has a link up that can carry nothing: what waits for it may wait.
fn has_stuck_link(run: &Run<'_>, state: &State<'_>, network: &Network<'_>, server: &str) -> bool {
    let Some(own) = state.server(server) else {
        return true;
    };
    run.herd.links().iter().any(|link| {
        let [a, b] = [link.a, link.b].map(|id| &*run.herd.server(id).name);
        let other = match server {
            it if it == a => b,
            it if it == b => a,
            _ => return false,
        };
        let is_up = own
            .link(other)
            .is_some_and(|end| end.state != LinkState::Down);
        let carries = state.server(other).is_some() && network.can_talk(run.herd, state, link);
        is_up && !carries
    })
}

fn wrong(census: &Census, open: &Open, is_stuck: bool) -> Vec<String> {
    let Census { server, own, .. } = census;
    let at_places = census.to_places + own.tasks_of_places;
    let tasks = own.lasting_tasks + open.accepted + at_places;
    let streams = open.accepted + open.dialled;
    let may_look_up = if open.clients == 0 { 0 } else { usize::MAX };
    let may_wait = if is_stuck { usize::MAX } else { 0 };
    let counts = [
        ("tasks", census.tasks, tasks),
        ("streams", census.streams, streams),
        ("look-ups", own.look_ups, may_look_up),
        ("lines and records for its links", own.waiting, may_wait),
        ("queries to its neighbours", own.queries, may_wait),
        ("permits of busy connections", own.permits, may_look_up),
    ];
    let wrong = counts.iter().filter(|(_, has, most)| has > most);
    wrong
        .map(|(what, has, most)| match most {
            0 => format!("{server} still has {what}: {has}"),
            most => format!("{server} has {has} {what}, which should be {most}"),
        })
        .collect()
}

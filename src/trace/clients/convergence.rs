//! Whether servers tell the same of a client once everybody is at rest.

use std::collections::{BTreeMap, BTreeSet};

use super::exchanges::{Answer, Exchange, Exchanges};
use super::lines::Line;
use super::{Accusation, shown};
use crate::journal::{Actor, ConnId, Event, EventId, EventKind, PeerRole};

/// All WHATSATs about a client that are sent when everybody is at rest are answered alike: after
/// the last fault, the last answer to an IAMAT and the last line between servers that is no
/// heartbeat. This is claimed of a run that ends by itself, of a herd that is connected, and if no
/// fault is in force at the end.
pub(in crate::trace) fn convergent_reads(events: &[Event], is_whole: bool) -> Vec<Accusation> {
    let is_faulty = |event: &Event| matches!(event.what, EventKind::Affected { lasts: true, .. });
    if !is_whole || events.iter().any(is_faulty) {
        return Vec::new();
    }
    let exchanges = Exchanges::of(events);
    let rest = last_unrest(events, &exchanges);
    let late = exchanges.answered();
    let late = late.filter(|(exchange, _)| Some(exchange.sent.id) > rest);
    let mut first: BTreeMap<&[u8], (&Exchange<'_>, Answer<'_>)> = BTreeMap::new();
    let mut accusations = Vec::new();
    for (exchange, answer) in late {
        let Line::Query(id) = exchange.line else {
            continue;
        };
        let (before, its) = *first.entry(id).or_insert((exchange, answer));
        if its.told.map(|told| told.line) != answer.told.map(|told| told.line) {
            accusations.push(accuse((before, its), (exchange, answer)));
        }
    }
    accusations
}

fn accuse(a: (&Exchange<'_>, Answer<'_>), b: (&Exchange<'_>, Answer<'_>)) -> Accusation {
    let [told, other] = [a, b].map(|(exchange, answer)| {
        let line = (answer.told).map_or_else(|| shown(answer.text), |told| shown(told.line));
        format!("{} tells `{line}`", exchange.server)
    });
    let what = format!("at rest {told}, and {other}");
    let events = [a.0.sent, a.1.event, b.0.sent, b.1.event];
    Accusation::new(what, events)
}

/// The last event after which something may still change.
fn last_unrest(events: &[Event], exchanges: &Exchanges<'_>) -> Option<EventId> {
    // The connections of servers with clients, by server.
    let mut clients: BTreeSet<(&str, ConnId)> = BTreeSet::new();
    let mut last = None;
    for event in events {
        if let (
            Actor::Server(server),
            EventKind::Opened {
                conn,
                with: PeerRole::Client,
                ..
            },
        ) = (&event.who, &event.what)
        {
            clients.insert((server, *conn));
        }
        if is_unrest(event, &clients) {
            last = Some(event.id);
        }
    }
    let reports = exchanges.all.iter();
    let reports = reports.filter(|exchange| !matches!(exchange.line, Line::Query(_)));
    let reports = reports.flat_map(|exchange| {
        let answer = exchange.answer.map(|answer| answer.event.id);
        [Some(exchange.sent.id), answer]
    });
    reports.chain([last]).flatten().max()
}

fn is_unrest(event: &Event, clients: &BTreeSet<(&str, ConnId)>) -> bool {
    match (&event.who, &event.what) {
        (
            Actor::Server(server),
            EventKind::LineIn { conn, line } | EventKind::LineOut { conn, line },
        ) => !clients.contains(&(&**server, *conn)) && !is_heartbeat(&line.0),
        // What a server does for a client's connection changes nothing.
        (
            Actor::Server(_),
            EventKind::Opened { .. }
            | EventKind::Closed { .. }
            | EventKind::ConnectFailed { .. }
            | EventKind::LookUp { .. }
            | EventKind::Refused { .. }
            | EventKind::HeldBack { .. },
        )
        | (_, EventKind::Affected { .. })
        | (Actor::Client(_) | Actor::Places, _) => false,
        (Actor::Network | Actor::Server(_) | Actor::Peer(_), _) => true,
    }
}

/// Whether servers send this line on every link at rest.
fn is_heartbeat(line: &[u8]) -> bool {
    let verbs: [&[u8]; 3] = [b"PING", b"PONG", b"ROOT"];
    verbs.iter().any(|verb| line.starts_with(verb))
}

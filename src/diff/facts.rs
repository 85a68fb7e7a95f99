//! The facts of one run, under names and numbers that another run has, too.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;

use indexmap::IndexMap;
use serde::Serialize;

use crate::journal::{Actor, ConnId, Event, EventId, EventKind, PeerRole};
use crate::protocol::{escape, fields};
use crate::report::show::delay;
use crate::trace::propagation::{Fate, Propagation, Use};
use crate::trace::state::{LinkState, State};
use crate::trace::{Trace, WorkloadShape};

/// To which server an update was sent, whether it was accepted, and what it cost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UpdateOutcome {
    /// The server that it was sent to.
    pub to: String,
    /// Whether that server accepted the update.
    pub fate: Fate,
    /// When that server accepted the update, in nanoseconds since the run began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<u64>,
    /// The number of messages that were new to their receiver.
    pub useful: usize,
    /// The number of messages that were duplicates.
    pub duplicate: usize,
    /// The number of messages that did not arrive.
    pub lost: usize,
    /// The number of all these messages that were sent by synchronisation.
    pub by_sync: usize,
    /// Servers that never had the update, because a newer one of the same client arrived first.
    pub overtaken: Vec<String>,
    /// Servers that never had the update, because another one with the same time won the tie.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tied: Vec<String>,
}

/// How an update first reached a server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FirstArrival {
    /// The neighbour that sent the update; `None` at the origin.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub via: Option<String>,
    /// The servers on the route, from the origin to this one.
    pub path: Vec<String>,
    /// The number of links on the route.
    pub hops: u32,
    /// Whether the update arrived by synchronisation and not by the flood.
    pub sync: bool,
    /// Nanoseconds since the origin accepted the update.
    pub delay: u64,
    /// How many times this server accepted the update: once, plus once after each time that it lost
    /// the record.
    pub times: usize,
}

/// The outcome of a workload.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Load {
    /// The number of updates that its clients sent, or could not send.
    pub updates: usize,
    /// The number of updates that a server accepted.
    pub accepted: usize,
    /// The number of messages between servers that were new to their receiver.
    pub useful: usize,
    /// The number of messages that were duplicates.
    pub duplicate: usize,
    /// The number of messages that did not arrive.
    pub lost: usize,
}

/// A client's line and its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Exchange {
    /// The server to which it was sent.
    pub to: String,
    /// The line, escaped.
    pub line: String,
    /// When the client sent the line, in nanoseconds since the run began.
    pub at: u64,
    /// The answer, escaped; `None` without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
    /// Nanoseconds from the line to its answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
}

/// A fault, or the end of one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// When it happened, in nanoseconds since the run began.
    pub at: u64,
    /// The things that the fault affected: `11 connections`.
    pub touched: Vec<String>,
}

/// The outcome of an expectation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// Whether it passed.
    pub held: bool,
    /// What was expected, in words.
    pub expected: String,
    /// The actual result, in words.
    pub actual: String,
}

/// The history of a link.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LinkLife {
    /// How often the link came up, counted at both ends.
    pub ups: usize,
    /// For each time that an end lost the link: the server and the reason.
    pub downs: Vec<String>,
    /// The number of records that synchronisation sent over the link.
    pub brought: u64,
    /// Nanoseconds in which the link was not synchronised, including the time until it first came
    /// up. Time from which it did not recover is not included.
    pub apart: u64,
    /// The state of the link at the end of the run: the worse of its two ends.
    pub end: &'static str,
}

/// The records of a server, by client.
pub(super) type Records = IndexMap<String, String>;

pub(super) fn ran(trace: &Trace) -> IndexMap<String, String> {
    let header = &trace.header;
    let without: Vec<&str> = header.without.iter().map(|one| one.name()).collect();
    let faults = if header.swarm {
        "chosen by the seed (--swarm)"
    } else {
        "as written"
    };
    let tasks = if header.shuffle {
        "in an order chosen by the seed (--shuffle)"
    } else {
        "in the usual order"
    };
    let told = [
        ("scenario", header.scenario.clone()),
        ("seed", header.seed.to_string()),
        ("faults", faults.to_owned()),
        ("tasks", tasks.to_owned()),
        ("tick", delay(header.tick)),
        ("epoch", header.epoch.clone()),
        ("herd", header.herd.clone()),
        ("servers", header.servers.join(", ")),
        ("version", header.versions.proxy_herd.clone()),
        ("protocol", header.versions.protocol.to_string()),
        ("invariants that are off:", without.join(", ")),
    ];
    let told = told.map(|(what, value)| (what.to_owned(), value));
    let links = header.links.iter();
    let links = links.map(|link| (format!("link {}-{}", link.a, link.b), link.latency.clone()));
    told.into_iter().chain(links).collect()
}

fn in_workload(loads: &[WorkloadShape], client: &str) -> bool {
    loads.iter().any(|load| load.has_client(client))
}

pub(super) fn updates<'t>(
    trace: &'t Trace,
    loads: &'t [WorkloadShape],
) -> impl Iterator<Item = (String, (UpdateOutcome, IndexMap<String, FirstArrival>))> + 't {
    let told = trace.updates.iter();
    let told = told.filter(|update| !loads.iter().any(|load| load.has_update(update)));
    told.map(|update| (update.name.clone(), (way(trace, update), heard(update))))
}

fn way(trace: &Trace, update: &Propagation) -> UpdateOutcome {
    let origin = update.arrivals.first();
    UpdateOutcome {
        to: update.to.to_string(),
        fate: update.fate,
        at: origin.and_then(|origin| Some(trace.event(origin.event)?.at)),
        useful: update.count(Use::Useful),
        duplicate: update.count(Use::Duplicate),
        lost: update.count(Use::Lost),
        by_sync: update.sends.iter().filter(|send| send.sync).count(),
        overtaken: update.overtaken.iter().map(ToString::to_string).collect(),
        tied: (update.tied.iter())
            .map(|tied| tied.server.to_string())
            .collect(),
    }
}

fn heard(update: &Propagation) -> IndexMap<String, FirstArrival> {
    let mut servers: IndexMap<String, FirstArrival> = IndexMap::new();
    for arrival in &update.arrivals {
        let name = arrival.server.to_string();
        if let Some(before) = servers.get_mut(&name) {
            before.times += 1;
            continue;
        }
        let path = update.path(&name);
        let heard = FirstArrival {
            via: arrival.via.as_ref().map(ToString::to_string),
            path: path.iter().map(ToString::to_string).collect(),
            hops: arrival.hops,
            sync: arrival.sync,
            delay: arrival.delay,
            times: 1,
        };
        servers.insert(name, heard);
    }
    servers
}

pub(super) fn workloads(trace: &Trace) -> IndexMap<String, Load> {
    let of = |load: &WorkloadShape| {
        let updates = trace.updates.iter();
        updates
            .filter(|update| load.has_update(update))
            .fold(Load::default(), |sum, update| Load {
                updates: sum.updates + 1,
                accepted: sum.accepted + usize::from(update.fate == Fate::Accepted),
                useful: sum.useful + update.count(Use::Useful),
                duplicate: sum.duplicate + update.count(Use::Duplicate),
                lost: sum.lost + update.count(Use::Lost),
            })
    };
    let loads = trace.header.workloads.iter();
    loads.map(|load| (load.name.clone(), of(load))).collect()
}

/// The lines of clients, each with its answer, and those of peers: answers are matched with lines by their order on a
/// connection.
pub(super) fn lines(trace: &Trace, loads: &[WorkloadShape]) -> IndexMap<String, Exchange> {
    let mut told = Conversation::default();
    for event in &trace.events {
        match (&event.who, &event.what) {
            (Actor::Client(client), _) if !in_workload(loads, client) => {
                told.learn(client, event);
            }
            // What comes is no answer to a certain line of a peer.
            (Actor::Peer(_), EventKind::LineIn { .. }) => {}
            (Actor::Peer(peer), _) => told.learn(peer, event),
            _ => {}
        }
    }
    told.lines
}

#[derive(Default)]
struct Conversation<'t> {
    lines: IndexMap<String, Exchange>,
    spoken: BTreeMap<&'t str, usize>,
    servers: BTreeMap<ConnId, &'t PeerRole>,
    /// The events of sending a line.
    sent: BTreeSet<EventId>,
    /// Lines that wait for an answer, by connection: name, and nanoseconds when sent.
    open: BTreeMap<ConnId, VecDeque<(String, u64)>>,
}

impl<'t> Conversation<'t> {
    fn learn(&mut self, client: &'t str, event: &'t Event) {
        match &event.what {
            EventKind::Opened { conn, with, .. } => {
                self.servers.insert(*conn, with);
            }
            EventKind::LineOut { conn, .. } => {
                let to = self
                    .servers
                    .get(conn)
                    .map_or_else(String::new, ToString::to_string);
                let name = self.say(client, to, event);
                self.sent.insert(event.id);
                let open = self.open.entry(*conn).or_default();
                open.push_back((name, event.at));
            }
            EventKind::LineIn { conn, line } => {
                let open = self.open.get_mut(conn).and_then(VecDeque::pop_front);
                if let Some((name, at)) = open
                    && let Some(said) = self.lines.get_mut(&name)
                {
                    said.answer = Some(escape(&line.0));
                    said.after = Some(event.at.saturating_sub(at));
                }
            }
            // Its cause is the line, unless the client had no connection on which to send it.
            EventKind::Unanswered { to, .. }
                if event.cause.is_none_or(|cause| !self.sent.contains(&cause)) =>
            {
                self.say(client, to.to_string(), event);
            }
            _ => {}
        }
    }

    /// Adds a line. `event` is the sending of the line, or the failure to send it.
    fn say(&mut self, client: &'t str, to: String, event: &Event) -> String {
        let line = match &event.what {
            EventKind::LineOut { line, .. } | EventKind::Unanswered { line, .. } => escape(&line.0),
            _ => String::new(),
        };
        let spoken = self.spoken.entry(client).or_default();
        *spoken += 1;
        let name = format!("{client}, line {spoken}");
        let said = Exchange {
            to,
            line,
            at: event.at,
            answer: None,
            after: None,
        };
        self.lines.insert(name.clone(), said);
        name
    }
}

/// The name, followed by `(time 2)` and so on where it occurred before.
fn numbered(seen: &mut BTreeMap<String, usize>, name: String) -> String {
    let times = seen.entry(name.clone()).or_default();
    *times += 1;
    match *times {
        1 => name,
        times => format!("{name} (time {times})"),
    }
}

pub(super) fn faults(trace: &Trace) -> IndexMap<String, Fault> {
    let mut seen = BTreeMap::new();
    let mut names: BTreeMap<EventId, String> = BTreeMap::new();
    let mut found: IndexMap<String, Fault> = IndexMap::new();
    for event in &trace.events {
        match &event.what {
            EventKind::Affected { count, of, .. } => {
                let fault = event.cause.and_then(|cause| names.get(&cause));
                if let Some(fault) = fault.and_then(|name| found.get_mut(name)) {
                    fault.touched.push(format!("{count} {of}"));
                }
            }
            what if what.is_by_harness() => {
                let name = match &event.who {
                    Actor::Network => what.to_string(),
                    who => format!("{} {what}", who.name()),
                };
                let name = numbered(&mut seen, name);
                names.insert(event.id, name.clone());
                let (at, touched) = (event.at, Vec::new());
                found.insert(name, Fault { at, touched });
            }
            _ => {}
        }
    }
    found
}

pub(super) fn expectations(trace: &Trace) -> IndexMap<String, Outcome> {
    let mut seen = BTreeMap::new();
    let judgements = trace.judgements.iter().map(|judgement| {
        let outcome = Outcome {
            held: judgement.passed,
            expected: judgement.expected.clone(),
            actual: judgement.actual.clone(),
        };
        (numbered(&mut seen, judgement.about.clone()), outcome)
    });
    judgements.collect()
}

pub(super) fn links(trace: &Trace) -> IndexMap<String, LinkLife> {
    let herd = &trace.herd;
    let name = |id| &*herd.server(id).name;
    let mut state = State::default();
    // Each link's history, and since when it is unsynchronised.
    let mut lives = vec![(LinkLife::default(), Some(0)); herd.links().len()];
    for event in &trace.events {
        state.learn(event);
        for (link, (life, apart)) in herd.links().iter().zip(&mut lives) {
            let who = event.who.name();
            let Some(other) = [(link.a, link.b), (link.b, link.a)]
                .into_iter()
                .find_map(|(a, b)| (name(a) == who).then(|| name(b)))
            else {
                continue;
            };
            match &event.what {
                EventKind::LinkUp { peer, .. } if **peer == *other => life.ups += 1,
                EventKind::LinkDown { peer, why } if **peer == *other => {
                    life.downs.push(format!("{who} ({why})"));
                }
                EventKind::Synchronised { peer, received, .. } if **peer == *other => {
                    life.brought += received;
                }
                _ => {}
            }
            match (state.link_state(herd, link), *apart) {
                (LinkState::Synchronised, Some(since)) => {
                    life.apart += event.at.saturating_sub(since);
                    *apart = None;
                }
                (LinkState::Down | LinkState::Up, None) => *apart = Some(event.at),
                _ => {}
            }
        }
    }
    let named = herd.links().iter().zip(lives).map(|(link, (life, _))| {
        let end = state.link_state(herd, link).word();
        let what = format!("{}-{}", name(link.a), name(link.b));
        (what, LinkLife { end, ..life })
    });
    named.collect()
}

/// The records of each server at the end of the run; `None` for a server that does not run then.
pub(super) fn at_the_end(trace: &Trace) -> IndexMap<String, Option<Records>> {
    let state = State::at(&trace.events, u64::MAX);
    let held = |name: &str| {
        let server = state.server(name)?;
        let records = server.held.values().filter_map(|event| {
            let record = event.what.held()?;
            Some((record.client.to_string(), escape(&record.text())))
        });
        Some(records.collect())
    };
    let names = trace.herd.server_names();
    names.map(|name| (name.to_owned(), held(name))).collect()
}

pub(super) fn counts(trace: &Trace) -> IndexMap<String, u64> {
    let mut with: BTreeMap<(&Actor, ConnId), &PeerRole> = BTreeMap::new();
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for event in &trace.events {
        if let EventKind::Opened {
            conn, with: other, ..
        } = &event.what
        {
            with.insert((&event.who, *conn), other);
        }
        if let Some(kind) = kind(event, &with) {
            *counts.entry(kind).or_default() += 1;
        }
    }
    counts.into_iter().collect()
}

/// The category in which an event is counted; `None` if it is not.
fn kind(event: &Event, with: &BTreeMap<(&Actor, ConnId), &PeerRole>) -> Option<String> {
    let said = match &event.what {
        EventKind::LineOut { conn, line } => {
            return Some(message(event, &line.0, with.get(&(&event.who, *conn))));
        }
        EventKind::Opened {
            end: crate::journal::End::Dialler,
            ..
        } => "connections",
        EventKind::ConnectFailed { .. } => "connections that failed",
        EventKind::NotAccepted { .. } => "connections that were not taken",
        EventKind::Accepted { .. } => "updates taken in",
        EventKind::Ignored { .. } => "updates ignored",
        EventKind::Expired { .. } => "records forgotten",
        EventKind::Forgotten { .. } => "clients forgotten",
        EventKind::PlacesAsked { .. } => "requests to Places",
        _ => return None,
    };
    Some(said.to_owned())
}

fn message(event: &Event, line: &[u8], with: Option<&&PeerRole>) -> String {
    let word = fields(line).next().map(escape).unwrap_or_default();
    match (&event.who, with) {
        (Actor::Server(_), Some(PeerRole::Client)) if word == "?" => "answers `?`".to_owned(),
        (Actor::Server(_), Some(PeerRole::Client)) => "answers `AT`".to_owned(),
        (Actor::Server(_), _) => format!("{word} between servers"),
        (_, _) if matches!(&*word, "IAMAT" | "WHATSAT") => format!("{word} of clients"),
        _ => "other lines of clients".to_owned(),
    }
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            updates,
            accepted,
            useful,
            duplicate,
            lost,
        } = self;
        write!(
            f,
            "{updates} updates, {accepted} accepted; {useful} useful messages, {duplicate} duplicate, {lost} lost"
        )
    }
}

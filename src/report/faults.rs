//! The faults of a run as pictures and explanations show them: with a label, and with the lanes
//! that they affect.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;

use super::lanes::Lanes;
use crate::journal::{Event, EventKind, arrows};
use crate::trace::Trace;
use crate::trace::faults::{self, Faults, Kind};

/// The kind of a fault, as pictures distinguish them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultClass {
    /// A server does not run.
    Down,
    /// A server is frozen.
    Frozen,
    /// A server refuses new connections.
    Refusing,
    /// A server's clock is wrong.
    Skewed,
    /// The network between servers is cut.
    Cut,
    /// Links take longer than usual.
    Slow,
    /// The network does something to packets: it loses some, for instance.
    Impaired,
    /// Something is wrong with a server's disk, or bits of it have flipped, which takes no time.
    Disk,
    /// Connections were reset. This fault has no duration.
    Severed,
}

/// A fault, from its beginning to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// The kind of the fault.
    pub kind: FaultClass,
    /// A label such as `Juzang is down: it crashed`.
    pub label: String,
    /// The number of the event that began it.
    pub event: u64,
    /// When the fault began, in nanoseconds since the run began.
    pub from: u64,
    /// When the fault ended, in nanoseconds since the run began. `None` if it lasted to the end of
    /// the run.
    pub to: Option<u64>,
    /// The number of the event that ended it; `None` if none did.
    pub end: Option<u64>,
    /// The lanes that it affects.
    pub lanes: Vec<usize>,
    /// The directed pairs or links that it affects, by the lanes of their ends.
    pub pairs: Vec<(usize, usize)>,
    /// The fault's impact in words: `affected 11 connections`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub affected: Option<String>,
}

impl Fault {
    /// Whether the fault was in force at any moment from `from` to `to`.
    pub fn overlaps(&self, from: u64, to: u64) -> bool {
        self.from <= to && self.to.is_none_or(|end| end >= from)
    }

    /// Whether the fault was in force all the time from `from` to `to`.
    pub fn covers(&self, from: u64, to: u64) -> bool {
        self.from <= from && self.to.is_none_or(|end| end >= to)
    }
}

/// All faults of a run, in the order of their beginnings. A fault that ends at different times for
/// different pairs becomes several.
pub(crate) fn faults(trace: &Trace, lanes: &Lanes<'_>) -> Vec<Fault> {
    let mut all: Vec<Fault> = (Faults::of(&trace.events).iter())
        // From when on it is down, the server itself says.
        .filter(|fault| fault.kind != Kind::Stop)
        .flat_map(|fault| pictured(trace, lanes, fault))
        .collect();
    all.extend(stopped(trace, lanes, &Faults::of(&trace.events)));
    all.sort_by_key(|fault| fault.event);
    all
}

/// The source and the target of a direction, or the two ends of a link.
type Pair = (Arc<str>, Arc<str>);

/// A fault as a picture shows it: one for each time at which parts of it end.
fn pictured(trace: &Trace, lanes: &Lanes<'_>, fault: &faults::Fault<'_>) -> Vec<Fault> {
    let owner = fault.owner();
    let (kind, label) = match fault.kind {
        Kind::Stop => (FaultClass::Down, was_stopped(owner)),
        Kind::Crash => (FaultClass::Down, format!("{owner} is down: it crashed")),
        Kind::PowerOff => (
            FaultClass::Down,
            format!("{owner} is down: it lost its power"),
        ),
        Kind::Freeze => (FaultClass::Frozen, format!("{owner} is frozen")),
        Kind::Refuse => (FaultClass::Refusing, format!("{owner} refuses connections")),
        Kind::Skew => (FaultClass::Skewed, format!("{owner}: {}", fault.begin.what)),
        Kind::Disk => (FaultClass::Disk, disk_of(owner, fault.begin)),
        Kind::Cut | Kind::Unlink => (FaultClass::Cut, String::new()),
        Kind::Sever => (FaultClass::Severed, String::new()),
        Kind::Slow => (FaultClass::Slow, String::new()),
        Kind::Impaired => (FaultClass::Impaired, String::new()),
    };
    let whole = Fault {
        kind,
        label,
        event: fault.begin.id.0.get(),
        from: fault.begin.at,
        to: fault.end.map(|end| end.at),
        end: fault.end.map(number),
        lanes: lanes.of_event(fault.begin).into_iter().collect(),
        pairs: Vec::new(),
        affected: fault.impact.map(|impact| impact.what.to_string()),
    };
    if fault.parts.is_empty() {
        return vec![whole];
    }
    // The pairs, grouped by the time and event of their end. Pairs whose fault lasted form one
    // group.
    let mut by_end: BTreeMap<Option<(u64, u64)>, Vec<Pair>> = BTreeMap::new();
    for part in &fault.parts {
        let end = part.end.map(|end| (end.at, number(end)));
        let (a, b) = part.pair;
        by_end.entry(end).or_default().push((a.into(), b.into()));
    }
    let parts = by_end.into_iter().map(|(end, pairs)| {
        let lane = |name: &str| lanes.server(name);
        let named = pairs.iter().flat_map(|(a, b)| [lane(a), lane(b)]);
        let affected: BTreeSet<usize> = named.flatten().collect();
        let between = |(a, b): &(Arc<str>, Arc<str>)| Some((lane(a)?, lane(b)?));
        Fault {
            to: end.map(|(at, _)| at),
            end: end.map(|(_, event)| event),
            lanes: affected.into_iter().collect(),
            pairs: pairs.iter().filter_map(between).collect(),
            label: label_of(trace, &fault.begin.what, pairs),
            ..whole.clone()
        }
    });
    parts.collect()
}

/// The label of what is wrong with a server's disk.
fn disk_of(owner: &str, begun: &Event) -> String {
    match &begun.what {
        EventKind::DiskFaulty { how, .. } => format!("{owner}: its disk {how}"),
        other => format!("{owner}: {other}"),
    }
}

/// The label of a fault of the network that affects these pairs.
fn label_of(trace: &Trace, begun: &EventKind<'_>, pairs: Vec<Pair>) -> String {
    match begun {
        EventKind::Cut { .. } => cut(trace, pairs),
        EventKind::LinkRemoved { .. } => lower(&EventKind::LinkRemoved { ways: pairs }),
        EventKind::Slowed { latency, .. } => {
            let between = pairs.iter().map(|(a, b)| format!("{a} ↔ {b}"));
            format!(
                "slow, {latency}: {}",
                between.collect::<Vec<_>>().join(", ")
            )
        }
        EventKind::Impaired { how, .. } => {
            format!("{how}: {}", arrows(&pairs))
        }
        _ => lower(&EventKind::Severed { pairs }),
    }
}

/// The label of a cut, which names only pairs with a link between them if there are any. A
/// partition cuts pairs without one, too.
fn cut(trace: &Trace, ways: Vec<(Arc<str>, Arc<str>)>) -> String {
    let herd = &trace.herd;
    let is_link = |(a, b): &(Arc<str>, Arc<str>)| match (herd.id(a), herd.id(b)) {
        (Some(a), Some(b)) => herd.link_between(a, b).is_some(),
        _ => true,
    };
    let linked: Vec<_> = ways.iter().filter(|way| is_link(way)).cloned().collect();
    let ways = if linked.is_empty() { ways } else { linked };
    lower(&EventKind::Cut { ways })
}

/// Servers that were stopped gracefully. They are down until they start again.
fn stopped(trace: &Trace, lanes: &Lanes<'_>, faults: &Faults<'_>) -> Vec<Fault> {
    let told = |event: &Event| {
        let of_it = faults.iter().filter(|fault| {
            fault.kind == Kind::Stop && fault.begin.who == event.who && fault.begin.id < event.id
        });
        of_it.last()
    };
    let stops = trace.events.iter().enumerate();
    let stops = stops.filter(|(_, event)| matches!(event.what, EventKind::Stopped));
    let faults = stops.map(|(at, event)| {
        let mut later = trace.events[at..]
            .iter()
            .filter(|later| later.who == event.who);
        let again = later.find(|later| matches!(later.what, EventKind::Started { .. }));
        Fault {
            kind: FaultClass::Down,
            label: was_stopped(event.who.name()),
            event: event.id.0.get(),
            from: event.at,
            to: again.map(|again| again.at),
            end: again.map(number),
            lanes: lanes.of_event(event).into_iter().collect(),
            pairs: Vec::new(),
            affected: (told(event).and_then(|fault| fault.impact))
                .map(|impact| impact.what.to_string()),
        }
    });
    faults.collect()
}

fn was_stopped(server: &str) -> String {
    format!("{server} is down: it was stopped")
}

fn number(event: &Event) -> u64 {
    event.id.0.get()
}

/// An event's words, with its kind in lower case.
fn lower(what: &EventKind<'_>) -> String {
    let words = what.to_string();
    match words.split_once(':') {
        Some((first, rest)) => format!("{}:{rest}", first.to_lowercase()),
        None => words,
    }
}

//! What the harness did to the run, as pictures and reasons tell of it: with words, and with the lanes that it affects.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;

use super::lanes::Lanes;
use crate::journal::{Event, EventKind};
use crate::trace::Trace;
use crate::trace::faults::{self, Faults, Kind};

/// What a fault is, as far as a picture cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultClass {
    /// A server does not run.
    Down,
    /// A server is frozen.
    Frozen,
    /// A server takes no new connections.
    Refusing,
    /// A server's clock is wrong.
    Skewed,
    /// Ways between servers are cut.
    Cut,
    /// Links take longer than usual.
    Slow,
    /// Connections were reset, at one moment.
    Severed,
}

/// A fault, from its beginning to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// What it is.
    pub kind: FaultClass,
    /// In a few words, such as `Juzang is down: it crashed`.
    pub label: String,
    /// The number of the event that began it.
    pub event: u64,
    /// Nanoseconds since the beginning.
    pub from: u64,
    /// When it ended; none if it lasted.
    pub to: Option<u64>,
    /// The number of the event that ended it.
    pub end: Option<u64>,
    /// The lanes that it affects.
    pub lanes: Vec<usize>,
    /// The ways or links that it affects, by the lanes of their ends.
    pub pairs: Vec<(usize, usize)>,
    /// What it did to anybody, such as `affected 11 connections`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub affected: Option<String>,
}

impl Fault {
    /// Whether it was in force at any moment between these.
    pub fn overlaps(&self, from: u64, to: u64) -> bool {
        self.from <= to && self.to.is_none_or(|end| end >= from)
    }

    /// Whether it was in force all the time between these.
    pub fn covers(&self, from: u64, to: u64) -> bool {
        self.from <= from && self.to.is_none_or(|end| end >= to)
    }
}

/// All faults of a run, in order of their beginnings. One that ends for one pair sooner than for another is several.
pub(crate) fn faults(trace: &Trace, lanes: &Lanes<'_>) -> Vec<Fault> {
    let mut all: Vec<Fault> = (Faults::of(&trace.events).iter())
        .flat_map(|fault| pictured(trace, lanes, fault))
        .collect();
    all.extend(stopped(trace, lanes));
    all.sort_by_key(|fault| fault.event);
    all
}

/// From which end to which, or between which two.
type Pair = (Arc<str>, Arc<str>);

/// A fault as a picture shows it.
fn pictured(trace: &Trace, lanes: &Lanes<'_>, fault: &faults::Fault<'_>) -> Vec<Fault> {
    let owner = fault.owner();
    let (kind, label) = match fault.kind {
        Kind::Crash => (FaultClass::Down, format!("{owner} is down: it crashed")),
        Kind::PowerOff => (
            FaultClass::Down,
            format!("{owner} is down: it lost its power"),
        ),
        Kind::Freeze => (FaultClass::Frozen, format!("{owner} is frozen")),
        Kind::Refuse => (FaultClass::Refusing, format!("{owner} refuses connections")),
        Kind::Skew => (FaultClass::Skewed, format!("{owner}: {}", fault.begin.what)),
        Kind::Cut => (FaultClass::Cut, String::new()),
        Kind::Sever => (FaultClass::Severed, String::new()),
        Kind::Slow => (FaultClass::Slow, String::new()),
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
    // By when and by which event they ended; those that lasted are together, too.
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

/// What a fault of the network is called, as far as it is of these.
fn label_of(trace: &Trace, begun: &EventKind<'_>, pairs: Vec<Pair>) -> String {
    match begun {
        EventKind::Cut { .. } => cut(trace, pairs),
        EventKind::Slowed { latency, .. } => {
            let between = pairs.iter().map(|(a, b)| format!("{a} ↔ {b}"));
            format!(
                "slow, {latency}: {}",
                between.collect::<Vec<_>>().join(", ")
            )
        }
        _ => lower(&EventKind::Severed { pairs }),
    }
}

/// Which links a cut is of: a partition cuts ways on which there is no link, too.
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

/// Servers that ended by themselves, and are down all the same.
fn stopped(trace: &Trace, lanes: &Lanes<'_>) -> Vec<Fault> {
    let stops = trace.events.iter().enumerate();
    let stops = stops.filter(|(_, event)| matches!(event.what, EventKind::Stopped));
    let faults = stops.map(|(at, event)| {
        let mut later = trace.events[at..]
            .iter()
            .filter(|later| later.who == event.who);
        let again = later.find(|later| matches!(later.what, EventKind::Started { .. }));
        Fault {
            kind: FaultClass::Down,
            label: format!("{} is down: it was stopped", event.who.name()),
            event: event.id.0.get(),
            from: event.at,
            to: again.map(|again| again.at),
            end: again.map(number),
            lanes: lanes.of_event(event).into_iter().collect(),
            pairs: Vec::new(),
            affected: None,
        }
    });
    faults.collect()
}

fn number(event: &Event) -> u64 {
    event.id.0.get()
}

/// An event's words, but not in capitals.
fn lower(what: &EventKind<'_>) -> String {
    let words = what.to_string();
    match words.split_once(':') {
        Some((first, rest)) => format!("{}:{rest}", first.to_lowercase()),
        None => words,
    }
}

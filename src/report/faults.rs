//! What the harness did to the run, as stretches of time: from what began it to what ended it.

use std::sync::Arc;

use serde::Serialize;

use super::lanes::Lanes;
use crate::journal::{Event, What};
use crate::trace::Trace;

/// What a fault is, as far as a picture cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// A server does not run.
    Down,
    /// A server stands still.
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
    pub kind: FaultKind,
    /// In a few words, such as `Juzang is down: it crashed`.
    pub label: String,
    /// The number of the event that began it.
    pub event: u64,
    /// Nanoseconds since the beginning.
    pub from: u64,
    /// When it ended; none if it lasted.
    pub to: Option<u64>,
    /// The lanes that it touches.
    pub lanes: Vec<usize>,
    /// The ways or links that it touches, by the lanes of their ends.
    pub pairs: Vec<(usize, usize)>,
    /// What it did to anybody, such as `touched 11 connections`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub touched: Option<String>,
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

/// All faults of a run, in order of their beginnings.
pub(crate) fn faults(trace: &Trace, lanes: &Lanes<'_>) -> Vec<Fault> {
    let mut told = Told {
        trace,
        lanes,
        faults: Vec::new(),
        open: Vec::new(),
    };
    for event in &trace.events {
        told.learn(event);
    }
    told.faults
}

/// From whom to whom, or between whom.
type Pair = (Arc<str>, Arc<str>);

struct Told<'a> {
    trace: &'a Trace,
    lanes: &'a Lanes<'a>,
    faults: Vec<Fault>,
    /// Those that have not ended, and of cuts the ways that are not mended.
    open: Vec<(usize, Vec<Pair>)>,
}

impl Told<'_> {
    fn learn(&mut self, event: &Event) {
        use FaultKind::{Cut, Down, Frozen, Refusing, Severed, Skewed};
        let who = event.who.name();
        match &event.what {
            What::Crashed => self.goes_down(event, "it crashed"),
            What::PoweredOff => self.goes_down(event, "it lost its power"),
            What::Stopped => self.goes_down(event, "it was stopped"),
            What::Started { .. } => self.end(event, &[Down]),
            What::Frozen => self.begin(event, Frozen, format!("{who} stands still"), &[]),
            What::Thawed => self.end(event, &[Frozen]),
            What::Refusing => {
                self.begin(event, Refusing, format!("{who} refuses connections"), &[]);
            }
            What::Accepting => self.end(event, &[Refusing]),
            What::Skewed { by, drift } => {
                self.end(event, &[Skewed]);
                if (*by, *drift) != (0, 0) {
                    let words = event.what.to_string();
                    self.begin(event, Skewed, format!("{who}: {words}"), &[]);
                }
            }
            What::Cut { ways } => self.begin(event, Cut, self.cut(ways), ways),
            What::Healed { ways } => self.heal(event, ways),
            What::Severed { pairs } => {
                self.begin(event, Severed, lower(&event.what), pairs);
                self.open.pop();
                if let Some(fault) = self.faults.last_mut() {
                    fault.to = Some(event.at);
                }
            }
            What::Slowed { links, latency } => self.slow(event, links, latency),
            What::Touched { .. } => {
                let by = event.cause.map(|cause| cause.0.get());
                let mut faults = self.faults.iter_mut().rev();
                if let Some(fault) = faults.find(|fault| Some(fault.event) == by) {
                    fault.touched = Some(event.what.to_string());
                }
            }
            _ => {}
        }
    }

    /// Which links a cut is of: a partition cuts ways on which there is no link, too.
    fn cut(&self, ways: &[Pair]) -> String {
        let herd = &self.trace.herd;
        let is_link = |(a, b): &&Pair| match (herd.id(a), herd.id(b)) {
            (Some(a), Some(b)) => herd.link_between(a, b).is_some(),
            _ => true,
        };
        let linked: Vec<Pair> = ways.iter().filter(is_link).cloned().collect();
        let ways = if linked.is_empty() {
            ways.to_vec()
        } else {
            linked
        };
        lower(&What::Cut { ways })
    }

    fn goes_down(&mut self, event: &Event, why: &str) {
        use FaultKind::{Down, Frozen, Refusing};
        self.end(event, &[Down, Frozen, Refusing]);
        let label = format!("{} is down: {why}", event.who.name());
        self.begin(event, Down, label, &[]);
    }

    fn begin(&mut self, event: &Event, kind: FaultKind, label: String, pairs: &[Pair]) {
        let named = pairs.iter().flat_map(|(a, b)| [a, b]);
        let named = named.filter_map(|name| self.lanes.server(name));
        let whose = self.lanes.of_event(event).filter(|_| pairs.is_empty());
        let mut touched: Vec<usize> = named.chain(whose).collect();
        touched.sort_unstable();
        touched.dedup();
        let pair = |(a, b): &Pair| Some((self.lanes.server(a)?, self.lanes.server(b)?));
        self.open.push((self.faults.len(), pairs.to_vec()));
        self.faults.push(Fault {
            kind,
            label,
            event: event.id.0.get(),
            from: event.at,
            to: None,
            lanes: touched,
            pairs: pairs.iter().filter_map(pair).collect(),
            touched: None,
        });
    }

    /// Ends what was wrong with the server whose event this is.
    fn end(&mut self, event: &Event, kinds: &[FaultKind]) {
        let lane = self.lanes.of_event(event);
        let (faults, open) = (&mut self.faults, &mut self.open);
        open.retain(|(index, _)| {
            let fault = &mut faults[*index];
            let ends = kinds.contains(&fault.kind) && fault.lanes.first().copied() == lane;
            if ends {
                fault.to = Some(event.at);
            }
            !ends
        });
    }

    /// A cut ends when all its ways are mended, once for each time that they were cut.
    fn heal(&mut self, event: &Event, ways: &[Pair]) {
        for way in ways {
            let faults = &self.faults;
            let mut open = self.open.iter_mut();
            let cut = open
                .find(|(index, left)| faults[*index].kind == FaultKind::Cut && left.contains(way));
            if let Some((_, left)) = cut
                && let Some(at) = left.iter().position(|other| other == way)
            {
                left.remove(at);
            }
        }
        self.end_those_without_pairs(event, FaultKind::Cut);
    }

    /// Links are slow until they are told another latency; one that is usual makes nothing slow.
    fn slow(&mut self, event: &Event, links: &[Pair], latency: &str) {
        let same = |a: &Pair, b: &Pair| a == b || (&a.0, &a.1) == (&b.1, &b.0);
        for (index, left) in &mut self.open {
            if self.faults[*index].kind == FaultKind::Slow {
                left.retain(|link| !links.iter().any(|other| same(link, other)));
            }
        }
        self.end_those_without_pairs(event, FaultKind::Slow);
        let shapes = &self.trace.header.links;
        let usual = links.iter().all(|(a, b)| {
            let mut shapes = shapes.iter();
            let shape = shapes.find(|link| {
                (&*link.a, &*link.b) == (&**a, &**b) || (&*link.a, &*link.b) == (&**b, &**a)
            });
            shape.is_some_and(|link| link.latency == latency)
        });
        if !usual {
            let between = links.iter().map(|(a, b)| format!("{a} ↔ {b}"));
            let between = between.collect::<Vec<_>>().join(", ");
            let label = format!("slow, {latency}: {between}");
            self.begin(event, FaultKind::Slow, label, links);
        }
    }

    fn end_those_without_pairs(&mut self, event: &Event, kind: FaultKind) {
        let (faults, open) = (&mut self.faults, &mut self.open);
        open.retain(|(index, left)| {
            let fault = &mut faults[*index];
            let ends = fault.kind == kind && left.is_empty();
            if ends {
                fault.to = Some(event.at);
            }
            !ends
        });
    }
}

/// An event's words, but not in capitals.
fn lower(what: &What<'_>) -> String {
    let words = what.to_string();
    match words.split_once(':') {
        Some((first, rest)) => format!("{}:{rest}", first.to_lowercase()),
        None => words,
    }
}

//! The interval of each fault of a run, and the targets that it affected.
//!
//! This module is the only source of these facts, and reads them from the trace alone. The
//! simulator records an event when a fault begins, and another one, which the first caused, when
//! the fault is over, with its impact. Which event ends which fault is decided by the simulator;
//! this module does not know, for instance, that a crash ends a freeze.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::journal::{Event, EventId, EventKind};

/// The kind of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Stop,
    Crash,
    PowerOff,
    Freeze,
    Refuse,
    Skew,
    Cut,
    Unlink,
    Sever,
    Slow,
    Impaired,
    Disk,
}

impl Kind {
    /// The kind of the fault that an event begins, if it begins one. Setting a clock right is no
    /// fault; whether a changed latency is a fault shows when it ends.
    fn begun_by(event: &Event) -> Option<Self> {
        Some(match event.what {
            EventKind::Stopping => Self::Stop,
            EventKind::Crashed => Self::Crash,
            EventKind::PoweredOff => Self::PowerOff,
            EventKind::Frozen => Self::Freeze,
            EventKind::Refusing => Self::Refuse,
            EventKind::Skewed { by, drift } if (by, drift) != (0, 0) => Self::Skew,
            EventKind::Cut { .. } => Self::Cut,
            EventKind::LinkRemoved { .. } => Self::Unlink,
            EventKind::Severed { .. } => Self::Sever,
            EventKind::Slowed { .. } => Self::Slow,
            EventKind::Impaired { .. } => Self::Impaired,
            EventKind::DiskFaulty { .. } => Self::Disk,
            _ => return None,
        })
    }
}

/// A direction from one party to another, or the two ends of a link.
pub(crate) type Pair<'a> = (&'a str, &'a str);

/// One direction or link that a fault affects.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part<'a> {
    pub(crate) pair: Pair<'a>,
    /// The event that ended the fault for this pair; `None` if it lasted.
    pub(crate) end: Option<&'a Event>,
}

/// A fault, from its beginning to its end.
#[derive(Clone, Debug)]
pub(crate) struct Fault<'a> {
    pub(crate) kind: Kind,
    pub(crate) begin: &'a Event,
    /// The event that ended the fault; `None` if it lasted.
    pub(crate) end: Option<&'a Event>,
    /// The directions of a cut, or the links of another fault of the network, each with its own
    /// end.
    pub(crate) parts: Vec<Part<'a>>,
    /// The event that records the impact; `None` in a trace that was truncated before.
    pub(crate) impact: Option<&'a Event>,
}

impl Fault<'_> {
    /// The server or client that the fault affects, or else `network`.
    pub(crate) fn owner(&self) -> &str {
        self.begin.who.name()
    }
}

/// All faults of a run, in order of their beginnings.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults<'a>(Vec<Fault<'a>>);

impl<'a> Faults<'a> {
    /// The faults of a whole run.
    pub(crate) fn of(events: &'a [Event]) -> Self {
        let mut all: BTreeMap<EventId, Fault<'a>> = BTreeMap::new();
        for event in events {
            end_parts(&mut all, event);
            if let EventKind::Affected { lasts, .. } = event.what {
                if let Some(fault) = event.cause.and_then(|cause| all.get_mut(&cause)) {
                    fault.impact = Some(event);
                    fault.end = (!lasts).then_some(event);
                } else if !lasts {
                    // The end of a composed fault is the end of its parts.
                    let parts = (all.values_mut())
                        .filter(|part| part.begin.cause == event.cause && part.end.is_none());
                    parts.for_each(|part| part.end = Some(event));
                }
            } else if ends_a_part(event) {
                let part = event.cause.and_then(|cause| all.get_mut(&cause));
                if let Some(part) = part.filter(|part| part.end.is_none()) {
                    part.end = Some(event);
                }
            } else if let Some(kind) = Kind::begun_by(event) {
                let fault = Fault {
                    kind,
                    begin: event,
                    end: None,
                    parts: parts(event),
                    impact: None,
                };
                all.insert(event.id, fault);
            }
        }
        for fault in all.values_mut() {
            for part in &mut fault.parts {
                part.end = part.end.or(fault.end);
            }
        }
        let mut all: Vec<Fault<'a>> = all.into_values().collect();
        // A return to the usual latency is no fault, and has no impact.
        all.retain(|fault| fault.kind != Kind::Slow || fault.impact.is_some());
        Self(all)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Fault<'a>> {
        self.0.iter()
    }
}

/// Whether an event ends a fault that is only a part of another, for which no impact is recorded.
fn ends_a_part(event: &Event) -> bool {
    matches!(
        event.what,
        EventKind::Restarted | EventKind::PoweredOn | EventKind::Thawed | EventKind::Accepting
    )
}

/// The pairs that an event affects, if it affects pairs.
fn parts(begin: &Event) -> Vec<Part<'_>> {
    let (EventKind::Cut { ways: pairs }
    | EventKind::LinkRemoved { ways: pairs }
    | EventKind::Impaired { ways: pairs, .. }
    | EventKind::Severed { pairs }
    | EventKind::Slowed { links: pairs, .. }) = &begin.what
    else {
        return Vec::new();
    };
    let pairs = pairs.iter().map(|(a, b)| (&**a, &**b));
    pairs.map(|pair| Part { pair, end: None }).collect()
}

/// Ends parts of earlier faults. The cause of a heal is the cut that it heals. A link has one
/// latency, and a direction one impairment of each kind, so a new one ends the one before.
fn end_parts<'a>(all: &mut BTreeMap<EventId, Fault<'a>>, event: &'a Event) {
    let end = |fault: &mut Fault<'a>, pairs: &[(Arc<str>, Arc<str>)]| {
        let named = |pair: Pair<'_>| pairs.iter().any(|(a, b)| (&**a, &**b) == pair);
        let open = fault.parts.iter_mut().filter(|part| part.end.is_none());
        for part in open.filter(|part| named(part.pair)) {
            part.end = Some(event);
        }
    };
    match &event.what {
        EventKind::Healed { ways } | EventKind::LinkRestored { ways } => {
            if let Some(cut) = event.cause.and_then(|cause| all.get_mut(&cause)) {
                end(cut, ways);
            }
        }
        EventKind::Impaired { ways, fault, .. } | EventKind::Repaired { ways, fault } => {
            let is_same = |other: &Fault<'_>| match &other.begin.what {
                EventKind::Impaired { fault: name, .. } => name == fault,
                _ => false,
            };
            for impaired in all.values_mut().filter(|other| is_same(other)) {
                end(impaired, ways);
            }
        }
        EventKind::Slowed { links, .. } => {
            for slow in all.values_mut().filter(|fault| fault.kind == Kind::Slow) {
                end(slow, links);
            }
        }
        _ => {}
    }
}

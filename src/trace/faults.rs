//! From when to when each fault of a run lasted, and which targets it affected.
//!
//! Everybody who wants to know it reads it here, and this reads it from the trace alone: the simulator
//! says of each fault when it began, and says by an event that this one caused when it was over and what it
//! affected. What ends what is the simulator's affair; nothing here knows, for instance, that a crash ends a freeze.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::journal::{Event, EventId, EventKind};

/// What kind of fault it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Crash,
    PowerOff,
    Freeze,
    Refuse,
    Skew,
    Cut,
    Sever,
    Slow,
}

impl Kind {
    /// What an event begins, if it begins a fault. To set a clock right is none; whether a latency is one
    /// shows when it ends.
    fn begun_by(event: &Event) -> Option<Self> {
        Some(match event.what {
            EventKind::Crashed => Self::Crash,
            EventKind::PoweredOff => Self::PowerOff,
            EventKind::Frozen => Self::Freeze,
            EventKind::Refusing => Self::Refuse,
            EventKind::Skewed { by, drift } if (by, drift) != (0, 0) => Self::Skew,
            EventKind::Cut { .. } => Self::Cut,
            EventKind::Severed { .. } => Self::Sever,
            EventKind::Slowed { .. } => Self::Slow,
            _ => return None,
        })
    }
}

/// From which party to which, or between which two.
pub(crate) type Pair<'a> = (&'a str, &'a str);

/// One pair that a fault affects.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part<'a> {
    pub(crate) pair: Pair<'a>,
    /// What ended it for this pair; none if it lasted.
    pub(crate) end: Option<&'a Event>,
}

/// A fault, from its beginning to its end.
#[derive(Clone, Debug)]
pub(crate) struct Fault<'a> {
    pub(crate) kind: Kind,
    pub(crate) begin: &'a Event,
    /// What ended it; none if it lasted.
    pub(crate) end: Option<&'a Event>,
    /// Of a fault of the network: what it affects, and how long each of them. A cut has directions, anything else
    /// links.
    pub(crate) parts: Vec<Part<'a>>,
    /// The event that tells what it affected; none in a trace that was cut before.
    pub(crate) impact: Option<&'a Event>,
}

impl Fault<'_> {
    /// Whose fault it is, unless it is the network's.
    pub(crate) fn owner(&self) -> &str {
        self.begin.who.name()
    }
}

/// All faults of a run, in order of their beginnings.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults<'a>(Vec<Fault<'a>>);

impl<'a> Faults<'a> {
    /// Of a whole run.
    pub(crate) fn of(events: &'a [Event]) -> Self {
        let mut all: BTreeMap<EventId, Fault<'a>> = BTreeMap::new();
        for event in events {
            end_parts(&mut all, event);
            if let EventKind::Affected { lasts, .. } = event.what {
                if let Some(fault) = event.cause.and_then(|cause| all.get_mut(&cause)) {
                    fault.impact = Some(event);
                    fault.end = (!lasts).then_some(event);
                } else if !lasts {
                    // The end of a whole is the end of its parts.
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
        // A usual latency is no fault, and affects nobody.
        all.retain(|fault| fault.kind != Kind::Slow || fault.impact.is_some());
        Self(all)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Fault<'a>> {
        self.0.iter()
    }
}

/// Whether an event ends what is only a part of a fault, and of which no impact is recorded.
fn ends_a_part(event: &Event) -> bool {
    matches!(
        event.what,
        EventKind::Restarted | EventKind::PoweredOn | EventKind::Thawed | EventKind::Accepting
    )
}

/// Whom an event affects, if it affects pairs.
fn parts(begin: &Event) -> Vec<Part<'_>> {
    let (EventKind::Cut { ways: pairs }
    | EventKind::Severed { pairs }
    | EventKind::Slowed { links: pairs, .. }) = &begin.what
    else {
        return Vec::new();
    };
    let pairs = pairs.iter().map(|(a, b)| (&**a, &**b));
    pairs.map(|pair| Part { pair, end: None }).collect()
}

/// A heal says which cut it heals. A link has one latency: a new one ends the one before.
fn end_parts<'a>(all: &mut BTreeMap<EventId, Fault<'a>>, event: &'a Event) {
    let end = |fault: &mut Fault<'a>, pairs: &[(Arc<str>, Arc<str>)]| {
        let named = |pair: Pair<'_>| pairs.iter().any(|(a, b)| (&**a, &**b) == pair);
        let open = fault.parts.iter_mut().filter(|part| part.end.is_none());
        for part in open.filter(|part| named(part.pair)) {
            part.end = Some(event);
        }
    };
    match &event.what {
        EventKind::Healed { ways } => {
            if let Some(cut) = event.cause.and_then(|cause| all.get_mut(&cause)) {
                end(cut, ways);
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

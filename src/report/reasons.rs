//! Why an update reached a server late, on a detour, or not at all: the faults that were in force
//! at that time. Terminal and page both get their explanations here.

use std::collections::BTreeSet;

use super::faults::{Fault, FaultClass};
use super::lanes::Lanes;
use crate::herd::{Link, ServerId};
use crate::trace::Trace;
use crate::trace::propagation::{Arrival, Propagation};
use crate::trace::state::{LinkState, State};
use crate::units::LatencyRange;

/// Explains the arrivals of a run by its faults.
pub(crate) struct Reasons<'a> {
    pub(super) trace: &'a Trace,
    lanes: &'a Lanes<'a>,
    faults: &'a [Fault],
}

impl<'a> Reasons<'a> {
    /// Explains updates of `trace`; `lanes` and `faults` must be those of this trace.
    pub(crate) fn new(trace: &'a Trace, lanes: &'a Lanes<'a>, faults: &'a [Fault]) -> Self {
        Self {
            trace,
            lanes,
            faults,
        }
    }

    /// Why an update reached a server on its route, as the end of a sentence. Empty if the route is
    /// the expected one.
    pub(crate) fn of_arrival(&self, update: &Propagation, arrival: &Arrival) -> String {
        let reasons = self.in_the_way(update, arrival);
        let usual = self.undisturbed_delay(update, &arrival.server);
        let late = usual.is_some_and(|usual| u128::from(arrival.delay) >= usual.saturating_mul(2));
        match (self.hops_more(update, arrival) > 0, reasons.is_empty()) {
            (true, false) => format!(", because {}", and(&reasons)),
            (true, true) => ", because that way was faster".to_owned(),
            (false, false) if late => format!(", late because {}", and(&reasons)),
            (false, _) => String::new(),
        }
    }

    /// Why an update never reached a server; `None` if no fault explains it.
    pub(crate) fn of_absence(&self, update: &Propagation, server: &str) -> Option<String> {
        let mut tied = update.tied.iter();
        if let Some(tied) = tied.find(|tied| &*tied.server == server) {
            return Some(format!("equal time, the tie goes to {}", tied.to));
        }
        if update.overtaken.iter().any(|over| &**over == server) {
            return Some("a newer update of the same client arrived first".to_owned());
        }
        let begin = self.began(update);
        let events = update.sends.iter().map(|send| send.event);
        let events = events.chain(update.arrivals.iter().map(|arrival| arrival.event));
        let times = events.filter_map(|event| Some(self.trace.event(event)?.at));
        let end = times.max().unwrap_or(begin);
        let in_force: Vec<&Fault> = (self.faults.iter())
            .filter(|fault| fault.overlaps(begin, end) && !is_apart(fault))
            .collect();
        let lane = self.lanes.server(server)?;
        let own = |kind: FaultClass| {
            let mut of_it = in_force.iter().filter(move |fault| fault.kind == kind);
            of_it.find(|fault| fault.lanes.contains(&lane))
        };
        let own = own(FaultClass::Down)
            .or_else(|| own(FaultClass::Frozen))
            .or_else(|| own(FaultClass::Refusing));
        if let Some(fault) = own {
            return Some(self.was(fault).replacen(server, "it", 1));
        }
        let reasons: BTreeSet<String> = (self.edges(update, server).into_iter())
            .flat_map(|(here, there)| {
                let between = in_force.iter().filter(move |fault| match fault.kind {
                    _ if fault.pairs.is_empty() => fault.lanes.contains(&there),
                    _ => [(here, there), (there, here)]
                        .iter()
                        .any(|pair| fault.pairs.contains(pair)),
                });
                between.map(|fault| self.was(fault)).collect::<Vec<_>>()
            })
            .collect();
        let reasons: Vec<String> = reasons.into_iter().collect();
        (!reasons.is_empty()).then(|| and(&reasons))
    }

    /// The links at which an update stopped on its way to a server: from each server that has the
    /// update to a neighbour without it that is connected to `server` through others without it.
    /// Each link is the lanes of its two ends.
    fn edges(&self, update: &Propagation, server: &str) -> Vec<(usize, usize)> {
        let herd = &self.trace.herd;
        let has = |id: ServerId| update.arrival(&herd.server(id).name).is_some();
        let lane = |id: ServerId| self.lanes.server(&herd.server(id).name);
        let mut without: BTreeSet<ServerId> = herd.id(server).into_iter().collect();
        let mut open: Vec<ServerId> = without.iter().copied().collect();
        let mut edges = Vec::new();
        while let Some(at) = open.pop() {
            for next in herd.neighbours(at) {
                if has(next) {
                    edges.extend(lane(next).zip(lane(at)));
                } else if without.insert(next) {
                    open.push(next);
                }
            }
        }
        edges
    }

    /// The number of links that an update crossed beyond the shortest route of an undisturbed herd.
    pub(super) fn hops_more(&self, update: &Propagation, arrival: &Arrival) -> u32 {
        let needed = self.undisturbed(update, &arrival.server);
        arrival.hops.saturating_sub(needed.unwrap_or(arrival.hops))
    }

    fn ends(&self, update: &Propagation, server: &str) -> Option<(ServerId, ServerId)> {
        let herd = &self.trace.herd;
        let origin = update.arrivals.first()?;
        Some((herd.id(&origin.server)?, herd.id(server)?))
    }

    /// The fewest hops in an undisturbed herd.
    fn undisturbed(&self, update: &Propagation, server: &str) -> Option<u32> {
        let (from, to) = self.ends(update, server)?;
        self.trace.herd.hops_from(from, |_| true)[to.index()]
    }

    /// The shortest delay in an undisturbed herd, in nanoseconds.
    fn undisturbed_delay(&self, update: &Propagation, server: &str) -> Option<u128> {
        let (from, to) = self.ends(update, server)?;
        let herd = &self.trace.herd;
        let latency = |at: usize, _: &Link| {
            let shape = self.trace.header.links.get(at)?;
            Some(shape.latency.parse::<LatencyRange>().ok()?.least)
        };
        let least = herd.least_delay_over(from, |_| true, latency)[to.index()];
        least.map(|least| least.as_nanos())
    }

    /// The lanes of all servers on the shortest routes from the origin to a server, including both.
    fn between(&self, update: &Propagation, server: &str) -> BTreeSet<usize> {
        let herd = &self.trace.herd;
        let Some((from, to)) = self.ends(update, server) else {
            return BTreeSet::new();
        };
        let (there, back) = (herd.hops_from(from, |_| true), herd.hops_from(to, |_| true));
        let on_way = |id: &ServerId| match (there[id.index()], back[id.index()]) {
            (Some(there_to), Some(back_to)) => Some(there_to + back_to) == there[to.index()],
            _ => false,
        };
        let ids = herd.ids().filter(on_way);
        ids.filter_map(|id| self.lanes.server(&herd.server(id).name))
            .collect()
    }

    /// The faults on the shortest routes while the update spread, in words.
    fn in_the_way(&self, update: &Propagation, far: &Arrival) -> Vec<String> {
        let begin = self.began(update);
        let end = begin + far.delay;
        let way = self.between(update, &far.server);
        let in_the_way = |fault: &&Fault| match fault.kind {
            FaultClass::Down => fault.covers(begin, end) && touches(fault, &way),
            FaultClass::Skewed | FaultClass::Disk => false,
            // A server's existing links stay up while it refuses connections, so this matters only
            // if a link is down.
            FaultClass::Refusing => {
                let refuses = fault.overlaps(begin, end) && touches(fault, &way);
                refuses && [begin, end].iter().any(|at| self.lacks_a_link(fault, *at))
            }
            // A fault without pairs is between a server and something that is no server.
            FaultClass::Cut | FaultClass::Slow | FaultClass::Impaired | FaultClass::Severed
                if fault.pairs.is_empty() =>
            {
                false
            }
            _ if fault.pairs.is_empty() => fault.overlaps(begin, end) && touches(fault, &way),
            _ => {
                let mut pairs = fault.pairs.iter();
                fault.overlaps(begin, end)
                    && pairs
                        .any(|(a, b)| self.is_link((*a, *b)) && way.contains(a) && way.contains(b))
            }
        };
        let faults = self.faults.iter().filter(in_the_way);
        let reasons: BTreeSet<String> = faults.map(|fault| self.was(fault)).collect();
        reasons.into_iter().collect()
    }

    /// Whether a server that a fault affects has a link that is down at the time `at`.
    fn lacks_a_link(&self, fault: &Fault, at: u64) -> bool {
        let (herd, state) = (&self.trace.herd, State::at(&self.trace.events, at));
        let lanes = fault
            .lanes
            .iter()
            .filter_map(|lane| self.lanes.list.get(*lane));
        let servers: Vec<ServerId> = lanes.filter_map(|lane| herd.id(&lane.name)).collect();
        let mut links = herd.links().iter();
        links.any(|link| {
            let own = servers.iter().any(|id| link.other(*id).is_some());
            own && state.link_state(herd, link) == LinkState::Down
        })
    }

    /// Whether the herd has a link between these lanes. A partition cuts pairs without one, too.
    fn is_link(&self, (a, b): (usize, usize)) -> bool {
        let id = |lane: usize| {
            let lane = self.lanes.list.get(lane)?;
            self.trace.herd.id(&lane.name)
        };
        let ends = (id(a), id(b));
        matches!(ends, (Some(a), Some(b)) if self.trace.herd.link_between(a, b).is_some())
    }

    fn was(&self, fault: &Fault) -> String {
        let whose = fault
            .lanes
            .first()
            .and_then(|lane| self.lanes.list.get(*lane));
        let name = whose.map_or("a server", |lane| &lane.name);
        let pairs = || {
            let links = fault.pairs.iter().filter(|pair| self.is_link(**pair));
            let pairs = links.filter(|(a, b)| a < b || !fault.pairs.contains(&(*b, *a)));
            let names = pairs.map(|(a, b)| {
                let arrow = if fault.kind != FaultClass::Cut || fault.pairs.contains(&(*b, *a)) {
                    "↔"
                } else {
                    "→"
                };
                format!(
                    "{} {arrow} {}",
                    self.lanes.list[*a].name, self.lanes.list[*b].name
                )
            });
            and(&names.collect::<Vec<_>>())
        };
        match fault.kind {
            FaultClass::Down => format!("{name} was down"),
            FaultClass::Frozen => format!("{name} was frozen"),
            FaultClass::Refusing => format!("{name} refused connections"),
            FaultClass::Skewed => format!("the clock of {name} was wrong"),
            FaultClass::Disk => format!("the disk of {name} was at fault"),
            FaultClass::Cut => format!("the path was cut ({})", pairs()),
            FaultClass::Slow => format!("the path was slow ({})", pairs()),
            FaultClass::Impaired => format!("the network {}", fault.label),
            FaultClass::Severed => format!("connections were reset ({})", pairs()),
        }
    }

    /// When the origin accepted the update, in nanoseconds; 0 if no server did.
    fn began(&self, update: &Propagation) -> u64 {
        let origin = update.arrivals.first();
        let event = origin.and_then(|origin| self.trace.event(origin.event));
        event.map_or(0, |event| event.at)
    }
}

/// Whether a fault has nothing to do with how updates spread: no message depends on a clock or a disk.
fn is_apart(fault: &Fault) -> bool {
    matches!(fault.kind, FaultClass::Skewed | FaultClass::Disk)
}

fn touches(fault: &Fault, lanes: &BTreeSet<usize>) -> bool {
    fault.lanes.iter().any(|lane| lanes.contains(lane))
}

/// A list such as `a, b and c`, or `a, b, c and 2 more`.
fn and(words: &[String]) -> String {
    let (shown, more) = words.split_at(words.len().min(3));
    match (shown, more.len()) {
        (some, 1..) => format!("{} and {} more", some.join(", "), more.len()),
        ([], _) => String::new(),
        ([one], _) => one.clone(),
        ([some @ .., last], _) => format!("{} and {last}", some.join(", ")),
    }
}

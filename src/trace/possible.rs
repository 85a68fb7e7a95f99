//! What a network could have done: over how few links, and how soon, an update could have reached
//! one server from another, given the state of the network at that time.
//!
//! Each figure is a lower bound: no update arrives earlier or over fewer links. If the network
//! changes at a moment, both its states count as possible at that moment.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use super::faults::{Faults, Kind};
use crate::herd::{Herd, ServerId};
use crate::journal::{Event, EventId, EventKind};
use crate::units::LatencyRange;

/// The fewest links and the least number of nanoseconds; `None` if no path was open.
pub(super) type Least = (Option<u32>, Option<u64>);

/// The least figures for every server, by the origin and the number of changes of the network
/// before.
type Known = BTreeMap<(ServerId, usize), Rc<Vec<Least>>>;

/// An interval of time, in nanoseconds, and the event that began it.
#[derive(Clone, Copy)]
struct Stretch<T> {
    began: EventId,
    from: u64,
    /// The event that ended it, and when; `None` if it lasted.
    ended: Option<(EventId, u64)>,
    what: T,
}

impl<T: Copy> Stretch<T> {
    /// The beginning and the end, as far as known at the event `last`; `None` if it had not begun
    /// then.
    fn known(&self, last: EventId) -> Option<(u64, u64)> {
        let end = self.ended.filter(|(event, _)| *event <= last);
        (self.began <= last).then(|| (self.from, end.map_or(u64::MAX, |(_, at)| at)))
    }
}

/// The intervals of one thing, in order of their beginnings.
struct Course<T>(Vec<Stretch<T>>);

impl<T> Default for Course<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl Course<()> {
    /// Adds an interval, which may begin before the last one has ended.
    fn push(&mut self, begin: &Event, end: Option<&Event>) {
        self.0.push(Stretch {
            began: begin.id,
            from: begin.at,
            ended: end.map(|end| (end.id, end.at)),
            what: (),
        });
    }
}

impl<T: Copy> Course<T> {
    fn begin(&mut self, event: &Event, what: T) {
        self.end(event);
        self.0.push(Stretch {
            began: event.id,
            from: event.at,
            ended: None,
            what,
        });
    }

    fn end(&mut self, event: &Event) {
        if let Some(open) = self.0.last_mut().filter(|open| open.ended.is_none()) {
            open.ended = Some((event.id, event.at));
        }
    }

    /// The intervals that were in force at `since` or later, as far as known at the event `last`.
    fn since(&self, since: u64, last: EventId) -> impl Iterator<Item = (u64, u64, T)> {
        let stretches = self.0.iter();
        stretches.filter_map(move |stretch| {
            let (from, to) = stretch.known(last)?;
            (to >= since).then_some((from, to, stretch.what))
        })
    }
}

/// The states of the network, from the beginning of a run to its end.
pub(super) struct History<'a> {
    herd: &'a Herd,
    runs: Vec<Course<()>>,
    frozen: Vec<Course<()>>,
    /// For each direction the intervals in which it was cut, in order of their beginnings.
    cuts: BTreeMap<(ServerId, ServerId), Course<()>>,
    /// The least latency of each link since its changes, by the link's index in the herd.
    latency: Vec<Course<u64>>,
    usual: Vec<u64>,
    /// Every event that changed the state of the network.
    changes: Vec<EventId>,
    /// A cache: while the network does not change, the figures are the same for all updates of an
    /// origin.
    known: RefCell<Known>,
}

impl<'a> History<'a> {
    /// The history of a run with these events. `latency` is the least latency of each link at the
    /// beginning.
    pub(super) fn new(herd: &'a Herd, latency: &[Duration], events: &[Event]) -> Self {
        let mut frozen: Vec<Course<()>> = herd.ids().map(|_| Course::default()).collect();
        let mut cuts: BTreeMap<_, Course<()>> = BTreeMap::new();
        for fault in Faults::of(events).iter() {
            match (fault.kind, herd.id(fault.owner())) {
                (Kind::Freeze, Some(server)) => {
                    frozen[server.index()].push(fault.begin, fault.end);
                }
                (Kind::Cut | Kind::Unlink, _) => {
                    for part in &fault.parts {
                        if let Some(way) = herd.id(part.pair.0).zip(herd.id(part.pair.1)) {
                            cuts.entry(way).or_default().push(fault.begin, part.end);
                        }
                    }
                }
                _ => {}
            }
        }
        Self {
            herd,
            runs: herd.ids().map(|_| Course::default()).collect(),
            frozen,
            cuts,
            latency: herd.links().iter().map(|_| Course::default()).collect(),
            usual: latency.iter().copied().map(nanos).collect(),
            changes: Vec::new(),
            known: RefCell::default(),
        }
    }

    /// Applies the next event.
    pub(super) fn learn(&mut self, event: &Event) {
        let server = self.herd.id(event.who.name()).map(ServerId::index);
        match (&event.what, server) {
            (EventKind::Started { .. }, Some(server)) => self.runs[server].begin(event, ()),
            (EventKind::Crashed | EventKind::PoweredOff | EventKind::Stopped, Some(server)) => {
                self.runs[server].end(event);
            }
            // The intervals of these faults are known already.
            (
                EventKind::Frozen
                | EventKind::Thawed
                | EventKind::Cut { .. }
                | EventKind::Healed { .. }
                | EventKind::LinkRemoved { .. }
                | EventKind::LinkRestored { .. },
                _,
            ) => {}
            (EventKind::Slowed { links, latency }, _) => {
                let Ok(latency) = latency.parse::<LatencyRange>() else {
                    return;
                };
                for (a, b) in links {
                    if let Some(link) = self.link(a, b) {
                        self.latency[link].begin(event, nanos(latency.least));
                    }
                }
            }
            _ => return,
        }
        self.changes.push(event.id);
    }

    fn link(&self, a: &str, b: &str) -> Option<usize> {
        let (a, b) = (self.herd.id(a)?, self.herd.id(b)?);
        let mut links = self.herd.links_of(a);
        links.find_map(|(index, link)| (link.other(a) == Some(b)).then_some(index))
    }

    /// The fewest links and the least time in which an update that the event `origin` accepted
    /// could reach the server of `arrival`, given the changes of the network until then.
    pub(super) fn least(&self, origin: &Event, arrival: &Event) -> Least {
        let ends = (
            self.herd.id(origin.who.name()),
            self.herd.id(arrival.who.name()),
        );
        let (Some(from), Some(to)) = ends else {
            return (None, None);
        };
        let before = |event: EventId| self.changes.partition_point(|change| *change <= event);
        let state = before(origin.id);
        if state != before(arrival.id) {
            return self.search(from, origin.at, arrival.id, Some(to))[to.index()];
        }
        let known = self.known.borrow().get(&(from, state)).cloned();
        let least = known.unwrap_or_else(|| {
            let least = Rc::new(self.search(from, origin.at, arrival.id, None));
            let mut known = self.known.borrow_mut();
            known.insert((from, state), Rc::clone(&least));
            least
        });
        least[to.index()]
    }

    /// For each server the earliest moment of an arrival, over one more link each round. At the
    /// server `to` only its present run counts, since what an earlier run held is lost; but an
    /// earlier run may have forwarded it.
    fn search(&self, from: ServerId, at: u64, last: EventId, to: Option<ServerId>) -> Vec<Least> {
        let mut earliest: Vec<Option<u64>> = vec![None; self.runs.len()];
        let mut hops: Vec<Option<u32>> = earliest.iter().map(|_| None).collect();
        (earliest[from.index()], hops[from.index()]) = (Some(at), Some(0));
        let mut present: Least = (None, None);
        let mut better = vec![from];
        for round in 1_u32.. {
            // Each round uses only what the round before found, or a link would be free.
            let before = earliest.clone();
            let mut next: Vec<ServerId> = Vec::new();
            for here in better {
                let Some(at) = before[here.index()] else {
                    continue;
                };
                for (link, ends) in self.herd.links_of(here) {
                    let Some(there) = ends.other(here) else {
                        continue;
                    };
                    let carries = |now| self.carries((here, there), link, at, last, now);
                    if to == Some(there)
                        && let Some(then) = carries(true)
                    {
                        present.0.get_or_insert(round);
                        present.1 = Some(present.1.map_or(then, |known| known.min(then)));
                    }
                    let Some(then) = carries(false) else {
                        continue;
                    };
                    if earliest[there.index()].is_none_or(|known| then < known) {
                        earliest[there.index()] = Some(then);
                        hops[there.index()].get_or_insert(round);
                        if !next.contains(&there) {
                            next.push(there);
                        }
                    }
                }
            }
            if next.is_empty() {
                break;
            }
            better = next;
        }
        if let Some(to) = to.filter(|to| *to != from) {
            (hops[to.index()], earliest[to.index()]) = present;
        }
        let delay = |then: Option<u64>| then.map(|then| then.saturating_sub(at));
        hops.into_iter()
            .zip(earliest.into_iter().map(delay))
            .collect()
    }

    /// When a message could arrive that is sent over a link at `at` or later. It is sent at once,
    /// or when something changes: both servers must run when it is sent. A message that is due over
    /// a cut, or that reaches a frozen server, waits.
    fn carries(
        &self,
        (here, there): (ServerId, ServerId),
        link: usize,
        at: u64,
        last: EventId,
        only_now: bool,
    ) -> Option<u64> {
        let sends: Vec<_> = self.runs[here.index()].since(at, last).collect();
        let hears: Vec<_> = (self.runs[there.index()].since(at, last))
            .filter(|(_, to, ())| !only_now || *to == u64::MAX)
            .collect();
        let mut takes: Vec<_> = self.latency[link].since(at, last).collect();
        let first = self.latency[link].0.first();
        let usual_until = first.filter(|first| first.began <= last);
        let usual_until = usual_until.map_or(u64::MAX, |first| first.from);
        if usual_until >= at {
            takes.push((0, usual_until, self.usual[link]));
        }
        let waits = |course: Option<&Course<()>>| -> Vec<(u64, u64)> {
            let stretches = course.into_iter().flat_map(|course| course.since(at, last));
            stretches.map(|(from, to, ())| (from, to)).collect()
        };
        let cut = waits(self.cuts.get(&(here, there)));
        let frozen = waits(Some(&self.frozen[there.index()]));
        let mut best: Option<u64> = None;
        for &(sends_from, sends_to, ()) in &sends {
            for &(hears_from, hears_to, ()) in &hears {
                for &(takes_from, takes_to, least) in &takes {
                    let sent = at.max(sends_from).max(hears_from).max(takes_from);
                    if sent > sends_to.min(hears_to).min(takes_to) {
                        continue;
                    }
                    let due = sent.saturating_add(least);
                    // A message that has reached a frozen server is not delayed by a cut that
                    // begins then.
                    let comes = after(due, &cut).and_then(|comes| after(comes, &frozen));
                    let Some(comes) = comes.filter(|comes| *comes <= hears_to) else {
                        continue;
                    };
                    best = Some(best.map_or(comes, |best| best.min(comes)));
                }
            }
        }
        best
    }
}

/// The first moment from `due` on that is within none of these intervals, which are in order of
/// their beginnings; `None` if one of them lasts.
fn after(due: u64, waits: &[(u64, u64)]) -> Option<u64> {
    let mut comes = due;
    for &(from, to) in waits {
        if from < comes && comes < to {
            comes = to;
        }
    }
    (comes < u64::MAX).then_some(comes)
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

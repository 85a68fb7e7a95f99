//! Carries out a scenario's faults, and counts what each affects.

mod disks;
mod herd_file;

use std::collections::BTreeMap;
use std::time::Duration;

use super::disk::Disks;
use super::impact::{Impact, Measure, Origin};
use super::machines::{Machine, Machines};
use super::net::Faults;
use super::recorder::Recorder;
use super::worlds::Wire;
use crate::herd::{Name, ServerId};
use crate::journal::{Actor, EventId, EventKind};
use crate::scenario::{
    ClockError, ClockOwner, Condition, Direction, Impairment, Party, Route, Scenario, Usual, nanos,
};
use crate::units::LatencyRange;

/// A fault in force.
struct Active {
    impact: Impact,
    kind: Kind,
    measure: Measure,
    /// The measure's value when the fault began.
    before: u64,
    /// The event of the composed fault that this fault is a part of.
    whole: Option<EventId>,
}

/// What identifies a fault when it is ended.
#[derive(PartialEq)]
enum Kind {
    Host(Condition, Party),
    /// A fault of several operations: its number and its target.
    Composed(usize, Option<Party>),
    /// The directions that the fault still cuts.
    Cut(Vec<Wire>),
    /// The routes that the fault still slows, each with the number of messages on it before the
    /// fault.
    Slow(BTreeMap<Route, u64>),
    /// An impairment of this name, and the directions that it still impairs.
    Impaired(&'static str, Vec<Wire>),
    /// This link of the herd's is in no herd file.
    Unlinked(usize),
    Skew(ClockOwner),
    /// Something is wrong with this server's disk.
    Disk(ServerId),
    Moment,
}

/// Removes one occurrence of `wire` from the list, and returns whether there was one.
fn take(list: &mut Vec<Wire>, wire: Wire) -> bool {
    let at = list.iter().position(|one| *one == wire);
    at.map(|at| list.remove(at)).is_some()
}

/// Whether a fault cuts this direction.
fn is_cut(active: &[Active], wire: Wire) -> bool {
    let cuts = |active: &Active| matches!(&active.kind, Kind::Cut(cut) if cut.contains(&wire));
    active.iter().any(cuts)
}

/// Begins and ends faults, and knows those in force.
pub(super) struct Breaker {
    machines: Machines,
    faults: Faults,
    disks: Disks,
    recorder: Recorder,
    /// The latencies that the scenario begins with.
    usual: Usual,
    active: Vec<Active>,
    pub(super) impacts: Vec<Impact>,
}

impl Breaker {
    /// Draws from another seed from now on.
    pub(super) fn redraw(&self, seed: u64, shuffles: bool) {
        self.faults.draw_from(seed, shuffles);
        self.disks.redraw(seed);
    }

    pub(super) fn new(
        scenario: &Scenario,
        machines: Machines,
        (faults, disks): (Faults, Disks),
        recorder: Recorder,
    ) -> Self {
        Self {
            machines,
            faults,
            disks,
            recorder,
            usual: scenario.usual(),
            active: Vec::new(),
            impacts: Vec::new(),
        }
    }

    fn name(&self, party: Party) -> Name {
        self.machines.name(party)
    }

    fn names(&self, ways: &[Direction]) -> Vec<(Name, Name)> {
        let ways = ways.iter();
        ways.map(|&(a, b)| (self.name(a), self.name(b))).collect()
    }

    /// The actor of events about `party`.
    fn who(&self, party: Party) -> Actor {
        match party {
            Party::Server(_) => Actor::Server(self.name(party)),
            Party::Places => Actor::Places,
            Party::Clients => Actor::Network,
        }
    }

    /// Records an event. The cause of a fault's end is its beginning.
    fn tell(&self, who: Actor, begun: Option<EventId>, what: EventKind<'static>) -> EventId {
        self.recorder.journal(who).record(begun, what)
    }

    /// The event that began the last fault of this kind, if one is in force.
    fn begun(&self, is_it: impl Fn(&Kind) -> bool) -> Option<EventId> {
        let mut active = self.active.iter().rev();
        let fault = active.find(|active| is_it(&active.kind));
        fault.map(|fault| fault.impact.event)
    }

    fn begin(&mut self, origin: Origin, event: EventId, kind: Kind, measure: Measure) {
        let whole = origin.part_of.and_then(|part_of| self.whole(part_of));
        let impact = Impact {
            origin,
            event,
            count: measure.at_once(),
            what: measure.unit(),
            others: Vec::new(),
        };
        let before = measure.read(&self.faults);
        self.active.push(Active {
            impact,
            kind,
            measure,
            before,
            whole,
        });
    }

    /// The impact of a fault that was not counted before its end.
    fn untold(&self, active: &Active) -> u64 {
        let since = active.measure.read(&self.faults) - active.before;
        let more = match (&active.measure, &active.kind) {
            // Connections under way will be given up, or be reset when the power is back.
            (Measure::Lost(machine, _), _) => self.faults.counts(*machine).pending,
            (_, Kind::Slow(routes)) => (routes.iter())
                .map(|(route, before)| self.gone_by(*route) - before)
                .sum(),
            _ => 0,
        };
        since + more
    }

    /// The number of messages sent on a route, in both directions.
    fn gone_by(&self, route: Route) -> u64 {
        let pairs = self.machines.pairs(route);
        let sends = |(a, b)| self.faults.sends(a, b) + self.faults.sends(b, a);
        pairs.into_iter().map(sends).sum()
    }

    /// Ends the faults of this kind.
    fn end(&mut self, over: impl Fn(&Kind) -> bool) {
        self.account(over, false);
    }

    /// Accounts for all faults at the end of the run, as lasting ones.
    pub(super) fn finish(&mut self) {
        self.account(|_| true, true);
    }

    /// Records the impact of faults of this kind, and removes them.
    fn account(&mut self, over: impl Fn(&Kind) -> bool, lasts: bool) {
        let (over, active) = std::mem::take(&mut self.active)
            .into_iter()
            .partition(|active| over(&active.kind));
        self.active = active;
        // Parts come first: their impact counts for the composed fault, which may end with them.
        let over: Vec<Active> = over;
        let (parts, mut over): (Vec<Active>, Vec<Active>) =
            (over.into_iter()).partition(|active| active.whole.is_some());
        for part in parts {
            let untold = self.untold(&part);
            let (mut impact, whole) = (part.impact, part.whole);
            impact.count += untold;
            let mut wholes = self.active.iter_mut().chain(&mut over);
            if let Some(whole) = wholes.find(|fault| Some(fault.impact.event) == whole) {
                whole.impact.add(&impact);
            }
        }
        for active in over {
            let untold = self.untold(&active);
            let mut impact = active.impact;
            impact.count += untold;
            let (count, of) = impact.told();
            let of = of.into();
            let what = EventKind::Affected { count, of, lasts };
            self.recorder
                .journal(Actor::Network)
                .record(Some(impact.event), what);
            self.impacts.push(impact);
        }
    }

    /// The event that began a fault of several operations, while that is in force.
    fn whole(&self, number: usize) -> Option<EventId> {
        self.begun(|kind| matches!(kind, Kind::Composed(other, _) if *other == number))
    }

    /// Whether an operation is still due: not if it is part of a fault that has ended.
    pub(super) fn is_due(&self, origin: &Origin) -> bool {
        origin
            .part_of
            .is_none_or(|part_of| self.whole(part_of).is_some())
    }

    /// Begins a fault of several operations.
    pub(super) fn compose(&mut self, origin: Origin, fault: String, party: Option<Party>) {
        let Some(number) = origin.part_of else {
            return;
        };
        let who = party.map_or(Actor::Network, |party| self.who(party));
        let fault = fault.into();
        let event = self.tell(who, None, EventKind::Composed { fault });
        self.begin(origin, event, Kind::Composed(number, party), Measure::Parts);
    }

    /// Ends a fault of several operations.
    pub(super) fn decompose(&mut self, number: usize) {
        self.end(|kind| matches!(kind, Kind::Composed(other, _) if *other == number));
    }

    /// Puts a server, or Places, into a condition.
    pub(super) fn set(&mut self, condition: Condition, party: Party, origin: Origin) {
        let machine = self.machines.of(party);
        let had = self.faults.connections(machine);
        let (what, measure) = match condition {
            Condition::Stopped | Condition::Left => {
                (EventKind::Stopping, Measure::Refused(machine, had))
            }
            Condition::Dead => (EventKind::Crashed, Measure::Refused(machine, had)),
            Condition::Unpowered => (EventKind::PoweredOff, Measure::Lost(machine, had)),
            Condition::Frozen => (EventKind::Frozen, Measure::Stopped(machine)),
            Condition::Refusing => (EventKind::Refusing, Measure::Refused(machine, 0)),
        };
        let whole = origin.part_of.and_then(|part_of| self.whole(part_of));
        let event = self.tell(self.who(party), whole, what);
        if !matches!(condition, Condition::Frozen | Condition::Refusing) {
            // A server that is down, or will be, has no other faults.
            self.end(|kind| matches!(kind, Kind::Host(_, other) if *other == party));
            self.end(|kind| matches!(kind, Kind::Composed(_, Some(other)) if *other == party));
        }
        if matches!(condition, Condition::Dead | Condition::Unpowered) {
            self.faults.reset(machine);
        }
        self.begin(origin, event, Kind::Host(condition, party), measure);
        match condition {
            Condition::Frozen => self.faults.freeze(machine, true),
            Condition::Refusing => self.faults.refuse(machine, true),
            Condition::Stopped | Condition::Left => self.faults.refuse(machine, false),
            Condition::Dead | Condition::Unpowered => {}
        }
    }

    /// Ends a condition of a server or Places.
    pub(super) fn clear(&mut self, condition: Condition, party: Party) {
        let machine = self.machines.of(party);
        let what = match condition {
            Condition::Stopped | Condition::Left | Condition::Dead => EventKind::Restarted,
            Condition::Unpowered => EventKind::PoweredOn,
            Condition::Frozen => EventKind::Thawed,
            Condition::Refusing => EventKind::Accepting,
        };
        let it = Kind::Host(condition, party);
        let begun = self.begun(|kind| *kind == it);
        self.end(|kind| *kind == it);
        self.tell(self.who(party), begun, what);
        match condition {
            Condition::Frozen => self.faults.freeze(machine, false),
            Condition::Refusing => self.faults.refuse(machine, false),
            Condition::Stopped | Condition::Left => {}
            Condition::Dead | Condition::Unpowered => self.faults.reset(machine),
        }
    }

    /// Cuts directions: the fault, and what the world must cut.
    pub(super) fn cut(&mut self, ways: &[Direction], origin: Origin) -> (EventId, Vec<Wire>) {
        let ways = self.machines.existing(ways);
        let named = self.names(&ways);
        let event = self.tell(Actor::Network, None, EventKind::Cut { ways: named });
        let wires: Vec<Wire> = ways.iter().map(|&way| self.machines.wire(way)).collect();
        let kind = Kind::Cut(wires.clone());
        self.begin(origin, event, kind, Measure::HeldUp(event));
        (event, wires)
    }

    /// Removes one cut from each of these directions: preferably of the last fault that cuts
    /// nothing else, otherwise of the last that cuts it. Returns the faults, and what the world must heal of each.
    pub(super) fn heal(&mut self, ways: &[Direction]) -> Vec<(EventId, Vec<Wire>)> {
        let mut wires: Vec<Wire> = (self.machines.existing(ways).into_iter())
            .map(|way| self.machines.wire(way))
            .collect();
        let mut cuts: Vec<(EventId, &mut Vec<Wire>)> = (self.active.iter_mut().rev())
            .filter_map(|active| match &mut active.kind {
                Kind::Cut(cut) => Some((active.impact.event, cut)),
                _ => None,
            })
            .collect();
        let mut healed: Vec<(EventId, Vec<Wire>)> = Vec::new();
        for only_whole in [true, false] {
            for (event, cut) in &mut cuts {
                if only_whole && !cut.iter().all(|wire| wires.contains(wire)) {
                    continue;
                }
                let own: Vec<Wire> = cut.extract_if(.., |wire| take(&mut wires, *wire)).collect();
                if !own.is_empty() {
                    healed.push((*event, own));
                }
            }
        }
        for (cut, own) in &healed {
            let name = |machine| self.name(self.machines.party(machine));
            let ways = own.iter().map(|&(a, b)| (name(a), name(b))).collect();
            self.tell(Actor::Network, Some(*cut), EventKind::Healed { ways });
        }
        self.end(|kind| matches!(kind, Kind::Cut(cut) if cut.is_empty()));
        healed
    }

    /// Whether messages from `a` to `b` are held back.
    pub(super) fn is_cut(&self, a: Machine, b: Machine) -> bool {
        is_cut(&self.active, (a, b))
    }

    /// Whether a server is in this condition.
    pub(super) fn is(&self, condition: Condition, server: ServerId) -> bool {
        let kind = Kind::Host(condition, Party::Server(server));
        self.active.iter().any(|active| active.kind == kind)
    }

    /// Resets the connections of these pairs.
    pub(super) fn sever(&mut self, pairs: &[(Party, Party)], origin: Origin) {
        let pairs = self.machines.existing(pairs);
        let named = self.names(&pairs);
        let event = self.tell(Actor::Network, None, EventKind::Severed { pairs: named });
        let severed = pairs
            .iter()
            .map(|&(a, b)| self.faults.sever(self.machines.of(a), self.machines.of(b)));
        let measure = Measure::Once(severed.sum());
        self.begin(origin, event, Kind::Moment, measure);
        self.end(|kind| *kind == Kind::Moment);
    }

    /// Begins or ends the slowness of routes. The caller passes the latency to the simulation.
    pub(super) fn slow(&mut self, routes: &[Route], latency: LatencyRange, origin: &Origin) {
        // A route with its initial latency has no fault.
        let is_usual = |route: &Route| self.usual.get(route) == Some(&latency);
        let (usual, slow): (Vec<Route>, Vec<Route>) = routes.iter().copied().partition(is_usual);
        for (routes, is_fault) in [(usual, false), (slow, true)] {
            if routes.is_empty() {
                continue;
            }
            let slows = |route: &Route| {
                self.begun(|kind| matches!(kind, Kind::Slow(slow) if slow.contains_key(route)))
            };
            let ended = routes.iter().find_map(slows);
            self.no_longer_slow(&routes);
            let pairs = routes.iter().flat_map(|&route| self.machines.pairs(route));
            let name = |machine| self.name(self.machines.party(machine));
            let what = EventKind::Slowed {
                links: pairs.map(|(a, b)| (name(a), name(b))).collect(),
                latency: latency.to_string().into(),
            };
            let event = self.tell(Actor::Network, ended, what);
            if !is_fault {
                continue;
            }
            let before = routes.iter().map(|&route| (route, self.gone_by(route)));
            let kind = Kind::Slow(before.collect());
            self.begin(origin.clone(), event, kind, Measure::Messages);
        }
    }

    /// Ends the slowness of routes, whichever fault slows them.
    fn no_longer_slow(&mut self, routes: &[Route]) {
        for route in routes {
            let gone = self.gone_by(*route);
            for fault in &mut self.active {
                if let Kind::Slow(slow) = &mut fault.kind
                    && let Some(before) = slow.remove(route)
                {
                    fault.impact.count += gone - before;
                }
            }
        }
        self.end(|kind| matches!(kind, Kind::Slow(slow) if slow.is_empty()));
    }

    /// Impairs directions, or ends that: the fault, and what the world must impair. A direction has one impairment of
    /// each kind, so another one ends what was there.
    pub(super) fn impair(
        &mut self,
        ways: &[Direction],
        impairment: Impairment,
        origin: Origin,
    ) -> (EventId, Vec<Wire>) {
        let ways = self.machines.existing(ways);
        let wires: Vec<Wire> = ways.iter().map(|&way| self.machines.wire(way)).collect();
        let name = impairment.name();
        let is_there = |kind: &Kind| matches!(kind, Kind::Impaired(other, on) if *other == name && on.iter().any(|wire| wires.contains(wire)));
        let begun = self.begun(is_there);
        let (ways, fault) = (self.names(&ways), name.into());
        let what = if impairment.is_none() {
            EventKind::Repaired { ways, fault }
        } else {
            EventKind::Impaired {
                ways,
                fault,
                how: impairment.to_string().into(),
                adds: nanos(impairment.adds()),
                loses: impairment.loses(),
            }
        };
        let event = self.tell(Actor::Network, begun, what);
        for fault in &mut self.active {
            if let Kind::Impaired(other, on) = &mut fault.kind
                && *other == name
            {
                on.retain(|wire| !wires.contains(wire));
            }
        }
        self.end(|kind| matches!(kind, Kind::Impaired(_, on) if on.is_empty()));
        if !impairment.is_none() {
            let kind = Kind::Impaired(name, wires.clone());
            self.begin(origin, event, kind, Measure::Packets(event));
        }
        (event, wires)
    }

    /// Moves a clock by this number of nanoseconds; its drift stays.
    pub(super) fn jump(&mut self, clocked: &ClockOwner, by: i64, now: Duration, origin: Origin) {
        let error = match clocked {
            ClockOwner::Server(id) => self.faults.error(id.index(), now),
            ClockOwner::Client(name) => self.faults.client_error(name, now),
        };
        let skewed = ClockError {
            by: error.by.saturating_add(by),
            ..error
        };
        self.skew(clocked, skewed, now, origin);
    }

    /// Sets a clock's error from now on.
    pub(super) fn skew(
        &mut self,
        clocked: &ClockOwner,
        skewed: ClockError,
        now: Duration,
        origin: Origin,
    ) {
        let it = Kind::Skew(clocked.clone());
        let begun = self.begun(|kind| *kind == it);
        self.end(|kind| *kind == it);
        let (who, measure) = match clocked {
            ClockOwner::Server(id) => (
                self.who(Party::Server(*id)),
                Measure::ServerClock(id.index()),
            ),
            ClockOwner::Client(name) => (
                Actor::Client(name.clone()),
                Measure::ClientClock(name.clone()),
            ),
        };
        let ClockError { by, drift } = skewed;
        let event = self.tell(who, begun, EventKind::Skewed { by, drift });
        match clocked {
            ClockOwner::Server(id) => self.faults.skew(id.index(), skewed, now),
            ClockOwner::Client(name) => self.faults.skew_client(name, skewed, now),
        }
        // A clock without an error has no fault.
        if skewed != ClockError::default() {
            self.begin(origin, event, it, measure);
        }
    }
}

//! Doing to the world what a scenario says, and counting what each fault affects.

use std::collections::BTreeMap;
use std::time::Duration;

use super::impact::{Impact, Measure, Origin};
use super::machines::{Machine, Machines};
use super::net::Faults;
use super::recorder::Recorder;
use super::wires::{Wire, Wires};
use crate::herd::{Name, ServerId};
use crate::journal::{Actor, EventId, EventKind};
use crate::scenario::{
    ClockError, ClockOwner, Condition, Direction, Party, Route, Scenario, Usual,
};
use crate::units::LatencyRange;

/// A fault that is not over.
struct Active {
    impact: Impact,
    kind: Kind,
    measure: Measure,
    /// What the measure showed when it began.
    before: u64,
    /// The event of the fault that this is a part of.
    whole: Option<EventId>,
}

/// By what a fault ends.
#[derive(PartialEq)]
enum Kind {
    Host(Condition, Party),
    /// A fault that is more than one operation, and its target.
    Composed(usize, Option<Party>),
    /// The ways that it still cuts.
    Cut(Vec<Wire>),
    /// The routes that are still slow by it, and how many messages had gone by them before.
    Slow(BTreeMap<Route, u64>),
    Skew(ClockOwner),
    Moment,
}

/// Takes `wire` out of the list once, if it is there.
fn take(list: &mut Vec<Wire>, wire: Wire) -> bool {
    let at = list.iter().position(|one| *one == wire);
    at.map(|at| list.remove(at)).is_some()
}

/// Whether a fault cuts this way.
fn is_cut(active: &[Active], wire: Wire) -> bool {
    let cuts = |active: &Active| matches!(&active.kind, Kind::Cut(cut) if cut.contains(&wire));
    active.iter().any(cuts)
}

/// The faults in force, and the means to begin and end faults.
pub(super) struct Breaker {
    machines: Machines,
    faults: Faults,
    recorder: Recorder,
    /// What messages take in the beginning.
    usual: Usual,
    wires: Wires,
    active: Vec<Active>,
    pub(super) impacts: Vec<Impact>,
}

impl Breaker {
    pub(super) fn new(
        scenario: &Scenario,
        machines: Machines,
        faults: Faults,
        recorder: Recorder,
    ) -> Self {
        Self {
            wires: Wires::new(scenario, machines.clone()),
            machines,
            faults,
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

    /// Who does what is done to `party`.
    fn who(&self, party: Party) -> Actor {
        match party {
            Party::Server(_) => Actor::Server(self.name(party)),
            Party::Places => Actor::Places,
            Party::Clients => Actor::Network,
        }
    }

    /// Writes down what is done. What ends a fault was caused by its beginning.
    fn tell(&self, who: Actor, begun: Option<EventId>, what: EventKind<'static>) -> EventId {
        self.recorder.journal(who).record(begun, what)
    }

    /// By which event the last fault of this kind began.
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

    /// The impact of a fault that ends now, since it was last counted.
    fn untold(&self, active: &Active) -> u64 {
        let since = active.measure.read(&self.faults) - active.before;
        let more = match (&active.measure, &active.kind) {
            // Who tries now will give up, or be reset when the power is back.
            (Measure::Lost(machine, _), _) => self.faults.counts(*machine).pending,
            (_, Kind::Slow(routes)) => (routes.iter())
                .map(|(route, before)| self.gone_by(*route) - before)
                .sum(),
            _ => 0,
        };
        since + more
    }

    /// How many messages have gone by a route, both ways.
    fn gone_by(&self, route: Route) -> u64 {
        let pairs = self.machines.pairs(route);
        let sends = |(a, b)| self.faults.sends(a, b) + self.faults.sends(b, a);
        pairs.into_iter().map(sends).sum()
    }

    /// Faults of this kind are over.
    fn end(&mut self, over: impl Fn(&Kind) -> bool) {
        self.account(over, false);
    }

    /// The run is over. What was wrong until then lasts.
    pub(super) fn finish(&mut self) {
        self.account(|_| true, true);
    }

    /// Records the impact of faults of this kind, and forgets them.
    fn account(&mut self, over: impl Fn(&Kind) -> bool, lasts: bool) {
        let (over, active) = std::mem::take(&mut self.active)
            .into_iter()
            .partition(|active| over(&active.kind));
        self.active = active;
        // Parts first: what they affected is the whole's, which may be over with them.
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

    /// The event that begins a fault of several operations, while it lasts.
    fn whole(&self, number: usize) -> Option<EventId> {
        self.begun(|kind| matches!(kind, Kind::Composed(other, _) if *other == number))
    }

    /// Whether an operation is still to be done: what it is a part of may be over.
    pub(super) fn is_due(&self, origin: &Origin) -> bool {
        origin
            .part_of
            .is_none_or(|part_of| self.whole(part_of).is_some())
    }

    /// A fault of several operations begins.
    pub(super) fn compose(&mut self, origin: Origin, fault: String, party: Option<Party>) {
        let Some(number) = origin.part_of else {
            return;
        };
        let who = party.map_or(Actor::Network, |party| self.who(party));
        let fault = fault.into();
        let event = self.tell(who, None, EventKind::Composed { fault });
        self.begin(origin, event, Kind::Composed(number, party), Measure::Parts);
    }

    /// A fault of several operations is over.
    pub(super) fn decompose(&mut self, number: usize) {
        self.end(|kind| matches!(kind, Kind::Composed(other, _) if *other == number));
    }

    /// A server, or Places, gets into a condition.
    pub(super) fn set(&mut self, condition: Condition, party: Party, origin: Origin) {
        let machine = self.machines.of(party);
        let had = self.faults.connections(machine);
        let (what, measure) = match condition {
            Condition::Dead => (EventKind::Crashed, Measure::Refused(machine, had)),
            Condition::Unpowered => (EventKind::PoweredOff, Measure::Lost(machine, had)),
            Condition::Frozen => (EventKind::Frozen, Measure::Stopped(machine)),
            Condition::Refusing => (EventKind::Refusing, Measure::Refused(machine, 0)),
        };
        let whole = origin.part_of.and_then(|part_of| self.whole(part_of));
        let event = self.tell(self.who(party), whole, what);
        if matches!(condition, Condition::Dead | Condition::Unpowered) {
            // Whatever else was wrong with it is over.
            self.end(|kind| matches!(kind, Kind::Host(_, other) if *other == party));
            self.end(|kind| matches!(kind, Kind::Composed(_, Some(other)) if *other == party));
            self.faults.reset(machine);
        }
        self.begin(origin, event, Kind::Host(condition, party), measure);
        match condition {
            Condition::Frozen => self.faults.freeze(machine, true),
            Condition::Refusing => self.faults.refuse(machine, true),
            Condition::Dead | Condition::Unpowered => {}
        }
    }

    /// A machine's tasks are being dropped, or not any more.
    pub(super) fn dying(&self, party: Party, dying: bool) {
        self.faults.dying(self.machines.of(party), dying);
    }

    /// It is in that condition no more.
    pub(super) fn clear(&mut self, condition: Condition, party: Party) {
        let machine = self.machines.of(party);
        let what = match condition {
            Condition::Dead => EventKind::Restarted,
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
            Condition::Dead | Condition::Unpowered => self.faults.reset(machine),
        }
    }

    /// Cuts ways.
    pub(super) fn cut(&mut self, sim: &turmoil::Sim<'_>, ways: &[Direction], origin: Origin) {
        let ways = self.machines.existing(ways);
        let named = self.names(&ways);
        let event = self.tell(Actor::Network, None, EventKind::Cut { ways: named });
        let wires: Vec<Wire> = ways.iter().map(|&way| self.machines.wire(way)).collect();
        for &wire in &wires {
            self.wires.take_over(sim, wire);
        }
        self.begin(origin, event, Kind::Cut(wires), Measure::Messages);
    }

    /// Takes one cut from each of the ways: from the last step that cuts nothing else, or else from the last that cuts
    /// them, too.
    pub(super) fn heal(&mut self, ways: &[Direction]) {
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
        for (cut, own) in healed {
            let name = |machine| self.name(self.machines.party(machine));
            let ways = own.iter().map(|&(a, b)| (name(a), name(b))).collect();
            self.tell(Actor::Network, Some(cut), EventKind::Healed { ways });
        }
        self.end(|kind| matches!(kind, Kind::Cut(cut) if cut.is_empty()));
    }

    /// Whether something sent from `a` to `b` waits.
    pub(super) fn is_cut(&self, a: Machine, b: Machine) -> bool {
        is_cut(&self.active, (a, b))
    }

    /// Cuts again what the simulation forgot to be cut from `machine`.
    pub(super) fn reapply(&self, sim: &turmoil::Sim<'_>, machine: Machine) {
        self.wires.hold_again(sim, machine);
    }

    /// Whether a server is in this condition now.
    pub(super) fn is(&self, condition: Condition, server: ServerId) -> bool {
        let kind = Kind::Host(condition, Party::Server(server));
        self.active.iter().any(|active| active.kind == kind)
    }

    /// Looks what is under way: see [`Wires::see`].
    pub(super) fn see(
        &mut self,
        sim: &turmoil::Sim<'_>,
        now: Duration,
        latency: impl Fn(Machine, Machine) -> Duration,
    ) {
        self.wires.see(sim, now, latency);
    }

    /// Delivers what is due between machines that were cut off from each other, and counts what is delayed.
    pub(super) fn deliver(&mut self, sim: &turmoil::Sim<'_>, now: Duration) {
        let Self { wires, active, .. } = self;
        wires.deliver(sim, now, |message| {
            let (a, b) = message.wire;
            let mut waits = false;
            for fault in &mut *active {
                let Kind::Cut(wires) = &fault.kind else {
                    continue;
                };
                // Who wants to connect gets no answer if the way back is cut.
                let holds = wires.contains(&(a, b)) || message.connects && wires.contains(&(b, a));
                waits |= holds;
                if holds && !message.counted_for.contains(&fault.impact.event) {
                    message.counted_for.push(fault.impact.event);
                    fault.impact.count += 1;
                }
            }
            waits
        });
    }

    /// Resets connections.
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

    /// Routes have another latency; the caller gives it to the simulation.
    pub(super) fn slow(&mut self, routes: &[Route], latency: LatencyRange, origin: &Origin) {
        // What messages took in the beginning is no fault.
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

    /// Routes are not slow any more by whatever step made them so.
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

    /// A clock jumps by this number of nanoseconds, and goes on as before.
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

    /// A clock is wrong from now on.
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
        // Setting a clock right is no fault.
        if skewed != ClockError::default() {
            self.begin(origin, event, it, measure);
        }
    }
}

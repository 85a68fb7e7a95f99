//! Breaking and mending what a scenario says, and counting what each fault touched.

use std::collections::BTreeMap;
use std::time::Duration;

use super::machines::{Machine, Machines};
use super::net::Faults;
use super::recorder::Recorder;
use super::wires::{Wire, Wires};
use crate::herd::{Name, ServerId};
use crate::journal::{Actor, EventId, EventKind};
use crate::scenario::{Clocked, Direction, Fault, Party, Route, Scenario, Skewed};
use crate::units::LatencyRange;

/// What a fault did to anybody.
#[derive(Clone, Debug)]
pub(super) struct Impact {
    /// Where the scenario's file says so, as a byte.
    pub(super) place: usize,
    /// The fault, such as `crash of Juzang`.
    pub(super) about: String,
    pub(super) event: EventId,
    pub(super) count: u64,
    /// What is counted.
    pub(super) what: &'static str,
}

/// A fault that is not over.
struct Active {
    touch: Impact,
    kind: Kind,
    measure: Measure,
    /// What the measure showed when it began.
    before: u64,
}

/// By what a fault ends.
#[derive(PartialEq)]
enum Kind {
    Host(Fault, Party),
    /// The ways that it still cuts.
    Cut(Vec<Wire>),
    /// The routes that are still slow by it, and how many messages had gone by them before.
    Slow(BTreeMap<Route, u64>),
    Skew(Clocked),
    Moment,
}

/// How to see what a fault touches. Every measure only grows.
enum Measure {
    /// Connections that this machine's system refuses, beside so many that it had.
    Refused(Machine, u64),
    /// Connections to this machine that come to nothing, beside so many that it had.
    Lost(Machine, u64),
    Stopped(Machine),
    /// What the fault counts itself as it goes.
    Messages,
    ServerClock(Machine),
    ClientClock(Name),
    Once(u64),
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

/// What is broken, and the means to break it.
pub(super) struct Breaker {
    machines: Machines,
    faults: Faults,
    recorder: Recorder,
    /// What messages take in the beginning.
    usual: BTreeMap<Route, LatencyRange>,
    wires: Wires,
    active: Vec<Active>,
    pub(super) touched: Vec<Impact>,
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
            usual: scenario.usual_latencies().collect(),
            active: Vec::new(),
            touched: Vec::new(),
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
        fault.map(|fault| fault.touch.event)
    }

    fn begin(&mut self, place: usize, about: String, event: EventId, kind: Kind, measure: Measure) {
        let what = match measure {
            Measure::Refused(..) | Measure::Lost(..) | Measure::Once(_) => "connections",
            Measure::Stopped(_) => "wake-ups",
            Measure::Messages => "messages",
            Measure::ServerClock(_) | Measure::ClientClock(_) => "readings",
        };
        let touch = Impact {
            place,
            about,
            event,
            count: match measure {
                Measure::Refused(_, at_once)
                | Measure::Lost(_, at_once)
                | Measure::Once(at_once) => at_once,
                _ => 0,
            },
            what,
        };
        let before = self.measured(&measure);
        self.active.push(Active {
            touch,
            kind,
            measure,
            before,
        });
    }

    fn measured(&self, measure: &Measure) -> u64 {
        match measure {
            Measure::Refused(machine, _) => self.faults.counts(*machine).refused,
            Measure::Lost(machine, _) => {
                let counts = self.faults.counts(*machine);
                counts.refused + counts.given_up
            }
            Measure::Stopped(machine) => self.faults.counts(*machine).stopped,
            Measure::ServerClock(machine) => self.faults.counts(*machine).clock_reads,
            Measure::ClientClock(name) => self.faults.client_reads(name),
            Measure::Once(_) | Measure::Messages => 0,
        }
    }

    /// What a fault that ends now has touched since it was last counted.
    fn untold(&self, active: &Active) -> u64 {
        let since = self.measured(&active.measure) - active.before;
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

    /// Says what faults of this kind have touched, and forgets them.
    fn account(&mut self, over: impl Fn(&Kind) -> bool, lasts: bool) {
        let (over, active) = std::mem::take(&mut self.active)
            .into_iter()
            .partition(|active| over(&active.kind));
        self.active = active;
        for active in over {
            let untold = self.untold(&active);
            let mut touch = active.touch;
            touch.count += untold;
            let what = EventKind::Touched {
                count: touch.count,
                of: touch.what.into(),
                lasts,
            };
            self.recorder
                .journal(Actor::Network)
                .record(Some(touch.event), what);
            self.touched.push(touch);
        }
    }

    /// Something begins to be wrong with a server or with Places.
    pub(super) fn break_host(&mut self, fault: Fault, party: Party, place: usize) {
        let machine = self.machines.of(party);
        let had = self.faults.connections(machine);
        let (what, measure) = match fault {
            Fault::Crash => (EventKind::Crashed, Measure::Refused(machine, had)),
            Fault::PowerOff => (EventKind::PoweredOff, Measure::Lost(machine, had)),
            Fault::Freeze => (EventKind::Frozen, Measure::Stopped(machine)),
            Fault::Refuse => (EventKind::Refusing, Measure::Refused(machine, 0)),
        };
        let event = self.tell(self.who(party), None, what);
        if matches!(fault, Fault::Crash | Fault::PowerOff) {
            // Whatever else was wrong with it is over.
            self.end(|kind| matches!(kind, Kind::Host(_, other) if *other == party));
            self.faults.reset(machine);
        }
        let about = format!("`{}` of {}", fault.words().0, self.name(party));
        self.begin(place, about, event, Kind::Host(fault, party), measure);
        match fault {
            Fault::Freeze => self.faults.freeze(machine, true),
            Fault::Refuse => self.faults.refuse(machine, true),
            Fault::Crash | Fault::PowerOff => {}
        }
    }

    /// A machine's tasks are being dropped, or not any more.
    pub(super) fn dying(&self, party: Party, dying: bool) {
        self.faults.dying(self.machines.of(party), dying);
    }

    /// It is no longer wrong.
    pub(super) fn mend_host(&mut self, fault: Fault, party: Party) {
        let machine = self.machines.of(party);
        let what = match fault {
            Fault::Crash => EventKind::Restarted,
            Fault::PowerOff => EventKind::PoweredOn,
            Fault::Freeze => EventKind::Thawed,
            Fault::Refuse => EventKind::Accepting,
        };
        let it = Kind::Host(fault, party);
        let begun = self.begun(|kind| *kind == it);
        self.end(|kind| *kind == it);
        self.tell(self.who(party), begun, what);
        match fault {
            Fault::Freeze => self.faults.freeze(machine, false),
            Fault::Refuse => self.faults.refuse(machine, false),
            Fault::Crash | Fault::PowerOff => self.faults.reset(machine),
        }
    }

    /// Cuts ways.
    pub(super) fn cut(&mut self, sim: &turmoil::Sim<'_>, ways: &[Direction], place: usize) {
        let ways = self.machines.existing(ways);
        let named = self.names(&ways);
        let event = self.tell(Actor::Network, None, EventKind::Cut { ways: named });
        let wires: Vec<Wire> = ways.iter().map(|&way| self.machines.wire(way)).collect();
        for &wire in &wires {
            self.wires.take_over(sim, wire);
        }
        let about = "the cut".to_owned();
        self.begin(place, about, event, Kind::Cut(wires), Measure::Messages);
    }

    /// Takes one cut from each of the ways: from the last step that cuts nothing else, or else from the last that cuts
    /// them, too.
    pub(super) fn heal(&mut self, ways: &[Direction]) {
        let mut wires: Vec<Wire> = (self.machines.existing(ways).into_iter())
            .map(|way| self.machines.wire(way))
            .collect();
        let mut cuts: Vec<(EventId, &mut Vec<Wire>)> = (self.active.iter_mut().rev())
            .filter_map(|active| match &mut active.kind {
                Kind::Cut(cut) => Some((active.touch.event, cut)),
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

    /// Whether this is wrong with a server now.
    pub(super) fn is(&self, fault: Fault, server: ServerId) -> bool {
        let kind = Kind::Host(fault, Party::Server(server));
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

    /// Delivers what is due between machines that were cut off from each other, and counts what is held up.
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
                if holds && !message.counted_for.contains(&fault.touch.event) {
                    message.counted_for.push(fault.touch.event);
                    fault.touch.count += 1;
                }
            }
            waits
        });
    }

    /// Resets connections.
    pub(super) fn sever(&mut self, pairs: &[(Party, Party)], place: usize) {
        let pairs = self.machines.existing(pairs);
        let named = self.names(&pairs);
        let event = self.tell(Actor::Network, None, EventKind::Severed { pairs: named });
        let severed = pairs
            .iter()
            .map(|&(a, b)| self.faults.sever(self.machines.of(a), self.machines.of(b)));
        let measure = Measure::Once(severed.sum());
        self.begin(place, "`sever`".to_owned(), event, Kind::Moment, measure);
        self.end(|kind| *kind == Kind::Moment);
    }

    /// Routes have another latency; the caller gives it to the simulation.
    pub(super) fn slow(&mut self, routes: &[Route], latency: LatencyRange, place: usize) {
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
            self.begin(place, "`slow`".to_owned(), event, kind, Measure::Messages);
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
                    fault.touch.count += gone - before;
                }
            }
        }
        self.end(|kind| matches!(kind, Kind::Slow(slow) if slow.is_empty()));
    }

    /// Clocks are wrong from now on.
    pub(super) fn skew(&mut self, whom: &[Clocked], skewed: Skewed, now: Duration, place: usize) {
        for clocked in whom {
            let it = Kind::Skew(clocked.clone());
            let begun = self.begun(|kind| *kind == it);
            self.end(|kind| *kind == it);
            let (who, measure) = match clocked {
                Clocked::Server(id) => (
                    self.who(Party::Server(*id)),
                    Measure::ServerClock(id.index()),
                ),
                Clocked::Client(name) => (
                    Actor::Client(name.clone()),
                    Measure::ClientClock(name.clone()),
                ),
            };
            let about = format!("`skew` of {}", who.name());
            let Skewed { by, drift } = skewed;
            let event = self.tell(who, begun, EventKind::Skewed { by, drift });
            let rightens = skewed == Skewed::default();
            match clocked {
                Clocked::Server(id) => self.faults.skew(id.index(), skewed, now),
                Clocked::Client(name) => self.faults.skew_client(name, skewed, now),
            }
            // Setting a clock right is no fault.
            if !rightens {
                self.begin(place, about, event, it, measure);
            }
        }
    }
}

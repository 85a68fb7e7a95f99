//! Breaking and mending what a scenario says, and counting what each fault touched.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use turmoil::{Protocol, Segment};

use super::machines::{Machine, Machines};
use super::net::Faults;
use super::recorder::Recorder;
use crate::herd::{Name, ServerId};
use crate::journal::{EventId, What, Who};
use crate::scenario::{Clocked, Fault, Party, Route, Scenario, Skewed, Way};
use crate::units::LatencyRange;

/// What a fault did to anybody.
#[derive(Clone, Debug)]
pub(super) struct Touch {
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
    touch: Touch,
    kind: Kind,
    measure: Measure,
    /// What the measure showed when it began.
    before: u64,
}

/// By what a fault ends.
#[derive(PartialEq)]
enum Kind {
    Host(Fault, Party),
    Cut(Vec<Way>),
    Slow(Vec<Route>),
    Skew(Clocked),
    Moment,
}

/// How to see what a fault touches. Every measure only grows.
enum Measure {
    /// New connections to this machine, beside so many that it had.
    Connects(Machine, u64),
    Stopped(Machine),
    Sends(Vec<(Machine, Machine)>),
    ServerClock(Machine),
    ClientClock(Name),
    Once(u64),
}

/// What is broken, and the means to break it.
pub(super) struct Breaker {
    machines: Machines,
    faults: Faults,
    recorder: Recorder,
    tick: Duration,
    /// What messages take in the beginning.
    usual: BTreeMap<Route, LatencyRange>,
    /// How many steps cut each way.
    cuts: BTreeMap<(Machine, Machine), u32>,
    /// Messages that may pass against a one-way cut, each with the time when it is to arrive.
    passing: BTreeMap<(Machine, Machine), VecDeque<Duration>>,
    active: Vec<Active>,
    pub(super) touched: Vec<Touch>,
}

impl Breaker {
    pub(super) fn new(
        scenario: &Scenario,
        machines: Machines,
        faults: Faults,
        recorder: Recorder,
    ) -> Self {
        Self {
            machines,
            faults,
            recorder,
            tick: scenario.tick,
            usual: scenario.usual_latencies().collect(),
            cuts: BTreeMap::new(),
            passing: BTreeMap::new(),
            active: Vec::new(),
            touched: Vec::new(),
        }
    }

    fn name(&self, party: Party) -> Name {
        self.machines.name(party)
    }

    fn names(&self, ways: &[Way]) -> Vec<(Name, Name)> {
        let ways = ways.iter();
        ways.map(|&(a, b)| (self.name(a), self.name(b))).collect()
    }

    /// Who does what is done to `party`.
    fn who(&self, party: Party) -> Who {
        match party {
            Party::Server(_) => Who::Server(self.name(party)),
            Party::Places => Who::Places,
            Party::Clients => Who::Network,
        }
    }

    fn tell(&self, who: Who, what: What<'static>) -> EventId {
        self.recorder.journal(who).record(None, what)
    }

    fn begin(&mut self, place: usize, about: String, event: EventId, kind: Kind, measure: Measure) {
        let what = match measure {
            Measure::Connects(..) | Measure::Once(_) => "connections",
            Measure::Stopped(_) => "wake-ups",
            Measure::Sends(_) => "messages",
            Measure::ServerClock(_) | Measure::ClientClock(_) => "readings",
        };
        let touch = Touch {
            place,
            about,
            event,
            count: match measure {
                Measure::Connects(_, at_once) | Measure::Once(at_once) => at_once,
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
            Measure::Connects(machine, _) => self.faults.counts(*machine).connects,
            Measure::Stopped(machine) => self.faults.counts(*machine).stopped,
            Measure::Sends(ways) => ways.iter().map(|&(a, b)| self.faults.sends(a, b)).sum(),
            Measure::ServerClock(machine) => self.faults.counts(*machine).clock_reads,
            Measure::ClientClock(name) => self.faults.client_reads(name),
            Measure::Once(_) => 0,
        }
    }

    /// Faults of this kind are over.
    fn end(&mut self, over: impl Fn(&Kind) -> bool) {
        let (over, active) = std::mem::take(&mut self.active)
            .into_iter()
            .partition(|active| over(&active.kind));
        self.active = active;
        for active in over {
            let mut touch = active.touch;
            touch.count += self.measured(&active.measure) - active.before;
            let what = What::Touched {
                count: touch.count,
                of: touch.what.into(),
            };
            self.recorder
                .journal(Who::Network)
                .record(Some(touch.event), what);
            self.touched.push(touch);
        }
    }

    /// The run is over, and so is every fault.
    pub(super) fn finish(&mut self) {
        self.end(|_| true);
    }

    /// Something begins to be wrong with a server or with Places.
    pub(super) fn break_host(&mut self, fault: Fault, party: Party, place: usize) {
        let machine = self.machines.of(party);
        let had = self.faults.connections(machine);
        let (what, measure) = match fault {
            Fault::Crash => (What::Crashed, Measure::Connects(machine, had)),
            Fault::PowerOff => (What::PoweredOff, Measure::Connects(machine, had)),
            Fault::Freeze => (What::Frozen, Measure::Stopped(machine)),
            Fault::Refuse => (What::Refusing, Measure::Connects(machine, 0)),
        };
        let event = self.tell(self.who(party), what);
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
            Fault::Crash => What::Restarted,
            Fault::PowerOff => What::PoweredOn,
            Fault::Freeze => What::Thawed,
            Fault::Refuse => What::Accepting,
        };
        self.end(|kind| *kind == Kind::Host(fault, party));
        self.tell(self.who(party), what);
        match fault {
            Fault::Freeze => self.faults.freeze(machine, false),
            Fault::Refuse => self.faults.refuse(machine, false),
            Fault::Crash | Fault::PowerOff => self.faults.reset(machine),
        }
    }

    /// Cuts ways.
    pub(super) fn cut(&mut self, sim: &turmoil::Sim<'_>, ways: &[Way], place: usize) {
        let ways = self.machines.existing(ways);
        let named = self.names(&ways);
        let event = self.tell(Who::Network, What::Cut { ways: named });
        let machines: Vec<_> = (ways.iter())
            .map(|&(a, b)| (self.machines.of(a), self.machines.of(b)))
            .collect();
        let measure = Measure::Sends(machines.clone());
        let about = "the cut".to_owned();
        self.begin(place, about, event, Kind::Cut(ways), measure);
        for way in machines {
            *self.cuts.entry(way).or_default() += 1;
            self.apply(sim, way);
        }
    }

    /// Takes one cut from each of the ways.
    pub(super) fn heal(&mut self, sim: &turmoil::Sim<'_>, ways: &[Way]) {
        let ways = self.machines.existing(ways);
        let named = self.names(&ways);
        self.tell(Who::Network, What::Healed { ways: named });
        for &(a, b) in &ways {
            let way = (self.machines.of(a), self.machines.of(b));
            if let Some(count) = self.cuts.get_mut(&way) {
                *count -= 1;
            }
            self.cuts.retain(|_, count| *count > 0);
            self.apply(sim, way);
        }
        let cuts = self.cuts.clone();
        let machines = self.machines.clone();
        self.end(|kind| match kind {
            Kind::Cut(ways) => {
                !(ways.iter()).any(|&(a, b)| cuts.contains_key(&(machines.of(a), machines.of(b))))
            }
            _ => false,
        });
    }

    /// Whether something sent from `a` to `b` waits.
    pub(super) fn is_cut(&self, a: Machine, b: Machine) -> bool {
        self.cuts.contains_key(&(a, b))
    }

    /// Tells the simulation what is cut between two machines.
    fn apply(&mut self, sim: &turmoil::Sim<'_>, (a, b): (Machine, Machine)) {
        let (there, back) = (self.is_cut(a, b), self.is_cut(b, a));
        if there || back {
            sim.hold(self.machines.host(a), self.machines.host(b));
        } else {
            sim.release(self.machines.host(a), self.machines.host(b));
        }
        // The simulation holds both ways or none. What may pass is delivered by hand.
        for (way, passes) in [((a, b), back && !there), ((b, a), there && !back)] {
            if passes {
                self.passing.entry(way).or_default();
            } else {
                self.passing.remove(&way);
            }
        }
    }

    /// Cuts again what the simulation forgot to be cut from `machine`.
    pub(super) fn reapply(&mut self, sim: &turmoil::Sim<'_>, machine: Machine) {
        let ways: Vec<_> = self.cuts.keys().copied().collect();
        for (a, b) in ways
            .into_iter()
            .filter(|&(a, b)| a == machine || b == machine)
        {
            self.passing.remove(&(a, b));
            self.passing.remove(&(b, a));
            self.apply(sim, (a, b));
        }
    }

    /// Whether a server stands still or refuses connections, so that its links may stay down.
    pub(super) fn is_stuck(&self, server: ServerId) -> bool {
        let stuck = [Fault::Freeze, Fault::Refuse];
        let stuck = stuck.map(|fault| Kind::Host(fault, Party::Server(server)));
        self.active
            .iter()
            .any(|active| stuck.contains(&active.kind))
    }

    /// Delivers what may pass against a one-way cut and is due. `latency` is that of a way.
    pub(super) fn pass(
        &mut self,
        sim: &turmoil::Sim<'_>,
        now: Duration,
        latency: impl Fn(Machine, Machine) -> Duration,
    ) {
        for (&(a, b), due) in &mut self.passing {
            let address = |machine| sim.lookup(self.machines.host(machine));
            let (from, to): (IpAddr, IpAddr) = (address(a), address(b));
            let sent = now.saturating_sub(self.tick);
            let mut position = 0;
            let mut delivered = 0;
            sim.links(|links| {
                for link in links {
                    for message in link {
                        let (source, target) = message.pair();
                        // Who wants to connect gets no answer, so that waits, too.
                        let connects = matches!(message.protocol(), Protocol::Tcp(Segment::Syn(_)));
                        if (source.ip(), target.ip()) != (from, to) || connects {
                            continue;
                        }
                        if position == due.len() {
                            due.push_back(sent + latency(a, b));
                        }
                        if due[position] <= now {
                            message.deliver();
                            delivered += 1;
                        }
                        position += 1;
                    }
                }
            });
            due.drain(..delivered);
        }
    }

    /// Resets connections.
    pub(super) fn sever(&mut self, pairs: &[(Party, Party)], place: usize) {
        let pairs = self.machines.existing(pairs);
        let named = self.names(&pairs);
        let event = self.tell(Who::Network, What::Severed { pairs: named });
        let severed = pairs
            .iter()
            .map(|&(a, b)| self.faults.sever(self.machines.of(a), self.machines.of(b)));
        let measure = Measure::Once(severed.sum());
        self.begin(place, "`sever`".to_owned(), event, Kind::Moment, measure);
        self.end(|kind| *kind == Kind::Moment);
    }

    /// Routes have another latency; the caller gives it to the simulation.
    pub(super) fn slow(&mut self, routes: &[Route], latency: LatencyRange, place: usize) {
        self.end(|kind| match kind {
            Kind::Slow(earlier) => earlier.iter().all(|route| routes.contains(route)),
            _ => false,
        });
        let machines = &self.machines;
        let pairs: Vec<_> = routes
            .iter()
            .flat_map(|&route| machines.pairs(route))
            .collect();
        let name = |machine| self.name(machines.party(machine));
        let what = What::Slowed {
            links: pairs.iter().map(|&(a, b)| (name(a), name(b))).collect(),
            latency: latency.to_string().into(),
        };
        let event = self.tell(Who::Network, what);
        // What messages took in the beginning is no fault.
        let is_usual = |route: &Route| self.usual.get(route) == Some(&latency);
        if routes.iter().all(is_usual) {
            return;
        }
        let ways = pairs
            .into_iter()
            .flat_map(|(a, b)| [(a, b), (b, a)])
            .collect();
        self.begin(
            place,
            "`slow`".to_owned(),
            event,
            Kind::Slow(routes.to_vec()),
            Measure::Sends(ways),
        );
    }

    /// Clocks are wrong from now on.
    pub(super) fn skew(&mut self, whom: &[Clocked], skewed: Skewed, now: Duration, place: usize) {
        for clocked in whom {
            self.end(|kind| *kind == Kind::Skew(clocked.clone()));
            let (who, measure) = match clocked {
                Clocked::Server(id) => (
                    self.who(Party::Server(*id)),
                    Measure::ServerClock(id.index()),
                ),
                Clocked::Client(name) => (
                    Who::Client(name.clone()),
                    Measure::ClientClock(name.clone()),
                ),
            };
            let about = format!("`skew` of {}", who.name());
            let Skewed { by, drift } = skewed;
            let event = self.tell(who, What::Skewed { by, drift });
            let rightens = skewed == Skewed::default();
            match clocked {
                Clocked::Server(id) => self.faults.skew(id.index(), skewed, now),
                Clocked::Client(name) => self.faults.skew_client(name, skewed, now),
            }
            // Setting a clock right is no fault.
            if !rightens {
                self.begin(place, about, event, Kind::Skew(clocked.clone()), measure);
            }
        }
    }
}

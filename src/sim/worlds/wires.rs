//! Messages in flight between machines that a step cuts off from each other.
//!
//! turmoil can only hold both directions of a link at once, and releases everything that it held at
//! once. From the first cut on, messages between two machines are therefore delivered by hand: each
//! when it is due or, if its direction is cut then, as soon as that direction is healed.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use turmoil::{Protocol, Segment, Sim};

use super::Wire;
use super::cuts::{Cuts, pair};
use crate::journal::EventId;
use crate::scenario::{Action, Operation, Scenario};
use crate::sim::machines::{Machine, Machines};
use crate::sim::net::Faults;

/// Identifies a message in flight, by the number of its segment on its connection.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    from: SocketAddr,
    to: SocketAddr,
    segment: (u8, u64),
    /// The number of otherwise equal messages before it.
    again: usize,
}

/// The state of a message in flight.
struct Message {
    /// The simulated time at which it is due, if no cut holds it back.
    due: Duration,
    /// The events of the cuts in whose impact it is already counted.
    counted_for: Vec<EventId>,
}

/// The messages in flight between machines with cuts.
pub(super) struct Wires {
    cuts: Cuts,
    machines: Machines,
    tick: Duration,
    /// The pairs of machines that any step cuts off from each other, each with the smaller index
    /// first.
    watched: BTreeSet<Wire>,
    /// The watched pairs whose messages are now delivered by hand.
    by_hand: BTreeSet<Wire>,
    addresses: BTreeMap<IpAddr, Machine>,
    under_way: BTreeMap<Key, Message>,
}

impl Wires {
    pub(super) fn new(scenario: &Scenario, machines: Machines) -> Self {
        let begun = scenario.steps.iter().filter_map(|step| match &step.action {
            Action::Begin(fault) => Some(fault.operations()),
            _ => None,
        });
        let cut = begun
            .flatten()
            .filter_map(|(_, operation)| match operation {
                Operation::Cut(ways) => Some(machines.existing(&ways)),
                _ => None,
            });
        let watched = cut.flatten().map(|way| pair(machines.wire(way))).collect();
        Self {
            cuts: Cuts::default(),
            machines,
            tick: scenario.tick,
            watched,
            by_hand: BTreeSet::new(),
            addresses: BTreeMap::new(),
            under_way: BTreeMap::new(),
        }
    }

    /// Cuts directions. From now on, messages between their machines are delivered by hand.
    pub(super) fn cut(&mut self, sim: &Sim<'_>, fault: EventId, wires: &[Wire]) {
        for &wire in wires {
            if self.by_hand.insert(pair(wire)) {
                self.hold(sim, wire);
            }
        }
        self.cuts.cut(fault, wires);
    }

    /// Heals directions that this fault cut.
    pub(super) fn heal(&mut self, fault: EventId, wires: &[Wire]) {
        self.cuts.heal(fault, wires);
    }

    /// Holds the links of `machine` again, after the simulation lost that with the machine's crash.
    pub(super) fn hold_again(&self, sim: &Sim<'_>, machine: Machine) {
        let own = |wire: &&Wire| wire.0 == machine || wire.1 == machine;
        for &wire in self.by_hand.iter().filter(own) {
            self.hold(sim, wire);
        }
    }

    fn hold(&self, sim: &Sim<'_>, (a, b): Wire) {
        sim.hold(self.machines.host(a), self.machines.host(b));
    }

    /// Updates the messages in flight. `latency` is the latency of a message that was sent in the
    /// last tick.
    pub(super) fn see(
        &mut self,
        sim: &Sim<'_>,
        now: Duration,
        latency: impl Fn(Machine, Machine) -> Duration,
    ) {
        if self.watched.is_empty() {
            return;
        }
        if self.addresses.is_empty() {
            let all = self.machines.hosts().enumerate();
            self.addresses = all.map(|(at, host)| (sim.lookup(host), at)).collect();
        }
        let sent = now.saturating_sub(self.tick);
        let mut before = std::mem::take(&mut self.under_way);
        let mut seen = BTreeMap::new();
        self.each(sim, &mut |key, (a, b), _| {
            let message = before.remove(&key).unwrap_or_else(|| Message {
                due: sent + latency(a, b),
                counted_for: Vec::new(),
            });
            seen.insert(key, message);
            false
        });
        self.under_way = seen;
    }

    /// Delivers the due messages, except those that a cut holds up, which are counted.
    pub(super) fn deliver(&mut self, sim: &Sim<'_>, now: Duration, faults: &Faults) {
        if self.by_hand.is_empty() {
            return;
        }
        let mut under_way = std::mem::take(&mut self.under_way);
        self.each(sim, &mut |key, wire, connects| {
            // A message that was sent since the last update is not due yet.
            let Some(message) = under_way.get_mut(&key) else {
                return false;
            };
            if message.due > now || !self.by_hand.contains(&pair(wire)) {
                return false;
            }
            let (a, b) = wire;
            // A SYN is also held back if its answer could not return.
            let ways = [(a, b), (b, a)];
            let ways = if connects { &ways[..] } else { &ways[..1] };
            let mut waits = false;
            for fault in self.cuts.of(ways) {
                waits = true;
                if !message.counted_for.contains(&fault) {
                    message.counted_for.push(fault);
                    faults.hold_up(fault);
                }
            }
            !waits
        });
        self.under_way = under_way;
    }

    /// Calls `visit` for every message between watched machines, in the order of sending, with its
    /// direction and whether it is a SYN. The message is delivered at once if `visit` returns true.
    fn each(&self, sim: &Sim<'_>, visit: &mut dyn FnMut(Key, Wire, bool) -> bool) {
        let mut equal: BTreeMap<Key, usize> = BTreeMap::new();
        sim.links(|links| {
            for message in links.flatten() {
                let (from, to) = message.pair();
                let machine = |address: SocketAddr| self.addresses.get(&address.ip()).copied();
                let (Some(a), Some(b)) = (machine(from), machine(to)) else {
                    continue;
                };
                if !self.watched.contains(&pair((a, b))) {
                    continue;
                }
                let segment = match message.protocol() {
                    Protocol::Tcp(Segment::Syn(_)) => (0, 0),
                    Protocol::Tcp(Segment::Data(number, _)) => (1, *number),
                    Protocol::Tcp(Segment::Fin(number)) => (2, *number),
                    Protocol::Tcp(Segment::Rst) => (3, 0),
                    Protocol::Udp(_) => (4, 0),
                };
                let mut key = Key {
                    from,
                    to,
                    segment,
                    again: 0,
                };
                let before = equal.entry(key.clone()).or_default();
                key.again = *before;
                *before += 1;
                if visit(key, (a, b), segment.0 == 0) {
                    message.deliver();
                }
            }
        });
    }
}

//! What is under way between machines that a step cuts off from each other.
//!
//! The simulation can hold a link, both ways at once, and let go of it; then everything that it held arrives at once,
//! however young. So from the first cut on, what goes between two machines is delivered by hand, each message when it
//! would have arrived: or, if its direction is cut then, as soon as that direction is healed.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use turmoil::{Protocol, Segment, Sim};

use super::machines::{Machine, Machines};
use crate::journal::EventId;
use crate::scenario::{Action, Operation, Scenario};

/// From which machine to which.
pub(super) type Wire = (Machine, Machine);

/// A message under way. No two are the same: a connection counts its segments.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    from: SocketAddr,
    to: SocketAddr,
    segment: (u8, u64),
    /// How many equal ones are before it.
    again: usize,
}

/// What is known of a message.
struct Message {
    /// When it arrives, if nothing holds it up.
    due: Duration,
    /// The cuts that it was counted for.
    counted_for: Vec<EventId>,
}

/// A message that arrives now, unless it is delayed.
pub(super) struct HeldUp<'a> {
    /// The way that it goes.
    pub(super) wire: Wire,
    /// It asks for a connection: the answer would be lost, too.
    pub(super) connects: bool,
    /// The cuts that it was counted for.
    pub(super) counted_for: &'a mut Vec<EventId>,
}

/// What is under way.
pub(super) struct Wires {
    machines: Machines,
    tick: Duration,
    /// The pairs of machines, the smaller first, that any step cuts off from each other.
    watched: BTreeSet<Wire>,
    /// Those of them whose messages are delivered by hand.
    by_hand: BTreeSet<Wire>,
    addresses: BTreeMap<IpAddr, Machine>,
    under_way: BTreeMap<Key, Message>,
}

const fn pair((a, b): Wire) -> Wire {
    if a < b { (a, b) } else { (b, a) }
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
            machines,
            tick: scenario.tick,
            watched,
            by_hand: BTreeSet::new(),
            addresses: BTreeMap::new(),
            under_way: BTreeMap::new(),
        }
    }

    /// From now on, what goes between these two is delivered by hand.
    pub(super) fn take_over(&mut self, sim: &Sim<'_>, wire: Wire) {
        if self.by_hand.insert(pair(wire)) {
            self.hold(sim, wire);
        }
    }

    /// Holds again what the simulation forgot to hold from and to `machine`.
    pub(super) fn hold_again(&self, sim: &Sim<'_>, machine: Machine) {
        let own = |wire: &&Wire| wire.0 == machine || wire.1 == machine;
        for &wire in self.by_hand.iter().filter(own) {
            self.hold(sim, wire);
        }
    }

    fn hold(&self, sim: &Sim<'_>, (a, b): Wire) {
        sim.hold(self.machines.host(a), self.machines.host(b));
    }

    /// Looks what is new under way since the last tick, and what is gone. `latency` is what a message takes that was
    /// sent in that tick.
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

    /// Delivers by hand what is due, unless `is_held_up` says that it is.
    pub(super) fn deliver(
        &mut self,
        sim: &Sim<'_>,
        now: Duration,
        mut is_held_up: impl FnMut(HeldUp<'_>) -> bool,
    ) {
        if self.by_hand.is_empty() {
            return;
        }
        let mut under_way = std::mem::take(&mut self.under_way);
        self.each(sim, &mut |key, wire, connects| {
            // What was sent since the last look is not due yet.
            let Some(message) = under_way.get_mut(&key) else {
                return false;
            };
            if message.due > now || !self.by_hand.contains(&pair(wire)) {
                return false;
            }
            !is_held_up(HeldUp {
                wire,
                connects,
                counted_for: &mut message.counted_for,
            })
        });
        self.under_way = under_way;
    }

    /// Every message between watched machines, in the order of sending: with its way, and whether it asks for a
    /// connection. It is delivered at once if `visit` says so.
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

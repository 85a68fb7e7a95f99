//! What happens to segments between machines: how long they take, and which get lost.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::ChaCha8Rng;

use super::impairments::Impairments;
use crate::journal::EventId;
use crate::scenario::{Impairment, Route, Scenario};
use crate::seed::stream;
use crate::sim::machines::Machines;
use crate::sim::net::Faults;
use crate::sim::worlds::Wire;
use crate::sim::worlds::cuts::{Cuts, pair};
use crate::units::LatencyRange;

/// The shortest time after which a lost segment is sent again, beside a round trip: Linux's `TCP_RTO_MIN`.
pub(in crate::sim::worlds) const LEAST_TIMEOUT: Duration = Duration::from_millis(200);

/// The time after which a lost SYN is sent again: Linux's `TCP_TIMEOUT_INIT`.
pub(super) const SYN_TIMEOUT: Duration = Duration::from_secs(1);

/// The longest time-out: Linux's `TCP_RTO_MAX`.
const MOST_TIMEOUT: Duration = Duration::from_mins(2);

/// How often a lost segment is sent again: Linux's `tcp_retries2`.
const RETRIES: u32 = 15;

/// How often a lost SYN is sent again: Linux's `tcp_syn_retries`.
const SYN_RETRIES: u32 = 6;

/// The losses of one segment so far.
pub(super) struct Loss {
    /// When it is sent again, if it is lost once more.
    again: Duration,
    timeout: Duration,
    latency: Duration,
    left: u32,
    is_final: bool,
    losses: u32,
    /// Whether others overtake it.
    pub(super) is_late: bool,
    /// Whether the network loses it the next time, as the dice fell when it was sent.
    pub(super) is_doomed: bool,
    /// The events of the cuts in whose impact it is already counted.
    counted_for: Vec<EventId>,
}

impl Loss {
    /// Of a segment that is sent now.
    pub(super) fn new(now: Duration, latency: Duration, connects: bool) -> Self {
        let (timeout, left) = if connects {
            (SYN_TIMEOUT, SYN_RETRIES)
        } else {
            (LEAST_TIMEOUT + 2 * latency, RETRIES)
        };
        Self {
            again: now + timeout,
            timeout,
            latency,
            left,
            is_final: false,
            losses: 0,
            is_late: false,
            is_doomed: false,
            counted_for: Vec::new(),
        }
    }

    /// Whether it was lost at all.
    pub(super) const fn is_any(&self) -> bool {
        self.losses > 0
    }

    /// When it arrives if the sender hears now that something behind it has arrived, and sends it again at once. `None` if
    /// it was not lost, or if the sender knows by its time-out already. See RFC 8985: a segment is held for lost when
    /// one that was sent later is acknowledged, and a quarter of a round trip has passed since.
    pub(super) fn sooner(&self, now: Duration) -> Option<Duration> {
        let waits = self.losses == 1 || self.losses == 0 && self.is_late;
        waits.then(|| now + self.latency * 5 / 2)
    }

    /// When the segment arrives if it waited behind another one that has arrived now: the acknowledgement of that says
    /// what else is missing.
    pub(super) fn at_last(&mut self, now: Duration) -> Duration {
        self.losses += 1;
        now + self.latency * 2
    }

    /// Whether the sender waits for an acknowledgement of the last time that it sent it, and then gives up.
    pub(super) const fn is_final(&self) -> bool {
        self.is_final
    }

    /// When the segment arrives that is sent again, or when the sender gives up, if that was the last time. `now` is when it
    /// would have arrived.
    pub(super) fn again(&mut self, now: Duration) -> Duration {
        self.losses += 1;
        while self.left > 0 {
            self.left -= 1;
            let arrives = self.again + self.latency;
            self.timeout = (self.timeout * 2).min(MOST_TIMEOUT);
            self.again += self.timeout;
            // What waited behind another segment is sent again with that.
            if arrives > now {
                return arrives;
            }
        }
        self.is_final = true;
        self.again.max(now)
    }
}

/// The links between all machines.
pub(super) struct Links {
    /// The routes of pairs of machines, by the pair with the smaller number first.
    routes: BTreeMap<Wire, Route>,
    ranges: BTreeMap<Route, LatencyRange>,
    /// A random stream for each direction, so that nothing elsewhere changes what it draws.
    streams: BTreeMap<Wire, ChaCha8Rng>,
    seed: u64,
    cuts: Cuts,
    pub(super) impairments: Impairments,
    faults: Faults,
    settled: Duration,
}

impl Links {
    pub(super) fn new(scenario: &Scenario, machines: &Machines, faults: Faults) -> Self {
        let links = scenario.link_latency.iter().enumerate();
        let ranges: BTreeMap<Route, LatencyRange> = links
            .map(|(at, range)| (Route::Link(at), *range))
            .chain([
                (Route::Clients, scenario.client_latency),
                (Route::Places, scenario.places_latency),
            ])
            .collect();
        let routes = ranges.keys().flat_map(|route| {
            let pairs = machines.pairs(*route).into_iter();
            pairs.map(|wire| (pair(wire), *route))
        });
        Self {
            routes: routes.collect(),
            ranges,
            streams: BTreeMap::new(),
            seed: scenario.seed.first(),
            cuts: Cuts::default(),
            impairments: Impairments::new(scenario.seed.first(), faults.clone()),
            faults,
            settled: Duration::ZERO,
        }
    }

    /// Draws from another seed from now on.
    pub(super) fn redraw(&mut self, seed: u64) {
        self.seed = seed;
        self.streams.clear();
        self.impairments.redraw(seed);
    }

    fn range(&self, wire: Wire) -> Option<LatencyRange> {
        let route = self.routes.get(&pair(wire))?;
        self.ranges.get(route).copied()
    }

    /// Draws the latency of a segment.
    pub(super) fn latency(&mut self, wire: Wire) -> Duration {
        let Some(LatencyRange { least, most }) = self.range(wire) else {
            return Duration::ZERO;
        };
        if least == most {
            return least;
        }
        let seed = self.seed;
        let stream = self.streams.entry(wire).or_insert_with(|| {
            let number = (wire.0 as u64) << 32 | wire.1 as u64;
            stream(seed, "latencies of segments", number)
        });
        // Whole microseconds, which a report can show.
        let micros = |duration: Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        Duration::from_micros(stream.random_range(micros(least)..=micros(most)))
    }

    pub(super) fn delay(&mut self, routes: &[Route], latency: LatencyRange, now: Duration) {
        for route in routes {
            if let Some(range) = self.ranges.get_mut(route) {
                self.settled = self.settled.max(now + range.most);
                *range = latency;
            }
        }
    }

    pub(super) fn impair(
        &mut self,
        fault: EventId,
        wires: &[Wire],
        impairment: Impairment,
        now: Duration,
    ) {
        self.settled = self.settled.max(now + self.longest());
        self.impairments.set(fault, wires, impairment);
    }

    pub(super) fn longest(&self) -> Duration {
        let all = self.ranges.values().map(|range| range.most);
        all.max().unwrap_or_default() + self.impairments.longest()
    }

    pub(super) fn settled(&self) -> Duration {
        self.settled.max(self.impairments.queued())
    }

    pub(super) fn cut(&mut self, fault: EventId, wires: &[Wire]) {
        self.cuts.cut(fault, wires);
    }

    pub(super) fn heal(&mut self, fault: EventId, wires: &[Wire]) {
        self.cuts.heal(fault, wires);
    }

    /// Whether a direction is cut.
    pub(super) fn is_cut(&self, wire: Wire) -> bool {
        self.cuts.of(&[wire]).next().is_some()
    }

    /// Whether a segment that would arrive now is lost. A message counts for each cut that loses it, once.
    pub(super) fn loses(&self, wire: Wire, is_message: bool, loss: &mut Loss) -> bool {
        let mut is_lost = false;
        for fault in self.cuts.of(&[wire]) {
            is_lost = true;
            if is_message && !loss.counted_for.contains(&fault) {
                loss.counted_for.push(fault);
                self.faults.hold_up(fault);
            }
        }
        is_lost
    }
}

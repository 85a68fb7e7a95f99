//! The machines of a scenario, and the routes of messages between them.

use std::sync::Arc;
use std::time::Duration;

use super::random::Latencies;
use crate::herd::{Herd, Name, ServerId};
use crate::scenario::{ClockOwner, Direction, Party, Route, Scenario, Target};
use crate::units::LatencyRange;

/// The index of a machine: the servers in the herd's order, then the clients' machine, then that of
/// Places.
pub(crate) type Machine = usize;

/// The name of the host of all clients. It has spaces, so no server can have it.
pub(super) const CLIENTS_HOST: &str = "the clients";

/// The name of the host of Places. It begins with `_`, so no server can have it.
pub(super) const PLACES_HOST: &str = "_places";

/// The machines of a scenario: one for each server, one for all clients, and perhaps one for
/// Places.
#[derive(Clone)]
pub(crate) struct Machines {
    herd: Arc<Herd>,
    /// Whether there is a machine for Places.
    has_places: bool,
}

impl Machines {
    pub(crate) fn new(herd: &Arc<Herd>, has_places: bool) -> Self {
        let herd = Arc::clone(herd);
        Self { herd, has_places }
    }

    pub(crate) fn of(&self, party: Party) -> Machine {
        match party {
            Party::Server(id) => id.index(),
            Party::Clients => self.herd.servers().len(),
            Party::Places => self.herd.servers().len() + 1,
        }
    }

    /// The clients' machine.
    pub(crate) fn clients(&self) -> Machine {
        self.of(Party::Clients)
    }

    pub(super) fn wire(&self, (a, b): Direction) -> (Machine, Machine) {
        (self.of(a), self.of(b))
    }

    /// The two servers of a link, by its index in the herd.
    pub(super) fn ends(&self, link: usize) -> [ServerId; 2] {
        let link = &self.herd.links()[link];
        [link.a, link.b]
    }

    pub(super) fn name(&self, party: Party) -> Name {
        party.name(&self.herd)
    }

    /// The name of a target; `None` for a target that is a pair, a direction or a route.
    pub(super) fn called(&self, target: &Target) -> Option<Name> {
        match target {
            Target::Party(party) => Some(self.name(*party)),
            Target::Clock(ClockOwner::Server(id)) => Some(self.name(Party::Server(*id))),
            Target::Clock(ClockOwner::Client(name)) => Some(name.clone()),
            Target::Direction(_) | Target::Pair(..) | Target::Route(_) => None,
        }
    }

    pub(crate) fn party(&self, machine: Machine) -> Party {
        let servers = self.herd.servers().len();
        match self.herd.ids().nth(machine) {
            Some(id) => Party::Server(id),
            None if machine == servers => Party::Clients,
            None => Party::Places,
        }
    }

    /// The name of a machine's host in the simulation.
    pub(super) fn host(&self, machine: Machine) -> &str {
        match self.party(machine) {
            Party::Server(id) => &self.herd.server(id).name,
            Party::Clients => CLIENTS_HOST,
            Party::Places => PLACES_HOST,
        }
    }

    /// The machine whose host has this name.
    pub(crate) fn called_so(&self, name: &str) -> Option<Machine> {
        if let Some(id) = self.herd.id(name) {
            return Some(id.index());
        }
        let mut others = [Party::Clients, Party::Places]
            .map(|party| self.of(party))
            .into_iter();
        others.find(|&machine| self.host(machine) == name)
    }

    pub(super) fn hosts(&self) -> impl Iterator<Item = &str> {
        let all = self.herd.servers().len() + 1 + usize::from(self.has_places);
        (0..all).map(|machine| self.host(machine))
    }

    /// The route of messages between two machines, if there is one.
    fn route(&self, a: Machine, b: Machine) -> Option<Route> {
        match (self.party(a), self.party(b)) {
            (Party::Server(a), Party::Server(b)) => {
                let mut links = self.herd.links().iter();
                let at = links.position(|link| link.other(a) == Some(b));
                at.map(Route::Link)
            }
            (Party::Server(_), Party::Clients) | (Party::Clients, Party::Server(_)) => {
                Some(Route::Clients)
            }
            (Party::Server(_), Party::Places) | (Party::Places, Party::Server(_)) => {
                Some(Route::Places)
            }
            _ => None,
        }
    }

    /// The pairs of machines whose messages take a route, each pair once.
    pub(crate) fn pairs(&self, route: Route) -> Vec<(Machine, Machine)> {
        let servers = || 0..self.herd.servers().len();
        match route {
            Route::Link(at) => {
                let link = &self.herd.links()[at];
                vec![(link.a.index(), link.b.index())]
            }
            Route::Clients => servers().map(|id| (self.of(Party::Clients), id)).collect(),
            Route::Places => servers().map(|id| (id, self.of(Party::Places))).collect(),
        }
    }

    /// The given directions, without those of Places if it has no machine.
    pub(super) fn existing(&self, ways: &[Direction]) -> Vec<Direction> {
        let exists = |party| self.has_places || party != Party::Places;
        let ways = ways.iter().filter(|(a, b)| exists(*a) && exists(*b));
        ways.copied().collect()
    }
}

/// What latencies are drawn for.
const LATENCIES: &str = "latencies";

/// The same, of Places.
const LATENCIES_OF_PLACES: &str = "latencies of Places";

/// The current latencies of all routes.
pub(super) struct Routes {
    machines: Machines,
    /// The range of each route's latency, as the last step set it.
    ranges: Vec<(Route, LatencyRange)>,
    /// The current latency of each pair of machines, by route in the order of `ranges`.
    now: Vec<Vec<Duration>>,
    latencies: Latencies,
    /// A separate random stream for Places, so that its existence does not change the latencies of
    /// links.
    places_latencies: Latencies,
    settled: Duration,
}

impl Routes {
    pub(super) fn new(scenario: &Scenario, machines: Machines) -> Self {
        let (seed, tick) = (scenario.seed.first(), scenario.tick);
        let links = scenario.link_latency.iter().enumerate();
        let mut ranges: Vec<_> = links.map(|(at, &range)| (Route::Link(at), range)).collect();
        ranges.push((Route::Clients, scenario.client_latency));
        if machines.has_places {
            ranges.push((Route::Places, scenario.places_latency));
        }
        Self {
            machines,
            ranges,
            now: Vec::new(),
            latencies: Latencies::new(seed, LATENCIES, tick),
            places_latencies: Latencies::new(seed, LATENCIES_OF_PLACES, tick),
            settled: Duration::ZERO,
        }
    }

    /// Draws from another seed from now on.
    pub(super) fn redraw(&mut self, seed: u64) {
        self.latencies.redraw(seed, LATENCIES);
        self.places_latencies.redraw(seed, LATENCIES_OF_PLACES);
    }

    fn draw(&mut self, route: Route, range: LatencyRange) -> Vec<Duration> {
        let latencies = match route {
            Route::Places => &mut self.places_latencies,
            Route::Link(_) | Route::Clients => &mut self.latencies,
        };
        let pairs = self.machines.pairs(route);
        pairs.iter().map(|_| latencies.draw(range)).collect()
    }

    /// Draws all latencies for the next tick. Returns whether there are new ones.
    pub(super) fn draw_all(&mut self) -> bool {
        let varies = |(_, range): &(Route, LatencyRange)| range.least != range.most;
        if !self.now.is_empty() && !self.ranges.iter().any(varies) {
            return false;
        }
        let ranges = self.ranges.clone();
        let all = ranges.iter().map(|&(route, range)| self.draw(route, range));
        self.now = all.collect();
        true
    }

    /// Sets the range of these routes' latency from the moment `now` on.
    pub(super) fn slow(&mut self, slowed: &[Route], latency: LatencyRange, now: Duration) {
        for route in slowed {
            let all = &mut self.ranges.iter_mut();
            if let Some(at) = all.position(|(other, _)| other == route) {
                self.settled = self.settled.max(now + self.ranges[at].1.most);
                self.ranges[at].1 = latency;
                self.now[at] = self.draw(*route, latency);
            }
        }
    }

    /// Calls `act` with each pair of machines and their current latency.
    pub(super) fn each(&self, mut act: impl FnMut(Machine, Machine, Duration)) {
        for ((route, _), latencies) in self.ranges.iter().zip(&self.now) {
            for ((a, b), &latency) in self.machines.pairs(*route).into_iter().zip(latencies) {
                act(a, b, latency);
            }
        }
    }

    /// The current latency between two machines.
    pub(super) fn latency(&self, a: Machine, b: Machine) -> Duration {
        let route = self.machines.route(a, b);
        let at = (self.ranges.iter()).position(|&(other, _)| Some(other) == route);
        let found = at.zip(route).and_then(|(at, route)| {
            let pairs = self.machines.pairs(route);
            let pair = pairs
                .iter()
                .position(|pair| [(a, b), (b, a)].contains(pair));
            self.now.get(at)?.get(pair?).copied()
        });
        found.unwrap_or_default()
    }

    /// The highest latency that any route can have.
    pub(super) fn longest(&self) -> Duration {
        let all = self.ranges.iter().map(|(_, range)| range.most);
        all.max().unwrap_or_default()
    }

    /// When the last message arrives that was sent before a route's latency changed.
    pub(super) fn settled(&self) -> Duration {
        self.settled
    }
}

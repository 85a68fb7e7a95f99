//! What faults at random are drawn from.

use std::ops::RangeInclusive;

use rand::RngExt as _;
use rand::distr::uniform::SampleUniform;
use rand::rngs::ChaCha8Rng;

use crate::herd::ServerId;
use crate::scenario::{Direction, Party, Scenario, Target};
use crate::units::LatencyRange;

/// Draws from what a random step may concern.
pub struct Draw<'a> {
    scenario: &'a Scenario,
    servers: &'a [ServerId],
    /// The links between them, as indices into the herd's.
    links: &'a [usize],
    rng: &'a mut ChaCha8Rng,
}

impl<'a> Draw<'a> {
    pub(in crate::scenario) fn new(
        scenario: &'a Scenario,
        servers: &'a [ServerId],
        links: &'a [usize],
        rng: &'a mut ChaCha8Rng,
    ) -> Self {
        Self {
            scenario,
            servers,
            links,
            rng,
        }
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> Option<T> {
        let last = from.len().checked_sub(1)?;
        from.get(self.rng.random_range(0..=last)).copied()
    }

    /// One of the servers.
    pub fn server(&mut self) -> Option<ServerId> {
        self.pick(self.servers)
    }

    /// One of the servers, as the one target of a fault.
    pub fn party(&mut self) -> Option<Vec<Target>> {
        let server = self.server()?;
        Some(vec![Target::Party(Party::Server(server))])
    }

    /// The disk of one of the servers, if they have disks.
    pub fn disk(&mut self) -> Option<Vec<Target>> {
        let drawn = self.party();
        drawn.filter(|_| self.scenario.disks.is_some())
    }

    /// One of the links between the servers, as an index into the herd's.
    pub fn link(&mut self) -> Option<usize> {
        self.pick(self.links)
    }

    /// The two ends of a link.
    pub fn ends(&self, link: usize) -> (Party, Party) {
        let link = &self.scenario.herd.links()[link];
        (Party::Server(link.a), Party::Server(link.b))
    }

    /// What a link takes in the beginning.
    pub fn latency(&self, link: usize) -> LatencyRange {
        self.scenario.link_latency[link]
    }

    /// A link, or a server and all clients: each as likely as any other.
    pub fn pair(&mut self) -> Option<Direction> {
        let links = self.links.iter().map(|&link| self.ends(link));
        let servers = self.servers.iter();
        let with_clients = servers.map(|&id| (Party::Server(id), Party::Clients));
        let pairs: Vec<Direction> = links.chain(with_clients).collect();
        self.pick(&pairs)
    }

    /// Both directions of a [`pair`](Self::pair), or one of them: each of the three as likely as the others.
    pub fn ways(&mut self) -> Option<Vec<Target>> {
        let (a, b) = self.pair()?;
        let ways = match self.number(0..=2) {
            0 => vec![(a, b)],
            1 => vec![(b, a)],
            _ => vec![(a, b), (b, a)],
        };
        Some(ways.into_iter().map(Target::Direction).collect())
    }

    /// One of these numbers.
    pub fn number<T: SampleUniform + PartialOrd>(&mut self, range: RangeInclusive<T>) -> T {
        self.rng.random_range(range)
    }

    /// As often true as false.
    pub fn coin(&mut self) -> bool {
        self.rng.random_range(0..2) == 0
    }
}

//! Paths through a herd.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use super::{Herd, Link, ServerId};

impl Herd {
    /// The links of this server, each with its index in [`links`](Self::links), in that order.
    pub fn links_of(&self, id: ServerId) -> impl Iterator<Item = (usize, &Link)> {
        let links = self.links_of[id.0].iter();
        links.map(|&index| (index, &self.links[index]))
    }

    /// The servers linked to this one, in the order of the links.
    pub fn neighbours(&self, id: ServerId) -> impl Iterator<Item = ServerId> {
        let links = self.links_of(id);
        links.filter_map(move |(_, link)| link.other(id))
    }

    /// The servers linked to this one, in the order of the links, each with whether this server
    /// dials it.
    pub fn dials_of(&self, id: ServerId) -> impl Iterator<Item = (ServerId, bool)> {
        let links = self.links_of(id);
        links.filter_map(move |(_, link)| Some((link.other(id)?, link.a == id)))
    }

    /// The link between two servers, whichever of them dials.
    pub fn link_between(&self, a: ServerId, b: ServerId) -> Option<&Link> {
        let mut links = self.links_of(a).map(|(_, link)| link);
        links.find(|link| link.other(a) == Some(b))
    }

    /// For each server the least number of links from `origin` by way of living servers; `None` for
    /// a server that can't be reached, and for all if the origin is dead.
    pub fn hops_from(
        &self,
        origin: ServerId,
        alive: impl Fn(ServerId) -> bool,
    ) -> Vec<Option<u32>> {
        self.hops_over(origin, alive, |_| true)
    }

    /// As [`hops_from`](Self::hops_from), by way of open links only: `open` gets a link's index in
    /// [`links`](Self::links).
    pub fn hops_over(
        &self,
        origin: ServerId,
        alive: impl Fn(ServerId) -> bool,
        open: impl Fn(usize) -> bool,
    ) -> Vec<Option<u32>> {
        let mut hops = vec![None; self.servers.len()];
        let mut queue = VecDeque::new();
        if alive(origin) {
            hops[origin.0] = Some(0);
            queue.push_back((origin, 0));
        }
        while let Some((at, distance)) = queue.pop_front() {
            let links = self.links_of(at).filter(|(index, _)| open(*index));
            let next = links.filter_map(|(_, link)| link.other(at));
            for next in next.filter(|next| alive(*next)) {
                if hops[next.0].is_none() {
                    hops[next.0] = Some(distance + 1);
                    queue.push_back((next, distance + 1));
                }
            }
        }
        hops
    }

    /// For each server the least delay from `origin` by way of living servers, if each link takes
    /// its `latency`; `None` for a server that can't be reached, and for all if the origin is dead.
    pub fn least_delay_from(
        &self,
        origin: ServerId,
        alive: impl Fn(ServerId) -> bool,
        latency: impl Fn(&Link) -> Duration,
    ) -> Vec<Option<Duration>> {
        self.least_delay_over(origin, alive, |_, link| Some(latency(link)))
    }

    /// As [`least_delay_from`](Self::least_delay_from), by way of links that have a latency only:
    /// `latency` gets a link's index in [`links`](Self::links), and the link.
    pub fn least_delay_over(
        &self,
        origin: ServerId,
        alive: impl Fn(ServerId) -> bool,
        latency: impl Fn(usize, &Link) -> Option<Duration>,
    ) -> Vec<Option<Duration>> {
        let mut delays: Vec<Option<Duration>> = vec![None; self.servers.len()];
        let mut open = BTreeSet::new();
        if alive(origin) {
            open.insert((Duration::ZERO, origin));
        }
        while let Some((delay, at)) = open.pop_first() {
            if delays[at.0].is_some() {
                continue;
            }
            delays[at.0] = Some(delay);
            for (index, link) in self.links_of(at) {
                let next = link.other(at).filter(|next| alive(*next));
                let next = next.filter(|next| delays[next.0].is_none());
                if let Some((next, latency)) = next.zip(latency(index, link)) {
                    open.insert((delay.saturating_add(latency), next));
                }
            }
        }
        delays
    }

    /// How many messages between servers one update costs in a connected herd without faults: the
    /// origin sends it to all its neighbours, and every other server to all but one of its own.
    /// That is 2E - N + 1 with E links and N servers.
    pub fn fault_free_sends(&self) -> usize {
        (2 * self.links.len() + 1).saturating_sub(self.servers.len())
    }

    /// Whether every server can reach every other.
    pub fn is_connected(&self) -> bool {
        self.parts().len() <= 1
    }

    /// The herd's servers, grouped by which can reach each other, in the order of the file.
    pub(super) fn parts(&self) -> Vec<Vec<ServerId>> {
        self.parts_over(|_| true, |_| true)
    }

    /// The living servers, grouped by which can reach each other over open links, in the order of
    /// the file.
    pub fn parts_over(
        &self,
        alive: impl Fn(ServerId) -> bool,
        open: impl Fn(usize) -> bool,
    ) -> Vec<Vec<ServerId>> {
        let mut parts: Vec<Vec<ServerId>> = Vec::new();
        let mut part_of = vec![None; self.servers.len()];
        for first in self.ids().filter(|id| alive(*id)) {
            if part_of[first.0].is_some() {
                continue;
            }
            part_of[first.0] = Some(parts.len());
            let mut todo = vec![first];
            while let Some(at) = todo.pop() {
                let links = self.links_of(at).filter(|(index, _)| open(*index));
                let next = links.filter_map(|(_, link)| link.other(at));
                for next in next.filter(|next| alive(*next)) {
                    if part_of[next.0].is_none() {
                        part_of[next.0] = Some(parts.len());
                        todo.push(next);
                    }
                }
            }
            parts.push(Vec::new());
        }
        for id in self.ids() {
            if let Some(part) = part_of[id.0] {
                parts[part].push(id);
            }
        }
        parts
    }
}

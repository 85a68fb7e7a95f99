//! Paths through a herd.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use super::{Herd, Link, ServerId};

impl Herd {
    /// The servers linked to this one, in the order of the links.
    pub fn neighbours(&self, id: ServerId) -> impl Iterator<Item = ServerId> {
        self.links.iter().filter_map(move |link| link.other(id))
    }

    /// The link between two servers, whichever of them dials.
    pub fn link_between(&self, a: ServerId, b: ServerId) -> Option<&Link> {
        self.links.iter().find(|link| link.other(a) == Some(b))
    }

    /// For each server the least number of links from `origin`, by way of servers that are alive
    /// only; none for those that can't be reached, nor for any if the origin is dead.
    pub fn hops_from(
        &self,
        origin: ServerId,
        alive: impl Fn(ServerId) -> bool,
    ) -> Vec<Option<u32>> {
        let mut hops = vec![None; self.servers.len()];
        let mut queue = VecDeque::new();
        if alive(origin) {
            hops[origin.0] = Some(0);
            queue.push_back((origin, 0));
        }
        while let Some((at, distance)) = queue.pop_front() {
            for next in self.neighbours(at).filter(|next| alive(*next)) {
                if hops[next.0].is_none() {
                    hops[next.0] = Some(distance + 1);
                    queue.push_back((next, distance + 1));
                }
            }
        }
        hops
    }

    /// For each server the least delay from `origin`, by way of servers that are alive only, if
    /// each link takes what `latency` says; none for those that can't be reached, nor for any if
    /// the origin is dead.
    pub fn least_delay_from(
        &self,
        origin: ServerId,
        alive: impl Fn(ServerId) -> bool,
        latency: impl Fn(&Link) -> Duration,
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
            for link in &self.links {
                let next = link.other(at).filter(|next| alive(*next));
                if let Some(next) = next.filter(|next| delays[next.0].is_none()) {
                    open.insert((delay.saturating_add(latency(link)), next));
                }
            }
        }
        delays
    }

    /// What one update costs in a connected herd in which nothing fails, in messages between
    /// servers: the origin tells all its neighbours, and every other server all but one of its
    /// own. That is 2E - N + 1 with E links and N servers.
    pub fn fault_free_sends(&self) -> usize {
        (2 * self.links.len() + 1).saturating_sub(self.servers.len())
    }

    /// Whether every server can reach every other.
    pub fn is_connected(&self) -> bool {
        self.parts().len() <= 1
    }

    /// The herd's servers grouped by who can reach whom, in the order of the file.
    pub(super) fn parts(&self) -> Vec<Vec<ServerId>> {
        let mut parts: Vec<Vec<ServerId>> = Vec::new();
        for id in self.ids() {
            if parts.iter().any(|part| part.contains(&id)) {
                continue;
            }
            let hops = self.hops_from(id, |_| true);
            parts.push(self.ids().filter(|id| hops[id.0].is_some()).collect());
        }
        parts
    }
}

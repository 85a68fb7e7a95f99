//! What the graph of a herd allows while servers are dead and links are cut.

use std::time::Duration;

use super::way::{RouteFigures, Spread};
use crate::herd::{Herd, ServerId};
use crate::model::{Arrival, Without};

/// The maximum number of steps to compute the diameter; larger herds get none.
const MOST_STEPS: usize = 1_000_000_000;

/// The name of a link in files: `Riley-Jaquez`.
pub(crate) fn link_name(herd: &Herd, link: usize) -> String {
    let link = &herd.links()[link];
    format!("{}-{}", herd.server(link.a).name, herd.server(link.b).name)
}

/// The names of dead servers, and of cut links.
pub(super) fn names(herd: &Herd, without: &Without) -> (Vec<String>, Vec<String>) {
    let dead = without.dead.iter();
    let dead = dead.map(|id| herd.server(*id).name.to_string());
    let cut = without.cut.iter().map(|link| link_name(herd, *link));
    (dead.collect(), cut.collect())
}

/// A herd's graph without its dead servers and cut links, and the latency of each link.
pub(super) struct Graph<'h> {
    herd: &'h Herd,
    latency: Vec<Duration>,
    alive: Vec<bool>,
    open: Vec<bool>,
}

impl<'h> Graph<'h> {
    pub(super) fn new(herd: &'h Herd, without: &Without, latency: Vec<Duration>) -> Self {
        let mut alive = vec![true; herd.servers().len()];
        for id in &without.dead {
            alive[id.index()] = false;
        }
        let mut open = vec![true; herd.links().len()];
        for &link in &without.cut {
            open[link] = false;
        }
        Self {
            herd,
            latency,
            alive,
            open,
        }
    }

    /// The fewest links from `origin` to each server.
    pub(super) fn hops(&self, origin: ServerId) -> Vec<Option<u32>> {
        let alive = |id: ServerId| self.alive[id.index()];
        self.herd.hops_over(origin, alive, |link| self.open[link])
    }

    /// The connected components of the servers that run.
    pub(super) fn parts(&self) -> Vec<Vec<ServerId>> {
        let alive = |id: ServerId| self.alive[id.index()];
        self.herd.parts_over(alive, |link| self.open[link])
    }

    /// The links that carry messages: not cut, and both ends run. Each by its index in the herd's
    /// list.
    pub(super) fn working_links(&self) -> impl Iterator<Item = usize> {
        let alive = |id: ServerId| self.alive[id.index()];
        let links = self.herd.links().iter().enumerate();
        let working = links.filter(move |(at, l)| self.open[*at] && alive(l.a) && alive(l.b));
        working.map(|(at, _)| at)
    }

    /// Compares an update with the graph: its first arrival at each server, and its cost (all
    /// messages, and the duplicates among them).
    pub(super) fn compare(
        &self,
        origin: ServerId,
        arrivals: &[Option<Arrival>],
        (sends, duplicates): (u64, usize),
    ) -> Spread {
        let herd = self.herd;
        let alive = |id: ServerId| self.alive[id.index()];
        let shortest = self.hops(origin);
        let latency = |link: usize, _: &_| self.open[link].then(|| self.latency[link]);
        let fastest = herd.least_delay_over(origin, alive, latency);
        let nanos = |delay: Duration| u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX);
        let way = |id: ServerId| {
            let arrival = &arrivals[id.index()];
            RouteFigures {
                hops: arrival.map(|arrival| arrival.hops),
                shortest: shortest[id.index()],
                delay: arrival.map(|arrival| arrival.delay),
                fastest: fastest[id.index()].map(nanos),
            }
        };
        Spread {
            origin: herd.server(origin).name.to_string(),
            sends,
            most_sends: most_sends(herd, &shortest, |link| self.open[link]),
            duplicates,
            ways: herd.ids().map(way).collect(),
        }
    }

    /// The maximum number of hops between two servers that can reach each other; `None` for a herd
    /// so large that this would take seconds.
    pub(super) fn diameter(&self) -> Option<u32> {
        let herd = self.herd;
        let steps = herd.servers().len() * (herd.servers().len() + 2 * herd.links().len());
        (steps <= MOST_STEPS).then(|| {
            let farthest = |id| self.hops(id).into_iter().flatten().max().unwrap_or(0);
            herd.ids().map(farthest).max().unwrap_or(0)
        })
    }
}

/// The maximum number of messages of a flood among the N servers that `hops` reaches: 2E - N + 1,
/// where E is the number of open links between them.
fn most_sends(herd: &Herd, hops: &[Option<u32>], open: impl Fn(usize) -> bool) -> u64 {
    let reached = |id: ServerId| hops[id.index()].is_some();
    let links = herd.links().iter().enumerate();
    let links = links.filter(|(at, link)| open(*at) && reached(link.a) && reached(link.b));
    let servers = hops.iter().flatten().count();
    let most = (2 * links.count() + 1).saturating_sub(servers);
    u64::try_from(most).unwrap_or(u64::MAX)
}

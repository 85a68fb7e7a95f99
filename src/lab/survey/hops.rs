//! Measures the hops of an update from each origin to each server, and compares them with the
//! graph.

use std::sync::Arc;

use serde::Serialize;

use super::graph::{Graph, names};
use super::seen::{Engine, modelled};
use super::simulated::Simulation;
use super::way::{RouteFigures, Spread};
use crate::herd::{Herd, ServerId};
use crate::model::{Latency, Without};
use crate::node::Memory;
use crate::sim::Simulator;
use crate::units::format_duration;

/// Whether all links have the same latency: the range of the draws is one value.
fn is_equal(latency: &Latency) -> bool {
    latency.range.least == latency.range.most
}

/// The herd, its failures and latencies for which `hops` measures floods.
#[derive(Clone, Debug)]
pub struct Measure<'h> {
    /// The herd.
    pub herd: &'h Herd,
    /// The servers that are dead and the links that are cut.
    pub without: Without,
    /// The latencies of the links.
    pub latency: Latency,
    /// The servers from which updates are sent. All of them must run.
    pub origins: Vec<ServerId>,
    /// What runs the servers. The simulator supports only equal latencies of whole milliseconds.
    pub engine: Engine,
    /// Which server [`Engine::Simulator`] runs, and how long one run may take in wall time.
    pub simulator: Simulator,
}

/// The measured floods of a herd.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Hops {
    /// The herd's name.
    pub herd: String,
    /// The names of the herd's servers, in the order of its file.
    pub servers: Vec<String>,
    /// The number of the herd's links.
    pub links: usize,
    /// Servers that did not run.
    pub dead: Vec<String>,
    /// Links that carried nothing.
    pub cut: Vec<String>,
    /// The latency of the links, in words.
    pub latency: String,
    /// The maximum number of hops between two servers that can reach each other; `None` for a herd
    /// that is too large to compute it.
    pub diameter: Option<u32>,
    /// The flood from each origin.
    pub floods: Vec<Spread>,
    /// The bytes that all servers together held after the last flood, with one client for each
    /// origin. Only the model counts them.
    pub memory: Option<Memory>,
    /// What ran the servers.
    pub engine: Engine,
    /// Failures beside the floods themselves, such as a violated invariant.
    pub broken: Vec<String>,
    /// Whether all links have the same latency, so that the shortest route is the fastest.
    pub equal: bool,
}

impl Hops {
    /// All deviations from the best possible, in words.
    pub fn exceptions(&self) -> impl Iterator<Item = String> {
        let floods = self.floods.iter().flat_map(|flood| {
            let named = self.servers.iter().zip(&flood.ways);
            let ways = named.filter_map(|(to, way)| way.exception(&flood.origin, to, self.equal));
            ways.chain(flood.waste())
        });
        self.broken.iter().cloned().chain(floods)
    }

    /// The routes to all servers in reach, except from an origin to itself.
    fn in_reach(&self) -> impl Iterator<Item = &RouteFigures> {
        let ways = self.floods.iter().flat_map(|flood| &flood.ways);
        ways.filter(|way| way.shortest.is_some_and(|hops| hops > 0))
    }

    /// Counts the routes from an origin to a server that it can reach, over all floods.
    pub fn ways(&self) -> usize {
        self.in_reach().count()
    }

    /// Counts the routes that are the best possible.
    pub fn best(&self) -> usize {
        self.in_reach()
            .filter(|way| way.is_best(self.equal))
            .count()
    }

    /// Whether something was measured and no deviation was found.
    pub fn held(&self) -> bool {
        !self.floods.is_empty() && self.exceptions().next().is_none()
    }
}

/// Sends an update from each origin. The model calls `done` after each flood with the number of
/// finished floods; the simulator never calls it.
pub fn hops(measure: &Measure<'_>, mut done: impl FnMut(usize)) -> Hops {
    let Measure { herd, without, .. } = measure;
    let latency = measure.latency.draw(herd.links().len());
    let seen = match measure.engine {
        Engine::Model => {
            let (origins, mistake) = (&measure.origins, measure.simulator.server.mistake());
            modelled(herd, without, &latency, origins, mistake, &mut done)
        }
        Engine::Simulator => Simulation {
            herd: Arc::new(Herd::clone(herd)),
            latency: measure.latency.range.least,
            origins: measure.origins.clone(),
            simulator: measure.simulator.clone(),
        }
        .run(without),
    };
    let graph = Graph::new(herd, without, latency);
    let wanted = (seen.updates.iter()).filter(|one| measure.origins.contains(&one.origin));
    let floods: Vec<Spread> = wanted
        .map(|one| graph.compare(one.origin, &one.arrivals, one.costs))
        .collect();
    let mut broken = seen.broken;
    if floods.len() != measure.origins.len() {
        let (seen, sent) = (floods.len(), measure.origins.len());
        broken.push(format!(
            "updates of {seen} servers were seen, and of {sent} sent"
        ));
    }
    let (dead, cut) = names(herd, without);
    Hops {
        herd: herd.name().to_string(),
        servers: herd.server_names().map(str::to_owned).collect(),
        links: herd.links().len(),
        dead,
        cut,
        latency: latency_text(&measure.latency),
        diameter: graph.diameter(),
        floods,
        memory: seen.memory,
        engine: measure.engine,
        broken,
        equal: is_equal(&measure.latency),
    }
}

fn latency_text(latency: &Latency) -> String {
    if is_equal(latency) {
        return format!("{} each", format_duration(latency.range.least));
    }
    format!("{} drawn for each by seed {}", latency.range, latency.seed)
}

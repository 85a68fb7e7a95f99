//! How many hops an update takes from each origin to each server, beside what is possible.

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

/// Whether each link has the same latency is seen from its range.
fn is_equal(latency: &Latency) -> bool {
    latency.range.least == latency.range.most
}

/// What is measured.
#[derive(Clone, Debug)]
pub struct Measure<'h> {
    /// The herd.
    pub herd: &'h Herd,
    /// What is not there.
    pub without: Without,
    /// How long messages take.
    pub latency: Latency,
    /// From where updates are sent: servers that run.
    pub origins: Vec<ServerId>,
    /// What runs the servers. The simulator does it with equal latencies of whole milliseconds only.
    pub engine: Engine,
    /// Which server [`Engine::Simulator`] runs, and how long one run may take in wall time.
    pub simulator: Simulator,
}

/// What was measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Hops {
    /// The herd's name.
    pub herd: String,
    /// The names of its servers.
    pub servers: Vec<String>,
    /// How many links it has.
    pub links: usize,
    /// Servers that did not run.
    pub dead: Vec<String>,
    /// Links that carried nothing.
    pub cut: Vec<String>,
    /// How long a message took.
    pub latency: String,
    /// The most hops between any two servers that can reach each other, where that was worked out.
    pub diameter: Option<u32>,
    /// What was measured, by origin.
    pub floods: Vec<Spread>,
    /// Bytes that all servers together held in the end, having heard of one client from each origin; where
    /// that was counted.
    pub memory: Option<Memory>,
    /// What ran the servers.
    pub engine: Engine,
    /// What else failed.
    pub broken: Vec<String>,
    /// Whether every link has the same latency, so that the shortest way is the fastest.
    pub equal: bool,
}

impl Hops {
    /// Everything that is not as good as it can be.
    pub fn exceptions(&self) -> impl Iterator<Item = String> {
        let floods = self.floods.iter().flat_map(|flood| {
            let named = self.servers.iter().zip(&flood.ways);
            let ways = named.filter_map(|(to, way)| way.exception(&flood.origin, to, self.equal));
            ways.chain(flood.waste())
        });
        self.broken.iter().cloned().chain(floods)
    }

    /// The ways to other servers that there are.
    fn in_reach(&self) -> impl Iterator<Item = &RouteFigures> {
        let ways = self.floods.iter().flat_map(|flood| &flood.ways);
        ways.filter(|way| way.shortest.is_some_and(|hops| hops > 0))
    }

    /// Counts the routes from an origin to a server that it can reach, over all floods.
    pub fn ways(&self) -> usize {
        self.in_reach().count()
    }

    /// How many of these were as good as they can be.
    pub fn best(&self) -> usize {
        self.in_reach()
            .filter(|way| way.is_best(self.equal))
            .count()
    }

    /// Whether everything is as it must be, and there was something to see.
    pub fn held(&self) -> bool {
        !self.floods.is_empty() && self.exceptions().next().is_none()
    }
}

/// Sends an update from each origin. On the model `done` is called with the number that are done.
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

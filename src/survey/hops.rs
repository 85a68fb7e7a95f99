//! How many hops an update takes from each origin to each server, beside what is possible.

use serde::Serialize;

use super::graph::{Graph, names};
use super::way::Spread;
use crate::herd::{Herd, ServerId};
use crate::model::{Latency, Model, ModelError, Without};
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
    /// Spread where updates are sent: servers that run.
    pub origins: Vec<ServerId>,
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
    /// Bytes that all servers together held in the end for what they knew of clients, one for each origin.
    pub record_bytes: usize,
    /// Bytes that they held for their links.
    pub link_bytes: usize,
    /// Whether every link has the same latency, so that the shortest way is the fastest.
    pub equal: bool,
}

impl Hops {
    /// Everything that is not as good as it can be.
    pub fn exceptions(&self) -> impl Iterator<Item = String> {
        self.floods.iter().flat_map(|flood| {
            let named = self.servers.iter().zip(&flood.ways);
            let ways = named.filter_map(|(to, way)| way.exception(&flood.origin, to, self.equal));
            ways.chain(flood.waste())
        })
    }

    /// How many ways are as good as they can be.
    pub fn best(&self) -> usize {
        let alive = |name: &String| !self.dead.contains(name);
        let ways = self
            .floods
            .iter()
            .flat_map(|flood| self.servers.iter().zip(&flood.ways));
        ways.filter(|(to, way)| alive(to) && way.is_best(self.equal))
            .count()
    }

    /// How many ways were measured: one for each server that runs and each origin.
    pub fn ways(&self) -> usize {
        self.floods.len() * (self.servers.len() - self.dead.len())
    }

    /// Whether everything is as it must be, and there was something to see.
    pub fn held(&self) -> bool {
        self.ways() > 0 && self.exceptions().next().is_none()
    }
}

/// Floods an update from each origin through Nodes without a network. `done` is told how many floods are.
///
/// # Errors
///
/// When the Nodes do something that correct ones don't.
pub fn hops(measure: &Measure<'_>, mut done: impl FnMut(usize)) -> Result<Hops, ModelError> {
    let Measure { herd, without, .. } = measure;
    let latency = measure.latency.draw(herd.links().len());
    let mut model = Model::with_latencies(herd, &latency, without)?;
    let graph = Graph::new(herd, without, latency);
    let mut floods = Vec::new();
    for &origin in &measure.origins {
        let flood = model.flood(origin)?;
        let costs = (flood.sends, flood.duplicates());
        floods.push(graph.compare(origin, &flood.arrivals, costs));
        done(floods.len());
    }
    let (mut record_bytes, mut link_bytes) = (0, 0);
    for memory in model.memory() {
        record_bytes += memory.records;
        link_bytes += memory.links;
    }
    let (dead, cut) = names(herd, without);
    Ok(Hops {
        herd: herd.name().to_string(),
        servers: herd.server_names().map(str::to_owned).collect(),
        links: herd.links().len(),
        dead,
        cut,
        latency: latency_text(&measure.latency),
        diameter: graph.diameter(),
        floods,
        record_bytes,
        link_bytes,
        equal: is_equal(&measure.latency),
    })
}

fn latency_text(latency: &Latency) -> String {
    if is_equal(latency) {
        return format!("{} each", format_duration(latency.range.least));
    }
    format!("{} drawn for each by seed {}", latency.range, latency.seed)
}

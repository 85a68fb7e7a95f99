//! What is seen of updates, by the simulator and by the model alike.

use std::time::Duration;

use serde::Serialize;

use crate::herd::{Herd, ServerId};
use crate::model::{Arrival, Model, Without};
use crate::node::Memory;
use crate::node::mistakes::MadeBy;

/// What runs the servers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Engine {
    /// The whole server, in the simulator.
    #[default]
    Simulator,
    /// The servers' decisions alone, on a queue of events.
    Model,
}

impl Engine {
    /// On what something was measured.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Simulator => "the real server in the simulator",
            Self::Model => "the server's decisions without a network",
        }
    }
}

/// Who took an update in, by server, and how many messages and duplicates it took.
pub(super) struct Update {
    pub(super) origin: ServerId,
    pub(super) arrivals: Vec<Option<Arrival>>,
    pub(super) costs: (u64, usize),
}

/// What became of updates.
#[derive(Default)]
pub(super) struct Observation {
    /// By live origin, in the order of the herd.
    pub(super) updates: Vec<Update>,
    /// What else failed.
    pub(super) broken: Vec<String>,
    /// What all servers held in the end, where that was counted.
    pub(super) memory: Option<Memory>,
}

/// Floods from each origin in turn, on the servers' decisions alone. `done` is called with the number of floods that
/// are done.
pub(super) fn modelled(
    herd: &Herd,
    without: &Without,
    latency: &[Duration],
    origins: &[ServerId],
    mistake: &MadeBy,
    done: &mut dyn FnMut(usize),
) -> Observation {
    let mut seen = Observation::default();
    let mut model = match Model::with_mistake(herd, latency, without, mistake) {
        Ok(model) => model,
        Err(error) => {
            seen.broken.push(error.to_string());
            return seen;
        }
    };
    for &origin in origins {
        match model.flood(origin) {
            Ok(flood) => seen.updates.push(Update {
                origin,
                costs: (flood.sends, flood.duplicates()),
                arrivals: flood.arrivals,
            }),
            Err(error) => {
                seen.broken.push(error.to_string());
                return seen;
            }
        }
        done(seen.updates.len());
    }
    let mut memory = Memory::default();
    for one in model.memory() {
        memory.records += one.records;
        memory.links += one.links;
    }
    seen.memory = Some(memory);
    seen
}

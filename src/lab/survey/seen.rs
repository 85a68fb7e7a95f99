//! What the simulator and the model both report about updates.

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
    /// The engine in words, for "measured on …".
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Simulator => "the real server in the simulator",
            Self::Model => "the server's decisions without a network",
        }
    }
}

/// An update's first arrival at each server, and its cost: all messages, and the duplicates among
/// them.
pub(super) struct Update {
    pub(super) origin: ServerId,
    pub(super) arrivals: Vec<Option<Arrival>>,
    pub(super) costs: (u64, usize),
}

/// The observed spread of the updates of one failure set.
#[derive(Default)]
pub(super) struct Observation {
    /// One update for each live origin, in the herd's order.
    pub(super) updates: Vec<Update>,
    /// Failures beside the updates themselves, in words.
    pub(super) broken: Vec<String>,
    /// The memory of all servers at the end. Only the model counts it.
    pub(super) memory: Option<Memory>,
}

/// Floods from each origin in turn, on the model. `done` is called after each flood with the number
/// of finished floods.
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

//! Scenarios: a herd, what happens to it, and what is expected to come of it.
//!
//! Two stages. `raw` mirrors the file; [`Scenario`] is what is left when everything was checked, so
//! no later code checks again. Nothing in this folder simulates anything.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::diag::{Problems, Source};
use crate::herd::Herd;
use crate::server::{Limits, Timing};
use crate::trace::invariants::Invariant;
use crate::units::LatencyRange;

mod broken;
mod builder;
mod cases;
mod counts;
mod disks;
mod event;
mod expects;
pub mod faults;
mod fields;
mod forms;
mod operation;
pub(crate) mod order;
mod pattern;
mod places;
mod power;
mod raw;
pub mod reference;
mod reply;
mod server;
mod steps;
mod target;
mod template;
mod updates;
mod validate;
mod write;

pub use crate::seed::{Recipe, RecipeError};
pub use builder::{Builder, FieldValue, HerdRef};
pub use counts::{CountError, CountRange};
pub use disks::DiskSettings;
pub use event::EventText;
pub use expects::{
    Check, ClientSet, Expect, Expected, InvariantExpectation, LinkCheck, LinkExpectation,
    LogExpectation, Moments, Quantifier, ServerCheck, ServerExpectation, StateCheck,
    UpdateExpectation, UpdateRef, Window,
};
pub(crate) use expects::{
    LineId, MOST_LISTED, Observed, Outcome, SURVEYOR, Told, compare, failed, first_and_more, nanos,
    sent_updates,
};
pub use faults::{End, Fault, FaultKind, Shape, Value, Values};
pub use operation::{
    Condition, DiskFault, DiskOperation, ExtraDelay, Impairment, Limit, Operation,
};
pub use order::{Choice, Held, Order};
pub use pattern::{Mismatch, Pattern};
pub use places::{PlacesBody, PlacesFault, PlacesTable};
pub use reply::Reply;
pub use server::ServerSettings;
pub use steps::{
    Action, ClientStep, Close, ConnectionUse, Drawn, Failure, Line, LoadShape, Random, Reload,
    Step, Upgrade, When, Workload,
};
pub(crate) use steps::{judge_workloads, workloads_in};
pub use target::{ClockError, ClockOwner, Direction, Party, Route, Target, Usual};
pub use template::{EpochNs, Rendered, Template, TextError};
pub use updates::PlannedUpdate;
pub(crate) use updates::{clients_of, planned};

/// How long a simulated client waits for its connection, and then for all its answers together.
pub const CLIENT_PATIENCE: Duration = Duration::from_secs(5);

/// The word for all clients.
pub(crate) const CLIENTS: &str = "clients";

/// The word for the Places API.
pub(crate) const PLACES: &str = "places";

/// A scenario, checked.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Scenario {
    /// The file's name without folder and extension.
    pub name: String,
    /// Which of its file's cases it is, if that has cases. Its name ends in it.
    pub case: Option<String>,
    /// What happens, in a few words.
    pub title: String,
    /// What there is to see in it.
    pub about: Option<String>,
    /// Why it does not end alike in the simulator and on real processes, if it does not.
    pub live: Option<String>,
    /// The herd that it happens to.
    pub herd: Arc<Herd>,
    /// Where all that is random comes from.
    pub seed: Recipe,
    /// Whether its faults are the mixture that the seed chose: see [`swarmed`](Self::swarmed).
    pub swarm: bool,
    /// Whether the seed decides which of a server's tasks that could go on goes on first. Otherwise they go on in the
    /// order in which they were woken.
    pub shuffle: bool,
    /// The step of simulated time in the world of ticks, in whole milliseconds. Timers, and what is drawn, are multiples of
    /// it in every world.
    pub tick: Duration,
    /// A time or a latency that is no multiple of it, if there is one: the world of ticks has no such scenario.
    pub finer: Option<Duration>,
    /// What all clocks show when the run begins.
    pub epoch_ns: EpochNs,
    /// The latency of each link, in the order of the herd's links.
    pub link_latency: Vec<LatencyRange>,
    /// The latency between clients and servers.
    pub client_latency: LatencyRange,
    /// The latency between servers and Places.
    pub places_latency: LatencyRange,
    /// When the run ends; if not given, when everything is quiet.
    pub end: Option<Duration>,
    /// In which order everything happens, where that is no matter of time.
    pub deliver: Option<Order>,
    /// Which messages that order is about.
    pub held: Held,
    /// The servers' timers and deadlines.
    pub timing: Timing,
    /// The servers' limits.
    pub limits: Limits,
    /// The servers' disks; `None` if they have none, and lose what they know with their process.
    pub disks: Option<DiskSettings>,
    /// What happens, by time, as the file says it: see [`expanded`](Self::expanded).
    pub steps: Vec<Step>,
    /// What is expected of its updates.
    pub expects: Vec<Expect>,
    /// The invariants that need not hold, each once. All others must.
    pub without: Vec<Invariant>,
    /// What Places answers.
    pub places: Vec<PlacesTable>,
    /// Whether there is a Places that servers ask: it has tables, or something happens to it.
    pub asks_places: bool,
    /// The file, for whoever wants to show a part of it.
    pub source: Arc<Source>,
}

impl Scenario {
    /// Reads a scenario file, TOML or (if its name ends in `.json`) JSON. Next to the scenario
    /// come the warnings. A case of it is named behind the path: `rings.toml#slow`. See [`cases`](Self::cases).
    pub fn load(path: impl AsRef<Path>) -> Result<(Self, Problems), Problems> {
        let (file, case) = cases::split(path.as_ref());
        let source = Source::read(&file).map_err(|problem| Problems::from(*problem))?;
        validate::scenario(&source, file.parent(), (None, case.as_deref()))
    }

    /// Reads a scenario from text. `name` is what problems call it; if it ends in `.json` the
    /// text is JSON, and if it ends in `#` and a name that case is meant. Paths of herd files are relative to the folder
    /// `relative_to`.
    pub fn parse(
        name: &str,
        text: &str,
        relative_to: Option<&Path>,
    ) -> Result<(Self, Problems), Problems> {
        let (name, case) = match name.rsplit_once('#') {
            Some((name, case)) => (name, Some(case)),
            None => (name, None),
        };
        validate::scenario(&Source::new(name, text), relative_to, (None, case))
    }

    /// Reads a scenario from text that happens to `herd`, whatever herd the text names.
    pub(crate) fn parse_over(
        herd: &Arc<Herd>,
        name: &str,
        text: &str,
    ) -> Result<(Self, Problems), Problems> {
        let herd = Some(Arc::clone(herd));
        validate::scenario(&Source::new(name, text), None, (herd, None))
    }

    /// The file that it was read from, with its case behind it: what [`load`](Self::load) reads it from.
    pub fn path(&self) -> String {
        match &self.case {
            Some(case) => format!("{}#{case}", self.source.name),
            None => self.source.name.clone(),
        }
    }

    /// How long messages take in the beginning, by route.
    pub fn usual(&self) -> Usual {
        let links = self.link_latency.iter().enumerate();
        let links = links.map(|(at, latency)| (Route::Link(at), *latency));
        let others = [
            (Route::Clients, self.client_latency),
            (Route::Places, self.places_latency),
        ];
        links.chain(others).collect()
    }

    /// The same scenario with another seed, or with several in a row.
    #[must_use]
    pub fn with_seed(self, seed: impl Into<Recipe>) -> Self {
        let seed = seed.into();
        Self { seed, ..self }
    }
}

/// The JSON Schema of scenario files.
pub fn schema() -> serde_json::Value {
    let mut schema = crate::document::schema_of::<raw::RawScenario>();
    if let Some(fields) = schema.as_object_mut() {
        // Where there are cases, each may say it.
        let required = fields.remove("required").unwrap_or_default();
        let either = serde_json::json!([{ "required": required }, { "required": ["case"] }]);
        fields.insert("anyOf".to_owned(), either);
    }
    schema
}

#[cfg(test)]
mod tests;

//! The simulator: a scenario's servers, clients and failures in one process and one thread, which is another than the caller's.
//!
//! The servers are the ones that run in production; only their [`Net`](crate::net::Net) is
//! turmoil's. The same scenario with the same seed gives the same bytes, in any process and on any
//! machine, and [`run`] makes sure by running everything twice.

mod chooser;
mod client;
mod faults;
mod google;
mod impact;
mod judge;
mod limit;
mod machines;
mod net;
mod random;
mod recorder;
mod simulator;
mod timeline;
mod wires;
mod world;

use std::sync::Arc;
use std::time::Duration;

use wiremock::Mock;

use crate::herd::ServerId;
use crate::scenario::{Action, Drawn, Scenario, sent_updates};
use crate::trace::propagation::follow;
use crate::trace::{FORMAT, Header, LinkShape, Trace, Versions, WorkloadShape};
use crate::units::format_duration;

pub use chooser::Chooser;
use chooser::{Listed, OrderOutcome};
pub use google::DELAY_HEADER;
pub(crate) use judge::HAS_EFFECT;
pub(crate) use limit::stuck;
use limit::{Progress, within};
pub use net::{SimNet, SimStream};
pub use simulator::{Server, Simulator};

/// Why a run gave no trace to be trusted. A failed expectation is no error.
#[derive(Debug, thiserror::Error)]
pub enum SimError {
    /// Something inside failed or panicked.
    #[error("the simulation failed: {0}")]
    Failed(String),
    /// Two runs of the same scenario with the same seed differed.
    #[error(
        "two runs of the same scenario with the same seed differ, first in line {line} of the trace\n  first run:  {first}\n  second run: {second}"
    )]
    Nondeterministic {
        /// The line of the trace, from 1.
        line: usize,
        /// What the first run has there.
        first: String,
        /// What the second run has there.
        second: String,
    },
    /// It took longer than its [`Simulator`] allows: most likely a server never comes back from what it does.
    #[error(
        "the run was left behind after {limit} (seed {seed}, at {at} of simulated time, while {who} was running): {why}; one that \
         is only long needs a higher limit (--run-limit)",
        limit = format_duration(*limit),
        at = format_duration(*at),
        why = why(who.as_deref()),
        who = who.as_deref().unwrap_or("no server")
    )]
    PastLimit {
        /// How long it may take, in wall time.
        limit: Duration,
        /// The seed that it has.
        seed: u64,
        /// The simulated moment at which it was.
        at: Duration,
        /// Whose task was running, if one was.
        who: Option<String>,
    },
    /// Nobody wants the run any more: see [`Simulator::interrupt`].
    #[error("the run was interrupted")]
    Interrupted,
}

/// What may be wrong with a run that does not end, while somebody's task was running or nobody's.
fn why(who: Option<&str>) -> String {
    who.map_or_else(
        || "it does not come to its end".to_owned(),
        |who| format!("a task of {who} does not come back"),
    )
}

/// Runs a scenario twice, and gives the trace of both if they are the same to the byte.
///
/// # Errors
///
/// When something inside fails, or when the runs differ. Expectations that don't hold are in the
/// trace: see [`Trace::verdict`].
pub fn run(scenario: &Scenario) -> Result<Trace, SimError> {
    Simulator::default().run(scenario)
}

/// Runs a scenario once: half the time, and nobody notices if it can't be repeated.
///
/// # Errors
///
/// When something inside fails.
pub fn run_once(scenario: &Scenario) -> Result<Trace, SimError> {
    Simulator::default().run_once(scenario)
}

/// Runs a scenario twice, as [`run`] does, with Places answering by the mocks that `mocks` makes for
/// each run. The scenario's own tables answer first.
///
/// A response is delayed in simulated time by the header [`DELAY_HEADER`]. Requests that no mock matches, and mocks
/// that do not get the requests that they expect, are failed judgements in the trace.
///
/// # Errors
///
/// When something inside fails, or when the runs differ.
pub fn run_with_mocks(
    scenario: &Scenario,
    mocks: impl Fn() -> Vec<Mock>,
) -> Result<Trace, SimError> {
    let simulator = Simulator::default();
    let once = || simulate(scenario, Some(mocks()), &simulator);
    let (trace, again) = (once()?, once()?);
    compare(&trace.to_json_lines(), &again.to_json_lines())?;
    Ok(trace)
}

fn simulate(
    scenario: &Scenario,
    mocks: Option<Vec<Mock>>,
    simulator: &Simulator,
) -> Result<Trace, SimError> {
    let (scenario, server) = (scenario.expanded(), simulator.server.clone());
    within(simulator, scenario.seed, move |progress| {
        here(&scenario, mocks, &server, progress)
    })
}

/// Simulates on this thread.
fn here(
    scenario: &Scenario,
    mocks: Option<Vec<Mock>>,
    server: &Server,
    progress: &Arc<Progress>,
) -> Result<Trace, SimError> {
    let mut listed = (scenario.deliver.as_ref()).map(|order| Listed::new(order, &scenario.herd));
    let chooser = listed.as_mut().map(|listed| listed as &mut dyn Chooser);
    let execution = world::execute(scenario, mocks, server, chooser, progress)?;
    let given_up = || SimError::Failed("the run was given up".to_owned());
    let mode = match listed {
        None => Mode::ByTime,
        Some(listed) => Mode::ByHand(Some(listed.followed())),
    };
    Ok(told(scenario, execution.ok_or_else(given_up)?, &mode))
}

/// What a run says that failed inside, so that it can be run again.
fn failed(scenario: &Scenario, at: Duration, error: &dyn std::error::Error) -> SimError {
    let (seed, at) = (scenario.seed, format_duration(at));
    SimError::Failed(format!("{error} (seed {seed}, at {at})"))
}

/// What decided on the order in which everything happened.
enum Mode {
    /// Time.
    ByTime,
    /// Choices; with an [`OrderOutcome`], those of the scenario's own order.
    ByHand(Option<OrderOutcome>),
}

impl Mode {
    fn is_by_hand(&self) -> bool {
        matches!(self, Self::ByHand(_))
    }
}

/// The trace of a run.
fn told(scenario: &Scenario, mut execution: world::Execution, mode: &Mode) -> Trace {
    let latency: Vec<_> = scenario
        .link_latency
        .iter()
        .map(|range| range.least)
        .collect();
    let sent = sent_updates(scenario, &execution.outcomes);
    let updates = follow(&scenario.herd, &latency, &execution.events, sent);
    let mut trace = Trace {
        header: header(scenario),
        herd: scenario.herd.clone(),
        events: std::mem::take(&mut execution.events),
        updates,
        judgements: Vec::new(),
    };
    trace.header.needless = judge::needless(scenario, mode, &trace);
    trace.judgements = judge::judge(scenario, &execution, mode, &trace);
    trace
}

/// What ran, for the trace's first line.
fn header(scenario: &Scenario) -> Header {
    let name = |id: ServerId| scenario.herd.server(id).name.to_string();
    let links = scenario.herd.links().iter().zip(&scenario.link_latency);
    Header {
        format: FORMAT,
        scenario: scenario.name.clone(),
        title: scenario.title.clone(),
        about: scenario.about.clone(),
        seed: scenario.seed,
        swarm: scenario.swarm,
        tick: u64::try_from(scenario.tick.as_nanos()).unwrap_or(u64::MAX),
        epoch: scenario.epoch_ns.to_string(),
        herd: scenario.herd.name().to_string(),
        servers: scenario.herd.ids().map(name).collect(),
        links: links
            .map(|(link, latency)| LinkShape {
                a: name(link.a),
                b: name(link.b),
                latency: latency.to_string(),
            })
            .collect(),
        versions: Versions {
            proxy_herd: env!("CARGO_PKG_VERSION").to_owned(),
            protocol: crate::protocol::peer::VERSION,
        },
        workloads: workloads(scenario),
        without: scenario.without.clone(),
        needless: Vec::new(),
    }
}

fn workloads(scenario: &Scenario) -> Vec<WorkloadShape> {
    let workloads = scenario.steps.iter().filter_map(|step| match &step.action {
        Action::Drawn(Drawn::Workload(workload)) => Some(WorkloadShape {
            name: workload.name.to_string(),
            clients: workload.clients,
        }),
        _ => None,
    });
    workloads.collect()
}

/// Writing both down takes as long as running; what is equal is written the same.
fn same(first: &Trace, second: &Trace) -> Result<(), SimError> {
    if first == second {
        return Ok(());
    }
    compare(&first.to_json_lines(), &second.to_json_lines())
}

/// Holds two traces of the same scenario and seed against each other.
///
/// # Errors
///
/// With the first line in which they differ.
pub fn compare(first: &str, second: &str) -> Result<(), SimError> {
    if first == second {
        return Ok(());
    }
    let (mut one, mut two) = (first.lines(), second.lines());
    let mut line = 0;
    loop {
        line += 1;
        let end = "(the trace ends)";
        let (first, second) = match (one.next(), two.next()) {
            (None, None) => return Ok(()),
            (first, second) => (first.unwrap_or(end), second.unwrap_or(end)),
        };
        if first != second {
            return Err(SimError::Nondeterministic {
                line,
                first: first.to_owned(),
                second: second.to_owned(),
            });
        }
    }
}

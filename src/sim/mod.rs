//! The simulator: runs a scenario's servers, clients and faults in one process, on one thread other
//! than the caller's.
//!
//! The servers are those of production; only their [`Net`](crate::net::Net) is turmoil's. The same
//! scenario with the same seed gives the same bytes, in any process and on any machine. [`run`]
//! checks this by running everything twice.

mod census;
mod chooser;
mod client;
mod disk;
mod driver;
mod faults;
mod google;
mod impact;
mod judge;
mod limit;
mod machines;
mod net;
pub(crate) mod outside;
mod process;
mod random;
mod react;
mod recorder;
mod server;
mod simulator;
mod sockets;
mod time;
mod timeline;
mod worlds;

use std::sync::Arc;
use std::time::Duration;

use wiremock::Mock;

use crate::herd::ServerId;
use crate::scenario::{Action, Drawn, Expect, Recipe, Scenario, sent_updates};
use crate::trace::propagation::follow;
use crate::trace::{FORMAT, Header, LinkShape, Trace, Versions, WorkloadShape};
use crate::units::format_duration;

pub use chooser::Chooser;
use chooser::{Listed, OrderOutcome};
pub use google::DELAY_HEADER;
pub(crate) use judge::{ENDS, HAS_EFFECT};
pub(crate) use limit::stuck;
use limit::{Progress, within};
pub use net::{SimNet, SimStream};
use react::timed;
use server::Builds;
pub use server::Server;
pub use simulator::Simulator;
pub use worlds::{UnknownWorld, WorldKind};

/// Why a run has no trustworthy trace. A failed expectation is no error.
#[derive(Debug, thiserror::Error)]
pub enum SimError {
    /// The simulation failed or panicked.
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
    /// The scenario has something that there is not in the world in which it was to run.
    #[error(
        "the world `{world}` has no {what}; run the scenario in `{}`",
        WorldKind::Packets
    )]
    Lacks {
        /// What it has: the kind of a fault, in backquotes, or times that are too fine.
        what: String,
        /// The world.
        world: WorldKind,
    },
    /// A step names a build of the server that nobody gave the [`Simulator`].
    #[error("there is no build `{build}` of the server to upgrade to; there are {known}")]
    NoBuild {
        /// The name that the step has.
        build: String,
        /// Those that there are.
        known: String,
    },
    /// The run took longer than its [`Simulator`] allows. Most likely a server spins.
    #[error(
        "the run was left behind after {limit} (seed {seed}, at {at} of simulated time, while {who} was running): {why}; one that \
         is only long needs a higher limit (--run-limit)",
        limit = format_duration(*limit),
        at = format_duration(*at),
        why = why(who.as_deref()),
        who = who.as_deref().unwrap_or("no server")
    )]
    PastLimit {
        /// The limit of wall time.
        limit: Duration,
        /// The run's seed.
        seed: Recipe,
        /// The simulated time that the run had reached.
        at: Duration,
        /// The server or other machine whose task was running; `None` if none was.
        who: Option<String>,
    },
    /// The run was cancelled: see [`Simulator::interrupt`].
    #[error("the run was interrupted")]
    Interrupted,
}

/// The likely reason why a run does not end: the machine whose task is running, if one is.
fn why(who: Option<&str>) -> String {
    who.map_or_else(
        || "it does not come to its end".to_owned(),
        |who| format!("a task of {who} does not come back"),
    )
}

/// Runs a scenario twice, and returns the trace if both are equal to the byte.
///
/// # Errors
///
/// If the simulation fails, or if the runs differ. Failed expectations are part of the trace: see
/// [`Trace::verdict`].
pub fn run(scenario: &Scenario) -> Result<Trace, SimError> {
    Simulator::default().run(scenario)
}

/// Runs a scenario once. This takes half the time, but does not notice nondeterminism.
///
/// # Errors
///
/// If the simulation fails.
pub fn run_once(scenario: &Scenario) -> Result<Trace, SimError> {
    Simulator::default().run_once(scenario)
}

/// Runs a scenario twice, as [`run`] does, with Places answering by the mocks that `mocks` makes
/// for each run. The scenario's own tables take precedence over the mocks.
///
/// The header [`DELAY_HEADER`] delays a response in simulated time. Requests that no mock matches,
/// and mocks that do not receive the requests that they expect, are failed judgements in the trace.
///
/// # Errors
///
/// If the simulation fails, or if the runs differ.
pub fn run_with_mocks(
    scenario: &Scenario,
    mocks: impl Fn() -> Vec<Mock>,
) -> Result<Trace, SimError> {
    let simulator = Simulator::default();
    let once = || simulate(scenario, || Some(mocks()), &simulator);
    let (trace, again) = (once()?, once()?);
    compare(&trace.to_json_lines(), &again.to_json_lines())?;
    Ok(trace)
}

fn simulate(
    scenario: &Scenario,
    mocks: impl Fn() -> Option<Vec<Mock>>,
    simulator: &Simulator,
) -> Result<Trace, SimError> {
    let execute = |scenario: &Scenario| execution(scenario, mocks(), simulator);
    let scenario = timed(
        &scenario.expanded(),
        |known| Ok(execute(known)?.told(known)),
    )?;
    Ok(execute(&scenario)?.told(&scenario))
}

/// An execution that is not judged yet.
#[derive(PartialEq)]
struct Unjudged {
    world: WorldKind,
    execution: driver::Execution,
    mode: Mode,
}

impl Unjudged {
    /// The trace, with the ways of all updates.
    fn told(self, scenario: &Scenario) -> Trace {
        self.judged(scenario, true)
    }

    /// The trace, with its judgements. Unless it is `to_tell`, updates are followed only where somebody asks for their
    /// ways: an expectation, or whoever is to understand what failed.
    fn judged(self, scenario: &Scenario, to_tell: bool) -> Trace {
        let Self {
            world,
            mut execution,
            mode,
        } = self;
        let mut sent = Some(sent_updates(scenario, &execution.outcomes));
        let mut trace = Trace {
            header: header(scenario, world.name()),
            herd: scenario.herd.clone(),
            events: std::mem::take(&mut execution.events),
            updates: Vec::new(),
            judgements: Vec::new(),
        };
        let mut follow_all = |trace: &mut Trace| {
            let least = scenario.link_latency.iter().map(|range| range.least);
            let least: Vec<Duration> = least.collect();
            if let Some(sent) = sent.take() {
                trace.updates = follow(&scenario.herd, &least, &trace.events, sent);
            }
        };
        let is_about_ways = |expect: &Expect| expect.what.is_about_ways();
        if to_tell || scenario.expects.iter().any(is_about_ways) {
            follow_all(&mut trace);
        }
        trace.header.needless = judge::needless(scenario, &execution, &mode, &trace);
        trace.header.sometimes = judge::sometimes(scenario, &execution, &trace);
        trace.judgements = judge::judge(scenario, &execution, &mode, &trace);
        if trace.verdict().failed > 0 {
            follow_all(&mut trace);
        }
        trace
    }
}

/// Executes a scenario of plain steps once.
fn execution(
    scenario: &Scenario,
    mocks: Option<Vec<Mock>>,
    simulator: &Simulator,
) -> Result<Unjudged, SimError> {
    let (scenario, builds) = (scenario.clone(), simulator.builds());
    let world = simulator.world;
    within(
        &simulator.limit(),
        &scenario.seed.clone(),
        move |progress| here(&scenario, mocks, (world, &builds), progress),
    )
}

/// Executes on this thread.
fn here(
    scenario: &Scenario,
    mocks: Option<Vec<Mock>>,
    (world, builds): (WorldKind, &Builds),
    progress: &Arc<Progress>,
) -> Result<Unjudged, SimError> {
    if let Some(what) = world.lacks(scenario) {
        return Err(SimError::Lacks { what, world });
    }
    builds.check(scenario)?;
    let mut listed = (scenario.deliver.as_ref()).map(|order| Listed::new(order, &scenario.herd));
    let chooser = listed.as_mut().map(|listed| listed as &mut dyn Chooser);
    let engine = (world.engine(), Some(builds));
    let execution = driver::execute(scenario, mocks, engine, chooser, progress)?;
    let given_up = || SimError::Failed("the run was given up".to_owned());
    let mode = match listed {
        None => Mode::ByTime,
        Some(listed) => Mode::ByHand(Some(listed.followed())),
    };
    Ok(Unjudged {
        world,
        execution: execution.ok_or_else(given_up)?,
        mode,
    })
}

/// The error of a run that failed, with seed and time so that it can be repeated.
fn failed(scenario: &Scenario, at: Duration, error: &dyn std::error::Error) -> SimError {
    let (seed, at) = (&scenario.seed, format_duration(at));
    SimError::Failed(format!("{error} (seed {seed}, at {at})"))
}

/// What determines the order of events.
#[derive(PartialEq)]
enum Mode {
    /// The order follows from simulated time.
    ByTime,
    /// The order follows from choices. With an [`OrderOutcome`], these were the scenario's
    /// `deliver`.
    ByHand(Option<OrderOutcome>),
}

impl Mode {
    fn is_by_hand(&self) -> bool {
        matches!(self, Self::ByHand(_))
    }
}

/// The trace's first line, which describes the input of the run.
fn header(scenario: &Scenario, world: &str) -> Header {
    let name = |id: ServerId| scenario.herd.server(id).name.to_string();
    let links = scenario.herd.links().iter().zip(&scenario.link_latency);
    Header {
        format: FORMAT,
        scenario: scenario.name.clone(),
        title: scenario.title.clone(),
        about: scenario.about.clone(),
        seed: scenario.seed.clone(),
        swarm: scenario.swarm,
        shuffle: scenario.shuffle,
        world: world.to_owned(),
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
        not_evaluated: Vec::new(),
        sometimes: Vec::new(),
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

/// Fails if two traces differ. Equal values are written equally, so only different ones are
/// compared as text: writing a trace takes as long as running it.
fn same(first: &Trace, second: &Trace) -> Result<(), SimError> {
    if first == second {
        return Ok(());
    }
    compare(&first.to_json_lines(), &second.to_json_lines())
}

/// Compares two traces of the same scenario and seed.
///
/// # Errors
///
/// If they differ: the first line that does.
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

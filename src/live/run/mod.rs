//! A scenario on real processes: one for each server, and a relay for each link and each client's way.
//!
//! The driver of steps, the clients, the bookkeeping of faults and the judge are the simulator's
//! (`src/sim/outside.rs`); this is one more world for them. Its time is the machine's, times a whole speed.

mod clock;
mod files;
mod journals;
mod lacks;
mod launch;
mod merge;
mod network;
mod plan;
mod ports;
mod sockets;
mod survey;
mod world;

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::command::{Command, CommandError};
use super::process::ProcessError;
use crate::scenario::Scenario;
use crate::sim::SimError;
use crate::sim::outside::{self, Merge, Setup, World};
use crate::trace::{Judgement, Trace};
use files::Folder;
use journals::Journals;
use merge::{Pace, merge};
use world::LiveWorld;

/// The highest speed: deadlines of a few milliseconds would be luck.
pub const MOST_SPEED: u32 = 20;

/// How a scenario is run.
#[derive(Clone, Debug)]
pub struct Options {
    /// The program `herd`: it guards servers, and is the server if there is no command.
    pub herd: PathBuf,
    /// What starts a server; `None` for `herd serve`.
    pub command: Option<Command>,
    /// How many times faster than written everything happens, from 1 to [`MOST_SPEED`].
    pub speed: u32,
    /// The folder in which the servers' logs stay; `None` if nothing is to stay.
    pub logs: Option<PathBuf>,
    /// Whether the run is to end.
    pub interrupt: Option<Arc<AtomicBool>>,
}

/// Why a scenario has no trace.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    /// The scenario has what can't be done to real processes.
    #[error("{}", .0.join("\n"))]
    Lacks(Vec<String>),
    /// The command doesn't fit the herd.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// A server did not come up.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The system refused what the harness needs: ports, files, a runtime.
    #[error("can't {what}: {error}")]
    System {
        /// What was tried.
        what: String,
        /// What the system says.
        error: io::Error,
    },
    /// The run failed.
    #[error(transparent)]
    Run(#[from] SimError),
}

impl LiveError {
    fn system(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |error| Self::System { what, error }
    }
}

/// What is judged of every server.
const STAYS: &str = "servers run until a step ends them";

/// Runs a scenario once, on this thread, which must be inside of no runtime.
///
/// # Errors
///
/// If the scenario has what can't be done here, or if a server doesn't come up.
pub fn run(scenario: &Scenario, options: &Options) -> Result<Trace, LiveError> {
    let mut scenario = scenario.expanded();
    // Servers look once a second for records that have expired, at every speed.
    let speed = match scenario.limits.keep.time_to_live {
        Some(_) if options.command.is_none() => options.speed.min(1),
        _ => options.speed,
    };
    let options = &Options {
        speed,
        ..options.clone()
    };
    lacks::check(&scenario, options)?;
    plan::with_places(&mut scenario);
    plan::with_any_skew(&mut scenario);
    let folder = Folder::new(options.logs.as_deref())?;
    let fallen = Arc::<Mutex<Vec<String>>>::default();
    let journals = Journals::default();
    let shared = (Arc::clone(&fallen), journals.clone());
    let (world, sockets) = LiveWorld::start(&scenario, options, folder, shared)?;
    // The servers' clock is the system's, and the run begins now.
    scenario.epoch_ns = clock::begin(options.speed);
    let make = move |setup: Setup<'_>| {
        let mut world = world;
        world.begin(setup);
        Ok(Box::new(world) as Box<dyn World>)
    };
    let pace = Pace {
        epoch_ns: scenario.epoch_ns,
        speed: options.speed,
    };
    let dropped = Arc::<AtomicU64>::default();
    let told = Arc::clone(&dropped);
    let merging: Merge = Box::new(move |events| {
        let fetched = std::mem::take(&mut *journals.inner());
        told.store(fetched.dropped(), Ordering::Relaxed);
        merge(events, fetched, pace)
    });
    let ran = outside::run(
        &scenario,
        Box::new(move |_| (Arc::new(sockets), Box::new(make))),
        options.command.is_none().then_some(merging),
        options.speed,
    );
    clock::end();
    let mut trace = ran?;
    let fallen = fallen.lock().unwrap_or_else(PoisonError::into_inner);
    trace.judgements.push(stays(&fallen));
    trace
        .judgements
        .extend(lost(dropped.load(Ordering::Relaxed)));
    Ok(trace)
}

/// What servers recorded and nobody fetched in time may be what matters. Reported only on failure.
fn lost(events: u64) -> Option<Judgement> {
    (events > 0).then(|| Judgement {
        actual: format!("{events} were lost"),
        passed: false,
        about: "all events of servers are fetched".to_owned(),
        expected: "all".to_owned(),
        ..stays(&[])
    })
}

fn stays(fallen: &[String]) -> Judgement {
    let expected = "none ends by itself";
    Judgement {
        about: STAYS.to_owned(),
        passed: fallen.is_empty(),
        expected: expected.to_owned(),
        actual: match fallen {
            [] => expected.to_owned(),
            some => some.join("; "),
        },
        place: None,
        note: None,
        invariant: None,
        events: Vec::new(),
    }
}

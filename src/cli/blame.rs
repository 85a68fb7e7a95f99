//! `herd blame`: when a failure became inevitable.

use std::io::{IsTerminal as _, Write as _};
use std::ops::ControlFlow;
use std::path::PathBuf;

use super::chosen::Chosen;
use super::interrupt::Interrupt;
use super::run_limit::Limited;
use super::scenarios::load_all;
use super::threads::Threads;
use super::{Exit, Failure, at_least_one, outputs, painted, print};
use crate::blame::{self, Blame, BlameError, Options};
use crate::scenario::Scenario;
use crate::sim::{SimError, Simulator};
use crate::view::blame_page;

/// Find out when a failing run's failure became inevitable
///
/// Keeps what was drawn before a moment, draws everything after it anew, and counts in how many of
/// such futures the run fails in the same way, for many moments. Where the share rises most, the
/// failure was decided: the report names the steps and events between the two moments. Moments are
/// chosen from those at which something happens in the run, and more of them where the share rises.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  herd blame --swarm --seed 17 scenarios/stories/chaos-coarse.toml
  herd blame --futures 20 --moments 30 --html why.html failing.toml

Exit codes:
  0  the failure was followed to the end
  1  nothing failed in the run, or the search was interrupted
  2  the file or the command line is bad
  3  something inside failed, or the run was past --run-limit")]
pub(super) struct Args {
    /// The scenario (.toml, .json)
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    chosen: Chosen,
    /// Run N futures of each moment
    #[arg(long, value_name = "N", default_value_t = Options::default().futures, value_parser = at_least_one)]
    futures: usize,
    /// Look at up to N moments, and at least at the beginning and the end
    #[arg(long, value_name = "N", default_value_t = Options::default().moments, value_parser = at_least_one)]
    moments: usize,
    #[command(flatten)]
    threads: Threads,
    #[command(flatten)]
    limited: Limited,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    /// Also write a page for a browser that shows the run, with the curve under its diagram, to this file
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Let all servers make this mistake
    #[cfg(feature = "mutants")]
    #[arg(long, value_name = "NAME")]
    mutant: Option<String>,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let mut scenarios = load_all(std::slice::from_ref(&args.file))?;
    let Some(scenario) = scenarios.pop() else {
        return Err(Failure::Input("there is no scenario".to_owned()));
    };
    let scenario = args.chosen.seeded(scenario);
    let interrupt = Interrupt::watch()?;
    let options = Options {
        futures: args.futures,
        moments: args.moments,
        threads: args.threads.count().get(),
        swarm: args.chosen.swarm,
        simulator: simulator(args, &interrupt)?,
    };
    outputs::check(&[("--html", args.html.as_deref())])?;
    let blame = search(&scenario, &options, &interrupt)?;
    if let Some(file) = &args.html {
        let trace = options
            .simulator
            .run_once(&args.chosen.of(scenario.clone()));
        let trace = trace.map_err(|error| Failure::of_run(&scenario.path(), &error))?;
        let run = super::view::shown(trace, &args.file);
        outputs::write(file, &blame_page(&run, &blame))?;
    }
    if args.json {
        let json = serde_json::to_string_pretty(&blame);
        print(&(json.map_err(|error| Failure::Internal(error.to_string()))? + "\n"))?;
    } else {
        print(&painted(&blame::text(&blame)))?;
    }
    Ok(if blame.interrupted {
        Exit::Failed
    } else {
        Exit::Passed
    })
}

/// What runs the futures, with the server that the command line asks for.
#[cfg_attr(
    not(feature = "mutants"),
    expect(clippy::unnecessary_wraps, reason = "a mutant may be unknown")
)]
fn simulator(args: &Args, interrupt: &Interrupt) -> Result<Simulator, Failure> {
    let simulator = args.limited.until(interrupt);
    #[cfg(feature = "mutants")]
    if let Some(name) = &args.mutant {
        return Ok(super::mutants::named(name)?.in_place_of_all(simulator));
    }
    Ok(simulator)
}

/// Searches until the end or Ctrl-C, with its progress on a terminal.
fn search(scenario: &Scenario, options: &Options, interrupt: &Interrupt) -> Result<Blame, Failure> {
    let is_shown = std::io::stderr().is_terminal();
    let mut watch = |done: usize| {
        if is_shown {
            let (most, futures) = (options.moments, options.futures);
            let words = format!("{done} of up to {most} moments, with {futures} futures each");
            let _ = write!(std::io::stderr(), "\r\x1b[K{words}");
        }
        if interrupt.is_wanted() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    let blame = blame::blame(scenario, options, &mut watch);
    if is_shown {
        let _ = write!(std::io::stderr(), "\r\x1b[K");
    }
    blame.map_err(|error| match error {
        BlameError::Held | BlameError::Sim(SimError::Interrupted) => {
            Failure::Failed(format!("{}: {error}", scenario.path()))
        }
        BlameError::Ordered => Failure::Input(format!("{}: {error}", scenario.path())),
        BlameError::Sim(error) => Failure::of_run(&scenario.path(), &error),
    })
}

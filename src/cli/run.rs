//! `herd run`: runs scenario files and prints reports and verdicts.

use std::ops::ControlFlow;
use std::path::PathBuf;

use super::chosen::Chosen;
use super::live::{LiveArgs, Place};
use super::run_limit::RunLimit;
use super::scenarios::{load_all, scenario_files};
use super::threads::Threads;
use super::{Exit, Failure, annotations, outputs, painted, print, view};
use crate::parallel::in_order;
use crate::report::{self, Detail};
use crate::scenario::Scenario;
use crate::sim::{Simulator, WorldKind};
use crate::trace::Trace;
use crate::view::{Suite, junit};

/// Run scenarios in the simulator and report what happened
///
/// Prints the story of each run, the path of each update, and each expectation, passed or failed.
/// Every run is executed twice and compared byte by byte, but for those of real processes
/// (--world live), which are never alike.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  herd run scenarios/juzang-goes-down.toml
  herd run --quiet scenarios
  herd run --seed 7 --json scenarios/burst.toml > trace.jsonl
  herd run --quiet --junit results.xml scenarios
  herd run --world live scenarios/juzang-goes-down.toml

Exit codes:
  0  every expectation passed
  1  one failed
  2  a file or the command line is bad
  3  something inside failed: a panic, two runs that differ, or one past --run-limit")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
pub(super) struct Args {
    /// Scenario files (.toml, .json; `-` for standard input), or folders of them; herd files and
    /// folders named `herds` in a folder are skipped
    #[arg(required = true, value_name = "FILE|DIR")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    chosen: Chosen,
    /// Print the trace, one JSON object a line, instead of the report
    #[arg(long, conflicts_with_all = ["quiet", "all"])]
    json: bool,
    /// Print one line of verdict for each scenario, and what failed
    #[arg(short, long)]
    quiet: bool,
    /// Print every event, heartbeats included
    #[arg(long, conflicts_with = "quiet")]
    all: bool,
    /// Also write the trace to this file (one scenario only)
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// Also write a page for a browser that shows the run to this file (one scenario only)
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Also write each expectation and its result to this file, as JUnit XML for build servers
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Execute only once: half the time, but a nondeterministic run goes unnoticed
    #[arg(long)]
    once: bool,
    #[command(flatten)]
    limit: RunLimit,
    /// The world that scenarios run in: `packets`, whose time is exact and whose network sends again
    /// what a cut has lost; `turmoil`, whose time goes in the scenario's ticks and whose network
    /// loses nothing; or `live`, one process for each server on this machine, in real time
    #[arg(long, value_name = "WORLD", default_value_t)]
    world: Place,
    #[command(flatten)]
    live: LiveArgs,
    #[command(flatten)]
    threads: Threads,
    /// Let all servers make this mistake
    #[cfg(feature = "mutants")]
    #[arg(long, value_name = "NAME")]
    mutant: Option<String>,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let files = scenario_files(&args.paths)?;
    for (flag, file) in [("--trace", &args.trace), ("--html", &args.html)] {
        if file.is_some() && files.len() != 1 {
            let found = files.len();
            return Err(Failure::Input(format!(
                "{flag} takes one scenario, but there are {found}"
            )));
        }
    }
    let scenarios = load_all(&files)?;
    let written = [
        ("--trace", args.trace.as_deref()),
        ("--html", args.html.as_deref()),
        ("--junit", args.junit.as_deref()),
    ];
    outputs::check(&written)?;
    let scenarios: Vec<Scenario> = (scenarios.into_iter())
        .map(|scenario| args.chosen.of(scenario))
        .collect();
    #[cfg(unix)]
    if args.world == Place::Live && args.live.compare {
        let simulator = simulator(args, WorldKind::default())?;
        return args.live.live()?.compare(&scenarios, &simulator);
    }
    let mut broken = Vec::new();
    let mut suites = Vec::new();
    let mut tell = |index: usize, trace: Trace| {
        if index > 0 && !args.json && !args.quiet {
            print("\n\n")?;
        }
        print(&show(&trace, args))?;
        if let Some(file) = &args.trace {
            outputs::write(file, &trace.to_json_lines())?;
        }
        if trace.verdict().failed > 0 {
            broken.push(trace.header.scenario.clone());
            if annotations::are_wanted() {
                annotations::tell(&files[index], &report::failed(&trace));
            }
        }
        if args.junit.is_some() {
            suites.push(Suite::of(&trace, &files[index].display().to_string()));
        }
        match &args.html {
            Some(page) => view::write_page(page, trace, &files[index]),
            None => Ok(()),
        }
    };
    let mut failure = None;
    let runner = runner(args)?;
    let run = |index: usize| runner(&scenarios[index]);
    // Real processes would slow each other down.
    let threads = match args.world {
        Place::Live => 1,
        Place::Simulated(_) => args.threads.count().get(),
    };
    in_order(threads, scenarios.len(), run, |index, trace| {
        match trace.and_then(|trace| tell(index, trace)) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                failure = Some(error);
                ControlFlow::Break(())
            }
        }
    });
    if let Some(failure) = failure {
        return Err(failure);
    }
    if let Some(file) = &args.junit {
        outputs::write(file, &junit(&suites))?;
    }
    if files.len() > 1 && !args.json {
        print(&summary(files.len(), &broken))?;
    }
    Ok(if broken.is_empty() {
        Exit::Passed
    } else {
        Exit::Failed
    })
}

/// Runs one scenario.
type Runner<'a> = Box<dyn Fn(&Scenario) -> Result<Trace, Failure> + Sync + 'a>;

/// What runs scenarios in the world that the command line chooses.
fn runner(args: &Args) -> Result<Runner<'_>, Failure> {
    match args.world {
        Place::Simulated(world) => {
            args.live.check_unused()?;
            let simulator = simulator(args, world)?;
            Ok(Box::new(move |scenario| {
                execute(scenario, &simulator, args)
            }))
        }
        #[cfg(unix)]
        Place::Live => {
            let live = args.live.live()?;
            Ok(Box::new(move |scenario| live.run(scenario)))
        }
        #[cfg(not(unix))]
        Place::Live => Err(Failure::Input(
            "this system has no processes that can be frozen and killed: use another world"
                .to_owned(),
        )),
    }
}

/// What runs them, with the server that the command line asks for.
#[cfg_attr(
    not(feature = "mutants"),
    expect(clippy::unnecessary_wraps, reason = "a mutant may be unknown")
)]
fn simulator(args: &Args, world: WorldKind) -> Result<Simulator, Failure> {
    let simulator = args.limit.simulator(world);
    #[cfg(feature = "mutants")]
    if let Some(name) = &args.mutant {
        return Ok(super::mutants::named(name)?.in_place_of_all(simulator));
    }
    Ok(simulator)
}

fn show(trace: &Trace, args: &Args) -> String {
    if args.json {
        return trace.to_json_lines();
    }
    if !args.quiet {
        let detail = if args.all {
            Detail::Everything
        } else {
            Detail::Story
        };
        return painted(&report::text(trace, detail));
    }
    let broken = trace.judgements.iter().any(|judgement| !judgement.passed);
    let mut lines = vec![report::verdict_line(trace)];
    if broken || !trace.header.needless.is_empty() {
        let all = report::judgements(trace);
        lines.extend(all.into_iter().filter(|line| !line.starts_with("passed")));
    }
    painted(&(lines.join("\n") + "\n"))
}

fn summary(all: usize, broken: &[String]) -> String {
    let scenarios = report::show::count(all, "scenario");
    match broken {
        [] => format!("\n{scenarios}, all passed\n"),
        some => format!(
            "\n{scenarios}, {} failed: {}\n",
            some.len(),
            some.join(", ")
        ),
    }
}

fn execute(scenario: &Scenario, simulator: &Simulator, args: &Args) -> Result<Trace, Failure> {
    let ran = if args.once {
        simulator.run_once(scenario)
    } else {
        simulator.run(scenario)
    };
    ran.map_err(|error| Failure::of_run(&scenario.path(), &error))
}

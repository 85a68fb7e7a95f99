//! `herd sweep`: runs many seeds on all cores, and merges their results.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use indicatif::{ProgressBar, ProgressStyle};

use super::interrupt::Interrupt;
use super::parts::{seeds, shard};
use super::run_limit::Limited;
use super::scenarios::{load_all, scenario_files};
use super::shrink::write_shrunk;
use super::threads::Threads;
use super::{Exit, Failure, heard, outputs, pages, painted, print};
use crate::files;
use crate::scenario::Scenario;
use crate::shrink::Limits;
use crate::sim::Simulator;
use crate::sweep::plan::{Plan, Shard};
use crate::sweep::report::Report;
use crate::sweep::results::{self, Outcome, Outcomes};
use crate::sweep::{self, Watch};
use crate::view::{SmallScenario, sweep_page};

/// Run scenarios with many seeds, on all cores, and report what failed and what never happened
///
/// Each seed draws what its scenario leaves to chance. It also draws which kinds of faults a random
/// step has and at which rates, so that rare mixtures occur; `--plain` runs all kinds at the rates
/// in the file. Failures are grouped by their fingerprint. The report is the same for any number of
/// threads, and for any number of shards that are merged.
#[derive(clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "\
Examples:
  herd sweep --seeds 0..10000 scenarios/stories/chaos-coarse.toml
  herd sweep --keep-going --shrink found --seeds 0..1000 scenarios/stories/chaos.toml
  herd sweep --shard 3/8 --state part-3.jsonl --seeds 0..100000 scenarios/stories/chaos-coarse.toml
  herd sweep merge part-*.jsonl
  herd sweep --keep-going --shrink found --html sweep.html --seeds 0..1000 scenarios/stories/chaos.toml

On the page that --html writes, each failure that --shrink shrunk opens its scenario.
Ctrl-C ends it with a report of what was run; with --state it can be gone on with. Ctrl-C while a failure is being shrunk writes the smallest failing scenario found so far. A second Ctrl-C ends it at once.

Exit codes:
  0  every run passed
  1  one failed, or runs are missing; with --strict, something never happened
  2  a file or the command line is bad
  3  something inside failed: a panic, two runs that differ, or one past --run-limit"
)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// Scenario files (.toml, .json), or folders of them
    #[arg(required = true, value_name = "FILE|DIR")]
    paths: Vec<PathBuf>,
    /// The seeds from A up to, but not including, B; or a single seed
    #[arg(long, value_name = "A..B", default_value = "0..1000", value_parser = seeds)]
    seeds: Range<u64>,
    /// Run all kinds of faults of random steps with each seed, at the rates in the file
    #[arg(long)]
    plain: bool,
    /// Let what runs came across decide what others draw from: take up a run up to something rare,
    /// and draw what follows anew
    #[arg(long, conflicts_with = "shard")]
    guided: bool,
    /// Execute each run twice and compare them byte by byte
    #[arg(long)]
    paired: bool,
    /// Continue after the first failure
    #[arg(long)]
    keep_going: bool,
    #[command(flatten)]
    threads: Threads,
    #[command(flatten)]
    limited: Limited,
    /// Run only shard K of N of the sweep, such as 1/4; needs --state
    #[arg(long, value_name = "K/N", value_parser = shard, requires = "state")]
    shard: Option<Shard>,
    /// Append the result of each run to this file, and resume from the results in it
    #[arg(long, visible_alias = "resume", value_name = "FILE")]
    state: Option<PathBuf>,
    /// Shrink the first failure of each kind, and write it into this folder as a scenario
    #[arg(long, value_name = "DIR")]
    shrink: Option<PathBuf>,
    #[command(flatten)]
    how: How,
    /// Let all servers make this mistake
    #[cfg(feature = "mutants")]
    #[arg(long, value_name = "NAME")]
    mutant: Option<String>,
}

#[derive(clap::Args)]
struct How {
    /// Also fail if a fault, event or situation that the scenarios can cause never occurred
    #[arg(long)]
    strict: bool,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
    /// Also write the report as a page to this file
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Merge the results of shards into the report that a single sweep would have printed
    #[command(after_help = "\
Example:
  herd sweep merge part-1.jsonl part-2.jsonl

Exit codes: as of `herd sweep`.")]
    Merge {
        /// Files that `herd sweep --state` wrote
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        #[command(flatten)]
        how: How,
    },
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    match &args.command {
        Some(Command::Merge { files, how }) => merge(files, how),
        None => run_part(args),
    }
}

fn run_part(args: &Args) -> Result<Exit, Failure> {
    let files = scenario_files(&args.paths)?;
    let scenarios = load_all(&files)?;
    let written = [
        ("--state", args.state.as_deref()),
        ("--html", args.how.html.as_deref()),
    ];
    outputs::check(&written)?;
    outputs::check_folder(args.shrink.as_ref())?;
    let plan = Plan::new(
        &scenarios,
        args.seeds.clone(),
        !args.plain,
        args.paired,
        args.keep_going,
    )
    .in_world(args.limited.world())
    .guided(args.guided);
    let shard = args.shard.unwrap_or(Shard::WHOLE);
    let mut outcomes = match &args.state {
        Some(file) if file.exists() => resumed(file, &plan)?,
        _ => Outcomes::new(),
    };
    // The file may have runs of other shards.
    outcomes.retain(|run, _| shard.has(*run));
    let failed = outcomes.values().find(|outcome| outcome.failure.is_some());
    let stop = failed
        .filter(|_| !plan.keep_going)
        .map_or(u64::MAX, |outcome| outcome.run);
    let mine = plan.items(shard).take_while(|item| *item < stop);
    let todo: Vec<u64> = mine.filter(|item| !outcomes.contains_key(item)).collect();
    if todo.is_empty() && outcomes.is_empty() {
        let (part, runs) = (shard, plan.len());
        let text = format!(
            "part {}/{} has no run: there are only {runs}",
            part.number, part.of
        );
        return Err(Failure::Input(text));
    }
    let log = args
        .state
        .as_deref()
        .map(|file| State::open(file, &plan))
        .transpose()?;
    let threads = args.threads.count().get();
    let interrupt = Interrupt::watch()?;
    let simulator = simulator(args, &interrupt)?;
    let outcomes = watched(
        &scenarios, &plan, todo, outcomes, threads, &simulator, log, &interrupt,
    )?;
    let mut report = Report::of_part(plan, outcomes, shard);
    report.strict = args.how.strict;
    let exit = tell(&report, &args.how)?;
    let small = make_small(args, &scenarios, &report, &interrupt)?;
    write_page(&report, &args.how, &small)?;
    Ok(exit)
}

/// Shrinks the first failure of each kind, if `--shrink` is given.
fn make_small(
    args: &Args,
    scenarios: &[Scenario],
    report: &Report,
    interrupt: &Interrupt,
) -> Result<Vec<SmallScenario>, Failure> {
    let mut small = Vec::new();
    let limits = Limits {
        simulator: simulator(args, interrupt)?,
        ..Limits::default()
    };
    let Some(folder) = &args.shrink else {
        return Ok(small);
    };
    // Standard output must contain only JSON.
    let tell = if args.how.json { aside } else { print };
    for group in &report.groups {
        let first = group.first[0];
        let failing = report.scenario_of(scenarios, first);
        let shrunk = if interrupt.is_wanted() {
            None
        } else {
            write_shrunk(&failing, folder, group, &limits, interrupt, tell)?
        };
        if let Some((file, text)) = shrunk {
            small.push(SmallScenario {
                fingerprint: group.fingerprint.clone(),
                file: file.display().to_string(),
                link: (args.how.html.as_ref())
                    .map_or(String::new(), |page| pages::link(page, &file)),
                text,
            });
        } else if interrupt.is_wanted() {
            let (way, command) = (&group.fingerprint, report.smaller(first));
            tell(&format!(
                "{way}: interrupted, so it is not shrunk: {command}\n"
            ))?;
        }
    }
    Ok(small)
}

fn aside(text: &str) -> Result<(), Failure> {
    let mut stderr = io::stderr().lock();
    heard(stderr.write_all(text.as_bytes()))
}

fn write_page(report: &Report, how: &How, small: &[SmallScenario]) -> Result<(), Failure> {
    match &how.html {
        Some(file) => pages::write(file, &sweep_page(report, small)),
        None => Ok(()),
    }
}

/// What runs them, with the server that the command line asks for.
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

/// Runs the items `todo`, with the progress on a terminal, until Ctrl-C. The result has the `outcomes` that are known
/// before, too.
#[expect(
    clippy::too_many_arguments,
    reason = "each is a part of the sweep, and nobody else wants them together"
)]
fn watched(
    scenarios: &[Scenario],
    plan: &Plan,
    todo: Vec<u64>,
    mut outcomes: Outcomes,
    threads: usize,
    simulator: &Simulator,
    log: Option<State>,
    interrupt: &Interrupt,
) -> Result<Outcomes, Failure> {
    let watcher = Watcher {
        bar: bar(todo.len() as u64),
        failures: AtomicU64::new(0),
        interrupt,
        is_over: AtomicBool::new(false),
        log: Mutex::new(log),
        unwritten: Mutex::new(None),
    };
    let outcomes = if plan.guided {
        sweep::run_guided(scenarios, plan, outcomes, threads, simulator, &watcher)
    } else {
        let ran = sweep::run_all(scenarios, plan, todo, threads, simulator, &watcher);
        outcomes.extend(ran);
        outcomes
    };
    watcher.bar.finish_and_clear();
    let unwritten = watcher
        .unwritten
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    match unwritten {
        Some(error) => Err(Failure::Input(format!("can't keep results: {error}"))),
        None => Ok(outcomes),
    }
}

fn bar(runs: u64) -> ProgressBar {
    // The bar is hidden if standard error is no terminal.
    let bar = ProgressBar::new(runs);
    let style = ProgressStyle::with_template(
        "{bar:30} {human_pos} of {human_len} runs, {per_sec}, {eta} left{msg}",
    );
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar
}

struct Watcher<'i> {
    bar: ProgressBar,
    failures: AtomicU64,
    interrupt: &'i Interrupt,
    /// Whether a result could not be written, which ends the sweep.
    is_over: AtomicBool,
    log: Mutex<Option<State>>,
    /// Why a result could not be written.
    unwritten: Mutex<Option<io::Error>>,
}

impl Watch for Watcher<'_> {
    fn finished(&self, outcome: &Outcome) {
        if outcome.failure.is_some() {
            let failures = self.failures.fetch_add(1, Ordering::Relaxed) + 1;
            self.bar.set_message(format!(", {failures} failed"));
        }
        self.bar.inc(1);
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Err(error)) = log.as_mut().map(|log| log.write(&results::line(outcome))) {
            *log = None;
            self.is_over.store(true, Ordering::Relaxed);
            let mut unwritten = self
                .unwritten
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            *unwritten = Some(error);
        }
    }

    fn is_over(&self) -> bool {
        self.interrupt.is_wanted() || self.is_over.load(Ordering::Relaxed)
    }
}

/// A result file that is appended to.
struct State(File);

impl State {
    /// Opens a result file to continue it, or begins one with the plan.
    fn open(file: &Path, plan: &Plan) -> Result<Self, Failure> {
        let unwritten =
            |error: io::Error| Failure::Input(format!("can't write {}: {error}", file.display()));
        let before = if file.exists() {
            files::read(file).map_err(unwritten)?
        } else {
            Vec::new()
        };
        let opened = OpenOptions::new().create(true).append(true).open(file);
        let mut state = Self(opened.map_err(unwritten)?);
        if before.is_empty() {
            state.write(&results::line(plan)).map_err(unwritten)?;
        } else if !before.ends_with(b"\n") {
            // A killed process may leave an incomplete last line, which is cut off. A line that
            // lacks only its line feed was read like any other, and its run is not made again.
            let whole = before
                .iter()
                .rposition(|byte| *byte == b'\n')
                .map_or(0, |at| at + 1);
            if results::is_whole(&before[whole..]) {
                state.write("").map_err(unwritten)?;
            } else {
                state.0.set_len(whole as u64).map_err(unwritten)?;
            }
        }
        Ok(state)
    }

    fn write(&mut self, line: &str) -> io::Result<()> {
        self.0.write_all(format!("{line}\n").as_bytes())
    }
}

/// The outcomes in a result file, which must be of the same sweep.
fn resumed(file: &Path, plan: &Plan) -> Result<Outcomes, Failure> {
    let (theirs, outcomes) = read(file)?;
    if theirs != *plan {
        return Err(Failure::Input(format!(
            "{} has results of another sweep: of other scenarios, seeds, flags or another version; name another file",
            file.display()
        )));
    }
    Ok(outcomes)
}

fn read(file: &Path) -> Result<(Plan, Outcomes), Failure> {
    let bad = |why: &dyn std::fmt::Display| Failure::Input(format!("{}: {why}", file.display()));
    let text = files::read_text(file).map_err(|error| bad(&error))?;
    results::read(&text).map_err(|error| bad(&error))
}

fn merge(files: &[PathBuf], how: &How) -> Result<Exit, Failure> {
    let mut merged: Option<(Plan, Outcomes)> = None;
    for file in files {
        let (plan, outcomes) = read(file)?;
        match &mut merged {
            None => merged = Some((plan, outcomes)),
            Some((first, all)) if *first == plan => all.extend(outcomes),
            Some(_) => {
                return Err(Failure::Input(format!(
                    "{} is of another sweep than {}: of other scenarios, seeds, flags or another version",
                    file.display(),
                    files[0].display()
                )));
            }
        }
    }
    outputs::check(&[("--html", how.html.as_deref())])?;
    let (plan, outcomes) = merged.ok_or_else(|| Failure::Input("there is no file".to_owned()))?;
    let mut report = Report::new(plan, outcomes);
    report.strict = how.strict;
    let exit = tell(&report, how)?;
    write_page(&report, how, &[])?;
    Ok(exit)
}

fn tell(report: &Report, how: &How) -> Result<Exit, Failure> {
    print(&if how.json {
        report.to_json()
    } else {
        painted(&report.to_text())
    })?;
    Ok(if report.groups.iter().any(|group| group.internal) {
        Exit::Internal
    } else if report.is_good() {
        Exit::Passed
    } else {
        Exit::Failed
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sweep::coverage::Coverage;

    const SHORT: &str = r#"
        title = "short"
        herd = "riley"
        steps = [{ at = "1s", client = "kiwi", to = "Riley", send = "hello" }]
    "#;

    #[test]
    fn what_was_read_of_a_file_that_was_cut_short_stays_in_it() {
        let (scenario, _) = Scenario::parse("short.toml", SHORT, None).unwrap();
        let plan = Plan::new(&[scenario], 0..2, false, false, false);
        let outcome = |run| Outcome {
            run,
            coverage: Coverage::default(),
            trail: None,
            failure: None,
        };
        let lines = [results::line(&plan), results::line(&outcome(0))].join("\n");
        let folder = tempfile::tempdir().unwrap();
        for cut in 0..=lines.len() {
            let file = folder.path().join(format!("{cut}.jsonl"));
            std::fs::write(&file, &lines[..cut]).unwrap();
            let Ok((_, before)) = results::read(&lines[..cut]) else {
                continue;
            };
            let mut state = State::open(&file, &plan).map_err(drop).unwrap();
            state.write(&results::line(&outcome(1))).unwrap();
            let text = std::fs::read_to_string(&file).unwrap();
            let (theirs, after) = results::read(&text).expect(&text);
            assert!(theirs == plan, "{text}");
            let runs: Vec<u64> = before.into_keys().chain([1]).collect();
            assert_eq!(after.into_keys().collect::<Vec<_>>(), runs, "{text}");
        }
    }
}

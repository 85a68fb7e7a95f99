//! `herd explore`: a scenario in every order in which its messages can arrive.

use std::io::{IsTerminal as _, Write as _};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::flags::server;
use super::interrupt::Interrupt;
use super::run_limit::Limited;
use super::threads::Threads;
use super::{Exit, Failure, at_least_one, outputs, pages, painted, print, warn};
use crate::explore::{self, Counts, Exploration, ExploreError, Options};
use crate::files::quoted;
use crate::power_cuts;
use crate::scenario::{Held, Scenario};
use crate::view::orders_page;

/// The maximum number of orders of which a page shows a tree.
const MOST_ORDERS: usize = 20_000;

/// Run a scenario in every order in which its messages can arrive
///
/// Once the herd is up, a message that carries updates is delivered only when the explorer chooses
/// it, and over all runs every possible choice is made. Steps of the same time are choices as well:
/// each is done at every possible moment after the step before it. Every message takes 1 ms and
/// steps have no times of their own, so a reply that names a skew, or that depends on a time, can
/// fail for that reason alone.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  herd explore scenarios/one-update.toml
  herd explore scenarios/one-update.toml --origin all
  herd explore scenarios/two-updates.toml --reduce --out found
  herd explore scenarios/one-update.toml --html orders.html
  herd explore scenarios/stories/power-cut-points.toml --power-cuts

Exit codes:
  0  everything passed in every order that was run
  1  something failed in one of them, or the work was interrupted
  2  the file or the command line is bad
  3  something inside failed, or a run was past --run-limit")]
pub(super) struct Args {
    /// The scenario file (.toml, .json)
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Send the first client to this server instead of the scenario's; `all` for each server in
    /// turn
    #[arg(long, value_name = "NAME|all")]
    origin: Option<String>,
    /// Let every step happen at any moment after the step before it, not only steps of the same
    /// time
    #[arg(long)]
    any_time: bool,
    /// Which messages wait to be chosen: `updates`, or `synchronisation`, those by which links
    /// synchronise, too
    #[arg(long, value_name = "KIND", default_value = "updates", value_parser = held)]
    held: Held,
    /// Run only one of all orders that differ in nothing but the order of independent events
    #[arg(long, conflicts_with_all = ["depth", "preemptions"])]
    reduce: bool,
    /// Vary only the first N choices; later events happen in the order in which they became
    /// possible
    #[arg(long, value_name = "N")]
    depth: Option<usize>,
    /// Let up to N choices differ from the order in which events became possible
    #[arg(long, value_name = "N")]
    preemptions: Option<usize>,
    /// Make up to N runs
    #[arg(long, value_name = "N", default_value_t = Options::default().budget, value_parser = at_least_one)]
    budget: usize,
    #[command(flatten)]
    cuts: super::power_cuts::Cuts,
    #[command(flatten)]
    threads: Threads,
    #[command(flatten)]
    limited: Limited,
    /// Write one failing order of each kind to this folder, as a scenario that replays it
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Print the result as JSON, an object for each exploration, instead of the report
    #[arg(long)]
    json: bool,
    /// Also write a page with the tree of orders to this file, in which equal subtrees appear once
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

fn held(text: &str) -> Result<Held, String> {
    let all = [Held::Updates, Held::Synchronisation];
    let found = all.into_iter().find(|held| held.word() == text);
    found.ok_or_else(|| "write `updates` or `synchronisation`".to_owned())
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let (scenario, warnings) = Scenario::load(&args.file)?;
    warn(&warnings);
    let origins = match args.origin.as_deref() {
        None => vec![None],
        Some("all") => scenario.herd.ids().map(Some).collect(),
        Some(name) => vec![Some(server(&scenario.herd, name)?)],
    };
    if args.cuts.power_cuts {
        return cut_power(&scenario, args);
    }
    outputs::check(&[("--html", args.html.as_deref())])?;
    outputs::check_folder(args.out.as_ref())?;
    let interrupt = Interrupt::watch()?;
    let mut explored: Vec<Exploration> = Vec::new();
    let mut origins = origins.into_iter();
    for origin in origins.by_ref() {
        let options = Options {
            reduce: args.reduce,
            depth: args.depth,
            preemptions: args.preemptions,
            budget: args.budget,
            threads: args.threads.count(),
            any_time: args.any_time,
            held: args.held,
            origin,
            keep: args.html.as_ref().map_or(0, |_| MOST_ORDERS),
            simulator: args.limited.until(&interrupt),
        };
        let exploration = explore_one(&scenario, &options, &interrupt)?;
        if args.json {
            let json = serde_json::to_string(&exploration);
            let json = json.map_err(|error| Failure::Internal(error.to_string()))?;
            print(&(json + "\n"))?;
        } else {
            let gap = if explored.is_empty() { "" } else { "\n\n" };
            print(&painted(&format!("{gap}{}", explore::text(&exploration))))?;
        }
        if let Some(folder) = &args.out {
            write_orders(folder, &scenario, &exploration)?;
        }
        explored.push(exploration);
        if interrupt.is_wanted() {
            break;
        }
    }
    if explored.len() > 1 && !args.json {
        let lines: Vec<String> = explored.iter().map(explore::verdict).collect();
        print(&painted(&format!("\n{}\n", lines.join("\n"))))?;
    }
    let not_begun: Vec<&str> = (origins.flatten())
        .map(|id| &*scenario.herd.server(id).name)
        .collect();
    if !not_begun.is_empty() {
        print(&painted(&if args.json {
            format!(
                "{}\n",
                serde_json::json!({ "partial": true, "not_begun": not_begun })
            )
        } else {
            format!("PARTIAL, not begun from {}\n", not_begun.join(", "))
        }))?;
    }
    if let Some(file) = &args.html {
        pages::write(file, &orders_page(&explored))?;
    }
    let good = |exploration: &Exploration| {
        !exploration.is_broken() && exploration.counts.orders > 0 && !exploration.counts.interrupted
    };
    Ok(if explored.iter().all(good) && not_begun.is_empty() {
        Exit::Passed
    } else {
        Exit::Failed
    })
}

/// Cuts the power instead of ordering messages.
fn cut_power(scenario: &Scenario, args: &Args) -> Result<Exit, Failure> {
    outputs::check_folder(args.out.as_ref())?;
    let interrupt = Interrupt::watch()?;
    let options = power_cuts::Options {
        draws: args.cuts.draws,
        threads: args.threads.count(),
        simulator: args.limited.until(&interrupt),
    };
    let output = super::power_cuts::Output {
        json: args.json,
        out: args.out.as_deref(),
    };
    super::power_cuts::run(scenario, &options, &interrupt, &output)
}

/// Writes the failing orders of an exploration, and prints how to replay each.
fn write_orders(
    folder: &Path,
    scenario: &Scenario,
    exploration: &Exploration,
) -> Result<(), Failure> {
    for (number, broken) in (1..).zip(&exploration.broken) {
        let origin = exploration.origin.as_ref();
        let origin = origin.map_or(String::new(), |name| format!("-from-{name}"));
        let file = folder.join(format!(
            "{}{origin}-order-{number}.toml",
            exploration.scenario
        ));
        outputs::write(&file, &broken.scenario.to_toml_in_layout_of(scenario))?;
        let file = quoted(&file.display().to_string());
        let _ = writeln!(anstream::stderr(), "replay it: herd run {file}");
    }
    Ok(())
}

fn explore_one(
    scenario: &Scenario,
    options: &Options,
    interrupt: &Interrupt,
) -> Result<Exploration, Failure> {
    let progress = std::io::stderr().is_terminal();
    let mut told: usize = 0;
    let watch = |counts: &Counts| {
        told += 1;
        // Every eighth batch is often enough for a reader.
        if progress && told.is_multiple_of(8) {
            let (orders, open) = (counts.orders, counts.open);
            let _ = write!(
                std::io::stderr(),
                "\r\x1b[K{orders} orders, {open} beginnings open"
            );
        }
        if interrupt.is_wanted() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    let explored = explore::explore_watched(scenario, options, watch);
    if progress && told >= 8 {
        let _ = write!(std::io::stderr(), "\r\x1b[K");
    }
    explored.map_err(|error| match error {
        ExploreError::Unfit(problems) => Failure::Problems(problems),
        error => Failure::Internal(format!("{}: {error}", scenario.path())),
    })
}

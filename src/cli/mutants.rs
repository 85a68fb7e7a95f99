//! `herd mutants`: tests whether the searches find planted bugs. Only with the feature `mutants`.

use std::io::{IsTerminal as _, Write as _};
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::run_limit::Limited;
use super::scenarios::scenarios;
use super::threads::Threads;
use super::{Exit, Failure, outputs, painted, print};
use crate::herd::Herd;
use crate::mutants::hunt::{Finder, Ground, hunt};
use crate::mutants::{Mutant, Row, text, to_json};
use crate::parallel::in_order;

/// The scenarios for `explore` by default. Each has few orders, or shows mistakes in orders close
/// to the usual one, which run first.
const EXPLORED: [&str; 6] = [
    "scenarios/one-update.toml",
    "scenarios/two-updates.toml",
    "scenarios/crash-in-a-flood.toml",
    "scenarios/a-nanosecond-apart.toml",
    "scenarios/juzang-comes-back.toml",
    "scenarios/faults/sever.toml",
];

/// The scenarios for `sweep`.
const SWEPT: [&str; 3] = [
    "scenarios/stories/chaos-coarse.toml",
    "scenarios/stories/two-connections.toml",
    "scenarios/stories/chaos-disks.toml",
];

/// Plant bugs in the server, and report which search finds them
///
/// Each mutant is the real server with one mistake, which all servers of a herd make. `run` runs
/// scenarios until one fails, `explore` runs some of them in every order, `survey` every small
/// failure set of a herd, and `sweep` a scenario with many seeds. The runs that fail are shrunk.
/// The exit code says whether each mutant was found by at least one search. All searches also run
/// on the true server, in which they must find nothing.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  herd mutants
  herd mutants no-tie-break float-times
  herd run --mutant no-tie-break tests/mutants/no-tie-break.toml

Exit codes:
  0  each mutant was found by somebody, and nothing wrong with the true server
  1  one was not, or there was
  2  a file or the command line is bad")]
pub(super) struct Args {
    /// Search only for these mutants
    #[arg(value_name = "MUTANT")]
    mutants: Vec<String>,
    /// The scenarios for `run`, files or folders of them
    #[arg(long, value_name = "FILE|DIR", default_value = "scenarios")]
    scenarios: Vec<PathBuf>,
    /// The scenarios for `explore`
    #[arg(long, value_name = "FILE", default_values = EXPLORED)]
    explored: Vec<PathBuf>,
    /// Explore up to this number of orders of each scenario
    #[arg(long, value_name = "N", default_value_t = 100)]
    orders: usize,
    /// The herds for `survey`, with every set of up to one dead server and up to one cut link
    #[arg(long, value_name = "NAME", default_values = ["riley"])]
    surveyed: Vec<String>,
    /// The scenarios for `sweep`
    #[arg(
        long,
        value_name = "FILE",
        default_values = SWEPT
    )]
    swept: Vec<PathBuf>,
    /// Sweep up to this number of seeds of each scenario
    #[arg(long, value_name = "N", default_value_t = 100)]
    seeds: u64,
    /// Sweep as `herd sweep --plain` does: all kinds of faults, and tasks in their own order
    #[arg(long)]
    plain: bool,
    /// Write the shrunk failure of each mutant into this folder
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    threads: Threads,
    #[command(flatten)]
    limited: Limited,
    /// Print one JSON object for each mutant instead of the table
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let mutants = mutants(&args.mutants)?;
    outputs::check_folder(args.out.as_ref())?;
    // The true server takes longest, since no search ends early, so it begins first.
    let subjects: Vec<Option<Mutant>> = [None]
        .into_iter()
        .chain(mutants.into_iter().map(Some))
        .collect();
    let ground = Ground {
        scenarios: scenarios(&args.scenarios)?,
        explored: scenarios(&args.explored)?,
        orders: args.orders,
        swept: scenarios(&args.swept)?,
        seeds: args.seeds,
        plain: args.plain,
        simulator: args.limited.simulator(),
        surveyed: args
            .surveyed
            .iter()
            .map(|name| herd(name))
            .collect::<Result<_, _>>()?,
    };
    let rows = hunt_all(&subjects, &ground, args.threads.count());
    if let Some(folder) = &args.out {
        write_small(folder, &rows)?;
    }
    print(&if args.json {
        to_json(&rows)
    } else {
        painted(&text(&rows))
    })?;
    let all_right = rows.iter().all(Row::is_right);
    Ok(if all_right {
        Exit::Passed
    } else {
        Exit::Failed
    })
}

/// Each thread takes one mutant after the other.
fn hunt_all(subjects: &[Option<Mutant>], ground: &Ground, threads: NonZeroUsize) -> Vec<Row> {
    let mut rows = Vec::new();
    let row = |at: usize| {
        let subject = subjects[at];
        let hunts = Finder::ALL.map(|finder| hunt(subject, finder, ground));
        Row::new(subject, hunts.to_vec())
    };
    in_order(threads.get(), subjects.len(), row, |at, row| {
        tell(at, &row);
        rows.push(row);
        ControlFlow::Continue(())
    });
    rows
}

/// Shows on a terminal which mutant's searches are finished.
fn tell(at: usize, row: &Row) {
    let mut stderr = std::io::stderr().lock();
    if stderr.is_terminal() {
        let came = if row.is_found() { "found" } else { "not found" };
        let _ = writeln!(stderr, "{:>3}  {} {came}", at + 1, row.name);
    }
}

fn mutants(names: &[String]) -> Result<Vec<Mutant>, Failure> {
    if names.is_empty() {
        return Ok(Mutant::ALL.to_vec());
    }
    let mutants = names.iter().map(|name| named(name));
    mutants.collect()
}

fn write_small(folder: &Path, rows: &[Row]) -> Result<(), Failure> {
    for row in rows {
        if let Some(small) = &row.small {
            let file = folder.join(format!("{}.toml", row.name));
            outputs::write(&file, &small.file)?;
        }
    }
    Ok(())
}

/// The built-in herd with this name.
fn herd(name: &str) -> Result<Herd, Failure> {
    let unknown = || {
        Failure::Input(format!(
            "no herd `{name}` is built in; `herd herds` lists them"
        ))
    };
    Herd::builtin(name).ok_or_else(unknown)
}

/// The mutant with this name.
pub(super) fn named(name: &str) -> Result<Mutant, Failure> {
    let mutant = name.parse::<Mutant>();
    mutant.map_err(|error| Failure::Input(error.to_string()))
}

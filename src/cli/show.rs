//! `herd show`: prints the report of a written trace, as the run itself printed it.

use std::path::PathBuf;

use super::{Exit, Failure, painted, print};
use crate::files;
use crate::report::{self, Detail};
use crate::trace::Trace;

/// Print the reports of traces that `herd run --json` or `--trace` wrote
///
/// Nothing is run again. The exit code is that of the runs.
#[derive(clap::Args)]
#[command(after_help = "\
Example:
  herd run --quiet --trace trace.jsonl scenarios/juzang-goes-down.toml
  herd show trace.jsonl")]
pub(super) struct Args {
    /// The file with the traces
    file: PathBuf,
    /// Print every event, heartbeats included
    #[arg(long)]
    all: bool,
    /// Print only the order in which updates spread, with times, in the form of snapshots
    #[arg(long, conflicts_with = "all")]
    spread: bool,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let file = args.file.display();
    let text = files::read_text(&args.file);
    let text = text.map_err(|error| Failure::Input(format!("can't read {file}: {error}")))?;
    let traces = Trace::from_json_lines(&text);
    let traces = traces.map_err(|error| Failure::Input(format!("{file}: {error}")))?;
    let mut exit = Exit::Passed;
    for (index, trace) in traces.iter().enumerate() {
        if index > 0 {
            print("\n\n")?;
        }
        print(&painted(&match (args.spread, args.all) {
            (true, _) => report::snapshot_with_times(trace),
            (false, true) => report::text(trace, Detail::Everything),
            (false, false) => report::text(trace, Detail::Story),
        }))?;
        if trace.verdict().failed > 0 {
            exit = Exit::Failed;
        }
    }
    Ok(exit)
}

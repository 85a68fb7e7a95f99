//! `herd hops`: from which server to which in how many hops.

use std::time::Duration;

use super::progress::Progress;
use super::shaped::{self, WhichHerd};
use super::{Exit, Failure, flags, painted, print};
use crate::herd::{Herd, ServerId};
use crate::model::{Latency, Without};
use crate::survey::{self, Measure};
use crate::units::LatencyRange;

/// Measure in how many hops updates reach each server, beside the shortest ways there are
///
/// The servers' own decisions run on a queue of events without a network, so thousands of servers
/// take seconds. Up to 20 servers, every origin is measured and shown by itself.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  herd hops
  herd hops --herd hill --without Smith,Hill-Jaquez
  herd hops --servers 5000 --shape random:6
  herd hops --servers 100 --shape small-world:4,0.1 --latency 5ms..80ms --csv

Exit codes:
  0  every server in reach is reached, by the shortest way
  1  one is not
  2  the command line or the herd's file is bad
  3  something inside failed")]
pub(super) struct Args {
    #[command(flatten)]
    which: WhichHerd,
    /// Servers that don't run and links that carry nothing, with commas between them
    #[arg(long, value_name = "NAME|LINK,…")]
    without: Option<String>,
    /// How long a message takes on each link: one for all, or a range by which each link has its own
    #[arg(long, value_name = "RANGE", default_value = "20ms", value_parser = latency)]
    latency: LatencyRange,
    /// What links' latencies follow from, if they are drawn
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Only from this server
    #[arg(long, value_name = "SERVER", conflicts_with = "origins")]
    from: Option<String>,
    /// From so many servers, evenly spread over the herd's list [default: all up to 20, else 10]
    #[arg(long, value_name = "N")]
    origins: Option<usize>,
    /// Print JSON
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// Print a row of CSV for each origin and server
    #[arg(long)]
    csv: bool,
}

fn latency(text: &str) -> Result<LatencyRange, String> {
    let range: LatencyRange = text.parse().map_err(|error| format!("{error}"))?;
    if range.least == Duration::ZERO {
        return Err("a message takes some time".to_owned());
    }
    Ok(range)
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let (herd, _) = args.which.load()?;
    let without = shaped::without(&herd, args.without.as_deref())?;
    let origins = origins(args, &herd, &without)?;
    let progress = Progress::new("origins", origins.len());
    let measure = Measure {
        herd: &herd,
        without,
        latency: Latency {
            range: args.latency,
            seed: args.seed,
        },
        origins,
    };
    let hops = survey::hops(&measure, |done| progress.show(done));
    drop(progress);
    let hops = hops.map_err(|error| Failure::Failed(error.to_string()))?;
    print(&match (args.json, args.csv) {
        (true, _) => hops.to_json(),
        (_, true) => hops.to_csv(),
        _ => painted(&hops.to_text()),
    })?;
    Ok(if hops.held() {
        Exit::Held
    } else {
        Exit::Broken
    })
}

/// From where updates are sent: servers that run.
fn origins(args: &Args, herd: &Herd, without: &Without) -> Result<Vec<ServerId>, Failure> {
    if let Some(name) = &args.from {
        let from = flags::server(herd, name)?;
        return if without.is_alive(from) {
            Ok(vec![from])
        } else {
            Err(Failure::Input(format!(
                "no update comes from {name}, which doesn't run"
            )))
        };
    }
    let running: Vec<ServerId> = herd.ids().filter(|id| without.is_alive(*id)).collect();
    let usual = if herd.servers().len() <= 20 { 20 } else { 10 };
    let wanted = args.origins.unwrap_or(usual);
    if wanted == 0 {
        return Err(Failure::Input(
            "from no origin there is nothing to measure: `--origins` is at least 1".to_owned(),
        ));
    }
    let wanted = wanted.min(running.len());
    let spread = (0..wanted).map(|nth| running[nth * running.len() / wanted]);
    Ok(spread.collect())
}

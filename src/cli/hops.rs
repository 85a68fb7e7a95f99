//! `herd hops`: from which server to which in how many hops.

use std::time::Duration;

use super::progress::Progress;
use super::shaped::{self, WhichHerd};
use super::{Exit, Failure, flags, painted, print};
use crate::herd::{Herd, ServerId};
use crate::model::{Latency, Without};
use crate::sim::Simulator;
use crate::survey::{self, Engine, Measure};
use crate::units::LatencyRange;

/// Herds up to this size are measured in the simulator, from every server.
const SMALL: usize = 20;

/// Measure in how many hops updates reach each server, against the shortest paths
///
/// Up to 20 servers run in the simulator, and every origin and server is shown by itself. Of larger herds, and of links
/// that differ, only the servers' decisions run, on a queue of events without a network: thousands of
/// servers take seconds.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  herd hops
  herd hops --herd hill --without Smith,Hill-Jaquez
  herd hops --servers 5000 --shape random:6
  herd hops --servers 100 --shape small-world:4,0.1 --latency 5ms..80ms --csv

Exit codes:
  0  every reachable server received every update over a best path
  1  some reachable server did not
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
    /// The seed from which links' latencies are drawn
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Send only from this server
    #[arg(long, value_name = "SERVER", conflicts_with = "origins")]
    from: Option<String>,
    /// Send from this number of servers, evenly spread over the herd's list [default: all up to 20, else 10]
    #[arg(long, value_name = "N")]
    origins: Option<usize>,
    /// Use only the servers' decisions, whatever the size
    #[arg(long)]
    model: bool,
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
        engine: engine(args, &herd),
        simulator: Simulator::default(),
    };
    let hops = survey::hops(&measure, |done| progress.show(done));
    drop(progress);
    print(&match (args.json, args.csv) {
        (true, _) => hops.to_json(),
        (_, true) => hops.to_csv(),
        _ => painted(&hops.to_text()),
    })?;
    Ok(if hops.held() {
        Exit::Passed
    } else {
        Exit::Failed
    })
}

/// What the servers run on: the simulator, if that can do it and a user would wait for it.
fn engine(args: &Args, herd: &Herd) -> Engine {
    let LatencyRange { least, most } = args.latency;
    let ticks = least.as_nanos().is_multiple_of(1_000_000) && least <= Duration::from_secs(1);
    if args.model || herd.servers().len() > SMALL || least != most || !ticks {
        Engine::Model
    } else {
        Engine::Simulator
    }
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
    let usual = if herd.servers().len() <= SMALL {
        SMALL
    } else {
        10
    };
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

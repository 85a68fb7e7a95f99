//! `herd hops`: measures the hops of updates between servers.

use std::time::Duration;

use super::progress::Progress;
use super::shaped::{self, WhichHerd};
use super::{Exit, Failure, flags, painted, print};
use crate::herd::{Herd, ServerId};
use crate::model::{Latency, Without};
use crate::sim::Simulator;
use crate::survey::{self, Engine, Measure};
use crate::units::LatencyRange;

/// The maximum size of herds that are measured from every server.
const SMALL: usize = 20;

/// The maximum size of herds that the simulator measures, which takes some seconds of a core.
const SIMULATED: usize = 200;

/// Measure in how many hops updates reach each server, against the shortest paths
///
/// Herds of up to 200 servers run in the simulator, and of up to 20 each origin and server is shown
/// by itself. For larger herds, and for links with different latencies, only the servers' decisions
/// run, on a queue of events without a network: thousands of servers take seconds.
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
    /// Measure without these servers, which don't run, and links, which carry nothing
    #[arg(long, value_name = "NAME|LINK,…")]
    without: Option<String>,
    /// The latency of links: one for all, or a range from which each link's own is drawn
    #[arg(long, value_name = "RANGE", default_value = "20ms", value_parser = latency)]
    latency: LatencyRange,
    /// The seed from which links' latencies are drawn
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Send updates only from this server
    #[arg(long, value_name = "SERVER", conflicts_with = "origins")]
    from: Option<String>,
    /// Send updates from this number of servers, evenly spread over the herd's list [default: all
    /// up to 20, else 10]
    #[arg(long, value_name = "N")]
    origins: Option<usize>,
    /// Run only the servers' decisions, whatever the size of the herd
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

/// The engine: the simulator if it supports the latencies and the herd is small enough not to be
/// slow.
fn engine(args: &Args, herd: &Herd) -> Engine {
    let LatencyRange { least, most } = args.latency;
    let ticks = least.as_nanos().is_multiple_of(1_000_000) && least <= Duration::from_secs(1);
    if args.model || herd.servers().len() > SIMULATED || least != most || !ticks {
        Engine::Model
    } else {
        Engine::Simulator
    }
}

/// The servers from which updates are sent. All of them run.
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

//! `herd survey`: how updates spread in every failure set.

use std::path::PathBuf;

use super::interrupt::Interrupt;
use super::progress::Progress;
use super::shaped::WhichHerd;
use super::threads::Threads;
use super::{Exit, Failure, outputs, pages, painted, print};
use crate::survey::{self, Engine, Options};
use crate::view::heat_map;

/// Survey every set of dead servers and cut links, from every server that runs
///
/// Reports which servers are reached, in how many hops and messages against the shortest paths that
/// remain, which failures partition the herd, and what each further link would improve. Servers and
/// links fail before any link is up. Ctrl-C ends the survey with a report of the failure sets done
/// so far.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  herd survey
  herd survey --herd hill --all
  herd survey --shape ring:8 --dead 2 --cut 1
  herd survey --herd hill --all --model --csv
  herd survey --html survey.html

Exit codes:
  0  in every set, every reachable server received every update over a best path
  1  there are deviations from the graph, or not every set was surveyed
  2  the command line or the herd's file is bad
  3  something inside failed")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
pub(super) struct Args {
    #[command(flatten)]
    which: WhichHerd,
    /// Survey sets of up to this number of dead servers
    #[arg(long, value_name = "N", default_value_t = 1)]
    dead: usize,
    /// Survey sets of up to this number of cut links
    #[arg(long, value_name = "N", default_value_t = 1)]
    cut: usize,
    /// Survey every set of servers and links
    #[arg(long, conflicts_with_all = ["dead", "cut"])]
    all: bool,
    /// Run only the servers' decisions, without a network: much faster, but it leaves out
    /// connections and timers
    #[arg(long)]
    model: bool,
    #[command(flatten)]
    threads: Threads,
    /// Print JSON
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// Print a row of CSV for each failure set, origin and server
    #[arg(long)]
    csv: bool,
    /// Also write a page to this file, with a heat map of failure sets by origins
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let (herd, reference) = args.which.load()?;
    outputs::check(&[("--html", args.html.as_deref())])?;
    let (dead, cut) = if args.all {
        (herd.servers().len(), herd.links().len())
    } else {
        (args.dead, args.cut)
    };
    let interrupt = Interrupt::watch()?;
    let progress = Progress::new("failure sets", survey::number_of_sets(&herd, dead, cut));
    let surveyed = survey::survey(
        &herd,
        &Options {
            dead,
            cut,
            engine: if args.model {
                Engine::Model
            } else {
                Engine::Simulator
            },
            threads: args.threads.count().get(),
            stop: Some(&|| interrupt.is_wanted()),
            progress: Some(&|done| progress.show(done)),
            ..Options::default()
        },
    );
    drop(progress);
    let survey = surveyed.map_err(|error| Failure::Input(error.to_string()))?;
    print(&match (args.json, args.csv) {
        (true, _) => survey.to_json(),
        (_, true) => survey.to_csv(),
        _ => painted(&survey.to_text()),
    })?;
    if let Some(first) = survey.exceptions.first()
        && !args.json
        && !args.csv
    {
        let again = survey.sets.iter().find(|set| set.words() == first.set);
        let missing: Vec<&str> = (again.iter())
            .flat_map(|set| set.dead.iter().chain(&set.cut))
            .map(String::as_str)
            .collect();
        let without = if missing.is_empty() {
            String::new()
        } else {
            format!(" --without {}", missing.join(","))
        };
        let model = if args.model { " --model" } else { "" };
        print(&format!(
            "the first one again: herd hops --herd {reference}{without}{model}\n"
        ))?;
    }
    if let Some(file) = &args.html {
        pages::write(file, &heat_map(&survey))?;
    }
    if survey.is_partial() {
        let mut stderr = anstream::stderr().lock();
        let (done, all) = (survey.sets.len(), survey.all);
        let _ = std::io::Write::write_fmt(
            &mut stderr,
            format_args!("stopped: {done} of {all} failure sets were surveyed\n"),
        );
    }
    Ok(if survey.held() {
        Exit::Passed
    } else {
        Exit::Failed
    })
}

//! `herd diff`: compares two runs.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::run_limit::Limited;
use super::{Exit, Failure, painted, print, warn};
use crate::diff::{self, Diff};
use crate::files;
use crate::scenario::Scenario;
use crate::sim::Simulator;
use crate::trace::Trace;

/// Report what changed from one run to another
///
/// Compares events, not text: the path, hops, delay and messages of each update, the answers to
/// clients, the faults, the expectations that passed, the states of links, and the records that
/// servers hold at the end. Each side is a trace that `herd run --json` or `--trace` wrote, or a
/// scenario, which is run now. A scenario that is compared with a trace runs with the seed,
/// `--swarm`, `--shuffle` and `--world` of the trace.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  herd diff old.jsonl new.jsonl
  herd diff scenarios/jittery-links.toml --seeds 1,2
  herd diff old.jsonl scenarios/burst.toml   # a trace of an older build and this build

Exit codes:
  0  the same came of both
  1  something is different
  2  a file or the command line is bad
  3  something inside failed: a panic, two runs of the same that differ, or one past --run-limit")]
pub(super) struct Args {
    /// The first run: a trace, or a scenario
    #[arg(value_name = "A")]
    a: PathBuf,
    /// The second run: a trace, or a scenario
    #[arg(
        value_name = "B",
        required_unless_present = "seeds",
        conflicts_with = "seeds"
    )]
    b: Option<PathBuf>,
    /// Run the scenario A with these two seeds and compare both
    #[arg(long, value_name = "N,N", value_delimiter = ',', num_args = 1)]
    seeds: Vec<u64>,
    /// Print the difference as JSON, one object for each pair of runs
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    limited: Limited,
}

/// One side of the comparison.
enum Input {
    Traces(Vec<Trace>),
    Scenario(Box<Scenario>),
}

#[derive(Serialize)]
struct Printed<'a> {
    same: bool,
    #[serde(flatten)]
    diff: &'a Diff,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let mut exit = Exit::Passed;
    for (index, (a, b)) in pairs(args)?.iter().enumerate() {
        let diff = diff::compare(a, b);
        let same = diff.is_same();
        if args.json {
            let printed = Printed { same, diff: &diff };
            let json = serde_json::to_string(&printed);
            let json = json.map_err(|error| Failure::Internal(error.to_string()))?;
            print(&format!("{json}\n"))?;
        } else {
            if index > 0 {
                print("\n\n")?;
            }
            print(&painted(&diff::text(&diff)))?;
        }
        if !same {
            exit = Exit::Failed;
        }
    }
    Ok(exit)
}

fn pairs(args: &Args) -> Result<Vec<(Trace, Trace)>, Failure> {
    let a = read(&args.a)?;
    let Some(file) = &args.b else {
        return Ok(vec![seeds(args, a)?]);
    };
    let name = |file: &Path| file.display().to_string();
    match (a, read(file)?) {
        (Input::Traces(a), Input::Traces(b)) => {
            matched([&args.a, file].map(|file| name(file)), a, b)
        }
        (Input::Scenario(a), Input::Scenario(b)) => {
            Ok(vec![(execute(&a, args)?, execute(&b, args)?)])
        }
        (Input::Scenario(scenario), Input::Traces(traces)) => {
            let pairs = beside(&scenario, &name(file), traces, args)?.into_iter();
            Ok(pairs.map(|(trace, ran)| (ran, trace)).collect())
        }
        (Input::Traces(traces), Input::Scenario(scenario)) => {
            beside(&scenario, &name(&args.a), traces, args)
        }
    }
}

fn read(file: &Path) -> Result<Input, Failure> {
    let name = file.display();
    let text = files::read_text(&Scenario::file_of(file));
    let text = text.map_err(|error| Failure::Input(format!("can't read {name}: {error}")))?;
    if super::view::is_trace(file, text.as_bytes()) {
        let traces = Trace::from_json_lines(&text);
        let traces = traces.map_err(|error| Failure::Input(format!("{name}: {error}")))?;
        return Ok(Input::Traces(traces));
    }
    let (scenario, warnings) = Scenario::load(file)?;
    warn(&warnings);
    Ok(Input::Scenario(Box::new(scenario)))
}

/// Runs one scenario with two seeds.
fn seeds(args: &Args, given: Input) -> Result<(Trace, Trace), Failure> {
    let Input::Scenario(scenario) = given else {
        let file = args.a.display();
        return Err(Failure::Input(format!(
            "--seeds runs a scenario, and {file} is a trace: name the scenario that it is of"
        )));
    };
    let [a, b] = args.seeds[..] else {
        let count = args.seeds.len();
        return Err(Failure::Input(format!(
            "--seeds takes two seeds, such as `--seeds 1,2`, and not {count}"
        )));
    };
    let a = execute(&scenario.clone().with_seed(a), args)?;
    Ok((a, execute(&scenario.with_seed(b), args)?))
}

/// Pairs each trace of the scenario with a run of the scenario under the same seed. A file with a
/// single trace is compared even if its scenario has another name.
fn beside(
    scenario: &Scenario,
    file: &str,
    traces: Vec<Trace>,
    args: &Args,
) -> Result<Vec<(Trace, Trace)>, Failure> {
    let of_it = |trace: &Trace| trace.header.scenario == scenario.name;
    let single = traces.len() == 1;
    let (traces, others): (Vec<Trace>, Vec<Trace>) =
        traces.into_iter().partition(|trace| single || of_it(trace));
    if !traces.is_empty() && !others.is_empty() {
        let names: Vec<&str> = others.iter().map(|trace| &*trace.header.scenario).collect();
        let _ = writeln!(
            anstream::stderr(),
            "note: of {file} only what ran `{}` is compared, and not {}",
            scenario.name,
            names.join(", ")
        );
    }
    if traces.is_empty() {
        return Err(Failure::Input(format!(
            "no run in {file} is one of the scenario `{}`",
            scenario.name
        )));
    }
    let pairs = traces.into_iter().map(|trace| {
        let again = scenario.clone().with_seed(trace.header.seed.clone());
        let again = if trace.header.swarm {
            again.swarmed()
        } else {
            again
        };
        let again = Scenario {
            shuffle: again.shuffle || trace.header.shuffle,
            ..again
        };
        // A trace says what it ran in, and its scenario runs in that again.
        let world = trace.header.world.parse();
        let simulator = Simulator {
            world: world.unwrap_or(args.limited.world()),
            ..args.limited.simulator()
        };
        let ran = execute_in(&simulator, &again)?;
        Ok((trace, ran))
    });
    pairs.collect()
}

/// Pairs the runs of two files. Two single runs are paired in any case. Otherwise both files must
/// have the same scenarios, in any order, and runs of a scenario with equal seeds are paired first.
fn matched(
    [file_a, file_b]: [String; 2],
    a: Vec<Trace>,
    mut b: Vec<Trace>,
) -> Result<Vec<(Trace, Trace)>, Failure> {
    let names = |traces: &[Trace]| {
        let names = traces.iter().map(|trace| trace.header.scenario.clone());
        names.collect::<Vec<_>>()
    };
    let mut sorted = [names(&a), names(&b)];
    for names in &mut sorted {
        names.sort_unstable();
    }
    if (a.len(), b.len()) != (1, 1) && sorted[0] != sorted[1] {
        let [a, b] = [&a, &b].map(|traces| names(traces).join(", "));
        return Err(Failure::Input(format!(
            "the files have runs of other scenarios, so it is not known which to compare\n  {file_a}: {a}\n  {file_b}: {b}"
        )));
    }
    let mut pairs = Vec::new();
    for a in a {
        let scenario = |b: &Trace| b.header.scenario == a.header.scenario;
        let seed = |b: &Trace| b.header.seed == a.header.seed;
        let same = b.iter().position(|b| scenario(b) && seed(b));
        let like = || b.iter().position(scenario);
        // Only two single runs can have different scenarios here.
        let at = same.or_else(like).unwrap_or_default();
        pairs.push((a, b.remove(at)));
    }
    Ok(pairs)
}

fn execute(scenario: &Scenario, args: &Args) -> Result<Trace, Failure> {
    execute_in(&args.limited.simulator(), scenario)
}

fn execute_in(simulator: &Simulator, scenario: &Scenario) -> Result<Trace, Failure> {
    let ran = simulator.run(scenario);
    ran.map_err(|error| Failure::of_run(&scenario.path(), &error))
}

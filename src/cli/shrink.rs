//! `herd shrink`: a run that fails, made small.

use std::fs;
use std::path::{Path, PathBuf};

use super::run::load_all;
use super::{Exit, Failure, print};
use crate::scenario::Scenario;
use crate::shrink::{Limits, ShrinkError, Shrunk, shrink};
use crate::sweep::report::Group;

/// Make a run that fails small: the same failure by the fewest steps
///
/// Leaves out steps, servers and clients and moves what is left together, as long as it fails in the same way, and writes what remains
/// as a scenario that can be run, read and kept.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  herd shrink --swarm --seed 17 scenarios/stories/chaos-coarse.toml
  herd shrink broken.toml -o small.toml

Exit codes:
  0  it was made small
  1  nothing is broken in the run
  2  a file or the command line is bad
  3  something inside failed")]
pub(super) struct Args {
    /// The scenario (.toml, .json)
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Run with this seed instead of the scenario's
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// With the faults that the seed chooses, as `herd sweep` does
    #[arg(long)]
    swarm: bool,
    /// Where to write the small scenario [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Try so many runs at most
    #[arg(long, value_name = "N", default_value_t = Limits::default().runs)]
    runs: usize,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let mut scenarios = load_all(std::slice::from_ref(&args.file))?;
    let Some(mut scenario) = scenarios.pop() else {
        return Err(Failure::Input("there is no scenario".to_owned()));
    };
    if let Some(seed) = args.seed {
        scenario = scenario.with_seed(seed);
    }
    if args.swarm {
        scenario = scenario.swarmed();
    }
    let shrunk = small(&scenario, Limits { runs: args.runs })?;
    match &args.output {
        None => print(&shrunk.file("FILE"))?,
        Some(file) => {
            write(file, &shrunk)?;
            print(&said(file, &shrunk))?;
        }
    }
    Ok(Exit::Held)
}

/// Makes the first failure of a group small and writes it into a folder, as a file that is called after the way in which it fails.
/// What comes of it is the file and what is in it; nothing if it can't be made small.
pub(super) fn write_shrunk(
    failing: &Scenario,
    folder: &Path,
    group: &Group,
) -> Result<Option<(PathBuf, String)>, Failure> {
    fs::create_dir_all(folder)
        .map_err(|error| Failure::Input(format!("can't make {}: {error}", folder.display())))?;
    let shrunk = match small(failing, Limits::default()) {
        Ok(shrunk) => shrunk,
        // What can't be made small is told, and the others are made small all the same.
        Err(failure) => {
            print(&format!("{}: {failure}\n", group.fingerprint))?;
            return Ok(None);
        }
    };
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() {
            c.to_ascii_lowercase()
        } else {
            '-'
        }
    };
    let name: String = group.fingerprint.to_string().chars().map(plain).collect();
    let words: Vec<&str> = name.split('-').filter(|word| !word.is_empty()).collect();
    let file = folder.join(format!("{}.toml", words.join("-")));
    let text = write(&file, &shrunk)?;
    print(&said(&file, &shrunk))?;
    Ok(Some((file, text)))
}

fn small(scenario: &Scenario, limits: Limits) -> Result<Shrunk, Failure> {
    shrink(scenario, limits).map_err(|error| match error {
        ShrinkError::Held => Failure::Failed(format!("{}: {error}", scenario.source.name)),
        ShrinkError::Sim(_) | ShrinkError::Lost(_) => Failure::Internal(error.to_string()),
    })
}

fn write(file: &Path, shrunk: &Shrunk) -> Result<String, Failure> {
    let text = shrunk.file(&file.display().to_string());
    let written = fs::write(file, &text);
    written.map_err(|error| Failure::Input(format!("can't write {}: {error}", file.display())))?;
    Ok(text)
}

fn said(file: &Path, shrunk: &Shrunk) -> String {
    format!(
        "{}: {} of {} steps, {} of them left, after {} runs\n",
        file.display(),
        shrunk.fingerprint,
        shrunk.before,
        shrunk.scenario.steps.len(),
        shrunk.runs
    )
}

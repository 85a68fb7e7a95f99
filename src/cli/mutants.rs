//! `herd mutants`: whether what looks for bugs finds some. Only with the feature `mutants`.

use std::path::PathBuf;

use super::{Exit, Failure, painted, print};
use crate::mutants::hunt::{Finder, Ground};
use crate::mutants::{Mutant, Row, text, to_json};

/// Break the server in many ways, and see what finds it
///
/// Each mutant is the real server with one mistake in it. `run` plays scenarios until one is broken. The
/// exit code says whether each mutant was found by anybody.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  herd mutants
  herd mutants no-tie-break float-times

Exit codes:
  0  each mutant was found by somebody
  1  one was not
  2  a file or the command line is bad")]
pub(super) struct Args {
    /// Only these mutants
    #[arg(value_name = "MUTANT")]
    mutants: Vec<String>,
    /// The scenarios for `run`, files or folders of them
    #[arg(long, value_name = "FILE|DIR", default_value = "scenarios")]
    scenarios: Vec<PathBuf>,
    /// Print one JSON object for each mutant instead of the table
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let ground = Ground {
        scenarios: super::run::scenarios(&args.scenarios)?,
    };
    let mut rows = Vec::new();
    for mutant in mutants(&args.mutants)? {
        let hunts = Finder::ALL.map(|finder| mutant.hunted_by(finder, &ground));
        rows.push(Row::new(mutant, hunts.to_vec()));
    }
    print(&if args.json {
        to_json(&rows)
    } else {
        painted(&text(&rows))
    })?;
    let all_found = rows.iter().all(Row::is_found);
    Ok(if all_found { Exit::Held } else { Exit::Broken })
}

fn mutants(names: &[String]) -> Result<Vec<Mutant>, Failure> {
    if names.is_empty() {
        return Ok(Mutant::ALL.to_vec());
    }
    let mutants = names.iter().map(|name| named(name));
    mutants.collect()
}

/// The mutant that is called so.
pub(super) fn named(name: &str) -> Result<Mutant, Failure> {
    let mutant = name.parse::<Mutant>();
    mutant.map_err(|error| Failure::Input(error.to_string()))
}

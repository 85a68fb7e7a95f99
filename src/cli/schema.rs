//! `herd schema`: the JSON Schema of the files that people write.

use super::{Exit, Failure, print};

/// Print the JSON Schema of scenario or herd files, for editors that complete and check them
#[derive(clap::Args)]
#[command(after_help = "\
Example:
  herd schema > scenario.schema.json
  then, in the first line of a scenario:  #:schema ./scenario.schema.json")]
pub(super) struct Args {
    /// The kind of files that the schema describes
    #[arg(value_enum, default_value_t = Kind::Scenario)]
    kind: Kind,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Kind {
    Scenario,
    Herd,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let schema = match args.kind {
        Kind::Scenario => crate::scenario::schema(),
        Kind::Herd => crate::herd::schema(),
    };
    let text = serde_json::to_string_pretty(&schema);
    let text = text.map_err(|error| Failure::Internal(error.to_string()))?;
    print(&(text + "\n"))?;
    Ok(Exit::Passed)
}

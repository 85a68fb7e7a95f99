//! `herd herds`: lists the built-in herds, and checks herd files.

use std::path::Path;

use super::{Exit, Failure, print, warn};
use crate::herd::Herd;

/// List the built-in herds, or show and check one
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  herd herds
  herd herds hill
  herd herds my/herd.toml")]
pub(super) struct Args {
    /// A built-in herd's name, or a herd file
    herd: Option<String>,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    match &args.herd {
        None => print(&list())?,
        Some(reference) => {
            let (herd, warnings) = Herd::load(reference, Some(Path::new(".")))?;
            warn(&warnings);
            print(&describe(&herd))?;
        }
    }
    Ok(Exit::Passed)
}

fn list() -> String {
    let herds = Herd::builtin_names().filter_map(Herd::builtin);
    let lines = herds.map(|herd| {
        let servers: Vec<&str> = herd.server_names().collect();
        format!("{:<8}  {}\n", herd.name(), servers.join(", "))
    });
    lines.collect()
}

fn describe(herd: &Herd) -> String {
    let mut lines = vec![format!("herd {}", herd.name())];
    lines.extend(herd.about().map(|about| format!("  {}", about.trim())));
    for server in herd.servers() {
        let (name, client, peer) = (&server.name, &server.client, &server.peer);
        lines.push(format!("  {name}: clients at {client}, servers at {peer}"));
    }
    for link in herd.links() {
        let (a, b) = (&herd.server(link.a).name, &herd.server(link.b).name);
        let latency = link
            .latency
            .map_or(String::new(), |latency| format!(", {latency}"));
        lines.push(format!("  {a} dials {b}{latency}"));
    }
    lines.join("\n") + "\n"
}

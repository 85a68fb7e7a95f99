//! `herd explore --power-cuts`: a scenario in which the power fails behind each operation of a disk.

use std::io::{IsTerminal as _, Write as _};
use std::ops::ControlFlow;
use std::path::Path;

use super::interrupt::Interrupt;
use super::{Exit, Failure, at_least_one, outputs, painted, print};
use crate::files::quoted;
use crate::power_cuts::{Options, PowerCutError, PowerCuts, power_cuts_watched, text};
use crate::scenario::Scenario;

/// Whether the power is cut, and how often.
#[derive(clap::Args)]
pub(super) struct Cuts {
    /// Cut the power of all servers behind each operation of a disk instead, in a run by time; it is
    /// back a second later, and the invariants must hold
    #[arg(long, conflicts_with_all = [
        "origin", "any_time", "held", "reduce", "depth", "preemptions", "budget", "html",
    ])]
    pub(super) power_cuts: bool,
    /// Cut the power N times at each of these moments; another part of what was not synced is lost
    /// each time
    #[arg(long, value_name = "N", requires = "power_cuts", default_value_t = 4, value_parser = at_least_one)]
    pub(super) draws: usize,
}

/// What is printed, and where failing runs are written.
pub(super) struct Output<'a> {
    pub(super) json: bool,
    pub(super) out: Option<&'a Path>,
}

pub(super) fn run(
    scenario: &Scenario,
    options: &Options,
    interrupt: &Interrupt,
    output: &Output<'_>,
) -> Result<Exit, Failure> {
    let progress = std::io::stderr().is_terminal();
    let watch = |made: usize, of: usize| {
        // Every 64th run is often enough for a reader.
        if progress && made.is_multiple_of(64) {
            let _ = write!(std::io::stderr(), "\r\x1b[K{made} of {of} runs");
        }
        if interrupt.is_wanted() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    let cuts = power_cuts_watched(scenario, options, watch);
    if progress {
        let _ = write!(std::io::stderr(), "\r\x1b[K");
    }
    let cuts = cuts.map_err(|error| match error {
        PowerCutError::NoDisks | PowerCutError::NoTime => {
            Failure::Input(format!("{}: {error}", scenario.path()))
        }
        PowerCutError::Run(error) => Failure::Internal(format!("{}: {error}", scenario.path())),
    })?;
    if output.json {
        let json = serde_json::to_string(&cuts);
        let json = json.map_err(|error| Failure::Internal(error.to_string()))?;
        print(&(json + "\n"))?;
    } else {
        print(&painted(&text(&cuts)))?;
    }
    if let Some(folder) = output.out {
        write_cuts(folder, scenario, &cuts)?;
    }
    let is_good = !cuts.is_broken() && cuts.runs > 0 && !cuts.interrupted;
    Ok(if is_good { Exit::Passed } else { Exit::Failed })
}

/// Writes the failing runs, one of each kind, and prints how to repeat each.
fn write_cuts(folder: &Path, scenario: &Scenario, cuts: &PowerCuts) -> Result<(), Failure> {
    for (number, broken) in (1..).zip(&cuts.broken) {
        let file = folder.join(format!("{}-power-cut-{number}.toml", cuts.scenario));
        outputs::write(&file, &broken.scenario.to_toml_in_layout_of(scenario))?;
        let file = quoted(&file.display().to_string());
        let _ = writeln!(anstream::stderr(), "repeat it: herd run {file}");
    }
    Ok(())
}

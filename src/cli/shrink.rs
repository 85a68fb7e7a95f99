//! `herd shrink`: shrinks a failing run.

use std::io::{IsTerminal as _, Write as _};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::chosen::Chosen;
use super::interrupt::Interrupt;
use super::outputs;
use super::run_limit::Limited;
use super::scenarios::load_all;
use super::{Exit, Failure, at_least_one, print};
use crate::files;
use crate::report;
use crate::scenario::Scenario;
use crate::shrink::{End, Limits, ShrinkError, Shrunk, Tried, shrink_watched};
use crate::sim::SimError;
use crate::sweep::report::Group;

/// Shrink a failing run: the same failure with the fewest steps
///
/// Removes steps, servers and clients and shortens the time between steps, as long as the run fails
/// with the same fingerprint, and writes the smallest scenario. Ctrl-C ends the search and writes
/// the smallest scenario found so far; a second Ctrl-C ends it at once.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  herd shrink --swarm --seed 17 scenarios/stories/chaos-coarse.toml
  herd shrink failing.toml -o small.toml

Exit codes:
  0  it was shrunk
  1  nothing failed in the run, or the search was interrupted
  2  a file or the command line is bad
  3  something inside failed, or the run was past --run-limit")]
pub(super) struct Args {
    /// The scenario (.toml, .json)
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    chosen: Chosen,
    /// Write the shrunk scenario to this file [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Try up to this number of smaller scenarios
    #[arg(long, value_name = "N", default_value_t = Limits::default().runs, value_parser = at_least_one)]
    runs: usize,
    #[command(flatten)]
    limited: Limited,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let mut scenarios = load_all(std::slice::from_ref(&args.file))?;
    let Some(scenario) = scenarios.pop() else {
        return Err(Failure::Input("there is no scenario".to_owned()));
    };
    outputs::check(&[("--output", args.output.as_deref())])?;
    let scenario = args.chosen.of(scenario);
    let interrupt = Interrupt::watch()?;
    let limits = Limits {
        runs: args.runs,
        simulator: args.limited.until(&interrupt),
        ..Limits::default()
    };
    let shrunk = small(&scenario, limits, &interrupt)?;
    match &args.output {
        None => {
            print(&shrunk.file("FILE"))?;
            if let Some(why) = why_not_smaller(&shrunk) {
                let _ = writeln!(anstream::stderr(), "{why}");
            }
        }
        Some(file) => {
            write(file, &shrunk)?;
            print(&said(file, &shrunk))?;
        }
    }
    Ok(match shrunk.end {
        End::Interrupted => Exit::Failed,
        End::Smallest | End::Limit => Exit::Passed,
    })
}

/// Shrinks the first failure of a group, and writes it into a folder, to a file named after its
/// fingerprint. Returns the file and its text; `None` if it cannot be shrunk or was interrupted
/// before anything was found. Messages about it go to `tell`.
pub(super) fn write_shrunk(
    failing: &Scenario,
    folder: &Path,
    group: &Group,
    limits: &Limits,
    interrupt: &Interrupt,
    tell: fn(&str) -> Result<(), Failure>,
) -> Result<Option<(PathBuf, String)>, Failure> {
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
    if files::was_read(&file) {
        let (way, file) = (&group.fingerprint, file.display());
        tell(&format!(
            "{way}: not shrunk, for that would overwrite {file}, which is read\n"
        ))?;
        return Ok(None);
    }
    let shrunk = match small(failing, limits.clone(), interrupt) {
        Ok(shrunk) => shrunk,
        // The caller reports the interruption.
        Err(_) if interrupt.is_wanted() => return Ok(None),
        // A failure to shrink is reported, and does not prevent shrinking the others.
        Err(failure) => {
            tell(&format!("{}: {failure}\n", group.fingerprint))?;
            return Ok(None);
        }
    };
    let text = write(&file, &shrunk)?;
    tell(&said(&file, &shrunk))?;
    Ok(Some((file, text)))
}

/// Shrinks until the search ends or is interrupted, with its progress on a terminal.
fn small(scenario: &Scenario, limits: Limits, interrupt: &Interrupt) -> Result<Shrunk, Failure> {
    let is_shown = std::io::stderr().is_terminal();
    let mut watch = |tried: &Tried| {
        if is_shown {
            let Tried {
                tries,
                before,
                left,
            } = tried;
            let words = format!("{left} of {before} steps left, {tries} smaller scenarios tried");
            let _ = write!(std::io::stderr(), "\r\x1b[K{words}");
        }
        if interrupt.is_wanted() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    let shrunk = shrink_watched(scenario, limits, &mut watch);
    if is_shown {
        let _ = write!(std::io::stderr(), "\r\x1b[K");
    }
    shrunk.map_err(|error| match error {
        ShrinkError::Held | ShrinkError::Sim(SimError::Interrupted) => {
            Failure::Failed(format!("{}: {error}", scenario.path()))
        }
        ShrinkError::Sim(_) | ShrinkError::Lost(_) => Failure::Internal(error.to_string()),
    })
}

fn write(file: &Path, shrunk: &Shrunk) -> Result<String, Failure> {
    let text = shrunk.file(&file.display().to_string());
    outputs::write(file, &text)?;
    Ok(text)
}

fn said(file: &Path, shrunk: &Shrunk) -> String {
    let why = why_not_smaller(shrunk).map_or(String::new(), |why| format!("; {why}"));
    format!(
        "{}: {} of {} steps, {} of them left, after {}{why}\n",
        file.display(),
        shrunk.fingerprint,
        shrunk.before,
        shrunk.scenario.steps.len(),
        report::show::count(shrunk.runs, "run")
    )
}

/// Why a scenario may not be the smallest; `None` if it is.
fn why_not_smaller(shrunk: &Shrunk) -> Option<&'static str> {
    match shrunk.end {
        End::Smallest => None,
        End::Limit => Some("all tries were used up (--runs), so a smaller one may be possible"),
        End::Interrupted => Some("interrupted, so a smaller one may be possible"),
    }
}

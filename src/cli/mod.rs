//! The command line: one file for each subcommand, and what they share.

#[cfg(feature = "sim")]
mod annotations;
#[cfg(feature = "sim")]
mod blame;
mod certs;
#[cfg(all(feature = "sim", unix))]
mod check;
#[cfg(feature = "sim")]
mod chosen;
mod completions;
mod credentials;
mod data;
#[cfg(feature = "sim")]
mod diff;
#[cfg(feature = "sim")]
mod explore;
#[cfg(feature = "sim")]
mod export;
mod files;
mod flags;
mod forget;
#[cfg(all(feature = "sim", unix))]
mod guard;
mod health;
mod herds;
#[cfg(feature = "sim")]
mod hops;
#[cfg(feature = "sim")]
mod interrupt;
#[cfg(feature = "sim")]
mod live;
mod living;
mod load;
mod man;
#[cfg(feature = "mutants")]
mod mutants;
mod notify;
#[cfg(feature = "sim")]
mod outputs;
#[cfg(feature = "sim")]
mod pages;
#[cfg(feature = "sim")]
mod parts;
mod places;
#[cfg(feature = "sim")]
mod power_cuts;
#[cfg(feature = "sim")]
mod progress;
mod reload;
#[cfg(feature = "sim")]
mod run;
#[cfg(feature = "sim")]
mod run_limit;
#[cfg(feature = "sim")]
mod scenarios;
#[cfg(feature = "sim")]
mod schema;
mod send;
mod serve;
#[cfg(feature = "sim")]
mod shaped;
#[cfg(feature = "sim")]
mod show;
#[cfg(feature = "sim")]
mod shrink;
mod signals;
mod status;
mod stderr;
mod stopping;
mod stored;
#[cfg(feature = "sim")]
mod survey;
#[cfg(feature = "sim")]
mod sweep;
#[cfg(feature = "sim")]
mod threads;
mod up;
#[cfg(feature = "sim")]
mod view;

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::diag::Problems;

/// The exit codes of commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// Everything passed.
    Passed = 0,
    /// An expectation failed, a server failed, or a line was not answered.
    Failed = 1,
    /// The input is bad: a file, or the command line itself.
    BadInput = 2,
    /// Something inside failed, which is a bug.
    Internal = 3,
    /// A server stopped as requested, but neighbours did not confirm that they have all its
    /// records.
    Unconfirmed = 4,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

const EXIT_CODES: &str = "\
Exit codes:
  0  everything passed
  1  an expectation failed, a server failed, or a line was not answered
  2  the input is bad: a file, or the command line
  3  something inside failed, which is a bug
  4  a server stopped as it was told to, and neighbours could not confirm that they know what it knew";

#[derive(Parser)]
#[command(
    name = "herd",
    version = crate::version::BUILD,
    about = "An application-server herd for clients' locations, and the simulator that breaks it",
    after_help = EXIT_CODES,
    max_term_width = 100
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    #[cfg(feature = "sim")]
    Run(run::Args),
    #[cfg(feature = "sim")]
    Explore(explore::Args),
    #[cfg(feature = "sim")]
    Show(show::Args),
    #[cfg(feature = "sim")]
    Diff(diff::Args),
    #[cfg(feature = "sim")]
    View(view::Args),
    #[cfg(feature = "sim")]
    Sweep(sweep::Args),
    #[cfg(feature = "sim")]
    Shrink(shrink::Args),
    #[cfg(feature = "sim")]
    Blame(blame::Args),
    #[cfg(feature = "sim")]
    Schema(schema::Args),
    #[cfg(feature = "sim")]
    Hops(hops::Args),
    #[cfg(feature = "sim")]
    Survey(survey::Args),
    Herds(herds::Args),
    Serve(serve::Args),
    Up(up::Args),
    Status(status::Args),
    Health(health::Args),
    Send(send::Args),
    Forget(forget::Args),
    #[cfg(all(feature = "sim", unix))]
    #[command(hide = true)]
    Guard(guard::Args),
    Data(data::Args),
    Certs(certs::Args),
    Load(load::Args),
    #[cfg(all(feature = "sim", unix))]
    Check(check::Args),
    Completions(completions::Args),
    Man(man::Args),
    #[cfg(feature = "mutants")]
    Mutants(mutants::Args),
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    signals::survive_full_files();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return refuse(&error),
    };
    let done = match cli.command {
        #[cfg(feature = "sim")]
        Command::Run(args) => run::run(&args),
        #[cfg(feature = "sim")]
        Command::Explore(args) => explore::run(&args),
        #[cfg(feature = "sim")]
        Command::Show(args) => show::run(&args),
        #[cfg(feature = "sim")]
        Command::Diff(args) => diff::run(&args),
        #[cfg(feature = "sim")]
        Command::View(args) => view::run(&args),
        #[cfg(feature = "sim")]
        Command::Sweep(args) => sweep::run(&args),
        #[cfg(feature = "sim")]
        Command::Shrink(args) => shrink::run(&args),
        #[cfg(feature = "sim")]
        Command::Blame(args) => blame::run(&args),
        #[cfg(feature = "sim")]
        Command::Schema(args) => schema::run(&args),
        #[cfg(feature = "sim")]
        Command::Hops(args) => hops::run(&args),
        #[cfg(feature = "sim")]
        Command::Survey(args) => survey::run(&args),
        Command::Herds(args) => herds::run(&args),
        Command::Serve(args) => serve::run(&args),
        Command::Up(args) => up::run(&args),
        Command::Status(args) => status::run(&args),
        Command::Health(args) => health::run(&args),
        Command::Send(args) => send::run(&args),
        Command::Forget(args) => forget::run(&args),
        #[cfg(all(feature = "sim", unix))]
        Command::Guard(args) => guard::run(&args),
        Command::Data(args) => data::run(&args),
        Command::Certs(args) => certs::run(&args),
        Command::Load(args) => load::run(&args),
        #[cfg(all(feature = "sim", unix))]
        Command::Check(args) => check::run(&args),
        Command::Completions(args) => completions::run(&args),
        Command::Man(args) => man::run(&args),
        #[cfg(feature = "mutants")]
        Command::Mutants(args) => mutants::run(&args),
    };
    let exit = match done {
        Ok(exit) => exit,
        Err(failure) => {
            failure.report();
            failure.exit()
        }
    };
    stderr::finish();
    exit.into()
}

/// Prints clap's help or its error about the command line. With a JSON log, the error is JSON, too.
fn refuse(error: &clap::Error) -> ExitCode {
    let args = std::env::args_os().map(|arg| arg.to_string_lossy().into_owned());
    stderr::speak(stderr::format_of_command_line(args), "");
    if error.use_stderr() && stderr::is_json() {
        let text = error.to_string();
        stderr::error(text.trim_start_matches("error: ").trim_end());
        return Exit::BadInput.into();
    }
    error.exit()
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
enum Failure {
    /// Files have problems, each with its place.
    #[error("{0}")]
    Problems(#[from] Problems),
    /// Something else about the input or the command line is wrong.
    #[error("{0}")]
    Input(String),
    /// The requested action was tried and failed.
    #[error("{0}")]
    Failed(String),
    /// The program failed, although its input is good.
    #[error("{0}")]
    Internal(String),
    /// The output could not be written.
    #[error("can't write the output: {0}")]
    Output(#[from] io::Error),
}

impl Failure {
    /// A scenario that could not be run.
    #[cfg(feature = "sim")]
    fn of_run(scenario: &str, error: &crate::sim::SimError) -> Self {
        let words = format!("{scenario}: {error}");
        match error {
            crate::sim::SimError::Lacks { .. } | crate::sim::SimError::NoBuild { .. } => {
                Self::Input(words)
            }
            _ => Self::Internal(words),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Problems(_) | Self::Input(_) | Self::Output(_) => Exit::BadInput,
            Self::Failed(_) => Exit::Failed,
            Self::Internal(_) => Exit::Internal,
        }
    }

    fn report(&self) {
        if let Self::Problems(problems) = self {
            return warn(problems);
        }
        stderr::error(&self.to_string());
    }
}

/// Prints problems to standard error.
fn warn(problems: &Problems) {
    stderr::problems(problems);
}

/// The report with its verdicts coloured.
#[cfg(feature = "sim")]
fn painted(report: &str) -> String {
    use anstyle::{AnsiColor, Style};
    let green: Style = AnsiColor::Green.on_default();
    let red: Style = AnsiColor::Red.on_default().bold();
    let paint = |line: &str| {
        let verdicts = [
            ("passed ", green),
            ("PASSED:", green.bold()),
            ("SAME:", green.bold()),
            ("FOUND:", green.bold()),
            ("MISSED:", red),
            ("FAILED", red),
            ("PARTIAL", red),
            ("DIFFERENT:", red),
        ];
        let found = verdicts.iter().find(|(word, _)| line.starts_with(word));
        match found {
            Some((word, style)) => format!("{style}{word}{style:#}{}", &line[word.len()..]),
            None => line.to_owned(),
        }
    };
    report.split_inclusive('\n').map(paint).collect()
}

/// Prints to standard output. anstream removes colours where they are not supported.
fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = anstream::stdout().lock();
    let written = stdout.write_all(text.as_bytes());
    heard(written.and_then(|()| stdout.flush()))
}

/// Ignores a broken pipe: a reader that closes early, such as a pager, is no failure and does not
/// change the verdict.
fn heard(written: io::Result<()>) -> Result<(), Failure> {
    match written {
        Err(error) if is_nobody_reading(&error) => Ok(()),
        written => Ok(written?),
    }
}

fn is_nobody_reading(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::BrokenPipe
}

/// Parses a number that must be at least 1.
#[cfg(feature = "sim")]
fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("at least 1".to_owned()),
        Ok(number) => Ok(number),
        Err(_) => Err("a number is wanted, 1 or more".to_owned()),
    }
}

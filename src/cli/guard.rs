//! `herd guard`, hidden: holds a server that a harness started, and ends it with the harness.

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::ExitStatus;

use super::{Exit, Failure};
use crate::live::guard;

/// Run a program until it ends or standard input does, and leave none of its processes behind
#[derive(clap::Args)]
pub(super) struct Args {
    /// The file to which standard output and standard error of the program are appended
    #[arg(long, value_name = "FILE")]
    log: PathBuf,
    /// The program and its arguments
    #[arg(last = true, required = true)]
    program: Vec<OsString>,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| Failure::Failed(format!("can't start: {error}")))?;
    let ended = runtime.block_on(guard::guard(&args.log, &args.program));
    // A thread still reads standard input.
    runtime.shutdown_background();
    let status = ended.map_err(|error| Failure::Failed(format!("can't guard: {error}")))?;
    std::process::exit(code(status))
}

/// The exit code of a shell for a program that ended like this.
fn code(status: ExitStatus) -> i32 {
    let by_signal = || {
        status
            .signal()
            .map_or(Exit::Internal as i32, |signal| 128 + signal)
    };
    status.code().unwrap_or_else(by_signal)
}

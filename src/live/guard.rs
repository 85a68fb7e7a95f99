//! The other end of [`super::process`]: the process between a harness and a server, which lives as
//! long as both do.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::{ExitStatus, Stdio};

use futures_lite::future::or;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, Command};

/// What a guard writes before the process id of the program that it started.
pub(super) const STARTED: &str = "started ";

/// Runs a program in a process group of its own, with its output appended to a file, and kills the
/// group at the end of standard input or of the program.
///
/// A harness cannot forget its guards: however it ends, the system closes the pipe that is their
/// standard input. Standard output gets one line: `STARTED` and the group's id, or why the
/// program could not be started.
pub async fn guard(log: &Path, program: &[OsString]) -> io::Result<ExitStatus> {
    let mut child = match start(log, program) {
        Ok(child) => child,
        Err(error) => {
            tell(&error.to_string())?;
            return Err(error);
        }
    };
    let group = group_of(&child);
    let told = tell(&format!("{STARTED}{}", child.id().unwrap_or_default()));
    if told.is_ok() {
        or(
            async { drop(child.wait().await) },
            end_of(tokio::io::stdin()),
        )
        .await;
    }
    // The program can have ended before others of its group.
    if let Some(group) = group {
        // An error says that none is left.
        let _ = kill_process_group(group, Signal::KILL);
    }
    child.wait().await
}

fn start(log: &Path, program: &[OsString]) -> io::Result<Child> {
    let output = OpenOptions::new().create(true).append(true).open(log)?;
    let Some((program, arguments)) = program.split_first() else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output)
        .process_group(0)
        .spawn()
}

fn group_of(child: &Child) -> Option<Pid> {
    Pid::from_raw(i32::try_from(child.id()?).ok()?)
}

fn tell(line: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{line}")?;
    stdout.flush()
}

async fn end_of(mut input: impl tokio::io::AsyncRead + Unpin) {
    let mut ignored = [0; 64];
    // An error is an end, too.
    while matches!(input.read(&mut ignored).await, Ok(1..)) {}
}

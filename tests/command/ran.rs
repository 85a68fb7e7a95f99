//! The command `herd`, run to its end.

use std::process::Output;

/// Runs `herd` with these arguments.
#[cfg(feature = "sim")]
pub(crate) fn herd(args: &[&str]) -> Output {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_herd"));
    command.args(args).output().expect("the binary runs")
}

/// The standard output of a command.
pub(crate) fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("the output is UTF-8")
}

/// The standard error of a command.
pub(crate) fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("the errors are UTF-8")
}

/// The exit code of a command.
#[cfg(feature = "sim")]
pub(crate) fn exit(output: &Output) -> i32 {
    output.status.code().expect("it ended by itself")
}

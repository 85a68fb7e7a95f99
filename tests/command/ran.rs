//! The command, run to its end.

use std::process::Output;

/// `herd` with these arguments.
#[cfg(feature = "sim")]
pub(crate) fn herd(args: &[&str]) -> Output {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_herd"));
    command.args(args).output().expect("the binary runs")
}

/// Its standard output.
pub(crate) fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("the output is UTF-8")
}

/// Its standard error.
pub(crate) fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("the errors are UTF-8")
}

/// Its exit code.
#[cfg(feature = "sim")]
pub(crate) fn exit(output: &Output) -> i32 {
    output.status.code().expect("it ended by itself")
}

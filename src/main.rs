//! The `herd` command: parse, call, exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    proxy_herd::cli::main()
}

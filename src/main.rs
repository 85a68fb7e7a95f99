//! The `herd` command: parse, call, exit code.

use std::process::ExitCode;

use mimalloc::MiMalloc;

// The system's allocator keeps what thousands of connections needed for a moment; this one gives it back. What that comes
// to, and how to measure it, is in docs/operating.md.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    proxy_herd::cli::main()
}

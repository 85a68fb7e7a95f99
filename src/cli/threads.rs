//! The number of threads: a flag that several commands share.

use std::num::NonZeroUsize;

/// The flag.
#[derive(clap::Args)]
pub(super) struct Threads {
    /// The number of threads, which the result does not depend on [default: one for each core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
}

impl Threads {
    /// The given number of threads, or that of the cores.
    pub(super) fn count(&self) -> NonZeroUsize {
        let cores = || std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        let given = self
            .threads
            .and_then(|given| NonZeroUsize::new(given.into()));
        given.unwrap_or_else(cores)
    }
}

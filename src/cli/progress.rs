//! How far a long piece of work is, on a terminal only.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::{Mutex, PoisonError};

/// A line on standard error that is written again and again. Where that is no terminal, nothing is.
pub(super) struct Progress {
    what: &'static str,
    all: usize,
    shown: bool,
    /// Thousandths that are done, as last shown.
    last: Mutex<Option<usize>>,
}

impl Progress {
    /// Of `all` pieces none is done. `what` names them.
    pub(super) fn new(what: &'static str, all: usize) -> Self {
        Self {
            what,
            all,
            shown: io::stderr().is_terminal(),
            last: Mutex::new(None),
        }
    }

    /// Shows that `done` are done.
    pub(super) fn show(&self, done: usize) {
        if !self.shown || self.all == 0 {
            return;
        }
        let share = done.saturating_mul(1000) / self.all;
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        // Threads may come late with less.
        if last.is_none_or(|last| share > last) {
            *last = Some(share);
            let (tens, tenth) = (share / 10, share % 10);
            let (what, all) = (self.what, self.all);
            let _ = write!(io::stderr(), "\r{done} of {all} {what}, {tens}.{tenth} %");
        }
    }
}

impl Drop for Progress {
    /// The line is gone.
    fn drop(&mut self) {
        if self.shown {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

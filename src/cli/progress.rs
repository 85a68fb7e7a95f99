//! The progress of long work, on a terminal only.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::{Mutex, PoisonError};

/// A progress line on standard error, rewritten in place. If standard error is no terminal, nothing
/// is written.
pub(super) struct Progress {
    what: &'static str,
    all: usize,
    shown: bool,
    /// The share that was last shown, in thousandths.
    last: Mutex<Option<usize>>,
}

impl Progress {
    /// Starts with none of `all` pieces finished. `what` names the pieces.
    pub(super) fn new(what: &'static str, all: usize) -> Self {
        Self {
            what,
            all,
            shown: io::stderr().is_terminal(),
            last: Mutex::new(None),
        }
    }

    /// Shows that `done` pieces are finished.
    pub(super) fn show(&self, done: usize) {
        if !self.shown || self.all == 0 {
            return;
        }
        let share = done.saturating_mul(1000) / self.all;
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        // Calls of several threads can arrive out of order, so only increases are shown.
        if last.is_none_or(|last| share > last) {
            *last = Some(share);
            let (tens, tenth) = (share / 10, share % 10);
            let (what, all) = (self.what, self.all);
            let _ = write!(io::stderr(), "\r{done} of {all} {what}, {tens}.{tenth} %");
        }
    }
}

impl Drop for Progress {
    /// Erases the line.
    fn drop(&mut self) {
        if self.shown {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

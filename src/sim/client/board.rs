//! What became of clients' lines so far.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::scenario::{LineId, Outcome};

/// Where the driver puts jobs, and finds their outcomes: each one as soon as it is known, since a run may end at any
/// moment.
#[derive(Clone, Default)]
pub(in crate::sim) struct Board(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    outcomes: BTreeMap<LineId, Outcome>,
    /// Jobs that are not over: of clients that wait, or have not closed yet.
    pending: usize,
    /// The number of jobs with an answer outstanding.
    waiting: usize,
}

impl Board {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of jobs that are not finished.
    pub(in crate::sim) fn pending(&self) -> usize {
        self.inner().pending
    }

    /// The number of jobs with an answer outstanding.
    pub(in crate::sim) fn waiting(&self) -> usize {
        self.inner().waiting
    }

    /// Counts a job that was sent to the clients' host.
    pub(in crate::sim) fn begin(&self) {
        let mut inner = self.inner();
        inner.pending += 1;
        inner.waiting += 1;
    }

    /// Stores the current outcome of a line.
    pub(super) fn tell(&self, outcome: Outcome) {
        self.inner().outcomes.insert(outcome.line, outcome);
    }

    /// Counts a job whose answers have all arrived or been given up.
    pub(super) fn answered(&self) {
        self.inner().waiting -= 1;
    }

    /// Counts a job that is finished.
    pub(super) fn end(&self) {
        self.inner().pending -= 1;
    }

    /// Takes the outcomes of all lines, including those that could not be sent.
    pub(in crate::sim) fn take(&self) -> Vec<Outcome> {
        std::mem::take(&mut self.inner().outcomes)
            .into_values()
            .collect()
    }
}

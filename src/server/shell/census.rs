//! What a server has under way, counted: all of it is over when the server is quiet. The simulator
//! asks for it when a run ends.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use super::Shared;
use crate::net::Net;

/// What a server has under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Census {
    /// The tasks that a server has as long as it runs: its own, that of each listener and each
    /// neighbour, that of retention if there is any, and that of its disk if it has one.
    pub lasting_tasks: usize,
    /// Lines and records that wait to be written to neighbours.
    pub waiting: usize,
    /// Queries to neighbours without an answer yet, and rounds of set reconciliation under way.
    pub queries: usize,
    /// Look-ups of clients under way.
    pub look_ups: usize,
    /// The tasks of the source of places, but for one for each of its connections.
    pub tasks_of_places: usize,
    /// Permits of connections that exceed their share of work.
    pub permits: usize,
}

/// Where a server that starts puts the way to count what it has under way.
#[derive(Clone, Default)]
pub(crate) struct Counter(Arc<OnceLock<Count>>);

/// Counts, as long as the server runs.
type Count = Box<dyn Fn() -> Option<Census> + Send + Sync>;

impl Counter {
    /// What the server has under way; `None` if it does not run.
    #[cfg(feature = "sim")]
    pub(crate) fn census(&self) -> Option<Census> {
        (self.0.get()?)()
    }

    /// Counts what this server has from now on. The server keeps nobody alive by it, nor the other
    /// way round.
    pub(super) fn count<N: Net>(&self, shared: &Arc<Shared<N>>) {
        let shared = Arc::downgrade(shared);
        let count = move || Some(shared.upgrade()?.census());
        // A configuration is for one run, so this happens once.
        let _ = self.0.set(Box::new(count));
    }
}

impl fmt::Debug for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Counter")
    }
}

impl<N: Net> Shared<N> {
    fn census(&self) -> Census {
        let [forgets, saves] = [self.has_retention(), self.saving.is_used()];
        let state = self.state();
        let (waiting, queries) = state.node.under_way();
        Census {
            lasting_tasks: 3
                + state.node.neighbours().count()
                + usize::from(forgets)
                + usize::from(saves),
            waiting,
            queries,
            look_ups: self.look_ups.0.load(Ordering::Relaxed),
            tasks_of_places: self.places.background_tasks(),
            permits: self.gate.taken(),
        }
    }
}

/// How many look-ups are under way.
#[derive(Debug, Default)]
pub(super) struct LookUpCount(AtomicUsize);

impl LookUpCount {
    /// Counts a look-up until the value is dropped.
    pub(super) fn begin(&self) -> UnderWay<'_> {
        self.0.fetch_add(1, Ordering::Relaxed);
        UnderWay(self)
    }
}

/// A look-up that is under way.
pub(super) struct UnderWay<'a>(&'a LookUpCount);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

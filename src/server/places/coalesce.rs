//! Request coalescing: equal requests share one response while it is in flight.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use tokio::sync::broadcast::{self, Receiver, Sender, WeakSender};

use crate::sync::{Mutex, MutexGuard};

/// The requests in flight, and who waits for the response of each.
///
/// A response is a broadcast, which wakes its receivers in order of arrival; a `watch` wakes them in
/// random order.
pub(super) struct InFlight<Q, R>(Mutex<BTreeMap<Q, WeakSender<R>>>);

impl<Q, R> Default for InFlight<Q, R> {
    fn default() -> Self {
        Self(Mutex::new(BTreeMap::new()))
    }
}

impl<Q: Clone + Ord, R: Clone> InFlight<Q, R> {
    /// Locks the map. Poisoning needs a panic elsewhere, which ends the server anyway.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Q, WeakSender<R>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many requests are in flight.
    pub(super) fn count(&self) -> usize {
        self.lock().len()
    }

    /// A receiver of the response to `query`. If no such request is in flight, `begin` begins one,
    /// which must [`end`](Self::end).
    pub(super) fn join(&self, query: &Q, begin: impl FnOnce(Sender<R>)) -> Receiver<R> {
        let mut in_flight = self.lock();
        let known = in_flight.get(query).and_then(WeakSender::upgrade);
        if let Some(tell) = known {
            return tell.subscribe();
        }
        let (tell, answer) = broadcast::channel(1);
        in_flight.insert(query.clone(), tell.downgrade());
        begin(tell);
        answer
    }

    /// Gives all receivers the response. Nobody joins the request from now on.
    pub(super) fn end(&self, query: &Q, tell: &Sender<R>, response: R) {
        // This comes first: who joined after the response was sent would never get it.
        self.lock().remove(query);
        // The receivers may all be gone.
        let _ = tell.send(response);
    }
}

#[cfg(all(test, feature = "threads"))]
mod threads;

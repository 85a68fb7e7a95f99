//! Which look-up caused each request to the fake Places.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::herd::Name;
use crate::journal::EventId;

/// The look-up that caused each request, by server and query. A request does not contain it, since
/// production does not need it.
#[derive(Clone, Default)]
pub(in crate::sim) struct Causes(Arc<Mutex<BTreeMap<(Name, String), PendingLookUp>>>);

/// Look-ups that wait for the same request. Its cause is the first of them.
struct PendingLookUp {
    first: EventId,
    waiting: usize,
}

impl Causes {
    fn inner(&self) -> MutexGuard<'_, BTreeMap<(Name, String), PendingLookUp>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The look-up that caused this query of `server`.
    pub(super) fn of(&self, server: Name, question: &str) -> Option<EventId> {
        let all = self.inner();
        let asked = all.get(&(server, question.to_owned()));
        asked.map(|asked| asked.first)
    }

    /// Registers a look-up as waiting until the returned guard is dropped.
    pub(super) fn wait(&self, key: (Name, String), look_up: EventId) -> Waiting {
        let mut all = self.inner();
        let asked = all.entry(key.clone()).or_insert(PendingLookUp {
            first: look_up,
            waiting: 0,
        });
        asked.waiting += 1;
        Waiting {
            causes: self.clone(),
            key,
        }
    }
}

/// A look-up that waits until this is dropped.
pub(super) struct Waiting {
    causes: Causes,
    key: (Name, String),
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut all = self.causes.inner();
        if let Some(asked) = all.get_mut(&self.key) {
            asked.waiting -= 1;
            if asked.waiting == 0 {
                all.remove(&self.key);
            }
        }
    }
}

//! What each server has under way when a run ends: what its machine runs, and what it counts itself.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::machines::Machines;
use super::net::Faults;
use crate::herd::ServerId;
use crate::scenario::Party;
use crate::server::Counter;
use crate::trace::invariants::{Census, OwnCensus};

/// How to count what the last run of each server has.
#[derive(Clone, Default)]
pub(super) struct Counters(Arc<Mutex<BTreeMap<ServerId, Counter>>>);

impl Counters {
    fn inner(&self) -> MutexGuard<'_, BTreeMap<ServerId, Counter>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A run of a server begins.
    pub(super) fn begin(&self, server: ServerId, counter: Counter) {
        self.inner().insert(server, counter);
    }

    /// What each running server has. A server of a user's own that does not count is left out.
    pub(super) fn census(&self, machines: &Machines, faults: &Faults) -> Vec<Census> {
        let counted = self.inner();
        let counted = counted
            .iter()
            .filter_map(|(id, counter)| Some((*id, counter.census()?)));
        let places = machines.of(Party::Places);
        let census = counted.map(|(id, own)| {
            let machine = id.index();
            Census {
                server: machines.name(Party::Server(id)),
                tasks: faults.tasks(machine),
                streams: faults.streams(machine, |other| other != places),
                to_places: faults.streams(machine, |other| other == places),
                own: OwnCensus {
                    lasting_tasks: own.lasting_tasks,
                    waiting: own.waiting,
                    queries: own.queries,
                    look_ups: own.look_ups,
                    tasks_of_places: own.tasks_of_places,
                    permits: own.permits,
                },
            }
        });
        census.collect()
    }
}

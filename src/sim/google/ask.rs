//! The Places client of a simulated server. It also tells the fake Places which look-up caused a
//! request.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rand::SeedableRng as _;
use rand::rngs::ChaCha8Rng;

use super::bridge::{HOST, PORT};
use crate::herd::{Address, Name};
use crate::journal::EventId;
use crate::places::{Api, ApiKey, HttpPlaces, LookUp, Places, PlacesConfig, Query};
use crate::sim::net::SimNet;

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
    fn wait(&self, key: (Name, String), look_up: EventId) -> Waiting {
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

struct Waiting {
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

/// A client of the fake Places.
pub(in crate::sim) struct SimPlaces {
    http: HttpPlaces<SimNet>,
    server: Name,
    causes: Causes,
}

impl SimPlaces {
    pub(in crate::sim) fn new(net: &SimNet, server: Name, seed: u64, causes: Causes) -> Self {
        let address = Address {
            host: HOST.to_owned(),
            port: PORT,
        };
        let key = ApiKey::new("SIMULATED").ok();
        let config = PlacesConfig::new(Api::Legacy, address, key);
        let rng = ChaCha8Rng::seed_from_u64(seed);
        Self {
            http: HttpPlaces::new(net.clone(), config, rng),
            server,
            causes,
        }
    }
}

impl Places for SimPlaces {
    fn nearby<'a>(
        &'a self,
        look_up: &'a LookUp,
    ) -> Pin<Box<dyn Future<Output = Vec<u8>> + Send + 'a>> {
        let (Query::Legacy(question) | Query::New(question)) = Query::new(Api::Legacy, look_up);
        let key = (self.server.clone(), question);
        let waiting = self.causes.wait(key, look_up.asked_by);
        Box::pin(async move {
            let answer = self.http.nearby(look_up).await;
            drop(waiting);
            answer
        })
    }
}

//! The Places client of a simulated server. It also registers which look-up caused a request.

use std::future::Future;
use std::pin::Pin;

use rand::SeedableRng as _;
use rand::rngs::ChaCha8Rng;

use super::bridge::PORT;
use super::causes::Causes;
use crate::herd::{Address, Name};
use crate::places::{Api, ApiKey, HttpPlaces, LookUp, Places, PlacesConfig, Query};
use crate::sim::machines::PLACES_HOST;
use crate::sim::net::SimNet;

/// A client of the fake Places.
pub(in crate::sim) struct SimPlaces {
    http: HttpPlaces<SimNet>,
    server: Name,
    causes: Causes,
}

impl SimPlaces {
    pub(in crate::sim) fn new(net: &SimNet, server: Name, seed: u64, causes: Causes) -> Self {
        let address = Address {
            host: PLACES_HOST.to_owned(),
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

    /// Draws from another seed from now on.
    pub(in crate::sim) fn redraw(&self, seed: u64) {
        self.http.redraw(ChaCha8Rng::seed_from_u64(seed));
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

    fn background_tasks(&self) -> usize {
        self.http.background_tasks()
    }
}

//! The client of Places that a server asks.

use std::sync::Arc;

use rand::SeedableRng as _;
use rand::rngs::ChaCha8Rng;

use super::{Failure, credentials};
use crate::net::tokio::TokioNet;
use crate::places::{ApiKey, Counts, HttpPlaces, Places};
use crate::settings::Settings;

/// Builds the client of Places whenever the settings change. Its counters survive a reload.
pub(super) struct Asking {
    seed: u64,
    /// The counts of look-ups by outcome.
    pub(super) counts: Arc<Counts>,
}

impl Asking {
    /// `seed` determines the pauses before retries.
    pub(super) fn new(seed: u64) -> Self {
        let counts = Arc::default();
        Self { seed, counts }
    }

    /// The client of Places by these settings.
    pub(super) fn places(
        &self,
        settings: &Settings,
        key: Option<ApiKey>,
    ) -> Result<Arc<dyn Places>, Failure> {
        // Without a key no request is sent, so authorities need not be loaded.
        let mut config = match key {
            Some(_) => credentials::places(settings)?,
            None => settings.places_config(),
        };
        config.key = key;
        let rng = ChaCha8Rng::seed_from_u64(self.seed);
        let places = HttpPlaces::new(TokioNet, config, rng);
        Ok(Arc::new(places.counted_by(Arc::clone(&self.counts))))
    }
}

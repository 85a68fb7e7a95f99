//! Look-ups of what is near a location, as JSON of the Places API.
//!
//! [`HttpPlaces`] sends requests to the API. Pure functions decide what it requests ([`Query`]),
//! where the answer is cut ([`trim()`]) and what a client receives ([`body()`]); only the exchange
//! between them is asynchronous.

mod answer;
mod coalesce;
mod config;
mod connect;
mod counts;
mod http;
mod key;
mod query;
mod tasks;
mod trim;
mod way;

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};

pub use crate::node::LookUp;

pub use answer::{Answer, Denial, Failure, Outcome, Reply, answer, body};
pub use config::PlacesConfig;
pub use counts::{Counts, Report};
pub use http::HttpPlaces;
pub use key::{ApiKey, BadKey};
pub use query::{Api, FIELD_MASK, Query};
pub use trim::{TrimError, Trimmed, trim};
pub use way::{BadProxy, Https, Proxy};

/// A body in the API's own shape, without any place.
pub const NO_RESULTS: &str =
    "{\n   \"html_attributions\" : [],\n   \"results\" : [],\n   \"status\" : \"ZERO_RESULTS\"\n}";

/// A source of answers to look-ups.
pub trait Places: Send + Sync {
    /// The body for a client: JSON without two LFs in a row and without an LF at its end.
    ///
    /// It always comes, within a bounded time; an error is reported inside the body.
    fn nearby<'a>(
        &'a self,
        look_up: &'a LookUp,
    ) -> Pin<Box<dyn Future<Output = Vec<u8>> + Send + 'a>>;

    /// The number of tasks that it has in the background, besides one for each of its connections.
    /// By default there are none. The simulator checks that a quiet server has no others.
    fn background_tasks(&self) -> usize {
        0
    }
}

/// Answers every look-up with the same body.
#[derive(Clone, Debug)]
pub struct FixedPlaces {
    body: Vec<u8>,
}

impl FixedPlaces {
    /// Answers with `body`. Repeated LFs are reduced to one, and an LF at its end is removed.
    pub fn new(body: &[u8]) -> Self {
        let body = trim::without_blank_lines(body);
        Self { body }
    }
}

impl Default for FixedPlaces {
    fn default() -> Self {
        Self::new(NO_RESULTS.as_bytes())
    }
}

impl Places for FixedPlaces {
    fn nearby<'a>(&'a self, _: &'a LookUp) -> Pin<Box<dyn Future<Output = Vec<u8>> + Send + 'a>> {
        Box::pin(std::future::ready(self.body.clone()))
    }
}

/// Passes look-ups to one [`Places`] at a time, which can be replaced. A look-up under way keeps
/// the one that it began with.
pub struct Replaceable(RwLock<Arc<dyn Places>>);

impl Replaceable {
    /// Passes look-ups to `places` until it is replaced.
    pub fn new(places: Arc<dyn Places>) -> Self {
        Self(RwLock::new(places))
    }

    /// Passes further look-ups to `places`.
    pub fn replace(&self, places: Arc<dyn Places>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = places;
    }
}

impl Places for Replaceable {
    fn nearby<'a>(
        &'a self,
        look_up: &'a LookUp,
    ) -> Pin<Box<dyn Future<Output = Vec<u8>> + Send + 'a>> {
        let places = Arc::clone(&*self.0.read().unwrap_or_else(PoisonError::into_inner));
        Box::pin(async move { places.nearby(look_up).await })
    }

    fn background_tasks(&self) -> usize {
        let places = self.0.read().unwrap_or_else(PoisonError::into_inner);
        places.background_tasks()
    }
}

#[cfg(test)]
mod tests {
    use super::FixedPlaces;

    #[test]
    fn a_body_ends_where_its_text_does_and_has_no_blank_lines() {
        let places = FixedPlaces::new(b"\n\n{\n\n\n}\n\n");
        assert_eq!(places.body, b"\n{\n}");
    }
}

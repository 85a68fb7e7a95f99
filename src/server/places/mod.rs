//! What is near a place: the question that a server asks, and the text that it answers with.
//!
//! [`HttpPlaces`] sends requests to the Places API. What it requests ([`Query`]), how the answer is cut ([`trim()`])
//! and what a client receives ([`body()`]) are decided by plain functions; only the way between them waits.

mod answer;
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

/// A body in the API's own shape that names no place.
pub const NO_RESULTS: &str =
    "{\n   \"html_attributions\" : [],\n   \"results\" : [],\n   \"status\" : \"ZERO_RESULTS\"\n}";

/// Somebody who knows what is near a place.
pub trait Places: Send + Sync {
    /// The body of the answer: JSON without two LFs in a row and without one at its end.
    ///
    /// It always answers, and in bounded time: what went wrong is said inside the body.
    fn nearby<'a>(
        &'a self,
        look_up: &'a LookUp,
    ) -> Pin<Box<dyn Future<Output = Vec<u8>> + Send + 'a>>;
}

/// Answers every question with the same body.
#[derive(Clone, Debug)]
pub struct FixedPlaces {
    body: Vec<u8>,
}

impl FixedPlaces {
    /// Answers with `body`, which must have no two LFs in a row and none at its end; what does not
    /// fit is taken out.
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

/// Passes look-ups to whatever was put here last. A look-up from before is still answered by what was here then.
pub struct Replaceable(RwLock<Arc<dyn Places>>);

impl Replaceable {
    /// Asks `places` until somebody else is put here.
    pub fn new(places: Arc<dyn Places>) -> Self {
        Self(RwLock::new(places))
    }

    /// Puts `places` here.
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

//! What is near a place: the question that a server asks, and the text that it answers with.
//!
//! For now the answer is fixed. The question is already what Nearby Search needs: metres, exactly,
//! and both coordinates as the client wrote them.

use std::future::Future;
use std::pin::Pin;

use crate::node::LookUp;

/// A body in the API's own shape that names no place.
pub const NO_RESULTS: &str =
    "{\n   \"html_attributions\" : [],\n   \"results\" : [],\n   \"status\" : \"ZERO_RESULTS\"\n}";

/// Somebody who knows what is near a place.
pub trait Places: Send + Sync {
    /// The body of the answer: JSON without two LFs in a row and without one at its end.
    ///
    /// It always answers, and in bounded time: what went wrong is told inside the body.
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
        let mut kept: Vec<u8> = Vec::with_capacity(body.len());
        for &byte in body {
            if byte != b'\n' || kept.last() != Some(&b'\n') {
                kept.push(byte);
            }
        }
        if kept.last() == Some(&b'\n') {
            kept.pop();
        }
        Self { body: kept }
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

#[cfg(test)]
mod tests {
    use super::FixedPlaces;

    #[test]
    fn a_body_ends_where_its_text_does_and_has_no_blank_lines() {
        let places = FixedPlaces::new(b"\n\n{\n\n\n}\n\n");
        assert_eq!(places.body, b"\n{\n}");
    }
}

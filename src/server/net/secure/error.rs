//! The error of invalid credentials.

use std::fmt;

/// Credentials are invalid. Those in force did not change.
///
/// The error contains no part of a key or a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {what}")]
pub struct CredentialsError {
    place: String,
    what: String,
}

impl CredentialsError {
    pub(crate) fn new(place: impl fmt::Display, what: impl Into<String>) -> Self {
        Self {
            place: place.to_string(),
            what: what.into(),
        }
    }
}

//! The key to the Places API, which is secret.

use std::fmt;

/// A key to the Places API. It is printed as `***`, and it can't be serialised.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(String);

/// A text can't be a key: it is empty, or contains anything but visible ASCII characters.
///
/// The error leaves the text out, since it may be a mistyped key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a Places key is one or more visible ASCII characters without blanks")]
pub struct BadKey;

impl ApiKey {
    /// Checks that the text fits into a header as it is.
    pub fn new(text: impl Into<String>) -> Result<Self, BadKey> {
        let text = text.into();
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(BadKey);
        }
        Ok(Self(text))
    }

    /// The text of the key. It belongs into a request and nowhere else.
    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::{ApiKey, BadKey};

    #[test]
    fn a_key_never_shows() {
        let key = ApiKey::new("AIzaSecret").unwrap();
        assert_eq!(
            format!("{key} {key:?} {:?}", Some(&key)),
            "*** *** Some(***)"
        );
    }

    #[test]
    fn what_could_break_a_header_is_no_key() {
        for text in ["", "a b", "a\r\nb", "a\n", "\u{e9}", "a\0"] {
            assert_eq!(ApiKey::new(text), Err(BadKey), "{text:?}");
        }
    }
}

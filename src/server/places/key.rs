//! The key to Places, which nobody may see.

use std::fmt;

/// A key of the Places API. It shows as `***`, and there is no way to serialise it.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(String);

/// Some text is no key: empty, or with something else in it than visible ASCII characters.
///
/// It does not say what the text was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a Places key is one or more visible ASCII characters without blanks")]
pub struct BadKey;

impl ApiKey {
    /// Takes the key if it can be one: it must fit into a header as it is.
    pub fn new(text: impl Into<String>) -> Result<Self, BadKey> {
        let text = text.into();
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(BadKey);
        }
        Ok(Self(text))
    }

    /// The key itself, to be put into a request and nowhere else.
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

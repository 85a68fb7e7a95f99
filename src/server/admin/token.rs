//! The token by which an operator shows that it may change what a server knows.

use std::fmt;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use ring::hmac::{self, HMAC_SHA256};

/// A token may not be shorter, in bytes, or it could be guessed.
const SHORTEST: usize = 16;

/// A file with more in it holds no token: a header would not take it either.
const LONGEST: usize = 4096;

/// A token of an operator. It does not show.
#[derive(Clone)]
pub struct Token {
    text: String,
}

/// Why a file holds no token. No message shows what was found there.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file can't be read.
    #[error("can't read the admin token in `{}`: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// Something else is in it.
    #[error(
        "there is no admin token in `{}`: it is {SHORTEST} to {LONGEST} visible ASCII characters without blanks, \
         such as `openssl rand -hex 32` prints",
        .0.display()
    )]
    NoToken(PathBuf),
}

impl Token {
    /// Takes the token if it can be one: it must not be guessed, and fit into a header as it is.
    fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        let fits = (SHORTEST..=LONGEST).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_graphic());
        fits.then(|| Self {
            text: text.to_owned(),
        })
    }

    /// The token in the file at `path`. White space at its ends is no part of it.
    ///
    /// # Errors
    ///
    /// When the file can't be read, or holds something else.
    pub fn load(path: &Path) -> Result<Self, TokenError> {
        let unreadable = |error| TokenError::Unreadable {
            path: path.to_owned(),
            error,
        };
        let file = std::fs::File::open(path).map_err(unreadable)?;
        let mut bytes = Vec::new();
        // More than fits, so that a longer one is not taken for its beginning.
        let most = LONGEST as u64 + 16;
        file.take(most)
            .read_to_end(&mut bytes)
            .map_err(unreadable)?;
        let text = std::str::from_utf8(&bytes).ok().and_then(Self::new);
        text.ok_or_else(|| TokenError::NoToken(path.to_owned()))
    }

    /// What stands behind `authorization:` in a request that shows the token.
    pub(super) fn authorization(&self) -> String {
        format!("Bearer {}", self.text)
    }

    /// Whether `shown`, the value of an `authorization` header, shows this token. How long that takes says nothing of the
    /// token: what is compared are MACs by it.
    pub(super) fn is_shown_by(&self, shown: &[u8]) -> bool {
        const SCHEME: &[u8] = b"bearer ";
        let Some((scheme, shown)) = shown.split_at_checked(SCHEME.len()) else {
            return false;
        };
        let key = hmac::Key::new(HMAC_SHA256, self.text.as_bytes());
        let own = hmac::sign(&key, self.text.as_bytes());
        let is_same = hmac::verify(&key, shown.trim_ascii(), own.as_ref()).is_ok();
        is_same && scheme.eq_ignore_ascii_case(SCHEME)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The token that is required now, if there is one: it can be replaced while a server runs.
#[derive(Debug, Default)]
pub struct TokenSlot(RwLock<Option<Token>>);

impl TokenSlot {
    /// Asks for `token` until another one is put here.
    pub fn new(token: Option<Token>) -> Self {
        Self(RwLock::new(token))
    }

    /// Asks for `token` from now on; without one nobody may change anything.
    pub fn replace(&self, token: Option<Token>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = token;
    }

    pub(super) fn get(&self) -> Option<Token> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

#[cfg(test)]
mod tests {
    use super::{LONGEST, Token, TokenError};

    const TEXT: &str = "0123456789abcdef";

    #[test]
    fn a_token_is_shown_by_itself_alone_and_never_shows() {
        let token = Token::new(&format!(" {TEXT}\n")).expect("a token");
        for shown in [
            format!("Bearer {TEXT}"),
            format!("bearer  {TEXT} "),
            token.authorization(),
        ] {
            assert!(token.is_shown_by(shown.as_bytes()), "{shown}");
        }
        for shown in [
            String::new(),
            "Bearer".to_owned(),
            "Bearer ".to_owned(),
            TEXT.to_owned(),
            format!("Basic  {TEXT}"),
            format!("Bearer {TEXT}0"),
            format!("Bearer {}", &TEXT[1..]),
            format!("Bearer {}", TEXT.to_ascii_uppercase()),
        ] {
            assert!(!token.is_shown_by(shown.as_bytes()), "{shown}");
        }
        assert_eq!(format!("{token:?}"), "***");
    }

    #[test]
    fn what_can_be_guessed_or_fits_into_no_header_is_no_token() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("token");
        for bytes in [
            &b""[..],
            b"0123456789abcde",
            b"0123456789 abcdef",
            b"0123456789abcdef\xff",
            &[b'x'; LONGEST + 1],
        ] {
            std::fs::write(&path, bytes).expect("written");
            let error = Token::load(&path).expect_err("no token");
            assert!(matches!(error, TokenError::NoToken(_)), "{error}");
        }
        std::fs::write(&path, [b'x'; LONGEST]).expect("written");
        assert!(Token::load(&path).is_ok());
        let error = Token::load(&folder.path().join("none")).expect_err("no file");
        assert!(matches!(error, TokenError::Unreadable { .. }), "{error}");
    }
}

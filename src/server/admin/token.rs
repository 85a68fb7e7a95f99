//! The token that authorises an operator to change a server's records.

use std::fmt;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use ring::hmac::{self, HMAC_SHA256};

/// The shortest token in bytes, since a shorter one could be guessed.
const SHORTEST: usize = 16;

/// The longest token in bytes, so that it fits into a header.
const LONGEST: usize = 4096;

/// An operator's token. Its debug output hides the text.
#[derive(Clone)]
pub struct Token {
    text: String,
}

/// Why a file holds no token. No message shows the file's content.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file can't be read.
    #[error("can't read the admin token in `{}`: {error}", path.display())]
    Unreadable {
        /// The path of the file.
        path: PathBuf,
        /// The error of the system.
        error: io::Error,
    },
    /// The file's content is not a valid token.
    #[error(
        "there is no admin token in `{}`: it is {SHORTEST} to {LONGEST} visible ASCII characters without blanks, \
         such as `openssl rand -hex 32` prints",
        .0.display()
    )]
    NoToken(PathBuf),
}

impl Token {
    /// Checks that a text is long enough not to be guessed, and fits into a header as it is.
    fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        let fits = (SHORTEST..=LONGEST).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_graphic());
        fits.then(|| Self {
            text: text.to_owned(),
        })
    }

    /// Reads the token from the file at `path`, without white space at its ends.
    ///
    /// # Errors
    ///
    /// When the file can't be read, or its content is not a valid token.
    pub fn load(path: &Path) -> Result<Self, TokenError> {
        let unreadable = |error| TokenError::Unreadable {
            path: path.to_owned(),
            error,
        };
        let file = std::fs::File::open(path).map_err(unreadable)?;
        let mut bytes = Vec::new();
        // The limit leaves room for white space, but still exposes a token that is too long.
        let most = LONGEST as u64 + 16;
        file.take(most)
            .read_to_end(&mut bytes)
            .map_err(unreadable)?;
        let text = std::str::from_utf8(&bytes).ok().and_then(Self::new);
        text.ok_or_else(|| TokenError::NoToken(path.to_owned()))
    }

    /// The value of the header `authorization` in a request with this token.
    pub(super) fn authorization(&self) -> String {
        format!("Bearer {}", self.text)
    }

    /// Whether `shown`, the value of an `authorization` header, contains this token. The comparison
    /// takes constant time because it compares MACs.
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

/// The token that is required now, if any. It can be replaced while the server runs.
#[derive(Debug, Default)]
pub struct TokenSlot(RwLock<Option<Token>>);

impl TokenSlot {
    /// Requires `token`, until it is replaced.
    pub fn new(token: Option<Token>) -> Self {
        Self(RwLock::new(token))
    }

    /// Requires `token` from now on. Without a token, all changes are rejected.
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

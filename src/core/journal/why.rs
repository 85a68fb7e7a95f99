//! Why connections and links end.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::protocol::peer::PeerError;

/// Why a connection or a link ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CloseReason {
    /// The other end closed it gracefully.
    Ended,
    /// The system reported an error of this kind.
    Failed(Cow<'static, str>),
    /// Nothing arrived for as long as a connection may be silent.
    Silent,
    /// A line was begun and not ended in time.
    HalfLine,
    /// A line was longer than the limit.
    LineTooLong,
    /// The other end did not read in time what was written.
    Slow,
    /// The other end violated the protocol.
    Protocol(PeerError),
    /// This end refused the greeting, or the other end did, with this reason.
    Refused(Cow<'static, str>),
    /// No greeting arrived in time.
    NoHello,
    /// A client did not complete its TLS handshake in time.
    NoHandshake,
    /// A newer connection of the same neighbour superseded this one.
    Superseded,
    /// This server is stopping.
    Stopping,
    /// The other end stopped gracefully, or the connection served only for a `DIAL`.
    Left,
    /// This server is not synchronised with its neighbours yet.
    Early,
    /// The limit of connections from one address is reached.
    Crowded,
    /// The limit of connections is reached.
    Full,
}

/// `EMFILE` and `ENFILE`, which have the same numbers on every Unix.
const NO_MORE_FILES: i32 = 24;
const NO_MORE_FILES_ANYWHERE: i32 = 23;

const NO_FILES: &str = "too many open files";

impl CloseReason {
    /// Whether this process or the machine is out of descriptors.
    pub fn is_want_of_files(&self) -> bool {
        matches!(self, Self::Failed(why) if why == NO_FILES)
    }
}

/// Kinds of errors whose name says nothing, unlike the error's own words. They are compared as
/// text, since Rust has no stable name for one of them.
const WORDLESS: [&str; 2] = ["other error", "uncategorized error"];

impl From<&std::io::Error> for CloseReason {
    fn from(error: &std::io::Error) -> Self {
        // The kind alone: its words are the same on every system, and no address shows in it. A
        // want of descriptors, which an operator can do something about, has no kind everywhere.
        let code = error.raw_os_error();
        if matches!(code, Some(NO_MORE_FILES | NO_MORE_FILES_ANYWHERE)) {
            return Self::Failed(Cow::Borrowed(NO_FILES));
        }
        let kind = error.kind().to_string();
        let says_nothing = WORDLESS.contains(&kind.as_str());
        Self::Failed(Cow::Owned(if says_nothing {
            error.to_string()
        } else {
            kind
        }))
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended => f.write_str("ended by the other side"),
            Self::Failed(kind) => f.write_str(kind),
            Self::Silent => f.write_str("silent for too long"),
            Self::HalfLine => f.write_str("half a line for too long"),
            Self::LineTooLong => f.write_str("line too long"),
            Self::Slow => f.write_str("reads too slowly"),
            Self::Protocol(error) => write!(f, "protocol error: {error}"),
            Self::Refused(reason) => write!(f, "refused: {reason}"),
            Self::NoHello => f.write_str("no HELLO in time"),
            Self::NoHandshake => f.write_str("no TLS handshake in time"),
            Self::Superseded => f.write_str("superseded by a newer connection"),
            Self::Stopping => f.write_str("stopping"),
            Self::Left => f.write_str("the other side left"),
            Self::Early => f.write_str("not synchronised yet"),
            Self::Crowded => f.write_str("too many from the same address"),
            Self::Full => f.write_str("too many are connected"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Error, ErrorKind};

    use super::CloseReason;

    #[test]
    fn an_error_is_told_by_its_kind_or_else_by_its_own_words() {
        let told = |error: Error| CloseReason::from(&error).to_string();
        let reset = Error::new(ErrorKind::ConnectionReset, "10.0.0.1 is gone");
        assert_eq!(told(reset), "connection reset");
        assert_eq!(told(Error::other("no such host")), "no such host");
        // `EPROTO` of Linux has no kind; error 24 is the want of descriptors.
        let unknown = told(Error::from_raw_os_error(71));
        assert!(!unknown.contains("uncategorized"), "{unknown}");
        assert_eq!(told(Error::from_raw_os_error(24)), "too many open files");
    }
}

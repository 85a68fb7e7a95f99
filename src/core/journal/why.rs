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
    /// The system reported an error; this kind.
    Failed(Cow<'static, str>),
    /// Nothing was heard for as long as one may be silent.
    Silent,
    /// A line was begun and not ended in time.
    HalfLine,
    /// A line was longer than the limit.
    LineTooLong,
    /// The other end did not take what was written in time.
    Slow,
    /// The other end said something that has no place in the protocol.
    Protocol(PeerError),
    /// The greeting was refused, by this end or (with its own words) by the other.
    Refused(Cow<'static, str>),
    /// No greeting came in time.
    NoHello,
    /// A client did not begin to speak TLS in time.
    NoHandshake,
    /// A newer connection of the same neighbour took its place.
    Superseded,
    /// This server is stopping.
    Stopping,
    /// The other end said `BYE` and left, or a server that only wanted to be dialled did.
    Left,
    /// This server has not received yet what its neighbours know.
    Early,
    /// As many as the limit allows are connected from the same address already.
    Crowded,
    /// As many as the limit allows are connected already.
    Full,
}

/// `EMFILE` and `ENFILE`: the same numbers on every Unix.
const NO_MORE_FILES: i32 = 24;
const NO_MORE_FILES_ANYWHERE: i32 = 23;

const NO_FILES: &str = "too many open files";

impl CloseReason {
    /// Whether it is for want of descriptors, of this process or of the machine.
    pub fn is_want_of_files(&self) -> bool {
        matches!(self, Self::Failed(why) if why == NO_FILES)
    }
}

/// Kinds of errors whose name says nothing: the error itself has better words. One of them can't be named otherwise.
const WORDLESS: [&str; 2] = ["other error", "uncategorized error"];

impl From<&std::io::Error> for CloseReason {
    fn from(error: &std::io::Error) -> Self {
        // The kind alone: its words are the same on every system, and no address shows in it. What an operator can do
        // something about may have no kind.
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
        // `EPROTO` of Linux, which has no kind; and no more descriptors.
        let unknown = told(Error::from_raw_os_error(71));
        assert!(!unknown.contains("uncategorized"), "{unknown}");
        assert_eq!(told(Error::from_raw_os_error(24)), "too many open files");
    }
}

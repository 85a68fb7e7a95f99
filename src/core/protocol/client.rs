//! Clients' lines, and the form of the answers to them.
//!
//! ```text
//! IAMAT id location time      ->  AT server skew id location time
//! WHATSAT id radius bound     ->  AT …, LF, JSON, LF LF
//! anything else               ->  ? and a copy of the line
//! ```

use std::fmt;

use super::location::{Location, Radius};
use super::time::Timestamp;
use super::{digits, exactly, fields};

/// The maximum number of places that a client may request.
pub const MOST_PLACES: u8 = 20;

/// A client's valid command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientLine<'a> {
    /// The client reports its location and the time by its clock.
    Iamat {
        /// The client's id: any bytes without white space.
        id: &'a [u8],
        /// The client's location.
        location: Location<'a>,
        /// The time, by the client's clock.
        time: Time<'a>,
    },
    /// The places near a client are requested.
    Whatsat {
        /// The client around which to search.
        id: &'a [u8],
        /// The radius of the search.
        radius: Radius<'a>,
        /// The maximum number of places, 0 to 20.
        bound: u8,
    },
}

/// A time together with its text, since the text is echoed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time<'a> {
    /// The text, as the client wrote it.
    pub text: &'a [u8],
    /// The time that the text means.
    pub value: Timestamp,
}

impl<'a> Time<'a> {
    /// Parses a [`Timestamp`] and keeps its text.
    pub fn parse(text: &'a [u8]) -> Option<Self> {
        Timestamp::parse(text).map(|value| Self { text, value })
    }
}

/// Why a line is answered with `?`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Refusal {
    /// The line has no field.
    Empty,
    /// The first word is neither `IAMAT` nor `WHATSAT`.
    UnknownCommand,
    /// The command is known, but has too few or too many fields.
    FieldCount,
    /// The location is not two signed decimals within range.
    BadLocation,
    /// The time is not digits with an optional fraction of 1 to 9 digits.
    BadTime,
    /// The radius is not within 0 to 50 kilometres.
    BadRadius,
    /// The bound is not a whole number from 0 to 20.
    BadBound,
    /// A WHATSAT is about a client that this server does not know.
    UnknownClient,
    /// The line is longer than the limit; the connection closes after the answer.
    TooLong,
    /// A ceiling of this server leaves no room for a new client or a longer record.
    Full,
    /// The time is further ahead of the server's clock than the limit. It would win over all later
    /// updates of the client.
    FutureTime,
    /// The server answers an update when it is on its disk, and its disk takes nothing.
    NotSaved,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "empty line",
            Self::UnknownCommand => "unknown command",
            Self::FieldCount => "wrong number of fields",
            Self::BadLocation => "bad location",
            Self::BadTime => "bad time",
            Self::BadRadius => "bad radius",
            Self::BadBound => "bad bound",
            Self::UnknownClient => "unknown client",
            Self::TooLong => "line too long",
            Self::Full => "no room for another client",
            Self::FutureTime => "time too far ahead of the server's clock",
            Self::NotSaved => "the disk takes no records",
        })
    }
}

impl<'a> ClientLine<'a> {
    /// Parses one line without its terminator.
    pub fn parse(line: &'a [u8]) -> Result<Self, Refusal> {
        let mut fields = fields(line);
        match fields.next() {
            None => Err(Refusal::Empty),
            Some(b"IAMAT") => Self::parse_iamat(fields),
            Some(b"WHATSAT") => Self::parse_whatsat(fields),
            Some(_) => Err(Refusal::UnknownCommand),
        }
    }

    fn parse_iamat(rest: impl Iterator<Item = &'a [u8]>) -> Result<Self, Refusal> {
        let [id, location, time] = exactly(rest).ok_or(Refusal::FieldCount)?;
        Ok(Self::Iamat {
            id,
            location: Location::parse(location).ok_or(Refusal::BadLocation)?,
            time: Time::parse(time).ok_or(Refusal::BadTime)?,
        })
    }

    fn parse_whatsat(rest: impl Iterator<Item = &'a [u8]>) -> Result<Self, Refusal> {
        let [id, radius, bound] = exactly(rest).ok_or(Refusal::FieldCount)?;
        Ok(Self::Whatsat {
            id,
            radius: Radius::parse(radius).ok_or(Refusal::BadRadius)?,
            bound: digits(bound)
                .filter(|&bound| bound <= MOST_PLACES)
                .ok_or(Refusal::BadBound)?,
        })
    }

    /// Appends the line as a client would write it, without its terminator.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        match self {
            Self::Iamat { id, location, time } => {
                join(out, &[b"IAMAT", id, location.text(), time.text]);
            }
            Self::Whatsat { id, radius, bound } => {
                let bound = bound.to_string();
                join(out, &[b"WHATSAT", id, radius.text(), bound.as_bytes()]);
            }
        }
    }
}

/// Appends `words` with one space between each two.
pub(crate) fn join(out: &mut Vec<u8>, words: &[&[u8]]) {
    for (position, word) in words.iter().enumerate() {
        if position > 0 {
            out.push(b' ');
        }
        out.extend_from_slice(word);
    }
}

/// Appends the answer to a line that is refused: `? `, the line's own bytes, LF.
pub fn write_refusal(out: &mut Vec<u8>, line: &[u8]) {
    out.extend_from_slice(b"? ");
    out.extend_from_slice(line);
    out.push(b'\n');
}

//! What a herd knows of one client: the newest IAMAT, and which server heard it.
//!
//! A record keeps its canonical text, `server skew id location time`: exactly what stands behind
//! `AT ` in the answer to a client. So answering and forwarding copy bytes and format nothing.

use std::cmp::Ordering;
use std::fmt;

use super::client::Time;
use super::location::Location;
use super::time::{Skew, Timestamp};
use super::{escape, exactly, fields};

/// A client's newest known place. Ordered by the [merge rule](Record::supersedes), not derived.
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    text: Box<[u8]>,
    /// Where each of the five fields ends in `text`; each next one begins a space later.
    ends: [u32; 5],
    time: Timestamp,
}

impl Record {
    /// The record that `server` makes of an IAMAT when its clock shows `clock`.
    pub fn new(
        server: &str,
        clock: Timestamp,
        id: &[u8],
        location: Location<'_>,
        time: Time<'_>,
    ) -> Self {
        let skew = Skew::between(clock, time.value);
        Self::from_parts(
            [
                server.as_bytes(),
                skew.text().as_bytes(),
                id,
                location.text(),
                time.text,
            ],
            time.value,
        )
    }

    fn from_parts(parts: [&[u8]; 5], time: Timestamp) -> Self {
        // Exactly as much as it takes, or a boxed slice would be made by copying it once more.
        let length: usize = parts.iter().map(|part| part.len()).sum();
        let mut text = Vec::with_capacity(length + parts.len() - 1);
        let mut ends = [0; 5];
        for (part, end) in parts.iter().zip(&mut ends) {
            if !text.is_empty() {
                text.push(b' ');
            }
            text.extend_from_slice(part);
            // Lines are bounded far below 4 GiB where they are read.
            *end = u32::try_from(text.len()).unwrap_or(u32::MAX);
        }
        Self {
            text: text.into_boxed_slice(),
            ends,
            time,
        }
    }

    /// Parses the five fields `server skew id location time`, each as strictly as where it was born.
    pub fn parse(text: &[u8]) -> Option<Self> {
        Self::from_fields(exactly(fields(text))?)
    }

    /// As [`parse`](Self::parse), from fields that were split already.
    pub fn from_fields(parts: [&[u8]; 5]) -> Option<Self> {
        let [server, skew, _, location, time] = parts;
        if !is_name(server) {
            return None;
        }
        Location::parse(location)?;
        let time = Timestamp::parse(time)?;
        Skew::parse(skew)?;
        Some(Self::from_parts(parts, time))
    }

    fn field(&self, index: usize) -> &[u8] {
        let from = match index {
            0 => 0,
            _ => self.ends[index - 1] as usize + 1,
        };
        &self.text[from..self.ends[index] as usize]
    }

    /// `server skew id location time`.
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// The server that heard it from the client.
    pub fn origin(&self) -> &[u8] {
        self.field(0)
    }

    /// That server's clock less the client's time, as text.
    pub fn skew_text(&self) -> &[u8] {
        self.field(1)
    }

    /// The client.
    pub fn id(&self) -> &[u8] {
        self.field(2)
    }

    /// Where it is, as it wrote it.
    pub fn location(&self) -> &[u8] {
        self.field(3)
    }

    /// When, by its own clock, as it wrote it.
    pub fn time_text(&self) -> &[u8] {
        self.field(4)
    }

    /// When, by its own clock.
    pub fn time(&self) -> Timestamp {
        self.time
    }

    /// When its origin heard it, by the origin's clock: the time plus the skew, which the client's clock does not touch.
    pub fn heard_at(&self) -> Timestamp {
        let skew = Skew::parse(self.skew_text()).map_or(0, Skew::as_nanos);
        let heard = self.time.as_nanos().saturating_add(skew);
        // A skew that leads to before 1970 is a lie, whatever it says.
        Timestamp::from_nanos(u128::try_from(heard).unwrap_or_default())
    }

    /// Whether this record replaces `other` of the same client.
    ///
    /// The merge is the maximum of a total order, so it is commutative, associative and idempotent,
    /// and servers that were told different things with the same time still agree. It never asks a
    /// clock. Newer time first; then the bytes of place and time; then the *smaller* skew, so that a
    /// client that repeats a line word for word (a retry) changes nothing; then the origin.
    pub fn supersedes(&self, other: &Self) -> bool {
        self.order(other) == Ordering::Greater
    }

    /// The total order behind [`supersedes`](Self::supersedes): greater wins.
    pub fn order(&self, other: &Self) -> Ordering {
        (self.time.cmp(&other.time))
            .then_with(|| self.location().cmp(other.location()))
            .then_with(|| self.time_text().cmp(other.time_text()))
            .then_with(|| Skew::parse(other.skew_text()).cmp(&Skew::parse(self.skew_text())))
            .then_with(|| self.origin().cmp(other.origin()))
            .then_with(|| self.text.cmp(&other.text))
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Record({})", escape(&self.text))
    }
}

/// Whether `name` can name a server or a herd: 1 to 64 ASCII letters, digits, `_`, `.` or `-`,
/// beginning with a letter.
pub fn is_name(name: &[u8]) -> bool {
    name.len() <= 64
        && name.first().is_some_and(u8::is_ascii_alphabetic)
        && name
            .iter()
            .all(|&byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
}

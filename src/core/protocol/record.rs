//! A client's record: the newest IAMAT, and which server received it.
//!
//! A record keeps its canonical text, `server skew id location time`, which is exactly what follows
//! `AT ` in the answer to a client. So answering and forwarding copy bytes and format nothing.

use std::cmp::Ordering;
use std::fmt;

use super::client::Time;
use super::location::Location;
use super::time::{Skew, Timestamp};
use super::{escape, exactly, fields};

/// A client's newest known location, ordered by the [merge rule](Record::supersedes).
///
/// If an operator had the client forgotten, the record is a tombstone: it has no location, and its
/// time is that of the operator's request.
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    text: Box<[u8]>,
    /// The end of each of the five fields in `text`; the next field begins one byte later.
    ends: [u32; 5],
    time: Timestamp,
    /// How often the client had been forgotten when this record was received: see
    /// [`generation`](Self::generation).
    generation: u32,
}

/// A tombstone's location.
const NOWHERE: &[u8] = b"-";

/// A tombstone's skew: its time is by the server's own clock.
const NO_SKEW: &[u8] = b"+0.000000000";

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
            0,
        )
    }

    /// The tombstone by which `server` begins a generation of the client when its clock shows
    /// `clock`. Generation 0 has no tombstone.
    pub fn tombstone(server: &str, clock: Timestamp, id: &[u8], generation: u32) -> Self {
        let time = clock.to_string();
        let parts = [server.as_bytes(), NO_SKEW, id, NOWHERE, time.as_bytes()];
        Self::from_parts(parts, clock, generation)
    }

    /// This record in another generation.
    #[must_use]
    pub fn in_generation(self, generation: u32) -> Self {
        Self { generation, ..self }
    }

    fn from_parts(parts: [&[u8]; 5], time: Timestamp, generation: u32) -> Self {
        // Exactly the needed capacity, or the boxed slice would be made by another copy.
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
            generation,
        }
    }

    /// Parses the five fields `server skew id location time`, each as strictly as at the origin.
    pub fn parse(text: &[u8]) -> Option<Self> {
        Self::from_fields(exactly(fields(text))?, 0)
    }

    /// As [`parse`](Self::parse), from fields that are split already, in a generation. From
    /// generation 1 on, the record may be a tombstone.
    pub fn from_fields(parts: [&[u8]; 5], generation: u32) -> Option<Self> {
        let [server, skew, _, location, time] = parts;
        if !is_name(server) {
            return None;
        }
        if location == NOWHERE {
            (generation > 0 && skew == NO_SKEW).then_some(())?;
        } else {
            Location::parse(location)?;
        }
        let time = Timestamp::parse(time)?;
        Skew::parse(skew)?;
        Some(Self::from_parts(parts, time, generation))
    }

    /// How often an operator had had the client forgotten when this record was received: 0 for
    /// nearly all. All records of a generation are newer than those of earlier ones, whatever times
    /// clients gave.
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// Whether this record says that the client is forgotten, and not where it is.
    pub fn is_tombstone(&self) -> bool {
        self.location() == NOWHERE
    }

    fn field(&self, index: usize) -> &[u8] {
        let from = match index {
            0 => 0,
            _ => self.ends[index - 1] as usize + 1,
        };
        &self.text[from..self.ends[index] as usize]
    }

    /// The fields `server skew id location time`, with a space between them.
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// The server that received the record from the client.
    pub fn origin(&self) -> &[u8] {
        self.field(0)
    }

    /// The origin's clock less the client's time, as text.
    pub fn skew_text(&self) -> &[u8] {
        self.field(1)
    }

    /// The client's id.
    pub fn id(&self) -> &[u8] {
        self.field(2)
    }

    /// The location, as the client wrote it; `-` in a tombstone.
    pub fn location(&self) -> &[u8] {
        self.field(3)
    }

    /// The time by the client's clock, as the client wrote it.
    pub fn time_text(&self) -> &[u8] {
        self.field(4)
    }

    /// The time by the client's clock.
    pub fn time(&self) -> Timestamp {
        self.time
    }

    /// When the origin received the record, by the origin's clock: the time plus the skew, in which
    /// the client's clock cancels out.
    pub fn heard_at(&self) -> Timestamp {
        let skew = Skew::parse(self.skew_text()).map_or(0, Skew::as_nanos);
        let heard = self.time.as_nanos().saturating_add(skew);
        // A false skew may lead to before 1970, which then counts as 1970.
        Timestamp::from_nanos(u128::try_from(heard).unwrap_or_default())
    }

    /// Whether this record replaces `other` of the same client.
    ///
    /// The merge is the maximum of a total order, so it is commutative, associative and idempotent,
    /// and servers that received different records with the same time still agree. It reads no
    /// clock. The later generation wins. Within a generation any record wins over the tombstone
    /// that began it; then the newer time; then the greater bytes of location and time; then the
    /// *smaller* skew, so that a client's retry, word for word, changes nothing; then the greater
    /// origin.
    pub fn supersedes(&self, other: &Self) -> bool {
        self.order(other) == Ordering::Greater
    }

    /// Whether neither generation nor time decides which of this and `other` is newer, so that the
    /// tie is broken otherwise.
    pub fn ties(&self, other: &Self) -> bool {
        let rank = |record: &Self| (record.generation, record.is_tombstone(), record.time);
        rank(self) == rank(other)
    }

    /// The total order behind [`supersedes`](Self::supersedes): greater wins.
    pub fn order(&self, other: &Self) -> Ordering {
        (self.generation.cmp(&other.generation))
            .then_with(|| other.is_tombstone().cmp(&self.is_tombstone()))
            .then_with(|| self.time.cmp(&other.time))
            .then_with(|| self.location().cmp(other.location()))
            .then_with(|| self.time_text().cmp(other.time_text()))
            .then_with(|| Skew::parse(other.skew_text()).cmp(&Skew::parse(self.skew_text())))
            .then_with(|| self.origin().cmp(other.origin()))
            .then_with(|| self.text.cmp(&other.text))
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Record({}", escape(&self.text))?;
        if self.generation > 0 {
            write!(f, ", generation {}", self.generation)?;
        }
        f.write_str(")")
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

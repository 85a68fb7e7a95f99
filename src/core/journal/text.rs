//! Bytes and records as events carry them: borrowed where that suffices.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::protocol::record::Record;
use crate::protocol::{escape, unescape};

/// Bytes that need not be UTF-8. In JSON they are a string that loses nothing (see [`escape`]).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text<'a>(pub Cow<'a, [u8]>);

impl Text<'_> {
    /// The same bytes, owned.
    pub fn into_owned(self) -> Text<'static> {
        Text(Cow::Owned(self.0.into_owned()))
    }
}

impl<'a> From<&'a [u8]> for Text<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self(Cow::Borrowed(bytes))
    }
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&escape(&self.0))
    }
}

impl fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

impl Serialize for Text<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Text<'_> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        unescape(&text)
            .map(|bytes| Self(Cow::Owned(bytes)))
            .ok_or_else(|| serde::de::Error::custom("a backslash that begins no escape"))
    }
}

/// A record's five fields, as an event carries them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordText<'a> {
    /// The client's id.
    pub client: Text<'a>,
    /// The location, as the client wrote it.
    pub location: Text<'a>,
    /// The time by the client's clock, as the client wrote it.
    pub time: Text<'a>,
    /// The server that received the record from the client.
    pub origin: Text<'a>,
    /// The origin's clock less the client's time.
    pub skew: Text<'a>,
}

impl<'a> From<&'a Record> for RecordText<'a> {
    fn from(record: &'a Record) -> Self {
        Self {
            client: record.id().into(),
            location: record.location().into(),
            time: record.time_text().into(),
            origin: record.origin().into(),
            skew: record.skew_text().into(),
        }
    }
}

impl RecordText<'_> {
    /// The record's own text, `server skew id location time`, which distinguishes updates.
    pub fn text(&self) -> Vec<u8> {
        let fields = [
            &self.origin,
            &self.skew,
            &self.client,
            &self.location,
            &self.time,
        ];
        fields.map(|field| field.0.as_ref()).join(&b' ')
    }

    /// Whether it stands for a client that was forgotten.
    pub fn is_tombstone(&self) -> bool {
        *self.location.0 == *b"-"
    }

    /// The same record, owning its bytes.
    pub fn into_owned(self) -> RecordText<'static> {
        RecordText {
            client: self.client.into_owned(),
            location: self.location.into_owned(),
            time: self.time.into_owned(),
            origin: self.origin.into_owned(),
            skew: self.skew.into_owned(),
        }
    }
}

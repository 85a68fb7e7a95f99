//! Fields of a file that are declared as values: of steps, of expectations, of timers. Reading, schema and reference
//! are made from the declarations.

use std::borrow::Cow;
use std::fmt::Write as _;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::MapAccess;
use serde_json::{Value, json};

use super::counts::CountRange;
use super::event::RawEvent;
use super::server::RawServer;
use super::steps::{Means, Replies};
use crate::diag::Span;
use crate::document::{self, Entries, Located, OneOrMany, Section, Table, TextOr, property};
use crate::trace::state::LinkState;
use crate::units::{DurationText, LatencyRange};

/// A field.
#[derive(Clone, Copy)]
pub(crate) struct Field {
    pub(super) name: &'static str,
    pub(super) holds: Holds,
    /// The least and the most that a number may be. For the schema; who reads it checks it.
    pub(super) range: Option<(u32, u32)>,
    /// How the reference shows it, if not by its name alone.
    example: Option<&'static str>,
    /// More of what it says, for the schema. The reference says it where it has more room than a table's.
    details: Option<&'static str>,
    /// What it says, in sentences that stand in the schema and in the reference.
    about: &'static str,
}

/// A field that the reference shows by its name.
pub(super) const fn field(name: &'static str, holds: Holds, about: &'static str) -> Field {
    Field {
        name,
        holds,
        range: None,
        example: None,
        details: None,
        about,
    }
}

impl Field {
    /// The same, shown in the reference with a value.
    pub(super) const fn written(mut self, example: &'static str) -> Self {
        self.example = Some(example);
        self
    }

    /// The same, with more to say in the schema.
    pub(super) const fn details(mut self, details: &'static str) -> Self {
        self.details = Some(details);
        self
    }

    /// The same, a number from `least` to `most`.
    pub(super) const fn from(mut self, least: u32, most: u32) -> Self {
        self.range = Some((least, most));
        self
    }

    fn words(&self) -> String {
        let details = self.details.map(|details| format!("\n\n{details}"));
        [self.about, &details.unwrap_or_default()].concat()
    }

    fn property(&self, generator: &mut SchemaGenerator) -> (String, Value) {
        let (name, mut schema) = self.holds.property(generator, self.name, &self.words());
        if let (Some((least, most)), Value::Object(schema)) = (self.range, &mut schema) {
            schema.insert("minimum".to_owned(), json!(least));
            schema.insert("maximum".to_owned(), json!(most));
        }
        (name, schema)
    }
}

/// A table of fields in Markdown.
pub(super) fn reference(fields: &[Field]) -> String {
    let mut table = String::from("| field | says |\n|---|---|\n");
    for field in fields {
        let shown = field.example.unwrap_or(field.name);
        let _ = writeln!(table, "| `{shown}` | {} |", field.about);
    }
    table
}

/// Each field once, by its name, in the order in which they first come. What several say of one is said in turn. For
/// the life of the process.
pub(super) fn each_once<'f>(fields: impl Iterator<Item = &'f Field>) -> Vec<Field> {
    let mut found: Vec<Field> = Vec::new();
    for field in fields {
        match found.iter_mut().find(|other| other.name == field.name) {
            None => found.push(*field),
            Some(other) if other.about.contains(field.about) => {}
            Some(other) => other.about = format!("{}\n\n{}", other.about, field.about).leak(),
        }
    }
    found
}

/// `a, b or c`.
pub(super) fn listed(words: &[String], last: &str) -> String {
    match words {
        [before @ .., end] if !before.is_empty() => {
            format!("{} {last} {end}", before.join(", "))
        }
        _ => words.concat(),
    }
}

/// A kind of tables of a scenario's file.
pub(crate) trait Fields {
    /// What the schema calls it.
    const NAME: &'static str;

    /// What the schema says of it.
    const ABOUT: &'static str;

    /// Its fields, no two of the same name.
    fn fields() -> &'static [Field];

    /// Their names.
    fn names() -> &'static [&'static str];
}

impl<K: Fields> document::Fields for K {
    type Value = RawValue;

    fn names() -> &'static [&'static str] {
        K::names()
    }

    fn read<'de, A: MapAccess<'de>>(name: &str, map: &mut A) -> Result<RawValue, A::Error> {
        let field = K::fields().iter().find(|field| field.name == name);
        field.map_or(Holds::Text, |field| field.holds).read(map)
    }
}

/// Gives a kind of tables its fields, which are worked out once.
macro_rules! fields {
    ($(#[$doc:meta])* $kind:ident, $name:literal, $about:literal, $fields:expr) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub(crate) struct $kind;

        impl $crate::scenario::fields::Fields for $kind {
            const NAME: &'static str = $name;
            const ABOUT: &'static str = $about;

            fn fields() -> &'static [$crate::scenario::fields::Field] {
                static FIELDS: std::sync::LazyLock<Vec<$crate::scenario::fields::Field>> =
                    std::sync::LazyLock::new($fields);
                &FIELDS
            }

            fn names() -> &'static [&'static str] {
                static NAMES: std::sync::LazyLock<Vec<&str>> =
                    std::sync::LazyLock::new(|| $kind::fields().iter().map(|field| field.name).collect());
                &NAMES
            }
        }
    };
}

pub(super) use fields;

impl<K: Fields> JsonSchema for Table<K> {
    fn schema_name() -> Cow<'static, str> {
        K::NAME.into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let fields = K::fields().iter();
        let properties: Vec<_> = fields.map(|field| field.property(generator)).collect();
        document::table_of(K::ABOUT, properties)
    }
}

impl<K: Fields> Table<K> {
    /// The value of a field, if it is given. A field that is declared to hold something else is as good as not given.
    pub(super) fn value<T: Written>(&self, field: &str) -> Option<&T> {
        self.get(field).and_then(T::of)
    }
}

/// Lists what fields can hold, and the type that reads it. No type is listed twice.
macro_rules! holds {
    ($($(#[$doc:meta])* $name:ident($type:ty),)*) => {
        /// What a field holds.
        #[derive(Clone, Copy)]
        pub(crate) enum Holds {
            $($(#[$doc])* $name,)*
        }

        /// The value of a field.
        #[derive(Debug)]
        pub(crate) enum RawValue {
            $($name($type),)*
        }

        impl Holds {
            fn read<'de, A: MapAccess<'de>>(self, map: &mut A) -> Result<RawValue, A::Error> {
                Ok(match self {
                    $(Self::$name => RawValue::$name(map.next_value()?),)*
                })
            }

            fn property(self, generator: &mut SchemaGenerator, name: &str, about: &str) -> (String, Value) {
                match self {
                    $(Self::$name => property::<$type>(generator, name, about),)*
                }
            }
        }

        impl RawValue {
            /// Where it stands; nowhere if it is a table with nothing in it.
            pub(super) fn place(&self) -> Option<Span> {
                match self {
                    $(Self::$name(value) => value.place(),)*
                }
            }
        }

        $(impl Written for $type {
            fn of(value: &RawValue) -> Option<&Self> {
                match value {
                    RawValue::$name(value) => Some(value),
                    _ => None,
                }
            }
        })*
    };
}

holds! {
    /// A text.
    Text(Located<String>),
    /// A name, or a list of them.
    Names(OneOrMany),
    /// A number of something that is counted.
    Count(Located<u64>),
    /// A number of something that takes place or memory.
    Number(Located<u32>),
    /// So many of a hundred.
    Percent(Located<u8>),
    /// `true`.
    Flag(Located<bool>),
    /// A duration, or a moment of the run.
    Duration(Located<DurationText>),
    /// A latency, or a range of them.
    Latency(Located<LatencyRange>),
    /// The state of a link.
    State(Located<LinkState>),
    /// A number of something that is counted, or a range of them.
    Amount(Located<CountRange>),
    /// The same for each server.
    Amounts(Entries<Located<CountRange>>),
    /// Something that happens.
    Event(Located<TextOr<RawEvent>>),
    /// A path for each server.
    Paths(Entries<OneOrMany>),
    /// What must be answered to each line.
    Replies(Replies),
    /// Kinds of faults, each with the mean time from one to the next.
    Means(Section<Table<Means>>),
    /// Settings of servers.
    Settings(Section<RawServer>),
}

/// A type of values of fields.
pub(crate) trait Written: Placed {
    fn of(value: &RawValue) -> Option<&Self>;
}

/// Something that stands somewhere in a file.
pub(crate) trait Placed {
    fn place(&self) -> Option<Span>;
}

impl<T> Placed for Located<T> {
    fn place(&self) -> Option<Span> {
        Some(self.span())
    }
}

impl<T> Placed for Section<T> {
    fn place(&self) -> Option<Span> {
        Some(self.span())
    }
}

impl Placed for OneOrMany {
    fn place(&self) -> Option<Span> {
        Some(self.span())
    }
}

impl Placed for Replies {
    fn place(&self) -> Option<Span> {
        Some(self.span())
    }
}

impl<T> Placed for Entries<T> {
    fn place(&self) -> Option<Span> {
        let (name, _) = self.first()?;
        Some(name.span())
    }
}

//! Expectations as a file says them, what its schema says of that, and how they are read.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::LazyLock;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;
use serde::de::MapAccess;
use serde_json::Value;

use super::{Expect, Expected, declarations};
use crate::diag::{Problem, Span};
use crate::document::{
    Declared, Entries, Extended, Located, OneOrMany, Section, property, with_properties,
};
use crate::scenario::expand::each_client;
use crate::scenario::updates::planned;
use crate::scenario::validate::Context;
use crate::scenario::{PlannedUpdate, Step};
use crate::trace::state::LinkState;
use crate::units::{DurationText, format_duration};

/// What a file can say of a kind of expectation.
pub(super) struct Declaration {
    /// The field that says what the expectation is about. No other kind has it.
    pub(super) subject: Field,
    /// The fields that say what must be true of that. Other kinds may have the same.
    pub(super) fields: &'static [Field],
    /// Reads an expectation whose subject is given; none if it is wrong, which is reported.
    pub(super) read: fn(&mut Reading<'_, '_, '_>) -> Option<Expected>,
}

/// A field of an expectation.
#[derive(Clone, Copy)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) holds: Holds,
    /// How it is written in the reference, if not by its name alone.
    example: Option<&'static str>,
    /// What it says, in a sentence that stands in the schema and in the reference.
    pub(super) about: &'static str,
}

/// A field that the reference shows by its name.
pub(super) const fn field(name: &'static str, holds: Holds, about: &'static str) -> Field {
    Field {
        name,
        holds,
        example: None,
        about,
    }
}

impl Field {
    /// The same, shown in the reference with a value.
    pub(super) const fn written(self, example: &'static str) -> Self {
        Self {
            example: Some(example),
            ..self
        }
    }
}

/// A table in Markdown of what can be expected of a subject; none if there is no such subject.
pub(in crate::scenario) fn table(subject: &str) -> Option<String> {
    let kind = declarations().find(|kind| kind.subject.name == subject)?;
    let mut table = String::from("| field | says |\n|---|---|\n");
    for Field {
        name,
        example,
        about,
        ..
    } in kind.fields
    {
        let _ = writeln!(table, "| `{}` | {about} |", example.unwrap_or(name));
    }
    Some(table)
}

/// When to look at a server or a link.
pub(super) const AT: Field = field("at", Holds::Duration, "The moment at which a server or a link is looked at, after all that happened at that moment; by default the end of the run.").written("at = \"3s\"");

/// Lists what fields can hold, and the type that reads it. No type is listed twice.
macro_rules! holds {
    ($($(#[$doc:meta])* $name:ident($type:ty),)*) => {
        /// What a field holds.
        #[derive(Clone, Copy)]
        pub(super) enum Holds {
            $($(#[$doc])* $name,)*
        }

        /// The value of a field.
        #[derive(Debug)]
        pub(in crate::scenario) enum RawValue {
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
            fn place(&self) -> Option<Span> {
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
    /// A number.
    Count(Located<u64>),
    /// `true`.
    Flag(Located<bool>),
    /// A duration, or a moment of the run.
    Duration(Located<DurationText>),
    /// The state of a link.
    State(Located<LinkState>),
    /// A number for each server.
    Counts(Entries<Located<u32>>),
    /// A path for each server.
    Paths(Entries<OneOrMany>),
}

/// A type of values of fields.
pub(super) trait Written: Placed {
    fn of(value: &RawValue) -> Option<&Self>;
}

/// Something that stands somewhere in a file.
pub(super) trait Placed {
    fn place(&self) -> Option<Span>;
}

impl<T> Placed for Located<T> {
    fn place(&self) -> Option<Span> {
        Some(self.span())
    }
}

impl Placed for OneOrMany {
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

/// All fields of all kinds, each once.
fn fields() -> &'static [Field] {
    static FIELDS: LazyLock<Vec<Field>> = LazyLock::new(|| {
        let subjects = declarations().map(|kind| &kind.subject);
        let others = declarations().flat_map(|kind| kind.fields);
        let mut found: Vec<Field> = Vec::new();
        for field in subjects.chain(others) {
            if found.iter().all(|other| other.name != field.name) {
                found.push(*field);
            }
        }
        found
    });
    &FIELDS
}

impl Declared for RawValue {
    fn names() -> &'static [&'static str] {
        static NAMES: LazyLock<Vec<&str>> =
            LazyLock::new(|| fields().iter().map(|field| field.name).collect());
        &NAMES
    }

    fn read<'de, A: MapAccess<'de>>(name: &str, map: &mut A) -> Result<Self, A::Error> {
        let field = fields().iter().find(|field| field.name == name);
        field.map_or(Holds::Text, |field| field.holds).read(map)
    }
}

/// Something that is expected. It is about one of `update`, `server`, `link`, `log`, `workload`, `client` and
/// `invariant`; the other fields say what must be true of that.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "Expect")]
#[serde(deny_unknown_fields)]
pub(in crate::scenario) struct NoFields {}

/// An expectation as written.
pub(in crate::scenario) type RawExpect = Extended<NoFields, RawValue>;

impl JsonSchema for RawExpect {
    fn schema_name() -> Cow<'static, str> {
        NoFields::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let all = fields().iter();
        let all = all.map(|field| field.holds.property(generator, field.name, field.about));
        let all: Vec<_> = all.collect();
        with_properties(NoFields::json_schema(generator), all)
    }
}

/// What expectations can speak of; nothing of the steps if those are wrong.
pub(in crate::scenario) struct Known<'a> {
    /// As written, but for steps of many clients, which are a step for each.
    pub(in crate::scenario) steps: Option<Vec<Step>>,
    /// As written.
    pub(in crate::scenario) written: Option<&'a [Step]>,
    /// What those steps send.
    pub(in crate::scenario) updates: Option<Vec<PlannedUpdate>>,
    /// When the run ends.
    pub(super) end: Option<Duration>,
}

impl Context<'_> {
    /// The expectations, in the order of the file.
    pub(in crate::scenario) fn expects(
        &mut self,
        raw: Option<&Located<Vec<Section<RawExpect>>>>,
        steps: Option<&[Step]>,
        end: Option<Duration>,
    ) -> Vec<Expect> {
        let plain = steps.map(each_client);
        let known = Known {
            updates: plain.as_deref().map(planned),
            steps: plain,
            written: steps,
            end,
        };
        let expects = raw.iter().flat_map(|list| list.iter());
        let read = expects.filter_map(|raw| {
            let kind = self.kind(raw)?;
            let mut reading = Reading {
                cx: self,
                raw,
                known: &known,
            };
            reading.check_fields_fit(kind);
            let what = (kind.read)(&mut reading)?;
            let span = raw.span();
            Some(Expect { span, what })
        });
        let expects: Vec<Expect> = read.collect();
        self.warn_of_unexpected(&known, &expects);
        expects
    }

    /// The kind of the one thing that an expectation is about.
    fn kind(&mut self, raw: &Section<RawExpect>) -> Option<&'static Declaration> {
        let mut kinds = declarations().filter_map(|kind| {
            let subject = raw.get(kind.subject.name)?;
            Some((kind, subject.place()?))
        });
        let first = kinds.next();
        for (kind, span) in kinds {
            let message = format!(
                "an expectation is about one thing, and `{}` is a second one",
                kind.subject.name
            );
            let mut problem = Problem::error(self.source, span, message);
            if let Some((first, place)) = &first {
                let first = format!("the first is `{}`", first.subject.name);
                problem = problem.also(place.clone(), first);
            }
            self.report(problem.help("make two `[[expect]]` of it"));
        }
        if first.is_none() && !self.damage.is_at(&raw.span()) {
            let subjects: Vec<String> = declarations()
                .map(|kind| format!("`{}`", kind.subject.name))
                .collect();
            let subjects = one_of(&subjects, "or");
            let message = format!("an expectation needs to be about something: {subjects}");
            self.error(raw.span(), message);
        }
        first.map(|(kind, _)| kind)
    }
}

/// `a, b or c`.
fn one_of(words: &[String], last: &str) -> String {
    match words {
        [before @ .., end] if !before.is_empty() => {
            format!("{} {last} {end}", before.join(", "))
        }
        _ => words.concat(),
    }
}

/// An expectation while it is read.
pub(super) struct Reading<'r, 'c, 's> {
    pub(super) cx: &'c mut Context<'s>,
    pub(super) raw: &'r Section<RawExpect>,
    pub(super) known: &'r Known<'r>,
}

impl<'r> Reading<'r, '_, '_> {
    /// The value of a field, if it is given. A field that is declared to hold something else is as good as not given.
    pub(super) fn get<T: Written>(&self, field: &str) -> Option<&'r T> {
        self.raw.get(field).and_then(T::of)
    }

    /// The number that a field holds.
    pub(super) fn count(&self, field: &str) -> Option<u64> {
        self.get::<Located<u64>>(field).map(|count| **count)
    }

    /// Whether a field that holds something is given; a table with nothing in it holds nothing.
    pub(super) fn has(&self, field: &str) -> bool {
        let value = self.raw.get(field);
        value.is_some_and(|value| match value {
            RawValue::Flag(flag) => **flag,
            value => value.place().is_some(),
        })
    }

    /// Reports that nothing is expected if none of these fields is given. The file is checked and not what was read of
    /// it: a check may be missing because its servers are wrong.
    pub(super) fn needs_one_of(&mut self, fields: &[&str]) {
        if !fields.iter().any(|field| self.has(field)) {
            let written: Vec<String> = (fields.iter())
                .map(
                    |name| match self::fields().iter().find(|field| field.name == *name) {
                        Some(field) if matches!(field.holds, Holds::Flag) => {
                            format!("`{name} = true`")
                        }
                        _ => format!("`{name}`"),
                    },
                )
                .collect();
            self.nothing_expected(&format!("give one of {}", one_of(&written, "and")));
        }
    }

    /// Reports that nothing is expected of the subject.
    pub(super) fn nothing_expected(&mut self, help: &str) {
        if !self.cx.damage.is_at(&self.raw.span()) {
            let problem =
                Problem::error(self.cx.source, self.raw.span(), "nothing is expected here");
            self.cx.report(problem.help(help));
        }
    }

    /// Reports a list without anything in it.
    pub(super) fn not_empty(&mut self, list: &OneOrMany, message: &str) {
        if list.items().is_empty() && !self.cx.damage.is_at(&list.span()) {
            self.cx.error(list.span(), message);
        }
    }

    /// A moment of the run at which something is looked at.
    pub(super) fn moment(&mut self, field: &str) -> Option<Duration> {
        let written = self.get::<Located<DurationText>>(field)?;
        let moment = self.cx.moment(written, &format!("`{field}`"));
        if let Some(end) = self.known.end.filter(|end| moment > *end) {
            let (moment, end) = (format_duration(moment), format_duration(end));
            let message = format!("`{field}` is {moment}, but the run ends at {end}");
            self.cx.error(written.span(), message);
        }
        Some(moment)
    }

    /// Reports fields that belong to other kinds of expectations than this one.
    fn check_fields_fit(&mut self, kind: &Declaration) {
        if self.cx.damage.is_at(&self.raw.span()) {
            return;
        }
        // In the order of the declarations, so that problems in one line keep it.
        for field in fields() {
            let owners: Vec<&Declaration> = declarations()
                .filter(|kind| kind.fields.iter().any(|other| other.name == field.name))
                .collect();
            let is_its = |owner: &&Declaration| owner.subject.name == kind.subject.name;
            if owners.is_empty() || owners.iter().any(is_its) {
                continue;
            }
            let Some(place) = self.raw.get(field.name).and_then(RawValue::place) else {
                continue;
            };
            let words: Vec<_> = owners.iter().map(|owner| owner.subject.name).collect();
            let message = format!(
                "`{}` goes with `{}`, and this expectation is about `{}`",
                field.name,
                words.join("` and `"),
                kind.subject.name
            );
            self.cx.error(place, message);
        }
    }
}

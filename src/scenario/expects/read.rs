//! Expectations as a file says them, what its schema says of that, and how they are read.

use std::time::Duration;

use super::{Expect, Expected, declarations};
use crate::diag::Problem;
use crate::document::{Located, OneOrMany, Section, Table, TextOr};
use crate::protocol::visible;
use crate::scenario::CountRange;
use crate::scenario::event::{AllSteps, RawEvent};
use crate::scenario::fields::{
    Field, Fields as _, Holds, RawValue, Written, each_once, field, fields, listed, reference,
};
use crate::scenario::steps::plain;
use crate::scenario::updates::planned;
use crate::scenario::validate::Context;
use crate::scenario::{EventText, PlannedUpdate, Step};
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

/// A table in Markdown of what can be expected of a subject; none if there is no such subject.
pub(in crate::scenario) fn table(subject: &str) -> Option<String> {
    let kind = declarations().find(|kind| kind.subject.name == subject)?;
    Some(reference(kind.fields))
}

/// What a report tells with an expectation that fails.
const NOTE: Field = field(
    "note",
    Holds::Text,
    "Why it is expected, for whoever reads that it failed.",
);

/// Whether an expectation is one of a whole sweep.
const SOMETIMES: Field = field("sometimes", Holds::Flag, "It need not be so in each run: a run tells whether it is, and a sweep fails if it is so in none of its runs.").written("sometimes = true");

fields! {
    /// The fields of all kinds of expectations.
    ExpectFields,
    "Expect",
    "Something that is expected. It is about one of `update`, `server`, `link`, `log`, `workload`, `client` and `invariant`; the other fields say what must be true of that.",
    || {
        let subjects = declarations().map(|kind| &kind.subject);
        let own = declarations().flat_map(|kind| kind.fields);
        each_once(subjects.chain(own).chain([&SOMETIMES, &NOTE]))
    }
}

/// An expectation as written.
pub(in crate::scenario) type RawExpect = Table<ExpectFields>;

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
        let plain = steps.map(plain);
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
            let sometimes = raw.value::<Located<bool>>(SOMETIMES.name);
            let sometimes = sometimes.is_some_and(|sometimes| **sometimes);
            let note = raw.value::<Located<String>>(NOTE.name);
            Some(Expect {
                span,
                what,
                sometimes,
                note: note.map(|note| visible(note)),
            })
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
            let subjects = listed(&subjects, "or");
            let message = format!("an expectation needs to be about something: {subjects}");
            self.error(raw.span(), message);
        }
        first.map(|(kind, _)| kind)
    }
}

/// An expectation while it is read.
pub(super) struct Reading<'r, 'c, 's> {
    pub(super) cx: &'c mut Context<'s>,
    pub(super) raw: &'r Section<RawExpect>,
    pub(super) known: &'r Known<'r>,
}

impl<'r> Reading<'r, '_, '_> {
    /// The steps, if they are right.
    pub(super) fn steps(&self) -> Option<AllSteps<'r>> {
        Some(AllSteps {
            written: self.known.written?,
            plain: self.known.steps.as_deref()?,
        })
    }

    /// The event that a field names, if it is given.
    pub(super) fn event(&mut self, field: &str) -> Option<EventText> {
        let event = self.get::<Located<TextOr<RawEvent>>>(field)?;
        let steps = self.steps();
        self.cx.event(event, steps)
    }

    /// The value of a field, if it is given. A field that is declared to hold something else is as good as not given.
    pub(super) fn get<T: Written>(&self, field: &str) -> Option<&'r T> {
        self.raw.value(field)
    }

    /// The number that a field holds, or the range.
    pub(super) fn amount(&self, field: &str) -> Option<CountRange> {
        self.get::<Located<CountRange>>(field).map(|count| **count)
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
                .map(|name| {
                    match ExpectFields::fields()
                        .iter()
                        .find(|field| field.name == *name)
                    {
                        Some(field) if matches!(field.holds, Holds::Flag) => {
                            format!("`{name} = true`")
                        }
                        _ => format!("`{name}`"),
                    }
                })
                .collect();
            self.nothing_expected(&format!("give one of {}", listed(&written, "and")));
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
        for field in ExpectFields::fields() {
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
            let words: Vec<String> = (owners.iter())
                .map(|owner| format!("`{}`", owner.subject.name))
                .collect();
            let message = format!(
                "`{}` goes with {}, and this expectation is about `{}`",
                field.name,
                listed(&words, "and"),
                kind.subject.name
            );
            self.cx.error(place, message);
        }
    }
}

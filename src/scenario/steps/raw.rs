//! A step as written: its fields, of whatever kind it is.

use super::declarations;
use crate::diag::Span;
use crate::document::{OneOrMany, Table};
use crate::scenario::fields::{Field, Holds, each_once, field, fields};
use crate::scenario::{End, FaultKind, faults};

const OF_ALL: [Field; 5] = [
    field(
        "at",
        Holds::Duration,
        "When it happens, counted from the beginning of the run: `\"1s\"`.",
    ),
    field(
        "after",
        Holds::Duration,
        "When it happens, counted from the step before: `\"500ms\"`.",
    ),
    WHEN,
    WAIT,
    NOTE,
];

pub(super) const WHEN: Field = field("when", Holds::Event, "It happens at the first whole tick after the first such event, from the step's time on: a pattern as of the expectation `log`, or one with `by`.").written("when = { log = \"link to Juzang is down*\", by = \"Riley\" }");
pub(super) const WAIT: Field =
    field("wait", Holds::Duration, "It happens this much later.").written("wait = \"50ms\"");

/// What a story tells with the step.
pub(super) const NOTE: Field = field(
    "note",
    Holds::Text,
    "What there is to see here, for whoever reads what happened: it stands before the step.",
);

/// The other side of a fault.
const FROM: Field = field(
    "from",
    Holds::Names,
    "The other side of a fault that is said of two sides, or of what ends it.",
);

fields! {
    /// The fields of all kinds of steps.
    StepFields,
    "Step",
    "One thing that happens: its time (`at` or `after`), and one of `client`, `peer`, `workload`, `random` and the words by which faults begin and end.\n\n`{ at = \"1s\", crash = \"Juzang\" }`",
    || {
        let subjects = declarations().map(|kind| kind.subject);
        let others = declarations().flat_map(|kind| kind.fields).copied();
        let all: Vec<Field> = (OF_ALL.into_iter())
            .chain(subjects)
            .chain(others)
            .chain([FROM])
            .chain(words_of_faults())
            .chain(fields_of_faults())
            .collect();
        each_once(all.iter())
    }
}

/// A step as written.
pub(in crate::scenario) type RawStep = Table<StepFields>;

fn words_of_faults() -> impl Iterator<Item = Field> {
    FaultKind::all().flat_map(|kind| {
        let about = format!("{} {}", kind.effect, kind.targets.names());
        let begins = field(kind.name, Holds::Names, about.leak());
        let ends = match kind.end {
            End::Step { word, effect, .. } => Some(field(word, Holds::Names, effect)),
            _ => None,
        };
        [Some(begins), ends].into_iter().flatten()
    })
}

fn fields_of_faults() -> impl Iterator<Item = Field> {
    let fields = FaultKind::all().flat_map(|kind| kind.fields);
    fields.map(|said| {
        let holds = match said.holds {
            faults::Holds::Latency => Holds::Latency,
            faults::Holds::Difference | faults::Holds::ExtraDelay | faults::Holds::Word(_) => {
                Holds::Text
            }
            faults::Holds::Duration => Holds::Duration,
            faults::Holds::Count | faults::Holds::Percent | faults::Holds::Kilobytes => {
                Holds::Number
            }
        };
        field(said.name, holds, said.about)
    })
}

impl RawStep {
    /// The faults that the step says begin or end, each with its word and its targets, in the order of the kinds.
    pub(in crate::scenario) fn faults(&self) -> impl Iterator<Item = (&'static str, &OneOrMany)> {
        let words = FaultKind::all().flat_map(FaultKind::words);
        words.filter_map(|word| Some((word, self.value(word)?)))
    }

    /// What the step says that happens, each with its place: there must be exactly one.
    pub(super) fn subjects(&self) -> impl Iterator<Item = (&'static str, Span)> {
        let faults = self.faults().map(|(word, list)| (word, list.span()));
        let others = declarations().filter_map(|kind| {
            let place = self.get(kind.subject.name)?.place()?;
            Some((kind.subject.name, place))
        });
        faults.chain(others)
    }
}

/// The words of the steps that can have a field.
pub(super) fn owners(field: &str) -> Vec<&'static str> {
    let has = |fields: &[Field]| fields.iter().any(|own| own.name == field);
    let plain = declarations().filter(|kind| has(kind.fields));
    let faults = FaultKind::all().filter(|kind| kind.fields.iter().any(|own| own.name == field));
    let with_sides = FaultKind::all().filter(|kind| field == FROM.name && kind.targets.has_sides());
    (plain.map(|kind| kind.subject.name))
        .chain(faults.map(|kind| kind.name))
        .chain(with_sides.flat_map(FaultKind::words))
        .collect()
}

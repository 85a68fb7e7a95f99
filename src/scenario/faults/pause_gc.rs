//! A server that pauses for short times in a row, as a runtime does that collects garbage.

use std::time::Duration;

use super::{Condition, Declaration, End, Field, Holds, Operation, PLAIN, Shape, Values};

pub(super) const KIND: Declaration = Declaration {
    name: "pause_gc",
    example: "`pause_gc = \"Juzang\", pauses = 5, pause = \"100ms\", gap = \"400ms\"`",
    models: "a runtime that collects garbage, a machine that swaps",
    effect: "It is frozen `pauses` times for `pause`, with `gap` between, and then goes on.",
    impact: "wake-ups that had to wait",
    targets: Shape::Parties,
    fields: &[
        Field {
            name: "pauses",
            holds: Holds::Count,
            required: true,
            about: "How often it is frozen.",
        },
        Field {
            name: "pause",
            holds: Holds::Duration,
            required: true,
            about: "How long it is frozen each time.",
        },
        Field {
            name: "gap",
            holds: Holds::Duration,
            required: true,
            about: "How long it goes on between two pauses.",
        },
    ],
    fields_say: "how often and how long the servers pause",
    state: "pauses",
    excludes: &["freeze"],
    needs_time: Some("pauses, which take their time"),
    events: &["composed", "frozen", "thawed"],
    begin: |fault| {
        let Some(party) = fault.parties().next() else {
            return Vec::new();
        };
        let (pause, each) = (fault.values.duration("pause"), each(&fault.values));
        let pauses = (0..fault.values.count("pauses")).flat_map(|nth| {
            let from = each * nth;
            [
                (from, Operation::Set(Condition::Frozen, party)),
                (from + pause, Operation::Clear(Condition::Frozen, party)),
            ]
        });
        pauses.collect()
    },
    end: End::After(|values| {
        let before_last = values.count("pauses").saturating_sub(1);
        each(values) * before_last + values.duration("pause")
    }),
    ..PLAIN
};

/// From one pause to the next.
fn each(values: &Values) -> Duration {
    values.duration("pause") + values.duration("gap")
}

//! A network in which packets overtake each other.

use std::time::Duration;

use super::{Declaration, End, Field, Holds, Impairment, PERCENT, PLAIN, RandomDraw, Shape, impaired, share};

/// How late a packet is where the step does not say.
const LATE: Duration = Duration::from_millis(20);

pub(super) const KIND: Declaration = Declaration {
    name: "reorder",
    example: "`reorder = \"Riley-Juzang\", percent = 10, late = \"50ms\"`",
    models: "several routes at once, of which one is longer",
    effect: "This share of packets takes longer by `late`, and others overtake them. TCP restores the order, so what follows a late packet waits for it, or for its copy that is sent when what follows is acknowledged. A `reorder` of 0 percent ends it.",
    impact: "packets that were late",
    targets: Shape::Ways,
    fields: &[
        PERCENT,
        Field {
            name: "late",
            holds: Holds::Duration,
            required: false,
            about: "How much longer these packets take; 20 ms if not given.",
        },
    ],
    fields_say: "the share of packets",
    state: "reorders packets",
    needs_time: Some("a packet that is late"),
    drawn: Some(RandomDraw {
        about: "1 to 50 percent of packets by 20 ms, between the same pairs as `partition`, one way or both",
        draw: |draw| Some((draw.ways()?, share(draw.number(1..=50)))),
    }),
    events: &["impaired", "repaired"],
    begin: |fault| {
        let late = fault.values.duration("late");
        let late = if late.is_zero() { LATE } else { late };
        impaired(fault, Impairment::Reorder(fault.values.count(PERCENT.name), late))
    },
    end: End::Same(|_, _| share(0)),
    ..PLAIN
};

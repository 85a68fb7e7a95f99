//! A network that delivers packets twice.

use super::{Declaration, End, Impairment, PERCENT, PLAIN, RandomDraw, Shape, impaired, share};

pub(super) const KIND: Declaration = Declaration {
    name: "duplicate",
    example: "`duplicate = \"Riley-Juzang\", percent = 10`",
    models: "a loop in a network, or a misconfigured bridge",
    effect: "The network delivers this share of packets twice. TCP drops the second, so no program may notice. A `duplicate` of 0 percent ends it.",
    impact: "packets that arrived twice",
    targets: Shape::Ways,
    fields: &[PERCENT],
    fields_say: "the share of packets",
    state: "duplicates packets",
    needs_time: Some("a copy, which no program sees"),
    drawn: Some(RandomDraw {
        about: "1 to 50 percent of packets, between the same pairs as `partition`, one way or both",
        draw: |draw| Some((draw.ways()?, share(draw.number(1..=50)))),
    }),
    events: &["impaired", "repaired"],
    begin: |fault| impaired(fault, Impairment::Duplicate(fault.values.count(PERCENT.name))),
    end: End::Same(|_, _| share(0)),
    ..PLAIN
};

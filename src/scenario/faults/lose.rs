//! A network that loses packets.

use super::{Declaration, End, Impairment, PERCENT, PLAIN, RandomDraw, Shape, impaired, share};

pub(super) const KIND: Declaration = Declaration {
    name: "lose",
    example: "`lose = \"Riley-Juzang\", percent = 10`",
    models: "a bad line, or an overloaded router",
    effect: "The network loses this share of packets; TCP sends them again, after a time-out or when what follows them is acknowledged. A `lose` of 0 percent ends it.",
    impact: "packets that got lost",
    targets: Shape::Ways,
    fields: &[PERCENT],
    fields_say: "the share of packets",
    state: "loses packets",
    needs_time: Some("a loss, which is but a late delivery"),
    drawn: Some(RandomDraw {
        about: "1 to 20 percent of packets, between the same pairs as `partition`, one way or both",
        draw: |draw| Some((draw.ways()?, share(draw.number(1..=20)))),
    }),
    events: &["impaired", "repaired"],
    begin: |fault| impaired(fault, Impairment::Lose(fault.values.count(PERCENT.name))),
    end: End::Same(|_, _| share(0)),
    ..PLAIN
};

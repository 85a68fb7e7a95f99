//! A network that is cut one way.

use super::{Declaration, Drawn, End, Operation, PLAIN, Shape, Target, Values, now};

pub(super) const KIND: Declaration = Declaration {
    name: "partition_oneway",
    example: "`partition_oneway = \"Riley-Juzang\"`, `heal = …`",
    models: "an asymmetric route",
    effect: "As `partition`, for what Riley sends to Juzang. What is sent the other way arrives, but no new connection is established either way. With two sides, what those in `from` send to the others waits.",
    impact: "messages that waited",
    targets: Shape::OneWay,
    family: "partition",
    state: "is cut",
    needs_time: Some("a cut, which is but a late delivery"),
    drawn: Some(Drawn {
        about: "the same pairs; either may be the one that is not heard",
        draw: |draw| {
            let (a, b) = draw.pair()?;
            let way = if draw.coin() { (a, b) } else { (b, a) };
            Some((vec![Target::Direction(way)], Values::default()))
        },
    }),
    events: &["cut", "healed"],
    begin: |fault| now([Operation::Cut(fault.pairs())]),
    end: End::Family,
    ..PLAIN
};

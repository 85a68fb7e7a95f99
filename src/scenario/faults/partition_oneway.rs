//! A network that is cut one way.

use super::{Declaration, RandomDraw, End, Operation, PLAIN, Shape, Target, Values, now};

pub(super) const KIND: Declaration = Declaration {
    name: "partition_oneway",
    example: "`partition_oneway = \"Riley-Juzang\"`, `heal = …`",
    models: "an asymmetric route",
    effect: "As `partition`, for messages from Riley to Juzang. Messages in the other direction arrive, but no new connection is established in either direction. With two sides, what those in `from` send to the others is cut off.",
    impact: "messages that waited",
    targets: Shape::OneWay,
    family: "partition",
    state: "is cut",
    needs_time: Some("a cut, which is but a late delivery"),
    drawn: Some(RandomDraw {
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

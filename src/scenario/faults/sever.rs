//! Connections that are reset.

use super::{Declaration, RandomDraw, End, Operation, PLAIN, Shape, Target, Values, now};

pub(super) const KIND: Declaration = Declaration {
    name: "sever",
    example: "`sever = \"Riley-Juzang\"`",
    models: "a firewall that forgets",
    effect: "Connections between them are reset; new ones work.",
    impact: "connections",
    targets: Shape::Pairs,
    state: "is severed",
    drawn: Some(RandomDraw {
        about: "the connections of a link",
        draw: |draw| {
            let link = draw.link()?;
            let (a, b) = draw.ends(link);
            Some((vec![Target::Pair(a, b)], Values::default()))
        },
    }),
    events: &["severed", "link-down"],
    begin: |fault| now([Operation::Sever(fault.pairs())]),
    end: End::AtOnce,
    ..PLAIN
};

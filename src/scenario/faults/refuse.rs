//! A server that takes no new connections.

use super::{Condition, Declaration, RandomDraw, End, PLAIN, Shape, Values, clear, set};

pub(super) const KIND: Declaration = Declaration {
    name: "refuse",
    example: "`refuse = \"Juzang\"`, `accept = …`",
    models: "a closed port",
    effect: "New connections to it are refused; open ones stay.",
    impact: "connections that were refused",
    targets: Shape::Parties,
    state: "refuses connections",
    drawn: Some(RandomDraw {
        about: "one server",
        draw: |draw| Some((draw.party()?, Values::default())),
    }),
    events: &["refusing", "accepting"],
    begin: |fault| set(fault, Condition::Refusing),
    end: End::Step {
        word: "accept",
        effect: "These servers take new connections again.",
        end: |targets| clear(Condition::Refusing, targets),
    },
    ..PLAIN
};

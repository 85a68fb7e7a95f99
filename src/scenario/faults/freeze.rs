//! A server that is frozen.

use super::{Condition, Declaration, RandomDraw, End, PLAIN, Shape, Values, clear, set};

pub(super) const KIND: Declaration = Declaration {
    name: "freeze",
    example: "`freeze = \"Juzang\"`, `thaw = …`",
    models: "SIGSTOP, a moving virtual machine",
    effect: "The server does nothing. Its sockets stay open and fill, and its system goes on accepting connections. After a thaw it continues where it was, its clock has advanced, and which of its sockets it reads first follows from the seed.",
    impact: "wake-ups that had to wait",
    targets: Shape::Parties,
    state: "is frozen",
    drawn: Some(RandomDraw {
        about: "one server",
        draw: |draw| Some((draw.party()?, Values::default())),
    }),
    events: &["frozen", "thawed"],
    begin: |fault| set(fault, Condition::Frozen),
    end: End::Step {
        word: "thaw",
        effect: "The servers continue where they were frozen.",
        end: |targets| clear(Condition::Frozen, targets),
    },
    ..PLAIN
};

//! A server that is frozen.

use super::{Condition, Declaration, Drawn, End, PLAIN, Shape, Values, clear, set};

pub(super) const KIND: Declaration = Declaration {
    name: "freeze",
    example: "`freeze = \"Juzang\"`, `thaw = …`",
    models: "SIGSTOP, a moving virtual machine",
    effect: "It does nothing. Its sockets stay open and fill, and its system goes on taking connections. When it thaws it goes on where it was, and its clock has gone on.",
    impact: "wake-ups that had to wait",
    targets: Shape::Parties,
    state: "is frozen",
    drawn: Some(Drawn {
        about: "one server",
        draw: |draw| Some((draw.party()?, Values::default())),
    }),
    events: &["frozen", "thawed"],
    begin: |fault| set(fault, Condition::Frozen),
    end: End::Step {
        word: "thaw",
        effect: "These servers go on where they were frozen.",
        end: |targets| clear(Condition::Frozen, targets),
    },
    ..PLAIN
};

//! A server whose plug is pulled.

use super::{Condition, Declaration, RandomDraw, End, PLAIN, Shape, Values, clear, set};

pub(super) const KIND: Declaration = Declaration {
    name: "power_off",
    example: "`power_off = \"Juzang\"`, `power_on = …`",
    models: "the plug",
    effect: "The server's memory is gone and nothing is closed: peers hear silence until their deadlines. Messages in flight are lost. An attempt to connect hears nothing, and is refused once the power is back.",
    impact: "connections it had, and attempts that failed",
    targets: Shape::Parties,
    state: "is without power",
    kills: true,
    needs_time: Some("a power failure, which only silence shows"),
    drawn: Some(RandomDraw {
        about: "one server",
        draw: |draw| Some((draw.party()?, Values::default())),
    }),
    events: &["powered-off", "powered-on"],
    begin: |fault| set(fault, Condition::Unpowered),
    end: End::Step {
        word: "power_on",
        effect: "The servers have power again and start with what is on their disks, which is nothing without one.",
        end: |targets| clear(Condition::Unpowered, targets),
    },
    ..PLAIN
};

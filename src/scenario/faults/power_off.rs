//! A server whose plug is pulled.

use super::{Condition, Declaration, Drawn, End, PLAIN, Shape, Values, clear, set};

pub(super) const KIND: Declaration = Declaration {
    name: "power_off",
    example: "`power_off = \"Juzang\"`, `power_on = …`",
    models: "the plug",
    effect: "Its memory is gone and nothing is closed: peers hear silence until their deadlines. What is under way is lost. Who tries to connect hears nothing, and is refused when the power is back.",
    impact: "connections it had, and attempts that failed",
    targets: Shape::Parties,
    state: "is without power",
    kills: true,
    needs_time: Some("a power failure, which only silence shows"),
    drawn: Some(Drawn {
        about: "one server",
        draw: |draw| Some((draw.party()?, Values::default())),
    }),
    events: &["powered-off", "powered-on"],
    begin: |fault| set(fault, Condition::Unpowered),
    end: End::Step {
        word: "power_on",
        effect: "These servers have power again and start empty.",
        end: |targets| clear(Condition::Unpowered, targets),
    },
    ..PLAIN
};

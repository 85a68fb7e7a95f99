//! A server that is killed.

use super::{Condition, Declaration, Drawn, End, PLAIN, Shape, Values, clear, set};

pub(super) const KIND: Declaration = Declaration {
    name: "crash",
    example: "`crash = \"Juzang\"`, `restart = …`",
    models: "`kill -9`, then a start",
    effect: "Its memory is gone, its system closes its sockets and refuses new connections. It ends a `freeze` and whatever else only a running server can have.",
    impact: "connections it had, and that were refused",
    targets: Shape::Parties,
    state: "is down",
    kills: true,
    drawn: Some(Drawn {
        about: "one server",
        draw: |draw| Some((draw.party()?, Values::default())),
    }),
    events: &["crashed", "restarted", "link-down", "connect-failed"],
    begin: |fault| set(fault, Condition::Dead),
    end: End::Step {
        word: "restart",
        effect: "These servers, which crashed, start again and empty.",
        end: |targets| clear(Condition::Dead, targets),
    },
    ..PLAIN
};

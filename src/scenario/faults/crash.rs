//! A server that is killed.

use super::{Condition, Declaration, RandomDraw, End, PLAIN, Shape, Values, clear, set};

pub(super) const KIND: Declaration = Declaration {
    name: "crash",
    example: "`crash = \"Juzang\"`, `restart = …`",
    models: "`kill -9`, then a start",
    effect: "The server's process is gone with its memory. Its system closes its sockets and refuses new connections. It ends a `freeze` and every other fault that only a running server can have.",
    impact: "connections it had, and that were refused",
    targets: Shape::Parties,
    state: "is down",
    kills: true,
    drawn: Some(RandomDraw {
        about: "one server",
        draw: |draw| Some((draw.party()?, Values::default())),
    }),
    events: &["crashed", "restarted", "link-down", "connect-failed"],
    begin: |fault| set(fault, Condition::Dead),
    end: End::Step {
        word: "restart",
        effect: "The servers start again with what is on their disks, which is nothing without one.",
        end: |targets| clear(Condition::Dead, targets),
    },
    ..PLAIN
};

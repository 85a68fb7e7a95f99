//! A server that leaves the herd for good, as far as anybody knows.

use super::{Condition, Declaration, End, Operation, PLAIN, Party, RandomDraw, Shape, Target, Values, now};

pub(super) const KIND: Declaration = Declaration {
    name: "leave",
    example: "`leave = \"Juzang\"`, `join = …`",
    models: "a server that is taken out of service",
    effect: "As `stop`; and when the server has ended, all others read a herd file without it, so that they do not dial it any more.",
    impact: "connections it had, and that were refused",
    targets: Shape::Parties,
    state: "is leaving or has left",
    kills: true,
    excludes: &["freeze", "pause_gc"],
    needs_time: Some("a graceful stop, which waits for clients and neighbours"),
    drawn: Some(RandomDraw {
        about: "one server",
        draw: |draw| Some((draw.party()?, Values::default())),
    }),
    events: &["stopping", "stopped", "unlinked", "linked"],
    begin: |fault| now(each(&fault.targets, Operation::Set)),
    end: End::Step {
        word: "join",
        effect: "All servers read a herd file that has these again, and they start with what is on their disks, which is nothing without one, as after `start`.",
        end: |targets| each(targets, Operation::Clear),
    },
    ..PLAIN
};

/// Places belongs to no herd, so it just ends.
fn each(targets: &[Target], operation: fn(Condition, Party) -> Operation) -> Vec<Operation> {
    super::stop::each(Condition::Left, targets, operation)
}

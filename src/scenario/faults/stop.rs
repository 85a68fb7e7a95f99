//! A server that is told to stop, and ends in its own time.

use super::{Condition, Declaration, End, Operation, PLAIN, Party, RandomDraw, Shape, Target, Values, now};

pub(super) const KIND: Declaration = Declaration {
    name: "stop",
    example: "`stop = \"Juzang\"`, `start = …`",
    models: "SIGTERM, as before an upgrade",
    effect: "The server takes no new clients, answers those that it has, hands over to its neighbours what they lack, says goodbye and ends; its system refuses connections from then on. It ends a `refuse`.",
    impact: "connections it had, and that were refused",
    targets: Shape::Parties,
    state: "is stopping or has stopped",
    kills: true,
    excludes: &["freeze", "pause_gc"],
    needs_time: Some("a graceful stop, which waits for clients and neighbours"),
    drawn: Some(RandomDraw {
        about: "one server",
        draw: |draw| Some((draw.party()?, Values::default())),
    }),
    events: &["stopping", "stopped"],
    begin: |fault| now(each(Condition::Stopped, &fault.targets, Operation::Set)),
    end: End::Step {
        word: "start",
        effect: "The servers start again with what is on their disks, which is nothing without one: at once, or as soon as they have ended.",
        end: |targets| each(Condition::Stopped, targets, Operation::Clear),
    },
    ..PLAIN
};

/// What happens to each of the parties. Places has nothing to hand over, so it just ends.
pub(super) fn each(
    condition: Condition,
    targets: &[Target],
    operation: fn(Condition, Party) -> Operation,
) -> Vec<Operation> {
    let parties = targets.iter().filter_map(Target::party);
    let all = parties.map(|party| match party {
        Party::Places => operation(Condition::Dead, party),
        Party::Server(_) | Party::Clients => operation(condition, party),
    });
    all.collect()
}

//! A network that is cut both ways.

use super::{Declaration, RandomDraw, End, Operation, PLAIN, Shape, Target, Values, now, pairs};

pub(super) const KIND: Declaration = Declaration {
    name: "partition",
    example: "`partition = \"Riley-Juzang\"`, `heal = …`",
    models: "a failed router",
    effect: "What is sent in either direction is lost, and TCP sends it again until the cut is healed: it arrives with the first retransmission after that.",
    impact: "messages that waited",
    targets: Shape::BothWays,
    state: "is cut",
    needs_time: Some("a cut, which is but a late delivery"),
    drawn: Some(RandomDraw {
        about: "a link between two of the servers, or one of them and all clients",
        draw: |draw| {
            let (a, b) = draw.pair()?;
            let ways = [(a, b), (b, a)].map(Target::Direction);
            Some((ways.to_vec(), Values::default()))
        },
    }),
    events: &["cut", "healed"],
    begin: |fault| now([Operation::Cut(fault.pairs())]),
    end: End::Step {
        word: "heal",
        effect: "Removes one cut between these servers and those in `from`, in both directions; what waited is delivered when that was the last one. `\"all\"` heals every cut.",
        end: |targets| vec![Operation::Heal(pairs(targets))],
    },
    ..PLAIN
};

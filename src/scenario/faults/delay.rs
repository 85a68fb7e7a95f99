//! A network that takes longer, by a time of its own for each packet, in each direction.

use std::time::Duration;

use super::{Declaration, End, ExtraDelay, Field, Holds, Impairment, LatencyRange, PLAIN, RandomDraw, Shape, Value, Values, impaired};

/// The most that a packet is delayed where the seed draws it, in milliseconds.
const DRAWN: std::ops::RangeInclusive<u64> = 20..=400;

pub(super) const KIND: Declaration = Declaration {
    name: "delay",
    example: "`delay = \"Riley>Juzang\", extra = \"5ms..2s tail\"`",
    models: "an asymmetric path, or a busy one",
    effect: "Each packet takes longer by a time that is drawn from `extra`, beside the latency of the link. TCP keeps the order, so what follows a late packet waits for it. A `delay` with an `extra` of 0s ends it.",
    impact: "packets that were delayed",
    targets: Shape::Ways,
    fields: &[Field {
        name: "extra",
        holds: Holds::ExtraDelay,
        required: true,
        about: "How much longer each packet takes: `\"40ms\"`, or a range of which all times are as likely. With `tail` behind the range, half of the packets are within a 1,024th of it from its least, half of the others in the two 1,024ths that follow, and so on; one in 1,024 is in its upper half.",
    }],
    fields_say: "how much longer packets take",
    state: "is delayed",
    needs_time: Some("a latency"),
    drawn: Some(RandomDraw {
        about: "up to 20 to 400 ms, every other time with a tail, between the same pairs as `partition`, one way or both",
        draw: |draw| {
            let ways = draw.ways()?;
            let most = Duration::from_millis(draw.number(DRAWN));
            let has_tail = draw.coin();
            let least = Duration::ZERO;
            Some((ways, by(ExtraDelay { range: LatencyRange { least, most }, has_tail })))
        },
    }),
    events: &["impaired", "repaired"],
    begin: |fault| impaired(fault, Impairment::Delay(fault.values.extra_delay("extra"))),
    end: End::Same(|_, _| by(ExtraDelay::NONE)),
    ..PLAIN
};

fn by(extra: ExtraDelay) -> Values {
    Values::new([("extra", Value::ExtraDelay(extra))])
}

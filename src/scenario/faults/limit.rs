//! A network with little bandwidth.

use super::{Declaration, End, Field, Holds, Impairment, Limit, PLAIN, RandomDraw, Shape, Value, Values, impaired};

/// How many kilobytes wait where the step does not say.
const QUEUE: u32 = 64;

pub(super) const KIND: Declaration = Declaration {
    name: "limit",
    example: "`limit = \"Riley>Juzang\", bandwidth = 16, queue = 64`",
    models: "a slow uplink, with a buffer that is small or bloated",
    effect: "The direction carries no more than `bandwidth`. Packets wait in a queue in front of it, and those that find no room there get lost. A `limit` with a bandwidth of 0 ends it.",
    impact: "packets that waited or got lost",
    targets: Shape::Ways,
    fields: &[
        Field {
            name: "bandwidth",
            holds: Holds::Kilobytes,
            required: true,
            about: "How much it carries, in kilobytes a second.",
        },
        Field {
            name: "queue",
            holds: Holds::Kilobytes,
            required: false,
            about: "How much waits at most, in kilobytes; 64 if not given.",
        },
    ],
    fields_say: "what the ways carry",
    state: "is limited",
    needs_time: Some("a bandwidth"),
    drawn: Some(RandomDraw {
        about: "4 to 64 kilobytes a second, between the same pairs as `partition`, one way or both",
        draw: |draw| Some((draw.ways()?, to(draw.number(4..=64)))),
    }),
    events: &["impaired", "repaired"],
    begin: |fault| {
        let kilobytes = |name| u64::from(fault.values.count(name)) * 1000;
        let queue = match fault.values.get("queue") {
            Some(_) => kilobytes("queue"),
            None => u64::from(QUEUE) * 1000,
        };
        let bandwidth = kilobytes("bandwidth");
        impaired(fault, Impairment::Limit(Limit { bandwidth, queue }))
    },
    end: End::Same(|_, _| to(0)),
    ..PLAIN
};

fn to(bandwidth: u32) -> Values {
    Values::new([("bandwidth", Value::Count(bandwidth))])
}

//! Links that take longer.

use super::{Declaration, RandomDraw, End, Field, Holds, LatencyRange, Operation, PLAIN, Shape, Target, Value, Values, now};

/// By what factor a link can be slower.
const SLOWER: std::ops::RangeInclusive<u32> = 2..=10;

pub(super) const KIND: Declaration = Declaration {
    name: "slow",
    example: "`slow = \"Riley-Juzang\", latency = \"200ms\"`",
    models: "congestion",
    effect: "Messages take `latency` from now on. A `slow` with the latency of the beginning ends the fault.",
    impact: "messages sent",
    targets: Shape::Routes,
    fields: &[Field {
        name: "latency",
        holds: Holds::Latency,
        required: true,
        about: "What a message takes from now on: `\"200ms\"`, or a range.",
    }],
    fields_say: "what the links take from now on",
    state: "is slow",
    needs_time: Some("a latency"),
    drawn: Some(RandomDraw {
        about: "a link that takes 2 to 10 times what it took in the beginning",
        draw: |draw| {
            let link = draw.link()?;
            let factor = draw.number(SLOWER);
            let LatencyRange { least, most } = draw.latency(link);
            let slower = LatencyRange {
                least: least * factor,
                most: most * factor,
            };
            Some((vec![Target::Route(super::Route::Link(link))], taking(slower)))
        },
    }),
    events: &["slowed"],
    begin: |fault| {
        let latency = fault.values.latency("latency");
        now([Operation::Delay(fault.routes(), latency)])
    },
    end: End::Same(|target, usual| {
        let usual = target.route().and_then(|route| usual.get(&route));
        usual.copied().map(taking).unwrap_or_default()
    }),
    ..PLAIN
};

fn taking(latency: LatencyRange) -> Values {
    Values::new([("latency", Value::Latency(latency))])
}

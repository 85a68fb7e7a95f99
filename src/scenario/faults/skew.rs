//! Clocks that are wrong.

use super::{ClockOwner, Declaration, RandomDraw, End, Field, Holds, Operation, PLAIN, Shape, ClockError, Target, Value, Values, now};

/// By how many milliseconds a clock can be wrong.
const WRONG_MS: std::ops::RangeInclusive<i64> = 1..=2_000;

pub(super) const KIND: Declaration = Declaration {
    name: "skew",
    example: "`skew = \"Riley\", by = \"-3s\", drift = \"+1ms\"`",
    models: "a wrong clock",
    effect: "A server's or a client's clock is wrong by `by`, and by `drift` more each second. `by = \"0s\"` corrects a clock that is wrong.",
    impact: "readings that show in a line or an answer",
    targets: Shape::Clocks,
    fields: &[
        Field {
            name: "by",
            holds: Holds::Difference,
            required: false,
            about: "How wrong: `\"+1h\"`, `\"-250ms\"`; `\"0s\"` is right again, of clocks that are wrong.",
        },
        Field {
            name: "drift",
            holds: Holds::Difference,
            required: false,
            about: "How much more each second: `\"+100us\"`, `\"-1ms\"`.",
        },
    ],
    fields_say: "how wrong the clocks are",
    state: "is wrong",
    drawn: Some(RandomDraw {
        about: "a server's clock, wrong by 1ms to 2s, either way",
        draw: |draw| {
            let server = draw.server()?;
            let sign = if draw.coin() { 1 } else { -1 };
            let by = sign * draw.number(WRONG_MS) * 1_000_000;
            Some((vec![Target::Clock(ClockOwner::Server(server))], wrong(by)))
        },
    }),
    events: &["skewed"],
    begin: |fault| {
        let skewed = ClockError {
            by: fault.values.difference("by"),
            drift: fault.values.difference("drift"),
        };
        let clocks = fault.clocks().cloned();
        now(clocks.map(|clocked| Operation::SetClock(clocked, skewed)))
    },
    end: End::Same(|_, _| wrong(0)),
    ..PLAIN
};

/// Wrong by `by` nanoseconds, an offset that does not grow with time.
fn wrong(by: i64) -> Values {
    Values::new([("by", Value::Difference(by)), ("drift", Value::Difference(0))])
}

//! Clocks that jump and run on.

use super::{Declaration, End, Field, Holds, Operation, PLAIN, Shape, now};

pub(super) const KIND: Declaration = Declaration {
    name: "clock_jump",
    example: "`clock_jump = \"Riley\", jump = \"-3s\"`",
    models: "a clock that is set while a server runs, as by NTP or by hand",
    effect: "The clock jumps by `jump` and then runs on as before; an existing skew stays. `skew` with `by = \"0s\"` corrects it.",
    impact: "readings that show in a line or an answer",
    targets: Shape::Clocks,
    fields: &[Field {
        name: "jump",
        holds: Holds::Difference,
        required: true,
        about: "How far the clock jumps: `\"+1h\"`, `\"-250ms\"`.",
    }],
    fields_say: "how far the clocks jump",
    family: "skew",
    state: "is wrong",
    events: &["skewed"],
    begin: |fault| {
        let by = fault.values.difference("jump");
        now(fault.clocks().cloned().map(|clocked| Operation::Jump(clocked, by)))
    },
    end: End::Family,
    ..PLAIN
};

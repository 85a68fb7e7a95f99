//! Bits of a disk that flip.

use super::{Declaration, DiskFault, Field, Holds, PLAIN, RandomDraw, Shape, Value, Values, break_disk};

/// The field that says how many bits flip.
const BITS: &str = "bits";

pub(super) const KIND: Declaration = Declaration {
    name: "rot",
    example: "`rot = \"Juzang\", bits = 3`",
    models: "a medium that ages, memory without parity on the way to it",
    effect: "This number of bits of what is on the disk flip, each at a place that is drawn.",
    impact: "bits that flipped",
    targets: Shape::Disks,
    fields: &[Field {
        name: BITS,
        holds: Holds::Count,
        required: false,
        about: "How many bits flip; 1 if not given.",
    }],
    fields_say: "how many bits flip",
    bare: true,
    state: "rots",
    drawn: Some(RandomDraw {
        about: "1 to 8 bits of the disk of one server, where servers have disks",
        draw: |draw| Some((draw.disk()?, Values::new([(BITS, Value::Count(draw.number(1..=8)))]))),
    }),
    events: &["disk-faulty"],
    begin: |fault| break_disk(fault, DiskFault::Rot(fault.values.count(BITS).max(1))),
    ..PLAIN
};

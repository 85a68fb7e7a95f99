//! A disk with errors.

use super::{Declaration, DiskFault, DiskOperation, End, Fault, Field, Holds, PLAIN, RandomDraw, Shape, Value, Values, break_disk};

/// The field that says which operations fail.
const WHAT: &str = "what";

/// The words for them.
const WORDS: &[&str] = &[
    DiskOperation::Write.word(),
    DiskOperation::Sync.word(),
    DiskOperation::Read.word(),
];

pub(super) const KIND: Declaration = Declaration {
    name: "disk_fails",
    example: "`disk_fails = \"Juzang\", what = \"sync\"`, `disk_works = …`",
    models: "a disk with bad blocks, or one that is gone",
    effect: "Operations fail with an error of input and output: `\"write\"` is whatever changes files and their names, `\"sync\"` what makes that last, `\"read\"` what a server does when it starts. What a sync that fails was about never reaches the disk, and no later sync tells of it.",
    impact: "operations that failed",
    targets: Shape::Disks,
    fields: &[Field {
        name: WHAT,
        holds: Holds::Word(WORDS),
        required: false,
        about: "Which operations of the disk fail: `\"write\"`, `\"sync\"`, which is the default, or `\"read\"`.",
    }],
    fields_say: "which operations fail",
    bare: true,
    family: "disk_full",
    state: "has a disk that fails",
    drawn: Some(RandomDraw {
        about: "writes or syncs of the disk of one server, where servers have disks",
        draw: |draw| {
            let targets = draw.disk()?;
            // Only a start reads, so that a failure to read would rarely have an effect.
            let operation = if draw.coin() { DiskOperation::Write } else { DiskOperation::Sync };
            Some((targets, Values::new([(WHAT, Value::Word(operation.word()))])))
        },
    }),
    events: &["disk-faulty", "disk-works"],
    begin: |fault| break_disk(fault, DiskFault::Fails(operation(fault))),
    end: End::Family,
    ..PLAIN
};

fn operation(fault: &Fault) -> DiskOperation {
    let mut all = DiskOperation::ALL.into_iter();
    let said = all.find(|operation| fault.values.word(WHAT) == Some(operation.word()));
    said.unwrap_or(DiskOperation::Sync)
}

//! A disk that says that it has synced what it has not.

use super::{Declaration, DiskFault, End, PLAIN, RandomDraw, Shape, Values, break_disk};

pub(super) const KIND: Declaration = Declaration {
    name: "disk_lies",
    example: "`disk_lies = \"Juzang\"`, `disk_works = …`",
    models: "a disk with a volatile cache that ignores flushes",
    effect: "A sync succeeds, and does nothing: what was written may be lost with the power until the next sync after the fault.",
    impact: "syncs that did nothing",
    targets: Shape::Disks,
    family: "disk_full",
    state: "has a disk that lies",
    drawn: Some(RandomDraw {
        about: "the disk of one server, where servers have disks",
        draw: |draw| Some((draw.disk()?, Values::default())),
    }),
    events: &["disk-faulty", "disk-works"],
    begin: |fault| break_disk(fault, DiskFault::Lies),
    end: End::Family,
    ..PLAIN
};

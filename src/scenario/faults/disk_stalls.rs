//! A disk that takes its time.

use super::{Declaration, DiskFault, End, PLAIN, RandomDraw, Shape, Values, break_disk};

pub(super) const KIND: Declaration = Declaration {
    name: "disk_stalls",
    example: "`disk_stalls = \"Juzang\"`, `disk_works = …`",
    models: "a network volume whose network is down, a disk that tries again and again",
    effect: "No operation of the disk ends before the fault does.",
    impact: "operations that had to wait",
    targets: Shape::Disks,
    family: "disk_full",
    state: "has a disk that stalls",
    needs_time: Some("a stall, which only takes time"),
    drawn: Some(RandomDraw {
        about: "the disk of one server, where servers have disks",
        draw: |draw| Some((draw.disk()?, Values::default())),
    }),
    events: &["disk-faulty", "disk-works"],
    begin: |fault| break_disk(fault, DiskFault::Stalls),
    end: End::Family,
    ..PLAIN
};

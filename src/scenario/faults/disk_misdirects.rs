//! A disk that writes into wrong places.

use super::{Declaration, DiskFault, End, PLAIN, RandomDraw, Shape, Values, break_disk};

pub(super) const KIND: Declaration = Declaration {
    name: "disk_misdirects",
    example: "`disk_misdirects = \"Juzang\"`, `disk_works = …`",
    models: "firmware with a bug",
    effect: "What the server appends to a file is written elsewhere: over a part of a file that is drawn, at a place that is drawn. Where it belongs, there are zeros.",
    impact: "writes that went elsewhere",
    targets: Shape::Disks,
    family: "disk_full",
    state: "has a disk that misdirects writes",
    drawn: Some(RandomDraw {
        about: "the disk of one server, where servers have disks",
        draw: |draw| Some((draw.disk()?, Values::default())),
    }),
    events: &["disk-faulty", "disk-works"],
    begin: |fault| break_disk(fault, DiskFault::Misdirects),
    end: End::Family,
    ..PLAIN
};

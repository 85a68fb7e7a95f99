//! A disk without room.

use super::{Declaration, DiskFault, End, Operation, PLAIN, Party, RandomDraw, Shape, Target, Values, break_disk};

pub(super) const KIND: Declaration = Declaration {
    name: "disk_full",
    example: "`disk_full = \"Juzang\"`, `disk_works = …`",
    models: "a file system without room, or beyond its quota",
    effect: "Of what the server appends to a file, a part is written, and then it fails. A disk has one fault at a time, and keeps it while its server is down.",
    impact: "operations that failed",
    targets: Shape::Disks,
    state: "has a full disk",
    drawn: Some(RandomDraw {
        about: "the disk of one server, where servers have disks",
        draw: |draw| Some((draw.disk()?, Values::default())),
    }),
    events: &["disk-faulty", "disk-works"],
    begin: |fault| break_disk(fault, DiskFault::Full),
    end: End::Step {
        word: "disk_works",
        effect: "Whatever was wrong with the disks of these servers is over.",
        end: |targets| {
            let servers = targets.iter().filter_map(Target::party);
            let servers = servers.filter_map(Party::server);
            servers.map(Operation::RepairDisk).collect()
        },
    },
    ..PLAIN
};

//! The dirty set of the disk.

use std::time::Duration;

use super::*;
use crate::node::{Keep, ToBeSaved};
use crate::protocol::peer::{PeerLine, Update};

fn saving() -> Node {
    let mut node = riley();
    node.save_changes(true);
    node
}

fn iamat(node: &mut Node, client: &str, time: u64) -> ToBeSaved {
    let (line, mut out) = (format!("IAMAT {client} +1-1 {time}"), Vec::new());
    let waits = node.client_line(line.as_bytes(), at(), &NullJournal, &mut out);
    let answer = format!(" {client} +1-1 {time}\n");
    assert!(out.starts_with(b"AT Riley +") && out.ends_with(answer.as_bytes()));
    match waits {
        Some(Waits::Disk(to_be)) => to_be,
        other => panic!("{other:?}"),
    }
}

fn taken(node: &mut Node, most: usize) -> (Vec<String>, u64) {
    let mut records = Vec::new();
    let saved = node.take_unsaved(most, |record, hops| {
        records.push(format!("{} {hops}", escape(record.text())));
    });
    (records, saved)
}

fn update(line: &str) -> Update {
    match PeerLine::parse(line.as_bytes()) {
        Ok(PeerLine::At(update)) => update,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_latest_record_of_each_client_is_taken_once() {
    let mut node = saving();
    let first = iamat(&mut node, "a", 1);
    iamat(&mut node, "b", 1);
    iamat(&mut node, "a", 2);
    hear(&mut node, "AT Jaquez +0.500000000 c +1-1 3 2").expect("a good line");
    assert_eq!(node.unsaved(), 3);
    let (records, saved) = taken(&mut node, 10);
    assert_eq!(
        records,
        [
            "Riley +98.250000000 a +1-1 2 0",
            "Riley +99.250000000 b +1-1 1 0",
            "Jaquez +0.500000000 c +1-1 3 2"
        ]
    );
    assert!(first.saved <= saved);
    assert_eq!((node.unsaved(), taken(&mut node, 10)), (0, (vec![], saved)));
}

#[test]
fn updates_are_refused_while_the_disk_fails_and_queries_are_not() {
    let mut node = saving();
    iamat(&mut node, "kiwi", 1);
    node.set_disk_fails(true);
    let line = b"IAMAT kiwi +2-2 2";
    assert_eq!(
        say(&mut node, line),
        ("? IAMAT kiwi +2-2 2\\n".to_owned(), None)
    );
    let (_, asked) = say(&mut node, b"WHATSAT kiwi 10 5");
    assert_eq!(asked.expect("a look-up").latitude, b"+1");
    node.set_disk_fails(false);
    iamat(&mut node, "kiwi", 2);
}

#[test]
fn answers_do_not_wait_for_a_disk_in_the_background_even_if_it_fails() {
    let mut node = riley();
    node.save_changes(false);
    node.set_disk_fails(true);
    let (answer, _) = say(&mut node, b"IAMAT kiwi +1-1 100");
    assert_eq!(answer, "AT Riley +0.250000000 kiwi +1-1 100\\n");
    assert_eq!(node.unsaved(), 1);
}

#[test]
fn an_expired_record_is_not_written() {
    let mut node = saving();
    node.keep(Keep {
        time_to_live: Some(Duration::from_secs(10)),
        ..Keep::default()
    });
    iamat(&mut node, "a", 100);
    iamat(&mut node, "b", 100);
    node.expire(Timestamp::new(200, 0), 10, &NullJournal);
    let (records, _) = taken(&mut node, 10);
    assert_eq!(records, Vec::<String>::new());
}

#[test]
fn the_newest_of_what_was_on_the_disk_is_restored_and_not_sent() {
    let (mut node, kept) = (saving(), EventLog::default());
    node.keep(Keep {
        time_to_live: Some(Duration::from_secs(10)),
        ..Keep::default()
    });
    node.expire(Timestamp::new(100, 0), 0, &NullJournal);
    for (line, is_stored) in [
        ("AT Riley +0.500000000 a +1-1 99 1", true),
        ("AT Riley +0.500000000 a +2-2 98 1", false),
        ("AT Jaquez +0.000000000 a - 100 3 1", true),
        ("AT Riley +0.500000000 a +3-3 100 1", false),
        ("AT Riley +0.500000000 old +3-3 50 1", false),
    ] {
        assert_eq!(node.restore(update(line), true, &kept), is_stored, "{line}");
    }
    assert_eq!((node.clients(), node.forgotten()), (0, 1));
    assert_eq!((node.unsaved(), node.has_work(NeighbourId(0))), (0, false));
    // What may be in the system's memory alone is written again.
    let line = "AT Jaquez +0.500000000 b +1-1 99 2";
    assert!(node.restore(update(line), false, &NullJournal));
    assert_eq!(taken(&mut node, 9).0, ["Jaquez +0.500000000 b +1-1 99 2"]);
    let restored = kept.find(|what| match what {
        EventKind::Restored {
            hops, generation, ..
        } => Some((*hops, *generation)),
        _ => None,
    });
    assert_eq!(restored, [(1, 0), (3, 1)]);
}

#[test]
fn all_records_are_copied_in_parts() {
    let mut node = saving();
    for number in 0..5 {
        iamat(&mut node, &format!("c{number}"), 1);
    }
    let (mut from, mut copied, mut parts) = (Some(0), 0, 0);
    while let Some(position) = from {
        from = node.copy_records(position, 2, |_, _| copied += 1);
        parts += 1;
    }
    assert_eq!((copied, parts), (5, 3));
}

proptest! {
    /// Whatever changes and is taken, in whatever order: once everything is saved up to where an
    /// answer waits for, its record is on the disk, or a newer one of its client.
    #[test]
    fn an_answer_waits_for_its_record(turns in prop::collection::vec((0..4_u8, 0..3_usize), 0..60)) {
        let mut node = saving();
        let (mut waiting, mut written) = (Vec::new(), BTreeMap::new());
        for (time, (client, most)) in (1..).zip(turns) {
            let client = format!("c{client}");
            let to_be = iamat(&mut node, &client, time);
            waiting.push((client, time, to_be.saved));
            let saved = node.take_unsaved(most, |record, _| {
                let id = escape(record.id());
                written.insert(id, record.time());
            });
            waiting.retain(|(client, time, upto)| {
                let held = written.get(client).copied();
                let is_reached = *upto <= saved;
                assert!(!is_reached || held >= Some(Timestamp::new(*time, 0)), "{client} {time}");
                !is_reached
            });
        }
        let (_, saved) = taken(&mut node, usize::MAX);
        assert!(waiting.iter().all(|(.., upto)| *upto <= saved));
    }
}

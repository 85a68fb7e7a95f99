//! Ceilings and the time to live of records.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::node::Keep;

/// The time to live of records here, in seconds.
const LIFE: u64 = 100;

fn mortal(most_clients: usize) -> Keep {
    Keep {
        most_clients,
        time_to_live: Some(Duration::from_secs(LIFE)),
        ..Keep::default()
    }
}

fn told(node: &Node) -> Vec<String> {
    let mut records: Vec<String> = (node.records())
        .map(|(record, _)| escape(record.text()))
        .collect();
    records.sort();
    records
}

#[test]
fn a_new_client_over_the_ceiling_is_refused_and_nobody_else() {
    let mut node = riley();
    node.keep(Keep {
        most_clients: 2,
        ..Keep::default()
    });
    for (line, answer) in [
        ("IAMAT a +1-1 100", "AT Riley +0.250000000 a +1-1 100\\n"),
        ("IAMAT b +1-1 100", "AT Riley +0.250000000 b +1-1 100\\n"),
        ("IAMAT c +1-1 100", "? IAMAT c +1-1 100\\n"),
        (
            "IAMAT a +2-2 100.25",
            "AT Riley +0.000000000 a +2-2 100.25\\n",
        ),
    ] {
        assert_eq!(say(&mut node, line.as_bytes()).0, answer);
    }
    // Neighbours' updates have no ceiling, since servers that refused them would disagree for ever.
    hear(&mut node, "AT Jaquez +0.000000000 d +1-1 100 1").expect("a good line");
    assert_eq!(node.clients(), 3);
}

#[test]
fn a_time_too_far_ahead_is_refused_where_clients_speak_and_nowhere_else() {
    let mut node = riley();
    node.keep(Keep {
        future_limit: Some(Duration::from_mins(1)),
        ..Keep::default()
    });
    let kept = EventLog::default();
    // The server's clock shows 100.25.
    for (time, is_taken) in [
        ("160.250000001", false),
        ("18446744073709551615.999999999", false),
        ("100250", false),
        ("160.25", true),
        ("7", true),
    ] {
        let line = format!("IAMAT kiwi +1-1 {time}");
        let mut out = Vec::new();
        node.client_line(line.as_bytes(), at(), &kept, &mut out);
        let answer = escape(&out);
        assert_eq!(answer.starts_with("AT Riley "), is_taken, "{answer}");
        assert_eq!(answer == format!("? {line}\\n"), !is_taken, "{answer}");
    }
    let refused = kept.find(|what| match what {
        EventKind::Refused { why } => Some(why.to_string()),
        _ => None,
    });
    assert_eq!(refused, ["time too far ahead of the server's clock"; 3]);
    hear(
        &mut node,
        "AT Jaquez +0.000000000 plum +1-1 18446744073709551615 1",
    )
    .expect("a good line");
    assert_eq!(node.clients(), 2);
}

#[test]
fn what_clients_say_has_a_ceiling_in_bytes_too() {
    let mut node = riley();
    node.keep(Keep {
        most_bytes: 80,
        ..Keep::default()
    });
    let long = "k".repeat(60);
    for (line, is_taken) in [
        ("IAMAT kiwi +1-1 100".to_owned(), true),
        (format!("IAMAT {long} +1-1 100"), false),
        ("IAMAT plum +1-1 100".to_owned(), true),
        // There is no room for a third client or a longer record of the first, but for one as long
        // as before.
        ("IAMAT fig +1-1 100".to_owned(), false),
        (format!("IAMAT kiwi +1.{}-1 101", "0".repeat(60)), false),
        ("IAMAT kiwi +2-2 102".to_owned(), true),
    ] {
        let (answer, _) = say(&mut node, line.as_bytes());
        assert_eq!(answer.starts_with("AT "), is_taken, "{line}");
    }
    // Neighbours' updates have no ceiling.
    hear(
        &mut node,
        &format!("AT Jaquez +0.000000000 {long} +1-1 100 1"),
    )
    .expect("a good line");
    assert_eq!(node.clients(), 3);
    // Expired records make room.
    let time_to_live = Some(Duration::from_secs(LIFE));
    node.keep(Keep {
        most_bytes: 80,
        time_to_live,
        ..Keep::default()
    });
    node.expire(Timestamp::new(1000, 0), 10, &NullJournal);
    assert_eq!(node.clients(), 0);
    node.keep(Keep {
        most_bytes: 80,
        ..Keep::default()
    });
    let (answer, _) = say(&mut node, b"IAMAT fig +1-1 100");
    assert!(answer.starts_with("AT "), "{answer}");
}

#[test]
fn a_record_is_forgotten_when_its_time_is_over_and_not_taken_in_again() {
    let mut node = riley();
    node.keep(mortal(usize::MAX));
    let kept = EventLog::default();
    // Riley heard it at 100.25, whatever the client's clock said.
    say(&mut node, b"IAMAT kiwi +1-1 7");
    pulled(&mut node);
    let line = "AT Riley +93.250000000 kiwi +1-1 7 3";
    let at = |seconds| Timestamp::new(100 + LIFE + seconds, 250_000_000);
    assert_eq!(node.expire(at(0), 10, &kept), 0);
    assert_eq!(node.expire(at(1), 10, &kept), 1);
    assert_eq!(node.clients(), 0);
    assert_eq!(
        say(&mut node, b"WHATSAT kiwi 1 1").0,
        "? WHATSAT kiwi 1 1\\n"
    );
    // A neighbour that expires the record later sends it again.
    node.peer_line(NeighbourId(0), line.as_bytes(), NOW, &kept)
        .expect("a good line");
    assert_eq!((node.clients(), pulled(&mut node).as_str()), (0, ""));
    let why = kept.find(|what| match what {
        EventKind::Expired { record } => Some(record.client.to_string()),
        EventKind::Ignored { why, .. } => Some(format!("{why:?}")),
        _ => None,
    });
    assert_eq!(why, ["kiwi", "Expired"]);
}

#[test]
fn what_is_forgotten_while_it_waits_is_not_sent_and_its_number_serves_again() {
    let mut node = riley();
    node.keep(mortal(usize::MAX));
    say(&mut node, b"IAMAT kiwi +1-1 100");
    say(&mut node, b"IAMAT plum +1-1 100");
    assert_eq!(node.expire(Timestamp::new(1000, 0), 1, &NullJournal), 1);
    assert_eq!(node.expire(Timestamp::new(1000, 0), 1, &NullJournal), 1);
    node.expire(Timestamp::new(150, 0), 1, &NullJournal);
    say(&mut node, b"IAMAT cherry +2-2 100");
    assert_eq!(
        pulled(&mut node),
        "AT Riley +0.250000000 cherry +2-2 100 1\\n"
    );
    assert_eq!(told(&node), ["Riley +0.250000000 cherry +2-2 100"]);
}

#[test]
fn a_time_to_live_that_is_set_later_holds_for_what_is_there_already() {
    let mut node = riley();
    say(&mut node, b"IAMAT kiwi +1-1 100");
    let late = Timestamp::new(10_000, 0);
    assert_eq!(node.expire(late, 10, &NullJournal), 0);
    node.keep(mortal(usize::MAX));
    assert_eq!(node.expire(late, 10, &NullJournal), 1);
    assert_eq!(node.clients(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn servers_that_forget_at_different_times_agree_in_the_end(
        // Each step with the age of its update at the end, in seconds; the time to live is 100.
        steps in prop::collection::vec((step(), 0..200u64), 0..100),
        forgetting in prop::collection::vec((0..100usize, 0..5usize, 0..250u64), 0..20),
        // Which servers expire their records in time; the others are slow.
        in_time in prop::collection::vec(any::<bool>(), 5),
        bounds in prop::sample::select(vec![(32, 4096), (2, 4096), (2, 100)]),
    ) {
        let mut herd = Cluster::new(5, &RILEY);
        herd.set_bounds(bounds);
        let end = 10_000;
        for (at, (step, age)) in steps.iter().enumerate() {
            herd.clock = end - age;
            for (_, server, wrong) in forgetting.iter().filter(|(when, ..)| *when == at) {
                // Clocks differ, so that records expire too early or too late.
                herd.nodes[*server].keep(mortal(usize::MAX));
                herd.nodes[*server].expire(Timestamp::new(end - 100 + wrong, 0), usize::MAX, &NullJournal);
            }
            perform(&mut herd, step);
        }
        // Now all clocks are right, and all servers have the same time to live.
        let now = Timestamp::new(end, 0);
        for (node, in_time) in herd.nodes.iter_mut().zip(&in_time) {
            node.keep(mortal(usize::MAX));
            let now = if *in_time { now } else { Timestamp::default() };
            node.expire(now, usize::MAX, &NullJournal);
        }
        for link in 0..RILEY.len() {
            herd.set_link(link, false);
            herd.set_link(link, true);
        }
        herd.settle();
        for (node, in_time) in herd.nodes.iter_mut().zip(&in_time) {
            let forgotten = node.expire(now, usize::MAX, &NullJournal);
            prop_assert!(!in_time || forgotten == 0, "a slow neighbour brought back what was over");
        }
        // Expired records that a slow server still held hid updates from it that are older but were
        // heard later, and so live longer. It lacks those now; anti-entropy rounds find them.
        for _ in 0..3 {
            for server in 0..5 {
                herd.for_each_link(server, Node::anti_entropy);
            }
            herd.settle();
        }
        herd.assert_agreed();
        for node in &herd.nodes {
            for (record, _) in node.records() {
                prop_assert!(record.heard_at() >= Timestamp::new(end - LIFE, 0));
            }
            // Each stored record can be looked up by its client, although indices were freed and
            // reused.
            let ids: Vec<Vec<u8>> = node.records().map(|(record, _)| record.id().to_vec()).collect();
            prop_assert_eq!(ids.len(), node.clients());
            for id in ids {
                prop_assert!(node.record(&id).is_some());
            }
        }
    }
}

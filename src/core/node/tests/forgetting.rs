//! Clients that an operator has forgotten.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::node::{ForgetError, Keep};

/// The largest time that there is: no update of a client is newer.
const LARGEST: u64 = u64::MAX;

fn forget(node: &mut Node, id: &str) -> Result<u32, ForgetError> {
    let forgotten = node.forget(id.as_bytes(), Timestamp::new(200, 0), &NullJournal)?;
    Ok(forgotten.generation)
}

#[test]
fn a_forgotten_client_is_unknown_and_its_next_line_is_taken_whatever_was_said_before() {
    let mut node = riley();
    hear(
        &mut node,
        &format!("AT Jaquez +0.000000000 kiwi +0-0 {LARGEST} 1"),
    )
    .expect("a good line");
    say(&mut node, b"IAMAT kiwi +1-1 100");
    assert_eq!(pulled(&mut node), "", "it is pinned");
    assert_eq!(forget(&mut node, "kiwi"), Ok(1));
    assert_eq!((node.clients(), node.forgotten()), (0, 1));
    assert_eq!(
        say(&mut node, b"WHATSAT kiwi 1 1").0,
        "? WHATSAT kiwi 1 1\\n"
    );
    assert_eq!(
        pulled(&mut node),
        "AT Riley +0.000000000 kiwi - 200.000000000 1 1\\n"
    );
    // Forgetting the client a second time changes nothing.
    assert_eq!(forget(&mut node, "kiwi"), Ok(1));
    assert_eq!(pulled(&mut node), "");
    // An update by the right clock is accepted, and the record that pinned the client is older than
    // it.
    let (answer, _) = say(&mut node, b"IAMAT kiwi +1-1 100");
    assert_eq!(answer, "AT Riley +0.250000000 kiwi +1-1 100\\n");
    assert_eq!(
        pulled(&mut node),
        "AT Riley +0.250000000 kiwi +1-1 100 1 1\\n"
    );
    hear(
        &mut node,
        &format!("AT Jaquez +0.000000000 kiwi +0-0 {LARGEST} 1"),
    )
    .expect("a good line");
    let (record, _) = node.record(b"kiwi").expect("known");
    assert_eq!((record.location(), record.generation()), (&b"+1-1"[..], 1));
    assert_eq!((node.clients(), node.forgotten()), (1, 0));
    // The client can send the largest time again, which blocks its later updates, and can be
    // forgotten again.
    say(&mut node, format!("IAMAT kiwi +0-0 {LARGEST}").as_bytes());
    assert_eq!(forget(&mut node, "kiwi"), Ok(2));
}

#[test]
fn who_is_not_known_or_is_past_all_generations_is_not_forgotten() {
    let mut node = riley();
    assert_eq!(forget(&mut node, "kiwi"), Err(ForgetError::Unknown));
    hear(
        &mut node,
        &format!("AT Jaquez +0.000000000 kiwi +0-0 7 1 {}", u32::MAX),
    )
    .expect("a good line");
    assert_eq!(forget(&mut node, "kiwi"), Err(ForgetError::TooOften));
    assert_eq!(node.clients(), 1);
}

#[test]
fn a_forgotten_client_counts_for_no_ceiling_until_it_comes_back() {
    let mut node = riley();
    node.keep(Keep {
        most_clients: 1,
        ..Keep::default()
    });
    say(&mut node, b"IAMAT kiwi +1-1 100");
    forget(&mut node, "kiwi").expect("known");
    assert!(say(&mut node, b"IAMAT plum +1-1 100").0.starts_with("AT "));
    assert!(say(&mut node, b"IAMAT kiwi +1-1 101").0.starts_with("? "));
}

#[test]
fn a_tombstone_lives_as_long_as_any_record_and_what_it_overruled_does_not_outlive_it() {
    let mut node = riley();
    node.keep(Keep {
        time_to_live: Some(Duration::from_secs(100)),
        ..Keep::default()
    });
    // The origin received it at 100, whatever its time says.
    let pinned = format!(
        "AT Jaquez -{}.000000000 kiwi +0-0 {LARGEST} 1",
        LARGEST - 100
    );
    hear(&mut node, &pinned).expect("a good line");
    // The clock of the operator's server showed 200.
    forget(&mut node, "kiwi").expect("known");
    assert_eq!(node.expire(Timestamp::new(300, 0), 10, &NullJournal), 0);
    assert_eq!(node.forgotten(), 1);
    assert_eq!(node.expire(Timestamp::new(301, 0), 10, &NullJournal), 1);
    assert_eq!((node.clients(), node.forgotten()), (0, 0));
    hear(&mut node, &pinned).expect("a good line");
    assert_eq!(node.clients(), 0, "what pinned it was over before");
}

#[test]
fn the_journal_says_who_wanted_a_client_forgotten() {
    let mut node = riley();
    let kept = EventLog::default();
    say(&mut node, b"IAMAT kiwi +1-1 100");
    node.forget(b"kiwi", Timestamp::new(200, 0), &kept)
        .expect("known");
    say(&mut node, b"IAMAT plum +1-1 100");
    let line = b"AT Jaquez +0.000000000 plum - 300 2 1";
    node.peer_line(NeighbourId(0), line, NOW, &kept)
        .expect("a good line");
    let words = kept.find(|what| match what {
        EventKind::Forgotten { .. } | EventKind::Accepted { .. } => Some(what.to_string()),
        _ => None,
    });
    assert_eq!(
        words,
        [
            "forgets kiwi: an operator wants that",
            "forgets plum: Jaquez relays an operator's request at Jaquez"
        ]
    );
}

#[test]
fn a_neighbour_of_version_1_is_told_of_nobody_who_was_forgotten() {
    let mut node = riley();
    let old = Greeting {
        version: 1,
        ..greeted_by(NeighbourId(0))
    };
    node.link_up(old, ConnId(2), GREETED, &NullJournal);
    pulled(&mut node);
    // kiwi's record waits to be sent, and a tombstone replaces it before that.
    say(&mut node, b"IAMAT kiwi +1-1 100");
    forget(&mut node, "kiwi").expect("known");
    say(&mut node, b"IAMAT plum +1-1 100");
    assert_eq!(
        pulled(&mut node),
        "AT Riley +0.250000000 plum +1-1 100 1\\n"
    );
    say(&mut node, b"IAMAT kiwi +1-1 101");
    assert_eq!(pulled(&mut node), "");
    // A neighbour of version 1 that lacks everything does not get kiwi's record in bulk either.
    node.link_up(old, ConnId(3), GREETED, &NullJournal);
    pulled(&mut node);
    hear(&mut node, "DIGEST - 0 0000000000000000").expect("a good line");
    let told = pulled(&mut node);
    assert!(
        told.contains(" plum ") && !told.contains(" kiwi "),
        "{told}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn a_herd_that_forgot_a_client_takes_it_again_and_nothing_brings_the_old_back(
        steps in prop::collection::vec(forgetful_step(), 0..60),
        (server, back) in (0..5usize, 0..5usize),
        all_links in any::<bool>(),
        bounds in prop::sample::select(vec![(32, 4096), (2, 100)]),
    ) {
        let mut herd = Cluster::new(5, &RILEY);
        herd.set_bounds(bounds);
        for step in steps {
            match step {
                Forgetting::Step(step) => perform(&mut herd, &step),
                Forgetting::Forget { server, client } => {
                    let id = format!("c{client}");
                    let _ = forget(&mut herd.nodes[server], &id);
                }
            }
        }
        // A record pins the client for good while a part of the herd is cut off.
        herd.update(server, 0, LARGEST, 34);
        for link in 0..RILEY.len() {
            let in_tree = [0, 1, 2, 4].contains(&link);
            herd.set_link(link, all_links || in_tree);
        }
        herd.settle();
        herd.assert_agreed();
        prop_assert!(forget(&mut herd.nodes[server], "c0").is_ok());
        // A server is cut off after the client is forgotten, and comes back with all its records.
        let cut: Vec<usize> = (0..RILEY.len()).filter(|&link| {
            let (a, b, up) = herd.links[link];
            up && (a == back || b == back)
        }).collect();
        for &link in &cut {
            herd.set_link(link, false);
        }
        herd.settle();
        for &link in &cut {
            herd.set_link(link, true);
        }
        herd.settle();
        herd.assert_agreed();
        for node in &herd.nodes {
            prop_assert!(node.record(b"c0").expect("a tombstone").0.is_tombstone());
        }
        herd.update(back, 0, 1, 12);
        herd.settle();
        // A rolling restart.
        for server in 0..5 {
            let up: Vec<usize> = (0..RILEY.len()).filter(|&link| herd.links[link].2).collect();
            herd.restart(server);
            for link in up {
                herd.set_link(link, true);
            }
            herd.settle();
        }
        herd.assert_agreed();
        for node in &herd.nodes {
            prop_assert_eq!(node.record(b"c0").expect("known").0.location(), b"+12-118");
        }
    }
}

#[derive(Clone, Debug)]
enum Forgetting {
    Step(Step),
    Forget { server: usize, client: u8 },
}

fn forgetful_step() -> impl Strategy<Value = Forgetting> {
    let few = (
        0..5usize,
        0..3u8,
        prop::sample::select(vec![1, 2, LARGEST]),
        10..40u8,
    );
    let update = few.prop_map(|(server, client, time, place)| Step::Update {
        server,
        client,
        time,
        place,
    });
    prop_oneof![
        3 => update.prop_map(Forgetting::Step),
        2 => (0..5usize, 0..3u8).prop_map(|(server, client)| Forgetting::Forget { server, client }),
        8 => step().prop_map(Forgetting::Step),
    ]
}

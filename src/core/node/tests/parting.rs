//! Graceful stops, two servers with one name, and what a neighbour of the version before is sent.

use super::*;
use crate::node::Unconfirmed;

const JAQUEZ: NeighbourId = NeighbourId(0);

fn linked(version: u32) -> Node {
    let mut node = Node::new(config("Riley", &[("Jaquez", false)]));
    let greeting = Greeting {
        version,
        ..greeted_by(JAQUEZ)
    };
    node.link_up(greeting, ConnId(1), GREETED, &NullJournal);
    node
}

fn down(node: &mut Node) {
    node.link_down(JAQUEZ, CloseReason::Ended, None, &NullJournal);
}

/// Completes a round of set reconciliation between two empty stores.
fn synchronise(node: &mut Node) {
    hear(node, "DIGEST - 0 0000000000000000").expect("a question");
    hear(node, "SYNCED 0").expect("its end");
    pulled(node);
}

fn unconfirmed(records: usize, was_linked: bool) -> Vec<Unconfirmed> {
    vec![Unconfirmed {
        peer: "Jaquez".into(),
        records,
        was_linked,
    }]
}

#[test]
fn who_leaves_says_what_waits_then_bye_and_is_confirmed() {
    let mut node = linked(2);
    synchronise(&mut node);
    say(&mut node, b"IAMAT kiwi +34-118 100");
    node.leave(JAQUEZ);
    assert_eq!(
        pulled(&mut node),
        "AT Riley +0.250000000 kiwi +34-118 100 1\\nBYE\\n"
    );
    assert!(node.has_left(JAQUEZ) && !node.is_confirmed(JAQUEZ));
    // Neighbours' updates are stored and not forwarded, and no query is sent or answered.
    hear(&mut node, "AT Jaquez +0.000000000 plum +34-118 100 1").expect("an update");
    hear(&mut node, "PING 7.000000000").expect("a question");
    assert_eq!(pulled(&mut node), "");
    hear(&mut node, "BYE").expect("its confirmation");
    assert!(node.is_confirmed(JAQUEZ));
    down(&mut node);
    assert_eq!(node.farewell(&NullJournal), []);
}

/// What is written when one line is enough.
fn pulled_little(node: &mut Node) -> String {
    let mut out = Vec::new();
    node.pull(JAQUEZ, 1, NOW, &mut out, &NullJournal);
    escape(&out)
}

#[test]
fn bye_waits_for_all_that_is_live_however_little_is_written_at_once() {
    let mut node = linked(2);
    synchronise(&mut node);
    say(&mut node, b"IAMAT kiwi +34-118 100");
    say(&mut node, b"IAMAT plum +34-118 100");
    node.leave(JAQUEZ);
    assert!(pulled_little(&mut node).ends_with(" kiwi +34-118 100 1\\n"));
    assert!(pulled_little(&mut node).ends_with(" plum +34-118 100 1\\nBYE\\n"));
}

/// The neighbour's `BYE` may cross with this server's stop. It confirms nothing that was not sent.
#[test]
fn who_says_bye_before_it_was_told_everything_confirms_nothing() {
    let mut node = linked(2);
    synchronise(&mut node);
    say(&mut node, b"IAMAT kiwi +34-118 100");
    node.leave(JAQUEZ);
    hear(&mut node, "BYE").expect("its own end");
    assert!(!node.is_confirmed(JAQUEZ) && node.is_left_by(JAQUEZ));
}

#[test]
fn a_pong_confirms_what_was_sent_before_its_ping_and_not_what_waited() {
    let mut node = linked(2);
    synchronise(&mut node);
    say(&mut node, b"IAMAT kiwi +34-118 100");
    say(&mut node, b"IAMAT plum +34-118 100");
    node.ping(JAQUEZ);
    assert!(pulled_little(&mut node).contains("kiwi"));
    hear(&mut node, &format!("PONG {NOW} {NOW}")).expect("an answer");
    node.leave(JAQUEZ);
    down(&mut node);
    assert_eq!(node.farewell(&NullJournal), unconfirmed(1, true));
}

#[test]
fn who_does_not_confirm_is_named_with_what_it_may_lack() {
    let mut node = linked(2);
    synchronise(&mut node);
    for client in 0..5 {
        say(&mut node, format!("IAMAT c{client} +34-118 100").as_bytes());
    }
    node.ping(JAQUEZ);
    pulled(&mut node);
    hear(&mut node, &format!("PONG {NOW} {NOW}")).expect("an answer");
    // Jaquez confirms none of three more updates, of two clients.
    for client in ["plum", "kiwi", "kiwi"] {
        say(&mut node, format!("IAMAT {client} +34-118 100").as_bytes());
    }
    node.leave(JAQUEZ);
    pulled(&mut node);
    down(&mut node);
    let kept = EventLog::default();
    assert_eq!(node.farewell(&kept), unconfirmed(2, true));
    let told = kept.find(|what| match what {
        EventKind::Unconfirmed { records, .. } => Some(*records),
        _ => None,
    });
    assert_eq!(told, [2]);
}

#[test]
fn who_was_not_compared_with_is_sent_what_clients_said_here_and_no_more() {
    let mut node = Node::new(config("Riley", &[("Jaquez", false)]));
    say(&mut node, b"IAMAT kiwi +34-118 100");
    node.link_up(greeted_by(JAQUEZ), ConnId(1), GREETED, &NullJournal);
    hear(&mut node, "AT Jaquez +0.000000000 plum +34-118 100 1").expect("an update");
    node.leave(JAQUEZ);
    assert_eq!(
        pulled(&mut node),
        "AT Riley +0.250000000 kiwi +34-118 100 1\\nBYE\\n"
    );
    down(&mut node);
    // Neither record is confirmed, although Jaquez sent one of them.
    assert_eq!(node.farewell(&NullJournal), unconfirmed(2, true));
}

#[test]
fn a_neighbour_of_version_1_confirms_by_the_end_of_the_stream() {
    for ends in [true, false] {
        let mut node = linked(1);
        synchronise(&mut node);
        node.ping(JAQUEZ);
        assert_eq!(pulled(&mut node), "PING\\n");
        say(&mut node, b"IAMAT kiwi +34-118 100");
        node.leave(JAQUEZ);
        assert_eq!(
            pulled(&mut node),
            "AT Riley +0.250000000 kiwi +34-118 100 1\\n"
        );
        assert!(node.has_left(JAQUEZ));
        if ends {
            node.hear_end(JAQUEZ);
        }
        assert_eq!(node.is_confirmed(JAQUEZ), ends);
        down(&mut node);
        let wanted = if ends { vec![] } else { unconfirmed(1, true) };
        assert_eq!(node.farewell(&NullJournal), wanted);
    }
}

#[test]
fn who_is_left_answers_and_says_nothing_more() {
    let mut node = linked(2);
    synchronise(&mut node);
    say(&mut node, b"IAMAT kiwi +34-118 100");
    hear(&mut node, "AT Jaquez +0.000000000 plum +34-118 100 1").expect("an update");
    hear(&mut node, "BYE").expect("its end");
    assert!(node.is_left_by(JAQUEZ));
    say(&mut node, b"IAMAT fig +34-118 100");
    node.ping(JAQUEZ);
    assert_eq!(pulled(&mut node), "BYE\\n");
    assert!(node.record(b"plum").is_some());
    down(&mut node);
    // A neighbour that stopped is not waited for, and it held whatever this server held then.
    assert_eq!(node.farewell(&NullJournal), []);
    say(&mut node, b"IAMAT date +34-118 100");
    assert_eq!(node.farewell(&NullJournal), unconfirmed(1, true));
}

#[test]
fn what_nobody_else_knows_is_told_at_the_end() {
    let mut node = Node::new(config("Riley", &[("Jaquez", false)]));
    assert_eq!(node.farewell(&NullJournal), []);
    say(&mut node, b"IAMAT kiwi +34-118 100");
    assert_eq!(node.farewell(&NullJournal), unconfirmed(1, false));
    // If one neighbour confirmed everything, unreachable neighbours are not named.
    let mut node = Node::new(config("Riley", &[("Jaquez", false), ("Juzang", false)]));
    node.link_up(greeted_by(JAQUEZ), ConnId(1), GREETED, &NullJournal);
    say(&mut node, b"IAMAT kiwi +34-118 100");
    node.leave(JAQUEZ);
    pulled(&mut node);
    hear(&mut node, "BYE").expect("its confirmation");
    down(&mut node);
    assert_eq!(node.farewell(&NullJournal), []);
}

#[test]
fn what_comes_in_without_end_does_not_keep_a_slow_neighbour_from_its_bye() {
    let mut node = Node::new(config("Riley", &[("Jaquez", false), ("Juzang", false)]));
    let juzang = NeighbourId(1);
    for neighbour in [JAQUEZ, juzang] {
        node.link_up(greeted_by(neighbour), ConnId(1), GREETED, &NullJournal);
    }
    let relayed = |node: &mut Node, client: &str| {
        let line = format!("AT Juzang +0.000000000 {client} +34-118 100 1");
        node.peer_line(juzang, line.as_bytes(), NOW, &NullJournal)
            .expect("an update");
        let mut out = Vec::new();
        node.pull(JAQUEZ, 1, NOW, &mut out, &NullJournal);
        escape(&out)
    };
    node.leave(JAQUEZ);
    relayed(&mut node, "kiwi");
    node.relay_no_more();
    assert_eq!(relayed(&mut node, "plum"), "");
    assert!(node.record(b"plum").is_some());
    assert!(node.has_left(JAQUEZ));
}

#[test]
fn a_run_that_another_has_followed_is_refused_and_both_are_named() {
    let mut node = Node::new(config("Riley", &[("Jaquez", false)]));
    let greet = |node: &Node, boot: u64| {
        let line = format!("HELLO 2 riley Jaquez {boot:016x} 0");
        node.greet(line.as_bytes(), None)
    };
    for boot in [7, 7, 8] {
        let Ok(Greeted::Link(greeting)) = greet(&node, boot) else {
            panic!("boot {boot} is refused");
        };
        node.link_up(greeting, ConnId(boot), GREETED, &NullJournal);
        hear(&mut node, "PING").expect("a heartbeat");
    }
    let refused = greet(&node, 7).expect_err("boot 8 came after it");
    assert_eq!(
        refused.reason,
        "two servers are called Jaquez: boot 0000000000000008 has the link, this is boot 0000000000000007"
    );
    assert_eq!(
        crate::protocol::peer::namesake(&refused.reason),
        Some("0000000000000008")
    );
    let namesakes = refused.namesakes.expect("they are two");
    assert_eq!(
        (namesakes.linked, namesakes.conn),
        (BootId(8), Some(ConnId(8)))
    );
    // A third run is accepted, and then both earlier runs are refused.
    let Ok(Greeted::Link(greeting)) = greet(&node, 9) else {
        panic!("boot 9 is refused");
    };
    node.link_up(greeting, ConnId(9), GREETED, &NullJournal);
    hear(&mut node, "PING").expect("a heartbeat");
    assert!(greet(&node, 7).is_err() && greet(&node, 8).is_err());
    // The run that has followed them has ended, or is out of reach: there are no two any more.
    down(&mut node);
    assert!(greet(&node, 7).is_ok() && greet(&node, 8).is_ok());
}

#[test]
fn a_greeting_that_comes_after_the_end_of_its_run_does_not_lock_the_next_run_out() {
    let mut node = Node::new(config("Riley", &[("Jaquez", false)]));
    let greet = |node: &Node, boot: u64| {
        let line = format!("HELLO 2 riley Jaquez {boot:016x} 0");
        match node.greet(line.as_bytes(), None) {
            Ok(Greeted::Link(greeting)) => greeting,
            other => panic!("boot {boot} gets {other:?}"),
        }
    };
    let next = greet(&node, 8);
    node.link_up(next, ConnId(8), GREETED, &NullJournal);
    hear(&mut node, "PING").expect("a heartbeat");
    // What the system of the run before still had to send.
    let ghost = greet(&node, 7);
    node.link_up(ghost, ConnId(7), GREETED, &NullJournal);
    down(&mut node);
    assert_eq!(greet(&node, 8).boot, BootId(8));
}

#[test]
fn a_neighbour_of_version_1_is_not_told_of_generations() {
    for (version, wanted) in [
        (1, ""),
        (2, "AT Riley +0.000000000 kiwi - 200.000000000 1 1\\n"),
    ] {
        let mut node = linked(version);
        synchronise(&mut node);
        say(&mut node, b"IAMAT kiwi +34-118 100");
        pulled(&mut node);
        node.forget(b"kiwi", Timestamp::new(200, 0), &NullJournal)
            .expect("it is known");
        say(&mut node, b"IAMAT plum +34-118 100");
        let plum = "AT Riley +0.250000000 plum +34-118 100 1\\n";
        assert_eq!(pulled(&mut node), format!("{wanted}{plum}"));
    }
}

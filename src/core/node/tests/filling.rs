//! A server that lacks much is filled by one neighbour at a time, and gets live updates meanwhile.

use super::*;

/// S0 is empty and alone; its three neighbours hold the same records, and are linked with each
/// other.
fn around_an_empty_one(records: u32) -> Cluster {
    let mut herd = Cluster::new(4, &[(0, 1), (2, 0), (0, 3), (1, 2), (2, 3)]);
    for link in [3, 4] {
        herd.set_link(link, true);
    }
    for client in 0..records {
        let at = ClientLineAt {
            conn: ConnId(0),
            clock: &|| Timestamp::new(100, 0),
        };
        let line = format!("IAMAT c{client} +34-118 100");
        herd.nodes[1].client_line(line.as_bytes(), at, &NullJournal, &mut Vec::new());
    }
    herd.settle();
    herd.sends = 0;
    herd
}

#[test]
fn an_empty_server_is_sent_what_all_its_neighbours_hold_once() {
    let mut herd = around_an_empty_one(3000);
    for link in [0, 1, 2] {
        herd.set_link(link, true);
    }
    herd.settle();
    herd.assert_agreed();
    assert_eq!(herd.nodes[0].clients(), 3000);
    assert_eq!(herd.sends, 3000);
    for (name, status) in herd.nodes[0].links() {
        assert!(status.is_some_and(|status| !status.comparing), "{name}");
    }
}

#[test]
fn whoever_fills_and_dies_is_followed_by_the_next() {
    for (killed, is_silent) in [(0, false), (0, true), (1, false), (2, false)] {
        let mut herd = around_an_empty_one(3000);
        for link in [killed, (killed + 1) % 3, (killed + 2) % 3] {
            herd.set_link(link, true);
        }
        // Some records are in flight, and some have arrived.
        for _ in 0..20 {
            for other in [1, 2, 3] {
                herd.write(other, 0, 500);
                herd.write(0, other, 500);
                while herd.deliver(other, 0) {}
                while herd.deliver(0, other) {}
            }
        }
        let known = herd.nodes[0].clients();
        assert!((1..3000).contains(&known), "{known}");
        if is_silent {
            // The neighbour that fills S0 lives, and sends nothing more.
            let filler = herd.neighbour(0, 1);
            herd.nodes[0].anti_entropy(filler);
            herd.nodes[0].anti_entropy(filler);
            for _ in 0..100_000 {
                for other in [2, 3] {
                    herd.write(other, 0, usize::MAX);
                    herd.write(0, other, usize::MAX);
                    while herd.deliver(other, 0) {}
                    while herd.deliver(0, other) {}
                }
                if herd.nodes[0].clients() == 3000 {
                    break;
                }
            }
        } else {
            herd.set_link(killed, false);
            herd.settle();
            herd.assert_agreed();
            // The two remaining neighbours do not both send the rest.
            assert!(herd.sends < 3600, "{} sends", herd.sends);
        }
        assert_eq!(herd.nodes[0].clients(), 3000, "{killed} {is_silent}");
    }
}

#[test]
fn what_is_live_passes_a_server_that_is_filled() {
    let mut herd = around_an_empty_one(3000);
    // S3 has a link with S0 alone.
    herd.set_link(4, false);
    for link in [0, 1, 2] {
        herd.set_link(link, true);
    }
    for _ in 0..5 {
        for other in [1, 2, 3] {
            herd.write(other, 0, 500);
            herd.write(0, other, 500);
            while herd.deliver(other, 0) {}
            while herd.deliver(0, other) {}
        }
    }
    herd.update(1, 200, 5000, 40);
    // A line or two of bulk may go ahead of the update.
    for (from, to) in [(1, 0), (0, 3)] {
        herd.write(from, to, 1);
        while herd.deliver(from, to) {}
    }
    let (record, hops) = herd.nodes[3].record(b"c200").expect("it is known there");
    assert_eq!((record.time_text(), hops), (&b"5000"[..], 2));
    assert!(herd.nodes[0].clients() < 3000);
}

#[test]
fn bulk_waits_for_what_is_on_its_way_and_live_does_not() {
    let mut node = riley();
    for client in 0..20_000 {
        say(&mut node, format!("IAMAT c{client} +34-118 1").as_bytes());
    }
    pulled(&mut node);
    hear(&mut node, "DIGEST - 0 0000000000000000").expect("a question");
    let drained = |node: &mut Node| {
        let mut out = Vec::new();
        while node.has_work(NeighbourId(0)) {
            node.pull(NeighbourId(0), 64 * 1024, NOW, &mut out, &NullJournal);
        }
        String::from_utf8(out).expect("ASCII")
    };
    let first = drained(&mut node);
    assert_eq!(first.matches("PING ").count(), 4);
    assert!(first.len() < 300_000, "{} bytes", first.len());
    say(&mut node, b"IAMAT kiwi +34-118 1");
    let live = drained(&mut node);
    assert_eq!(live, "AT Riley +99.250000000 kiwi +34-118 1 1\n");
    hear(&mut node, &format!("PONG {NOW} {NOW}")).expect("an answer");
    let more = drained(&mut node);
    assert_eq!(more.matches("PING ").count(), 1);
    assert!(
        (60_000..70_000).contains(&more.len()),
        "{} bytes",
        more.len()
    );
    // A `PONG` that answers no open `PING` is an error.
    let wrong = hear(&mut node, "PONG 7.000000000 7.000000000");
    assert_eq!(wrong, Err(PeerError::Unexpected));
}

#[test]
fn under_updates_that_never_end_a_neighbour_is_filled_all_the_same() {
    const ENOUGH: usize = 16 * 1024;
    let mut node = riley();
    for client in 0..20_000 {
        say(&mut node, format!("IAMAT c{client} +34-118 1").as_bytes());
    }
    pulled(&mut node);
    hear(&mut node, "DIGEST - 0 0000000000000000").expect("a question");
    let (mut told, mut number) = (Vec::new(), 0);
    // Between two pulls more updates arrive than one takes, and the neighbour confirms nothing.
    for _ in 0..600 {
        for _ in 0..400 {
            number += 1;
            say(
                &mut node,
                format!("IAMAT live{number} +34-118 1").as_bytes(),
            );
        }
        let mut out = Vec::new();
        node.pull(NeighbourId(0), ENOUGH, NOW, &mut out, &NullJournal);
        told.append(&mut out);
        let link = node.links[0].as_ref().expect("it is up");
        assert!(link.dirty.has_live(), "no end of updates was reached");
    }
    let told = String::from_utf8(told).expect("ASCII");
    let (before, _) = told
        .split_once("SYNCED ")
        .expect("it is told all it lacked");
    assert_eq!(before.matches(" c").count(), 20_000);
    // Live updates are sent as `AT`, and not once more in bulk.
    for line in before.lines().filter(|line| line.contains(" live")) {
        assert!(line.starts_with("AT "), "{line}");
    }
}

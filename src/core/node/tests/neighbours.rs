//! Neighbours that join and leave while a server runs.

use super::*;

fn neighbour(name: &str, dialled: bool) -> Neighbour {
    Neighbour {
        name: name.into(),
        dialled,
    }
}

fn hello(node: &Node, server: &str) -> Result<NeighbourId, String> {
    let line = format!("HELLO 1 riley {server} 0123456789abcdef");
    match node.greet(line.as_bytes(), None) {
        Ok(Greeted::Link(greeting)) => Ok(greeting.neighbour),
        Ok(Greeted::DialMe(_)) => panic!("a HELLO asks for a link"),
        Err(refused) => Err(refused.reason),
    }
}

fn names(node: &Node) -> Vec<String> {
    node.links().map(|(name, _)| name.to_string()).collect()
}

#[test]
fn a_neighbour_that_comes_is_greeted_and_told_what_is_known() {
    let mut node = riley();
    say(&mut node, b"IAMAT kiwi +34-118 100");
    assert_eq!(
        hello(&node, "Juzang"),
        Err("Juzang is no neighbour of Riley".to_owned())
    );
    let juzang = node.gain(neighbour("Juzang", false), &NullJournal);
    assert_eq!(hello(&node, "Juzang"), Ok(juzang));
    node.link_up(greeted_by(juzang), ConnId(2), GREETED, &NullJournal);
    let asks = b"DIGEST - 0 0000000000000000";
    node.peer_line(juzang, asks, NOW, &NullJournal)
        .expect("a question");
    let mut out = Vec::new();
    node.pull(juzang, usize::MAX, NOW, &mut out, &NullJournal);
    let told = "HAVE Riley +0.250000000 kiwi +34-118 100 1\\n";
    assert!(escape(&out).contains(told), "{}", escape(&out));
}

#[test]
fn a_neighbour_that_leaves_is_told_nothing_more_and_others_notice_nothing() {
    let mut node = riley();
    let juzang = node.gain(neighbour("Juzang", false), &NullJournal);
    node.link_up(greeted_by(juzang), ConnId(2), GREETED, &NullJournal);
    say(&mut node, b"IAMAT kiwi +34-118 100");
    let kept = EventLog::default();
    let why = || CloseReason::Refused("no link".into());
    node.lose(NeighbourId(0), why(), &kept);
    assert_eq!(pulled(&mut node), "");
    assert!(!node.has_work(NeighbourId(0)) && node.has_work(juzang));
    let mut woken = Vec::new();
    node.take_ready(|neighbour| woken.push(neighbour));
    assert_eq!(woken, [juzang]);
    assert_eq!(names(&node), ["Juzang"]);
    assert!(hello(&node, "Jaquez").is_err());
    // A line of Jaquez that was in flight arrives too late, and so does a greeting.
    hear(&mut node, "AT Jaquez +0.000000000 plum +1-1 5 1").expect_err("it is no neighbour");
    node.link_up(greeted_by(NeighbourId(0)), ConnId(3), GREETED, &kept);
    assert!(!node.has_work(NeighbourId(0)));
    // Removing the neighbour again changes nothing.
    node.lose(NeighbourId(0), why(), &kept);
    let told =
        kept.find(|what| (!matches!(what, EventKind::LineIn { .. })).then(|| what.to_string()));
    assert_eq!(
        told,
        [
            "has no link with Jaquez any more",
            "link to Jaquez is down: refused: no link"
        ]
    );
}

#[test]
fn the_id_of_one_that_left_goes_to_one_that_comes_so_ids_never_run_out() {
    let mut node = riley();
    let juzang = node.gain(neighbour("Juzang", true), &NullJournal);
    for round in 0..1000 {
        node.lose(NeighbourId(0), CloseReason::Ended, &NullJournal);
        let name = format!("S{round}");
        assert_eq!(
            node.gain(neighbour(&name, false), &NullJournal),
            NeighbourId(0)
        );
        assert_eq!(hello(&node, &name), Ok(NeighbourId(0)));
        assert_eq!(names(&node), [&*name, "Juzang"]);
    }
    assert_eq!(node.name_of(juzang), "Juzang".into());
    // The reused id begins as a link that never was up: with nothing to send.
    assert_eq!(pulled(&mut node), "");
}

#[test]
fn a_neighbour_that_comes_back_may_be_dialled_from_the_other_end() {
    let mut node = riley();
    assert_eq!(hello(&node, "Jaquez"), Ok(NeighbourId(0)));
    node.lose(NeighbourId(0), CloseReason::Ended, &NullJournal);
    let jaquez = node.gain(neighbour("Jaquez", true), &NullJournal);
    assert_eq!(
        hello(&node, "Jaquez"),
        Err("Riley dials Jaquez, not the other way round".to_owned())
    );
    node.link_up(greeted_by(jaquez), ConnId(2), GREETED, &NullJournal);
    assert_eq!(pulled(&mut node), "DIGEST - 0 0000000000000000\\n");
}

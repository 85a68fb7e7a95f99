//! Neighbours for whom a scenario speaks by hand: what they say is no fault of the servers, and whatever servers do of
//! themselves is judged as before.

use super::*;

/// Riley is down, and somebody greets Juzang in its name and says this.
fn spoken(lines: &str) -> String {
    format!(
        r#"
        title = "a test"
        herd = "riley"
        steps = [
          {{ at = "1s", crash = "Riley" }},
          {{ at = "2s", peer = "evil", connection = "c", to = "Juzang", send = "HELLO 2 riley Riley 00000000000000aa 0", reply = "HELLO *" }},
          {{ at = "3s", peer = "evil", connection = "c", to = "Juzang", send = {lines} }},
          {{ at = "4s", client = "plum", to = "Campbell", send = "WHATSAT kiwi 10 5", reply = "*" }},
          {{ at = "12s", restart = "Riley" }},
        ]"#
    )
}

const KIWI_IS_THERE: &str = r#""AT Riley +0.500000000 kiwi +34-118 5 3""#;

#[test]
fn nobody_is_accused_of_what_a_neighbour_says_by_hand() {
    for lines in [
        KIWI_IS_THERE,
        r#""nonsense""#,
        r#""BYE""#,
        r#""BYE I don't like you""#,
        r#"["DIGEST - 0 0000000000000000", "DIGEST - 0 0000000000000000", "DIGEST - 0 0000000000000000"]"#,
        r#"["AT Riley +0.500000000 kiwi +34-118 5 3", "WANT - 1234567812345678"]"#,
        r#"["AT Riley +0.500000000 kiwi +34-118 5 3", "AT Riley +0.500000000 kiwi - 5 3 7"]"#,
    ] {
        run(&spoken(lines)).assert_passed();
    }
}

/// The name that somebody greets with may be that of a neighbour that runs: both lose their links for that reason.
#[test]
fn a_link_that_is_taken_by_hand_goes_down_for_a_reason() {
    let trace = run(r#"
        title = "a test"
        herd = "riley"
        steps = [
          { at = "2s", peer = "evil", connection = "c", to = "Juzang", send = "HELLO 2 riley Riley 00000000000000aa 0", reply = "HELLO *" },
          { at = "6s", client = "kiwi", to = "Riley", send = "IAMAT kiwi +34-118 {now}", reply = "AT *" },
        ]
        [[expect]]
        link = "all"
        is = "synchronised"
        [[expect]]
        log = "link to Riley is down: superseded by a newer connection"
        by = "Juzang"
        times = 2
        "#);
    trace.assert_passed();
}

#[test]
fn a_record_that_was_not_even_said_by_hand_is_invented() {
    let trace = run(&spoken(KIWI_IS_THERE));
    assert_eq!(violations(Invariant::NothingInvented, &trace), []);
    // Somebody said another time than Juzang took in.
    let mut altered = trace.clone();
    for event in &mut altered.events {
        if let (Actor::Peer(_), EventKind::LineOut { line, .. }) = (&event.who, &mut event.what)
            && line.0.starts_with(b"AT ")
        {
            *line = Text::from(&b"AT Riley +0.500000000 kiwi +34-118 6 3"[..]).into_owned();
        }
    }
    let found = violations(Invariant::NothingInvented, &altered);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].what.ends_with("which Riley never sent"),
        "{found:?}"
    );
}

/// A server may end such a link for silence only after its time.
#[test]
fn a_server_that_gives_up_early_is_caught_on_a_connection_by_hand_as_well() {
    let (_, broken) = mistaken(
        Mistake::GivesUpEarly,
        "Juzang",
        r#"
        title = "a test"
        herd = { name = "pair", servers = ["Juzang", "Riley"], links = ["Riley-Juzang"] }
        end = "6s"
        steps = [
          { at = "50ms", crash = "Riley" },
          { at = "2s", peer = "evil", connection = "c", to = "Juzang", send = "HELLO 2 pair Riley 00000000000000aa 0", reply = "HELLO *" },
        ]"#,
    );
    assert!(
        broken.contains(&Invariant::LinksFailForAReason),
        "{broken:?}"
    );
}

/// With each round that it begins by itself a server is still bounded.
#[test]
fn a_server_that_begins_rounds_by_itself_is_caught_on_a_connection_by_hand_as_well() {
    let trace = run(&spoken(r#""ROOT 5 00000000000000aa""#));
    assert_eq!(violations(Invariant::ReconciliationBounded, &trace), []);
    let mut altered = trace.clone();
    let root = position(&altered, |event| {
        is_at(event, "Juzang")
            && matches!(&event.what, EventKind::LineIn { line, .. } if line.0.starts_with(b"ROOT 5"))
    });
    let EventKind::LineIn { conn, .. } = altered.events[root].what else {
        panic!("a line");
    };
    // Juzang begins a round by one root alone.
    let next = altered.events[root..]
        .iter()
        .position(|event| {
            is_at(event, "Juzang")
                && matches!(event.what, EventKind::LineOut { conn: by, .. } if by == conn)
        })
        .expect("it pings");
    if let EventKind::LineOut { line, .. } = &mut altered.events[root + next].what {
        *line = Text::from(&b"DIGEST - 0 0000000000000000"[..]).into_owned();
    }
    let found = violations(Invariant::ReconciliationBounded, &altered);
    assert_eq!(found.len(), 1, "{found:?}");
}

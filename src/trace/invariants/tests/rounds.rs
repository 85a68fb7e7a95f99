//! Set reconciliation that begins too often, or sends too much: by correct traces that a test
//! altered.

use super::*;

/// Riley comes back and is sent what it lacks; later there is nothing to do but compare roots.
const COMES_BACK: &str = r#"
    title = "a test"
    herd = "line:2"
    end = "40s"
    steps = [
      { at = "1s", client = "kiwi", to = "S1", send = "IAMAT kiwi +34-118 {now}" },
      { at = "2s", crash = "S1" },
      { at = "3s", restart = "S1" },
    ]
"#;

fn says(event: &Event, server: &str, beginning: &[u8]) -> bool {
    is_at(event, server)
        && matches!(&event.what, EventKind::LineOut { line, .. } if line.0.starts_with(beginning))
}

fn hears(event: &Event, server: &str, beginning: &[u8]) -> bool {
    is_at(event, server)
        && matches!(&event.what, EventKind::LineIn { line, .. } if line.0.starts_with(beginning))
}

/// The index of the last event for which `is_it` is true.
fn last(trace: &Trace, is_it: impl Fn(&Event) -> bool) -> usize {
    let found = trace.events.iter().rposition(is_it);
    found.expect("there is one")
}

#[test]
fn comparing_roots_for_a_long_time_is_no_work() {
    let trace = run(COMES_BACK);
    assert_eq!(violations(Invariant::ReconciliationBounded, &trace), []);
}

#[test]
fn a_record_that_was_lacked_is_sent_once_in_a_round() {
    let trace = run(COMES_BACK);
    let sent = last(&trace, |event| says(event, "S2", b"HAVE "));
    let trace = repeated(trace, sent, sent + 1);
    let (what, events) = only(Invariant::ReconciliationBounded, &trace);
    assert!(
        what.starts_with("S2 sends S1 +0.005000000 kiwi +34-118 ")
            && what.ends_with(" for the 2th time by set reconciliation, in 1 rounds of one link"),
        "{what}"
    );
    assert_eq!(events.len(), 1);
}

#[test]
fn a_round_begins_once_for_a_link() {
    let trace = run(COMES_BACK);
    let begun = last(&trace, |event| says(event, "S1", b"DIGEST "));
    let trace = repeated(trace, begun, begun + 1);
    let (what, events) = only(Invariant::ReconciliationBounded, &trace);
    assert_eq!(
        what,
        "S1 begins round 2 with S2 over one connection, by 0 heard roots"
    );
    assert!(events[0].starts_with("S1 says DIGEST "), "{events:?}");
}

#[test]
fn no_round_begins_while_both_ends_hold_the_same() {
    let mut trace = run(COMES_BACK);
    // The last root that S2 hears makes it begin a round, as if its digest were wrong.
    let root = last(&trace, |event| hears(event, "S2", b"ROOT "));
    let heard = trace.events[root].id;
    let EventKind::LineIn { conn, .. } = trace.events[root].what else {
        panic!("a line");
    };
    let begun = last(&trace, |event| says(event, "S1", b"DIGEST "));
    let begins = trace.events[begun].what.clone();
    let EventKind::LineOut { line, .. } = begins else {
        panic!("a line");
    };
    let after = trace.events[root + 1].clone();
    let mut trace_with = repeated(trace.clone(), root + 1, root + 1);
    trace_with.events[root + 1] = Event {
        who: Actor::Server("S2".into()),
        cause: Some(heard),
        what: EventKind::LineOut { conn, line },
        id: trace_with.events[root + 1].id,
        ..after
    };
    let (what, _) = only(Invariant::ReconciliationBounded, &trace_with);
    assert_eq!(
        what,
        "S2 begins a round with S1, and both have held the same since two roots"
    );
    // If something had changed meanwhile, there would have been a reason.
    let previous = (0..root)
        .rev()
        .find(|&at| hears(&trace.events[at], "S2", b"ROOT "));
    let accepted = position(&trace, |event| accepts(event, "S2"));
    trace = repeated(trace_with, accepted, previous.expect("a root before it"));
    assert_eq!(violations(Invariant::ReconciliationBounded, &trace), []);
}

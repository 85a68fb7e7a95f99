//! Neighbours that a scenario speaks for by hand, where a shipped scenario would be too long.

use proxy_herd::journal::{Actor, Event, EventKind};
use proxy_herd::scenario::Scenario;
use proxy_herd::sim;
use proxy_herd::trace::Trace;

fn run(steps: &str) -> Trace {
    let text = format!(
        "title = \"t\"\nherd = {{ name = \"pair\", servers = [\"Juzang\", \"Riley\"], links = [\"Riley-Juzang\"] }}\n\
         steps = [\n{steps}]"
    );
    let (scenario, _) = Scenario::parse("t.toml", &text, None).expect("it is valid");
    sim::run_once(&scenario).expect("it runs")
}

/// Ten thousand updates come at once. Each is taken in and confirmed, and a client that asks in between waits no longer than
/// ever: a server handles only some lines of a neighbour before it turns to others.
#[test]
fn a_flood_of_a_neighbour_is_taken_in_and_holds_no_client_up() {
    let trace = run(r#"
        { at = "1s", crash = "Riley" },
        { at = "2s", peer = "flood", connection = "c", to = "Juzang",
          send = "HELLO 2 pair Riley 00000000000000aa 0", reply = "HELLO *" },
        { at = "3s", peer = "flood", connection = "c", to = "Juzang", times = 10000,
          send = "AT Riley +0.500000000 kiwi{i} +34-118 5 1" },
        { at = "3s", client = "plum", to = "Juzang", times = 20, every = "5ms",
          send = "IAMAT plum +34-118 {now}", reply = "AT Juzang *" },
        { at = "3100ms", peer = "flood", connection = "c", to = "Juzang", send = "PING 7.000000000", reply = "PONG 7.000000000 *" },
        { at = "5s", restart = "Riley" },
    "#);
    trace.assert_passed();
    let accepted = trace.events.iter().filter(|event| {
        matches!(&event.who, Actor::Server(name) if **name == *"Juzang")
            && matches!(event.what, EventKind::Accepted { .. })
    });
    assert_eq!(accepted.count(), 10_020);
    // Two segments there, two back, and nothing in between.
    let asked = |event: &&Event| {
        matches!(&event.who, Actor::Client(_)) && matches!(event.what, EventKind::LineIn { .. })
    };
    let late = trace.events.iter().filter(asked).filter(|event| {
        let sent = trace.events.iter().rfind(|sent| {
            sent.id < event.id
                && sent.who == event.who
                && matches!(sent.what, EventKind::LineOut { .. })
        });
        sent.is_none_or(|sent| event.at - sent.at > 20_000_000)
    });
    assert_eq!(late.count(), 0);
}

/// The judgements of a peer's step, as `passed` or `failed` with what was expected and what came.
fn judged(step: &str) -> Vec<String> {
    let trace = run(&format!(
        "{{ at = \"1s\", crash = \"Riley\" }},\n{{ at = \"2s\", peer = \"evil\", to = \"Juzang\", {step} }},\n\
         {{ at = \"9s\", restart = \"Riley\" }},\n"
    ));
    let of_peer = trace
        .judgements
        .iter()
        .filter(|judgement| judgement.about.contains("evil"));
    let judged = of_peer.map(|judgement| {
        let passed = if judgement.passed { "passed" } else { "failed" };
        let (expected, actual) = (&judgement.expected, &judgement.actual);
        format!("{passed}: {}: {expected} / {actual}", judgement.about)
    });
    judged.collect()
}

#[test]
fn what_a_peer_awaits_must_come_and_all_else_is_skipped() {
    const HELLO: &str = "HELLO 2 pair Riley 00000000000000aa 0";
    let refused = "send = \"hello\", reply = \"BYE HELLO must come first\"";
    assert_eq!(
        judged(refused),
        ["passed: Juzang answers evil: BYE HELLO must come first / BYE HELLO must come first"]
    );
    assert_eq!(
        judged("send = \"hello\", reply = \"HELLO *\""),
        ["failed: Juzang answers evil: HELLO * / no answer"]
    );
    assert_eq!(
        judged("send = \"hello\", no_reply = true"),
        ["failed: Juzang answers evil: no answer / BYE HELLO must come first"]
    );
    let pinged = format!(
        "connection = \"c\", send = [\"{HELLO}\", \"PING 1.000000000\"], reply = [{{}}, \"PONG *\"]"
    );
    let judged_ping = judged(&pinged);
    assert_eq!(judged_ping.len(), 1, "{judged_ping:?}");
    assert!(
        judged_ping[0]
            .starts_with("passed: Juzang answers evil, line 2: PONG * / PONG 1.000000000"),
        "{judged_ping:?}"
    );
    // The greeting, which came before, is no answer to what is awaited after it.
    let late =
        format!("send = [\"{HELLO}\", \"PING 1.000000000\"], reply = [\"HELLO *\", \"HELLO *\"]");
    assert!(judged(&late)[1].ends_with("HELLO * / no answer"));
}

#[test]
fn what_a_peer_says_must_be_sent() {
    assert_eq!(judged("send = \"hello\""), [""; 0]);
    let later = "connection = \"c\", send = \"hello\", times = 2, every = \"1s\"";
    assert_eq!(
        judged(later),
        ["failed: evil sends to Juzang, line 2: sent / not sent: ended by the other side"]
    );
    assert_eq!(judged(&format!("{later}, maybe = true")), [""; 0]);
}

#[test]
fn a_peer_that_nobody_listens_to_is_refused() {
    let trace = run("{ at = \"1s\", crash = \"Riley\" },\n\
         { at = \"2s\", peer = \"evil\", to = \"Riley\", send = \"hello\", refused = true },\n\
         { at = \"3s\", restart = \"Riley\" },\n");
    trace.assert_passed();
}

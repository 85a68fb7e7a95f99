//! Every kind of expectation can fail, and says what came instead.

#![cfg(feature = "sim")]

use proxy_herd::scenario::Scenario;
use proxy_herd::sim;
use proxy_herd::trace::Judgement;

const KIWI: &str = r#"
    title = "a test"
    herd = "riley"
    steps = [
      { at = "1s", client = "kiwi", to = "Riley", send = "IAMAT kiwi +34-118 {now}", REPLY },
      { at = "2s", client = "kiwi", to = "Campbell", send = "IAMAT kiwi +35-118 {now-1h}" },
    ]
    END
    [[expect]]
    update = "kiwi#1"
    EXPECT
"#;

/// Runs the scenario above with some of it filled in; what was broken.
fn broken(reply: &str, end: &str, expect: &str) -> Vec<Judgement> {
    let text = KIWI
        .replace(", REPLY", reply)
        .replace("END", end)
        .replace("EXPECT", expect);
    let (scenario, _) = Scenario::parse("test.toml", &text, None).expect("a right scenario");
    let trace = sim::run_once(&scenario).expect("it runs");
    trace
        .judgements
        .into_iter()
        .filter(|judgement| !judgement.held)
        .collect()
}

#[test]
fn what_is_true_holds() {
    let everything = r#"
        reaches = "all"
        hops = { Riley = 0, Jaquez = 1, Campbell = 2 }
        path = { Campbell = ["Riley", "Juzang", "Campbell"] }
        within = "40ms"
        sends = 8
        useful = 4
        duplicates = 4
        [[expect]]
        update = "kiwi#2"
        ignored = true"#;
    let reply = r#", reply = "AT Riley +* kiwi +34-118 {sent}""#;
    assert_eq!(broken(reply, "", everything), []);
}

#[test]
fn what_is_not_true_is_broken_with_both_values() {
    for (expect, about, expected, actual) in [
        (
            r#"misses = "Campbell""#,
            "kiwi#1: reaches Campbell",
            "no",
            "yes",
        ),
        (
            "hops = { Campbell = 3 }",
            "kiwi#1: hops to Campbell",
            "3",
            "2",
        ),
        (
            r#"path = { Campbell = "Riley-Jaquez-Bernard-Campbell" }"#,
            "kiwi#1: path to Campbell",
            "Riley → Jaquez → Bernard → Campbell",
            "Riley → Juzang → Campbell",
        ),
        (
            r#"within = "39ms""#,
            "kiwi#1: delay to every other server that it reaches",
            "at most 39ms",
            "40ms (Bernard)",
        ),
        ("sends = 7", "kiwi#1: sends", "7", "8"),
        ("useful = 5", "kiwi#1: useful sends", "5", "4"),
        ("duplicates = 5", "kiwi#1: duplicate sends", "5", "4"),
        (
            "ignored = true",
            "kiwi#1: is answered and changes nothing",
            "ignored",
            "accepted",
        ),
    ] {
        let found = broken("", "", expect);
        let [one] = found.as_slice() else {
            panic!("{expect}: {found:?}");
        };
        assert_eq!(
            (one.about.as_str(), one.expected.as_str()),
            (about, expected)
        );
        assert_eq!(one.actual, actual);
        assert_eq!(one.place.as_deref(), Some("9:5"), "{expect}");
    }
}

#[test]
fn an_update_that_is_ignored_reaches_nobody() {
    let found = broken(
        "",
        "",
        "reaches = \"all\"\n[[expect]]\nupdate = \"kiwi#2\"\nreaches = \"Campbell\"\nhops = { Bernard = 1 }",
    );
    let abouts: Vec<(&str, &str)> = (found.iter())
        .map(|judgement| (judgement.about.as_str(), judgement.actual.as_str()))
        .collect();
    assert_eq!(
        abouts,
        [
            ("kiwi#2: reaches Campbell", "no"),
            ("kiwi#2: hops to Bernard", "never reached")
        ]
    );
}

#[test]
fn another_answer_than_expected_is_broken() {
    let found = broken(r#", reply = "AT Jaquez *""#, "", "sends = 8");
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].expected, "AT Jaquez *");
    assert!(
        found[0]
            .actual
            .starts_with("AT Riley +0.005000000 kiwi +34-118 ")
    );
    let found = broken(", no_reply = true", "", "sends = 8");
    assert_eq!((found.len(), found[0].expected.as_str()), (1, "no answer"));
}

#[test]
fn a_line_that_nobody_answers_is_broken_even_when_nothing_was_said_of_it() {
    let text = r#"
        title = "nobody there"
        herd = "riley"
        steps = [
          { at = "1s", crash = "Riley" },
          { at = "2s", client = "kiwi", to = "Riley", send = "IAMAT kiwi +34-118 {now}" },
        ]
        [[expect]]
        update = "kiwi"
        misses = "Campbell"
    "#;
    let (scenario, _) = Scenario::parse("test.toml", text, None).expect("right");
    let trace = sim::run(&scenario).expect("it runs");
    let broken: Vec<&Judgement> = trace.judgements.iter().filter(|j| !j.held).collect();
    let actual: Vec<(&str, &str)> = (broken.iter())
        .map(|judgement| (judgement.expected.as_str(), judgement.actual.as_str()))
        .collect();
    // It did not reach Campbell, to be sure; but it never set out.
    assert_eq!(
        actual,
        [("any answer", "no answer"), ("no", "it was never heard")]
    );
}

#[test]
fn a_run_that_ends_too_early_is_broken() {
    // The second step's client has no answer yet when the run ends.
    let found = broken("", "end = \"2003ms\"", "sends = 8");
    let abouts: Vec<&str> = found
        .iter()
        .map(|judgement| judgement.actual.as_str())
        .collect();
    assert_eq!(
        abouts,
        [
            "no answer before the run ended",
            "a client still waits for an answer"
        ]
    );
}

#[test]
fn what_reaches_nobody_else_is_not_within_any_time() {
    let text = r#"
        title = "alone"
        herd = "riley"
        steps = [
          { at = "1s", crash = ["Jaquez", "Juzang"] },
          { at = "2s", client = "kiwi", to = "Riley", send = "IAMAT kiwi +34-118 {now}" },
        ]
        [[expect]]
        update = "kiwi"
        within = "1s"
    "#;
    let (scenario, _) = Scenario::parse("test.toml", text, None).expect("right");
    let trace = sim::run(&scenario).expect("it runs");
    let broken: Vec<&Judgement> = trace.judgements.iter().filter(|j| !j.held).collect();
    assert_eq!(broken.len(), 1, "{broken:?}");
    assert_eq!(broken[0].actual, "never reached");
}

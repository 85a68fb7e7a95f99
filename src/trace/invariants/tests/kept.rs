//! Limits and deadlines, judged by other settings than those that the servers had: so a server that keeps to its settings
//! violates these.

use std::time::Duration;

use super::*;
use crate::trace::invariants::Rules;

/// Other settings than those that the servers had.
type Change = fn(&mut Rules);

/// A run of these steps with these settings.
fn ran(settings: &str, steps: &str) -> (Trace, Rules) {
    let text = format!(
        "title = \"a test\"\nherd = \"riley\"\nserver = {{ {settings} }}\nsteps = [\n{steps}\n]\n"
    );
    let (scenario, _) = Scenario::parse("test.toml", &text, None).expect("a right scenario");
    let trace = Simulator::default().run_once(&scenario).expect("it runs");
    let rules = Rules {
        timing: scenario.timing,
        limits: scenario.limits,
    };
    (trace, rules)
}

fn judged(invariant: Invariant, trace: &Trace, rules: &Rules) -> Vec<String> {
    let violations = invariant.violations(&Run {
        header: &trace.header,
        herd: &trace.herd,
        events: &trace.events,
        until_quiet: true,
        patience: Some(Patience::ENDLESS),
        rules: Some(*rules),
        census: &[],
    });
    violations
        .into_iter()
        .map(|violation| violation.what)
        .collect()
}

/// A run violates nothing by its own rules, and by the changed ones what these words say.
fn differs(invariant: Invariant, (settings, steps): (&str, &str), change: Change, words: &str) {
    let (trace, mut rules) = ran(settings, steps);
    assert_eq!(judged(invariant, &trace, &rules), [""; 0], "{steps}");
    change(&mut rules);
    let found = judged(invariant, &trace, &rules);
    assert!(
        found.iter().any(|what| what.contains(words)),
        "{words}: {found:?}"
    );
}

const TWO: &str = r#"
  { at = "1s", client = "kiwi", connection = "c", to = "Riley", send = ["IAMAT kiwi +1-1 {now+1s}", "one", "two"] },
  { at = "1100ms", client = "plum", connection = "c", to = "Riley", send = "IAMAT plum +1-1 {now}" },
"#;

#[test]
fn who_takes_more_than_its_limits_is_found() {
    let cases: [(Change, &str); 6] = [
        (
            |rules| rules.limits.client_connections = 1,
            "serves 2 clients at once",
        ),
        (
            |rules| rules.limits.client_line = 20,
            "longer than its limit",
        ),
        (
            |rules| rules.limits.connection_rate = 2,
            "faster than 2 a second",
        ),
        (
            |rules| rules.limits.keep.most_clients = 1,
            "knows 1, which is its limit",
        ),
        (
            |rules| rules.limits.keep.future_limit = Some(Duration::from_millis(900)),
            "ahead of its clock",
        ),
        (
            |rules| rules.limits.keep.time_to_live = Some(Duration::from_millis(1)),
            "whose time is over",
        ),
    ];
    let later = r#"{ at = "9s", client = "fig", to = "Riley", send = "hello" },"#;
    for (change, words) in cases {
        differs(
            Invariant::LimitsHold,
            ("", &format!("{TWO}{later}")),
            change,
            words,
        );
    }
}

#[test]
fn who_refuses_what_its_limits_allow_is_found() {
    let third = r#"{ at = "2s", client = "fig", to = "Riley", send = "IAMAT fig +1-1 {now+2s}" },"#;
    let long = r#"{ at = "2s", client = "fig", to = "Riley", send = "a line of more than sixty-four bytes, as long as nobody would write it" },"#;
    let cases: [(&str, &str, Change, &str); 3] = [
        (
            "clients = 2",
            third,
            |rules| rules.limits.keep.most_clients = 3,
            "no room for another client",
        ),
        (
            "future_limit = \"1500ms\"",
            third,
            |rules| rules.limits.keep.future_limit = Some(Duration::from_secs(3)),
            "too far ahead",
        ),
        (
            "client_line = 64",
            long,
            |rules| rules.limits.client_line = 100,
            "within its limit",
        ),
    ];
    for (settings, steps, change, words) in cases {
        differs(
            Invariant::LimitsHold,
            (settings, &format!("{TWO}{steps}")),
            change,
            words,
        );
    }
}

#[test]
fn who_hangs_up_or_forgets_too_early_is_found() {
    let silent = r#"{ at = "1s", client = "kiwi", connection = "c", to = "Riley", send = "hello" },
                    { at = "5s", client = "plum", to = "Riley", send = "hello" },"#;
    let half = r#"{ at = "1s", client = "kiwi", connection = "c", to = "Riley", unfinished = true, no_reply = true, send = "hel" },
                  { at = "8s", client = "plum", to = "Riley", send = "hello" },"#;
    let forgets = r#"{ at = "1s", client = "kiwi", to = "Riley", send = "IAMAT kiwi +1-1 {now}" },
                     { at = "5s", client = "plum", to = "Riley", send = "hello" },"#;
    let cases: [(&str, &str, Change, &str); 3] = [
        (
            "idle = \"1s\"",
            silent,
            |rules| rules.timing.idle *= 2,
            "after 1s (silent for too long)",
        ),
        (
            "half_line = \"1s\"",
            half,
            |rules| rules.timing.half_line *= 2,
            "(half a line for too long)",
        ),
        (
            "time_to_live = \"1s\"",
            forgets,
            |rules| rules.limits.keep.time_to_live = Some(Duration::from_secs(3)),
            "before its time is over",
        ),
    ];
    for (settings, steps, change, words) in cases {
        differs(Invariant::LimitsHold, (settings, steps), change, words);
    }
}

/// An update while nothing else happens, and a link that is reset three times.
const SEVERED: &str = r#"
  { at = "1s", sever = "Riley-Juzang" },
  { at = "1300ms", sever = "Riley-Juzang" },
  { at = "2s", sever = "Riley-Juzang" },
  { at = "8s", client = "kiwi", to = "Riley", send = "IAMAT kiwi +1-1 {now}" },
"#;

#[test]
fn who_is_early_or_late_is_found() {
    let cases: [(Change, &str); 6] = [
        (|rules| rules.timing.heartbeat /= 2, "says nothing to"),
        (
            |rules| rules.timing.heartbeat /= 8,
            "from which nothing is heard",
        ),
        (
            |rules| rules.timing.anti_entropy /= 4,
            "compares no digests with",
        ),
        (
            |rules| rules.timing.anti_entropy *= 4,
            "compares digests with",
        ),
        (
            |rules| rules.timing.redial_least *= 4,
            "dials Juzang again after",
        ),
        (
            |rules| {
                rules.timing.redial_most /= 100;
                rules.timing.redial_least /= 100;
                rules.timing.connect_deadline /= 100;
            },
            "does not dial Juzang again",
        ),
    ];
    for (change, words) in cases {
        differs(
            Invariant::DeadlinesHold,
            ("anti_entropy = \"2s\"", SEVERED),
            change,
            words,
        );
    }
}

#[test]
fn who_waits_too_long_or_too_short_for_a_greeting_is_found() {
    let steps = r#"
      { at = "1s", crash = "Riley" },
      { at = "1500ms", freeze = "Juzang" },
      { at = "2s", restart = "Riley" },
      { at = "10s", thaw = "Juzang" },
      { at = "12s", client = "kiwi", to = "Riley", send = "IAMAT kiwi +1-1 {now}" },
    "#;
    let cases: [fn(&mut Rules); 2] = [
        |rules| rules.timing.hello_deadline *= 2,
        |rules| rules.timing.hello_deadline = Duration::ZERO,
    ];
    let settings = "hello_deadline = \"5s\"";
    for change in cases {
        differs(
            Invariant::DeadlinesHold,
            (settings, steps),
            change,
            "for a greeting",
        );
    }
}

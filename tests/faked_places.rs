//! Google, faked inside the simulation: by a scenario's tables and by a library user's mocks; and what may not
//! pass unseen.

#![cfg(feature = "sim")]

use proxy_herd::journal::{Event, What};
use proxy_herd::scenario::Scenario;
use proxy_herd::sim;
use proxy_herd::trace::Trace;
use wiremock::matchers::{path, query_param};
use wiremock::{Mock, ResponseTemplate};

const STEPS: &str = r#"
title = "One question"
herd  = "riley"
steps = [
  { at = "1s", client = "kiwi", to = "Riley", send = "IAMAT kiwi +34.068930-118.445127 {now}" },
  { at = "2s", client = "plum", to = "Campbell", send = "WHATSAT kiwi 10 1" },
]
"#;

fn scenario(tables: &str) -> Scenario {
    let text = format!("{STEPS}{tables}");
    let (scenario, warnings) = Scenario::parse("one.toml", &text, None).expect("right");
    assert!(warnings.is_empty(), "{warnings}");
    scenario
}

/// What the judgements that are broken are about.
fn broken(trace: &Trace) -> Vec<String> {
    let broken = trace.judgements.iter().filter(|judgement| !judgement.held);
    broken
        .map(|judgement| format!("{}: {}", judgement.about, judgement.actual))
        .collect()
}

fn run(tables: &str) -> Trace {
    sim::run(&scenario(tables)).expect("it runs")
}

/// The answer to the question.
fn answer(trace: &Trace) -> String {
    let lines = trace
        .events
        .iter()
        .rev()
        .filter_map(|event| match &event.what {
            What::LineIn { line, .. } => Some(String::from_utf8_lossy(&line.0).into_owned()),
            _ => None,
        });
    let mut answers = lines.filter(|line| line.contains('{'));
    answers.next().expect("an answer")
}

/// When something first happened, in milliseconds.
fn when(trace: &Trace, is_it: impl Fn(&Event) -> bool) -> u64 {
    let found = trace.events.iter().find(|event| is_it(event));
    found.expect("it happened").at / 1_000_000
}

#[test]
fn a_delay_passes_in_simulated_time() {
    let trace = run("[[places]]\nplaces = 3\ndelay = \"700ms\"\n");
    assert_eq!(broken(&trace), [""; 0]);
    let asked = when(&trace, |event| {
        matches!(event.what, What::PlacesAsked { .. })
    });
    let told = when(&trace, |event| {
        matches!(event.what, What::PlacesTold { .. })
    });
    assert!((700..=702).contains(&(told - asked)), "{asked} {told}");
}

#[test]
fn the_key_is_nowhere_in_a_trace() {
    let trace = run("[[places]]\nplaces = 3\n");
    let json = trace.to_json_lines();
    assert!(json.contains("&key=***"), "requests are shown");
    assert!(!json.contains("SIMULATED"));
}

#[test]
fn a_request_that_no_table_answers_breaks_the_run_and_is_shown() {
    let trace = run("[[places]]\nradius = 5\nmaybe = true\n");
    assert_eq!(
        broken(&trace),
        [
            "every request to Places has an answer: none for GET /maps/api/place/nearbysearch/json?location=34.068930,-118.445127&radius=10000&key=***"
        ]
    );
}

#[test]
fn a_table_that_is_not_asked_breaks_the_run_unless_it_may_be() {
    let answered = "[[places]]\nradius = 10000\n";
    let unasked = format!("{answered}[[places]]\nradius = 5\n");
    assert_eq!(
        broken(&run(&unasked)),
        ["Places is asked for table 2: 0 requests"]
    );
    assert_eq!(broken(&run(&format!("{unasked}maybe = true\n"))), [""; 0]);
}

#[test]
fn an_expectation_that_is_not_met_breaks_the_run() {
    let trace = run("[[places]]\nexpect = 2\n");
    assert_eq!(broken(&trace), ["Places is asked for table 1: 1 request"]);
}

#[test]
fn mocks_of_a_library_user_answer_and_are_verified() {
    let mocks = |requests: u64| {
        move || {
            let body = "{\"results\":[1,2],\"status\":\"OK\"}";
            let answer = ResponseTemplate::new(200)
                .set_body_raw(body, "application/json")
                .insert_header(sim::DELAY_HEADER, "300");
            let mock = Mock::given(path("/maps/api/place/nearbysearch/json"))
                .and(query_param("radius", "10000"))
                .respond_with(answer)
                .expect(requests);
            vec![mock]
        }
    };
    let trace = sim::run_with_mocks(&scenario(""), mocks(1)).expect("it runs");
    assert_eq!(broken(&trace), [""; 0]);
    let answer = answer(&trace);
    assert!(
        answer.ends_with("\n{\"results\":[1],\"status\":\"OK\"}"),
        "{answer}"
    );
    let trace = sim::run_with_mocks(&scenario(""), mocks(2)).expect("it runs");
    let broken = broken(&trace);
    assert!(!trace.to_json_lines().contains("SIMULATED"));
    assert!(
        broken[0].starts_with("mocks are asked as they expect"),
        "{broken:?}"
    );
}

#[test]
fn ten_megabytes_are_too_large_in_the_simulation_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let body = format!("{{\"results\":[\"{}\"]}}", "x".repeat(10 << 20));
    std::fs::write(folder.path().join("big.json"), body).expect("written");
    let text = format!("{STEPS}[[places]]\nfile = \"big.json\"\n");
    let (scenario, _) = Scenario::parse("one.toml", &text, Some(folder.path())).expect("right");
    let trace = sim::run(&scenario).expect("it runs");
    assert_eq!(broken(&trace), [""; 0]);
    assert!(answer(&trace).contains("too large"), "{}", answer(&trace));
}

//! The fake Google of a simulation, from a scenario's tables or a library user's mocks, and the
//! mistakes with it that must fail a run.

use proxy_herd::journal::{Event, EventKind};
use proxy_herd::scenario::Scenario;
use proxy_herd::sim;
use proxy_herd::trace::Trace;
use wiremock::matchers::{path, query_param};
use wiremock::{Mock, ResponseTemplate};

const STEPS: &str = r#"
title = "One question"
herd  = "riley"
steps = [
  { at = "1s", client = "kiwi", to = "Riley", send = "IAMAT kiwi +34.068930-118.445127 {now}", reply = "AT *" },
  { at = "2s", client = "plum", to = "Campbell", send = "WHATSAT kiwi 10 1", reply = "AT *" },
]
"#;

fn scenario(tables: &str) -> Scenario {
    let text = format!("{STEPS}{tables}");
    let (scenario, warnings) = Scenario::parse("one.toml", &text, None).expect("right");
    assert!(warnings.is_empty(), "{warnings}");
    scenario
}

/// The failed judgements, each with the actual value.
fn broken(trace: &Trace) -> Vec<String> {
    let broken = trace
        .judgements
        .iter()
        .filter(|judgement| !judgement.passed);
    broken
        .map(|judgement| format!("{}: {}", judgement.about, judgement.actual))
        .collect()
}

fn run(tables: &str) -> Trace {
    sim::run(&scenario(tables)).expect("it runs")
}

/// The answer to the WHATSAT.
fn answer(trace: &Trace) -> String {
    let lines = trace
        .events
        .iter()
        .rev()
        .filter_map(|event| match &event.what {
            EventKind::LineIn { line, .. } => Some(String::from_utf8_lossy(&line.0).into_owned()),
            _ => None,
        });
    let mut answers = lines.filter(|line| line.contains('{'));
    answers.next().expect("an answer")
}

/// When such an event first happened, in milliseconds.
fn when(trace: &Trace, is_it: impl Fn(&Event) -> bool) -> u64 {
    let found = trace.events.iter().find(|event| is_it(event));
    found.expect("it happened").at / 1_000_000
}

#[test]
fn a_delay_passes_in_simulated_time() {
    let trace = run("[[places]]\nplaces = 3\ndelay = \"700ms\"\n");
    assert_eq!(broken(&trace), [""; 0]);
    let asked = when(&trace, |event| {
        matches!(event.what, EventKind::PlacesAsked { .. })
    });
    let told = when(&trace, |event| {
        matches!(event.what, EventKind::PlacesTold { .. })
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

/// Runs the scenario with further steps.
fn in_the_way(steps: &str, tables: &str) -> Trace {
    let text = STEPS.replace("\n]\n", &format!("\n  {steps}\n]\n"));
    let (scenario, _) =
        Scenario::parse("one.toml", &format!("{text}{tables}"), None).expect("right");
    sim::run(&scenario).expect("it runs")
}

/// When requests reached Places, in milliseconds.
fn asked(trace: &Trace) -> Vec<u64> {
    let asked = |event: &&Event| matches!(event.what, EventKind::PlacesAsked { .. });
    let times = trace.events.iter().filter(asked);
    times.map(|event| event.at / 1_000_000).collect()
}

#[test]
fn a_request_names_the_look_up_that_asks_it_and_so_does_its_repetition() {
    let trace = run("[[places]]\nstatus = 503\ntimes = 1\n[[places]]\nplaces = 1");
    let look_up = |event: &&Event| matches!(event.what, EventKind::LookUp { .. });
    let look_up = trace.events.iter().find(look_up).expect("a look-up");
    let asked = |event: &&Event| matches!(event.what, EventKind::PlacesAsked { .. });
    let causes: Vec<_> = (trace.events.iter().filter(asked))
        .map(|event| event.cause)
        .collect();
    assert_eq!(causes, [Some(look_up.id); 2]);
}

#[test]
fn a_server_that_stands_still_asks_nothing_again_until_it_goes_on() {
    let hangs = "[[places]]\nfault = \"hang\"\nexpect = 2";
    // The first attempt times out after two seconds.
    assert_eq!(asked(&in_the_way("", hangs))[0] / 100, 20);
    assert!(asked(&in_the_way("", hangs))[1] < 4_500);
    let freeze = r#"{ at = "2500ms", freeze = "Campbell" }, { at = "5s", thaw = "Campbell" },"#;
    let trace = in_the_way(freeze, "[[places]]\nfault = \"hang\"");
    let while_frozen = |at: &u64| (2_500..5_000).contains(at);
    assert!(
        !asked(&trace).iter().any(while_frozen),
        "{:?}",
        asked(&trace)
    );
}

#[test]
fn everything_that_can_be_wrong_with_a_server_can_be_wrong_with_places() {
    let maybe = "[[places]]\nplaces = 1\nmaybe = true";
    for (begin, end, said) in [
        ("refuse", "accept", "can't be reached"),
        ("crash", "restart", "can't be reached"),
        ("power_off", "power_on", "did not answer in time"),
        ("freeze", "thaw", "did not answer in time"),
        ("partition", "heal", "did not answer in time"),
    ] {
        let steps = format!(
            "{{ at = \"1900ms\", {begin} = \"places\" }}, {{ at = \"7s\", {end} = \"places\" }},"
        );
        let trace = in_the_way(&steps, maybe);
        assert_eq!(broken(&trace), [""; 0], "{begin}");
        assert!(answer(&trace).contains(said), "{begin}: {}", answer(&trace));
        // After the fault, a further look-up works.
        let again = format!(
            "{steps} {{ at = \"8s\", client = \"plum\", to = \"Campbell\", send = \"WHATSAT kiwi 11 1\" }},"
        );
        let trace = in_the_way(&again, maybe);
        assert_eq!(broken(&trace), [""; 0], "{begin}");
        assert!(
            answer(&trace).contains("\"OK\""),
            "{begin}: {}",
            answer(&trace)
        );
    }
}

#[test]
fn a_slow_way_to_places_and_a_reset_one_are_seen() {
    let table = "[[places]]\nplaces = 1";
    let direct = when(&in_the_way("", table), |event| {
        matches!(event.what, EventKind::PlacesTold { .. })
    });
    let slow = r#"{ at = "1500ms", slow = "places", latency = "100ms" },"#;
    let trace = in_the_way(slow, table);
    assert_eq!(broken(&trace), [""; 0]);
    // The connect takes a round trip, and the request half of one.
    let told = when(&trace, |event| {
        matches!(event.what, EventKind::PlacesTold { .. })
    });
    assert_eq!(told, direct + 3 * 95);
    let sever = r#"{ at = "2100ms", sever = "places" },"#;
    let trace = in_the_way(sever, "[[places]]\nplaces = 1\ndelay = \"200ms\"");
    assert_eq!(broken(&trace), [""; 0]);
    assert_eq!(asked(&trace).len(), 2, "asked again on a new connection");
    assert!(answer(&trace).contains("\"OK\""));
}

#[test]
fn a_fault_of_places_that_nobody_meets_breaks_the_run() {
    for fault in [
        "refuse = \"places\"",
        "crash = \"places\"",
        "power_off = \"places\"",
        "freeze = \"places\"",
        "partition = \"places\"",
        "partition_oneway = \"places\"",
        "sever = \"places\"",
        "slow = \"places\", latency = \"1s\"",
    ] {
        let text = format!(
            "title = \"t\"\nherd = \"riley\"\nsteps = [{{ at = \"1s\", {fault} }}]\n\
             [[places]]\nmaybe = true"
        );
        let (scenario, _) = Scenario::parse("one.toml", &text, None).expect("right");
        let broken = broken(&sim::run(&scenario).expect("it runs"));
        let nothing = broken.len() == 1 && broken[0].ends_with("has an effect: none");
        assert!(nothing, "{fault}: {broken:?}");
    }
}

//! A scenario that is written to a file and read again gives the same run, byte for byte.

use proxy_herd::journal::{Event, EventKind};
use proxy_herd::scenario::Scenario;
use proxy_herd::sim;
use proxy_herd::trace::Trace;

use crate::shipped;

fn scenarios() -> Vec<Scenario> {
    let load = |file| Scenario::load(file).expect("a shipped scenario is right").0;
    shipped::scenarios().into_iter().map(load).collect()
}

/// Writes a scenario and reads it again, without a folder for its herd or bodies.
fn again(scenario: &Scenario) -> Scenario {
    let text = scenario.to_toml();
    let name = format!("{}.toml", scenario.name);
    match Scenario::parse(&name, &text, None) {
        Ok((scenario, _)) => scenario,
        Err(problems) => panic!("{problems}\n{text}"),
    }
}

/// The bytes of a trace, without the places of expectations, which differ between files.
fn bytes(trace: &Trace) -> String {
    let mut trace = trace.clone();
    for judgement in &mut trace.judgements {
        judgement.place = None;
    }
    trace.to_json_lines()
}

fn run(scenario: &Scenario) -> Trace {
    sim::run_once(scenario).expect("it runs")
}

#[test]
fn every_shipped_scenario_reads_back_as_the_same_run() {
    for scenario in scenarios() {
        let name = &scenario.name;
        let wanted = bytes(&run(&scenario));
        let written = again(&scenario);
        assert_eq!(bytes(&run(&written)), wanted, "{name}");
        assert_eq!(again(&written).to_toml(), written.to_toml(), "{name}");
        assert_eq!(again(&scenario.expanded()).seed, scenario.seed, "{name}");
    }
}

#[test]
fn what_was_expanded_reads_back_as_what_it_was_expanded_from() {
    for scenario in scenarios() {
        let expanded = again(&scenario.expanded());
        let twice = again(&expanded);
        assert_eq!(twice.to_toml(), expanded.to_toml(), "{}", scenario.name);
        let bare = |scenario: &Scenario| {
            let steps = scenario.expanded().steps.into_iter();
            steps.map(|step| (step.at, step.action)).collect::<Vec<_>>()
        };
        assert_eq!(bare(&expanded), bare(&scenario), "{}", scenario.name);
    }
}

/// The events of a run without those that record choices. Event ids are left out, since they differ
/// then.
fn story(trace: &Trace) -> Vec<String> {
    let told = trace
        .events
        .iter()
        .filter(|event| !matches!(event.what, EventKind::Chose { .. }));
    let tell = |event: &Event| format!("{} {:?} {:?}", event.at, event.who, event.what);
    told.map(tell).collect()
}

#[test]
fn in_plain_steps_the_same_happens() {
    for scenario in scenarios() {
        let plain = scenario.plain();
        let written = again(&plain);
        assert_eq!(written.to_toml(), plain.to_toml(), "{}", scenario.name);
        if plain.steps.len() != scenario.steps.len() {
            let (first, second) = (story(&run(&scenario)), story(&run(&written)));
            let differs = first.iter().zip(&second).find(|(a, b)| a != b);
            assert_eq!(differs, None, "{}", scenario.name);
            assert_eq!(first.len(), second.len(), "{}", scenario.name);
        }
    }
}

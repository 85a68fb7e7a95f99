//! Runs that draw from another seed from a moment on: what comes before it does not change.

use std::time::Duration;

use proxy_herd::journal::{Event, EventKind};
use proxy_herd::scenario::{Action, Recipe, Scenario};
use proxy_herd::sim::{Simulator, WorldKind};
use proxy_herd::trace::Trace;

use super::shipped::scenarios;

/// All that has its own draws: random steps, workloads, latencies, what happens to packets, servers that start again and
/// dial with a jitter, tasks in the seed's order, pauses of Places.
const EVERYTHING: &str = r#"
title = "everything that is drawn"
herd = "riley"
shuffle = true
link_latency = "10ms..40ms"
client_latency = "3ms..9ms"
places_latency = "2ms..20ms"
steps = [
  { at = "200ms", workload = "load", clients = 8, rate = 40, lasts = "3s", whatsat = 25, answered = 1 },
  { at = "250ms", workload = "kept", clients = 5, rate = 30, lasts = "3s", whatsat = 25, connections = "kept", pipelined = 3,
    skewed = true, answered = 1 },
  { at = "300ms", random = { stop = "900ms", leave = "2s", unlink = "800ms", crash = "700ms", power_off = "900ms", freeze = "500ms", refuse = "600ms", partition = "700ms",
      partition_oneway = "700ms", sever = "600ms", slow = "600ms", skew = "500ms", lose = "400ms", reorder = "500ms" },
    lasts = "2500ms", holds = "50ms..500ms", maybe = true },
  { at = "3100ms", random = { crash = "200ms", freeze = "200ms" }, lasts = "600ms", holds = "50ms..100ms", maybe = true },
]

[[places]]
status = 503
times = 3
maybe = true

[[places]]
places = 2
maybe = true
"#;

fn everything() -> Scenario {
    Scenario::parse("everything.toml", EVERYTHING, None)
        .expect("right")
        .0
}

fn nanos(moment: Duration) -> u64 {
    u64::try_from(moment.as_nanos()).expect("a run is short")
}

fn before(trace: &Trace, moment: Duration) -> &[Event] {
    let end = trace
        .events
        .partition_point(|event| event.at < nanos(moment));
    &trace.events[..end]
}

/// Runs a scenario with a recipe, in a mixture of faults of its own if it is of a swarm.
fn run(simulator: &Simulator, scenario: &Scenario, recipe: &Recipe) -> Trace {
    let mut scenario = scenario.clone().with_seed(recipe.clone());
    if scenario.swarm {
        scenario = scenario.swarmed();
    }
    simulator.run_once(&scenario).expect("it runs")
}

/// Runs a scenario with a seed that changes at a moment, and compares what comes before with the run of the seed alone.
/// Whether they differ afterwards.
fn same_until(
    simulator: &Simulator,
    scenario: &Scenario,
    whole: &Trace,
    recipe: &Recipe,
    moment: Duration,
) -> bool {
    let recipe = recipe.then(moment, 99);
    let other = run(simulator, scenario, &recipe);
    let (mine, theirs) = (before(whole, moment), before(&other, moment));
    let about = format!("{} in {}: {recipe}", scenario.name, simulator.world);
    // A run that was over before the moment goes on until it.
    let goes_on = whole
        .events
        .last()
        .is_some_and(|last| last.at >= nanos(moment));
    assert!(mine.len() == theirs.len() || !goes_on, "{about}");
    for (mine, theirs) in mine.iter().zip(theirs) {
        assert_eq!(mine, theirs, "{about}");
    }
    assert!(mine.len() <= theirs.len(), "{about}");
    assert_eq!(other.header.seed, recipe);
    other.events != whole.events
}

/// Compares at these shares of a run's length, in thousandths, and returns how often the rest differs.
fn compared(simulator: &Simulator, scenario: &Scenario, recipe: &Recipe, at: &[u64]) -> usize {
    let whole = run(simulator, scenario, recipe);
    let length = whole.events.last().map_or(0, |last| last.at);
    let moments = at
        .iter()
        .map(|at| Duration::from_millis(length * at / 1_000_000_000).max(scenario.tick));
    let mut differing = 0;
    for moment in moments {
        differing += usize::from(same_until(simulator, scenario, &whole, recipe, moment));
    }
    differing
}

/// What clients of workloads send, with the time of each write, before a moment and from it on.
fn sent(scenario: &Scenario, recipe: &Recipe, moment: Duration) -> [Vec<(Duration, String)>; 2] {
    let expanded = scenario.clone().with_seed(recipe.clone()).expanded();
    let steps = expanded.steps.iter();
    let writes = steps.filter(|step| matches!(step.action, Action::Client(_)));
    let writes = writes.map(|step| (step.at, step.to_toml(&expanded.herd)));
    let (before, after) = writes.partition(|(at, _)| *at < moment);
    [before, after]
}

/// A run that kept the lines of the first seed would be the same before the moment, too, so what comes then is looked at.
fn lines_are_drawn_anew_from(scenario: &Scenario, recipe: &Recipe, moment: Duration) {
    let whole = sent(scenario, recipe, moment);
    let other = sent(scenario, &recipe.then(moment, 99), moment);
    assert_eq!(whole[0], other[0], "{recipe} until {moment:?}");
    let kept = other[1].iter().find(|write| whole[1].contains(write));
    assert_eq!(kept, None, "{recipe} from {moment:?} on");
    assert_eq!(whole[1].len(), other[1].len());
    assert!(!whole[1].is_empty());
}

#[test]
fn nothing_before_the_moment_depends_on_what_is_drawn_after_it() {
    let simulator = Simulator::default();
    let mut differing = 0;
    for seed in 0..8 {
        let scenario = everything();
        for moment in [100, 333, 1_001, 2_222, 3_000] {
            let moment = Duration::from_millis(moment);
            lines_are_drawn_anew_from(&scenario, &seed.into(), moment);
        }
        differing += compared(
            &simulator,
            &scenario,
            &seed.into(),
            &[60, 190, 333, 500, 777, 950, 1_001],
        );
    }
    assert!(differing >= 8 * 5, "{differing}");
}

/// A seed that changed before can change again.
#[test]
fn a_recipe_is_the_same_up_to_where_it_goes_on() {
    let recipe: Recipe = "3,400ms:5,1s:8".parse().expect("right");
    let differing = compared(
        &Simulator::default(),
        &everything(),
        &recipe,
        &[200, 500, 800],
    );
    assert_eq!(differing, 3);
}

#[test]
fn the_world_of_ticks_keeps_what_came_before_too() {
    let simulator = Simulator {
        world: WorldKind::Turmoil,
        ..Simulator::default()
    };
    let (scenario, _) = Scenario::load("scenarios/stories/chaos-coarse.toml").expect("right");
    let mut swarm = scenario.clone();
    swarm.swarm = true;
    for scenario in [scenario, swarm] {
        let differing = compared(&simulator, &scenario, &4.into(), &[100, 300, 500]);
        assert_eq!(differing, 3);
    }
}

#[test]
fn every_shipped_scenario_is_the_same_up_to_the_moment() {
    for file in scenarios() {
        let (mut scenario, _) = Scenario::load(&file).expect("right");
        // Where the order is given, times mean nothing.
        if scenario.deliver.is_some() || scenario.name == "thousand-clients" {
            continue;
        }
        scenario.swarm = true;
        let seed = scenario.seed.clone();
        compared(&Simulator::default(), &scenario, &seed, &[400]);
    }
}

#[test]
fn the_same_recipe_gives_the_same_bytes() {
    let scenario = everything().with_seed("3,700ms:4,1500ms:5".parse::<Recipe>().expect("right"));
    let trace = Simulator::default()
        .run(&scenario)
        .expect("both runs are equal");
    let first = trace.to_json_lines();
    assert!(first.contains("\"seed\":\"3,700ms:4,1.5s:5\""));
    let read = Trace::from_json_lines(&first).expect("it reads back");
    assert_eq!(read[0].header.seed, scenario.seed);
    let again = Simulator::default().run_once(&scenario).expect("it runs");
    assert_eq!(again.to_json_lines(), first);
}

/// What is chosen is recorded when it is: at the beginning of a random step, and when the seed changes.
#[test]
fn the_trace_says_what_was_chosen_each_time() {
    let scenario = everything().with_seed("3,700ms:4".parse::<Recipe>().expect("right"));
    let trace = Simulator::default().run_once(&scenario).expect("it runs");
    let chosen = |at: u64| {
        let events = trace.events.iter();
        let chosen = events.filter(|event| matches!(event.what, EventKind::Chose { .. }));
        chosen.filter(|event| event.at == at * 1_000_000).count()
    };
    assert!(chosen(300) > 5 && chosen(700) > 5 && chosen(3_100) > 0);
    let all = trace.events.iter();
    let all = all.filter(|event| matches!(event.what, EventKind::Chose { .. }));
    assert_eq!(all.count(), chosen(300) + chosen(700) + chosen(3_100));
}

/// A scenario's file can say a recipe, and reads back.
#[test]
fn a_file_says_a_recipe() {
    let text = EVERYTHING.replace("herd = \"riley\"", "herd = \"riley\"\nseed = \"3,700ms:4\"");
    let (scenario, _) = Scenario::parse("t.toml", &text, None).expect("right");
    assert_eq!(scenario.seed.to_string(), "3,700ms:4");
    let written = scenario.to_toml();
    let (again, _) = Scenario::parse("t.toml", &written, None).expect("right");
    assert_eq!(again.seed, scenario.seed);
    let wrong = text.replace("3,700ms:4", "3,4");
    let problems = Scenario::parse("t.toml", &wrong, None).expect_err("no recipe");
    assert!(
        problems
            .to_string()
            .contains("`4` has no moment from which on it counts"),
        "{problems}"
    );
}

use std::ops::ControlFlow;

use super::*;
use crate::node::mistakes::Mistake;
use crate::shrink::{Limits, shrink};

fn scenario(text: &str) -> Scenario {
    let (scenario, _) = Scenario::parse("blamed.toml", text, None).expect(text);
    scenario
}

fn blamed(scenario: &Scenario, options: &Options) -> Blame {
    let mut watch = |_| ControlFlow::Continue(());
    blame(scenario, options, &mut watch).expect("it fails")
}

/// The written steps fail whatever is drawn, and something is drawn.
const WRITTEN: &str = r#"
    title = "Nobody hears of it"
    herd = "riley"
    link_latency = "10ms..30ms"
    steps = [
      { at = "1s", client = "kiwi", to = "Riley", send = "IAMAT kiwi +1+1 {now}" },
    ]
    [[expect]]
    update = "kiwi"
    misses = "Campbell"
"#;

#[test]
fn what_the_written_steps_do_is_inevitable_from_the_beginning() {
    let options = Options {
        futures: 5,
        moments: 6,
        ..Options::default()
    };
    let blame = blamed(&scenario(WRITTEN), &options);
    assert!(blame.curve.iter().all(|moment| moment.same == 5));
    assert_eq!((blame.rise.clone(), blame.curve.len()), (None, 6));
    let told = text(&blame);
    assert!(
        told.ends_with(
            "inevitable from the beginning: the written steps alone do it, whatever the seed\n"
        ),
        "{told}"
    );
}

#[test]
fn a_run_that_passes_and_one_in_a_given_order_are_refused() {
    let refused = |text: &str| {
        let mut watch = |_| ControlFlow::Continue(());
        let refused = blame(&scenario(text), &Options::default(), &mut watch);
        refused.expect_err("nothing to blame").to_string()
    };
    let passes = refused(&WRITTEN.replace("misses = ", "reaches = "));
    assert!(passes.starts_with("nothing failed in this run"), "{passes}");
    let ordered = WRITTEN.replace("steps = [", "deliver = \"step\"\nsteps = [");
    assert!(refused(&ordered).starts_with("`deliver` gives the order"));
}

#[test]
fn an_interrupted_search_says_so_and_shows_what_it_has() {
    let mut left = 2;
    let mut watch = |_| {
        left -= 1;
        if left < 0 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    let options = Options {
        futures: 2,
        moments: 20,
        ..Options::default()
    };
    let blame = blame(&scenario(WRITTEN), &options, &mut watch).expect("it fails");
    assert!(blame.interrupted && blame.curve.len() == 8);
    assert!(text(&blame).contains("PARTIAL: interrupted"));
}

const CHAOS: &str = include_str!("../../../scenarios/stories/chaos-coarse.toml");

/// What a step is about: the place that a client reports, or the kind of a fault. Where several faults of a kind each
/// do it, shrinking may keep another than the one that did it first.
fn subject(step: &str) -> String {
    let report = step.split_once("IAMAT ");
    let place = report.and_then(|(_, words)| words.split_whitespace().nth(1));
    let rest = step.split_once(", ").map_or(step, |(_, rest)| rest);
    let kind = rest.split_once(" = ").map_or(rest, |(kind, _)| kind);
    place.unwrap_or(kind).to_owned()
}

#[test]
fn the_steepest_rise_is_a_step_that_shrinking_keeps() {
    for mistake in [Mistake::SubscribesLate, Mistake::TakesOlder] {
        let simulator = Simulator::default().with_mistake(mistake.made_by_all());
        let scenarios = [scenario(CHAOS)];
        let swept = sweep::Options {
            seeds: 0..40,
            threads: 2,
            simulator: simulator.clone(),
            ..sweep::Options::default()
        };
        let report = sweep::sweep(&scenarios, &swept);
        let first = report.groups.first().expect("the sweep finds it").first[0];
        let options = Options {
            futures: 4,
            moments: 9,
            threads: 2,
            swarm: true,
            simulator: simulator.clone(),
        };
        let failing = scenarios[0].clone().with_seed(report.recipe(first));
        let blame = blamed(&failing, &options);
        let limits = Limits {
            simulator,
            ..Limits::default()
        };
        let shrunk = shrink(&report.scenario_of(&scenarios, first), limits).expect("it fails");
        let kept: BTreeSet<String> = (shrunk.scenario.steps.iter())
            .map(|step| subject(&step.to_toml(&shrunk.scenario.herd)))
            .collect();
        let rise = blame.rise.as_ref().expect("it rises");
        let risen = rise.steps.iter().map(|step| subject(step));
        assert!(
            { risen }.any(|subject| kept.contains(&subject)),
            "{mistake:?}: {}\n{kept:#?}",
            text(&blame)
        );
        assert!(rise.to.same >= rise.from.same + 2, "{}", text(&blame));
    }
}

#[test]
fn the_curve_is_the_same_on_any_number_of_threads_and_its_commands_show_it() {
    let simulator = Simulator::default().with_mistake(Mistake::TakesOlder.made_by_all());
    let failing = scenario(CHAOS).with_seed(5);
    let options = |threads| Options {
        futures: 3,
        moments: 7,
        threads,
        swarm: true,
        simulator: simulator.clone(),
    };
    let one = blamed(&failing, &options(1));
    assert_eq!(blamed(&failing, &options(3)), one);
    assert_eq!(one.curve.last().map(|end| end.same), Some(3));
    let recipe = future_of(&one.seed, one.curve[3].at, 1);
    let command = format!("herd run --swarm --seed {recipe} blamed.toml");
    assert_eq!(one.again(&one.curve[3], 1), command);
    // The futures of a moment are those of its recipes.
    let fails = (0..3).filter(|future| {
        let seed = future_of(&one.seed, one.curve[3].at, *future);
        let trace = simulator.run_once(&with_seed(&failing, &seed, true));
        Fingerprint::of(&trace.expect("it runs")) == Some(one.fingerprint.clone())
    });
    assert_eq!(fails.count(), one.curve[3].same);
}

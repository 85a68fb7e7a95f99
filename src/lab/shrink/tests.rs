use super::*;
use crate::node::mistakes::Mistake;
use crate::sim::Simulator;
use crate::sweep::{self, Options};

const CHAOS: &str = include_str!("../../../scenarios/stories/chaos-coarse.toml");

fn chaos() -> Scenario {
    let (scenario, _) = Scenario::parse("chaos-coarse.toml", CHAOS, None).expect("it is shipped");
    scenario
}

/// Sweeps with a mistaken server and shrinks the first failure. The resulting file fails in the
/// same way while the mistake is made, and passes without it.
fn found_and_made_small(mistake: Mistake, server: &str) -> Shrunk {
    let scenarios = [chaos()];
    let simulator = Simulator::default().with_mistake(mistake.made_by(server));
    let report = sweep::sweep(
        &scenarios,
        &Options {
            seeds: 0..20,
            simulator: simulator.clone(),
            ..Options::default()
        },
    );
    let first = report.groups.first().expect("the sweep finds it");
    let failing = sweep::scenario_of(&scenarios, &report.plan, first.first[0]);
    let limits = Limits {
        simulator: simulator.clone(),
        ..Limits::default()
    };
    let shrunk = shrink(&failing, limits).expect("it can be shrunk");
    let text = shrunk.file("small.toml");
    let (scenario, _) =
        Scenario::parse("small.toml", &text, None).expect("what is written can be read");
    let trace = simulator.run(&scenario).expect("it runs");
    assert_eq!(
        Fingerprint::of(&trace),
        Some(shrunk.fingerprint.clone()),
        "{text}"
    );
    let true_one = sim::run(&scenario).expect("it runs");
    assert_eq!(
        Fingerprint::of(&true_one),
        None,
        "on the true server:\n{text}"
    );
    assert!(shrunk.scenario.steps.len() <= 5, "{text}");
    shrunk
}

#[test]
fn news_that_is_told_back_needs_one_step_and_two_servers() {
    let shrunk = found_and_made_small(Mistake::TellsBack, "Juzang");
    assert_eq!(shrunk.scenario.steps.len(), 1, "{}", shrunk.file("x"));
    assert!(
        shrunk.scenario.herd.servers().len() <= 3,
        "{}",
        shrunk.file("x")
    );
    assert!(shrunk.before > 100, "{}", shrunk.before);
}

#[test]
fn an_update_that_is_turned_away_for_a_clock_that_is_wrong_is_made_small() {
    let shrunk = found_and_made_small(Mistake::AsksItsClock, "Campbell");
    assert!(
        shrunk.file("x").contains("never-back-in-time"),
        "{}",
        shrunk.file("x")
    );
}

#[test]
fn what_holds_can_t_be_made_small() {
    let text = "title = \"t\"\nherd = \"riley\"\nsteps = [{ at = \"1s\", crash = \"Riley\" }]";
    let (scenario, _) = Scenario::parse("t.toml", text, None).unwrap();
    assert!(matches!(
        shrink(&scenario, Limits::default()),
        Err(ShrinkError::Held)
    ));
}

/// The shrunk file keeps the failed expectation, and none of the author's others.
#[test]
fn an_expectation_that_is_broken_is_what_is_kept() {
    let text = r#"
        title = "t"
        herd = "riley"
        steps = [
          { at = "1s", client = "plum", to = "Campbell", send = "IAMAT plum +1+1 {now}" },
          { at = "2s", client = "kiwi", to = "Riley", send = "IAMAT kiwi +1+1 {now}" },
          { at = "3s", crash = "Juzang" },
        ]
        [[expect]]
        update = "kiwi"
        hops = { Campbell = 7 }
        [[expect]]
        update = "plum"
        reaches = "all"
    "#;
    let (scenario, _) = Scenario::parse("t.toml", text, None).unwrap();
    let shrunk = shrink(&scenario, Limits::default()).unwrap();
    assert_eq!(
        (shrunk.scenario.steps.len(), shrunk.scenario.expects.len()),
        (1, 1)
    );
    assert!(
        shrunk.file("x").contains("hops = { Campbell = 7 }"),
        "{}",
        shrunk.file("x")
    );
}

const FAILED: &str = r#"
    title = "t"
    herd = "riley"
    steps = [
      { at = "1s", client = "plum", to = "Campbell", send = "IAMAT plum +1+1 {now}" },
      { at = "2s", client = "kiwi", to = "Riley", send = "IAMAT kiwi +1+1 {now}" },
      { at = "3s", crash = "Juzang" },
    ]
    [[expect]]
    update = "kiwi"
    hops = { Campbell = 7 }
"#;

#[test]
fn who_watches_ends_it_at_the_next_try_and_gets_the_smallest_so_far() {
    let (scenario, _) = Scenario::parse("t.toml", FAILED, None).unwrap();
    let mut seen = Vec::new();
    let shrunk = shrink_watched(&scenario, Limits::default(), &mut |tried| {
        seen.push(*tried);
        if tried.left < tried.before {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    })
    .unwrap();
    assert_eq!(shrunk.end, End::Interrupted);
    let last = *seen.last().unwrap();
    assert!((1..3).contains(&last.left), "{seen:?}");
    assert_eq!(shrunk.scenario.steps.len(), last.left);
    // One run of the original, one of the file written back, and one for each try.
    assert_eq!(shrunk.runs, 2 + last.tries);
}

#[test]
fn with_one_try_what_fails_is_as_it_was_and_with_many_nothing_more_is_possible() {
    let (scenario, _) = Scenario::parse("t.toml", FAILED, None).unwrap();
    let of = |runs| {
        let limits = Limits {
            runs,
            ..Limits::default()
        };
        shrink(&scenario, limits).unwrap()
    };
    let (none, all) = (of(0), of(3_000));
    assert_eq!(
        (none.scenario.steps.len(), none.runs, none.end),
        (3, 2, End::Limit)
    );
    assert_eq!((all.scenario.steps.len(), all.end), (1, End::Smallest));
}

/// What a failure of power takes follows from what was written before, so that a step less makes
/// another chance of it.
const DISKS: &str = r#"
    title = "records on disk"
    herd = { name = "riley", servers = ["Riley", "Juzang"], links = ["Riley-Juzang"] }
    seed = 3
    server = { durability = "answered", snapshot_after = 900 }
    steps = [
      { at = "500ms", client = "kiwi", clients = 24, every = "7ms", to = "Juzang", send = "IAMAT {client} +34.068930-118.445127 {now}" },
      { at = "900ms", power_off = ["Riley", "Juzang"] },
      { at = "1s", power_on = ["Riley", "Juzang"] },
    ]
"#;

#[test]
fn what_a_failure_of_power_takes_by_chance_needs_few_steps() {
    let (scenario, _) = Scenario::parse("t.toml", DISKS, None).expect("right");
    let made = |seed| scenario.clone().with_seed(seed);
    let simulator = Simulator::default().with_mistake(Mistake::RenamesBeforeSync.made_by("Juzang"));
    let limits = Limits {
        simulator,
        passes: Some(Simulator::default()),
        ..Limits::default()
    };
    let small = (0..8).filter_map(|seed| shrink(&made(seed), limits.clone()).ok());
    let small: Vec<Shrunk> = small.collect();
    assert!(small.len() > 2, "few of these seeds lose what was answered");
    for shrunk in small {
        assert!(shrunk.before > 20, "{}", shrunk.before);
        assert!(shrunk.scenario.steps.len() <= 5, "{}", shrunk.file("x"));
    }
}

#[test]
fn what_fails_on_the_other_server_as_well_is_not_shown_by_it() {
    let (scenario, _) = Scenario::parse("t.toml", FAILED, None).expect("right");
    let limits = Limits {
        passes: Some(Simulator::default()),
        ..Limits::default()
    };
    let refused = shrink(&scenario, limits).expect_err("the true server fails, too");
    assert!(matches!(refused, ShrinkError::Lost(_)), "{refused}");
}

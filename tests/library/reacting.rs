//! Steps that react to what happens (`when`).

use proxy_herd::scenario::Scenario;
use proxy_herd::sim;
use proxy_herd::trace::Trace;

fn scenario(steps: &str) -> Scenario {
    let text = format!("title = \"a test\"\nherd = \"riley\"\nsteps = [{steps}]");
    let (scenario, _) = Scenario::parse("test.toml", &text, None).expect("a right scenario");
    scenario
}

/// The moments of the events in which somebody does this, in milliseconds.
fn moments(trace: &Trace, who: &str, what: &str) -> Vec<u64> {
    let its = trace.events.iter().filter(|event| event.who.name() == who);
    let such = its.filter(|event| event.what.to_string().starts_with(what));
    such.map(|event| event.at / 1_000_000).collect()
}

#[test]
fn a_step_happens_a_tick_after_what_it_reacts_to() {
    let steps = |wait: &str| {
        format!(
            r#"{{ at = "1s", crash = "Juzang" }},
               {{ when = {{ log = "link to Juzang is down*", by = "Campbell" }}{wait}, freeze = "Bernard" }},
               {{ at = "3s", thaw = "Bernard" }}"#
        )
    };
    for (wait, expected) in [("", 1_021), (", wait = \"250ms\"", 1_271)] {
        let trace = sim::run(&scenario(&steps(wait))).expect("it runs");
        assert_eq!(
            moments(&trace, "Campbell", "link to Juzang is down"),
            [1_020]
        );
        assert_eq!(moments(&trace, "Bernard", "FREEZES"), [expected]);
        assert_eq!(trace.verdict().failed, 0);
    }
}

#[test]
fn only_what_comes_after_a_step_s_own_time_counts() {
    let steps = r#"
        { at = "1s", client = "kiwi", to = "Riley", send = "IAMAT kiwi +34-118 {now}" },
        { at = "2s", client = "kiwi", to = "Riley", send = "IAMAT kiwi +35-118 {now}" },
        { at = "1500ms", when = { log = "accepts *", by = "Campbell" }, crash = "Campbell" }"#;
    let trace = sim::run(&scenario(steps)).expect("it runs");
    assert_eq!(moments(&trace, "Campbell", "accepts"), [1_055, 2_055]);
    assert_eq!(moments(&trace, "Campbell", "CRASHES"), [2_056]);
}

#[test]
fn reactions_follow_from_one_another() {
    let steps = r#"
        { at = "1s", crash = "Juzang" },
        { when = { log = "link to Juzang is down*", by = "Riley" }, wait = "1s", crash = "Jaquez" },
        { when = { log = "link to Juzang is down*", by = "Campbell" }, wait = "10ms", crash = "Campbell" },
        { when = { log = "link to Jaquez is down*", by = "Bernard" }, restart = ["Juzang", "Campbell"] },
        { when = { log = "STARTS AGAIN*", by = "Campbell" }, wait = "1s", restart = "Jaquez" }"#;
    let trace = sim::run(&scenario(steps)).expect("it runs");
    let crashes = ["Campbell", "Jaquez"].map(|who| moments(&trace, who, "CRASHES"));
    assert_eq!(crashes, [[1_031], [2_021]]);
    let starts = ["Juzang", "Campbell", "Jaquez"].map(|who| moments(&trace, who, "STARTS AGAIN"));
    assert_eq!(starts, [[2_042], [2_042], [3_043]]);
    assert_eq!(trace.verdict().failed, 0);
}

#[test]
fn a_step_that_waits_in_vain_fails_the_run() {
    let steps = r#"
        { at = "1s", freeze = "Juzang" },
        { at = "1100ms", thaw = "Juzang" },
        { when = { log = "link to Juzang is down*", by = "Campbell" }, client = "kiwi", to = "Riley",
          send = "IAMAT kiwi +34-118 {now}", reply = "AT *" }"#;
    let trace = sim::run(&scenario(steps)).expect("it runs");
    let failed = trace
        .judgements
        .iter()
        .filter(|judgement| !judgement.passed);
    let told: Vec<String> = failed
        .map(|one| format!("{}: {}", one.about, one.actual))
        .collect();
    let waits =
        "a step waits for `link to Juzang is down*` by Campbell from 1.1s on: it did not happen";
    assert!(told.iter().any(|told| told == waits), "{told:#?}");
    let ending =
        "the run ends with every step done and every client answered: 1 steps were not done";
    assert!(told.iter().any(|told| told == ending), "{told:#?}");
}

#[test]
fn the_rules_of_steps_hold_at_the_times_that_come_of_it() {
    // In the file Juzang starts before it crashes a second time.
    let steps = r#"
        { at = "1s", crash = "Juzang" },
        { when = { log = "link to Juzang is down*", by = "Riley" }, wait = "2s", restart = "Juzang" },
        { at = "2s", crash = "Juzang" }"#;
    let failed = sim::run(&scenario(steps)).expect_err("not right");
    assert_eq!(
        failed.to_string(),
        "the simulation failed: a step reacts at 3.021s, and then the steps do not fit together: `Juzang` is down already"
    );
}

#[test]
fn a_scenario_that_reacts_is_written_as_it_was_read() {
    let steps = r#"
        { at = "1s", crash = "Juzang" },
        { when = "CRASHES", wait = "5ms", crash = "Bernard" },
        { when = { log = "CRASHES", by = "Bernard" }, client = "kiwi", clients = 3, to = "Riley", send = "IAMAT {client} +34-118 {now}" }"#;
    let read = scenario(steps);
    let (again, _) = Scenario::parse("again.toml", &read.to_toml(), None).expect("right");
    let plain = |scenario: &Scenario| -> Vec<_> {
        let steps = scenario.steps.iter();
        steps
            .map(|step| (step.at, step.when.clone(), step.action.clone()))
            .collect()
    };
    assert_eq!(plain(&again), plain(&read));
    let [one, other] = [&read, &again].map(|it| sim::run(it).expect("it runs").events);
    assert!(one == other, "{}", read.to_toml());
}

/// The messages about a file with these steps.
fn problems(steps: &str) -> Vec<String> {
    let text = format!("title = \"a test\"\nherd = \"riley\"\n{steps}");
    let problems = Scenario::parse("test.toml", &text, None).expect_err("a wrong scenario");
    let told = problems.sorted().into_iter();
    told.map(|problem| problem.message.clone()).collect()
}

#[test]
fn reactions_that_cannot_be_are_refused() {
    let cases: [(&str, &[&str]); 6] = [
        (
            r#"steps = [{ at = "1s", crash = "Juzang", when = "CRASHS" }]"#,
            &["no event ever looks like this"],
        ),
        (
            r#"steps = [{ at = "1s", crash = "Juzang", wait = "1s" }]"#,
            &["`wait` needs `when`: the event after which it counts"],
        ),
        (
            r#"steps = [{ when = "STARTS*", crash = "Juzang" }, { after = "1s", restart = "Juzang" }]"#,
            &["nobody knows the time of the step before, which reacts"],
        ),
        (
            r#"deliver = ["step"]
               steps = [{ at = "1s", when = "starts*", crash = "Juzang" }]"#,
            &["`deliver` takes the place of time, and this is a step that reacts"],
        ),
        (
            r#"steps = [{ at = "1s", when = "starts*", workload = "w", lasts = "1s", clients = 1, rate = 1 }]"#,
            &["what is drawn has its times before the run, so it cannot wait for `when`"],
        ),
        (
            r#"steps = [{ at = "1s", random = { crash = "5s" }, holds = "1s", lasts = "1s" }, { at = "3s", when = "starts*", freeze = "Riley" }]"#,
            &["faults at random are drawn before the run, when nobody knows what reacts to what"],
        ),
    ];
    for (steps, wanted) in cases {
        assert_eq!(problems(steps), wanted, "{steps}");
    }
}

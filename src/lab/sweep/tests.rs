use super::*;
use crate::node::mistakes::Mistake;
use crate::sim::WorldKind;

const SHORT: &str = r#"
    title = "Two bad seconds"
    herd = "riley"
    tick = "10ms"
    client_latency = "10ms"
    steps = [
      { at = "500ms", workload = "load", clients = 4, rate = 10, lasts = "3s", whatsat = 20 },
      { at = "500ms", random = { crash = "500ms", partition = "500ms", sever = "500ms" }, lasts = "1500ms", holds = "100ms..500ms" },
    ]
    [[expect]]
    workload = "load"
    no_lost_updates = true
"#;

fn short() -> Scenario {
    Scenario::parse("short.toml", SHORT, None)
        .expect("a right scenario")
        .0
}

fn options(seeds: Range<u64>) -> Options {
    Options {
        seeds,
        ..Options::default()
    }
}

#[test]
fn the_report_is_the_same_on_one_thread_on_two_and_of_four_parts() {
    let scenarios = [short()];
    let one = sweep(&scenarios, &options(0..12));
    assert!(one.held() && !one.is_partial(), "{}", one.to_text());
    assert_eq!(one.runs, 12);
    let two = Options {
        threads: 2,
        ..options(0..12)
    };
    let two = sweep(&scenarios, &two);
    assert_eq!(
        (two.to_text(), two.to_json()),
        (one.to_text(), one.to_json())
    );
    let plan = Plan::new(&scenarios, 0..12, true, false, false);
    let mut merged = Outcomes::new();
    for number in 1..=4 {
        let part = plan.items(Shard { number, of: 4 });
        merged.extend(run_all(
            &scenarios,
            &plan,
            part,
            1,
            &Simulator::default(),
            &Unwatched,
        ));
    }
    assert_eq!(merged.len(), 12);
    assert_eq!(Report::new(plan, merged).to_text(), one.to_text());
}

#[test]
fn a_mistake_is_found_and_its_runs_are_one_group() {
    let mistaken = Options {
        keep_going: true,
        simulator: Simulator::default().with_mistake(Mistake::TellsBack.made_by("Juzang")),
        ..options(0..6)
    };
    let report = sweep(&[short()], &mistaken);
    let [group] = report.groups.as_slice() else {
        panic!("{}", report.to_text());
    };
    assert_eq!(
        group.fingerprint.to_string(),
        "sends-bounded (accepted, line-out)"
    );
    assert_eq!((report.runs, group.runs), (6, 6));
    assert!(report.to_text().contains("FAILED  6 runs: sends-bounded"));
    assert!(
        report
            .to_text()
            .contains("again:  herd run --swarm --seed 0 short.toml")
    );
    let plan = report.plan.clone().in_world(WorldKind::Turmoil);
    let elsewhere = Report { plan, ..report };
    assert_eq!(
        elsewhere.again(0),
        "herd run --world turmoil --swarm --seed 0 short.toml"
    );
}

#[test]
fn it_stops_at_the_first_failure_and_parts_agree_on_which_that_is() {
    let scenarios = [short()];
    let plan = Plan::new(&scenarios, 0..12, true, false, false);
    let broken_from = |run: u64| {
        let outcome = |run| Outcome {
            run,
            coverage: Coverage::default(),
            trail: None,
            failure: None,
        };
        let mut outcomes: Outcomes = (0..12).map(|run| (run, outcome(run))).collect();
        for (number, outcome) in &mut outcomes {
            let failure = Failure {
                fingerprint: Fingerprint::of_failure("a test"),
                words: String::new(),
                internal: false,
            };
            outcome.failure = (*number >= run).then_some(failure);
        }
        outcomes
    };
    let whole = Report::new(plan.clone(), broken_from(5));
    assert_eq!(
        (whole.runs, whole.failures(), whole.missing_runs),
        (6, 1, 0)
    );
    // Two parts, each of which stopped at its own first failure: runs 5 and 6.
    let mut merged = broken_from(5);
    merged.retain(|run, _| *run <= 6);
    assert_eq!(Report::new(plan.clone(), merged).to_text(), whole.to_text());
    // A run that is missing before the first failure is reported.
    let mut partial = broken_from(5);
    partial.remove(&3);
    assert_eq!(Report::new(plan, partial).missing_runs, 1);
}

#[test]
fn a_sweep_that_runs_nothing_does_not_hold() {
    let plan = Plan::new(&[short()], 0..3, true, false, false);
    let report = Report::new(plan, Outcomes::new());
    assert!(report.is_partial());
    assert!(
        report.verdict().contains("nothing was run"),
        "{}",
        report.verdict()
    );
}

#[test]
fn results_are_read_as_they_were_written_but_for_a_line_that_was_cut_off() {
    let scenarios = [short()];
    let plan = Plan::new(&scenarios, 0..2, true, false, true);
    let outcomes = run_all(
        &scenarios,
        &plan,
        plan.items(Shard::WHOLE),
        1,
        &Simulator::default(),
        &Unwatched,
    );
    let lines: Vec<String> = outcomes.values().map(results::line).collect();
    let text = format!("{}\n{}\n{}\n", results::line(&plan), lines[0], lines[1]);
    assert_eq!(
        results::read(&text).unwrap(),
        (plan.clone(), outcomes.clone())
    );
    let (_, cut) = results::read(&text[..text.len() - 9]).unwrap();
    assert_eq!(cut.keys().collect::<Vec<_>>(), [&0]);
    let wrong = text.replace("\"run\":1", "\"run\":9");
    assert!(matches!(
        results::read(&wrong),
        Err(results::ResultsError::NoSuchRun(3))
    ));
    assert!(matches!(
        results::read(""),
        Err(results::ResultsError::Empty)
    ));
    let other = text.replacen("\"sweep\":1", "\"sweep\":7", 1);
    assert!(matches!(
        results::read(&other),
        Err(results::ResultsError::Format(7))
    ));
}

#[test]
fn what_never_happened_is_told() {
    let calm = SHORT.replace(
        "random = { crash = \"500ms\", partition = \"500ms\", sever = \"500ms\" }",
        "random = { slow = \"1h\" }",
    );
    let (calm, _) = Scenario::parse("calm.toml", &calm, None).unwrap();
    let report = sweep(&[calm], &options(0..1));
    assert!(
        report.never.contains(&"fault: slow".to_owned()),
        "{:?}",
        report.never
    );
    assert!(
        report.never.contains(&"event: slowed".to_owned()),
        "{:?}",
        report.never
    );
    assert!(report.held(), "{}", report.to_text());
}

/// A sweep fails if none of its runs saw what a scenario says must be so sometimes, and one that is cut short does not.
#[test]
fn what_must_be_so_sometimes_is_so_in_one_run_at_least() {
    let log = |pattern: &str| {
        let text = format!("{SHORT}\n[[expect]]\nlog = \"{pattern}\"\nsometimes = true");
        let (scenario, _) = Scenario::parse("short.toml", &text, None).unwrap();
        scenario
    };
    let report = sweep(&[log("CRASHES")], &options(0..12));
    assert!(report.is_good(), "{}", report.to_text());
    let (_, seen) = report.coverage.sometimes.first_key_value().unwrap();
    assert!((1..12).contains(seen), "{}", report.to_text());
    let never = log("LOSES ITS POWER");
    let report = sweep(std::slice::from_ref(&never), &options(0..3));
    assert!(report.held() && !report.is_good(), "{}", report.to_text());
    assert!(
        report.verdict().contains("sometimes: short: "),
        "{}",
        report.verdict()
    );
    let plan = Plan::new(std::slice::from_ref(&never), 0..3, true, false, false);
    let part = Report::of_part(plan, Outcomes::new(), Shard { number: 1, of: 2 });
    assert!(!part.verdict().contains("sometimes"), "{}", part.verdict());
}

/// A scenario of two servers, in which one crashes with some seeds.
const LIVES: &str = r#"
    title = "One may die"
    herd = { name = "pair", servers = ["Ada", "Bob"], links = ["Ada-Bob"] }
    tick = "10ms"
    client_latency = "10ms"
    end = "2s"
    steps = [
      { at = "500ms", random = { crash = "500ms", freeze = "500ms" }, of = ["Bob"], lasts = "1s", holds = "100ms..200ms" },
    ]
"#;

#[test]
fn a_run_that_hangs_is_one_that_failed_and_the_others_are_run() {
    let (scenario, _) = Scenario::parse("lives.toml", LIVES, None).expect("a right scenario");
    let loses_a_link = |seed: &u64| {
        let scenario = scenario.clone().with_seed(*seed).swarmed();
        let trace = sim::run_once(&scenario).expect("it runs");
        let mut events = trace.events.iter();
        events.any(|event| event.who.name() == "Ada" && event.what.kind() == "link-down")
    };
    // Finds four consecutive seeds of which exactly one, not the first or last, makes Ada lose her
    // link. The mistake then makes her spin for ever.
    let hangs: Vec<bool> = (0..40).map(|seed| loses_a_link(&seed)).collect();
    let one_of = |four: &[bool]| {
        four[1..3].iter().filter(|hangs| **hangs).count() == 1 && !four[0] && !four[3]
    };
    let first = hangs.windows(4).position(one_of).expect("there are some");
    let hanging = first + (1..3).find(|at| hangs[first + at]).expect("one of them");
    // As long as the test holds this.
    let held = std::sync::Arc::new(());
    let mistake = Mistake::SpinsWithoutLink.made_by("Ada").while_held(&held);
    let options = Options {
        seeds: first as u64..first as u64 + 4,
        keep_going: true,
        threads: 1,
        simulator: Simulator::from(std::time::Duration::from_secs(3)).with_mistake(mistake),
        ..Options::default()
    };
    let (tell, told) = std::sync::mpsc::channel();
    let swept = std::thread::Builder::new().spawn(move || {
        let _ = tell.send(sweep(&[scenario], &options));
    });
    swept.expect("a thread");
    // The sweep takes four seconds. The timeout lets a sweep that hangs fail the test instead of
    // hanging it.
    let report = told.recv_timeout(std::time::Duration::from_mins(2));
    drop(held);
    let report = report.expect("it does not hang");
    let text = report.to_text();
    assert_eq!((report.runs, report.failures()), (4, 1), "{text}");
    let [group] = report.groups.as_slice() else {
        panic!("{text}");
    };
    assert!(group.internal);
    assert_eq!(group.fingerprint.to_string(), "a run does not end");
    let again = format!("again:  herd run --swarm --seed {hanging} lives.toml");
    assert!(text.contains(&again), "{text}");
    let told = format!("seed {hanging}, at ");
    assert!(group.words.contains(&told), "{text}");
    assert!(group.words.contains("while Ada was running"), "{text}");
}

/// A guided sweep in which a rare run fails.
fn guided(threads: usize, outcomes: Outcomes) -> (Plan, Outcomes) {
    let scenarios = [short()];
    let plan = Plan::new(&scenarios, 10..90, true, false, true).guided(true);
    let simulator = Simulator::default().with_mistake(Mistake::KeepsToItself.made_by_all());
    let outcomes = run_guided(&scenarios, &plan, outcomes, threads, &simulator, &Unwatched);
    (plan, outcomes)
}

#[test]
fn a_guided_sweep_is_the_same_however_it_is_run_and_goes_on_from_what_it_found() {
    let (plan, whole) = guided(1, Outcomes::new());
    assert_eq!(whole.len(), 80);
    let (_, threads) = guided(3, Outcomes::new());
    assert_eq!(threads, whole);
    // Interrupted in the second generation, and gone on with.
    let mut some = whole.clone();
    some.retain(|run, _| *run < 40 && *run != 35);
    assert_eq!(guided(2, some).1, whole);
    // The first generation knows nothing to go on from, and later ones do.
    let recipe = |run: u64| whole[&run].trail.clone().expect("it is guided").recipe;
    assert!((0..GENERATION).all(|run| recipe(run) == (10 + run).into()));
    let goes_on = (GENERATION..80).filter(|run| !recipe(*run).later().is_empty());
    assert!((20..46).contains(&goes_on.count()));
    // Results read back, with what each run came across.
    let lines: Vec<String> = whole.values().map(results::line).collect();
    let text = format!("{}\n{}\n", results::line(&plan), lines.join("\n"));
    assert_eq!(results::read(&text).expect("it is right"), (plan, whole));
}

#[test]
fn what_fails_in_a_guided_sweep_can_be_run_again() {
    let (plan, outcomes) = guided(2, Outcomes::new());
    let simulator = Simulator::default().with_mistake(Mistake::KeepsToItself.made_by_all());
    let report = Report::new(plan, outcomes);
    let runs: Vec<(u64, &Fingerprint)> = (report.groups.iter())
        .flat_map(|group| group.first.iter().map(|run| (*run, &group.fingerprint)))
        .collect();
    assert!(!runs.is_empty(), "{}", report.to_text());
    assert!(
        runs.iter()
            .any(|(run, _)| !report.recipe(*run).later().is_empty()),
        "{}",
        report.to_text()
    );
    for (run, fingerprint) in runs {
        let scenario = report.scenario_of(&[short()], run);
        let trace = simulator.run_once(&scenario).expect("it runs");
        assert_eq!(Fingerprint::of(&trace).as_ref(), Some(fingerprint));
        let command = format!("herd run --swarm --seed {} short.toml", report.recipe(run));
        assert_eq!(report.again(run), command);
    }
}

#[test]
fn a_guided_sweep_ends_with_its_first_failure() {
    let (mut plan, whole) = guided(2, Outcomes::new());
    plan.keep_going = false;
    let first = whole.values().find(|outcome| outcome.failure.is_some());
    let first = first.expect("one fails").run;
    let simulator = Simulator::default().with_mistake(Mistake::KeepsToItself.made_by_all());
    let run = |known| run_guided(&[short()], &plan, known, 2, &simulator, &Unwatched);
    let ended = run(Outcomes::new());
    assert_eq!(
        ended.keys().copied().collect::<Vec<_>>(),
        (0..=first).collect::<Vec<_>>()
    );
    assert_eq!(run(ended.clone()), ended);
}

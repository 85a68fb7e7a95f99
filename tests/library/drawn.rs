//! Steps that stand for many, in the simulator: the drawn steps are in the trace and can be pasted
//! into the file, and each judgement about them can fail.

use proxy_herd::journal::{Event, EventKind};
use proxy_herd::scenario::Scenario;
use proxy_herd::sim;
use proxy_herd::trace::{Judgement, Trace};

fn run(text: &str, seed: u64) -> Trace {
    let (scenario, warnings) = Scenario::parse("test.toml", text, None).expect("right");
    assert!(warnings.is_empty(), "{warnings}");
    sim::run_once(&scenario.with_seed(seed)).expect("it runs")
}

fn broken(trace: &Trace) -> Vec<&Judgement> {
    let judgements = trace.judgements.iter();
    judgements.filter(|judgement| !judgement.passed).collect()
}

fn about<'t>(trace: &'t Trace, about: &str) -> &'t Judgement {
    let mut judgements = trace.judgements.iter();
    let found = judgements.find(|judgement| judgement.about == about);
    found.unwrap_or_else(|| panic!("nothing about {about}: {:#?}", trace.judgements))
}

const RANDOM: &str = r#"{ at = "1s", random = { crash = "1s", power_off = "1s", freeze = "1s", refuse = "1s", partition = "500ms",
      partition_oneway = "500ms", sever = "500ms", slow = "500ms", skew = "500ms" }, lasts = "4s", holds = "100ms..800ms" }"#;

fn with_random(random: &str) -> String {
    format!(
        r#"
        title = "chaos"
        herd = "riley"
        steps = [
          {{ at = "3s", client = "kiwi", clients = 5, to = "all", send = "WHATSAT load-1 10 5", reply = "*", every = "100ms" }},
          {random},
          {{ at = "1s", workload = "load", clients = 5, rate = 30, lasts = "7s", whatsat = 20 }},
        ]"#
    )
}

/// The chosen steps, and all other events without their ids and causes.
fn happened(trace: &Trace) -> (Vec<String>, Vec<Event>) {
    let (chosen, others): (Vec<Event>, Vec<Event>) = (trace.events.iter().cloned())
        .partition(|event| matches!(event.what, EventKind::Chose { .. }));
    let chosen = chosen.into_iter().filter_map(|event| match event.what {
        EventKind::Chose { step } => Some(step.into_owned()),
        _ => None,
    });
    let first = trace.events[0].id;
    let others = others.into_iter().map(|event| Event {
        id: first,
        cause: event.cause.map(|_| first),
        ..event
    });
    (chosen.collect(), others.collect())
}

#[test]
fn what_was_chosen_can_be_pasted_into_the_file_and_gives_the_same_run() {
    for seed in 0..5 {
        let (chosen, events) = happened(&run(&with_random(RANDOM), seed));
        assert!(chosen.len() > 30, "{chosen:?}");
        let pasted = run(&with_random(&chosen.join(",\n")), seed);
        let (none, again) = happened(&pasted);
        assert_eq!(none, [""; 0]);
        assert_eq!(again.len(), events.len());
        for (again, event) in again.iter().zip(&events) {
            assert_eq!(again, event, "seed {seed}");
        }
    }
}

#[test]
fn another_seed_chooses_otherwise() {
    let chosen = |seed| happened(&run(&with_random(RANDOM), seed)).0;
    assert_eq!(chosen(1), chosen(1));
    assert_ne!(chosen(1), chosen(2));
}

#[test]
fn a_kind_of_fault_that_was_never_chosen_is_told() {
    let trace = run(
        &with_random(&RANDOM.replace(r#"crash = "1s""#, r#"crash = "1h""#)),
        0,
    );
    let chosen = about(&trace, "faults are chosen at random");
    assert!(chosen.passed);
    assert!(
        chosen.actual.starts_with("`crash` never, `power_off` "),
        "{}",
        chosen.actual
    );
    assert_eq!(chosen.place.as_deref(), Some("6:11"));
}

#[test]
fn a_seed_that_chooses_no_fault_at_all_is_broken() {
    let trace = run(
        r#"
        title = "t"
        herd = "riley"
        steps = [{ at = "1s", random = { crash = "1h" }, lasts = "10ms", holds = "50ms" }]"#,
        0,
    );
    let chosen = about(&trace, "faults are chosen at random");
    assert_eq!(
        (chosen.passed, chosen.actual.as_str()),
        (false, "`crash` never")
    );
}

#[test]
fn which_of_the_faults_at_random_touch_nothing_is_told() {
    // Riley's links are up, so it refuses no connect. Links that were reset are dialled again.
    let random = r#"{ at = "1s", random = { refuse = "200ms", sever = "200ms" }, of = ["Riley", "Jaquez"], lasts = "1s", holds = "10ms" }"#;
    let text = format!("title = \"t\"\nherd = \"riley\"\nsteps = [{random}]");
    let trace = run(&text, 0);
    let touched = about(&trace, "faults at random have an effect");
    assert!(touched.passed);
    let (told, nothing) = touched.actual.split_once("; none by ").expect("some");
    assert!(told.contains(" by `sever` ("), "{told}");
    let idle: Vec<&str> = nothing.split(", ").collect();
    assert_eq!(idle.len(), touched.events.len());
    assert!(
        idle.iter()
            .all(|idle| idle.starts_with('`') && idle.contains(" at 1")),
        "{idle:?}"
    );
}

#[test]
fn faults_at_random_that_touch_nothing_are_broken() {
    // While Riley refuses connections its two links are up, so no server connects to it.
    let random = r#"{ at = "1s", random = { refuse = "100ms" }, of = "Riley", lasts = "400ms", holds = "50ms" }"#;
    let text = format!("title = \"t\"\nherd = \"riley\"\nsteps = [{random}]");
    let trace = run(&text, 0);
    let touched = about(&trace, "faults at random have an effect");
    assert_eq!((touched.passed, touched.actual.as_str()), (false, "none"));
    assert_eq!(broken(&trace).len(), 1);
    // Links that get their original latency again carry messages, but that is no fault.
    let random = r#"{ at = "1s", random = { slow = "5ms" }, of = ["Riley", "Jaquez"], lasts = "100ms", holds = "10ms" }"#;
    let text = format!("title = \"t\"\nherd = \"riley\"\nend = \"4s\"\nsteps = [{random}]");
    let trace = run(&text, 1);
    assert!(about(&trace, "faults are chosen at random").passed);
    assert!(!about(&trace, "faults at random have an effect").passed);
}

fn loaded(steps: &str, answered: &str) -> String {
    format!(
        r#"
        title = "load"
        herd = "riley"
        steps = [
          {steps}
          {{ at = "2s", workload = "load", clients = 3, to = "Riley", rate = 10, lasts = "1s"{answered} }},
        ]
        [[expect]]
        workload = "load"
        no_lost_updates = true"#
    )
}

#[test]
fn a_workload_is_judged_as_a_whole() {
    let trace = run(&loaded("", ", answered = 100"), 0);
    assert_eq!(broken(&trace), [] as [&Judgement; 0]);
    assert_eq!(about(&trace, "load: lines answered").actual, "10 of 10");
    let kept = about(&trace, "load: no answered update is lost");
    assert_eq!(kept.actual, "the newest of each of 3 at 5 servers");

    // Riley is down for half of the workload.
    let steps = r#"{ at = "1s", crash = "Riley" }, { at = "2500ms", restart = "Riley" },"#;
    assert_eq!(broken(&run(&loaded(steps, ""), 0)), [] as [&Judgement; 0]);
    let trace = run(&loaded(steps, ", answered = 60"), 0);
    let [one] = broken(&trace).try_into().expect("one is broken");
    assert_eq!(one.about, "load: lines answered");
    assert_eq!(
        (one.expected.as_str(), one.actual.as_str()),
        ("at least 6", "5 of 10")
    );
}

#[test]
fn a_workload_that_nobody_answers_is_broken() {
    let trace = run(&loaded(r#"{ at = "1s", crash = "Riley" },"#, ""), 0);
    let told: Vec<(&str, &str)> = (broken(&trace).iter())
        .map(|judgement| (judgement.about.as_str(), judgement.actual.as_str()))
        .collect();
    let wanted = [
        ("load: lines answered", "0 of 10"),
        ("load: no answered update is lost", "no update was answered"),
    ];
    assert_eq!(told, wanted);
}

#[test]
fn an_answered_update_that_is_lost_is_told_with_both_records() {
    // Only Riley has the workload's updates when it loses all records.
    let steps = r#"{ at = "1s", client = "x", to = "Juzang", send = "IAMAT load-1 +1+1 {now}", reply = "AT *" },
        { at = "1500ms", partition = "Riley", from = ["Jaquez", "Juzang"] },
        { at = "3500ms", power_off = "Riley" }, { at = "4s", power_on = "Riley" }, { at = "4s", heal = "all" },"#;
    let trace = run(&loaded(steps, ""), 0);
    let [kept] = broken(&trace).try_into().expect("one is broken");
    assert_eq!(kept.about, "load: no answered update is lost");
    assert_eq!(kept.place.as_deref(), Some("10:9"));
    let begins = "Bernard holds of load-1 Juzang +0.005000000 load-1 +1+1 1621464828.010000000, not Riley +0.005000000 load-1 ";
    assert!(kept.actual.starts_with(begins), "{}", kept.actual);
    assert!(
        kept.actual
            .contains("Bernard holds of load-2 nothing, not Riley "),
        "{}",
        kept.actual
    );
    assert!(kept.actual.ends_with("; and 10 more"), "{}", kept.actual);
    let events: Vec<&EventKind<'_>> = (kept.events.iter())
        .map(|id| &trace.event(*id).expect("an event").what)
        .collect();
    assert!(
        events
            .iter()
            .any(|what| matches!(what, EventKind::LineOut { .. }))
    );
    assert!(
        events
            .iter()
            .any(|what| matches!(what, EventKind::Accepted { .. }))
    );
}

#[test]
fn reports_tell_of_a_workload_as_a_whole() {
    use proxy_herd::report::{Detail, snapshot, text};
    let trace = run(&loaded("", ""), 0);
    let story = text(&trace, Detail::Story);
    assert!(!story.contains("load-1"), "{story}");
    assert!(
        story.contains(
            "workload load: 10 updates, 10 accepted; 80 sends: 40 useful, 40 duplicate, 0 lost"
        ),
        "{story}"
    );
    assert!(text(&trace, Detail::Everything).contains("IAMAT load-1"));
    let snapshot = snapshot(&trace);
    assert!(
        snapshot.contains("workload load of 3 clients: 10 updates"),
        "{snapshot}"
    );
    assert!(!snapshot.contains("load-1"), "{snapshot}");
    let lines = trace.to_json_lines();
    let [again] = Trace::from_json_lines(&lines)
        .expect("readable")
        .try_into()
        .expect("one");
    assert_eq!(again.to_json_lines(), lines);
}

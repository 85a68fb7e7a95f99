//! Compares real runs of scenarios that differ in one thing, and checks the sentences about it.

use super::{compare, text};
use crate::node::mistakes::Mistake;
use crate::scenario::Scenario;
use crate::sim::Simulator;
use crate::trace::Trace;

const KIWI: &str = r#"
    title = "a test"
    herd = "riley"
    steps = [
      { at = "1s", client = "kiwi", to = "Riley", send = "IAMAT kiwi +34-118 {now}" },
      { at = "2s", client = "plum", to = "Campbell", send = "WHATSAT kiwi 10 5" },
    ]
    [[expect]]
    update = "kiwi"
    hops   = { Campbell = 2 }
"#;

fn run(scenario: &str) -> Trace {
    run_with(&Simulator::default(), scenario)
}

fn run_with(simulator: &Simulator, scenario: &str) -> Trace {
    let (scenario, _) = Scenario::parse("test.toml", scenario, None).expect("a right scenario");
    simulator.run_once(&scenario).expect("it runs")
}

/// The differences in words between a run of `from` and a run of it with `of` replaced by `to`.
fn change(from: &str, of: &str, to: &str) -> String {
    assert!(from.contains(of), "nothing would change");
    let (a, b) = (run(from), run(&from.replace(of, to)));
    let diff = compare(&a, &b);
    assert!(!diff.is_same());
    text(&diff)
}

fn assert_says(text: &str, lines: &[&str]) {
    for line in lines {
        assert!(
            text.lines().any(|said| said.trim() == *line),
            "no `{line}` in:\n{text}"
        );
    }
}

#[test]
fn a_run_is_the_same_as_itself() {
    let trace = run(KIWI);
    let diff = compare(&trace, &trace);
    assert!(diff.is_same() && diff.ran.is_empty() && diff.first.is_none());
    assert!(text(&diff).ends_with("\nSAME: the two runs are the same event by event\n"));
}

#[test]
fn another_seed_changes_boot_ids_and_those_are_no_difference() {
    let diff = compare(
        &run(KIWI),
        &run(&KIWI.replace("herd =", "seed = 77\n herd =")),
    );
    assert!(diff.is_same(), "{}", text(&diff));
    assert_says(&text(&diff), &["in B: seed 77 instead of 0"]);
}

#[test]
fn another_way_of_an_update_is_told_by_who_told_whom() {
    let crash = "steps = [{ at = \"500ms\", crash = \"Juzang\" },";
    let told = change(KIWI, "steps = [", crash);
    assert_says(
        &told,
        &[
            "update kiwi",
            "Juzang was never reached",
            "Campbell heard from Bernard instead of Juzang; over 3 links instead of 2; 20ms later",
            "one fewer useful message, 4 fewer duplicates",
        ],
    );
}

#[test]
fn what_the_harness_did_and_what_came_of_it_is_told() {
    let crash = "steps = [{ at = \"500ms\", crash = \"Juzang\" },";
    let told = change(KIWI, "steps = [", crash);
    assert_says(
        &told,
        &[
            "Juzang CRASHES: only in B, at 0.500",
            "kiwi: hops to Campbell: FAILED instead of passed; 3 instead of 2",
            "Juzang: not running, but in A",
        ],
    );
    let sooner = change(&KIWI.replace("steps = [", crash), "500ms", "512ms");
    assert_says(&sooner, &["Juzang CRASHES: 12ms later"]);
}

#[test]
fn other_latencies_are_told_as_what_is_later_and_as_what_ran() {
    let slow = KIWI.replace("herd =", "link_latency = \"32ms\"\n herd =");
    let told = change(&slow, "32ms", "44ms");
    assert_says(
        &told,
        &[
            "Jaquez 12ms later",
            "Campbell 24ms later",
            "Riley-Jaquez, Riley-Juzang, Bernard-Jaquez, Bernard-Juzang, Bernard-Campbell, Juzang-Campbell: apart 84ms longer",
        ],
    );
    assert!(
        told.contains("link Juzang-Campbell 44ms instead of 32ms"),
        "{told}"
    );
}

#[test]
fn one_more_duplicate_is_counted() {
    let mistaken = Simulator::default().with_mistake(Mistake::TellsBack.made_by("Jaquez"));
    let (a, b) = (run(KIWI), run_with(&mistaken, KIWI));
    let told = text(&compare(&a, &b));
    assert_says(
        &told,
        &["one more duplicate", "AT between servers: 9 instead of 8"],
    );
    assert!(told.contains("sends-bounded"), "{told}");
}

#[test]
fn what_servers_hold_in_the_end_is_told_once_for_all_that_hold_the_same() {
    let told = change(KIWI, "+34-118", "+35-118");
    let held = told
        .lines()
        .find(|line| line.contains("Jaquez, Juzang, Campbell, Bernard: "));
    let held = held.unwrap_or_else(|| panic!("{told}"));
    assert!(
        held.contains("kiwi +35-118 ") && held.contains(" instead of Riley "),
        "{held}"
    );
    let more = change(KIWI, "hops   =", "misses = \"Riley\"\n hops =");
    assert_says(&more, &["kiwi: reaches Riley: only in B (FAILED)"]);
    let other = change(KIWI, "WHATSAT kiwi 10 5", "IAMAT plum +36-118 1");
    assert_says(&other, &["update plum", "only in B"]);
}

#[test]
fn answers_that_are_other_or_later_are_told() {
    let told = change(KIWI, "to = \"Campbell\"", "to = \"Riley\"");
    assert_says(&told, &["plum, line 1: to Riley instead of Campbell"]);
    let slower = KIWI.replace("herd =", "client_latency = \"5ms\"\n herd =");
    let told = change(&slower, "\"5ms\"", "\"6ms\"");
    assert!(told.contains("hears AT Riley +0.006000000 kiwi"), "{told}");
    assert!(
        told.contains("is said 2ms later; is answered 2ms later"),
        "{told}"
    );
}

#[test]
fn what_a_peer_says_by_hand_is_told_without_answers() {
    let evil = r#"
        title = "a test"
        herd = "riley"
        steps = [ { at = "1s", peer = "evil", to = "Juzang", send = "nonsense", reply = "BYE *" } ]
    "#;
    let text = change(evil, "nonsense", "rubbish");
    assert_says(&text, &["evil, line 1: says rubbish instead of nonsense"]);
}

#[test]
fn a_line_that_finds_no_connection_is_one_without_an_answer() {
    let early = "steps = [{ at = \"500ms\", client = \"kiwi\", to = \"Riley\", send = \"early\", maybe = true },";
    let refuse =
        "steps = [{ at = \"400ms\", refuse = \"Riley\" }, { at = \"600ms\", accept = \"Riley\" },";
    let told = change(&KIWI.replace("steps = [", early), "steps = [", refuse);
    assert!(told.contains("kiwi, line 1: has no answer"), "{told}");
    assert!(!told.contains("kiwi, line 2"), "{told}");
}

#[test]
fn a_link_that_was_lost_is_told_with_who_lost_it_and_why() {
    let sever = "steps = [{ at = \"1500ms\", sever = \"Riley-Juzang\" },";
    let told = change(KIWI, "steps = [", sever);
    let link = told.lines().find(|line| line.contains("Riley-Juzang: "));
    let link = link.unwrap_or_else(|| panic!("{told}"));
    assert!(
        link.contains("seen to come up 4 times by its ends instead of 2")
            && link.contains("lost by Riley (connection reset), Juzang (connection reset)"),
        "{link}"
    );
}

#[test]
fn the_event_at_which_runs_part_is_shown() {
    let told = change(KIWI, "at = \"2s\"", "at = \"2100ms\"");
    assert_says(
        &told,
        &[
            "A  2.010  plum  connection 14 with Campbell",
            "plum, line 1: is said 100ms later",
        ],
    );
}

#[test]
fn workloads_are_told_as_a_whole() {
    let load = KIWI.replace(
        "steps = [",
        "steps = [{ at = \"3s\", workload = \"load\", clients = 3, rate = 20, lasts = \"1s\" },",
    );
    let (a, b) = (
        run(&load),
        run(&load.replace("herd =", "seed = 2\n herd =")),
    );
    let diff = compare(&a, &b);
    let told = text(&diff);
    assert!(!told.contains("update load-"), "{told}");
    assert!(!told.contains("load-1, line"), "{told}");
    assert!(diff.workloads.len() == 1, "{told}");
}

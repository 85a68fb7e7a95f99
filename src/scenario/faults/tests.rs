use std::collections::BTreeSet;

use super::*;
use crate::scenario::{Action, Scenario};

/// What the example of a kind says, without the step that ends it.
fn example(kind: FaultKind) -> &'static str {
    let first = kind.example.split('`').nth(1);
    first.expect("an example is code")
}

fn scenario(step: &str) -> Scenario {
    let text = format!(
        "title = \"t\"\nherd = \"riley\"\nend = \"9s\"\n\
         steps = [{{ at = \"1s\", {step} }}, {{ at = \"2s\", client = \"kiwi\", to = \"Riley\", send = \"hello\" }}]\n\
         [server]\ndurability = \"answered\""
    );
    match Scenario::parse("t.toml", &text, None) {
        Ok((scenario, _)) => scenario,
        Err(problems) => panic!("{step}: {problems}"),
    }
}

#[test]
fn the_example_of_each_kind_is_read_and_written() {
    for kind in FaultKind::all() {
        let read = scenario(example(kind));
        let Action::Begin(fault) = &read.steps[0].action else {
            panic!("{kind:?}");
        };
        assert_eq!(fault.kind, kind);
        let written = read.steps[0].to_toml(&read.herd);
        assert_eq!(written, format!("{{ at = \"1s\", {} }}", example(kind)));
        let (again, _) = Scenario::parse("t.toml", &read.to_toml(), None).expect("reads back");
        assert_eq!(again.steps[0].action, read.steps[0].action);
    }
}

#[test]
fn no_word_or_field_means_two_things() {
    let mut words = BTreeSet::new();
    for kind in FaultKind::all() {
        assert!(words.insert(kind.name), "{kind:?}");
        assert!(
            kind.end_word().is_none_or(|word| words.insert(word)),
            "{kind:?}"
        );
    }
    for kind in FaultKind::all() {
        for field in kind.fields {
            assert!(!words.contains(field.name), "{kind:?} {}", field.name);
            let same = FaultKind::all().flat_map(|other| other.fields);
            let mut same = same.filter(|other| other.name == field.name);
            assert!(
                same.all(|other| other.holds == field.holds),
                "{}",
                field.name
            );
        }
        let known = |name: &&str| FaultKind::of(name).is_some();
        assert!(kind.excludes.iter().all(known), "{kind:?}");
        assert!(kind.family.is_empty() || known(&kind.family), "{kind:?}");
        let texts = [
            kind.name,
            kind.example,
            kind.models,
            kind.effect,
            kind.impact,
            kind.state,
        ];
        assert!(texts.iter().all(|text| !text.is_empty()), "{kind:?}");
    }
}

#[test]
fn the_list_names_what_ends_each_kind() {
    let declared: Vec<Option<&str>> = FaultKind::all().map(FaultKind::end_word).collect();
    assert_eq!(declared, ENDS);
}

/// What is drawn must be over when the random step is.
#[test]
fn whatever_is_drawn_can_end() {
    for kind in FaultKind::drawn() {
        let ends = !matches!(kind.family().end, End::Family);
        assert!(ends, "{kind:?}");
    }
}

#[test]
fn pauses_follow_each_other() {
    let read = scenario("pause_gc = \"Juzang\", pauses = 2, pause = \"100ms\", gap = \"400ms\"");
    let Action::Begin(fault) = &read.steps[0].action else {
        panic!("no fault");
    };
    let times: Vec<u128> = (fault.operations().iter())
        .map(|(after, _)| after.as_millis())
        .collect();
    assert_eq!(times, [0, 100, 500, 600]);
    assert_eq!(fault.lasts(), Some(Duration::from_millis(600)));
}

#[test]
fn ways_are_links_directions_or_two_sides() {
    for (said, written) in [
        ("\"Juzang>Riley\"", "[\"Juzang>Riley\"]"),
        (
            "[\"clients>Riley\", \"Riley > Juzang\"]",
            "[\"clients>Riley\", \"Riley>Juzang\"]",
        ),
        ("\"Juzang-Riley\"", "\"Riley-Juzang\""),
        (
            "[\"Riley-Juzang\", \"Riley>Jaquez\"]",
            "[\"Riley>Juzang\", \"Juzang>Riley\", \"Riley>Jaquez\"]",
        ),
        // What has no link between it, and clients and Places among themselves, carry nothing.
        (
            "\"Campbell\", from = [\"Bernard\", \"Riley\", \"clients\"]",
            "\"Campbell\", from = [\"Bernard\", \"clients\"]",
        ),
    ] {
        let read = scenario(&format!("lose = {said}, percent = 5"));
        let again = read.steps[0].to_toml(&read.herd);
        let written = written.replace("[\"Juzang>Riley\"]", "\"Juzang>Riley\"");
        assert_eq!(
            again,
            format!("{{ at = \"1s\", lose = {written}, percent = 5 }}")
        );
    }
    let all = scenario("lose = \"all\", percent = 5");
    assert_eq!(all.steps[0].action.targets().len(), 12, "six links");
}

#[test]
fn a_direction_that_is_wrong_says_how_it_is_written() {
    let text = |step: &str| {
        let text = format!(
            "title = \"t\"\nherd = \"riley\"\nend = \"9s\"\n\
             steps = [{{ at = \"1s\", {step} }}, {{ at = \"2s\", client = \"kiwi\", to = \"Riley\", send = \"hello\" }}]"
        );
        let problems = Scenario::parse("t.toml", &text, None).expect_err("it is wrong");
        problems.to_string()
    };
    for (step, says) in [
        (
            "lose = \"Riley>Bernard\", percent = 5",
            "nothing is sent from `Riley` to `Bernard`",
        ),
        (
            "lose = \"Riley>\", percent = 5",
            "unknown server `` in a direction",
        ),
        (
            "lose = \"a>b>c\", percent = 5",
            "a direction has two ends: `Riley>Juzang`",
        ),
        (
            "lose = \"clients>places\", percent = 5",
            "nothing is sent from `clients` to `places`",
        ),
        (
            "lose = \"Riley>Juzang\", from = \"Juzang\", percent = 5",
            "say already from where to where",
        ),
        (
            "lose = \"Riley>Juzang\", percent = 100",
            "`percent` is 100, but must be 0 to 99",
        ),
        (
            "lose = \"Riley>Juzang\"",
            "`lose` needs `percent`: the share of packets",
        ),
        (
            "lose = \"Riley>Juzang\", percent = 0",
            "its `percent` is 0 then already",
        ),
        (
            "delay = \"Riley>Juzang\", extra = \"9ms..1ms\"",
            "the least latency first",
        ),
        // Nothing happens to packets, whatever else is said of it.
        (
            "reorder = \"Riley>Juzang\", percent = 0, late = \"9ms\"",
            "its `percent` is 0 then already",
        ),
        (
            "limit = \"Riley>Juzang\", bandwidth = 0, queue = 9",
            "its `bandwidth` is 0 then already",
        ),
        (
            "delay = \"Riley>Juzang\", extra = \"500ns\"",
            "finer than a microsecond",
        ),
        (
            "delay = \"Riley>Juzang\", extra = \"2h\"",
            "longer than a run may last",
        ),
        (
            "slow = \"Riley>Juzang\", latency = \"9ms\"",
            "`delay = \"Riley>Juzang\", extra = …` makes one direction slower",
        ),
        (
            "partition = \"Riley>Juzang\"",
            "`partition_oneway = \"Riley-Juzang\"` cuts one direction",
        ),
    ] {
        let said = text(step);
        assert!(said.contains(says), "{step}: {said}");
    }
}

/// The scenario of one step, or the problems of it, where servers have disks or not.
fn with_disks(disks: bool, steps: &str) -> Result<Scenario, String> {
    let server = if disks {
        "[server]\ndurability = \"background\""
    } else {
        ""
    };
    let text = format!(
        "title = \"t\"\nherd = \"riley\"\nend = \"9s\"\nsteps = [{steps},\n\
         {{ at = \"8s\", client = \"kiwi\", to = \"Riley\", send = \"hello\" }}]\n{server}"
    );
    let read = Scenario::parse("t.toml", &text, None);
    read.map(|(scenario, _)| scenario)
        .map_err(|problems| problems.to_string())
}

#[test]
fn faults_of_disks_need_disks() {
    let disks: Vec<FaultKind> = FaultKind::all().filter(|kind| kind.needs_disks()).collect();
    assert_eq!(disks.len(), 6);
    for kind in disks {
        let step = format!("{{ at = \"1s\", {} }}", example(kind));
        assert!(with_disks(true, &step).is_ok(), "{kind:?}");
        let told = with_disks(false, &step).expect_err("there are no disks");
        let says = format!(
            "`{}` happens to disks, and the servers have none",
            kind.name
        );
        assert!(told.contains(&says), "{told}");
    }
    let random = "{ at = \"1s\", random = { crash = \"1s\", rot = \"1s\" }, lasts = \"2s\", holds = \"1s\" }";
    assert!(with_disks(true, random).is_ok());
    let told = with_disks(false, random).expect_err("there are no disks");
    assert!(told.contains("`rot` happens to disks"), "{told}");
}

#[test]
fn a_disk_has_one_fault_at_a_time_and_keeps_it_while_its_server_is_down() {
    let wrong = |steps: &str| with_disks(true, steps).expect_err(steps);
    let told = wrong(
        "{ at = \"1s\", disk_stalls = \"Riley\" }, { at = \"2s\", disk_full = [\"Juzang\", \"Riley\"] }",
    );
    assert!(
        told.contains("`Riley` has a disk that stalls already"),
        "{told}"
    );
    let told =
        wrong("{ at = \"1s\", disk_full = \"Riley\" }, { at = \"2s\", disk_works = \"Juzang\" }");
    assert!(told.contains("its disk has no fault then"), "{told}");
    let told = wrong("{ at = \"1s\", disk_fails = \"Riley\", what = \"think\" }");
    assert!(told.contains("unknown `what` `think`"), "{told}");
    let told = wrong("{ at = \"1s\", rot = \"places\" }");
    assert!(told.contains("unknown server `places`"), "{told}");
    for right in [
        "{ at = \"1s\", disk_lies = \"Riley\" }, { at = \"2s\", disk_works = \"Riley\" }, { at = \"3s\", disk_full = \"Riley\" }",
        "{ at = \"1s\", disk_lies = \"all\" }, { at = \"2s\", power_off = \"all\" }, { at = \"3s\", power_on = \"all\" }, { at = \"4s\", disk_works = \"all\" }",
        "{ at = \"1s\", disk_full = \"Riley\" }, { at = \"2s\", rot = \"Riley\" }",
        "{ at = \"1s\", crash = \"Riley\" }, { at = \"2s\", disk_fails = \"Riley\" }, { at = \"3s\", restart = \"Riley\" }",
    ] {
        if let Err(problems) = with_disks(true, right) {
            panic!("{right}: {problems}");
        }
    }
}

#[test]
fn a_disk_that_fails_fails_to_sync_unless_it_is_said() {
    for (said, operation) in [
        ("", DiskOperation::Sync),
        (", what = \"sync\"", DiskOperation::Sync),
        (", what = \"write\"", DiskOperation::Write),
        (", what = \"read\"", DiskOperation::Read),
    ] {
        let read = scenario(&format!("disk_fails = \"Riley\"{said}"));
        let Action::Begin(fault) = &read.steps[0].action else {
            panic!("no fault");
        };
        let riley = read.herd.id("Riley").expect("it is there");
        let fails = Operation::BreakDisk(riley, DiskFault::Fails(operation));
        assert_eq!(fault.operations(), [(Duration::ZERO, fails)]);
        let written = read.steps[0].to_toml(&read.herd);
        assert_eq!(
            written,
            format!("{{ at = \"1s\", disk_fails = \"Riley\"{said} }}")
        );
    }
}

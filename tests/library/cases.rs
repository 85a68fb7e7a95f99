//! Files with several cases (`[[case]]`).

use std::path::Path;
use std::time::Duration;

use proxy_herd::scenario::Scenario;
use proxy_herd::sim;

const FILE: &str = r#"title = "What all do"
seed = 3
[server]
heartbeat = "500ms"
max_line = "2kB"
[[steps]]
at = "1s"
client = "kiwi"
to = "S1"
send = "IAMAT kiwi +34-118 {now}"
[[expect]]
update = "kiwi"
reaches = "S2"
[[case]]
name = "line"
herd = "line:4"
  [[case.expect]]
  update = "kiwi"
  hops = { S4 = 3 }
[[case]]
name = "ring"
title = "In a ring"
herd = "ring:4"
seed = 5
server = { heartbeat = "700ms" }
  [[case.steps]]
  at = "500ms"
  crash = "S3"
  [[case.expect]]
  update = "kiwi"
  hops = { S4 = 1 }
"#;

fn case(name: &str) -> Scenario {
    let read = Scenario::parse(&format!("test.toml#{name}"), &file(), None);
    read.unwrap_or_else(|problems| panic!("{problems}")).0
}

/// Without the setting that differs in no case.
fn file() -> String {
    FILE.replace("max_line = \"2kB\"\n", "")
}

#[test]
fn a_case_says_in_place_of_the_file_and_besides_it() {
    let [line, ring] = ["line", "ring"].map(case);
    let told = |scenario: &Scenario| {
        let Scenario {
            name, title, seed, ..
        } = scenario;
        (
            name.clone(),
            title.clone(),
            seed.to_string(),
            scenario.steps.len(),
            scenario.expects.len(),
        )
    };
    let expected = |name: &str, title: &str, seed: &str, steps, expects| {
        (
            name.to_owned(),
            title.to_owned(),
            seed.to_owned(),
            steps,
            expects,
        )
    };
    assert_eq!(
        told(&line),
        expected("test-line", "What all do: line", "3", 1, 2)
    );
    assert_eq!(told(&ring), expected("test-ring", "In a ring", "5", 2, 2));
    assert_eq!(line.timing.heartbeat, Duration::from_millis(500));
    assert_eq!(ring.timing.heartbeat, Duration::from_millis(700));
    for scenario in [line, ring] {
        let trace = sim::run(&scenario).expect("it runs");
        assert_eq!(trace.verdict().failed, 0, "{}", scenario.name);
        // As a file of its own it is the same.
        let (again, _) = Scenario::parse("again.toml", &scenario.to_toml(), None).expect("right");
        assert_eq!(sim::run(&again).expect("it runs").events, trace.events);
    }
}

#[test]
fn what_only_one_case_expects_fails_in_the_other() {
    let swapped = file().replace("S4 = 3", "S4 = 1");
    let (line, _) = Scenario::parse("test.toml#line", &swapped, None).expect("right");
    let trace = sim::run(&line).expect("it runs");
    let failed = trace.judgements.iter().find(|judgement| !judgement.passed);
    assert_eq!(
        failed.map(|judgement| judgement.place.as_deref()),
        Some(Some("16:3"))
    );
}

#[test]
fn a_file_s_cases_are_known_by_their_names() {
    let file = Path::new("scenarios/shapes/one-crash-in-every-shape.toml");
    assert_eq!(
        Scenario::cases(file),
        ["line", "ring", "mesh", "ring-far-apart"]
    );
    let path = format!("{}#mesh", file.display());
    let (mesh, _) = Scenario::load(&path).expect("right");
    assert_eq!(
        (mesh.name.as_str(), mesh.path()),
        ("one-crash-in-every-shape-mesh", path)
    );
    assert_eq!(
        Scenario::cases("scenarios/one-update.toml"),
        Vec::<String>::new()
    );
}

fn problems(name: &str, text: &str) -> Vec<String> {
    let problems = Scenario::parse(name, text, None).expect_err("wrong");
    let problem = |problem: &&proxy_herd::diag::Problem| match problem.line_column() {
        Some((line, column)) => format!("{line}:{column} {}", problem.message),
        None => problem.message.clone(),
    };
    problems.sorted().iter().map(problem).collect()
}

#[test]
fn what_is_wrong_with_cases_is_told_in_its_place() {
    assert_eq!(
        problems("test.toml", &file()),
        ["13:1 this file has cases, and none is named"]
    );
    assert_eq!(
        problems("test.toml#lime", &file()),
        ["13:1 there is no case `lime`"]
    );
    let none = "title = \"t\"\nherd = \"riley\"\nsteps = [{ at = \"1s\", crash = \"Riley\" }]";
    assert_eq!(
        problems("test.toml#line", none),
        ["`test.toml` has no cases, so there is no `line`"]
    );
    assert_eq!(
        problems("test.toml", &format!("name = \"x\"\n{none}")),
        ["1:8 only a case has a `name`; what happens in all is the `title`"]
    );
    let twice = file().replace("\"ring\"", "\"line\"");
    assert_eq!(
        problems("test.toml#line", &twice),
        ["20:8 there are two cases `line`"]
    );
    let odd = file().replace("\"ring\"", "\"a ring\"");
    let message = "20:8 a case's name has letters, digits, `-` and `_` only";
    assert_eq!(problems("test.toml#line", &odd), [message]);
    let nameless = file().replace("name = \"ring\"\n", "");
    assert_eq!(
        problems("test.toml#line", &nameless),
        ["19:1 a case needs a `name`"]
    );
    // What is wrong in another case is not this one's affair; in this one it has its place.
    let wrong = file().replace("crash = \"S3\"", "crash = \"S9\"");
    assert_eq!(
        problems("test.toml#ring", &wrong),
        ["27:11 unknown server `S9`"]
    );
    assert!(Scenario::parse("test.toml#line", &wrong, None).is_ok());
}

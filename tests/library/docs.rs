//! Every example in `docs/scenarios.md` is a valid file, and every scenario in it passes.

use proxy_herd::diag::Source;
use proxy_herd::herd::Herd;
use proxy_herd::scenario::{self, Scenario};
use proxy_herd::{report, sim};

fn examples() -> Vec<String> {
    let text = std::fs::read_to_string("docs/scenarios.md").expect("it is there");
    let blocks = text.split("```toml\n").skip(1);
    let blocks = blocks.map(|rest| rest.split("```").next().expect("a block ends"));
    blocks.map(str::to_owned).collect()
}

/// What the scenario is called, or each of its cases.
fn names(example: &str) -> Vec<String> {
    let cases = example.split("[[case]]\nname = \"").skip(1);
    let cases = cases.map(|rest| rest.split('"').next().expect("it ends"));
    let cases: Vec<String> = cases.map(|case| format!("example.toml#{case}")).collect();
    if cases.is_empty() {
        return vec!["example.toml".to_owned()];
    }
    cases
}

#[test]
fn every_example_of_the_reference_works() {
    let mut scenarios = 0;
    for example in examples() {
        if example.starts_with("# herd") {
            let (_, warnings) = Herd::parse(&Source::new("herd.toml", example)).expect("right");
            assert!(warnings.is_empty(), "{warnings}");
            continue;
        }
        for name in names(&example) {
            let (scenario, warnings) = Scenario::parse(&name, &example, None).expect("right");
            assert!(warnings.is_empty(), "{warnings}");
            let trace = sim::run(&scenario).expect("it runs");
            let told = report::text(&trace, report::Detail::Story);
            assert_eq!(trace.verdict().failed, 0, "{told}");
            scenarios += 1;
        }
    }
    assert!(scenarios >= 2, "the examples were not found");
}

/// Checks that the reference contains this table between the comments that mark its `name`. With
/// `INSTA_UPDATE=always` it writes the table, as insta does with snapshots.
fn is_made_from_the_code(name: &str, table: &str) {
    const FILE: &str = "docs/scenarios.md";
    let text = std::fs::read_to_string(FILE).expect("it is there");
    let begin = format!("<!-- {name}: begin -->\n");
    let end = format!("<!-- {name}: end -->\n");
    let (before, rest) = text.split_once(&begin).expect("the beginning is marked");
    let (found, after) = rest.split_once(&end).expect("the end is marked");
    if found != table && std::env::var_os("INSTA_UPDATE").is_some_and(|how| how == "always") {
        let text = [before, &begin, table, &end, after].concat();
        std::fs::write(FILE, text).expect("written");
        return;
    }
    assert!(
        found == table,
        "{FILE} needs this table; INSTA_UPDATE=always writes it:\n{table}"
    );
}

#[test]
fn the_tables_of_faults_are_made_from_their_declarations() {
    is_made_from_the_code("faults", &scenario::reference::faults());
    is_made_from_the_code("drawn", &scenario::reference::drawn());
}

#[test]
fn the_tables_of_steps_are_made_from_their_declarations() {
    is_made_from_the_code("settings", &scenario::reference::settings());
    for subject in ["client", "peer", "workload", "random", "reload"] {
        let table = scenario::reference::steps(subject).expect("there is such a kind");
        is_made_from_the_code(&format!("{subject} steps"), &table);
    }
    assert_eq!(scenario::reference::steps("crash"), None);
}

#[test]
fn the_tables_of_expectations_are_made_from_their_declarations() {
    for subject in ["update", "server", "link", "log", "client"] {
        let table = scenario::reference::expectations(subject).expect("there is such a kind");
        is_made_from_the_code(&format!("of {subject}"), &table);
    }
    assert_eq!(scenario::reference::expectations("weather"), None);
}

/// What `docs/library.md` shows of a file is what the file says.
#[test]
fn the_kind_that_the_library_s_documentation_shows_is_the_shipped_one() {
    let text = std::fs::read_to_string("docs/library.md").expect("it is there");
    for file in [
        "src/scenario/faults/refuse.rs",
        "scenarios/faults/refuse.toml",
    ] {
        let shown = std::fs::read_to_string(file).expect("it is there");
        assert!(
            text.contains(shown.trim_end()),
            "docs/library.md shows another {file}"
        );
    }
    let pause = std::fs::read_to_string("src/scenario/faults/pause_gc.rs").expect("it is there");
    let begins = pause.split("    begin: ").nth(1).expect("it begins");
    let begins = begins.split("    end: ").next().expect("it ends");
    let unindented: Vec<&str> = begins
        .lines()
        .map(|line| line.strip_prefix("    ").unwrap_or(line))
        .collect();
    assert!(text.contains(unindented.join("\n").trim_end()), "{begins}");
}

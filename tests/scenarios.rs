//! Every scenario that is shipped: it holds, and its updates spread as its snapshot says.

#![cfg(feature = "sim")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use proxy_herd::scenario::Scenario;
use proxy_herd::{report, sim};

fn scenarios() -> Vec<PathBuf> {
    let mut files = Vec::new();
    collect(Path::new("scenarios"), &mut files);
    files.sort();
    files
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in folder.read_dir().expect("the folder is there") {
        let path = entry.expect("readable").path();
        if path.is_dir() && path.file_name().is_some_and(|name| name != "herds") {
            collect(&path, files);
        } else if path
            .extension()
            .is_some_and(|end| end == "toml" || end == "json")
        {
            files.push(path);
        }
    }
}

fn stem(file: &Path) -> String {
    let stem = file.file_stem().expect("a file has a name");
    stem.to_string_lossy().into_owned()
}

#[test]
fn every_scenario_holds_and_spreads_as_its_snapshot_says() {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        for file in scenarios() {
            let (scenario, warnings) = Scenario::load(&file).expect("a shipped scenario is right");
            assert!(warnings.is_empty(), "{warnings}");
            let trace = sim::run(&scenario).expect("the simulation runs");
            insta::assert_snapshot!(stem(&file), report::snapshot(&trace));
            let verdict = trace.verdict();
            assert_eq!(
                verdict.broken,
                0,
                "{}",
                report::text(&trace, report::Detail::Story)
            );
        }
    });
}

#[test]
fn every_scenario_has_a_snapshot_and_every_snapshot_a_scenario() {
    let scenarios: BTreeSet<String> = scenarios().iter().map(|file| stem(file)).collect();
    let entries = Path::new("snapshots")
        .read_dir()
        .expect("the folder is there");
    let snapshots: BTreeSet<String> = entries
        .map(|entry| stem(&entry.expect("readable").path()))
        .collect();
    assert_eq!(scenarios, snapshots);
}

/// The snapshot has no times in it: other latencies, the same snapshot.
#[test]
fn a_snapshot_survives_a_change_of_latency() {
    let text = std::fs::read_to_string("scenarios/juzang-goes-down.toml").expect("it is there");
    let spread = |latency: &str| {
        let text = text.replace("\"20ms\"", latency);
        let (scenario, _) = Scenario::parse("juzang-goes-down.toml", &text, None).expect("right");
        report::snapshot(&sim::run(&scenario).expect("runs"))
    };
    assert_eq!(spread("\"20ms\""), spread("\"150ms\""));
}

/// Numbers drawn from the seed are the same on every machine, or this fails on one of them.
#[test]
fn latencies_drawn_from_a_seed_are_the_same_everywhere() {
    let (scenario, _) = Scenario::load("scenarios/jittery-links.toml").expect("right");
    let trace = sim::run(&scenario).expect("runs");
    let delays: Vec<(String, u64)> = (trace.updates[0].arrivals.iter())
        .map(|arrival| (arrival.server.to_string(), arrival.delay / 1_000_000))
        .collect();
    let delays: Vec<String> = delays
        .iter()
        .map(|(server, ms)| format!("{server} {ms}"))
        .collect();
    insta::assert_snapshot!(delays.join(", "), @"Riley 0, Jaquez 22, Juzang 88, Bernard 90, Campbell 124");
}

//! A reference herd in Python with the weaknesses of such solutions, and variants of it with one
//! bug each, which the card must name.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;

use crate::ran::{err, exit, herd, out};
use crate::skipped::skipped;

/// What the reference does not do, as its README says.
const WEAKNESSES: [&str; 13] = [
    "at-changes-nothing",
    "at-from-client",
    "equal-times-agree",
    "iamat-behind-whatsat",
    "location-range",
    "no-text",
    "restarted-learns",
    "time-far-ahead",
    "time-negative",
    "time-plain-digits",
    "time-ten-digits",
    "times-compared-exactly",
    "whatsat-bytes-kept",
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/asyncio")
}

fn has_python() -> bool {
    let version = std::process::Command::new("python3")
        .arg("--version")
        .output();
    let there = version.is_ok_and(|output| output.status.success());
    if !there {
        skipped("there is no python3, in which the reference herd is written");
    }
    there
}

/// Judges a Python server of that folder.
fn check(server: &Path, args: &[&str]) -> Output {
    let names = ["Riley", "Jaquez", "Juzang", "Campbell", "Bernard"];
    let ports = names
        .map(|name| format!("{name}={{port:{name}}}"))
        .join(",");
    let server = server.display();
    // Without -B it would leave files beside the sources.
    let command = format!("python3 -B '{server}' {{name}} --ports {ports} --places {{places}}");
    herd(&[&["check", "--json", "--command", &command], args].concat())
}

/// The ids of the rules that failed, and of those that were not evaluated.
fn verdicts(ran: &Output) -> [BTreeSet<String>; 2] {
    let json: Value = serde_json::from_str(&out(ran)).unwrap_or_else(|_| panic!("{}", err(ran)));
    ["failed", "not-evaluated"].map(|verdict| {
        let rules = json["rules"].as_array().expect("a list").iter();
        let rules = rules.filter(|rule| rule["verdict"] == verdict);
        let ids = rules.map(|rule| rule["id"].as_str().expect("a text").to_owned());
        ids.collect()
    })
}

#[test]
fn the_reference_fails_in_its_weaknesses_and_in_nothing_else() {
    if !has_python() {
        return;
    }
    let ran = check(&folder().join("server.py"), &[]);
    let [failed, not_evaluated] = verdicts(&ran);
    let weaknesses: BTreeSet<_> = WEAKNESSES.map(str::to_owned).into();
    assert_eq!(failed, weaknesses);
    assert!(not_evaluated.is_empty(), "{not_evaluated:?}");
    assert_eq!(exit(&ran), 1);
    let readme = std::fs::read_to_string(folder().join("README.md")).expect("UTF-8");
    for weakness in WEAKNESSES {
        assert!(
            readme.contains(&format!("`{weakness}`")),
            "{weakness} is not documented"
        );
    }
}

/// The variants, each with the rules that it breaks, which its first line names.
fn variants() -> Vec<(PathBuf, Vec<String>)> {
    let files = std::fs::read_dir(folder().join("variants")).expect("the folder is there");
    let files = files.map(|file| file.expect("readable").path());
    let mut variants: Vec<_> = files
        .filter(|file| file.extension().is_some_and(|end| end == "py"))
        .map(|file| {
            let text = std::fs::read_to_string(&file).expect("UTF-8");
            let (rules, _) = text.split_once(':').expect("rules");
            let rules = rules.trim_start_matches('"').split(',').map(str::to_owned);
            (file, rules.collect())
        })
        .collect();
    variants.sort();
    variants
}

/// The rules that the reference or a variant breaks.
pub(super) fn shown() -> BTreeSet<String> {
    let broken = variants().into_iter().flat_map(|(_, rules)| rules);
    broken.chain(WEAKNESSES.map(str::to_owned)).collect()
}

#[test]
fn the_card_names_the_bug_of_each_variant() {
    if !has_python() {
        return;
    }
    let variants = variants();
    assert!(variants.len() >= 10);
    // Most of the time is waiting, so several are judged at a time.
    std::thread::scope(|scope| {
        for variants in variants.chunks(variants.len().div_ceil(4)) {
            scope.spawn(|| variants.iter().for_each(is_named));
        }
    });
}

/// Fails unless the card of a variant has the rules that it breaks.
fn is_named((file, rules): &(PathBuf, Vec<String>)) {
    let only = rules.iter().flat_map(|rule| ["--only", rule]);
    // What is wrong stays wrong, so little patience is enough.
    let args: Vec<_> = only.chain(["--patience", "700ms"]).collect();
    let ran = check(file, &args);
    let [failed, _] = verdicts(&ran);
    for rule in rules {
        assert!(
            !WEAKNESSES.contains(&rule.as_str()),
            "the reference breaks {rule}, too"
        );
        assert!(
            failed.contains(rule),
            "{}: {rule}: {}",
            file.display(),
            out(&ran)
        );
    }
}

#[test]
fn without_a_way_to_places_its_cases_are_not_evaluated() {
    if !has_python() {
        return;
    }
    let server = folder().join("server.py");
    let command = format!(
        "python3 -B '{}' {{name}} --ports Riley={{port:Riley}},Jaquez={{port:Jaquez}} --links Riley-Jaquez",
        server.display()
    );
    let herds = tempfile::tempdir().expect("a folder");
    let pair = herds.path().join("pair.toml");
    let text = "name = \"pair\"\nservers = [\"Riley\", \"Jaquez\"]\nlinks = [\"Riley-Jaquez\"]\n";
    std::fs::write(&pair, text).expect("written");
    let pair = pair.to_str().expect("UTF-8");
    let only = [
        "--only",
        "whatsat",
        "--only",
        "flooding",
        "--only",
        "dead-server",
    ];
    let ran = herd(
        &[
            &["check", "--json", "--herd", pair, "--command", &command],
            &only[..],
        ]
        .concat(),
    );
    let [failed, not_evaluated] = verdicts(&ran);
    assert!(failed.is_empty(), "{failed:?}");
    assert_eq!(exit(&ran), 0);
    for rule in ["whatsat-json", "whatsat-radius-metres", "places-failing"] {
        assert!(not_evaluated.contains(rule), "{not_evaluated:?}");
    }
    // In a herd of two, nothing can go around a dead server.
    assert!(not_evaluated.contains("dead-server"), "{not_evaluated:?}");
    assert!(!not_evaluated.contains("flooding"), "{not_evaluated:?}");
}

/// The card of a Python server that has one rule, this scenario.
fn played(server: &str, scenario: &str) -> Value {
    let args = ["--only", "scenarios", "--scenarios", scenario];
    let ran = check(&folder().join(server), &args);
    let json: Value = serde_json::from_str(&out(&ran)).unwrap_or_else(|_| panic!("{}", err(&ran)));
    assert_eq!(exit(&ran) == 0, json["passed"] == true);
    assert_eq!(json["rules"].as_array().map(Vec::len), Some(1));
    json["rules"][0].clone()
}

#[test]
fn a_scenario_is_a_rule_that_a_server_can_pass_and_fail() {
    if !has_python() {
        return;
    }
    let juzang = "scenarios/juzang-goes-down.toml";
    let rule = played("server.py", juzang);
    assert_eq!(rule["verdict"], "passed", "{rule}");
    assert_eq!(rule["id"], "juzang-goes-down");
    assert_eq!(rule["group"], "scenarios");
    // The update goes to neighbours and no farther, so what it must have gone by is not all.
    let rule = played("variants/relays_nothing.py", juzang);
    assert_eq!(rule["verdict"], "failed", "{rule}");
    let wanted = "kiwi.cs.ucla.edu: reaches Campbell: yes";
    let said = rule["wanted"].as_str().expect("a text");
    assert!(said.contains(wanted), "{said}");
}

#[test]
fn a_scenario_that_processes_cannot_play_is_not_evaluated() {
    if !has_python() {
        return;
    }
    let rule = played("server.py", "scenarios/faults/skew.toml");
    assert_eq!(rule["verdict"], "not-evaluated", "{rule}");
    let reason = rule["reason"].as_str().expect("a text");
    assert!(
        reason.contains("servers have this machine's clock"),
        "{reason}"
    );
}

#[test]
fn a_scenario_of_another_herd_is_not_played_by_servers_with_ports_of_their_own() {
    let args = [
        "check",
        "--only",
        "scenarios",
        "--herd",
        "hill",
        "--command",
        "false {name}",
    ];
    let ran = herd(&[&args[..], &["--scenarios", "scenarios/one-update.toml"]].concat());
    let text = out(&ran);
    assert!(
        text.contains("its herd is not that of --herd"),
        "{text}{}",
        err(&ran)
    );
    assert_eq!(exit(&ran), 0);
}

//! Scenarios on real processes: `herd run --world live`.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::ran::{err, exit, herd, out};

/// The time limit for each event that these tests wait for.
const PATIENCE: Duration = Duration::from_secs(30);

/// Real processes slow each other down, so one scenario runs at a time.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Two clients, and nothing that goes wrong.
/// In between, the first update gets to all servers, however long their links take on a busy machine.
const TWO: &str = r#"
title = "t"
herd = "riley"
steps = [
  { at = "200ms", client = "kiwi", to = "Riley", send = "IAMAT kiwi +1+1 {now}", reply = "AT Riley * kiwi +1+1 {sent}" },
  { at = "3s", client = "plum", to = "Bernard", send = "IAMAT plum +2+2 {now}", reply = "AT Bernard * plum +2+2 {sent}" },
]
[[expect]]
update = "kiwi"
reaches = "all"
[[expect]]
update = "plum"
reaches = "all"
"#;

/// `herd serve` as somebody's server, which is known by what it tells clients alone.
fn somebodys(more: &str) -> String {
    let herd = env!("CARGO_BIN_EXE_herd");
    format!("'{herd}' serve {{name}} --herd {{herd}} {more}")
}

fn two(folder: &Path) -> String {
    let file = folder.join("two.toml");
    fs::write(&file, TWO).expect("it is written");
    file.display().to_string()
}

#[track_caller]
fn agree(scenario: &str) -> String {
    let _alone = alone();
    let run = [
        "run",
        "--world",
        "live",
        "--compare",
        "--speed",
        "2",
        scenario,
    ];
    let ran = herd(&run);
    let (text, told) = (out(&ran), err(&ran));
    assert_eq!(exit(&ran), 0, "{text}{told}");
    assert!(text.starts_with("SAME: "), "{text}");
    text
}

#[test]
fn a_flood_around_a_dead_server_goes_the_same_way_on_processes() {
    let text = agree("scenarios/juzang-goes-down.toml");
    assert!(text.contains("5 ways of updates"), "{text}");
}

#[test]
fn a_partition_and_its_end_have_the_same_results_on_processes() {
    agree("scenarios/faults/partition.toml");
}

#[test]
fn a_frozen_server_is_the_same_on_processes() {
    agree("scenarios/faults/freeze.toml");
}

#[test]
fn a_server_that_is_killed_and_restarted_is_the_same_on_processes() {
    agree("scenarios/faults/crash.toml");
}

#[test]
fn a_run_on_processes_is_reported_like_any_other() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    let trace = folder.path().join("trace.jsonl");
    let trace = trace.display().to_string();
    let run = [
        "run",
        "--world",
        "live",
        "--trace",
        &trace,
        "scenarios/one-update.toml",
    ];
    let ran = herd(&run);
    let text = out(&ran);
    assert_eq!(exit(&ran), 0, "{text}{}", err(&ran));
    for wanted in [
        "5 servers up, 6 links synchronised",
        "Jaquez       1         1",
        "PASSED: one-update",
        "not evaluated, since it can't be seen from outside: answers-as-of-their-line",
    ] {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
    let shown = herd(&["show", &trace]);
    assert_eq!(out(&shown), text);
}

#[test]
fn somebodys_server_is_judged_by_its_answers_alone() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    let (file, command) = (two(folder.path()), somebodys(""));
    let ran = herd(&["run", "--world", "live", "--command", &command, &file]);
    let text = out(&ran);
    assert_eq!(exit(&ran), 0, "{text}{}", err(&ran));
    for wanted in [
        "passed  kiwi: reaches Campbell: yes",
        "passed  invariants: answers-of-their-kind, told-as-sent, read-your-writes, monotonic-reads, convergent-reads",
        "nothing-invented; sends-bounded",
    ] {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
}

#[test]
fn a_server_that_is_otherwise_outside_of_the_simulator_is_found() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    // It takes one client, and refuses all others.
    let (file, command) = (two(folder.path()), somebodys("--clients 1"));
    let ran = herd(&[
        "run",
        "--world",
        "live",
        "--compare",
        "--command",
        &command,
        &file,
    ]);
    let text = out(&ran);
    assert_eq!(exit(&ran), 1, "{text}{}", err(&ran));
    for wanted in [
        "DIFFERENT: two",
        "plum at Bernard: answer to IAMAT plum +2+2",
        "simulated:  AT Bernard plum +2+2",
        "live:       ? IAMAT plum +2+2",
    ] {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
}

#[test]
fn scenarios_of_a_folder_are_counted_by_how_they_agree() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| {
        fs::write(folder.path().join(name), text).expect("it is written");
    };
    let command = somebodys("--clients 1");
    let of_one = TWO.lines().filter(|line| !line.contains("plum"));
    let of_one = of_one.collect::<Vec<_>>().join("\n");
    let of_one = of_one.replace("[[expect]]\nreaches = \"all\"", "");
    let reason = "live = \"one client is enough\"";
    write(
        "a.toml",
        &TWO.replace("herd =", &format!("{reason}\nherd =")),
    );
    write(
        "b.toml",
        &of_one.replace("herd =", &format!("{reason}\nherd =")),
    );
    write(
        "c.toml",
        &TWO.replace("plum\", to", "plum\", receive_buffer = 4, to"),
    );
    let folder = folder.path().display().to_string();
    let run = |file: &str| {
        let run = ["run", "--world", "live", "--compare", "--command", &command];
        let ran = herd(&[&run[..], &[file]].concat());
        (exit(&ran), out(&ran) + &err(&ran))
    };
    let (exit, text) = run(&folder);
    assert_eq!(exit, 0, "{text}");
    for wanted in [
        "EXPLAINED: a, ",
        "  one client is enough\n",
        "SAME: b ",
        "REFUSED: ",
        "1 same, 1 explained, 1 refused, 0 different, 0 failed\n",
        "agree, so the reason can go: b\n",
    ] {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
}

#[test]
fn what_processes_cannot_do_is_refused_with_its_place() {
    let ran = herd(&["run", "--world", "live", "scenarios/faults/skew.toml"]);
    assert_eq!(exit(&ran), 2);
    let told = err(&ran);
    let place = "scenarios/faults/skew.toml:10:3: `skew` is not possible: servers have this machine's clock";
    assert!(told.contains(place), "{told}");
    let ran = herd(&["run", "--speed", "2", "scenarios/one-update.toml"]);
    assert_eq!(exit(&ran), 2);
    assert!(err(&ran).contains("say `--world live`"), "{}", err(&ran));
}

#[test]
fn a_server_that_does_not_start_is_told_of_with_its_last_lines() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = two(folder.path());
    let command = "sh -c 'echo no luck at {port}; exit 3'";
    let ran = herd(&["run", "--world", "live", "--command", command, &file]);
    assert_eq!(exit(&ran), 1);
    let told = err(&ran);
    assert!(told.contains("exit status: 3"), "{told}");
    assert!(told.contains("no luck at "), "{told}");
}

/// The processes of this machine whose command line has this text in it.
#[cfg(target_os = "linux")]
fn processes_with(text: &str) -> usize {
    let all = fs::read_dir("/proc").expect("it is there");
    let lines = all.filter_map(|entry| fs::read(entry.ok()?.path().join("cmdline")).ok());
    let lines = lines.map(|line| String::from_utf8_lossy(&line).into_owned());
    lines.filter(|line| line.contains(text)).count()
}

#[cfg(target_os = "linux")]
async fn until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        sleep(Duration::from_millis(20)).await;
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_killed_harness_leaves_no_process_behind() {
    let folder = tempfile::tempdir().expect("a folder");
    let logs = folder.path().join("logs");
    let file = folder.path().join("long.toml");
    let long = TWO.replace("\"400ms\"", "\"60s\"");
    fs::write(&file, long).expect("it is written");
    let mut harness = Command::new(env!("CARGO_BIN_EXE_herd"));
    let mut harness = harness
        .args(["run", "--world", "live", "--logs"])
        .arg(&logs)
        .arg(&file)
        .stdout(Stdio::null())
        .spawn()
        .expect("it starts");
    let herd_files = logs.join("herd-of-").display().to_string();
    // Each server and its guard.
    until("five servers run", || processes_with(&herd_files) >= 10).await;
    harness.kill().expect("it runs");
    harness.wait().expect("it ended");
    until("all servers end", || processes_with(&herd_files) == 0).await;
}

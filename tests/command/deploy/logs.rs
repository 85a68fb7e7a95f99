//! Logs with a failing destination: a full disk, a pipe without a reader, a removed file.

use std::fs::{self, OpenOptions};

use super::herd::{Files, Process, eventually, exchange, herd_command};
use crate::ran::err;

/// Waits until this file in the folder contains these words.
async fn written(files: &Files, file: &str, words: &str) {
    eventually(&format!("{words} in {file}"), async || {
        let text = fs::read_to_string(files.path(file)).ok()?;
        text.contains(words).then_some(())
    })
    .await;
}

/// Makes a server log this number of lines in, and as many out.
async fn talk(files: &Files, lines: usize) {
    let text = "a line of some length\n".repeat(lines - 1) + &"x".repeat(5000);
    // The last line is too long, so the server closes after it, and all lines are answered by then.
    let answer = exchange(&files.address("Riley"), text.as_bytes()).await;
    assert_eq!(answer.lines().count(), lines, "{answer:.200}");
}

/// Makes a server log a line.
async fn say(files: &Files, line: &str) {
    files.ask("Riley", line).await.expect("an answer");
}

const DROPPED: &str = "herd_log_lines_dropped_total{log=\"file\"}";

const ADMIN: &str = "--admin=127.0.0.1:0";

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_full_disk_is_told_once_and_counted() {
    let files = Files::new().await;
    let logs = files.path("logs");
    fs::create_dir(&logs).unwrap();
    std::os::unix::fs::symlink("/dev/full", files.path("logs/log-Riley.txt")).unwrap();
    let mut riley = files.serve("Riley", &["--log-dir", &logs, "--log-size=4096", ADMIN]);
    let admin = riley.admin().await;
    riley.logs("log-Riley.txt can't be written").await;
    for _ in 0..3 {
        talk(&files, 500).await;
    }
    admin.reaches(DROPPED, 3000.0).await;
    assert_eq!(riley.stopped_by("TERM").await, Some(0), "{}", riley.said());
    let said = riley.logged();
    let told = said.lines().filter(|line| line.contains("log-Riley.txt"));
    let told: Vec<&str> = told.collect();
    assert_eq!(told.len(), 1, "{said}");
    let words = "its lines are dropped and counted until it can: No space left on device";
    assert!(told[0].contains(words), "{said}");
    // A device is never rotated.
    let link = fs::read_link(files.path("logs/log-Riley.txt")).unwrap();
    assert_eq!(link, std::path::Path::new("/dev/full"));
}

#[tokio::test]
async fn a_limit_of_file_sizes_is_a_full_disk_and_ends_nobody() {
    let files = Files::new().await;
    let (herd, logs) = (files.herd(), files.path("logs"));
    let args = ["serve", "Riley", "--herd", &herd, "--log-dir", &logs, ADMIN];
    let mut riley = Process::limited("-f 8", &args);
    let admin = riley.admin().await;
    talk(&files, 2000).await;
    riley.logs("log-Riley.txt can't be written").await;
    admin.reaches(DROPPED, 3000.0).await;
    talk(&files, 10).await;
    assert_eq!(riley.stopped_by("TERM").await, Some(0), "{}", riley.said());
    let said = riley.logged();
    assert_eq!(said.matches("can't be written").count(), 1, "{said}");
}

/// Creates a pipe with the name of `log-Riley.txt`.
fn pipe(files: &Files) -> String {
    fs::create_dir(files.path("logs")).expect("a folder");
    let path = files.path("logs/log-Riley.txt");
    let made = std::process::Command::new("mkfifo").arg(&path).status();
    assert!(made.expect("mkfifo").success());
    path
}

#[tokio::test]
async fn a_pipe_that_nobody_reads_keeps_no_server_from_serving_or_stopping() {
    let files = Files::new().await;
    let (path, logs) = (pipe(&files), files.path("logs"));
    let mut riley = files.serve("Riley", &["--log-dir", &logs]);
    riley.logs("is not open yet").await;
    talk(&files, 10).await;
    assert_eq!(riley.stopped_by("TERM").await, Some(0), "{}", riley.said());
    riley.logs("does not take what still waits for it").await;
    // The reader of this pipe is stuck, and the pipe holds some 64 kB.
    let stuck = OpenOptions::new().read(true).write(true).open(&path);
    let stuck = stuck.expect("a pipe that is open");
    let mut riley = files.serve("Riley", &["--log-dir", &logs]);
    riley.logs("listens at").await;
    talk(&files, 5000).await;
    assert_eq!(riley.stopped_by("TERM").await, Some(0), "{}", riley.said());
    riley.logs("does not take what still waits for it").await;
    assert!(!riley.logged().contains("is not open yet"));
    drop(stuck);
}

#[tokio::test]
async fn standard_error_that_nobody_reads_keeps_no_herd_from_stopping() {
    let files = Files::new().await;
    let (herd, logs) = (files.herd(), files.path("logs"));
    let fifo = files.path("stderr");
    let made = std::process::Command::new("mkfifo").arg(&fifo).status();
    assert!(made.expect("mkfifo").success());
    let stuck = OpenOptions::new().read(true).write(true).open(&fifo);
    let stuck = stuck.expect("a pipe that is open");
    let script = format!("-n 4096; exec 2> '{fifo}'");
    let up = [
        "up",
        "--herd",
        &herd,
        "--log-dir",
        &logs,
        "--log-level=trace",
    ];
    let mut up = Process::limited(&script, &up);
    up.says("all links are synchronised").await;
    talk(&files, 2000).await;
    assert_eq!(up.stopped_by("TERM").await, Some(0), "{}", up.said());
    drop(stuck);
    files.gone().await;
}

#[tokio::test]
async fn a_log_file_that_was_moved_away_is_opened_anew_on_sighup() {
    let files = Files::new().await;
    let logs = files.path("logs");
    let settings = files.path("settings.toml");
    fs::write(&settings, "").unwrap();
    let args = ["--log-dir", &logs, "--config", &settings];
    let mut riley = files.serve("Riley", &args);
    riley.logs("listens at").await;
    talk(&files, 1).await;
    written(&files, "logs/log-Riley.txt", "output to").await;
    let moved = files.path("logs/moved");
    fs::rename(files.path("logs/log-Riley.txt"), &moved).unwrap();
    say(&files, "still in the old one").await;
    written(&files, "logs/moved", "still in the old one").await;
    // A mistake in the settings does not keep the log from being reopened.
    fs::write(&settings, "nonsense = 1\n").unwrap();
    riley.signal("HUP").await;
    riley.logs("log-Riley.txt is opened anew").await;
    riley.logs("reloads nothing").await;
    say(&files, "in the new one").await;
    written(&files, "logs/log-Riley.txt", "in the new one").await;
    let old = fs::read_to_string(&moved).unwrap();
    assert!(!old.contains("in the new one"), "{old}");
    // The folder is removed with the file, and both are created again.
    fs::remove_dir_all(&logs).unwrap();
    eventually("a new log", async || {
        say(&files, "begun anew").await;
        fs::read_to_string(files.path("logs/log-Riley.txt")).ok()
    })
    .await;
    riley
        .logs("log-Riley.txt was removed, and is begun anew")
        .await;
}

/// Checks that each line of a log is an object with the fields of the log's own lines.
fn assert_json(log: &str) -> Vec<serde_json::Value> {
    assert!(!log.is_empty());
    let line = |line: &str| {
        let object: serde_json::Value =
            serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}\nof\n{log}"));
        let is_whole = object["level"].is_string()
            && object["timestamp"].is_string()
            && object["fields"]["message"].is_string();
        assert!(is_whole, "{line}");
        object
    };
    log.lines().map(line).collect()
}

#[tokio::test]
async fn a_log_in_json_is_json_in_every_line_however_a_server_begins() {
    let files = Files::new().await;
    let (herd, file) = (files.herd(), files.path("settings.toml"));
    let bad_file = files.path("bad.toml");
    fs::write(&file, "log_format = \"json\"\n").unwrap();
    fs::write(
        &bad_file,
        "log_format = \"json\"\nidle = 3\nadiut = \"1s\"\n",
    )
    .unwrap();
    fs::write(files.path("in-the-way"), "").unwrap();
    let in_the_way = files.path("in-the-way");
    let json = "--log-format=json";
    for (args, words) in [
        (&[json, "--no-such-flag"][..], "--no-such-flag"),
        (&[json, "--idle", "often"], "often"),
        (&["--config", &bad_file], "adiut"),
        (
            &["--config", &file, "--peer-key=x"],
            "no `peer-authorities`",
        ),
        (&[json, "--log-dir", &in_the_way], "can't open the log"),
        (
            &[json, "--admin=192.0.2.1:1"],
            "can't listen on 192.0.2.1:1",
        ),
    ] {
        let args = [&["serve", "Riley", "--herd", &herd], args].concat();
        let failed = herd_command(&args).await;
        assert!(!failed.status.success());
        let log = err(&failed);
        assert_json(&log);
        assert!(log.contains(words), "{words}:\n{log}");
    }
    let failed = herd_command(&["serve", "Rily", "--herd", &herd, json]).await;
    let lines = assert_json(&err(&failed));
    assert_eq!(lines[0]["fields"]["server"], "Rily");
    assert_eq!(lines[0]["fields"]["help"], "did you mean `Riley`?");
}

#[tokio::test]
async fn a_log_in_json_is_json_while_a_herd_runs_too() {
    let files = Files::new().await;
    let (herd, logs) = (files.herd(), files.path("logs"));
    let args = [
        "up",
        "--herd",
        &herd,
        "--log-dir",
        &logs,
        "--log-format=json",
    ];
    let environment = [("HERD_ADUIT", "1s"), ("HERD_LOG_LEVEL", "info")];
    let mut up = Process::start(&args, &environment);
    up.says("all links are synchronised").await;
    assert_eq!(up.stopped_by("TERM").await, Some(0), "{}", up.said());
    let lines = assert_json(&up.logged());
    for (field, words) in [("message", "`HERD_ADUIT`"), ("server", "Campbell")] {
        let is_there = |line: &serde_json::Value| {
            let text = line["fields"][field].as_str();
            text.is_some_and(|text| text.contains(words))
        };
        assert!(lines.iter().any(is_there), "{words}");
    }
    // This server also reloads.
    let environment = [("HERD_ADUIT", "1s"), ("HERD_LOG_FORMAT", "json")];
    let mut riley = Process::start(&["serve", "Riley", "--herd", &herd], &environment);
    riley.logs("listens at").await;
    riley.signal("HUP").await;
    riley.logs("settings are reloaded").await;
    assert_json(&riley.logged());
    assert_eq!(riley.logged().matches("`HERD_ADUIT`").count(), 2);
}

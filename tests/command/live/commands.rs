//! Commands that are wrong, servers that do not start, and checks that end early.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::time::{Instant, sleep};

use crate::ran::{err, exit, herd};

/// The time limit for each event that these tests wait for.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs a check that must find its input bad.
fn refused(args: &[&str], says: &[&str]) {
    let ran = herd(&[&["check"], args].concat());
    let text = err(&ran);
    assert_eq!(exit(&ran), 2, "{text}");
    for said in says {
        assert!(text.contains(said), "{said} is not in:\n{text}");
    }
}

#[test]
fn a_bad_command_is_told_with_its_place() {
    refused(
        &["--command", "python3 server.py {nmae}"],
        &[
            "column 19",
            "`{nmae}` is no placeholder",
            "did you mean `name`?",
        ],
    );
    refused(
        &["--command", "server {port:Rilley}"],
        &["column 14", "did you mean `Riley`?"],
    );
    refused(&["--command", "server 'x"], &["close it"]);
    refused(
        &["--command", "x", "--attach", "Riley=a:1"],
        &["cannot be used with"],
    );
    refused(&["--attach", "Riley"], &["NAME=HOST:PORT"]);
    refused(
        &["--only", "at-feilds"],
        &["no rule and no group", "--list"],
    );
    refused(&["--only", "streams", "--skip", "*"], &["leave no rule"]);
    refused(&["--patience", "0s"], &["longer than nothing"]);
    refused(&["--html", "/no/such/folder/card.html"], &["can't write"]);
}

#[test]
fn a_server_that_does_not_start_is_told_with_its_last_lines() {
    refused(
        &[
            "--command",
            "sh -c 'echo no such course >&2; exit 4' {port}",
        ],
        &["ended (exit status: 4)", "\n  no such course"],
    );
    refused(
        &["--command", "sleep 1000 {port}", "--start-limit", "200ms"],
        &["does not listen", "{port}"],
    );
    refused(
        &["--command", "/no/such/server {port}"],
        &["No such file", "first word"],
    );
}

#[test]
fn ports_that_are_fixed_must_be_free_and_attached_servers_there() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("pair.toml");
    let text = format!(
        "name = \"pair\"\nservers = [{{ name = \"Ann\", port = {port} }}, \"Bob\"]\nlinks = [\"Ann-Bob\"]\n"
    );
    std::fs::write(&file, text).expect("written");
    let file = file.to_str().expect("UTF-8");
    let says = format!("something listens at port {port} already, which is that of Ann");
    refused(&["--herd", file, "--command", "server {name}"], &[&says]);
    drop(listener);
    let attach = format!("Ann=127.0.0.1:{port}");
    refused(
        &["--herd", file, "--attach", &attach],
        &["nothing listens at port", "Ann"],
    );
}

/// The processes whose command line has this text.
fn with_text(text: &str) -> Vec<i32> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").expect("Linux") {
        let path = entry.expect("readable").path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str()?.parse().ok());
        let line = std::fs::read(path.join("cmdline")).unwrap_or_default();
        if let Some(pid) = name
            && String::from_utf8_lossy(&line).contains(text)
        {
            found.push(pid);
        }
    }
    found
}

async fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < PATIENCE, "waited too long until {what}");
        sleep(Duration::from_millis(10)).await;
    }
}

/// A check whose servers run and never listen.
fn endless(folder: &Path, token: &str) -> Child {
    let script = "sleep 1000 & while :; do sleep 1; done";
    Command::new(env!("CARGO_BIN_EXE_herd"))
        .args(["check", "--start-limit", "10m", "--command"])
        .arg(format!("sh -c '{script}' {token} {{port}}"))
        .env("TMPDIR", folder)
        .stderr(Stdio::null())
        .spawn()
        .expect("it runs")
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_check_that_ends_early_leaves_nothing_behind() {
    for signal in [Signal::KILL, Signal::INT, Signal::TERM] {
        let folder = tempfile::tempdir().expect("a folder");
        let token = format!("check-of-{}-{}", std::process::id(), signal.as_raw());
        let mut check = endless(folder.path(), &token);
        // The check, five guards and five servers; subshells come and go.
        wait_for("all servers run", || with_text(&token).len() >= 11).await;
        let pid = Pid::from_child(&check);
        kill_process(pid, signal).expect("it runs");
        let status = check.wait().expect("it ends");
        wait_for("all servers have ended", || with_text(&token).is_empty()).await;
        if signal != Signal::KILL {
            assert_eq!(status.code(), Some(1));
            let left = std::fs::read_dir(folder.path()).expect("readable").count();
            assert_eq!(left, 0, "{signal:?} leaves files");
        }
    }
}

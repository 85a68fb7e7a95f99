//! One server behind its guard: signals, its output, and that nothing of it is left.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use proxy_herd::live::process::{Launch, Process, ProcessError, free_ports};
use rustix::process::{Pid, test_kill_process_group};
use tokio::time::{Instant, sleep};

/// The time limit for each event that these tests wait for.
const PATIENCE: Duration = Duration::from_secs(30);

fn herd() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_herd"))
}

/// A shell that runs this, and a folder for its log.
fn shell(folder: &Path, script: &str) -> Launch {
    Launch {
        name: "Ann".to_owned(),
        words: ["sh", "-c", script].map(str::to_owned).to_vec(),
        environment: vec![("GREETING".to_owned(), "hello".to_owned())],
        folder: None,
        log: folder.join("Ann.txt"),
    }
}

/// Waits until no process of the group is left.
async fn is_gone(group: i32) -> bool {
    let deadline = Instant::now() + PATIENCE;
    let group = Pid::from_raw(group).expect("a process id");
    while test_kill_process_group(group).is_ok() {
        if Instant::now() > deadline {
            return false;
        }
        sleep(Duration::from_millis(10)).await;
    }
    true
}

/// Waits until the file says this.
async fn says(log: &Path, wanted: &str) -> bool {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if std::fs::read_to_string(log).is_ok_and(|text| text.contains(wanted)) {
            return true;
        }
        sleep(Duration::from_millis(10)).await;
    }
    false
}

#[tokio::test]
async fn a_server_that_ends_is_told_of_with_its_last_lines() {
    let folder = tempfile::tempdir().expect("a folder");
    let launch = shell(folder.path(), "echo $GREETING; echo oops >&2; exit 7");
    let mut process = Process::start(herd(), &launch).await.expect("it starts");
    let port = free_ports(1).expect("a port")[0];
    let error = process.listens(port, PATIENCE).await.expect_err("it ended");
    assert!(matches!(error, ProcessError::Ended { .. }), "{error}");
    let text = error.to_string();
    assert!(
        text.contains("exit status: 7") && text.ends_with("\n  hello\n  oops"),
        "{text}"
    );
}

#[tokio::test]
async fn a_program_that_is_not_there_is_told_of() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut launch = shell(folder.path(), "");
    launch.words = vec!["/no/such/program".to_owned()];
    let error = Process::start(herd(), &launch).await.expect_err("none");
    let text = error.to_string();
    assert!(
        text.contains("No such file") && text.contains("/no/such/program"),
        "{text}"
    );
}

#[tokio::test]
async fn signals_reach_the_whole_group() {
    let folder = tempfile::tempdir().expect("a folder");
    let script = "trap 'echo told; exit 3' TERM; echo up; while :; do sleep 0.01; done";
    let launch = shell(folder.path(), script);
    let mut process = Process::start(herd(), &launch).await.expect("it starts");
    assert!(says(&launch.log, "up").await);
    process.freeze().expect("it can be frozen");
    process.stop().expect("it can be told");
    let early = process
        .wait(Duration::from_millis(300))
        .await
        .expect("followed");
    assert_eq!(early, None, "a frozen process handles no signal");
    process.thaw().expect("it goes on");
    let ended = process.wait(PATIENCE).await.expect("followed");
    assert_eq!(ended.and_then(|status| status.code()), Some(3));
    assert!(says(&launch.log, "told").await);

    let launch = shell(folder.path(), "sleep 1000 & sleep 1000");
    let mut process = Process::start(herd(), &launch).await.expect("it starts");
    assert!(process.runs());
    process.kill().await.expect("it is killed");
    let status = process.status().expect("followed").expect("it has ended");
    assert_eq!(status.code(), Some(128 + 9));
    assert!(is_gone(process.id()).await);
}

#[tokio::test]
async fn a_dropped_server_is_gone() {
    let folder = tempfile::tempdir().expect("a folder");
    let launch = shell(folder.path(), "sleep 1000 & sleep 1000");
    let process = Process::start(herd(), &launch).await.expect("it starts");
    let group = process.id();
    drop(process);
    assert!(is_gone(group).await);
}

/// A harness as a process of its own: this test program again, which only runs this test.
struct Harness {
    process: Child,
    groups: Vec<i32>,
}

const IN_HARNESS: &str = "HERD_TEST_IS_A_HARNESS";

impl Harness {
    fn start(folder: &Path) -> Self {
        let (_, module) = module_path!().split_once("::").expect("in a crate");
        let name = format!("{module}::a_killed_harness_leaves_nothing_behind");
        let mut process = Command::new(std::env::current_exe().expect("this one"))
            .args(["--exact", "--nocapture", &name])
            .env(IN_HARNESS, folder)
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let output = BufReader::new(process.stdout.take().expect("piped"));
        let groups = output.lines().find_map(|line| {
            let line = line.expect("UTF-8");
            let groups = line.split_once("groups:")?.1.split_whitespace();
            Some(groups.map(|group| group.parse().expect("an id")).collect())
        });
        let groups = groups.expect("it says its groups");
        Self { process, groups }
    }
}

/// What the harness does: it starts two servers, one of them frozen, and waits.
async fn be_a_harness(folder: PathBuf) {
    let launch = shell(&folder, "sleep 1000 & sleep 1000");
    let one = Process::start(herd(), &launch).await.expect("it starts");
    let mut other = Process::start(herd(), &launch).await.expect("it starts");
    other.freeze().expect("it can be frozen");
    println!("\ngroups: {} {}", one.id(), other.id());
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn a_killed_harness_leaves_nothing_behind() {
    if let Some(folder) = std::env::var_os(IN_HARNESS) {
        return be_a_harness(folder.into()).await;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let mut harness = Harness::start(folder.path());
    assert_eq!(harness.groups.len(), 2);
    for group in &harness.groups {
        let group = Pid::from_raw(*group).expect("a process id");
        test_kill_process_group(group).expect("it runs");
    }
    harness.process.kill().expect("it can be killed");
    harness.process.wait().expect("it has ended");
    for group in &harness.groups {
        assert!(is_gone(*group).await, "{group} is left");
    }
}

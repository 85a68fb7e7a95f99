//! Records on disk: folders of real servers that are killed, damaged, full, or somebody else's.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rand::rngs::ChaCha8Rng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::deploy::herd::{Files, Process, SERVERS, eventually, herd_command, program, within};
use crate::ran::{err, out};

const QUICK: [&str; 4] = [
    "--redial-least=20ms",
    "--redial-most=100ms",
    "--heartbeat=300ms",
    "--admin=127.0.0.1:0",
];

/// How often a test repeats itself: as often as this variable says.
fn rounds(variable: &str, usual: usize) -> usize {
    std::env::var(variable).map_or(usual, |rounds| rounds.parse().expect("a number"))
}

/// The folder of a server.
fn folder(files: &Files, server: &str) -> String {
    files.path(&format!("data/{server}"))
}

/// Starts a server with a folder of its own.
fn serve(files: &Files, server: &str, more: &[&str]) -> Process {
    serve_in(&folder(files, server), files, server, more)
}

/// Starts a server with this folder.
fn serve_in(folder: &str, files: &Files, server: &str, more: &[&str]) -> Process {
    let folder = format!("--data-dir={folder}");
    files.serve(server, &[&QUICK[..], &[&*folder], more].concat())
}

/// A connection with a server.
struct Talk(BufReader<TcpStream>);

impl Talk {
    async fn with(files: &Files, server: &str) -> Self {
        let at = files.address(server);
        let connected = eventually("a server that listens", async || {
            TcpStream::connect(&at).await.ok()
        });
        Self(BufReader::new(connected.await))
    }

    async fn send(&mut self, lines: &[String]) -> Option<()> {
        let text = lines.join("\n") + "\n";
        self.0.write_all(text.as_bytes()).await.ok()
    }

    /// The first line of an answer. The body from Places follows it, up to an empty line.
    async fn answer(&mut self, has_body: bool) -> Option<String> {
        let reading = async {
            let mut answer = String::new();
            self.0.read_line(&mut answer).await.ok()?;
            let answer = answer.strip_suffix('\n')?.to_owned();
            if has_body && answer.starts_with("AT ") {
                let mut rest = String::new();
                while self.0.read_line(&mut rest).await.ok()? > 1 {}
            }
            Some(answer)
        };
        timeout(Duration::from_secs(20), reading).await.ok()?
    }

    /// The answers to some IAMATs.
    async fn tell(&mut self, lines: &[String]) -> Option<Vec<String>> {
        self.send(lines).await?;
        let mut answers = Vec::new();
        for _ in lines {
            answers.push(self.answer(false).await?);
        }
        Some(answers)
    }

    /// What the server says of these clients.
    async fn held(&mut self, clients: &[String]) -> Option<Vec<String>> {
        let mut answers = Vec::new();
        for some in clients.chunks(64) {
            let lines = some.iter().map(|client| format!("WHATSAT {client} 1 0"));
            self.send(&lines.collect::<Vec<_>>()).await?;
            for _ in some {
                answers.push(self.answer(true).await?);
            }
        }
        Some(answers)
    }
}

/// The time of the record in an answer.
fn time_of(answer: &str) -> Option<u64> {
    let record = answer.strip_prefix("AT ")?;
    record.rsplit(' ').next()?.parse().ok()
}

async fn verify(folder: &str) -> (Option<i32>, String) {
    let ran = herd_command(&["data", "verify", folder]).await;
    (ran.status.code(), out(&ran) + &err(&ran))
}

/// The lines of all newest records in a folder.
async fn dump(folder: &str) -> Vec<String> {
    let ran = herd_command(&["data", "dump", folder]).await;
    out(&ran).lines().map(str::to_owned).collect()
}

/// All files of a folder that a server reads, each with its content.
fn contents(folder: &str) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let paths = entries.map(|entry| entry.expect("readable").path());
    let is_read = |path: &PathBuf| {
        let name = path.file_name().expect("a name").to_string_lossy();
        let is_whole = path.extension().is_none();
        is_whole && (name.starts_with("log-") || name.starts_with("snapshot-"))
    };
    let files = paths.filter(is_read);
    files
        .map(|path| (path.clone(), std::fs::read(path).expect("a file")))
        .collect()
}

fn iamat(client: &str, time: u64) -> String {
    format!("IAMAT {client} +34.068930-118.445127 {time}")
}

#[tokio::test]
async fn a_server_that_is_killed_comes_back_with_all_that_it_answered() {
    let files = Files::new().await;
    files.link(&["Riley-Jaquez"]);
    let answered = ["--durability=answered"];
    let mut riley = serve(&files, "Riley", &answered);
    let lines: Vec<String> = (0..500).map(|n| iamat(&format!("c{n:03}"), 1)).collect();
    let mut talk = Talk::with(&files, "Riley").await;
    let told = talk.tell(&lines).await.expect("answers");
    assert!(told.iter().all(|answer| answer.starts_with("AT Riley ")));
    let folder = folder(&files, "Riley");
    // While it runs.
    let (code, text) = verify(&folder).await;
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("Riley of the herd test, "), "{text}");
    assert_eq!(riley.stopped_by("KILL").await, None);
    let dumped = dump(&folder).await;
    let sent = told.iter().map(|answer| format!("{answer} 1"));
    assert_eq!(dumped, sent.collect::<Vec<_>>());

    let mut riley = serve(&files, "Riley", &answered);
    riley.logs("500 records").await;
    let clients: Vec<String> = (0..500).map(|n| format!("c{n:03}")).collect();
    let held = Talk::with(&files, "Riley").await.held(&clients).await;
    assert_eq!(held.expect("answers"), told);
    let admin = riley.admin().await;
    for (sample, value) in [
        ("herd_disk_failing", 0.0),
        ("herd_disk_unsaved_records", 0.0),
        ("herd_disk_damaged_places", 0.0),
        ("herd_came_up_empty", 0.0),
    ] {
        assert_eq!(admin.metric(sample).await, Some(value), "{sample}");
    }
    assert!(admin.metric("herd_disk_bytes").await > Some(20_000.0));
    let (_, status) = admin.get("/status").await;
    assert!(status.contains("\"durability\":\"answered\""), "{status}");
    assert_eq!(riley.stopped_by("TERM").await, Some(0), "{}", riley.said());
}

#[tokio::test]
async fn a_stop_leaves_nothing_unsaved_in_the_background() {
    let files = Files::new().await;
    files.link(&["Riley-Jaquez"]);
    let mut riley = serve(&files, "Riley", &["--sync-every=1h"]);
    let mut talk = Talk::with(&files, "Riley").await;
    let told = talk.tell(&[iamat("kiwi", 1)]).await.expect("an answer");
    assert!(told[0].starts_with("AT "), "{told:?}");
    let admin = riley.admin().await;
    admin.reaches("herd_disk_unsaved_records", 1.0).await;
    assert_eq!(riley.stopped_by("TERM").await, Some(0), "{}", riley.said());
    let dumped = dump(&folder(&files, "Riley")).await;
    assert!(dumped[0].contains(" kiwi "), "{dumped:?}");
}

/// What was answered, by server and client.
type Answered = BTreeMap<(usize, String), u64>;

/// Sends updates of a server's own clients until it dies, and returns those that were answered.
async fn updates(mut talk: Talk, server: usize, who: usize, mut time: u64) -> Answered {
    let mut answered = Answered::new();
    let clients: Vec<String> = (0..32).map(|n| format!("{server}-{who}-{n}")).collect();
    loop {
        time += 1;
        let lines: Vec<String> = clients.iter().map(|client| iamat(client, time)).collect();
        if talk.send(&lines).await.is_none() {
            return answered;
        }
        for client in &clients {
            match talk.answer(false).await {
                Some(answer) if answer.starts_with("AT ") => {
                    answered.insert((server, client.clone()), time);
                }
                Some(answer) => panic!("{answer}"),
                None => return answered,
            }
        }
    }
}

/// What a failure of power does beyond ending processes, as a command of a shell: the file system
/// loses what is not synced (CONTRIBUTING.md).
async fn lose_unsynced() {
    if let Ok(command) = std::env::var("HERD_AFTER_KILL") {
        let status = Command::new("sh").args(["-c", &command]).status().await;
        assert!(status.expect("a shell").success(), "{command}");
    }
}

/// Ends all of them at once.
async fn kill_all(herd: &mut [Process]) {
    let pids: Vec<String> = herd.iter().map(|server| server.pid().to_string()).collect();
    let kill = format!("kill -KILL {}", pids.join(" "));
    let killed = Command::new("sh").args(["-c", &kill]).status().await;
    assert!(killed.expect("a shell").success());
    for server in herd {
        assert_eq!(server.ended().await, None, "{}", server.said());
    }
}

#[tokio::test]
async fn all_killed_at_once_again_and_again_lose_nothing_that_was_answered() {
    let rounds = rounds("HERD_POWER_CUTS", 10);
    let files = Files::new().await;
    let mut random = ChaCha8Rng::seed_from_u64(19);
    let mut newest = Answered::new();
    let mut count = 0;
    // Snapshots, too, are cut off.
    let settings = ["--durability=answered", "--snapshot-after=65536"];
    // The folders can be on a file system that loses what is not synced (CONTRIBUTING.md).
    let place = std::env::var("HERD_DATA_IN").ok();
    let place = place.map(|place| format!("{place}/{}", std::process::id()));
    let start = |name| match &place {
        Some(place) => serve_in(&format!("{place}/{name}"), &files, name, &settings),
        None => serve(&files, name, &settings),
    };
    let mut herd = SERVERS.map(start);
    for round in 1..=rounds {
        let mut loads = JoinSet::new();
        for (index, server) in SERVERS.iter().enumerate() {
            for who in 0..2 {
                let talk = Talk::with(&files, server).await;
                loads.spawn(updates(talk, index, who, round as u64 * 1_000_000));
            }
        }
        sleep(Duration::from_millis(random.random_range(20..400))).await;
        kill_all(&mut herd).await;
        lose_unsynced().await;
        for answered in within("the load's end", loads.join_all()).await {
            count += answered.len();
            newest.extend(answered);
        }
        herd = SERVERS.map(start);
        for (index, server) in SERVERS.iter().enumerate() {
            let own = newest.iter().filter(|((origin, _), _)| *origin == index);
            let (clients, times): (Vec<String>, Vec<u64>) = own
                .map(|((_, client), time)| (client.clone(), *time))
                .unzip();
            let held = Talk::with(&files, server).await.held(&clients).await;
            for ((client, time), held) in clients.iter().zip(times).zip(held.expect("answers")) {
                assert!(
                    time_of(&held) >= Some(time),
                    "round {round}: {server} answered {client} at {time}, and says {held}"
                );
            }
        }
    }
    let clients: Vec<String> = newest.keys().map(|(_, client)| client.clone()).collect();
    let agreed = eventually("a herd that agrees", async || {
        let mut all = Vec::new();
        for server in SERVERS {
            all.push(Talk::with(&files, server).await.held(&clients).await?);
        }
        let first = all.pop()?;
        all.iter().all(|other| *other == first).then_some(first)
    });
    for (((_, client), time), held) in newest.iter().zip(agreed.await) {
        assert!(
            time_of(&held) >= Some(*time),
            "{client} at {time}, not {held}"
        );
    }
    assert!(count > rounds * 64, "only {count} were answered");
    println!("{rounds} times all were killed; {count} times a client's last answer was looked for");
}

#[tokio::test]
async fn a_folder_is_one_servers() {
    let files = Files::new().await;
    files.link(&["Riley-Jaquez"]);
    let answered = ["--durability=answered"];
    let mut riley = serve(&files, "Riley", &answered);
    let mut talk = Talk::with(&files, "Riley").await;
    let told = talk.tell(&[iamat("kiwi", 1)]).await.expect("an answer");
    assert!(told[0].starts_with("AT "), "{told:?}");
    let own = folder(&files, "Riley");
    let before = contents(&own);
    let dir = format!("--data-dir={own}");
    // The second one is refused while the first has the folder, and then because it is another's.
    for words in ["another server uses the folder", "holds records of Riley"] {
        let mut other = files.serve("Jaquez", &[&*dir]);
        assert_eq!(other.ended().await, Some(2), "{}", other.said());
        let said = other.said();
        assert!(said.contains(words) && said.contains(&own), "{said}");
        assert!(said.contains("help: give each server a folder"), "{said}");
        assert_eq!(contents(&own), before);
        if words.starts_with("another") {
            assert_eq!(riley.stopped_by("KILL").await, None);
        }
    }
    // A later build's files are left alone, too.
    let log = Path::new(&own).join("log-00000009");
    std::fs::write(&log, later()).expect("written");
    let before = contents(&own);
    let mut riley = serve(&files, "Riley", &answered);
    assert_eq!(riley.ended().await, Some(2), "{}", riley.said());
    assert!(riley.said().contains("has version 9 "), "{}", riley.said());
    assert_eq!(contents(&own), before);
    let (code, text) = verify(&own).await;
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("a server does not start: "), "{text}");
}

/// The first line of a file in a later format.
fn later() -> String {
    let text = "herd-data 9 test Riley";
    format!("{:08x} {text}\n", checksum(text.as_bytes()))
}

/// CRC-32C, a bit at a time.
fn checksum(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg());
    let add = |crc: u32, byte: &u8| (0..8).fold(crc ^ u32::from(*byte), step);
    !bytes.iter().fold(!0, add)
}

#[tokio::test]
async fn a_flipped_bit_is_told_of_served_to_nobody_and_repaired_by_neighbours() {
    let files = Files::new().await;
    files.link(&["Riley-Jaquez"]);
    let answered = ["--durability=answered"];
    let mut herd = ["Riley", "Jaquez"].map(|name| serve(&files, name, &answered));
    herd[0].logs("all links are synchronised").await;
    let clients: Vec<String> = (0..100).map(|n| format!("c{n:03}")).collect();
    let lines: Vec<String> = clients.iter().map(|client| iamat(client, 1)).collect();
    let mut talk = Talk::with(&files, "Riley").await;
    let told = talk.tell(&lines).await.expect("answers");
    let held = async |server: &str| Talk::with(&files, server).await.held(&clients).await;
    eventually("Jaquez knows all", async || {
        (held("Jaquez").await? == told).then_some(())
    })
    .await;
    kill_all(&mut herd).await;
    let own = folder(&files, "Riley");
    let (path, mut content) = contents(&own).pop_first().expect("a log");
    let text = String::from_utf8_lossy(&content);
    let at = text.find(" c050 ").expect("it was saved") + 10;
    // One digit of its latitude becomes another.
    content[at] ^= 4;
    std::fs::write(path, content).expect("written");
    let (code, text) = verify(&own).await;
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("perhaps of a record of c050"), "{text}");

    let mut strict = serve(&files, "Riley", &["--strict-data"]);
    assert_eq!(strict.ended().await, Some(2), "{}", strict.said());
    assert!(
        strict.said().contains("1 damaged place "),
        "{}",
        strict.said()
    );

    let mut riley = serve(&files, "Riley", &answered);
    riley.logs("perhaps of a record of c050").await;
    let alone = held("Riley").await.expect("answers");
    for ((client, told), now) in clients.iter().zip(&told).zip(&alone) {
        if client == "c050" {
            assert!(now.starts_with("? "), "{now}");
        } else {
            assert_eq!(now, told);
        }
    }
    let admin = riley.admin().await;
    assert_eq!(admin.metric("herd_disk_damaged_places").await, Some(1.0));
    // Everything is written anew, and the damaged file is kept.
    admin
        .reaches("herd_disk_snapshots_total{outcome=\"written\"}", 1.0)
        .await;
    let (code, text) = verify(&own).await;
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("\ndamaged-log-"), "{text}");
    let _jaquez = serve(&files, "Jaquez", &answered);
    eventually("Riley is whole again", async || {
        (held("Riley").await? == told).then_some(())
    })
    .await;
}

#[tokio::test]
async fn whatever_bytes_change_a_server_starts_says_so_and_is_whole_again() {
    let rounds = rounds("HERD_DAMAGES", 20);
    let files = Files::new().await;
    files.link(&["Riley-Jaquez"]);
    let mut random = ChaCha8Rng::seed_from_u64(20);
    let mut riley = serve(&files, "Riley", &[]);
    let _jaquez = serve(&files, "Jaquez", &["--durability=answered"]);
    riley.logs("all links are synchronised").await;
    let lines: Vec<String> = (0..100).map(|n| iamat(&format!("c{n:03}"), 1)).collect();
    let mut talk = Talk::with(&files, "Jaquez").await;
    let told = talk.tell(&lines).await.expect("answers");
    // Riley has them from Jaquez.
    let all: Vec<String> = told.iter().map(|answer| format!("{answer} 2")).collect();
    let own = folder(&files, "Riley");
    let is_whole = async || {
        let (code, _) = verify(&own).await;
        (code == Some(0) && dump(&own).await == all).then_some(())
    };
    eventually("all is on the disk", is_whole).await;
    let mut damaged = 0;
    for round in 1..=rounds {
        kill_all(std::slice::from_mut(&mut riley)).await;
        for _ in 0..random.random_range(1..6) {
            let mut held = contents(&own);
            held.retain(|_, content| !content.is_empty());
            let which = random.random_range(0..held.len());
            let (path, mut content) = held.into_iter().nth(which).expect("a file");
            let at = random.random_range(0..content.len());
            content[at] ^= random.random_range(1..=255u8);
            std::fs::write(path, content).expect("written");
        }
        let left = dump(&own).await;
        let is_true = |line: &String| all.contains(line);
        assert!(left.iter().all(is_true), "round {round}: {left:?}");
        let (code, text) = verify(&own).await;
        damaged += usize::from(code == Some(1));
        riley = serve(&files, "Riley", &[]);
        riley.logs("reads ").await;
        let says = riley.said().contains(" damaged place");
        assert_eq!(says, code == Some(1), "{text}{}", riley.said());
        eventually("Riley is whole again", is_whole).await;
        let clients: Vec<String> = (0..100).map(|n| format!("c{n:03}")).collect();
        let held = Talk::with(&files, "Riley").await.held(&clients).await;
        assert_eq!(held.expect("answers"), told);
    }
    println!("{rounds} times bytes were changed, {damaged} of them were told as damage");
    // Two changes of one byte can undo each other.
    assert!(damaged * 100 >= rounds * 99, "{damaged} of {rounds}");
}

/// Lets a process write files of any size again.
async fn make_room(process: &Process) -> bool {
    let Some(prlimit) = program("prlimit", "/usr/bin/prlimit") else {
        return false;
    };
    let mut command = Command::new(prlimit);
    let pid = process.pid().to_string();
    command.args(["--pid", &pid, "--fsize=unlimited:"]);
    command.status().await.expect("it runs").success()
}

/// A server whose files can have 1,024 bytes, and a line whose record is longer than that.
async fn full(files: &Files, durability: &str) -> (Process, String) {
    files.link(&["Riley-Jaquez"]);
    let (herd, dir) = (files.herd(), folder(files, "Riley"));
    let more = [
        format!("--durability={durability}"),
        format!("--data-dir={dir}"),
        "--ready-grace=1s".to_owned(),
    ];
    let more: Vec<&str> = more.iter().map(String::as_str).collect();
    let begin = ["serve", "Riley", "--herd", &herd];
    let riley = Process::limited("-S -f 2", &[&begin[..], &QUICK[..], &more[..]].concat());
    let mut talk = Talk::with(files, "Riley").await;
    let told = talk.tell(&[iamat("kiwi", 1)]).await.expect("an answer");
    assert!(told[0].starts_with("AT Riley "), "{told:?}");
    (riley, iamat(&"x".repeat(1500), 1))
}

#[tokio::test]
async fn where_answers_wait_a_full_disk_refuses_updates_and_no_queries() {
    let files = Files::new().await;
    let (mut riley, long) = full(&files, "answered").await;
    let mut talk = Talk::with(&files, "Riley").await;
    let refused = talk.tell(&[long]).await.expect("an answer");
    assert!(refused[0].starts_with("? IAMAT xxx"), "{refused:?}");
    riley
        .logs("can't write to its disk: can't append to ")
        .await;
    let line = iamat("plum", 2);
    let refused = talk.tell(std::slice::from_ref(&line)).await;
    assert_eq!(refused, Some(vec![format!("? {line}")]));
    let held = talk.held(&["kiwi".to_owned()]).await.expect("an answer");
    assert!(held[0].starts_with("AT Riley "), "{held:?}");
    let admin = riley.admin().await;
    assert_eq!(admin.metric("herd_disk_failing").await, Some(1.0));
    assert!(admin.metric("herd_disk_unsaved_records").await >= Some(1.0));
    eventually("a server that says why it is not ready", async || {
        let (status, why) = admin.get("/readyz").await;
        let says = why.contains("its disk takes no records");
        (status == 503 && says).then_some(())
    })
    .await;
    if !make_room(&riley).await {
        return crate::skipped::skipped("prlimit gives the disk no room again");
    }
    riley.logs("writes to its disk again").await;
    let told = talk.tell(&[line]).await.expect("an answer");
    assert!(told[0].starts_with("AT Riley "), "{told:?}");
    assert_eq!(admin.metric("herd_disk_failing").await, Some(0.0));
    kill_all(std::slice::from_mut(&mut riley)).await;
    let own = folder(&files, "Riley");
    let dumped = dump(&own).await;
    for client in [" kiwi ", " plum "] {
        let is_there = dumped.iter().any(|line| line.contains(client));
        assert!(is_there, "{client}: {dumped:?}");
    }
}

#[tokio::test]
async fn in_the_background_a_full_disk_stops_nothing_and_is_told_of() {
    let files = Files::new().await;
    let (mut riley, long) = full(&files, "background").await;
    let mut talk = Talk::with(&files, "Riley").await;
    let told = talk.tell(&[long]).await.expect("an answer");
    assert!(told[0].starts_with("AT Riley "), "{told:?}");
    riley
        .logs("can't write to its disk: can't append to ")
        .await;
    let told = talk.tell(&[iamat("plum", 2)]).await.expect("an answer");
    assert!(told[0].starts_with("AT Riley "), "{told:?}");
    let admin = riley.admin().await;
    assert_eq!(admin.metric("herd_disk_failing").await, Some(1.0));
    admin
        .reaches("herd_disk_oldest_unsaved_seconds", 0.001)
        .await;
    admin.reaches("herd_disk_unsaved_records", 2.0).await;
    eventually("a server that is ready, and says so", async || {
        let (status, text) = admin.get("/readyz").await;
        let says = text.contains("records are in memory only");
        (status == 200 && says).then_some(())
    })
    .await;
    let status = herd_command(&["status", "--admin", &admin.0]).await;
    let text = out(&status);
    assert!(
        text.contains("Riley: its disk takes no records: "),
        "{text}"
    );
}

#[tokio::test]
async fn a_herd_on_one_machine_gives_each_server_its_folder() {
    let files = Files::new().await;
    let (herd, data, logs) = (files.herd(), files.path("all"), files.path("logs"));
    let up = ["up", "--herd", &herd, "--log-dir", &logs];
    let dir = format!("--data-dir={data}");
    let mut up = Process::start(&[&up[..], &[&*dir]].concat(), &[]);
    up.says("synchronised").await;
    let told = files.ask("Bernard", &iamat("kiwi", 1)).await;
    assert!(told.expect("an answer").starts_with("AT "));
    assert_eq!(up.stopped_by("TERM").await, Some(0), "{}", up.said());
    for server in SERVERS {
        let (code, text) = verify(&format!("{data}/{server}")).await;
        assert_eq!(code, Some(0), "{text}");
        let whose = format!("version 1, {server} of the herd test, ");
        assert!(text.contains(&whose), "{text}");
    }
    let (code, text) = verify(&data).await;
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("holds no server's records"), "{text}");
}

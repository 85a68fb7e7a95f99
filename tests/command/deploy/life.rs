//! The start, the reload and the stop of a server by a service manager or an operator, and what
//! clients notice.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpStream, UnixDatagram};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use wiremock::matchers::method;
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::deploy::KEY;
use crate::deploy::herd::{Files, Process, SERVERS, eventually, within};

/// Sends updates of ever new clients to a server until `stop`, with a pause after each answer. It
/// reconnects for ever, and returns the clients that were answered.
async fn load(at: String, who: String, pause: Duration, stop: Arc<AtomicBool>) -> BTreeSet<String> {
    let mut answered = BTreeSet::new();
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        let Ok(stream) = TcpStream::connect(&at).await else {
            tokio::task::yield_now().await;
            continue;
        };
        let mut stream = BufReader::new(stream);
        while !stop.load(Ordering::Relaxed) {
            number += 1;
            let id = format!("{who}-{number}");
            let line = format!("IAMAT {id} +1-1 5\n");
            let mut answer = String::new();
            let told = stream.write_all(line.as_bytes()).await.is_ok()
                && stream.read_line(&mut answer).await.is_ok()
                && answer.ends_with('\n');
            if !told {
                break;
            }
            answered.insert(id);
            sleep(pause).await;
        }
    }
    answered
}

/// The clients that a server does not know.
async fn unknown(at: &str, ids: &BTreeSet<String>) -> Option<Vec<String>> {
    let mut stream = BufReader::new(TcpStream::connect(at).await.ok()?);
    let mut unknown = Vec::new();
    for id in ids {
        // Places does not answer, because there is no key, but the first line of the answer is
        // enough.
        let line = format!("WHATSAT {id} 1 0\n");
        stream.write_all(line.as_bytes()).await.ok()?;
        let mut answer = String::new();
        stream.read_line(&mut answer).await.ok()?;
        if answer.starts_with("? ") {
            unknown.push(id.clone());
            continue;
        }
        while stream.read_line(&mut answer).await.ok()? > 1 {}
    }
    Some(unknown)
}

#[tokio::test]
async fn a_server_that_stops_under_load_loses_no_update_that_it_answered() {
    let files = Files::new().await;
    let mut riley = files.serve("Riley", &[]);
    let jaquez = files.serve("Jaquez", &[]);
    riley.logs("synchronised with Jaquez").await;
    let stop = Arc::new(AtomicBool::new(false));
    let mut loads = JoinSet::new();
    for who in ["a", "b", "c", "d"] {
        loads.spawn(load(
            files.address("Riley"),
            who.to_owned(),
            Duration::ZERO,
            Arc::clone(&stop),
        ));
    }
    let begun = async || {
        (unknown(&files.address("Riley"), &["a-100".to_owned()].into())
            .await?
            .is_empty())
        .then_some(())
    };
    eventually("load", begun).await;
    assert_eq!(riley.stopped_by("TERM").await, Some(0), "{}", riley.said());
    stop.store(true, Ordering::Relaxed);
    let answered: BTreeSet<String> = within("the load's end", loads.join_all())
        .await
        .into_iter()
        .flatten()
        .collect();
    assert!(answered.len() >= 100);
    // Everything was sent before the server ended, so no wait is needed here.
    let missing = unknown(&files.address("Jaquez"), &answered).await;
    assert_eq!(missing, Some(Vec::new()), "of {} answered", answered.len());
    drop(jaquez);
}

#[tokio::test]
async fn a_rolling_restart_under_load_loses_nothing() {
    let files = Files::new().await;
    let more = [
        "--admin=127.0.0.1:0",
        "--redial-least=20ms",
        "--redial-most=100ms",
    ];
    let mut herd = SERVERS.map(|name| files.serve(name, &more));
    for server in &mut herd {
        server.admin().await.is_ready().await;
    }
    let stop = Arc::new(AtomicBool::new(false));
    let mut loads = JoinSet::new();
    for name in ["Riley", "Campbell"] {
        loads.spawn(load(
            files.address(name),
            name.to_lowercase(),
            // Without a pause, all five servers would be fully busy, and a restarted server would
            // catch up very slowly on a slow machine.
            Duration::from_millis(1),
            Arc::clone(&stop),
        ));
    }
    for (name, server) in SERVERS.iter().zip(&mut herd) {
        assert_eq!(
            server.stopped_by("TERM").await,
            Some(0),
            "{}",
            server.said()
        );
        *server = files.serve(name, &more);
        server.admin().await.is_ready().await;
    }
    stop.store(true, Ordering::Relaxed);
    let answered: BTreeSet<String> = within("the load's end", loads.join_all())
        .await
        .into_iter()
        .flatten()
        .collect();
    assert!(answered.len() >= 100, "{}", answered.len());
    // A sample is enough, since checking all would take as long as the load did.
    let step = 1 + answered.len() / 500;
    let some: BTreeSet<String> = answered.into_iter().step_by(step).collect();
    for name in SERVERS {
        let all_known =
            async || (unknown(&files.address(name), &some).await?.is_empty()).then_some(());
        eventually(&format!("{name} knows all"), all_known).await;
    }
}

/// A server with a look-up in flight at a slow Places.
struct Busy {
    riley: Process,
    client: Process,
    _files: Files,
    _google: MockServer,
}

impl Busy {
    async fn new(delay: Duration, more: &[&str]) -> Self {
        let google = MockServer::start().await;
        let late = ResponseTemplate::new(200)
            .set_body_string("{}")
            .set_delay(delay);
        Mock::given(method("GET"))
            .respond_with(late)
            .mount(&google)
            .await;
        let files = Files::new().await;
        let (herd, url) = (files.herd(), google.uri());
        let args = [
            &["serve", "Riley", "--herd", &herd, "--places-url", &url][..],
            &["--places-deadline=1m", "--places-attempt-deadline=1m"],
            more,
        ]
        .concat();
        let mut riley = Process::start(&args, &[("PLACES_API_KEY", KEY)]);
        riley.logs("listens at").await;
        let lines = ["IAMAT kiwi +1-1 5", "WHATSAT kiwi 1 1"];
        let at = files.address("Riley");
        let client = Process::start(&["send", "--timeout=1m", &at, lines[0], lines[1]], &[]);
        eventually("Places is asked", async || {
            let asked = google.received_requests().await?;
            (!asked.is_empty()).then_some(())
        })
        .await;
        Self {
            riley,
            client,
            _files: files,
            _google: google,
        }
    }

    async fn client_goes_away_empty(&mut self) {
        assert_eq!(self.client.ended().await, Some(1));
        let said = self.client.said();
        assert!(said.contains("no answer to `WHATSAT kiwi 1 1`"), "{said}");
    }
}

#[tokio::test]
async fn a_supervisor_that_signals_a_process_and_its_group_means_one_stop() {
    let mut busy = Busy::new(Duration::from_secs(2), &["--drain=20s"]).await;
    busy.riley.signals(&["TERM", "TERM", "INT"]).await;
    assert_eq!(busy.riley.ended().await, Some(0), "{}", busy.riley.said());
    assert_eq!(busy.client.ended().await, Some(0), "{}", busy.client.said());
}

#[tokio::test]
async fn a_later_signal_ends_a_server_that_waits_for_its_last_client() {
    let mut busy = Busy::new(Duration::from_mins(1), &["--drain=1m"]).await;
    busy.riley.signal("TERM").await;
    busy.riley.logs("stopping: SIGTERM").await;
    // A second signal within this time would count as the same one.
    sleep(Duration::from_secs(1)).await;
    assert_eq!(busy.riley.stopped_by("INT").await, Some(1));
    let said = busy.riley.said();
    assert!(
        said.contains("ended at once: SIGINT while stopping"),
        "{said}"
    );
    busy.client_goes_away_empty().await;
}

#[tokio::test]
async fn a_stop_ends_at_its_limit() {
    let limits = ["--drain=1m", "--stop-limit=1s"];
    let mut busy = Busy::new(Duration::from_mins(1), &limits).await;
    assert_eq!(busy.riley.stopped_by("TERM").await, Some(1));
    let said = busy.riley.said();
    assert!(said.contains("which took longer than 1s allows"), "{said}");
    busy.client_goes_away_empty().await;
}

#[tokio::test]
async fn settings_are_reloaded_whole_or_not_at_all() {
    let files = Files::new().await;
    let config = files.path("settings.toml");
    let write = |text: &str| std::fs::write(&config, text).unwrap();
    write("clients = 1\n");
    let mut riley = files.serve("Riley", &["--config", &config, "--admin=127.0.0.1:0"]);
    let admin = riley.admin().await;
    files
        .ask("Riley", "IAMAT kiwi +1-1 5")
        .await
        .expect("an answer");
    let refuses = async |line: &str| {
        let answer = files.ask("Riley", line).await.expect("an answer");
        answer.starts_with("? ")
    };
    assert!(refuses("IAMAT plum +1-1 5").await);

    // One mistake in the file keeps all its other settings from taking effect, too.
    write("clients = 2\nidel = \"1s\"\n");
    riley.signal("HUP").await;
    riley.logs("reloads nothing, all stays as it is").await;
    assert!(
        riley.said().contains("did you mean `idle`?"),
        "{}",
        riley.said()
    );
    assert!(refuses("IAMAT plum +1-1 5").await);

    write("clients = 2\nlog_level = \"debug\"\nlog_format = \"json\"\n");
    riley.signal("HUP").await;
    riley.logs("settings are reloaded").await;
    riley
        .logs("takes effect when the server is started again: log-format")
        .await;
    assert!(!refuses("IAMAT plum +1-1 5").await);
    assert!(refuses("IAMAT cherry +1-1 5").await);
    riley.logs("DEBUG accepts plum").await;
    assert_eq!(admin.metric("herd_clients").await, Some(2.0));
    assert_eq!(riley.stopped_by("TERM").await, Some(0));
}

#[tokio::test]
async fn the_service_manager_is_told_how_it_goes() {
    let files = Files::new().await;
    let path = files.path("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    let hears = async |wanted: &str| {
        let hears = async {
            let mut bytes = [0; 1024];
            loop {
                let length = manager.recv(&mut bytes).await.expect("a datagram");
                let said = String::from_utf8_lossy(&bytes[..length]);
                if said.contains(wanted) {
                    return said.into_owned();
                }
            }
        };
        within(wanted, hears).await
    };
    let herd = files.herd();
    let args = ["serve", "Riley", "--herd", &herd, "--ready-grace=200ms"];
    let environment = [
        ("NOTIFY_SOCKET", path.as_str()),
        ("WATCHDOG_USEC", "2000000"),
    ];
    let mut riley = Process::start(&args, &environment);
    assert_eq!(
        hears("READY=1").await,
        "READY=1\nSTATUS=0 of 2 links are up"
    );
    hears("WATCHDOG=1").await;
    riley.signal("HUP").await;
    assert!(hears("RELOADING=1").await.contains("MONOTONIC_USEC="));
    hears("READY=1").await;
    // A frozen server sends no more notifications, so the service manager notices it.
    hears("WATCHDOG=1").await;
    riley.signal("STOP").await;
    let mut bytes = [0; 64];
    while manager.try_recv(&mut bytes).is_ok() {}
    let silent = tokio::time::timeout(Duration::from_secs(3), manager.recv(&mut bytes)).await;
    riley.signal("CONT").await;
    assert!(
        silent.is_err(),
        "it said {}",
        String::from_utf8_lossy(&bytes)
    );
    hears("WATCHDOG=1").await;
    riley.signal("TERM").await;
    hears("STOPPING=1").await;
    assert_eq!(riley.ended().await, Some(0));
}

#[tokio::test]
async fn a_watchdog_of_less_than_a_second_is_fed_in_time() {
    let files = Files::new().await;
    let path = files.path("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    let herd = files.herd();
    let args = ["serve", "Riley", "--herd", &herd];
    let environment = [
        ("NOTIFY_SOCKET", path.as_str()),
        ("WATCHDOG_USEC", "400000"),
    ];
    let mut riley = Process::start(&args, &environment);
    let hears = async || {
        let mut bytes = [0; 1024];
        loop {
            let length = manager.recv(&mut bytes).await.expect("a datagram");
            if &bytes[..length] == b"WATCHDOG=1" {
                return Instant::now();
            }
        }
    };
    let mut last = within("a first sign of life", hears()).await;
    let mut gaps = Vec::new();
    for _ in 0..9 {
        let next = within("another sign of life", hears()).await;
        gaps.push(next - last);
        last = next;
    }
    gaps.sort();
    // A busy machine may delay the largest gaps, so they don't count.
    assert!(gaps[4] < Duration::from_millis(400), "{gaps:?}");
    assert_eq!(riley.stopped_by("TERM").await, Some(0));
}

#[tokio::test]
async fn a_watchdog_that_nobody_could_feed_is_refused() {
    let files = Files::new().await;
    let herd = files.herd();
    let args = ["serve", "Riley", "--herd", &herd];
    let mut riley = Process::start(&args, &[("WATCHDOG_USEC", "20000")]);
    assert_eq!(riley.ended().await, Some(2));
    let said = riley.said();
    assert!(said.contains("(`WATCHDOG_USEC` is 20000)"), "{said}");
    assert!(said.contains("`WatchdogSec=`"), "{said}");
}

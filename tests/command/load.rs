//! `herd load` against correct servers, and against incorrect ones that show each of its counts.

use std::collections::BTreeMap;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proxy_herd::herd::{Address, Herd};
use proxy_herd::journal::NullJournal;
use proxy_herd::load::{Cpu, Load, Plan, Summary, Target};
use proxy_herd::net::tokio::TokioNet;
use proxy_herd::places::FixedPlaces;
use proxy_herd::server::{self, Config, Listeners};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

fn local(port: u16) -> Address {
    let host = "127.0.0.1".to_owned();
    Address { host, port }
}

/// A herd of two servers, which runs as long as this value lives.
struct Pair {
    targets: Vec<Target>,
    _stop: watch::Sender<bool>,
    _running: JoinSet<()>,
}

async fn pair() -> Pair {
    let herd = Herd::from_links("pair", &["A-B"]).expect("a herd");
    let (stop, stopped) = watch::channel(false);
    let mut bound = Vec::new();
    for _ in herd.ids() {
        bound.push(
            Listeners::bind(&TokioNet, &local(0), &local(0))
                .await
                .expect("a free port"),
        );
    }
    let peers: Vec<u16> = (bound.iter())
        .map(|listeners| listeners.peers.local_addr().expect("it is bound").port())
        .collect();
    let mut running = JoinSet::new();
    let mut targets = Vec::new();
    for (me, listeners) in herd.ids().zip(bound) {
        let port = listeners.clients.local_addr().expect("it is bound").port();
        let name = Some(herd.server(me).name.clone());
        targets.push(Target {
            name,
            address: local(port),
        });
        let mut config = Config::new(&herd, me, 1);
        config.addresses = vec![local(peers[1 - me.index()])];
        let (places, journal) = (Arc::new(FixedPlaces::default()), Arc::new(NullJournal));
        let stopped = stopped.clone();
        running.spawn(async move {
            let served = server::serve(TokioNet, listeners, config, places, journal, stopped);
            served.await.expect("it ends well");
        });
    }
    Pair {
        targets,
        _stop: stop,
        _running: running,
    }
}

/// How a fake server answers a line. Lines are counted from 1, over all connections.
#[derive(Clone, Copy)]
enum Answer {
    Good,
    Wrong,
    None,
    Twice,
    Stall(Duration),
    Close,
    /// Answers correctly, and repeats the answer after the client has closed its sending half.
    AgainAtTheEnd,
}

struct Fake {
    target: Target,
    heard: Arc<Notify>,
    _running: JoinSet<()>,
}

/// Starts a fake server that answers by `rule`.
async fn fake(rule: fn(usize) -> Answer) -> Fake {
    let listener = TcpListener::bind(("127.0.0.1", 0))
        .await
        .expect("a free port");
    let address = local(listener.local_addr().expect("it is bound").port());
    let heard = Arc::new(Notify::new());
    let (lines, hears) = (Arc::new(AtomicUsize::new(0)), Arc::clone(&heard));
    let mut running = JoinSet::new();
    running.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            let (lines, hears) = (Arc::clone(&lines), Arc::clone(&hears));
            connections.spawn(answer_by(rule, stream, lines, hears));
        }
    });
    let target = Target {
        name: None,
        address,
    };
    Fake {
        target,
        heard,
        _running: running,
    }
}

async fn answer_by(
    rule: fn(usize) -> Answer,
    mut stream: TcpStream,
    lines: Arc<AtomicUsize>,
    heard: Arc<Notify>,
) {
    let (reader, mut writer) = stream.split();
    let mut reader = BufReader::new(reader);
    let mut line = String::new();
    let mut at_the_end = String::new();
    while reader.read_line(&mut line).await.is_ok_and(|read| read > 0) {
        heard.notify_one();
        let good = format!(
            "AT Fake +0.000000000 {}",
            line.strip_prefix("IAMAT ").expect("an IAMAT")
        );
        let answer = match rule(lines.fetch_add(1, Ordering::SeqCst) + 1) {
            Answer::Good => good,
            Answer::Wrong => format!("? {line}"),
            Answer::None => String::new(),
            Answer::Twice => good.repeat(2),
            Answer::Stall(time) => {
                tokio::time::sleep(time).await;
                good
            }
            Answer::Close => return,
            Answer::AgainAtTheEnd => {
                at_the_end.clone_from(&good);
                good
            }
        };
        if writer.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
        line.clear();
    }
    let _ = writer.write_all(at_the_end.as_bytes()).await;
}

/// The plan for a hundred requests on one connection, four at a time.
fn hundred(targets: Vec<Target>) -> Plan {
    Plan {
        targets,
        connections: 1,
        window: 4,
        reconnect: false,
        tls: None,
        tls_name: None,
        rate: None,
        duration: None,
        count: Some(100),
        whatsat: 0,
        timeout: Duration::from_secs(10),
        probes: 0,
        pids: Vec::new(),
        seed: 1,
    }
}

async fn made(plan: Plan) -> Summary {
    let load = Load::new(plan);
    load.run().await.expect("it ends well");
    load.summary()
}

async fn hundred_at(rule: fn(usize) -> Answer) -> Summary {
    let fake = fake(rule).await;
    made(hundred(vec![fake.target.clone()])).await
}

fn of_ten(number: usize, what: Answer) -> Answer {
    if number % 10 == 5 { what } else { Answer::Good }
}

/// The numbers of answered, wrong, lost and duplicate requests, and of connections that ended too
/// early.
fn counts(summary: &Summary) -> [u64; 5] {
    let Summary {
        answered,
        wrong,
        lost,
        duplicate,
        broken,
        ..
    } = *summary;
    [answered, wrong, lost, duplicate, broken]
}

#[tokio::test]
async fn a_herd_that_does_what_it_should_answers_everything() {
    let pair = pair().await;
    let mut plan = hundred(pair.targets.clone());
    (plan.connections, plan.window, plan.count) = (5, 64, Some(5000));
    (plan.whatsat, plan.pids) = (20, vec![std::process::id()]);
    let summary = made(plan).await;
    assert_eq!(counts(&summary), [5000, 0, 0, 0, 0], "{}", summary.text());
    assert!(summary.is_good());
    assert_eq!(
        (summary.sent, summary.connected, summary.unfinished),
        (5000, 5, 0)
    );
    let [iamat, whatsat] = [&summary.iamat, &summary.whatsat].map(|times| times.as_ref().unwrap());
    assert_eq!(iamat.count + whatsat.count, 5000);
    assert!((500..1500).contains(&whatsat.count), "{}", whatsat.count);
    assert!(iamat.p50 > 0 && iamat.p50 <= iamat.p99 && iamat.p99 <= iamat.max);
    assert!(
        matches!(summary.cpu[0].1, Cpu::Used(_)),
        "{:?}",
        summary.cpu
    );
}

#[tokio::test]
async fn updates_are_followed_to_all_servers() {
    let pair = pair().await;
    let mut plan = hundred(pair.targets.clone());
    (plan.rate, plan.probes) = (Some(500), 100);
    let summary = made(plan).await;
    assert!(summary.is_good(), "{}", summary.text());
    let spread = summary.propagation.unwrap();
    let (each, all) = (spread.each.unwrap(), spread.all.unwrap());
    assert_eq!((each.count, spread.unreached), (all.count, 0));
    assert!(each.p50 > 0 && spread.looks.unwrap().p50 > 0);
}

#[tokio::test]
async fn an_update_that_never_arrives_is_unreached() {
    let (one, other) = (pair().await, pair().await);
    let mut plan = hundred(vec![one.targets[0].clone(), other.targets[0].clone()]);
    (plan.rate, plan.probes, plan.timeout) = (Some(500), 1, Duration::from_millis(300));
    let summary = made(plan).await;
    assert_eq!(summary.propagation.as_ref().unwrap().unreached, 1);
    assert_eq!(counts(&summary), [100, 0, 0, 0, 0]);
    assert!(!summary.is_good());
}

#[tokio::test]
async fn each_thing_that_is_wrong_is_counted_as_what_it_is() {
    let wrong = hundred_at(|number| of_ten(number, Answer::Wrong)).await;
    assert_eq!(counts(&wrong), [90, 10, 0, 0, 0]);
    assert!(
        wrong
            .example
            .unwrap()
            .contains("answered ? IAMAT load-1-0-")
    );
    let lost = hundred_at(|number| of_ten(number, Answer::None)).await;
    assert_eq!(counts(&lost), [90, 0, 10, 0, 0]);
    let duplicate = hundred_at(|number| of_ten(number, Answer::Twice)).await;
    assert_eq!(counts(&duplicate), [100, 0, 0, 10, 0]);
    let last = hundred_at(|_| Answer::AgainAtTheEnd).await;
    assert_eq!(counts(&last), [100, 0, 0, 1, 0]);
    let closed = hundred_at(|number| {
        if number == 50 {
            Answer::Close
        } else {
            Answer::Good
        }
    })
    .await;
    let [answered, wrong, lost, duplicate, broken] = counts(&closed);
    assert_eq!((answered + lost, wrong, duplicate, broken), (100, 0, 0, 1));
    assert!((1..=4).contains(&lost), "{lost}");
}

#[tokio::test]
async fn what_is_not_answered_in_time_is_lost() {
    let fake = fake(|number| {
        if number > 50 {
            Answer::None
        } else {
            Answer::Good
        }
    })
    .await;
    let mut plan = hundred(vec![fake.target.clone()]);
    (plan.window, plan.count, plan.timeout) = (1, Some(52), Duration::from_millis(100));
    assert_eq!(counts(&made(plan).await), [50, 0, 2, 0, 2]);
}

/// A third of a second without any answer.
const STALL: Duration = Duration::from_millis(333);

#[tokio::test]
async fn at_a_fixed_rate_a_stall_shows_in_all_that_was_due_meanwhile() {
    let stall = |number| {
        if number == 100 {
            Answer::Stall(STALL)
        } else {
            Answer::Good
        }
    };
    let slow = |summary: &Summary| summary.iamat.as_ref().unwrap().p90 > 50_000_000;
    for rate in [None, Some(1000)] {
        let fake = fake(stall).await;
        let mut plan = hundred(vec![fake.target.clone()]);
        (plan.window, plan.count, plan.rate) = (1, Some(600), rate);
        let summary = made(plan).await;
        assert_eq!(counts(&summary), [600, 0, 0, 0, 0]);
        assert_eq!(slow(&summary), rate.is_some(), "{}", summary.text());
    }
}

#[tokio::test]
async fn each_request_can_have_a_connection_of_its_own() {
    let pair = pair().await;
    let mut plan = hundred(pair.targets.clone());
    (plan.connections, plan.window, plan.reconnect) = (3, 1, true);
    let summary = made(plan).await;
    assert_eq!(counts(&summary), [100, 0, 0, 0, 0], "{}", summary.text());
    assert_eq!(summary.connected, 100);
}

#[tokio::test]
async fn nobody_there_is_said_and_ends() {
    let free = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = local(free.local_addr().unwrap().port());
    drop(free);
    let mut plan = hundred(vec![Target {
        name: None,
        address,
    }]);
    (plan.timeout, plan.count) = (Duration::from_millis(50), None);
    plan.duration = Some(Duration::from_hours(1));
    let summary = made(plan).await;
    assert_eq!((summary.connected, summary.sent), (0, 0));
    assert!(summary.refused > 0 && summary.trouble.is_some());
    assert!(!summary.is_good());
}

/// How another herd's servers format their answers.
#[derive(Clone, Copy)]
struct Dialect {
    at: &'static str,
    skew: &'static str,
    /// The separator between fields.
    blank: &'static str,
    /// The end of an AT line that answers an IAMAT.
    end: &'static str,
    /// The end of an AT line before a body.
    head: &'static str,
    /// The end of a body.
    tail: &'static str,
    body: &'static str,
    /// The server closes a connection after its first answer.
    closes: bool,
}

const PLAIN: Dialect = Dialect {
    at: "AT",
    skew: "+0.263873386",
    blank: " ",
    end: "\n",
    head: "\n",
    tail: "\n\n",
    body: "{\n  \"results\": [{\"name\": \"}\\\"\"}],\n  \"status\": \"OK\"\n}",
    closes: false,
};

/// Starts a fake server with this dialect.
async fn foreign(dialect: Dialect) -> Fake {
    let listener = TcpListener::bind(("127.0.0.1", 0))
        .await
        .expect("a free port");
    let address = local(listener.local_addr().expect("it is bound").port());
    let heard = Arc::new(Notify::new());
    let hears = Arc::clone(&heard);
    let known = Arc::new(Mutex::new(BTreeMap::new()));
    let mut running = JoinSet::new();
    running.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            hears.notify_one();
            connections.spawn(speak(dialect, stream, Arc::clone(&known)));
        }
    });
    Fake {
        target: Target {
            name: None,
            address,
        },
        heard,
        _running: running,
    }
}

async fn speak(
    dialect: Dialect,
    mut stream: TcpStream,
    known: Arc<Mutex<BTreeMap<String, String>>>,
) {
    let (reader, mut writer) = stream.split();
    let mut lines = BufReader::new(reader).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let said = |said: &str| {
            let said = said.replace(' ', dialect.blank);
            [dialect.at, "Fake", dialect.skew, &said].join(dialect.blank)
        };
        let answer = match fields.as_slice() {
            ["IAMAT", id, location, time] => {
                let text = [*id, location, time].join(" ");
                let answer = said(&text) + dialect.end;
                known
                    .lock()
                    .expect("no panic")
                    .insert((*id).to_owned(), text);
                answer
            }
            ["WHATSAT", id, _, _] => match known.lock().expect("no panic").get(*id) {
                Some(text) => said(text) + dialect.head + dialect.body + dialect.tail,
                None => format!("? {line}{}", dialect.end),
            },
            _ => format!("? {line}{}", dialect.end),
        };
        if writer.write_all(answer.as_bytes()).await.is_err() || dialect.closes {
            return;
        }
    }
}

#[tokio::test]
async fn any_herd_is_measured_however_it_spells_its_answers() {
    let dialects = [
        PLAIN,
        Dialect {
            skew: "+0.5",
            ..PLAIN
        },
        Dialect {
            skew: "-3",
            ..PLAIN
        },
        Dialect {
            skew: "0.263873386",
            ..PLAIN
        },
        Dialect {
            skew: "+1.5e-05",
            ..PLAIN
        },
        Dialect {
            skew: "+-0.0012",
            ..PLAIN
        },
        Dialect {
            skew: "+0.26387338600000000001",
            ..PLAIN
        },
        Dialect {
            blank: "   ",
            end: " \r\n",
            head: "\r\n",
            tail: "\r\n\r\n",
            ..PLAIN
        },
        Dialect {
            end: "\n\n",
            head: "\n\n",
            tail: "\n\n\n",
            ..PLAIN
        },
        // The only line feed is between an AT line and its body.
        Dialect {
            end: "",
            tail: "",
            ..PLAIN
        },
        Dialect {
            tail: "\n",
            ..PLAIN
        },
        Dialect {
            body: "{\n\n\"results\" : [\n\n]\n\n}",
            ..PLAIN
        },
    ];
    for dialect in dialects {
        for closes in [false, true] {
            let fake = foreign(Dialect { closes, ..dialect }).await;
            let mut plan = hundred(vec![fake.target.clone()]);
            (plan.connections, plan.whatsat) = (4, 30);
            (plan.window, plan.reconnect) = (if closes { 1 } else { 8 }, false);
            let summary = made(plan).await;
            let Dialect {
                skew, end, tail, ..
            } = dialect;
            let text = format!("{skew} {end:?} {tail:?} {closes}: {}", summary.text());
            assert_eq!(counts(&summary), [100, 0, 0, 0, 0], "{text}");
            assert!(summary.is_good(), "{text}");
            let whatsat = summary.whatsat.as_ref().map_or(0, |times| times.count);
            assert!((28..=32).contains(&whatsat), "{text}");
        }
    }
}

#[tokio::test]
async fn a_server_that_ends_connections_gets_one_for_each_request() {
    for (window, tail, end) in [(1, "\n\n", "\n"), (8, "\n\n", "\n"), (1, "", "")] {
        let closes = true;
        let fake = foreign(Dialect {
            end,
            tail,
            closes,
            ..PLAIN
        })
        .await;
        let mut plan = hundred(vec![fake.target.clone()]);
        (plan.window, plan.connections) = (window, 3);
        let summary = made(plan).await;
        assert_eq!(counts(&summary), [100, 0, 0, 0, 0], "{}", summary.text());
        assert_eq!((summary.closing, summary.connected >= 100), (3, true));
        assert_eq!(summary.sent, 100);
        assert!(
            summary
                .text()
                .contains("from then on each request had its own")
        );
    }
}

#[tokio::test]
async fn a_share_of_whatsat_is_asked_for_even_where_each_connection_makes_one_request() {
    for (percent, least, most) in [(0, 0, 0), (25, 15, 35), (100, 100, 100)] {
        for (closes, reconnect) in [(false, false), (false, true), (true, false)] {
            let fake = foreign(Dialect { closes, ..PLAIN }).await;
            let mut plan = hundred(vec![fake.target.clone()]);
            (plan.connections, plan.window, plan.whatsat) = (100, 1, percent);
            plan.reconnect = reconnect;
            let summary = made(plan).await;
            assert_eq!(counts(&summary), [100, 0, 0, 0, 0], "{}", summary.text());
            let whatsat = summary.whatsat.as_ref().map_or(0, |times| times.count);
            assert!(
                (least..=most).contains(&whatsat),
                "{percent}: {}",
                summary.text()
            );
            assert_eq!(summary.introduced, whatsat, "{}", summary.text());
        }
    }
}

#[tokio::test]
async fn what_is_not_understood_is_shown_once_as_it_came_and_the_run_goes_on() {
    for (dialect, shown) in [
        (
            Dialect {
                at: "at\u{7}",
                ..PLAIN
            },
            "answered at\\x07 Fake +0.263873386 load-1-0-1 ",
        ),
        (
            Dialect {
                skew: "soon",
                ..PLAIN
            },
            "answered AT Fake soon load-1-0-1 ",
        ),
        // Without a line feed the end is known only when nothing follows in time.
        (
            Dialect {
                at: "Hello\u{e9}",
                end: "",
                ..PLAIN
            },
            "answered Hello\u{e9} Fake +0.263873386 load-1-0-1 ",
        ),
    ] {
        let fake = foreign(dialect).await;
        let mut plan = hundred(vec![fake.target.clone()]);
        (plan.window, plan.count) = (1, Some(3));
        plan.timeout = Duration::from_millis(100);
        let summary = made(plan).await;
        assert_eq!(counts(&summary)[..3], [0, 3, 0], "{}", summary.text());
        let example = summary.example.as_deref().unwrap();
        assert!(example.contains(shown), "{example}");
        assert_eq!(
            summary.text().matches("load-1-0-").count(),
            2,
            "{}",
            summary.text()
        );
    }
    let body = "<html>no place</html>";
    let fake = foreign(Dialect { body, ..PLAIN }).await;
    let mut plan = hundred(vec![fake.target.clone()]);
    (plan.window, plan.whatsat) = (4, 50);
    let summary = made(plan).await;
    assert_eq!(counts(&summary), [50, 50, 0, 0, 0], "{}", summary.text());
    assert!(
        summary
            .example
            .unwrap()
            .ends_with("answered <html>no place</html>")
    );
}

#[tokio::test]
async fn updates_are_followed_in_any_dialect() {
    // Both targets are the same server, so the second knows each update that the first received.
    for (closes, end, tail) in [(false, "\n", "\n"), (true, "", ""), (false, "", "")] {
        let fake = foreign(Dialect {
            end,
            tail,
            closes,
            ..PLAIN
        })
        .await;
        let mut plan = hundred(vec![fake.target.clone(), fake.target.clone()]);
        (plan.rate, plan.probes, plan.window) = (Some(500), 50, 1);
        let summary = made(plan).await;
        assert!(summary.is_good(), "{}", summary.text());
        assert!(summary.propagation.unwrap().each.unwrap().count > 0);
    }
}

fn herd(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_herd"));
    command.arg("load").args(args);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn texts(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
    (
        output.status.code(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_says_how_it_went() {
    let good = fake(|_| Answer::Good).await;
    let address = good.target.address.to_string();
    let output = herd(&[&address, "-n", "50", "-c", "2", "--pid", "0"])
        .output()
        .unwrap();
    let (code, stdout, stderr) = texts(&output);
    assert_eq!((code, stderr.as_str()), (Some(0), ""), "{stdout}");
    assert!(stdout.starts_with("50 answers in "), "{stdout}");
    assert!(
        stdout.contains("process 0: processor time unknown: "),
        "{stdout}"
    );

    let bad = fake(|_| Answer::Wrong).await;
    let address = bad.target.address.to_string();
    let output = herd(&[&address, "-n", "50", "--json"]).output().unwrap();
    let (code, stdout, _) = texts(&output);
    let json: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((code, &json["wrong"]), (Some(1), &50.into()));

    for (args, said) in [
        (vec!["localhost"], "is no HOST:PORT"),
        (vec!["--herd", "riley", "Rily"], "did you mean `Riley`?"),
        (vec!["a:1", "--propagation", "1"], "needs two servers"),
        (vec!["a:1", "--timeout", "0s"], "longer than nothing"),
        (vec!["a:1", "-n", "0"], "--count 0 asks nothing"),
        (vec!["a:1", "--tls-name", "Riley"], "--tls-authorities"),
        (
            vec!["a:1", "--window", "2", "--reconnect"],
            "cannot be used with",
        ),
        (vec![], "SERVER"),
    ] {
        let (code, _, stderr) = texts(&herd(&args).output().unwrap());
        assert_eq!(code, Some(2), "{args:?}");
        assert!(stderr.contains(said), "{args:?}: {stderr}");
    }
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_gives_the_summary_so_far() {
    let good = fake(|_| Answer::Good).await;
    let address = good.target.address.to_string();
    let running = herd(&[&address, "--duration", "1h"]).spawn().unwrap();
    good.heard.notified().await;
    let pid = running.id().to_string();
    let told = Command::new("kill").args(["-INT", &pid]).status().unwrap();
    assert!(told.success());
    let (code, stdout, _) = texts(&running.wait_with_output().unwrap());
    assert_eq!(code, Some(0), "{stdout}");
    assert!(stdout.contains(" answers in "), "{stdout}");
}

//! The production server as an operator uses it: processes of the real binary, signals, sockets,
//! files.

mod asking;
mod containers;
mod course;
mod docs;
mod errors;
mod forgetting;
mod herd;
mod kills;
mod kubernetes;
mod life;
mod limits;
mod listening;
mod logs;
mod places;
mod proof;
mod records;
mod relinking;
mod rules;
mod stress;
mod watching;

use wiremock::matchers::{method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

use herd::{Files, Process, SERVERS, eventually, herd_command, herd_command_with};

use crate::ran::{err, out};

const GOOGLE: &str = "{\n   \"html_attributions\" : [],\n   \"results\" : [\n      {\n         \"name\" : \"Caf\\u00e9\"\n      }\n   ],\n   \"status\" : \"OK\"\n}\n\n\n";

/// A key that differs from Google's in form, and appears nowhere else in these tests.
const KEY: &str = "nobody-may-see-this";

/// A fake Google that answers every Nearby Search.
async fn google() -> MockServer {
    let google = MockServer::start().await;
    Mock::given(method("GET"))
        .and(path("/nearby"))
        .and(query_param("key", KEY))
        .respond_with(ResponseTemplate::new(200).set_body_string(GOOGLE))
        .mount(&google)
        .await;
    google
}

#[tokio::test]
async fn five_processes_tell_the_seeds_story() {
    let google = google().await;
    let files = Files::new().await;
    std::fs::write(files.path("key"), format!("{KEY}\n")).unwrap();
    let (url, key, logs) = (
        format!("{}/nearby", google.uri()),
        files.path("key"),
        files.path("logs"),
    );
    let settings = [
        "--places-url",
        &url,
        "--places-key-file",
        &key,
        "--log-dir",
        &logs,
        "--log-level",
        "trace",
    ];
    let mut herd = SERVERS.map(|name| files.serve(name, &settings));
    for server in &mut herd {
        server.logs("all links are synchronised").await;
    }
    let told = files
        .ask("Riley", "IAMAT kiwi +34.068930-118.445127 {now}")
        .await
        .expect("an answer");
    assert!(
        told.starts_with("AT Riley +0.") && told.ends_with('\n'),
        "{told}"
    );
    let found = eventually("Campbell knows kiwi", async || {
        let answer = files.ask("Campbell", "WHATSAT kiwi 10 5").await?;
        answer.starts_with("AT ").then_some(answer)
    });
    assert_eq!(found.await, format!("{told}{}\n\n", GOOGLE.trim_end()));

    // Juzang is killed, and the other servers still agree.
    assert_eq!(herd[2].stopped_by("KILL").await, None);
    let plum = files
        .ask("Riley", "IAMAT plum +40.5-100.25 {now}")
        .await
        .expect("an answer");
    let knows_plum = async |server: &str| {
        let what = format!("{server} knows plum");
        let found = eventually(&what, async || {
            let answer = files.ask(server, "WHATSAT plum 1 1").await?;
            answer.starts_with("AT ").then_some(answer)
        });
        assert!(found.await.starts_with(&plum));
    };
    knows_plum("Campbell").await;

    // Juzang restarts without records, and gets them from its neighbours.
    herd[2] = files.serve("Juzang", &settings);
    herd[2].logs("all links are synchronised").await;
    knows_plum("Juzang").await;

    let mut said = String::new();
    for server in &mut herd {
        assert_eq!(
            server.stopped_by("TERM").await,
            Some(0),
            "{}",
            server.said()
        );
        assert!(server.said().contains("stops"), "{}", server.said());
        said += &server.said();
    }
    files.gone().await;
    let written = files.everything();
    assert!(said.contains("asks Places at") && written.contains("WHATSAT plum"));
    // Libraries log nothing at that level, since requests contain the key.
    let of_hyper = "idle connection";
    assert!(!said.contains(of_hyper), "{said}");
    assert!(
        !said.contains(KEY) && !written.contains(KEY),
        "the key shows"
    );
}

#[tokio::test]
async fn a_log_file_has_all_input_and_output_and_the_links() {
    let files = Files::new().await;
    let logs = files.path("logs");
    let more = ["--log-dir", &logs, "--log-format", "json"];
    let mut riley = files.serve("Riley", &more);
    let mut jaquez = files.serve("Jaquez", &more);
    riley.logs("link to Jaquez is up").await;
    files
        .ask("Riley", "IAMAT kiwi +1-1 5")
        .await
        .expect("an answer");
    files.ask("Riley", "what?").await.expect("an answer");
    assert_eq!(jaquez.stopped_by("INT").await, Some(0));
    riley.logs("link to Jaquez is down").await;
    assert_eq!(riley.stopped_by("INT").await, Some(0));
    let log = std::fs::read_to_string(files.path("logs/log-Riley.txt")).unwrap();
    for words in [
        "server Riley: starts",
        "connected with Jaquez",
        ": IAMAT kiwi +1-1 5\n",
        "output to Jaquez",
        ": AT Riley +",
        ": ? what?\n",
        "dropped Jaquez: ",
        "no connection with Juzang: connection refused\n",
        "server Riley: stops",
    ] {
        assert!(log.contains(words), "no {words:?} in:\n{log}");
    }
    for line in log.lines() {
        let time = line.split(' ').next().unwrap();
        assert_eq!(
            time.split_once('.').map(|(_, nanos)| nanos.len()),
            Some(9),
            "{line}"
        );
    }
    let said = riley.said();
    assert!(said.lines().count() > 3, "{said}");
    for line in said.lines() {
        let object: serde_json::Value = serde_json::from_str(line).expect("one object a line");
        assert!(
            object["level"].is_string() && object["fields"]["message"].is_string(),
            "{line}"
        );
    }
}

#[tokio::test]
async fn up_runs_a_herd_until_ctrl_c_and_leaves_no_process() {
    let google = google().await;
    let files = Files::new().await;
    let (herd, logs, url) = (
        files.herd(),
        files.path("logs"),
        format!("{}/nearby", google.uri()),
    );
    let args = [
        "up",
        "--herd",
        &herd,
        "--log-dir",
        &logs,
        "--places-url",
        &url,
    ];
    let mut up = Process::start(
        &args,
        &[("PLACES_API_KEY", KEY), ("HERD_LOG_LEVEL", "debug")],
    );
    up.says("all links are synchronised").await;
    files
        .ask("Riley", "IAMAT kiwi +34.068930-118.445127 {now}")
        .await
        .expect("an answer");
    let found = eventually("Campbell knows kiwi", async || {
        let answer = files.ask("Campbell", "WHATSAT kiwi 10 5").await?;
        answer.contains("Caf\\u00e9").then_some(())
    });
    found.await;
    assert_eq!(up.stopped_by("INT").await, Some(0), "{}", up.said());
    let said = up.said();
    for name in SERVERS {
        let port = files.port(name);
        assert!(
            said.contains(&format!("clients at 127.0.0.1:{port}")),
            "{said}"
        );
        assert!(
            said.contains(&format!("{name}: ")),
            "no log of {name}:\n{said}"
        );
    }
    files.gone().await;
    assert!(
        !said.contains(KEY) && !files.everything().contains(KEY),
        "the key shows"
    );
}

#[tokio::test]
async fn whatever_ends_up_ends_its_servers() {
    let files = Files::new().await;
    let (herd, logs) = (files.herd(), files.path("logs"));
    let mut up = Process::start(&["up", "--herd", &herd, "--log-dir", &logs], &[]);
    up.says("all links are synchronised").await;
    assert_eq!(up.stopped_by("KILL").await, None);
    files.gone().await;
    // Bernard writes its last lines after it has closed its ports.
    eventually("Bernard's last words", async || {
        let log = std::fs::read_to_string(files.path("logs/log-Bernard.txt")).ok()?;
        log.contains("server Bernard: stops").then_some(())
    })
    .await;
}

/// The children of the process `parent`.
#[cfg(target_os = "linux")]
fn children(parent: u32) -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").expect("a system that tells");
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let is_child = |pid: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
        // The state and the parent follow the name, which may contain anything.
        let parent_of = stat.ok().and_then(|stat| {
            let (_, behind) = stat.rsplit_once(')')?;
            behind.split(' ').nth(2)?.parse().ok()
        });
        parent_of == Some(parent)
    };
    pids.filter(is_child).collect()
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn who_holds_the_servers_input_open_does_not_keep_them_alive() {
    let files = Files::new().await;
    let (herd, logs) = (files.herd(), files.path("logs"));
    let mut up = Process::start(&["up", "--herd", &herd, "--log-dir", &logs], &[]);
    up.says("all links are synchronised").await;
    let servers = children(up.pid());
    assert_eq!(servers.len(), SERVERS.len());
    let open = |pid: &u32| {
        let input = format!("/proc/{pid}/fd/0");
        std::fs::OpenOptions::new().write(true).open(input)
    };
    // This process holds the other end of the pipes that `up` has.
    let held: Result<Vec<_>, _> = servers.iter().map(open).collect();
    let held = held.expect("pipes can be opened once more");
    assert_eq!(up.stopped_by("KILL").await, None);
    files.gone().await;
    eventually("Bernard's last words", async || {
        let log = std::fs::read_to_string(files.path("logs/log-Bernard.txt")).ok()?;
        log.contains("server Bernard: stops").then_some(())
    })
    .await;
    drop(held);
}

#[tokio::test]
async fn up_takes_no_port_of_the_herd_for_operators() {
    let files = Files::new().await;
    let herd = files.herd();
    for server in SERVERS {
        for (at, whom) in [
            (files.address(server), "clients"),
            (files.peer_address(server), "servers"),
        ] {
            let up = herd_command(&["up", "--herd", &herd, "--admin", &at]).await;
            assert_eq!(up.status.code(), Some(2), "{}", err(&up));
            let said = format!(
                "`--admin` would take {at} for operators, where {server} listens for {whom}"
            );
            assert!(err(&up).contains(&said), "{}", err(&up));
        }
    }
}

#[tokio::test]
async fn up_says_which_server_could_not_begin_and_goes_on_with_the_others() {
    let files = Files::new().await;
    let (herd, logs, port) = (files.herd(), files.path("logs"), files.port("Juzang"));
    let taken = tokio::net::TcpListener::bind(("127.0.0.1", port))
        .await
        .unwrap();
    let mut up = Process::start(&["up", "--herd", &herd, "--log-dir", &logs], &[]);
    up.says("Juzang ended: exit status: 1").await;
    up.logs(&format!("can't listen on 127.0.0.1:{port} for clients"))
        .await;
    up.logs(&format!("help: another program has port {port}"))
        .await;
    eventually("Riley answers", async || {
        files.ask("Riley", "IAMAT kiwi +1-1 5").await
    })
    .await;
    assert_eq!(up.stopped_by("TERM").await, Some(1), "{}", up.said());
    drop(taken);
    files.gone().await;
}

#[tokio::test]
async fn a_herd_goes_on_if_nobody_reads_what_up_says() {
    let files = Files::new().await;
    let (herd, logs) = (files.herd(), files.path("logs"));
    let taken = tokio::net::TcpListener::bind(("127.0.0.1", files.port("Juzang")))
        .await
        .unwrap();
    let mut up = Process::unheard(&["up", "--herd", &herd, "--log-dir", &logs]);
    // When this line is there, `up` has written two lines.
    up.logs("can't listen on").await;
    for client in ["kiwi", "plum", "pear"] {
        eventually("Riley answers", async || {
            files.ask("Riley", &format!("IAMAT {client} +1-1 5")).await
        })
        .await;
    }
    assert_eq!(up.stopped_by("TERM").await, Some(1), "{}", up.said());
    drop(taken);
    files.gone().await;
    let log = std::fs::read_to_string(files.path("logs/log-Riley.txt")).unwrap();
    assert!(log.contains("server Riley: stops"), "{log}");
}

#[tokio::test]
async fn what_no_server_can_use_is_the_fault_of_the_input() {
    let files = Files::new().await;
    let log = files.path("log");
    std::fs::write(&log, "no folder").expect("written");
    let herd = files.herd();
    let args = ["--herd", &herd, "--log-dir", &log];
    let serve = herd_command(&[&["serve", "Riley"], &args[..]].concat()).await;
    assert_eq!(serve.status.code(), Some(2), "{}", err(&serve));
    assert!(
        err(&serve).contains(&format!("can't open the log: {log}")),
        "{}",
        err(&serve)
    );
    let up = herd_command(&[&["up"], &args[..]].concat()).await;
    assert_eq!(up.status.code(), Some(2), "{}", err(&up));
}

#[tokio::test]
async fn a_line_feed_ends_a_line_wherever_it_stands() {
    let files = Files::new().await;
    let mut riley = files.serve("Riley", &[]);
    riley.logs("listens at").await;
    let sent = files.send("Riley", &["a\nb", "c\n", "", "d"]).await;
    assert_eq!(out(&sent), "? a\n? b\n? c\n? \n? d\n");
}

#[tokio::test]
async fn what_is_wrong_shows_before_a_server_begins() {
    let files = Files::at("0.0.0.0").await;
    let herd = files.herd();
    for (args, exit, words) in [
        (&["serve", "Rily"][..], 2, "did you mean `Riley`?"),
        (
            &["serve", "Riley", "--herd", "rily"],
            2,
            "did you mean `riley`?",
        ),
        (
            &["serve", "Riley", "--heartbeat", "2 parsecs"],
            2,
            "no unit of time",
        ),
        (
            &["serve", "Riley", "--log-level", "loud"],
            2,
            "possible values",
        ),
        (
            &["serve", "Riley", "--config", "/no/such.toml"],
            2,
            "no such file",
        ),
        (
            &["serve", "Riley", "--places-key-file", "/no/key"],
            2,
            "can't read the key to Places",
        ),
        (&["serve", "Riley", "--herd", &herd], 2, "--insecure-peers"),
        (&["up", "--herd", "rily"], 2, "did you mean `riley`?"),
        (&["up", "--drain", "soon"], 2, "a duration is a number"),
    ] {
        let ran = herd_command(args).await;
        let said = err(&ran);
        assert_eq!(ran.status.code(), Some(exit), "{args:?}: {said}");
        assert!(
            said.contains(words) && !said.contains(KEY),
            "{args:?}: {said}"
        );
    }
    let mut trusted = files.serve("Riley", &["--insecure-peers"]);
    trusted.logs("listens at 0.0.0.0:").await;
    assert_eq!(trusted.stopped_by("TERM").await, Some(0));
}

#[tokio::test]
async fn settings_come_from_everywhere_and_print_as_a_file() {
    let files = Files::new().await;
    let (config, key) = (files.path("settings.toml"), files.path("key"));
    std::fs::write(
        &config,
        "anti_entropy = \"7s\"\nplaces_key_file = \"key\"\n",
    )
    .unwrap();
    std::fs::write(&key, KEY).unwrap();
    let args = [
        "serve",
        "Riley",
        "--print-config",
        "--config",
        &config,
        "--idle",
        "8s",
    ];
    let mut printing = Process::start(&args, &[("HERD_DRAIN", "9s"), ("HERD_DRIAN", "9s")]);
    assert_eq!(printing.ended().await, Some(0));
    let said = printing.said();
    let words = said.split_whitespace().collect::<Vec<_>>().join(" ");
    for line in [
        format!("anti_entropy = \"7s\" # {config}:1"),
        "idle = \"8s\" # --idle".to_owned(),
        "drain = \"9s\" # HERD_DRAIN".to_owned(),
        format!("# the key to Places is from the file `{key}`"),
        "did you mean `HERD_DRAIN`?".to_owned(),
    ] {
        assert!(words.contains(&line), "no {line:?} in:\n{said}");
    }
    assert!(!said.contains(KEY), "the key shows");
}

#[tokio::test]
async fn send_prints_exact_answers_and_exits_1_without_one() {
    let files = Files::new().await;
    let mut riley = files.serve("Riley", &[]);
    riley.logs("listens at").await;
    let herd = files.herd();
    let input = "IAMAT kiwi +1-1 5\n\nWHATSAT kiwi 1 1\nlast";
    let sent = herd_command_with(&["send", "--herd", &herd, "Riley"], input).await;
    let text = out(&sent);
    let (at, rest) = text.split_once('\n').expect("lines");
    assert!(
        at.starts_with("AT Riley +") && at.ends_with(" kiwi +1-1 5"),
        "{text}"
    );
    let middle = rest
        .strip_prefix(&format!("? \n{at}\n{{\n"))
        .expect("the AT line again, and JSON");
    assert!(
        middle.ends_with("\"status\" : \"REQUEST_DENIED\"\n}\n\n? last\n"),
        "{text}"
    );
    assert_eq!((sent.status.code(), err(&sent)), (Some(0), String::new()));

    let sent = herd_command(&[
        "send",
        "--json",
        "--herd",
        &herd,
        "Riley",
        "WHATSAT kiwi 1 1",
        "x",
    ])
    .await;
    let text = out(&sent);
    let objects: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(
        objects[0]["answer"]
            .as_str()
            .unwrap()
            .starts_with(&format!("{at}\n{{")),
        "{text}"
    );
    assert_eq!((&objects[1]["answer"], objects.len()), (&"? x".into(), 2));
    assert!(objects[1]["nanoseconds"].as_u64().unwrap() > 0);

    // The server closes the connection after a line that is too long.
    let long = "x".repeat(5000);
    let sent = files.send("Riley", &[&long, "too late"]).await;
    assert_eq!(out(&sent), format!("? {}\n", &long[..4096]));
    assert_eq!(sent.status.code(), Some(1));
    assert!(
        err(&sent).contains("no answer to `too late`"),
        "{}",
        err(&sent)
    );

    assert_eq!(riley.stopped_by("TERM").await, Some(0));
    let address = format!("127.0.0.1:{}", files.port("Riley"));
    let sent = herd_command(&["send", &address, "x"]).await;
    assert_eq!(sent.status.code(), Some(1));
    assert!(
        err(&sent).contains(&format!("can't connect to {address}")),
        "{}",
        err(&sent)
    );
    for (server, words) in [
        ("127.0.0.1:x", "write HOST:PORT"),
        ("Rily", "did you mean `Riley`?"),
    ] {
        let sent = herd_command(&["send", server, "x"]).await;
        assert_eq!(sent.status.code(), Some(2));
        assert!(err(&sent).contains(words), "{}", err(&sent));
    }
}

#[tokio::test]
async fn send_gives_up_on_a_server_that_is_silent() {
    let silent = tokio::net::TcpListener::bind(("127.0.0.1", 0))
        .await
        .unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let sent = herd_command(&["send", "--timeout", "50ms", &address, "x"]).await;
    assert_eq!(sent.status.code(), Some(1));
    assert!(
        err(&sent).contains("no answer to `x`: silence for 50ms"),
        "{}",
        err(&sent)
    );
}

/// Runs `herd send` against a server that writes `part` of an answer, and then resets, closes or
/// keeps the connection.
async fn answered_in_part(part: &'static [u8], then: &str, more: &[&str]) -> std::process::Output {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
        .await
        .expect("it works");
    let address = listener.local_addr().expect("it works").to_string();
    let args = [&["send", "--timeout", "200ms", &address], more].concat();
    let answering = async {
        let (mut stream, _) = listener.accept().await.expect("it works");
        // A connection that ends with unread bytes is reset by the system.
        stream.read_exact(&mut [0; 1]).await.expect("it works");
        stream.write_all(part).await.expect("it works");
        match then {
            "stays" => Some(stream),
            "closes" => {
                let mut rest = [0; 100];
                stream.shutdown().await.expect("it works");
                while stream.read(&mut rest).await.is_ok_and(|read| read > 0) {}
                None
            }
            _ => None,
        }
    };
    tokio::join!(herd_command(&args), answering).0
}

#[tokio::test]
async fn what_came_of_an_answer_is_shown_before_the_error() {
    for (then, why) in [
        ("stays", "its end did not come within 200ms"),
        ("closes", "the server closed the connection in its midst"),
        ("resets", "reset"),
    ] {
        let sent = answered_in_part(b"AT Riley +0.1 ki\xff", then, &["x y"]).await;
        assert_eq!(sent.status.code(), Some(1));
        // A reset can overtake bytes that were sent before it.
        if then != "resets" || !sent.stdout.is_empty() {
            assert_eq!(sent.stdout, b"AT Riley +0.1 ki\xff\n", "{then}");
            let said = "no whole answer to `x y`, only the 17 bytes above: ";
            assert!(err(&sent).contains(said), "{then}: {}", err(&sent));
        }
        assert!(err(&sent).contains(why), "{then}: {}", err(&sent));
    }
    let args = ["--json", "WHATSAT kiwi 1 1"];
    let sent = answered_in_part(b"AT Riley +0.1 kiwi\n{", "stays", &args).await;
    let json: serde_json::Value = serde_json::from_slice(&sent.stdout).unwrap();
    assert_eq!(json["received"], "AT Riley +0.1 kiwi\n{");
    assert_eq!(json["answer"], serde_json::Value::Null);
    assert_eq!(json["error"], "its end did not come within 200ms");
}

#[tokio::test]
async fn json_loses_no_byte_of_an_answer() {
    let answer = b"? a\xff\\b\xc3\xa9\n";
    let sent = answered_in_part(answer, "closes", &["--json", "x"]).await;
    let json: serde_json::Value = serde_json::from_slice(&sent.stdout).unwrap();
    assert_eq!(json["answer_escaped"], "? a\\xff\\\\b\u{e9}");
    assert_eq!((json.get("answer"), &json["line"]), (None, &"x".into()));
    let sent = answered_in_part(b"? a\\\n", "closes", &["--json", "x"]).await;
    let json: serde_json::Value = serde_json::from_slice(&sent.stdout).unwrap();
    assert_eq!(
        (&json["answer"], json.get("answer_escaped")),
        (&"? a\\".into(), None)
    );
}

//! `herd status` and `herd health`, which need nothing but the program.

use proxy_herd::version;
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;

use crate::deploy::herd::{Files, Process, eventually, herd_command};
use crate::ran::{err, out};

const ANYWHERE: [&str; 2] = ["--admin", "127.0.0.1:0"];

#[tokio::test]
async fn status_shows_each_server_with_links_records_and_version() {
    let files = Files::new().await;
    files.link(&["Riley-Jaquez", "Jaquez-Juzang"]);
    let mut riley = files.serve("Riley", &ANYWHERE);
    let mut jaquez = files.serve(
        "Jaquez",
        &[&ANYWHERE[..], &["--ready-grace=200ms"]].concat(),
    );
    let (at_riley, at_jaquez) = (riley.admin().await, jaquez.admin().await);
    at_riley.is_ready().await;
    at_jaquez.is_ready().await;
    (files.ask("Riley", "IAMAT kiwi +1-1 5").await).expect("an answer");
    at_jaquez.reaches("herd_clients", 1.0).await;
    let both = ["status", "--admin", &at_riley.0, "--admin", &at_jaquez.0];
    let shown = herd_command(&both).await;
    assert_eq!(shown.status.code(), Some(0), "{}", out(&shown));
    let text = out(&shown);
    let row = |beginning: &[&str]| {
        let mut lines = text
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>());
        let found = lines.find(|words| words.starts_with(beginning));
        found
            .unwrap_or_else(|| panic!("no {beginning:?} in:\n{text}"))
            .join(" ")
    };
    let build = format!("{} {} {}", version::VERSION, version::COMMIT, version::DATE);
    assert!(
        row(&["Riley", "ready"]).starts_with("Riley ready 1 of 1 1 0 "),
        "{text}"
    );
    assert!(
        row(&["Jaquez", "ready"]).starts_with("Jaquez ready 1 of 2 1 "),
        "{text}"
    );
    assert!(row(&["Riley", "ready"]).ends_with(&build), "{text}");
    assert!(
        row(&["Riley", "Jaquez"]).starts_with("Riley Jaquez synchronised 0"),
        "{text}"
    );
    assert!(
        row(&["Jaquez", "Juzang"]).starts_with("Jaquez Juzang down "),
        "{text}"
    );
    assert!(text.contains("Riley came up empty") && text.ends_with("2 of 2 servers are ready\n"));

    let shown = herd_command(&[&both[..], &["--json"]].concat()).await;
    let json: Value = serde_json::from_str(&out(&shown)).expect("JSON");
    let status = &json["servers"][0]["status"];
    assert_eq!(
        (&json["ready"], &status["server"]),
        (&true.into(), &"Riley".into())
    );
    assert_eq!(
        (&status["herd"], &status["records"]),
        (&"test".into(), &1.into())
    );
    assert_eq!(status["commit"], version::COMMIT);
    assert_eq!(status["links"][0]["peer"], "Jaquez");
    assert_eq!(json["servers"][1]["status"]["links"][1]["up"], false);
}

#[tokio::test]
async fn status_shows_who_does_not_answer_and_who_is_not_ready() {
    let files = Files::new().await;
    let mut riley = files.serve("Riley", &[&ANYWHERE[..], &["--ready-grace=1m"]].concat());
    let at_riley = riley.admin().await;
    // This listener completes connections, but nothing answers.
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let at_silent = silent.local_addr().expect("bound").to_string();
    let herd = files.herd();
    let nowhere = "127.0.0.1:1";
    let addresses = [&*at_riley.0, nowhere, &at_silent, &at_riley.0, nowhere];
    let mut args = vec!["status", "--herd", &herd, "--timeout", "300ms"];
    args.extend(addresses.iter().flat_map(|at| ["--admin", at]));
    let shown = herd_command(&args).await;
    assert_eq!(shown.status.code(), Some(1));
    let text = out(&shown);
    for words in [
        "Riley is not ready: Jaquez is not reached yet",
        "Jaquez: Connection refused",
        &format!("Juzang: no answer within 300ms ({at_silent})"),
        &format!(
            "Campbell: Riley of the herd test answers there ({})",
            at_riley.0
        ),
        "0 of 5 servers are ready",
    ] {
        assert!(text.contains(words), "no {words:?} in:\n{text}");
    }
    args.push("--json");
    let json: Value = serde_json::from_str(&out(&herd_command(&args).await)).expect("JSON");
    assert_eq!(json["ready"], false);
    assert_eq!(json["servers"][1]["server"], "Jaquez");
    assert!(json["servers"][1]["error"].is_string() && json["servers"][1]["status"].is_null());
    let wrong = [
        "status", "--herd", &herd, "--admin", nowhere, "--admin", nowhere,
    ];
    let wrong = herd_command(&wrong).await;
    assert_eq!(wrong.status.code(), Some(2));
    assert!(
        err(&wrong).contains("5 servers in the herd `test`"),
        "{}",
        err(&wrong)
    );
    let hostless = herd_command(&["status", "--admin", ":9600"]).await;
    assert_eq!(hostless.status.code(), Some(2));
    assert!(err(&hostless).contains("--herd FILE"), "{}", err(&hostless));
}

#[tokio::test]
async fn what_is_no_admin_listener_is_called_so() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let at = listener.local_addr().expect("bound").to_string();
    let (status, health) = (["status", "--admin", &at], ["health", "--admin", &at]);
    let stranger = async {
        for answer in [&b"? GET /status HTTP/1.1\n"[..], b"SSH-2.0-x\r\n"] {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            // The client may have closed the connection when it had read enough.
            let _ = stream.write_all(answer).await;
        }
    };
    let asking = async { (herd_command(&status).await, herd_command(&health).await) };
    let ((status, health), ()) = tokio::join!(asking, stranger);
    let words = "what answers there is no admin listener";
    assert!(out(&status).contains(words), "{}", out(&status));
    assert!(err(&health).contains(words), "{}", err(&health));
    assert_eq!(
        [status.status.code(), health.status.code()],
        [Some(1), Some(1)]
    );
}

#[tokio::test]
async fn health_is_an_exit_code_for_ready_and_for_alive() {
    let files = Files::new().await;
    files.link(&["Riley-Jaquez"]);
    let mut riley = files.serve("Riley", &[&ANYWHERE[..], &["--ready-grace=1m"]].concat());
    let at = riley.admin().await.0;
    let ready = ["health", "--admin", &at];
    let waits = herd_command(&ready).await;
    assert_eq!(waits.status.code(), Some(1));
    assert_eq!(out(&waits), "Jaquez is not reached yet\n");
    let alive = herd_command(&["health", "--live", "--admin", &at]).await;
    assert_eq!((alive.status.code(), &*out(&alive)), (Some(0), "alive\n"));
    let jaquez = files.serve("Jaquez", &[]);
    eventually("Riley is ready", async || {
        (herd_command(&ready).await.status.success()).then_some(())
    })
    .await;
    drop(jaquez);
    // The server's own environment variable gives the address, and the unspecified address includes
    // this machine.
    let (_, port) = at.rsplit_once(':').expect("a port");
    let everywhere = format!("0.0.0.0:{port}");
    let mut health = Process::start(&["health"], &[("HERD_ADMIN", &everywhere)]);
    assert_eq!(health.ended().await, Some(0), "{}", health.said());
    let mut wrong = Process::start(&["health"], &[("HERD_ADMIN", "9600")]);
    assert_eq!(wrong.ended().await, Some(2));
    assert!(
        wrong.said().contains("bad `HERD_ADMIN`"),
        "{}",
        wrong.said()
    );
    assert_eq!(riley.stopped_by("TERM").await, Some(0));
    let gone = herd_command(&ready).await;
    assert_eq!(gone.status.code(), Some(1));
    assert!(
        err(&gone).contains(&format!("can't ask {at}: ")),
        "{}",
        err(&gone)
    );
}

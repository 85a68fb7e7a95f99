//! Monitoring by operators: metrics, health, records.

use std::collections::BTreeSet;
use std::time::Duration;

use proxy_herd::admin::FAMILIES;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use wiremock::matchers::method;
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::deploy::KEY;
use crate::deploy::herd::{
    Admin, Files, Process, eventually, exchange, free_port, herd_command, within,
};
use crate::ran::err;

const ANYWHERE: [&str; 2] = ["--admin", "127.0.0.1:0"];

/// The names of metrics in a scrape. It checks that each line has the allowed form.
fn families(scrape: &str) -> BTreeSet<String> {
    let mut families = BTreeSet::new();
    for line in scrape.lines() {
        if let Some(about) = line.strip_prefix("# ") {
            let mut words = about.split(' ');
            assert!(matches!(words.next(), Some("HELP" | "TYPE")), "{line}");
            families.insert(words.next().expect("a name").to_owned());
            continue;
        }
        let (sample, value) = line.rsplit_once(' ').expect("a value");
        value.parse::<f64>().expect("a number");
        let name = sample.split('{').next().expect("a name");
        let known = families
            .iter()
            .any(|family| name.starts_with(family.as_str()));
        assert!(known, "{line} comes before its family");
    }
    families
}

/// Checks the counts of a server that got one client's update, a WHATSAT about it, and one about
/// another client.
async fn counts(admin: &Admin) {
    // This may be counted after the client has its answer.
    let latency = "herd_client_latency_seconds_count{answer";
    admin
        .reaches(&format!("{latency}=\"at_once\"}}"), 2.0)
        .await;
    admin
        .reaches(&format!("{latency}=\"looked_up\"}}"), 1.0)
        .await;
    for (sample, value) in [
        (
            "herd_client_lines_total{kind=\"iamat\",outcome=\"accepted\"}",
            1.0,
        ),
        (
            "herd_client_lines_total{kind=\"whatsat\",outcome=\"looked_up\"}",
            1.0,
        ),
        (
            "herd_client_lines_total{kind=\"whatsat\",outcome=\"unknown_client\"}",
            1.0,
        ),
        ("herd_look_ups_total{status=\"unreachable\"}", 1.0),
        ("herd_link_up{peer=\"Jaquez\"}", 1.0),
        ("herd_link_synchronised{peer=\"Juzang\"}", 1.0),
        ("herd_ready", 1.0),
        ("herd_clients", 1.0),
        ("herd_connections_opened_total{with=\"client\"}", 3.0),
        ("herd_connections{with=\"server\"}", 2.0),
        ("herd_client_latency_seconds_count{answer=\"at_once\"}", 2.0),
        (
            "herd_client_latency_seconds_count{answer=\"looked_up\"}",
            1.0,
        ),
        ("herd_places_latency_seconds_count", 1.0),
    ] {
        assert_eq!(admin.metric(sample).await, Some(value), "{sample}");
    }
}

/// Checks what a neighbour counts and stores of the update.
async fn tells_of(there: &Admin, told: &str) {
    there
        .reaches("herd_updates_total{outcome=\"accepted\"}", 1.0)
        .await;
    there
        .reaches("herd_update_hops_bucket{le=\"1\"}", 1.0)
        .await;
    there
        .reaches("herd_update_delay_seconds_bucket{le=\"60\"}", 1.0)
        .await;
    let (status, json) = there.get("/records?client=ki%2Fwi").await;
    let record: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let told: Vec<&str> = told.split_whitespace().collect();
    let said = ["origin", "skew", "client", "location", "time"].map(|field| record[field].as_str());
    assert_eq!((status, &told[1..]), (200, &said.map(Option::unwrap)[..]));
    assert_eq!(record["hops"], 1);
    assert_eq!(there.get("/records?client=nobody").await.0, 404);
    assert_eq!(there.get("/records").await.0, 400);
}

#[tokio::test]
async fn metrics_health_and_records_tell_what_happened() {
    let files = Files::new().await;
    std::fs::write(files.path("key"), KEY).unwrap();
    let key = files.path("key");
    // Metrics of the disk are there with a disk.
    let data = format!("--data-dir={}", files.path("records"));
    let nowhere = [
        "--places-key-file",
        &key,
        "--places-url",
        "http://127.0.0.1:1/",
        "--places-retries=0",
    ];
    let mut riley = files.serve(
        "Riley",
        &[&ANYWHERE[..], &nowhere, &["--ready-grace=1m", &*data]].concat(),
    );
    let admin = riley.admin().await;
    assert_eq!(admin.get("/livez").await, (200, "alive\n".to_owned()));
    let (status, why) = admin.get("/readyz").await;
    assert_eq!(
        (status, why.as_str()),
        (
            503,
            "Jaquez is not reached yet\nJuzang is not reached yet\n"
        )
    );
    let mut jaquez = files.serve("Jaquez", &ANYWHERE);
    let juzang = files.serve("Juzang", &[]);
    admin.is_ready().await;
    let told = files
        .ask("Riley", "IAMAT ki/wi +1-1 5")
        .await
        .expect("an answer");
    files
        .ask("Riley", "WHATSAT ki/wi 1 1")
        .await
        .expect("an answer");
    files
        .ask("Riley", "WHATSAT nobody 1 1")
        .await
        .expect("an answer");
    counts(&admin).await;
    let (_, scrape) = admin.get("/metrics").await;
    let names: BTreeSet<String> = FAMILIES
        .iter()
        .map(|family| family.name.to_owned())
        .collect();
    assert_eq!(families(&scrape), names);
    assert!(!scrape.contains(KEY), "the key shows");

    tells_of(&jaquez.admin().await, &told).await;

    // The death of a neighbour does not make a server unready.
    drop(juzang);
    admin
        .reaches("herd_link_downs_total{peer=\"Juzang\"}", 1.0)
        .await;
    assert_eq!(admin.get("/readyz").await.0, 200);
    assert_eq!(riley.stopped_by("TERM").await, Some(0));
    assert_eq!(jaquez.stopped_by("TERM").await, Some(0));
}

#[tokio::test]
async fn a_server_whose_neighbours_are_dead_is_ready_in_the_end() {
    let files = Files::new().await;
    let mut riley = files.serve("Riley", &[&ANYWHERE[..], &["--ready-grace=300ms"]].concat());
    let admin = riley.admin().await;
    admin.is_ready().await;
    riley.logs("ready").await;
}

#[tokio::test]
async fn strangers_at_the_admin_listener_harm_nobody() {
    let files = Files::new().await;
    let mut riley = files.serve("Riley", &ANYWHERE);
    let admin = riley.admin().await;
    let head = format!(
        "GET /metrics HTTP/1.1\r\nx: {}\r\n\r\n",
        "y".repeat(100_000)
    );
    for (request, status) in [
        (&b"POST /metrics HTTP/1.1\r\nhost: x\r\n\r\n"[..], " 405 "),
        (b"GET /etc/passwd HTTP/1.1\r\nhost: x\r\n\r\n", " 404 "),
        (b"IAMAT kiwi +1-1 5\n\n", " 400 "),
        (&[0xff, 0, 0x80].repeat(1000), ""),
        (head.as_bytes(), " 431 "),
    ] {
        let answer = exchange(&admin.0, request).await;
        assert!(answer.contains(status), "{answer}");
    }
    // More silent connections than the limit: the oldest are closed for new ones, and clients
    // notice nothing.
    let mut silent = Vec::new();
    for _ in 0..40 {
        silent.push(TcpStream::connect(&admin.0).await.unwrap());
    }
    files
        .ask("Riley", "IAMAT kiwi +1-1 5")
        .await
        .expect("an answer");
    drop(silent);
    assert_eq!(admin.get("/livez").await.0, 200);
    assert_eq!(riley.stopped_by("TERM").await, Some(0));
}

#[tokio::test]
async fn up_gives_each_server_an_admin_port_of_its_own() {
    let files = Files::new().await;
    let first = eventually("five ports in a row", async || {
        let first = free_port().await;
        for port in first..first + 5 {
            tokio::net::TcpListener::bind(("127.0.0.1", port))
                .await
                .ok()?;
        }
        Some(first)
    })
    .await;
    let (herd, logs, admin) = (
        files.herd(),
        files.path("logs"),
        format!("127.0.0.1:{first}"),
    );
    let args = ["up", "--herd", &herd, "--log-dir", &logs, "--admin", &admin];
    let mut up = Process::start(&args, &[("HERD_ADMIN", "127.0.0.1:1")]);
    up.says(&format!("admin at 127.0.0.1:{}, ", first + 4))
        .await;
    for port in first..first + 5 {
        Admin(format!("127.0.0.1:{port}")).is_ready().await;
    }
    assert_eq!(up.stopped_by("TERM").await, Some(0), "{}", up.said());
}

#[tokio::test]
async fn operators_are_not_served_where_others_reach_it_unless_told() {
    let files = Files::new().await;
    let herd = files.herd();
    let args = ["serve", "Riley", "--herd", &herd, "--admin", "0.0.0.0:0"];
    let ran = herd_command(&args).await;
    assert_eq!(ran.status.code(), Some(2));
    assert!(err(&ran).contains("--insecure-admin"), "{}", err(&ran));
    let mut trusted = files.serve("Riley", &["--admin", "0.0.0.0:0", "--insecure-admin"]);
    trusted.logs("admin at 0.0.0.0:").await;
}

#[tokio::test]
async fn who_holds_connections_and_asks_nothing_keeps_no_operator_out() {
    let files = Files::new().await;
    let mut riley = files.serve("Riley", &ANYWHERE);
    let admin = riley.admin().await;
    let mut held = Vec::new();
    for _ in 0..200 {
        let mut stream = TcpStream::connect(&admin.0).await.expect("a connection");
        // The first connections are closed before the end.
        let _ = stream.write_all(b"GET /livez HT").await;
        held.push(stream);
    }
    let asked = exchange(&admin.0, b"GET /livez HTTP/1.1\r\n\r\n");
    let answer = tokio::time::timeout(Duration::from_secs(9), asked).await;
    let answer = answer.expect("an answer before any deadline of those that say nothing");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    // A client that closes its sending half after the request is answered, too.
    let mut stream = TcpStream::connect(&admin.0).await.expect("a connection");
    let request = b"GET /livez HTTP/1.1\r\n\r\n";
    stream.write_all(request).await.expect("it is open");
    stream.shutdown().await.expect("it is open");
    let mut answer = String::new();
    let read = stream.read_to_string(&mut answer).await;
    read.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert_eq!(riley.stopped_by("TERM").await, Some(0));
}

#[tokio::test]
async fn a_herd_that_came_up_empty_says_so_until_somebody_remembers() {
    let empty = "herd_came_up_empty";
    let files = Files::new().await;
    files.link(&["Riley-Jaquez", "Juzang-Jaquez"]);
    let mut jaquez = files.serve(
        "Jaquez",
        &[&ANYWHERE[..], &["--ready-grace=200ms"]].concat(),
    );
    let at_jaquez = jaquez.admin().await;
    jaquez
        .logs("came up empty: of 2 neighbours 0 told all they know")
        .await;
    at_jaquez.reaches(empty, 1.0).await;
    files
        .ask("Jaquez", "IAMAT kiwi +1-1 5")
        .await
        .expect("an answer");
    // A client's newer update does not bring old records back.
    assert_eq!(at_jaquez.metric(empty).await, Some(1.0));
    // A server that starts later gets the records from before its start.
    let now = ["--ready-grace=1m"];
    let mut riley = files.serve("Riley", &[&ANYWHERE[..], &now].concat());
    let at_riley = riley.admin().await;
    at_riley.is_ready().await;
    assert_eq!(at_riley.metric(empty).await, Some(0.0));
    assert!(!riley.said().contains("came up empty"), "{}", riley.said());
    // If all servers restart at once, all records are lost, whatever clients send afterwards.
    for server in [&mut riley, &mut jaquez] {
        assert_eq!(server.stopped_by("TERM").await, Some(0));
    }
    let mut herd = ["Riley", "Jaquez"]
        .map(|name| files.serve(name, &[&ANYWHERE[..], &["--ready-grace=300ms"]].concat()));
    for server in &mut herd {
        server.logs("came up empty").await;
        let admin = server.admin().await;
        assert_eq!(admin.metric(empty).await, Some(1.0));
    }
}

#[tokio::test]
async fn latency_is_from_when_a_line_came_until_its_answer_is_written() {
    let google = MockServer::start().await;
    let late = ResponseTemplate::new(200).set_delay(Duration::from_millis(300));
    Mock::given(method("GET"))
        .respond_with(late)
        .mount(&google)
        .await;
    let files = Files::new().await;
    let (herd, url) = (files.herd(), format!("{}/nearby", google.uri()));
    let args = ["serve", "Riley", "--herd", &herd, "--places-url", &url];
    let mut riley = Process::start(&[&args[..], &ANYWHERE].concat(), &[("PLACES_API_KEY", KEY)]);
    let admin = riley.admin().await;
    // All lines arrive at once, and two of them need a look-up. The lines before these don't wait,
    // and the lines after them are not counted.
    let mut lines = "IAMAT kiwi +1-1 5\n".repeat(3) + "WHATSAT kiwi 1 1\nWHATSAT kiwi 2 1\n?\n";
    lines += &"?\n".repeat(40);
    exchange_all(&files.address("Riley"), lines.as_bytes()).await;
    let count = |answer: &str| format!("herd_client_latency_seconds_count{{answer=\"{answer}\"}}");
    admin.reaches(&count("looked_up"), 2.0).await;
    assert_eq!(admin.metric(&count("at_once")).await, Some(3.0));
    for (sample, value) in [
        (
            "herd_client_latency_seconds_bucket{answer=\"looked_up\",le=\"0.25\"}",
            0.0,
        ),
        (
            "herd_client_latency_seconds_bucket{answer=\"looked_up\",le=\"+Inf\"}",
            2.0,
        ),
        (
            "herd_client_latency_seconds_bucket{answer=\"at_once\",le=\"+Inf\"}",
            3.0,
        ),
        ("herd_places_latency_seconds_bucket{le=\"0.25\"}", 0.0),
        ("herd_places_latency_seconds_count", 2.0),
    ] {
        assert_eq!(admin.metric(sample).await, Some(value), "{sample}");
    }
    let sum = |answer: &str| format!("herd_client_latency_seconds_sum{{answer=\"{answer}\"}}");
    let looked_up = admin.metric(&sum("looked_up")).await.expect("a sum");
    let at_once = admin.metric(&sum("at_once")).await.expect("a sum");
    assert!(
        looked_up >= 0.6 && at_once < looked_up,
        "{at_once} {looked_up}"
    );
}

/// Sends some bytes, closes the sending half, and returns all answers.
async fn exchange_all(at: &str, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(at).await.expect("a server");
    stream.write_all(bytes).await.expect("it is open");
    stream.shutdown().await.expect("it is open");
    let mut answer = String::new();
    let read = within("all answers", stream.read_to_string(&mut answer));
    read.await.expect("answers");
    answer
}

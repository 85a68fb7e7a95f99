//! An operator forgets a client in a herd of real processes.

use serde_json::Value;

use crate::deploy::herd::{Admin, Files, Process, SERVERS, eventually, exchange, herd_command};
use crate::ran::{err, out};

const TOKEN: &str = "an-operators-own-token";

/// The answer of a server about a client: the HTTP status, and the JSON.
async fn record(admin: &Admin, client: &str) -> (u16, Value) {
    let (status, json) = admin.get(&format!("/records?client={client}")).await;
    (status, serde_json::from_str(&json).unwrap_or_default())
}

/// Waits until a server's record of kiwi has this location.
async fn knows(name: &str, admin: &Admin, location: &str) {
    eventually(&format!("kiwi at {location}, at {name}"), async || {
        let (status, record) = record(admin, "kiwi").await;
        (status == 200 && record["location"] == location).then_some(())
    })
    .await;
}

#[tokio::test]
#[expect(
    clippy::too_many_lines,
    reason = "one story from its beginning to its end"
)]
async fn a_pinned_client_is_freed_for_good_by_asking_one_server() {
    let files = Files::new().await;
    let token = files.path("token");
    std::fs::write(&token, format!("{TOKEN}\n")).expect("written");
    let more = [
        "--admin=127.0.0.1:0",
        "--admin-token-file",
        &token,
        // This limit allows the update far in the future that the test is about.
        "--future-limit=8760h",
        "--heartbeat=200ms",
        "--anti-entropy=500ms",
        "--redial-least=20ms",
        "--redial-most=100ms",
    ];
    let start = |name| files.serve(name, &more);
    let mut herd: Vec<Process> = SERVERS.map(start).into();
    let mut admins = Vec::new();
    for server in &mut herd {
        let admin = server.admin().await;
        admin.is_ready().await;
        admins.push(admin);
    }
    let told = files
        .ask("Riley", "IAMAT plum +1-1 {now}")
        .await
        .expect("an answer");
    let now = told.trim_end().rsplit([' ', '.']).nth(1).expect("a time");
    let now: u64 = now.parse().expect("seconds");
    let pin = format!("IAMAT kiwi +0-0 {}", now + 300 * 24 * 3600);
    files.ask("Riley", &pin).await.expect("an answer");
    for (name, admin) in SERVERS.iter().zip(&admins) {
        knows(name, admin, "+0-0").await;
    }
    files
        .ask("Campbell", "IAMAT kiwi +34-118 {now}")
        .await
        .expect("an answer");
    assert_eq!(
        record(&admins[3], "kiwi").await.1["location"],
        "+0-0",
        "it is pinned"
    );

    // Bernard is frozen during the forgetting, and has its old records when it continues.
    herd[4].signal("STOP").await;
    let forget = [
        "forget",
        "kiwi",
        "--token-file",
        &token,
        "--admin",
        &admins[0].0,
    ];
    let forgotten = herd_command(&forget).await;
    assert_eq!(forgotten.status.code(), Some(0), "{}", err(&forgotten));
    assert!(out(&forgotten).starts_with("kiwi is forgotten: it was at +0-0 at "));
    let again = herd_command(&[&forget[..], &["--json"]].concat()).await;
    let json: Value = serde_json::from_str(&out(&again)).expect("JSON");
    assert_eq!(
        (&json["was_forgotten"], &json["generation"]),
        (&true.into(), &1.into())
    );
    herd[4].signal("CONT").await;
    for (name, admin) in SERVERS.iter().zip(&admins) {
        eventually(&format!("{name} has forgotten kiwi"), async || {
            let (status, record) = record(admin, "kiwi").await;
            (status == 404 && record["generation"] == 1).then_some(())
        })
        .await;
        let asked = files.ask(name, "WHATSAT kiwi 1 1").await;
        assert_eq!(asked.as_deref(), Some("? WHATSAT kiwi 1 1\n"));
        assert_eq!(admin.metric("herd_clients").await, Some(1.0), "{name}");
        assert_eq!(
            admin.metric("herd_clients_forgotten").await,
            Some(1.0),
            "{name}"
        );
    }
    // This update is older than the forgotten one, but every server accepts it.
    files
        .ask("Bernard", "IAMAT kiwi +34-118 {now}")
        .await
        .expect("an answer");
    for (name, admin) in SERVERS.iter().zip(&admins) {
        knows(name, admin, "+34-118").await;
    }
    for (position, name) in SERVERS.iter().enumerate() {
        let ended = herd[position].stopped_by("TERM").await;
        assert_eq!(ended, Some(0), "{}", herd[position].said());
        herd[position] = start(name);
        let admin = herd[position].admin().await;
        admin.is_ready().await;
        knows(name, &admin, "+34-118").await;
        assert_eq!(record(&admin, "kiwi").await.1["generation"], 1);
    }
    let said: String = herd.iter().map(Process::said).collect();
    assert!(!said.contains(TOKEN), "the token shows");
}

#[tokio::test]
#[expect(
    clippy::too_many_lines,
    reason = "one story from its beginning to its end"
)]
async fn nobody_without_the_token_has_anything_forgotten() {
    let files = Files::new().await;
    let (token, wrong, config) = (
        files.path("token"),
        files.path("wrong"),
        files.path("settings.toml"),
    );
    std::fs::write(&token, TOKEN).expect("written");
    std::fs::write(&wrong, TOKEN.to_uppercase()).expect("written");
    std::fs::write(&config, "").expect("written");
    let mut riley = files.serve("Riley", &["--admin=127.0.0.1:0", "--config", &config]);
    let admin = riley.admin().await;
    files
        .ask("Riley", "IAMAT kiwi +1-1 5")
        .await
        .expect("an answer");
    let forget = async |client: &str, token: &str| {
        let args = ["forget", client, "--token-file", token, "--admin", &admin.0];
        let ran = herd_command(&args).await;
        (ran.status.code(), out(&ran) + &err(&ran))
    };
    let (code, said) = forget("kiwi", &token).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("no admin token") && said.contains("help: start the server with"),
        "{said}"
    );

    std::fs::write(&config, "admin_token_file = \"token\"\n").expect("written");
    riley.signal("HUP").await;
    riley.logs("settings are reloaded").await;
    let (code, said) = forget("kiwi", &wrong).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("help: the token's file must hold"), "{said}");
    for (request, status) in [
        (
            "GET /forget?client=kiwi HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(),
            " 405 ",
        ),
        (
            "POST /forget?client=kiwi HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(),
            " 401 ",
        ),
        (
            format!("POST /forget HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\n\r\n"),
            " 400 ",
        ),
        (
            "POST /records?client=kiwi HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(),
            " 405 ",
        ),
    ] {
        let answer = exchange(&admin.0, request.as_bytes()).await;
        assert!(answer.contains(status), "{answer}");
    }
    assert_eq!(record(&admin, "kiwi").await.0, 200);
    let (code, said) = forget("plum", &token).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("nothing is known of this client"), "{said}");
    assert_eq!(forget("kiwi", &files.path("none")).await.0, Some(2));
    assert_eq!(forget("ki wi", &token).await.0, Some(2));
    assert_eq!(forget("kiwi", &token).await.0, Some(0));
    riley.logs("forgets kiwi: an operator wants that").await;
    assert_eq!(record(&admin, "kiwi").await.0, 404);
    assert_eq!(riley.stopped_by("TERM").await, Some(0));
    let nobody = forget("kiwi", &token).await;
    assert_eq!(nobody.0, Some(1), "{}", nobody.1);
    assert!(!riley.said().contains(TOKEN), "the token shows");

    std::fs::write(&token, "short").expect("written");
    let herd = files.herd();
    let args = [
        "serve",
        "Riley",
        "--herd",
        &herd,
        "--admin-token-file",
        &token,
    ];
    let ran = herd_command(&args).await;
    assert_eq!(ran.status.code(), Some(2), "{}", err(&ran));
    assert!(
        err(&ran).contains("there is no admin token in"),
        "{}",
        err(&ran)
    );
}

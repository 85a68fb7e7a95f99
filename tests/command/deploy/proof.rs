//! Authentication of servers as an operator sets it up: `herd certs`, a secret, and the failure of
//! servers without credentials.

use std::time::Duration;

use proxy_herd::certs::Authority;
use proxy_herd::net::Net as _;
use proxy_herd::net::tokio::TokioNet;
use proxy_herd::protocol::time::Timestamp;

use super::herd::{Files, Process, SERVERS, eventually, exchange, herd_command};

/// Files of a herd, with the certificates that `herd certs` makes.
async fn certified() -> Files {
    let files = Files::new().await;
    let made = herd_command(&[
        "certs",
        "--herd",
        &files.herd(),
        "--out",
        &files.path("tls"),
    ])
    .await;
    assert!(made.status.success());
    files
}

/// The flags by which a server shows the certificate of `as_whom`.
fn proof(files: &Files, as_whom: &str) -> Vec<String> {
    let tls = files.path("tls");
    vec![
        format!("--peer-authorities={tls}/authority.pem"),
        format!("--peer-certificate={tls}/{as_whom}.pem"),
        format!("--peer-key={tls}/{as_whom}.key"),
    ]
}

fn serve(files: &Files, name: &str, flags: &[String]) -> Process {
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    files.serve(name, &flags)
}

/// The answer of a server to a WHATSAT about a client.
async fn asked(files: &Files, server: &str, client: &str) -> Option<String> {
    files.ask(server, &format!("WHATSAT {client} 10 5")).await
}

/// A stranger connects to the port for servers and sends a forged update. It must have no effect.
async fn spoof(files: &Files, server: &str) {
    let lines = b"HELLO 1 test Jaquez 0123456789abcdef\nAT 0 Jaquez +0.1 evil +1-1 5\n";
    exchange(&files.peer_address(server), lines).await;
    let answer = asked(files, server, "evil").await.expect("an answer");
    assert!(answer.starts_with("? WHATSAT evil"), "{answer}");
}

#[tokio::test]
async fn servers_with_certificates_are_a_herd_and_nobody_else_gets_in() {
    let files = certified().await;
    let start = |name: &str, as_whom: &str| serve(&files, name, &proof(&files, as_whom));
    let mut herd: Vec<Process> = SERVERS.iter().map(|name| start(name, name)).collect();
    for server in &mut herd {
        server.logs("all links are synchronised").await;
    }
    let told = files
        .ask("Riley", "IAMAT kiwi +34.068930-118.445127 5")
        .await;
    assert!(told.expect("an answer").starts_with("AT Riley "));
    let known = async || {
        let answer = asked(&files, "Campbell", "kiwi").await?;
        answer.starts_with("AT Riley ").then_some(())
    };
    eventually("the update at Campbell", known).await;
    spoof(&files, "Bernard").await;
    let at = SERVERS.iter().position(|name| *name == "Juzang");
    let juzang = &mut herd[at.expect("a server")];
    assert_eq!(juzang.stopped_by("TERM").await, Some(0));
    // This certificate is of the same herd, but for another server.
    *juzang = start("Juzang", "Campbell");
    assert_eq!(juzang.ended().await, Some(2));
    assert!(
        juzang.said().contains("not for Juzang"),
        "{}",
        juzang.said()
    );
    // This certificate is for this server, but from an authority that the others don't trust.
    let foreign = files.path("foreign");
    let made = herd_command(&["certs", "--herd", &files.herd(), "--out", &foreign]).await;
    assert!(made.status.success());
    let mut flags = proof(&files, "Juzang");
    flags[1] = format!("--peer-certificate={foreign}/Juzang.pem");
    flags[2] = format!("--peer-key={foreign}/Juzang.key");
    *juzang = serve(&files, "Juzang", &flags);
    let at = SERVERS.iter().position(|name| *name == "Bernard");
    herd[at.expect("a server")]
        .logs("refused: the certificate of the other server is by an authority that is not trusted here: `peer-authorities` must hold")
        .await;
    let all = herd[2].said();
    assert!(!all.contains("is up"), "{all}");
}

#[tokio::test]
async fn servers_with_a_secret_are_a_herd_until_one_of_them_has_another() {
    let files = Files::new().await;
    let secret = |name: &str, text: &str| {
        std::fs::write(files.path(name), text).expect("written");
        vec![format!("--peer-secret-file={}", files.path(name))]
    };
    let ours = secret("ours", "correct horse battery staple\n");
    let mine = secret("mine", "correct horse battery staple\n");
    let mut riley = serve(&files, "Riley", &mine);
    let mut jaquez = serve(&files, "Jaquez", &ours);
    riley.logs("synchronised with Jaquez").await;
    jaquez.logs("synchronised with Riley").await;
    spoof(&files, "Riley").await;
    // A missing secret must not disable authentication.
    std::fs::remove_file(files.path("mine")).expect("it was there");
    riley.signal("HUP").await;
    riley.logs("reloads nothing").await;
    // Another secret ends the link at once.
    secret("mine", "another secret of some length\n");
    riley.signal("HUP").await;
    riley.logs("settings are reloaded").await;
    riley.logs("link to Jaquez is down").await;
    jaquez.logs("link to Riley is down").await;
    // The first secret brings the link back.
    secret("mine", "correct horse battery staple\n");
    riley.signal("HUP").await;
    let again =
        async || (riley.said().matches("synchronised with Jaquez").count() == 2).then_some(());
    eventually("the link again", again).await;
    let said = riley.said() + &jaquez.said();
    assert!(!said.contains("battery") && !said.contains("another secret"));
}

#[tokio::test]
async fn up_gives_each_server_its_own_certificate() {
    let files = certified().await;
    let (herd, logs, certs) = (files.herd(), files.path("logs"), files.path("tls"));
    let args = ["up", "--herd", &herd, "--log-dir", &logs, "--certs", &certs];
    let mut up = Process::start(&args, &[]);
    up.says("all links are synchronised").await;
    spoof(&files, "Campbell").await;
    assert_eq!(up.stopped_by("TERM").await, Some(0), "{}", up.said());
    files.gone().await;
}

#[tokio::test]
async fn a_client_speaks_tls_with_the_server_that_it_means_and_no_other() {
    let files = certified().await;
    let tls = files.path("tls");
    let clients = [
        format!("--client-certificate={tls}/Riley.pem"),
        format!("--client-key={tls}/Riley.key"),
    ];
    let mut riley = serve(&files, "Riley", &clients);
    riley.logs("listens at").await;
    let send = async |more: &[&str]| {
        let herd = files.herd();
        let args = [&["send", "--herd", &herd], more].concat();
        let sent = herd_command(&args).await;
        let said = [sent.stdout, sent.stderr].concat();
        (sent.status.code(), String::from_utf8(said).expect("UTF-8"))
    };
    let authority = format!("--tls-authorities={tls}/authority.pem");
    let address = files.address("Riley");
    let answered = (Some(0), "? hello\n".to_owned());
    assert_eq!(send(&[&authority, "Riley", "hello"]).await, answered);
    let named = [&*authority, "--tls-name=riley", &address, "hello"];
    assert_eq!(send(&named).await, answered);
    let (code, said) = send(&[&authority, &address, "hello"]).await;
    assert_eq!(code, Some(1));
    let words = "the certificate of the server is for Riley, not for 127.0.0.1; `--tls-name` gives the name";
    assert!(said.contains(words), "{said}");
    let (code, said) = send(&["Riley", "hello"]).await;
    assert_eq!(code, Some(1));
    assert!(said.contains("wants TLS"), "{said}");

    let herd = files.herd();
    let load = async |more: &[&str]| {
        let args = [
            "load",
            "--herd",
            &herd,
            "Riley",
            "-n=50",
            "-c=2",
            "--whatsat=20",
        ];
        let ran = herd_command(&[&args, more].concat()).await;
        let said = [ran.stdout, ran.stderr].concat();
        (ran.status.code(), String::from_utf8(said).expect("UTF-8"))
    };
    let (code, said) = load(&[&authority]).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.starts_with("50 answers in ") && said.contains("WHATSAT"),
        "{said}"
    );
    let (code, said) = load(&[&authority, "--tls-name=Campbell", "--timeout=100ms"]).await;
    assert_eq!(code, Some(1), "{said}");
    let words = "the certificate of the server is for Riley, not for Campbell";
    assert!(said.contains(words), "{said}");
}

#[tokio::test]
async fn a_server_that_proves_nothing_says_so_and_is_not_ready() {
    let files = certified().await;
    let mut jaquez = serve(&files, "Jaquez", &proof(&files, "Jaquez"));
    jaquez.logs("listens at").await;
    // Bernard dials its neighbours, of which Juzang and Campbell don't run.
    let quick = [
        "--ready-grace=500ms".to_owned(),
        "--redial-least=20ms".to_owned(),
        "--redial-most=20ms".to_owned(),
        "--admin=127.0.0.1:0".to_owned(),
    ];
    let mut bernard = serve(&files, "Bernard", &quick);
    bernard.logs("it may want TLS or a secret").await;
    let admin = bernard.admin().await;
    let failures = "herd_link_connect_failures_total{peer=\"Jaquez\"}";
    admin.reaches(failures, 5.0).await;
    bernard.logs("not ready in time").await;
    let (status, why) = admin.get("/readyz").await;
    assert_eq!(status, 503);
    assert!(
        why.contains("neighbours are reachable, but the handshake is rejected"),
        "{why}"
    );
    // The warning is logged once, however often Bernard retries, and names the peer.
    let said = bernard.said();
    let warnings = said.lines().filter(|line| line.contains("may want TLS"));
    let warnings: Vec<&str> = warnings.collect();
    assert_eq!(warnings.len(), 1, "{said}");
    assert!(warnings[0].contains("Jaquez (127.0.0.1:"), "{warnings:?}");
    jaquez.logs("it may not speak TLS").await;
    // The end that is dialled does not learn the other's name. It is not ready either.
    let other = format!("--peer-secret-file={}", files.path("other"));
    std::fs::write(files.path("other"), "a secret of some length").expect("written");
    // The ports of the killed server must be free before the next one starts.
    assert_eq!(jaquez.stopped_by("KILL").await, None);
    let mut jaquez = files.serve("Jaquez", &[&other, "--ready-grace=500ms", &quick[3]]);
    let admin = jaquez.admin().await;
    jaquez.logs("not ready in time").await;
    assert_eq!(admin.get("/readyz").await.0, 503);
}

#[tokio::test]
async fn a_server_whose_certificate_has_expired_gets_no_link_and_the_others_do() {
    let files = certified().await;
    let day = Duration::from_hours(24);
    let now = u128::try_from(TokioNet.now().as_nanos()).expect("after 1970");
    let long_ago = Timestamp::from_nanos(now - 3 * day.as_nanos());
    let old = Authority::new("test", long_ago, day).expect("an authority");
    let expired = old.server("Bernard").expect("a certificate");
    let write = |name: &str, text: &str| {
        std::fs::write(files.path(name), text).expect("written");
    };
    write("tls/Bernard.pem", &expired.certificate);
    write("tls/Bernard.key", &expired.key);
    let trusted = std::fs::read_to_string(files.path("tls/authority.pem")).expect("it is there");
    write("tls/authority.pem", &(trusted + &old.certificate()));
    let [mut riley, mut juzang, mut bernard] =
        ["Riley", "Juzang", "Bernard"].map(|name| serve(&files, name, &proof(&files, name)));
    // Both Bernard and Riley dial Juzang.
    juzang
        .logs("refused: the certificate of the other server, or of its authority, expired on 20")
        .await;
    let told = "refused: the other server says that this server's certificate (`peer-certificate`) has expired: renew it";
    bernard.logs(told).await;
    // Bernard also logs that its own certificate has expired.
    bernard
        .logs("tls/Bernard.pem (`peer-certificate`) expired on 20")
        .await;
    riley.logs("synchronised with Juzang").await;
    let said = juzang.said();
    assert!(!said.contains("link to Bernard is up"), "{said}");
}

#[tokio::test]
async fn certificates_are_reloaded_whole_or_not_at_all() {
    let files = certified().await;
    let [mut riley, jaquez] =
        ["Riley", "Jaquez"].map(|name| serve(&files, name, &proof(&files, name)));
    riley.logs("synchronised with Jaquez").await;
    // The first file contains no certificate; the second contains another certificate's key.
    let (certificate, key) = (files.path("tls/Riley.pem"), files.path("tls/Riley.key"));
    let good = std::fs::read(&certificate).expect("it is there");
    std::fs::write(&certificate, "nothing\n").expect("written");
    riley.signal("HUP").await;
    riley
        .logs("tls/Riley.pem: there is no certificate in it")
        .await;
    std::fs::write(&certificate, good).expect("written");
    std::fs::copy(files.path("tls/Jaquez.key"), &key).expect("copied");
    riley.signal("HUP").await;
    let refused = async || (riley.said().matches("reloads nothing").count() == 2).then_some(());
    eventually("another refusal", refused).await;
    assert!(!riley.said().contains("is down"), "{}", riley.said());
    // All certificates are replaced by those of another authority. The link ends, and comes back
    // when both servers have reloaded.
    let (herd, tls) = (files.herd(), files.path("tls"));
    let made = herd_command(&["certs", "--force", "--herd", &herd, "--out", &tls]).await;
    assert!(made.status.success());
    riley.signal("HUP").await;
    riley
        .logs("link to Jaquez is down: refused: the certificate of the other server")
        .await;
    jaquez.signal("HUP").await;
    let again =
        async || (riley.said().matches("synchronised with Jaquez").count() == 2).then_some(());
    eventually("the link again", again).await;
    let said = riley.said() + &jaquez.said();
    for name in ["Riley", "Jaquez"] {
        let key = std::fs::read_to_string(files.path(&format!("tls/{name}.key"))).expect("a key");
        let line = key.lines().nth(1).expect("a line of it");
        assert!(!said.contains(line), "the key shows");
    }
}

#[tokio::test]
async fn half_of_what_a_proof_needs_is_a_mistake() {
    let files = Files::new().await;
    for (flags, said) in [
        (
            &["--peer-key", "x"][..],
            "there is `peer-key`, but no `peer-authorities`",
        ),
        (
            &["--client-key", "x"],
            "there is `client-key`, but no `client-certificate`",
        ),
        (
            &["--peer-secret-file", "/nowhere/at/all"],
            "/nowhere/at/all",
        ),
    ] {
        let mut server = files.serve("Riley", flags);
        assert_eq!(server.ended().await, Some(2));
        assert!(server.said().contains(said), "{}", server.said());
    }
}

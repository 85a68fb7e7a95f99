//! Each limit is reached in a process of the real server, which serves other clients all the while.

use std::sync::Arc;
use std::time::Duration;

use proxy_herd::admin::limits;
use rand::rngs::ChaCha8Rng;
use rand::{Rng as _, SeedableRng as _};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use wiremock::matchers::method;
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::deploy::KEY;
use crate::deploy::herd::{Admin, Files, Process, eventually, exchange, herd_command, within};

async fn riley(files: &Files, more: &[&str]) -> (Process, Admin) {
    begin("Riley", files, more).await
}

async fn begin(name: &str, files: &Files, more: &[&str]) -> (Process, Admin) {
    let begin = ["--admin=127.0.0.1:0", "--ready-grace=1ms"];
    let mut server = files.serve(name, &[&begin, more].concat());
    let admin = server.admin().await;
    (server, admin)
}

/// A client that stays connected.
struct Client(TcpStream);

impl Client {
    async fn new(at: &str) -> Self {
        Self(TcpStream::connect(at).await.expect("a connection"))
    }

    async fn says(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.expect("it is open");
    }

    /// Reads the next line of an answer, without its terminator, or an empty one at the end.
    async fn hears(&mut self) -> String {
        let hears = async {
            let mut line = Vec::new();
            while let Ok(byte) = self.0.read_u8().await
                && byte != b'\n'
            {
                line.push(byte);
            }
            String::from_utf8(line).expect("UTF-8")
        };
        within("a line", hears).await
    }

    async fn is_served(&mut self) {
        self.says(b"hello\n").await;
        assert_eq!(self.hears().await, "? hello");
    }

    /// Waits until the server closes the connection.
    async fn is_closed(&mut self) {
        let closed = async {
            let mut bytes = [0; 4096];
            while matches!(self.0.read(&mut bytes).await, Ok(1..)) {}
        };
        within("the end of a connection", closed).await;
    }
}

#[tokio::test]
async fn one_address_gets_so_many_connections_and_no_more() {
    let files = Files::new().await;
    let limits = ["--clients-per-address=2", "--peers-per-address=1"];
    let (mut riley, admin) = riley(&files, &limits).await;
    let at = files.address("Riley");
    let (mut first, mut second) = (Client::new(&at).await, Client::new(&at).await);
    first.is_served().await;
    second.is_served().await;
    Client::new(&at).await.is_closed().await;
    admin.meets("clients-per-address").await;
    riley
        .logs(
            "does not take a connection of a client from 127.0.0.1: too many from the same address",
        )
        .await;
    first.is_served().await;
    // A slot that becomes free can be used again.
    drop(second);
    admin
        .reaches(
            "herd_connections_closed_total{with=\"client\",reason=\"ended\"}",
            1.0,
        )
        .await;
    Client::new(&at).await.is_served().await;

    let at = files.peer_address("Riley");
    let _first = Client::new(&at).await;
    Client::new(&at).await.is_closed().await;
    admin.meets("peers-per-address").await;
    first.is_served().await;
}

#[tokio::test]
async fn when_all_places_are_taken_the_next_waits_for_one() {
    let files = Files::new().await;
    let (_riley, admin) = riley(&files, &["--client-connections=1", "--peer-connections=1"]).await;
    let at = files.address("Riley");
    let mut first = Client::new(&at).await;
    first.is_served().await;
    let mut second = Client::new(&at).await;
    second.says(b"hello\n").await;
    admin.meets("client-connections").await;
    let (status, why) = admin.get("/readyz").await;
    assert_eq!(status, 503);
    assert_eq!(why, "no client can come in: too many are connected\n");
    first.is_served().await;
    drop(first);
    assert_eq!(second.hears().await, "? hello");
    let _server = Client::new(&files.peer_address("Riley")).await;
    admin.meets("peer-connections").await;
}

#[tokio::test]
async fn who_is_too_slow_or_says_too_much_is_cut_off() {
    let files = Files::new().await;
    let limits = [
        "--idle=500ms",
        "--half-line=300ms",
        "--hello-deadline=300ms",
        "--write-deadline=300ms",
    ];
    let (mut riley, admin) = riley(&files, &limits).await;
    let at = files.address("Riley");
    let mut half = Client::new(&at).await;
    half.says(b"IAMAT ki").await;
    let mut idle = Client::new(&at).await;
    let mut silent = Client::new(&files.peer_address("Riley")).await;
    let long = exchange(&at, &vec![b'x'; 1 << 20]).await;
    assert_eq!(long, format!("? {}\n", "x".repeat(4096)));
    // This client sends more and more lines and never reads.
    let mut deaf = Client::new(&at).await;
    let lines = [vec![b'x'; 4000], b"\n".to_vec()].concat().repeat(100);
    within("somebody deaf is cut off", async {
        while deaf.0.write_all(&lines).await.is_ok() {}
    })
    .await;
    half.is_closed().await;
    idle.is_closed().await;
    silent.is_closed().await;
    for limit in [
        "half-line",
        "idle",
        "hello-deadline",
        "client-line",
        "write-deadline",
    ] {
        admin.meets(limit).await;
    }
    Client::new(&at).await.is_served().await;
    assert_eq!(riley.stopped_by("TERM").await, Some(0));
}

#[tokio::test]
async fn a_time_in_milliseconds_is_refused_and_one_in_seconds_taken() {
    let files = Files::new().await;
    let (_riley, admin) = riley(&files, &[]).await;
    let mut client = Client::new(&files.address("Riley")).await;
    client
        .says(b"IAMAT kiwi +1-1 1621464827000\nIAMAT kiwi +2-2 1621464827\n")
        .await;
    assert_eq!(client.hears().await, "? IAMAT kiwi +1-1 1621464827000");
    assert!(client.hears().await.ends_with(" kiwi +2-2 1621464827"));
    admin.meets("future-limit").await;
}

#[tokio::test]
async fn so_many_clients_are_remembered_and_so_long() {
    let files = Files::new().await;
    let (_riley, admin) = riley(&files, &["--clients=1", "--time-to-live=1s"]).await;
    let mut client = Client::new(&files.address("Riley")).await;
    client
        .says(b"IAMAT kiwi +1-1 5\nIAMAT plum +1-1 5\nIAMAT kiwi +2-2 6\n")
        .await;
    assert!(client.hears().await.ends_with(" kiwi +1-1 5"));
    assert_eq!(client.hears().await, "? IAMAT plum +1-1 5");
    assert!(client.hears().await.ends_with(" kiwi +2-2 6"));
    admin.meets("clients").await;
    admin.reaches("herd_records_expired_total", 1.0).await;
    client.says(b"WHATSAT kiwi 1 1\nIAMAT plum +1-1 5\n").await;
    assert_eq!(client.hears().await, "? WHATSAT kiwi 1 1");
    assert!(client.hears().await.ends_with(" plum +1-1 5"));
}

#[tokio::test]
async fn what_clients_have_a_server_remember_has_a_limit_in_bytes() {
    let files = Files::new().await;
    let (_riley, admin) = riley(&files, &["--record-bytes=10000"]).await;
    let mut client = Client::new(&files.address("Riley")).await;
    let line = |client: char| format!("IAMAT {} +1-1 5", client.to_string().repeat(4000));
    for (client_of, is_taken) in [('a', true), ('b', true), ('c', false)] {
        let line = line(client_of);
        client.says(format!("{line}\n").as_bytes()).await;
        let answer = client.hears().await;
        assert_eq!(answer.starts_with("AT "), is_taken, "{client_of}");
    }
    admin.meets("clients").await;
    client.says(b"IAMAT kiwi +1-1 5\n").await;
    assert!(client.hears().await.starts_with("AT "));
}

#[tokio::test]
async fn strangers_that_say_nothing_keep_no_neighbour_out() {
    let files = Files::new().await;
    let limits = ["--peer-connections=8", "--hello-deadline=1h"];
    let (mut jaquez, admin) = {
        let mut jaquez = files.serve("Jaquez", &[&["--admin=127.0.0.1:0"][..], &limits].concat());
        let admin = jaquez.admin().await;
        (jaquez, admin)
    };
    let at = files.peer_address("Jaquez");
    let mut strangers = Vec::new();
    for _ in 0..20 {
        strangers.push(Client::new(&at).await);
    }
    admin.meets("peer-connections").await;
    // The first stranger was closed for the last one.
    strangers[0].is_closed().await;
    let mut riley = files.serve("Riley", &[]);
    riley.logs("synchronised with Jaquez").await;
    // A link that is up keeps its slot.
    for _ in 0..20 {
        strangers.push(Client::new(&at).await);
    }
    strangers[20].is_closed().await;
    assert_eq!(
        admin.metric("herd_link_downs_total{peer=\"Riley\"}").await,
        Some(0.0)
    );
    assert_eq!(
        admin.metric("herd_link_up{peer=\"Riley\"}").await,
        Some(1.0)
    );
    assert_eq!(riley.stopped_by("TERM").await, Some(0));
    assert_eq!(jaquez.stopped_by("TERM").await, Some(0));
}

#[tokio::test]
async fn strangers_at_the_port_for_servers_do_not_fill_the_log() {
    let files = Files::new().await;
    let since = tokio::time::Instant::now();
    let (mut riley, admin) = riley(&files, &["--peers-per-address=1000"]).await;
    let at = files.peer_address("Riley");
    for _ in 0..500 {
        let mut stranger = Client::new(&at).await;
        stranger.says(b"nonsense\n").await;
        assert_eq!(stranger.hears().await, "BYE HELLO must come first");
    }
    let refused = "herd_connections_closed_total{with=\"server\",reason=\"refused\"}";
    admin.reaches(refused, 500.0).await;
    Client::new(&files.address("Riley")).await.is_served().await;
    assert_eq!(riley.stopped_by("TERM").await, Some(0));
    let said = riley.said();
    let warnings = said.matches("HELLO must come first").count();
    assert!(warnings > 0 && warnings as u64 <= most(since), "{said}");
    assert!(
        said.contains(" more like this: refused, from 127.0.0.1"),
        "{said}"
    );
}

/// The limit on similar log lines since that time: a few for each window, however slow the machine
/// is.
fn most(since: tokio::time::Instant) -> u64 {
    5 * (since.elapsed().as_secs() / 10 + 2)
}

#[tokio::test]
async fn a_stranger_that_passes_for_a_neighbour_does_not_fill_the_log() {
    let files = Files::new().await;
    let since = tokio::time::Instant::now();
    let (mut jaquez, admin) = begin("Jaquez", &files, &["--peers-per-address=1000"]).await;
    let at = files.peer_address("Jaquez");
    for boot in 0..300 {
        let mut stranger = Client::new(&at).await;
        let hello = format!("HELLO 1 test Riley {boot:016x}\n");
        stranger.says(hello.as_bytes()).await;
        let greeting = stranger.hears().await;
        assert!(greeting.starts_with("HELLO "), "{greeting}");
    }
    admin
        .reaches("herd_link_downs_total{peer=\"Riley\"}", 299.0)
        .await;
    admin.reaches("herd_log_lines_left_out_total", 1.0).await;
    assert_eq!(jaquez.stopped_by("TERM").await, Some(0));
    let said = jaquez.said();
    for of_link in ["link to Riley is up", "link to Riley is down"] {
        let lines = said.matches(of_link).count();
        assert!(lines > 0 && lines as u64 <= most(since), "{said}");
    }
    assert!(
        said.contains(" more like this: link is up, Riley"),
        "{said}"
    );
}

#[tokio::test]
async fn what_a_stranger_says_is_cut_in_the_log() {
    let files = Files::new().await;
    let (mut riley, _admin) = riley(&files, &[]).await;
    let mut stranger = Client::new(&files.peer_address("Riley")).await;
    let reason = "a very long story ".repeat(3000);
    stranger.says(format!("BYE {reason}\n").as_bytes()).await;
    stranger.is_closed().await;
    riley.logs("refused: a very long story").await;
    assert_eq!(riley.stopped_by("TERM").await, Some(0));
    let said = riley.said();
    let longest = said.lines().map(str::len).max();
    assert!(longest < Some(1000), "{longest:?} bytes");
}

#[tokio::test]
async fn clients_that_are_too_many_do_not_fill_the_log() {
    let files = Files::new().await;
    let (mut riley, admin) = riley(&files, &["--clients-per-address=2"]).await;
    let at = files.address("Riley");
    let _first = Client::new(&at).await;
    let since = tokio::time::Instant::now();
    for round in 1..=200 {
        // A connection is accepted in between, so the next refusal is a new event.
        let mut taken = Client::new(&at).await;
        taken.is_served().await;
        Client::new(&at).await.is_closed().await;
        drop(taken);
        let ended = "herd_connections_closed_total{with=\"client\",reason=\"ended\"}";
        admin.reaches(ended, f64::from(round)).await;
    }
    assert_eq!(riley.stopped_by("TERM").await, Some(0));
    let said = riley.said();
    let warning =
        "does not take a connection of a client from 127.0.0.1: too many from the same address";
    let warnings = said.matches(warning).count();
    assert!(warnings > 0 && warnings as u64 <= most(since), "{said}");
    assert!(said.contains(" more like this: does not take"), "{said}");
}

#[tokio::test]
async fn so_many_look_ups_are_under_way() {
    let google = MockServer::start().await;
    let late = ResponseTemplate::new(200).set_delay(Duration::from_mins(1));
    Mock::given(method("GET"))
        .respond_with(late)
        .mount(&google)
        .await;
    let files = Files::new().await;
    std::fs::write(files.path("key"), KEY).unwrap();
    let (key, url) = (files.path("key"), google.uri());
    let limits = [
        "--places-key-file",
        &key,
        "--places-url",
        &url,
        "--places-in-flight=1",
        "--places-deadline=500ms",
        "--places-attempt-deadline=500ms",
    ];
    let (_riley, admin) = riley(&files, &limits).await;
    let at = files.address("Riley");
    let mut first = Client::new(&at).await;
    first.says(b"IAMAT kiwi +1-1 5\n").await;
    assert!(first.hears().await.starts_with("AT "));
    let mut others = Vec::new();
    for _ in 0..200 {
        others.push(Client::new(&at).await);
    }
    // All look-ups differ, so each needs its own request. One is in flight; the deadlines of those
    // that began in the same millisecond end together.
    for (at, other) in others.iter_mut().enumerate() {
        other
            .says(format!("WHATSAT kiwi 1.{at} 1\n").as_bytes())
            .await;
    }
    Client::new(&at).await.is_served().await;
    admin.meets("places-in-flight").await;
    admin
        .reaches("herd_look_ups_total{status=\"late\"}", 1.0)
        .await;
}

/// Changes the limit on open files of a running process.
#[cfg(target_os = "linux")]
fn may_have(process: &Process, files: u64) {
    use rustix::process::{Pid, Resource, Rlimit, prlimit};
    let pid = i32::try_from(process.pid()).ok().and_then(Pid::from_raw);
    let limit = Rlimit {
        current: Some(files),
        maximum: Some(1000),
    };
    prlimit(pid, Resource::Nofile, limit).expect("it may be lowered");
}

/// The number of the process's next descriptor. With this as its limit it can't get it.
#[cfg(target_os = "linux")]
fn next_descriptor(process: &Process) -> u64 {
    let folder = std::fs::read_dir(format!("/proc/{}/fd", process.pid())).expect("it runs");
    let open: Vec<u64> = folder
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    (0..100_000)
        .find(|next| !open.contains(next))
        .expect("there are few")
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn without_descriptors_who_is_there_is_served_and_others_later() {
    let files = Files::new().await;
    // Dials of neighbours that don't run must not use descriptors meanwhile.
    let flags = [
        "--client-connections=100",
        "--redial-least=1h",
        "--redial-most=1h",
    ];
    let (mut riley, admin) = riley(&files, &flags).await;
    let at = files.address("Riley");
    let mut early = Client::new(&at).await;
    early.is_served().await;
    // A dial in progress has a descriptor, which is free when the dial has failed.
    for neighbour in ["Jaquez", "Juzang"] {
        riley.logs(&format!("can't connect to {neighbour}")).await;
    }
    may_have(&riley, next_descriptor(&riley));
    let mut late = Client::new(&at).await;
    riley
        .logs("does not take a connection of a client: too many open files")
        .await;
    early.is_served().await;
    may_have(&riley, 1000);
    late.is_served().await;
    early.is_served().await;
    admin.meets("open-files").await;
    admin.is_ready().await;
    assert_eq!(riley.stopped_by("TERM").await, Some(0));
}

#[tokio::test]
async fn clients_leave_descriptors_for_everybody_else() {
    let google = MockServer::start().await;
    Mock::given(method("GET"))
        .respond_with(ResponseTemplate::new(200).set_body_string("{}"))
        .mount(&google)
        .await;
    let files = Files::new().await;
    std::fs::write(files.path("key"), KEY).unwrap();
    let (herd, logs, key, url) = (
        files.herd(),
        files.path("logs"),
        files.path("key"),
        google.uri(),
    );
    let args = [
        &["serve", "Riley", "--herd", &herd, "--log-dir", &logs][..],
        &["--places-key-file", &key, "--places-url", &url],
        &["--admin=127.0.0.1:0", "--ready-grace=1ms"],
        &["--log-size=4096"],
    ];
    let mut jaquez = files.serve("Jaquez", &[]);
    let mut riley = Process::with_few_files(100, &args.concat());
    let admin = riley.admin().await;
    riley.logs("this process may have 100 files open").await;
    jaquez.logs("synchronised with Riley").await;
    admin.is_ready().await;
    let at = files.address("Riley");
    let mut early = Client::new(&at).await;
    early.is_served().await;
    let mut others = Vec::new();
    for _ in 0..200 {
        others.push(Client::new(&at).await);
    }
    admin.meets("client-connections").await;
    assert_eq!(admin.get("/livez").await.0, 200);
    let (status, why) = admin.get("/readyz").await;
    assert_eq!(status, 503);
    assert_eq!(why, "no client can come in: too many are connected\n");
    assert_eq!(jaquez.stopped_by("TERM").await, Some(0));
    let mut jaquez = files.serve("Jaquez", &[]);
    jaquez.logs("synchronised with Riley").await;
    early.says(b"IAMAT kiwi +1-1 5\nWHATSAT kiwi 1 1\n").await;
    assert!(early.hears().await.starts_with("AT "));
    assert!(early.hears().await.starts_with("AT "));
    let asked = google.received_requests().await.expect("it remembers");
    assert_eq!(asked.len(), 1);
    early.says(&b"hello\n".repeat(200)).await;
    let put_aside = std::path::Path::new(&logs).join("log-Riley.txt.1");
    let is_there = async || put_aside.exists().then_some(());
    eventually("a log that is put aside", is_there).await;
    drop(others);
    admin.is_ready().await;
    assert_eq!(riley.stopped_by("TERM").await, Some(0));
}

#[tokio::test]
async fn who_has_too_few_descriptors_for_anybody_does_not_begin() {
    let files = Files::new().await;
    let herd = files.herd();
    let mut riley = Process::with_few_files(50, &["serve", "Riley", "--herd", &herd]);
    assert_eq!(riley.ended().await, Some(2));
    let said = riley.said();
    assert!(
        said.contains("this process may have 50 files open"),
        "{said}"
    );
    assert!(said.contains("`ulimit -n`"), "{said}");
}

#[tokio::test]
async fn thousands_that_say_nothing_cost_the_others_nothing() {
    use rustix::process::{Resource, getrlimit};
    let allowed = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    // The other ends of these connections are in this process, which has further descriptors.
    let many = usize::try_from(allowed)
        .unwrap_or(usize::MAX)
        .saturating_sub(500)
        .min(5000);
    let files = Files::new().await;
    let (mut riley, admin) = riley(&files, &["--clients-per-address=10000"]).await;
    let at = files.address("Riley");
    let mut idle = Vec::new();
    for _ in 0..many {
        idle.push(TcpStream::connect(&at).await.expect("a connection"));
    }
    #[expect(clippy::cast_precision_loss, reason = "few enough")]
    admin
        .reaches("herd_connections{with=\"client\"}", many as f64)
        .await;
    Client::new(&at).await.is_served().await;
    assert_eq!(riley.stopped_by("TERM").await, Some(0));
}

/// Sends garbage to each listener, repeatedly.
async fn harass(listeners: &[String]) {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for round in 0..30 {
        for at in listeners {
            let mut bytes = vec![0; 3000];
            rng.fill_bytes(&mut bytes);
            if round % 2 == 0 {
                // With TLS this is the head of a handshake record, so more of the garbage is
                // parsed.
                bytes[..5].copy_from_slice(&[0x16, 3, 1, 0x0b, 0xb3]);
            }
            let mut stream = TcpStream::connect(at).await.expect("a connection");
            let _ = stream.write_all(&bytes).await;
            let _ = stream.shutdown().await;
            let mut answer = Vec::new();
            let _ = within("an end", stream.read_to_end(&mut answer)).await;
        }
    }
}

#[tokio::test]
async fn random_bytes_end_nothing_but_their_connection() {
    let files = Files::new().await;
    let (mut riley, admin) = riley(&files, &[]).await;
    let listeners = [
        files.address("Riley"),
        files.peer_address("Riley"),
        admin.0.clone(),
    ];
    harass(&listeners).await;
    assert_eq!(admin.metric("herd_clients").await, Some(0.0));
    Client::new(&listeners[0]).await.is_served().await;
    assert_eq!(riley.stopped_by("TERM").await, Some(0));
}

#[tokio::test]
async fn random_bytes_where_tls_is_spoken_end_nothing_but_their_connection() {
    let files = Files::new().await;
    let (herd, tls) = (files.herd(), files.path("tls"));
    let made = herd_command(&["certs", "--clients", "--herd", &herd, "--out", &tls]).await;
    assert!(made.status.success());
    let proof = |name: &str| {
        [
            format!("--peer-authorities={tls}/authority.pem"),
            format!("--peer-certificate={tls}/{name}.pem"),
            format!("--peer-key={tls}/{name}.key"),
        ]
    };
    let clients = [
        format!("--client-certificate={tls}/clients.pem"),
        format!("--client-key={tls}/clients.key"),
    ];
    let [of_juzang, of_riley] = [proof("Juzang"), proof("Riley")];
    let flags = of_juzang.iter().chain(&clients).map(String::as_str);
    let flags: Vec<&str> = flags.chain(["--handshake-deadline=500ms"]).collect();
    let (mut juzang, admin) = begin("Juzang", &files, &flags).await;
    // This client sends nothing, so its handshake does not complete.
    let mut mute = Client::new(&files.address("Juzang")).await;
    mute.is_closed().await;
    admin.meets("handshake-deadline").await;
    harass(&[files.address("Juzang"), files.peer_address("Juzang")]).await;
    admin
        .reaches(
            "herd_connections_closed_total{with=\"server\",reason=\"refused\"}",
            30.0,
        )
        .await;
    // A neighbour still gets a link, and a client an answer.
    let mut riley = files.serve("Riley", &of_riley.each_ref().map(String::as_str));
    riley.logs("synchronised with Juzang").await;
    let authority = std::fs::read(files.path("tls/authority.pem")).expect("it is there");
    let stream = TcpStream::connect(files.address("Juzang")).await;
    let stream = stream.expect("a connection");
    let name = ServerName::try_from("127.0.0.1").expect("a name");
    let mut stream = (trusting(&authority).connect(name, stream).await).expect("TLS");
    stream.write_all(b"hello\n").await.expect("it is open");
    let mut answer = [0; 8];
    let read = stream.read_exact(&mut answer);
    within("an answer", read).await.expect("an answer");
    assert_eq!(&answer, b"? hello\n");
    assert_eq!(juzang.stopped_by("TERM").await, Some(0));
}

/// A TLS client that trusts `authority` and has no certificate.
fn trusting(authority: &[u8]) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    let root = CertificateDer::from_pem_slice(authority);
    roots.add(root.expect("PEM")).expect("an authority");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("TLS 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}

#[tokio::test]
async fn whoever_says_more_than_its_rate_is_answered_later() {
    let files = Files::new().await;
    let rates = ["--connection-rate=20", "--address-rate=30"];
    let (mut riley, admin) = riley(&files, &rates).await;
    let at = files.address("Riley");
    let mut hasty = Client::new(&at).await;
    hasty.says(&b"hello\n".repeat(25)).await;
    for _ in 0..25 {
        assert_eq!(hasty.hears().await, "? hello");
    }
    admin.meets("connection-rate").await;
    // Another connection from the same address shares the rate that is left.
    let mut second = Client::new(&at).await;
    second.says(&b"hello\n".repeat(20)).await;
    hasty.says(&b"hello\n".repeat(20)).await;
    for _ in 0..20 {
        assert_eq!(second.hears().await, "? hello");
        assert_eq!(hasty.hears().await, "? hello");
    }
    admin.meets("address-rate").await;
    assert_eq!(riley.stopped_by("TERM").await, Some(0));
}

#[tokio::test]
async fn whoever_asks_for_more_at_a_time_than_it_may_is_answered_all_the_same() {
    let google = MockServer::start().await;
    let slow = ResponseTemplate::new(200)
        .set_body_string("{\"results\": []}")
        .set_delay(Duration::from_millis(300));
    Mock::given(method("GET"))
        .respond_with(slow)
        .mount(&google)
        .await;
    let files = Files::new().await;
    std::fs::write(files.path("key"), KEY).unwrap();
    let (key, url) = (files.path("key"), google.uri());
    let flags = [
        "--places-key-file",
        &key,
        "--places-url",
        &url,
        "--look-ups-per-connection=1",
    ];
    let (mut riley, admin) = riley(&files, &flags).await;
    let mut client = Client::new(&files.address("Riley")).await;
    client
        .says(b"IAMAT kiwi +1-1 5\nWHATSAT kiwi 1 1\nWHATSAT kiwi 2 1\nhello\n")
        .await;
    let mut heard = Vec::new();
    while heard.last().is_none_or(|line| line != "? hello") {
        heard.push(client.hears().await);
    }
    let answers = heard.iter().filter(|line| line.starts_with("AT "));
    assert_eq!(answers.count(), 3);
    admin.meets("look-ups-per-connection").await;
    assert_eq!(riley.stopped_by("TERM").await, Some(0));
}

#[test]
fn each_limit_that_is_counted_is_met_by_a_test_here() {
    let tests = include_str!("limits.rs");
    for limit in limits() {
        // A limit is tested by name, or in the list of slow clients.
        let met = format!("admin.meets(\"{limit}\")");
        let listed = format!("        \"{limit}\",\n");
        assert!(tests.contains(&met) || tests.contains(&listed), "{limit}");
    }
}

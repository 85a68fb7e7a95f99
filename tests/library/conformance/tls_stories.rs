//! Stories about certificates that are valid, invalid or missing.

use std::sync::Arc;
use std::time::Duration;

use proxy_herd::certs::Authority;
use proxy_herd::net::Net as _;
use proxy_herd::net::secure::{ClientTls, Clock, Credentials, Pem};
use proxy_herd::net::tokio::TokioNet;
use proxy_herd::protocol::time::Timestamp;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::guarded::{Guarded, authority, tls};
use super::herd::{Plan, Running, hello};
use super::log::{accepted, closed, link_down, link_up};
use super::wire::{Wire, soon};

/// A connection to the port for servers, without any handshake.
async fn bare(herd: &Running<Guarded>, server: &str) -> Wire<TcpStream> {
    Wire::connect(&TokioNet, herd.peers(server)).await
}

/// A TLS client that trusts `authority` and has no certificate.
fn nobody(authority: &Authority) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    let root = CertificateDer::from_pem_slice(authority.certificate().as_bytes());
    roots.add(root.expect("PEM")).expect("an authority");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("TLS 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}

/// The reasons at both ends, if one of them does not trust the other's authority.
const UNTRUSTED: &str =
    "refused: the certificate of the other server is by an authority that is not trusted here";
const UNTRUSTED_THERE: &str =
    "refused: the other server does not trust the authority that issued this server's certificate";

/// Checks that no link was established, and that both ends report why. `B` dials `A`.
async fn refused(herd: &Running<Guarded>, refusing: &str, being_refused: &str) {
    herd.log("A").wait(refusing, closed(refusing)).await;
    herd.log("B")
        .wait(being_refused, closed(being_refused))
        .await;
    assert_eq!(herd.log("A").count(link_up("B")), 0);
    assert_eq!(herd.log("B").count(link_up("A")), 0);
}

pub(crate) async fn a_certificate_for_another_server_is_refused_by_who_is_dialled(world: Guarded) {
    let one = world.authority();
    world.keyring("B").replace(tls(one, &["C"], &[one]));
    let herd = Plan::new(&world, &["B-A"]).up().await;
    let reason = "refused: the certificate is not for B";
    refused(&herd, reason, reason).await;
}

pub(crate) async fn a_certificate_for_another_server_is_refused_by_who_dials(world: Guarded) {
    let one = world.authority();
    world.keyring("A").replace(tls(one, &["C"], &[one]));
    let herd = Plan::new(&world, &["B-A"]).up().await;
    let refusing = "refused: the certificate of the other server is for C, not for A";
    let told = "refused: the other server does not take this server's certificate";
    refused(&herd, told, refusing).await;
}

pub(crate) async fn an_expired_certificate_is_refused(world: Guarded) {
    let day = Duration::from_hours(24);
    let now = u128::try_from(TokioNet.now().as_nanos()).expect("after 1970");
    let long_ago = Timestamp::from_nanos(now - 3 * day.as_nanos());
    let expired = Authority::new("conf", long_ago, day).expect("an authority");
    let one = world.authority();
    world
        .keyring("A")
        .replace(tls(one, &["A"], &[one, &expired]));
    world.keyring("B").replace(tls(&expired, &["B"], &[one]));
    let herd = Plan::new(&world, &["B-A"]).up().await;
    let refusing = "refused: the certificate of the other server, or of its authority, expired on ";
    let told = "refused: the other server says that this server's certificate (`peer-certificate`) has expired";
    refused(&herd, refusing, told).await;
}

pub(crate) async fn a_certificate_of_a_foreign_authority_is_refused(world: Guarded) {
    world
        .keyring("B")
        .replace(tls(&authority(), &["B"], &[world.authority()]));
    let herd = Plan::new(&world, &["B-A"]).up().await;
    refused(&herd, UNTRUSTED, UNTRUSTED_THERE).await;
}

pub(crate) async fn who_shows_no_certificate_is_refused(world: Guarded) {
    let herd = Plan::new(&world, &["B-A"]).without("B").up().await;
    let stream = bare(&herd, "A").await.into_stream();
    let name = ServerName::try_from("A").expect("a name");
    let shaken = nobody(world.authority()).connect(name, stream).await;
    let mut stream = shaken.expect("the server is who it is");
    let _ = stream.write_all(hello("B").as_bytes()).await;
    let mut rest = Vec::new();
    let read = soon(stream.read_to_end(&mut rest), || "the end".to_owned()).await;
    read.expect_err("an alert");
    assert!(rest.is_empty());
    let reason = "refused: the other server shows no certificate";
    herd.log("A").wait(reason, closed(reason)).await;
}

pub(crate) async fn who_speaks_without_tls_is_not_heard(world: Guarded) {
    let herd = Plan::new(&world, &["B-A"]).without("B").up().await;
    let mut stranger = bare(&herd, "A").await;
    let spoofed = "AT B +1.000000000 kiwi +1-1 5 1\n";
    stranger.say(format!("{}{spoofed}", hello("B"))).await;
    stranger.expect_gone().await;
    let log = herd.log("A");
    log.wait(
        "refusing",
        closed("refused: what the other server sends is no TLS"),
    )
    .await;
    assert_eq!(log.count(link_up("B")) + log.count(accepted("kiwi")), 0);
}

pub(crate) async fn who_speaks_tls_where_nobody_does_gets_no_link(world: Guarded) {
    world.keyring("A").replace(Credentials::default());
    let hasty = |timing: &mut proxy_herd::server::Timing| {
        timing.hello_deadline = Duration::from_millis(300);
    };
    let herd = Plan::new(&world, &["B-A"]).timing(hasty).up().await;
    herd.log("A").wait("closing", closed("")).await;
    herd.log("B").wait("closing", closed("")).await;
    assert_eq!(herd.log("A").count(link_up("B")), 0);
}

pub(crate) async fn half_a_handshake_is_cut_off_and_costs_nobody_else_time(world: Guarded) {
    let hasty = |timing: &mut proxy_herd::server::Timing| {
        timing.hello_deadline = Duration::from_secs(1);
    };
    let plan = Plan::new(&world, &["B-A"]).without("B").timing(hasty);
    let mut herd = plan.up().await;
    let mut halves = Vec::new();
    for _ in 0..3 {
        let mut half = bare(&herd, "A").await;
        // This is the head of a record of 512 bytes, without the rest.
        half.say(b"\x16\x03\x01\x02\x00\x01").await;
        halves.push(half);
    }
    herd.start("B").await;
    let log = herd.log("A");
    log.wait("the link", link_up("B")).await;
    assert_eq!(log.count(closed("no HELLO")), 0, "the link waited for them");
    log.wait_times(3, "the end", closed("no HELLO")).await;
    for mut half in halves {
        half.expect_gone().await;
    }
    assert_eq!(log.count(link_down("")), 0);
}

pub(crate) async fn other_authorities_end_the_links_of_those_who_do_not_satisfy_them(
    world: Guarded,
) {
    let (one, two) = (world.authority(), authority());
    let all = [one, &two];
    world.keyring("A").replace(tls(one, &["A"], &all));
    world.keyring("B").replace(tls(one, &["B"], &all));
    world.keyring("C").replace(tls(&two, &["C"], &all));
    world.keyring("D").replace(tls(one, &["D"], &all));
    let herd = Plan::new(&world, &["B-A", "A-C", "A-D"]).up().await;
    let log = herd.log("A");
    for neighbour in ["B", "C", "D"] {
        log.wait("the link", link_up(neighbour)).await;
    }
    world.keyring("A").replace(tls(&two, &["A"], &[&two]));
    let reason = UNTRUSTED;
    // This counts links that A dialled and links that A accepted.
    log.wait_times(2, reason, link_down(reason)).await;
    herd.log("B")
        .wait("the alert", closed(UNTRUSTED_THERE))
        .await;
    assert_eq!(herd.log("C").count(link_down("")), 0, "it satisfies them");
    // A new certificate brings the link back.
    world.keyring("B").replace(tls(&two, &["B"], &[&two]));
    log.wait_times(2, "the link", link_up("B")).await;
    assert_eq!(log.count(link_up("C")), 1);
}

pub(crate) async fn a_herd_can_be_secured_while_it_runs(world: Guarded) {
    let servers = ["A", "B"];
    let keyrings = servers.map(|name| (name, world.keyring(name)));
    for (_, keyring) in &keyrings {
        keyring.replace(Credentials::default());
    }
    let herd = Plan::new(&world, &["B-A"]).up().await;
    herd.whole().await;
    let one = world.authority();
    for (name, keyring) in keyrings {
        keyring.replace(tls(one, &[name], &[one]));
    }
    let log = herd.log("A");
    log.wait_times(2, "the link", link_up("B")).await;
    log.wait("the end of the open link", link_down("")).await;
}

pub(crate) async fn clients_may_be_given_tls_and_need_no_certificate(world: Guarded) {
    let one = world.authority();
    let issued = one
        .clients(&["localhost", "127.0.0.1"])
        .expect("a certificate");
    let clients = ClientTls::new(
        &Pem::new("the certificate", issued.certificate),
        &Pem::new("the key", issued.key),
        Clock::of(&TokioNet),
    );
    let credentials = Credentials {
        clients: Some(clients.expect("they fit")),
        ..tls(one, &["A"], &[one])
    };
    world.keyring("A").replace(credentials);
    let herd = Plan::new(&world, &["B-A"]).up().await;
    let mut plain = herd.client("A").await;
    plain.say("IAMAT kiwi +1-1 5\n").await;
    plain.expect_gone().await;
    let log = herd.log("A");
    log.wait(
        "closing",
        closed("refused: what the client sends is no TLS"),
    )
    .await;
    let stream = herd.client("A").await.into_stream();
    let name = ServerName::try_from("127.0.0.1").expect("a name");
    let shaken = nobody(one).connect(name, stream).await;
    let mut stream = shaken.expect("the server is where it is");
    let line = b"IAMAT kiwi +1-1 5\n";
    stream.write_all(line).await.expect("it is read");
    stream.shutdown().await.expect("it is read");
    let mut answer = String::new();
    let read = soon(stream.read_to_string(&mut answer), || {
        "an answer".to_owned()
    })
    .await;
    read.expect("an end in good order");
    assert!(answer.starts_with("AT A ") && answer.ends_with(" kiwi +1-1 5\n"));
    herd.log("B").wait("the update", accepted("kiwi")).await;
}

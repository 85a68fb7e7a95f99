//! Handshakes without a network: garbage that must not pass, and the errors that ends report.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ::tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use futures_lite::future::{or, poll_once, zip};
use proptest::prelude::{any, prop};
use proptest::{prop_assert, proptest};
use rustls::HandshakeKind;
use tokio_rustls::TlsStream;

use super::handshake::{Channel, Proof};
use super::{
    CallerTls, ClientTls, Clock, Credentials, End, Keyring, Pem, Proved, Secret, Servers, Stream,
    Tls, is_certifiable, shake,
};
use crate::certs::{Authority, Issued};
use crate::herd::Name;
use crate::net::Net as _;
use crate::net::tokio::TokioNet;

const DAY: Duration = Duration::from_hours(24);

fn secret(bytes: &[u8]) -> Secret {
    Secret::new(bytes, &Name::from("conf")).expect("a secret")
}

fn pem(text: &str) -> Pem {
    Pem::new("somewhere", text)
}

fn tls(authority: &Authority, me: &str, issued: &Issued, clock: Clock) -> Tls {
    let authorities = pem(&authority.certificate());
    let tls = Tls::new(
        me,
        &authorities,
        &pem(&issued.certificate),
        &pem(&issued.key),
        clock,
    );
    tls.expect("they fit")
}

fn authority() -> Authority {
    Authority::new("conf", TokioNet.now(), DAY).expect("an authority")
}

/// Credentials of each kind that requires a proof.
fn both_kinds() -> [Servers; 2] {
    let authority = authority();
    let issued = authority.server("A").expect("a certificate");
    let tls = tls(&authority, "A", &issued, Clock::of(&TokioNet));
    [
        Servers::Secret(secret(b"sixteen bytes ok")),
        Servers::Tls(tls),
    ]
}

async fn shaken(servers: Servers, end: End, bytes: &[u8]) -> io::Result<Proof> {
    let (mine, mut theirs) = duplex(1 << 16);
    let other = async {
        // The handshake may fail before all bytes are written.
        let _ = theirs.write_all(bytes).await;
        let _ = theirs.shutdown().await;
        let mut told = Vec::new();
        let _ = theirs.read_to_end(&mut told).await;
    };
    let shaking = async { shake(servers, end, mine).await.map(|(_, proof)| proof) };
    zip(shaking, other).await.0
}

proptest! {
    /// Bytes from a peer without credentials: each handshake ends, with an error.
    #[test]
    fn nonsense_proves_nothing(
        bytes in prop::collection::vec(any::<u8>(), 0..600),
        head in prop::sample::select(vec![
            b"".as_slice(), b"\n", b"AUTH 1 ", b"PROOF ", b"BYE ", b"\x16\x03\x01\x00\x20\x01",
            b"AUTH 1 00000000000000000000000000000000000000000000000000000000000000ff\nPROOF ",
        ]),
    ) {
        let runtime = ::tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        for servers in both_kinds() {
            for end in [End::Acceptor, End::Dialler("A".to_owned())] {
                let bytes = [head, &bytes].concat();
                let proof = runtime.block_on(shaken(servers.clone(), end, &bytes));
                prop_assert!(proof.is_err(), "{proof:?}");
            }
        }
    }
}

#[::tokio::test]
async fn both_ends_prove_and_what_follows_is_whole() {
    for servers in both_kinds() {
        let (mine, theirs) = duplex(100);
        let stream = |end, side| {
            let proved = Proved::by(Keyring::new(Credentials::default()));
            let handshake = Box::pin(shake(servers.clone(), end, side));
            Stream::<DuplexStream>::shaking(proved, handshake)
        };
        let mut dialler = stream(End::Dialler("A".to_owned()), mine);
        let mut acceptor = stream(End::Acceptor, theirs);
        let long = vec![7; 100_000];
        let saying = async {
            dialler.write_all(&long).await?;
            dialler.shutdown().await
        };
        let mut heard = Vec::new();
        let (said, read) = zip(saying, acceptor.read_to_end(&mut heard)).await;
        said.expect("it is taken");
        read.expect("an end in good order");
        assert!(heard == long);
    }
}

#[::tokio::test]
async fn a_handshake_that_is_given_up_ends_at_once() {
    let (mine, mut theirs) = duplex(100);
    let proved = Proved::by(Keyring::new(Credentials::default()));
    let [_, tls] = both_kinds();
    let shaking = Box::pin(shake(tls, End::Acceptor, mine));
    let mut stream = Stream::shaking(proved.clone(), shaking);
    let mut buffer = [0; 10];
    assert!(poll_once(stream.read(&mut buffer)).await.is_none());
    assert_eq!(proved.refusal("A").as_deref(), Some("nothing was proved"));
    let ended = poll_once(stream.shutdown()).await;
    ended.expect("at once").expect("well");
    assert_eq!(stream.read(&mut buffer).await.expect("the end"), 0);
    assert_eq!(theirs.read(&mut buffer).await.expect("the end"), 0);
}

/// A clock that a test can advance.
#[derive(Clone)]
struct Later(Arc<AtomicU64>);

#[::tokio::test]
async fn a_certificate_that_expires_while_its_owner_is_linked_is_noticed() {
    let later = Later(Arc::default());
    let clock = {
        let later = later.clone();
        Clock::from_fn(move || {
            let passed = Duration::from_secs(later.0.load(Ordering::SeqCst));
            TokioNet.now().saturating_add(passed)
        })
    };
    let authority = authority();
    let issued = authority.server("A").expect("a certificate");
    let tls = tls(&authority, "A", &issued, clock);
    let keyring = Keyring::new(Credentials {
        servers: Servers::Tls(tls.clone()),
        clients: None,
    });
    let (mine, theirs) = duplex(1 << 16);
    let dialled = shake(
        Servers::Tls(tls.clone()),
        End::Dialler("A".to_owned()),
        mine,
    );
    let accepted = shake(Servers::Tls(tls.clone()), End::Acceptor, theirs);
    let (dialled, accepted) = zip(dialled, accepted).await;
    for shaken in [dialled, accepted] {
        let (channel, proof) = shaken.expect("a proof");
        assert!(matches!(channel, Channel::Tls(..)));
        let proved = Proved::by(keyring.clone());
        proved.over(proof);
        assert_eq!(proved.refusal("a"), None, "case does not matter");
        let reason = proved.refusal("B").expect("a reason");
        assert_eq!(reason, "the certificate is not for B");
        later.0.store(0, Ordering::SeqCst);
        assert_eq!(poll_once(proved.revoked()).await, None);
        later.0.store(2 * DAY.as_secs(), Ordering::SeqCst);
        let revoked = poll_once(proved.revoked()).await.expect("a reason");
        let words = "the certificate of the other server, or of its authority, expired on 20";
        assert!(revoked.starts_with(words), "{revoked}");
    }
}

#[::tokio::test]
async fn whoever_waits_hears_of_other_credentials_at_once() {
    let keyring = Keyring::new(Credentials::default());
    let proved = Proved::by(keyring.clone());
    proved.over(Proof::Nothing);
    let order = Mutex::new(Vec::new());
    let waiting = async {
        let reason = proved.revoked().await;
        order.lock().expect("no panic").push(reason);
    };
    let replacing = async {
        keyring.replace(Credentials::default());
        ::tokio::task::yield_now().await;
        order.lock().expect("no panic").push("now".to_owned());
        let [secret, _] = both_kinds();
        keyring.replace(Credentials {
            servers: secret,
            clients: None,
        });
        std::future::pending::<()>().await;
    };
    or(waiting, replacing).await;
    let reason = "servers have to prove who they are in another way now";
    assert_eq!(*order.lock().expect("no panic"), ["now", reason]);
}

/// Whether two connections in a row are both made by whole handshakes.
async fn whole_twice<C: AsyncFn(DuplexStream) -> TlsStream<DuplexStream>>(
    calling: C,
    accepting: impl AsyncFn(DuplexStream) -> io::Result<Channel<DuplexStream>>,
) -> bool {
    let mut kinds = Vec::new();
    for _ in 0..2 {
        let (mine, theirs) = duplex(1 << 16);
        let called = async {
            let mut stream = calling(mine).await;
            // A server's offers to resume the session come after the handshake, before this byte.
            stream.read_exact(&mut [0]).await.expect("a byte");
            stream
        };
        let accepted = async {
            let channel = accepting(theirs).await.expect("a handshake");
            let mut stream = Stream::opened(channel);
            stream.write_all(b"x").await.expect("it is taken");
            stream.flush().await.expect("it is taken");
            stream
        };
        let (called, _accepted) = zip(called, accepted).await;
        kinds.push(called.get_ref().1.handshake_kind());
    }
    kinds == [Some(HandshakeKind::Full); 2]
}

#[::tokio::test]
async fn no_session_of_a_client_is_resumed_even_if_the_other_end_is_willing() {
    let authority = authority();
    let issued = authority.clients(&["A"]).expect("a certificate");
    let clock = || Clock::of(&TokioNet);
    let server = ClientTls::new(&pem(&issued.certificate), &pem(&issued.key), clock());
    let server = server.expect("they fit");
    let caller = CallerTls::new(&pem(&authority.certificate()), clock()).expect("an authority");
    let cases = [
        (caller.resuming(), server.resuming(), false),
        (caller.resuming(), server.clone(), true),
        (caller.clone(), server.resuming(), true),
        (caller, server, true),
    ];
    for (at, (caller, server, is_whole)) in cases.into_iter().enumerate() {
        let calling = async |stream| {
            let stream = caller.connect("A", stream).await.expect("a handshake");
            TlsStream::from(stream)
        };
        let accepting = async |stream| server.accept(stream).await;
        assert_eq!(whole_twice(calling, accepting).await, is_whole, "{at}");
    }
}

#[::tokio::test]
async fn no_session_between_servers_is_resumed_even_if_the_other_end_is_willing() {
    let authority = authority();
    let issued = authority.server("A").expect("a certificate");
    let server = tls(&authority, "A", &issued, Clock::of(&TokioNet));
    let cases = [
        (server.resuming(), server.resuming(), false),
        (server.resuming(), server.clone(), true),
        (server.clone(), server.resuming(), true),
    ];
    for (at, (dialler, acceptor, is_whole)) in cases.into_iter().enumerate() {
        let dialling = async |stream| match dialler.dial("A", stream).await.expect("a handshake") {
            (Channel::Tls(stream, _), _) => *stream,
            _ => panic!("it is TLS"),
        };
        let accepting = async |stream| Ok(acceptor.accept(stream).await?.0);
        assert_eq!(whole_twice(dialling, accepting).await, is_whole, "{at}");
    }
}

#[test]
fn what_does_not_fit_is_told_and_no_key_shows() {
    let one = authority();
    let (a, b) = (one.server("A").unwrap(), one.server("B").unwrap());
    let new = |me: &str, trusted: &str, certificate: &str, key: &str| {
        let clock = Clock::of(&TokioNet);
        let tls = Tls::new(me, &pem(trusted), &pem(certificate), &pem(key), clock);
        tls.map(|tls| format!("{tls:?}"))
            .map_err(|error| error.to_string())
    };
    let trusted = one.certificate();
    assert_eq!(
        new("A", &trusted, &a.certificate, &a.key).unwrap(),
        "Tls { .. }"
    );
    let cases = [
        (
            new("A", &trusted, &b.certificate, &b.key),
            "needs A as a DNS name",
        ),
        (
            new("A", &trusted, &a.certificate, &b.key),
            "not the key of the certificate",
        ),
        (
            new("A", &trusted, &a.key, &a.key),
            "there is no certificate in it",
        ),
        (
            new("A", "", &a.certificate, &a.key),
            "there is no certificate in it",
        ),
        (
            new("A", &trusted, &a.certificate, &trusted),
            "no private key in it",
        ),
        (
            new("A.", &trusted, &a.certificate, &a.key),
            "rename it, or use a secret",
        ),
    ];
    let hidden = a.key.lines().nth(1).expect("base64");
    for (result, wanted) in cases {
        let error = result.expect_err(wanted);
        assert!(error.contains(wanted), "{error}");
        assert!(!error.contains(hidden), "{error}");
    }
    let clients = ClientTls::new(&pem(&a.certificate), &pem(&a.key), Clock::of(&TokioNet));
    let shown = format!("{:?} {:?}", clients.unwrap(), pem(&a.key));
    assert_eq!(shown, "ClientTls { .. } Pem { place: \"somewhere\", .. }");
}

#[test]
fn a_secret_does_not_show_and_a_short_one_is_none() {
    let long = secret(b"  sixteen bytes ok\n");
    assert!(long == secret(b"sixteen bytes ok"));
    assert!(long != secret(b"sixteen bytes no"));
    let other = Secret::new(b"sixteen bytes ok", &Name::from("other"));
    assert!(long != other.unwrap());
    assert_eq!(format!("{:?}", Servers::Secret(long)), "Secret(***)");
    let error = Secret::new(b" guess me soon \n", &Name::from("conf"));
    let error = error.unwrap_err().to_string();
    assert!(
        error.contains("13 bytes") && !error.contains("guess me"),
        "{error}"
    );
}

#[test]
fn a_certificate_can_name_servers_that_have_the_names_of_hosts() {
    for name in ["Riley", "a_b", "a-1", "a.b", "_a"] {
        assert!(is_certifiable(name), "{name}");
        let issued = authority().server(name).expect("a certificate");
        let clock = Clock::of(&TokioNet);
        let certificate = pem(&issued.certificate);
        let tls = Tls::new(
            name,
            &pem(&authority().certificate()),
            &certificate,
            &pem(&issued.key),
            clock,
        );
        tls.expect(name);
    }
    for name in ["a.", "a-", "a..b", "a.1", &"a".repeat(64)] {
        assert!(!is_certifiable(name), "{name}");
        assert!(authority().server(name).is_err(), "{name}");
    }
}

#[::tokio::test]
async fn a_certificate_for_one_end_alone_is_refused_at_either_end_and_both_are_told_why() {
    let authority = authority();
    let good = authority.server("A").expect("a certificate");
    // `Tls::new` rejects such a certificate, so `showing` puts it into valid credentials.
    let bad = authority.clients(&["A"]).expect("a certificate");
    let fits = tls(&authority, "A", &good, Clock::of(&TokioNet));
    let (roots, clock) = (pem(&authority.certificate()), Clock::of(&TokioNet));
    let refused = Tls::new("A", &roots, &pem(&bad.certificate), &pem(&bad.key), clock);
    let refused = refused.expect_err("it is for one end alone").to_string();
    assert!(
        refused.contains("it needs both extended key usages"),
        "{refused}"
    );
    let unfit = fits.showing(&pem(&bad.certificate), &pem(&bad.key));
    for (dialler, acceptor) in [(&fits, &unfit), (&unfit, &fits)] {
        let (mine, theirs) = duplex(1 << 16);
        let dialled = async {
            let end = End::Dialler("A".to_owned());
            let (channel, _) = shake(Servers::Tls(dialler.clone()), end, mine).await?;
            // In TLS 1.3 a dialler learns of the rejection only from its first read.
            let mut stream = Stream::opened(channel);
            stream.read(&mut [0; 10]).await
        };
        let accepted = async {
            let shaken = shake(Servers::Tls(acceptor.clone()), End::Acceptor, theirs).await;
            shaken.map(drop)
        };
        let (dialled, accepted) = zip(dialled, accepted).await;
        let told = [
            dialled.expect_err("refused").to_string(),
            accepted.expect_err("refused").to_string(),
        ];
        for told in &told {
            assert!(told.contains("it needs both extended key usages"), "{told}");
        }
        assert!(
            told.iter()
                .any(|told| told.starts_with("the certificate of the other")),
            "{told:?}"
        );
        assert!(
            told.iter()
                .any(|told| told.starts_with("the other server says")),
            "{told:?}"
        );
    }
}

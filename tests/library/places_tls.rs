//! Look-ups at Places over TLS and through proxies: which certificates are accepted, and what
//! others can read.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use proxy_herd::certs::{Authority, Issued};
use proxy_herd::herd::Address;
use proxy_herd::journal::EventId;
use proxy_herd::net::Net as _;
use proxy_herd::net::secure::{Clock, Pem};
use proxy_herd::net::tokio::TokioNet;
use proxy_herd::node::LookUp;
use proxy_herd::places::{
    Api, ApiKey, Counts, HttpPlaces, Https, Places as _, PlacesConfig, Proxy,
};
use rand::SeedableRng as _;
use rand::rngs::ChaCha8Rng;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

const KEY: &str = "TheKeyThatNobodySees";

const PATIENT: Duration = Duration::from_secs(30);

const BODY: &str = "{\n   \"results\" : [],\n   \"status\" : \"ZERO_RESULTS\"\n}";

fn look_up() -> LookUp {
    LookUp {
        client: b"kiwi".to_vec(),
        at_line: Vec::new(),
        latitude: b"+34".to_vec(),
        longitude: b"-118".to_vec(),
        radius_metres: "10000".to_owned(),
        bound: 1,
        asked_by: EventId(NonZeroU64::MIN),
    }
}

fn authority() -> Authority {
    let day = Duration::from_hours(24);
    Authority::new("places", TokioNet.now(), day).expect("an authority")
}

fn https(trusted: &Authority) -> Https {
    let trusted = Pem::new("the authority", trusted.certificate());
    Https::new(Some(&trusted), Clock::of(&TokioNet)).expect("an authority")
}

/// The body of a look-up without retries. It checks that nothing shows the key.
async fn ask(port: u16, https: Option<Https>, proxy: Option<Proxy>) -> String {
    asked(port, https, proxy).await.0
}

/// The same body, and the reports to operators.
async fn asked(port: u16, https: Option<Https>, proxy: Option<Proxy>) -> (String, String) {
    let host = "localhost".to_owned();
    let key = ApiKey::new(KEY).expect("a key");
    let mut config = PlacesConfig::new(Api::Legacy, Address { host, port }, Some(key));
    (config.deadline, config.attempt_deadline) = (PATIENT, PATIENT);
    config.retries = 0;
    (config.https, config.proxy) = (https, proxy);
    let shown = format!("{config:?}");
    assert!(!shown.contains(KEY) && !shown.contains("hidden"), "{shown}");
    let counts: Arc<Counts> = Arc::default();
    let places = HttpPlaces::new(TokioNet, config, ChaCha8Rng::seed_from_u64(1));
    let places = places.counted_by(Arc::clone(&counts));
    let body = String::from_utf8(places.nearby(&look_up()).await).expect("UTF-8");
    let reports = counts.last_reports().into_iter();
    let told: String = reports.map(|report| report.to_string()).collect();
    assert!(!body.contains(KEY) && !told.contains(KEY), "{body} {told}");
    (body, told)
}

fn is_unreachable(body: &str) -> bool {
    body.contains("UNKNOWN_ERROR") && body.contains("Places can't be reached.")
}

/// A fake server, which ends when it is dropped.
struct Somebody {
    port: u16,
    /// The heads of the requests that it received.
    heard: mpsc::UnboundedReceiver<String>,
    _tasks: JoinSet<()>,
}

impl Somebody {
    /// Starts a server that handles each connection with `serve`.
    async fn new<F: Future<Output = ()> + Send>(
        serve: impl Fn(TcpStream, mpsc::UnboundedSender<String>) -> F + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind(("localhost", 0)).await.expect("a port");
        let port = listener.local_addr().expect("it is bound").port();
        let (tell, heard) = mpsc::unbounded_channel();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                serve(stream, tell.clone()).await;
            }
        });
        Self {
            port,
            heard,
            _tasks: tasks,
        }
    }

    /// Starts a fake Places with TLS and this certificate.
    async fn places(issued: Issued) -> Self {
        let certificate = CertificateDer::from_pem_slice(issued.certificate.as_bytes());
        let key = PrivateKeyDer::from_pem_slice(issued.key.as_bytes());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("TLS 1.3")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.expect("PEM")], key.expect("PEM"))
            .expect("they fit");
        let acceptor = TlsAcceptor::from(Arc::new(config));
        Self::new(move |stream, tell| {
            let acceptor = acceptor.clone();
            async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    answer(stream, &tell).await;
                }
            }
        })
        .await
    }

    /// Starts a proxy that connects to any requested target, or answers with `refusal`.
    async fn proxy(refusal: Option<&'static str>) -> Self {
        Self::new(move |mut stream, tell| async move {
            let head = head(&mut stream).await;
            let to = head.split(' ').nth(1).expect("a target").to_owned();
            let _ = tell.send(head);
            if let Some(refusal) = refusal {
                let _ = stream.write_all(refusal.as_bytes()).await;
                return;
            }
            let mut there = TcpStream::connect(to).await.expect("somebody listens");
            let established = b"HTTP/1.1 200 Connection established\r\nVia: somebody\r\n\r\n";
            let _ = stream.write_all(established).await;
            let _ = tokio::io::copy_bidirectional(&mut stream, &mut there).await;
        })
        .await
    }

    fn address(&self, user: &str) -> Proxy {
        Proxy::new(&format!("http://{user}localhost:{}", self.port)).expect("an address")
    }
}

async fn head(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && stream.read_buf(&mut head).await.is_ok_and(|n| n > 0) {}
    String::from_utf8_lossy(&head).into_owned()
}

async fn answer(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    tell: &mpsc::UnboundedSender<String>,
) {
    let head = head(&mut stream).await;
    let _ = tell.send(head);
    let length = BODY.len();
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{BODY}");
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
}

#[tokio::test]
async fn places_is_asked_by_tls() {
    let one = authority();
    let mut places = Somebody::places(one.clients(&["localhost"]).unwrap()).await;
    assert_eq!(ask(places.port, Some(https(&one)), None).await, BODY);
    let request = places.heard.recv().await.expect("a request");
    assert!(
        request.starts_with("GET /maps/api/place/nearbysearch/json?"),
        "{request}"
    );
    assert!(
        request.contains(&format!("host: localhost:{}\r\n", places.port)),
        "{request}"
    );
}

#[tokio::test]
async fn who_only_says_that_it_is_places_is_not_given_the_key() {
    let (one, other) = (authority(), authority());
    for (issued, words) in [
        (
            other.clients(&["localhost"]).unwrap(),
            "the certificate of whoever answers as Places is by an authority that is not trusted here",
        ),
        (
            one.clients(&["places.example"]).unwrap(),
            "is for places.example, not for localhost",
        ),
    ] {
        let mut places = Somebody::places(issued).await;
        let (body, told) = asked(places.port, Some(https(&one)), None).await;
        assert!(is_unreachable(&body), "{body}");
        assert!(told.contains(words), "{told}");
        assert!(places.heard.try_recv().is_err(), "it was asked");
    }
    // The last case is a server that does not use TLS.
    let mut plain = Somebody::new(|mut stream, tell| async move {
        let mut first = vec![0; 1000];
        let read = stream.read(&mut first).await.expect("something");
        let _ = tell.send(String::from_utf8_lossy(&first[..read]).into_owned());
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    })
    .await;
    let (body, told) = asked(plain.port, Some(https(&one)), None).await;
    assert!(is_unreachable(&body), "{body}");
    assert!(told.contains("sends is no TLS"), "{told}");
    let heard = plain.heard.recv().await.expect("a handshake");
    assert!(!heard.contains(KEY), "{heard}");
}

#[tokio::test]
async fn a_proxy_passes_tls_on_and_sees_nothing_of_it() {
    let one = authority();
    let places = Somebody::places(one.clients(&["localhost"]).unwrap()).await;
    let mut proxy = Somebody::proxy(None).await;
    let by = proxy.address("me:hidden@");
    assert_eq!(ask(places.port, Some(https(&one)), Some(by)).await, BODY);
    let asked = proxy.heard.recv().await.expect("a request");
    let (to, port) = ("localhost", places.port);
    assert_eq!(
        asked,
        format!(
            "CONNECT {to}:{port} HTTP/1.1\r\nHost: {to}:{port}\r\n\
             Proxy-Authorization: Basic bWU6aGlkZGVu\r\n\r\n"
        )
    );
}

#[tokio::test]
async fn a_proxy_that_refuses_leaves_places_out_of_reach() {
    let one = authority();
    let long = Box::leak(format!("HTTP/1.1 200 {}", "x".repeat(20_000)).into_boxed_str());
    for refusal in [
        "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n",
        "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n",
        "nonsense\r\n\r\n",
        "HTTP/1.1 200",
        "",
        long,
    ] {
        let proxy = Somebody::proxy(Some(refusal)).await;
        let body = ask(443, Some(https(&one)), Some(proxy.address(""))).await;
        assert!(is_unreachable(&body), "{refusal:.40}: {body}");
    }
}

#[tokio::test]
async fn plain_http_is_asked_of_a_proxy_by_its_whole_address() {
    let mut proxy = Somebody::new(|stream, tell| async move { answer(stream, &tell).await }).await;
    let by = proxy.address("me:hidden@");
    assert_eq!(ask(81, None, Some(by)).await, BODY);
    let asked = proxy.heard.recv().await.expect("a request");
    assert!(
        asked.starts_with("GET http://localhost:81/maps/api/"),
        "{asked}"
    );
    assert!(
        asked.contains("proxy-authorization: Basic bWU6aGlkZGVu\r\n"),
        "{asked}"
    );
}

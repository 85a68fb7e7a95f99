//! Forwards HTTP from the simulated network to a real socket, while simulated time stands still.

use std::io::{self, Read as _, Write as _};
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use futures_lite::future::or;
use futures_lite::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{CONTENT_LENGTH, DATE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::task::JoinSet;

use super::causes::Causes;
use super::{DELAY_HEADER, FAULT_HEADER};
use crate::herd::{Address, Name};
use crate::journal::{EventId, EventKind, Journal};
use crate::net::{Connection, Listener as _, Net as _};
use crate::sim::net::{SimNet, SimStream};
use crate::sim::time::takes;

/// The port of Places.
pub(super) const PORT: u16 = 80;

/// The maximum real time for an answer. Only a mock that never answers takes this long.
const PATIENCE: Duration = Duration::from_secs(10);

type Body = UnsyncBoxBody<Bytes, io::Error>;

/// Serves Places until the simulation ends.
pub(in crate::sim) async fn serve(
    net: SimNet,
    google: SocketAddr,
    journal: Arc<dyn Journal>,
    causes: Causes,
) -> Result<(), String> {
    let at = Address {
        host: "0.0.0.0".to_owned(),
        port: PORT,
    };
    let listener = net.listen(&at).await.map_err(|error| error.to_string())?;
    let mut tasks: JoinSet<Result<(), Unasked>> = JoinSet::new();
    loop {
        let ended = async {
            match tasks.join_next().await {
                Some(ended) => Err(ended),
                None => std::future::pending().await,
            }
        };
        match or(ended, async { Ok(listener.accept().await) }).await {
            Err(ended) => ended
                .map_err(|error| error.to_string())?
                .map_err(|error| error.to_string())?,
            Ok(accepted) => {
                let (journal, causes) = (Arc::clone(&journal), causes.clone());
                let accepted = accepted.map_err(|error| error.to_string())?;
                let asker = net.name_of(accepted.remote.ip());
                let conversation = converse(accepted, asker, google, journal, causes);
                tasks.spawn(net.task(conversation));
            }
        }
    }
}

async fn converse(
    connection: Connection<SimStream>,
    asker: Option<String>,
    google: SocketAddr,
    journal: Arc<dyn Journal>,
    causes: Causes,
) -> Result<(), Unasked> {
    let unasked = OnceLock::new();
    let service = service_fn(|request: Request<Incoming>| {
        let server = asker.as_deref().map(Name::from);
        let cause = server.and_then(|server| causes.of(server, question(request.uri())));
        answer(request, google, &*journal, cause, &unasked)
    });
    // Errors are expected: a client that disconnects, or a deliberately malformed answer, ends the
    // connection.
    let _ = http1::Builder::new()
        .auto_date_header(false)
        .header_read_timeout(None)
        .serve_connection(TokioIo::new(connection.stream), service)
        .await;
    unasked.into_inner().map_or(Ok(()), Err)
}

/// The fake Places could not be reached. This is no planned outage of the simulated Places, so the
/// run fails.
#[derive(Debug, thiserror::Error)]
#[error(
    "the faked Places API at {at} on this machine can't be asked: {error}; it wants a loopback device and some descriptors"
)]
struct Unasked {
    at: SocketAddr,
    error: io::Error,
}

async fn answer(
    request: Request<Incoming>,
    google: SocketAddr,
    journal: &dyn Journal,
    cause: Option<EventId>,
    unasked: &OnceLock<Unasked>,
) -> io::Result<Response<Body>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let asked = format!("{} {}", head.method, without_key(&head.uri.to_string()));
    let request = asked.as_bytes().into();
    let asked = journal.record(cause, EventKind::PlacesAsked { request });
    let answer = forward(google, &head, &body).map_err(|error| {
        let kind = error.kind();
        let _ = unasked.set(Unasked { at: google, error });
        io::Error::from(kind)
    })?;
    let header = |name| {
        answer
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    let delay = header(DELAY_HEADER).and_then(|text| text.parse().ok());
    if let Some(delay) = delay.filter(|&delay| delay > 0) {
        tokio::time::sleep(takes(Duration::from_millis(delay))).await;
    }
    let fault = header(FAULT_HEADER).map(str::to_owned);
    let status = answer.status().as_u16();
    let told = |fault: Option<&'static str>| {
        let fault = fault.map(Into::into);
        journal.record(Some(asked), EventKind::PlacesTold { status, fault });
    };
    let (mut head, body) = answer.into_parts();
    for name in [DELAY_HEADER, FAULT_HEADER, DATE.as_str()] {
        head.headers.remove(name);
    }
    let body = match fault.as_deref() {
        Some("hang") => {
            told(Some("hangs instead"));
            std::future::pending().await
        }
        Some("close") => {
            told(Some("closes the connection instead"));
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        Some("cut") => {
            told(Some("breaks off in the middle"));
            head.headers.insert(CONTENT_LENGTH, body.len().into());
            let half = body.slice(..body.len() / 2);
            let broken = Err(io::ErrorKind::ConnectionAborted.into());
            StreamBody::new(stream::iter([Ok(Frame::data(half)), broken])).boxed_unsync()
        }
        _ => {
            told(None);
            Full::new(body)
                .map_err(|never| match never {})
                .boxed_unsync()
        }
    };
    Ok(Response::from_parts(head, body))
}

/// The query of a request in the form of [`Query`](crate::places::Query), without the key, which
/// comes last.
fn question(uri: &hyper::Uri) -> &str {
    let query = uri.query().unwrap_or_default();
    query.split_once("&key=").map_or(query, |(asked, _)| asked)
}

/// The target of a request with its key, which comes last, replaced by asterisks.
pub(super) fn without_key(target: &str) -> String {
    match target.split_once("key=") {
        Some((before, _)) => format!("{before}key=***"),
        None => target.to_owned(),
    }
}

/// Forwards a request to wiremock by blocking IO.
fn forward(
    google: SocketAddr,
    head: &hyper::http::request::Parts,
    body: &[u8],
) -> io::Result<Response<Bytes>> {
    let mut stream = std::net::TcpStream::connect_timeout(&google, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    let mut request = format!("{} {} HTTP/1.1\r\n", head.method, head.uri).into_bytes();
    for (name, value) in &head.headers {
        if name != "connection" && name != CONTENT_LENGTH {
            request.extend_from_slice(name.as_str().as_bytes());
            request.extend_from_slice(b": ");
            request.extend_from_slice(value.as_bytes());
            request.extend_from_slice(b"\r\n");
        }
    }
    let end = format!(
        "connection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    request.extend_from_slice(end.as_bytes());
    request.extend_from_slice(body);
    stream.write_all(&request)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    parse(&answer).ok_or_else(|| io::Error::other("wiremock's answer is no HTTP"))
}

/// Parses a whole response, whose body ends with the stream.
fn parse(answer: &[u8]) -> Option<Response<Bytes>> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&answer[..end]).ok()?;
    let mut lines = head.split("\r\n");
    let status: u16 = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let mut response = Response::builder().status(status);
    for line in lines {
        let (name, value) = line.split_once(':')?;
        let name = name.to_ascii_lowercase();
        if !matches!(name.as_str(), "connection" | "content-length") {
            response = response.header(name, value.trim());
        }
    }
    let body = Bytes::copy_from_slice(&answer[end + 4..]);
    response.body(body).ok()
}

//! The admin listener: HTTP/1.1 with one request per connection, and a limit on everything.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures_lite::future::or;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::task::{AbortHandle, JoinError, JoinSet};
use tokio::time::timeout;

use super::answer::{Answer, client_of};
use super::metrics::LinkCounts;
use super::state::Admin;
use super::{DiskReport, JOURNAL, LinkReport, Status, forget, text};
use crate::herd::Name;
use crate::net::{Connection, Listener, Net};
use crate::protocol::escape;
use crate::protocol::record::Record;
use crate::protocol::time::Timestamp;
use crate::version;

/// The limit on open connections. A further connection closes the oldest, so a client that opens
/// many and sends nothing keeps nobody out.
pub const MOST: usize = 16;

/// The time limit for a connection, from when it is accepted to the last byte of its answer.
const DEADLINE: Duration = Duration::from_secs(10);

/// The limit on the size of a request's head, in bytes.
const LARGEST_HEAD: usize = 16 * 1024;

/// The pause after an accept that failed.
const PAUSE: Duration = Duration::from_millis(100);

/// The paths that can be requested.
pub const PATHS: [&str; 6] = [
    "/metrics",
    "/livez",
    "/readyz",
    "/status",
    "/records?client=ID",
    "/forget?client=ID",
];

impl Admin {
    /// Answers a request. `now` is the server's clock.
    fn answer(&self, request: &Request<Incoming>, now: impl Fn() -> Timestamp) -> Answer {
        if request.uri().path() == "/forget" {
            return forget::answer(self, request, now());
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return Answer::plain(StatusCode::METHOD_NOT_ALLOWED, "only GET\n");
        }
        match request.uri().path() {
            "/metrics" => Answer {
                status: StatusCode::OK,
                kind: "text/plain; version=0.0.4; charset=utf-8",
                body: text::scrape(self),
            },
            // An answer shows that tasks still run, and that the lock around the Node can be taken.
            "/livez" => {
                self.server.clients();
                Answer::plain(StatusCode::OK, "alive\n")
            }
            "/readyz" => match self.readiness() {
                Ok(()) => Answer::plain(StatusCode::OK, self.ready()),
                Err(why) => Answer::plain(StatusCode::SERVICE_UNAVAILABLE, why.join("\n") + "\n"),
            },
            "/status" => Answer::json(StatusCode::OK, &self.status()),
            "/records" => self.record(client_of(request)),
            JOURNAL => self.journal(request.uri().query()),
            _ => {
                let there = format!("there is {}\n", PATHS.join(", "));
                Answer::plain(StatusCode::NOT_FOUND, there)
            }
        }
    }

    /// What a ready server says, and what an operator should know all the same.
    fn ready(&self) -> String {
        let disk = self.server.disk().map(DiskReport::from);
        let note = disk.filter(|disk| disk.failing);
        let note = note.map_or(String::new(), |disk| format!("{disk}\n"));
        "ready\n".to_owned() + &note
    }

    fn status(&self) -> Status {
        let not_ready_because = self.readiness().err().unwrap_or_default();
        let links = self.metrics.link_counts();
        let now = self.server.links();
        let report = |(peer, counts): &(Name, Arc<LinkCounts>)| {
            let now = now.iter().find(|(name, _)| name == peer);
            let now = now.and_then(|(_, status)| *status);
            LinkReport {
                peer: peer.to_string(),
                up: now.is_some(),
                synchronised: counts.is_synchronised(),
                waiting: now.map_or(0, |link| link.waiting as u64),
                agree: now.and_then(|link| link.agreed),
                round_trip_nanos: now
                    .and_then(|link| link.round_trip)
                    .map(|way| u64::try_from(way.as_nanos()).unwrap_or(u64::MAX)),
                clock_offset_nanos: now.and_then(|link| link.clock_offset),
            }
        };
        Status {
            herd: self.herd.to_string(),
            server: self.name.to_string(),
            version: version::VERSION.to_owned(),
            commit: version::COMMIT.to_owned(),
            date: version::DATE.to_owned(),
            up_seconds: self.began.elapsed().as_secs(),
            ready: not_ready_because.is_empty(),
            not_ready_because,
            came_up_empty: self.metrics.came_up_empty(),
            records: self.server.clients() as u64,
            disk: self.server.disk().map(DiskReport::from),
            links: links.iter().map(report).collect(),
        }
    }

    /// The events after those that were fetched before.
    fn journal(&self, query: Option<&str>) -> Answer {
        let Some(kept) = &self.kept else {
            let help = "events are kept only for a harness (`herd run --world live`)\n";
            return Answer::plain(StatusCode::NOT_FOUND, help);
        };
        let after = query.and_then(|query| query.strip_prefix("after=")?.parse().ok());
        match after {
            Some(after) => Answer {
                status: StatusCode::OK,
                kind: "application/jsonl",
                body: kept.lines_after(after),
            },
            None => Answer::plain(StatusCode::BAD_REQUEST, "ask for `/journal?after=N`\n"),
        }
    }

    fn record(&self, id: Option<Vec<u8>>) -> Answer {
        let Some(id) = id else {
            let help =
                "ask for `/records?client=ID`, with `%` and two digits for what a URL can't hold\n";
            return Answer::plain(StatusCode::BAD_REQUEST, help);
        };
        let (status, json) = match self.server.record(&id) {
            None => (
                StatusCode::NOT_FOUND,
                serde_json::json!({ "client": escape(&id), "error": "nothing is known of this client" }),
            ),
            Some((tombstone, hops)) if tombstone.is_tombstone() => (
                StatusCode::NOT_FOUND,
                serde_json::json!({
                    "client": escape(&id),
                    "error": "this client is forgotten: an operator wanted that",
                    "forgotten_at": escape(tombstone.time_text()),
                    "origin": escape(tombstone.origin()),
                    "generation": tombstone.generation(),
                    "hops": hops,
                }),
            ),
            Some((record, hops)) => (StatusCode::OK, shown(&record, hops)),
        };
        Answer::json(status, &json)
    }
}

/// A record as JSON for operators.
fn shown(record: &Record, hops: u32) -> serde_json::Value {
    let mut json = serde_json::json!({
        "client": escape(record.id()),
        "location": escape(record.location()),
        "time": escape(record.time_text()),
        "origin": escape(record.origin()),
        "skew": escape(record.skew_text()),
        "hops": hops,
    });
    // Nearly all records are of generation 0, so it is not shown.
    if record.generation() > 0 {
        json["generation"] = record.generation().into();
    }
    json
}

/// Serves admin requests until the future is dropped.
///
/// # Errors
///
/// When a task of a connection panicked.
pub async fn serve<N: Net>(
    net: N,
    listener: N::Listener,
    admin: Arc<Admin>,
) -> Result<Infallible, JoinError> {
    let mut connections = JoinSet::new();
    // The tasks of connections, oldest first. Some may have ended.
    let mut open = VecDeque::new();
    loop {
        let ended = async {
            match connections.join_next().await {
                Some(ended) => Err(ended),
                None => std::future::pending().await,
            }
        };
        let accepted = async { Ok(listener.accept().await) };
        match or(ended, accepted).await {
            Err(Err(error)) if error.is_cancelled() => {}
            Err(ended) => ended?,
            Ok(Ok(connection)) => {
                open.retain(|task: &AbortHandle| !task.is_finished());
                if open.len() >= MOST
                    && let Some(oldest) = open.pop_front()
                {
                    oldest.abort();
                }
                let conversation = converse(net.clone(), connection, Arc::clone(&admin));
                open.push_back(connections.spawn(net.task(conversation)));
            }
            Ok(Err(_)) => tokio::time::sleep(PAUSE).await,
        }
    }
}

async fn converse<N: Net>(net: N, connection: Connection<N::Stream>, admin: Arc<Admin>) {
    let service = service_fn(|request: Request<Incoming>| {
        let response = admin.answer(&request, || net.now()).response();
        async move { Ok::<_, Infallible>(response) }
    });
    let conversation = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(DEADLINE)
        .keep_alive(false)
        // A client that closes its half of the connection after the request still gets the answer.
        .half_close(true)
        .max_buf_size(LARGEST_HEAD)
        .serve_connection(TokioIo::new(connection.stream), service);
    // A client that sends too slowly, or no HTTP, gets no answer.
    let _ = timeout(DEADLINE, conversation).await;
}

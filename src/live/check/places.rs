//! A stand-in for Places: HTTP on a port of this machine, which answers as a case wants and
//! remembers what it was asked.

use std::fmt::Write as _;
use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// The path of Nearby Search, as Google has it.
const PATH: &str = "/maps/api/place/nearbysearch/json";

/// The largest request that is read, in bytes.
const LARGEST: usize = 64 * 1024;

/// How long a request may take to arrive.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many places the stand-in knows.
pub(super) const PLACES: usize = 5;

/// How the stand-in answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Five places, at once.
    Good,
    /// Five places, after this time.
    Slow(Duration),
    /// HTTP status 500 and a page.
    Failing,
    /// HTTP status 200 and a body that is no JSON.
    Malformed,
}

/// What the stand-in shares with its connections.
#[derive(Debug)]
struct Shared {
    mode: Mode,
    /// The targets of all requests, in order of arrival.
    asked: Vec<String>,
}

/// A running stand-in. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct FakePlaces {
    port: u16,
    shared: Arc<Mutex<Shared>>,
    /// Aborted when dropped.
    _serving: JoinSet<()>,
}

impl FakePlaces {
    pub(super) async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let shared = Arc::new(Mutex::new(Shared {
            mode: Mode::Good,
            asked: Vec::new(),
        }));
        let mut serving = JoinSet::new();
        serving.spawn(serve(listener, Arc::clone(&shared)));
        Ok(Self {
            port,
            shared,
            _serving: serving,
        })
    }

    /// The URL of Nearby Search here.
    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}{PATH}", self.port)
    }

    pub(super) fn set(&self, mode: Mode) {
        lock(&self.shared).mode = mode;
    }

    /// The targets of the requests since the last call.
    pub(super) fn take_asked(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.shared).asked)
    }
}

fn lock(shared: &Mutex<Shared>) -> std::sync::MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn serve(listener: TcpListener, shared: Arc<Mutex<Shared>>) {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, _)) => {
                let shared = Arc::clone(&shared);
                connections.spawn(async move {
                    // Whoever asks sees a broken connection, too.
                    let _ = timeout(PATIENCE * 2, answer(stream, &shared)).await;
                });
            }
            // The process has too many open files for a moment.
            Err(_) => sleep(Duration::from_millis(10)).await,
        }
    }
}

async fn answer(mut stream: TcpStream, shared: &Mutex<Shared>) -> io::Result<()> {
    let mut request = Vec::new();
    while !request.windows(4).any(|four| four == b"\r\n\r\n") {
        let read = timeout(PATIENCE, stream.read_buf(&mut request)).await??;
        if read == 0 || request.len() > LARGEST {
            return Ok(());
        }
    }
    let head = String::from_utf8_lossy(&request);
    let target = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let mode = {
        let mut shared = lock(shared);
        shared.asked.push(target);
        shared.mode
    };
    let (status, body) = match mode {
        Mode::Good | Mode::Slow(_) => ("200 OK", body()),
        Mode::Failing => ("500 Internal Server Error", "<h1>broken</h1>".to_owned()),
        Mode::Malformed => ("200 OK", "{ \"results\": [".to_owned()),
    };
    if let Mode::Slow(pause) = mode {
        sleep(pause).await;
    }
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json; charset=UTF-8\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.shutdown().await
}

/// What the stand-in answers: with escapes, numbers in an odd spelling, an indentation that no
/// library writes, and blank lines, so that every change of a byte can be seen.
pub(super) fn body() -> String {
    let mut text = String::from("{\n   \"html_attributions\" : [],\n\n\n   \"results\" : [\n");
    for number in 0..PLACES {
        let comma = if number + 1 < PLACES { "," } else { "" };
        let _ = writeln!(text, "{}{comma}", place(number));
    }
    text.push_str("   ],\n   \"status\" : \"OK\"\n}\n\n\n\n");
    text
}

/// The text of one place, without what separates it from the next.
pub(super) fn place(number: usize) -> String {
    format!(
        "      {{\n         \"name\" : \"Caf\\u00e9 \\/ {number}\",\n         \"rating\" : 4.50,\n         \"zeta\" : {number},\n         \"alpha\" : null\n      }}"
    )
}

/// The body as a client is to get it: runs of line feeds are one, and none is at the end.
pub(super) fn body_for_clients() -> String {
    let mut text = body();
    while text.contains("\n\n") {
        text = text.replace("\n\n", "\n");
    }
    text.trim_end_matches('\n').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_is_json_with_all_places_and_blank_lines() {
        let read: serde_json::Value = serde_json::from_str(&body()).unwrap();
        assert_eq!(read["results"].as_array().unwrap().len(), PLACES);
        assert!(body().contains(&place(PLACES - 1)) && body().contains("\n\n\n"));
        let clean: serde_json::Value = serde_json::from_str(&body_for_clients()).unwrap();
        assert_eq!(clean, read);
        assert!(!body_for_clients().contains("\n\n"));
    }
}

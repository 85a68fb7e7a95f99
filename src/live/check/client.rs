//! A client of a server under test. Every wait has a deadline, every read a bound.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

use crate::herd::Address;
use crate::protocol::fields;

/// The most that is read from a connection, in bytes.
const LARGEST: usize = 4 << 20;

/// How long after the JSON of an answer the line feeds behind it may arrive.
const QUIET: Duration = Duration::from_millis(150);

/// A connection to a server's port for clients.
#[derive(Debug)]
pub(super) struct Client {
    stream: TcpStream,
    came: Vec<u8>,
    /// Whether the server has closed or reset the connection.
    pub(super) ended: bool,
    patience: Duration,
}

/// An answer to a WHATSAT, in its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Places {
    /// The first line, without its end.
    pub(super) at: Vec<u8>,
    /// What follows, without line feeds at its end.
    pub(super) body: Vec<u8>,
    /// The number of line feeds after the body.
    pub(super) line_feeds: usize,
}

impl Client {
    pub(super) async fn connect(to: &Address, patience: Duration) -> io::Result<Self> {
        let connecting = TcpStream::connect((to.host.as_str(), to.port));
        let stream = timeout(patience, connecting).await??;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            came: Vec::new(),
            ended: false,
            patience,
        })
    }

    pub(super) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        timeout(self.patience, self.stream.write_all(bytes)).await?
    }

    /// Ends this direction of the connection.
    pub(super) async fn half_close(&mut self) -> io::Result<()> {
        self.stream.shutdown().await
    }

    /// Lets the connection be reset when this is dropped.
    pub(super) fn reset(self) -> io::Result<()> {
        self.stream.set_zero_linger()
    }

    /// What came and was not taken yet.
    pub(super) fn rest(&self) -> &[u8] {
        &self.came
    }

    /// Reads until `enough` says so, the connection ends, or the deadline has passed.
    pub(super) async fn read(&mut self, deadline: Instant, enough: impl Fn(&[u8]) -> bool) {
        while !enough(&self.came) && !self.ended && self.came.len() < LARGEST {
            match timeout_at(deadline, self.stream.read_buf(&mut self.came)).await {
                Ok(Ok(1..)) => {}
                Ok(Ok(0) | Err(_)) => self.ended = true,
                Err(_) => return,
            }
        }
    }

    fn deadline(&self) -> Instant {
        Instant::now() + self.patience
    }

    /// The answer to `line`, without the line feed at its end; what came, if it is incomplete. An
    /// answer is complete at a line feed, or where its content is.
    pub(super) async fn answer(&mut self, line: &[u8]) -> Vec<u8> {
        let ends = Ends::of(line);
        let deadline = self.deadline();
        self.read(deadline, |came| ends.find(came).is_some()).await;
        self.take(&ends)
    }

    fn take(&mut self, ends: &Ends) -> Vec<u8> {
        let end = ends.find(&self.came).unwrap_or(self.came.len());
        let answer: Vec<u8> = self.came.drain(..end).collect();
        let answer = answer.trim_ascii_start();
        answer.strip_suffix(b"\n").unwrap_or(answer).to_vec()
    }

    /// The answer to a WHATSAT: a refusal is an AT part without a body. With `count`, more line
    /// feeds than two are waited for, so that they can be counted.
    pub(super) async fn places(&mut self, line: &[u8], patience: Duration, count: bool) -> Places {
        let deadline = Instant::now() + patience;
        self.read(deadline, |came| is_complete(came, line)).await;
        let quiet = deadline.min(Instant::now() + QUIET);
        let is_end = |came: &[u8]| !count && (came.starts_with(b"?") || came.ends_with(b"\n\n"));
        self.read(quiet, is_end).await;
        let came = std::mem::take(&mut self.came);
        let (at, rest) = split_line(&came);
        let body = rest.trim_ascii_end();
        let line_feeds = rest[body.len()..].iter().filter(|&&byte| byte == b'\n');
        Places {
            at: at.to_vec(),
            body: body.to_vec(),
            line_feeds: line_feeds.count(),
        }
    }
}

/// The first line without its line feed, and what is behind it.
fn split_line(came: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memchr(b'\n', came) {
        Some(at) => (&came[..at], &came[at + 1..]),
        None => (came, &[]),
    }
}

/// Whether an answer to a WHATSAT is complete, but for its last line feeds.
fn is_complete(came: &[u8], line: &[u8]) -> bool {
    if came.starts_with(b"?") {
        return came.contains(&b'\n') || came.strip_prefix(b"? ") == Some(line);
    }
    let (_, body) = split_line(came);
    serde_json::from_slice::<serde::de::IgnoredAny>(body).is_ok()
}

/// Where the answer to a line ends.
struct Ends {
    /// The end of an AT line.
    at: Vec<u8>,
    /// A refusal.
    refusal: Vec<u8>,
}

impl Ends {
    fn of(line: &[u8]) -> Self {
        let mut at = Vec::new();
        let mut count = 0;
        for field in fields(line).skip(1) {
            at.push(b' ');
            at.extend_from_slice(field);
            count += 1;
        }
        if count != 3 {
            at.clear();
        }
        let refusal = [b"? ", line].concat();
        Self { at, refusal }
    }

    /// The length of the answer, and of what is before it. Line feeds at the beginning belong to
    /// the answer before.
    fn find(&self, came: &[u8]) -> Option<usize> {
        let start = came.len() - came.trim_ascii_start().len();
        let inside = &came[start..];
        if inside.is_empty() {
            return None;
        }
        if let Some(at) = memchr::memchr(b'\n', inside) {
            return Some(start + at + 1);
        }
        let is_whole = inside == self.refusal
            || (!self.at.is_empty() && inside.starts_with(b"AT ") && inside.ends_with(&self.at));
        is_whole.then_some(came.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_ends_with_its_line_or_its_content() {
        let ends = Ends::of(b"IAMAT kiwi +34-118 12.5");
        assert_eq!(ends.find(b""), None);
        assert_eq!(ends.find(b"AT Riley +0.1 kiwi +34-118 12."), None);
        let whole = b"AT Riley +0.1 kiwi +34-118 12.5";
        assert_eq!(ends.find(whole), Some(whole.len()));
        assert_eq!(ends.find(b"\nAT x\nAT y"), Some(6));
        assert_eq!(ends.find(b"? IAMAT kiwi +34-118 12."), None);
        let refused = b"? IAMAT kiwi +34-118 12.5";
        assert_eq!(ends.find(refused), Some(refused.len()));
    }

    #[test]
    fn an_answer_with_places_is_complete_with_its_json() {
        let is_complete = |came| is_complete(came, b"WHATSAT kiwi 1 1");
        assert!(!is_complete(b"AT Riley"));
        assert!(!is_complete(b"AT Riley\n{ \"a\": ["));
        assert!(is_complete(b"AT Riley\n{ \"a\": [] }"));
        assert!(!is_complete(b"? WHATSAT kiwi 1"));
        assert!(is_complete(b"? WHATSAT kiwi 1 1"));
        assert!(is_complete(b"? WHATSAT\n"));
    }
}

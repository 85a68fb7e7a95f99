//! One end of a connection, controlled by a story.

use std::future::Future;
use std::time::Duration;

use proxy_herd::herd::Address;
use proxy_herd::net::{Connection, Net};
use proxy_herd::protocol::escape;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;

/// The time limit for each event that a story waits for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Waits for `work` up to the time limit, and fails the story after it.
pub(crate) async fn soon<T>(work: impl Future<Output = T>, what: impl FnOnce() -> String) -> T {
    let done = timeout(PATIENCE, work).await;
    done.unwrap_or_else(|_| panic!("waited in vain for {}", what()))
}

/// A connection, with the bytes that were received and not used yet.
pub(crate) struct Wire<S> {
    stream: S,
    unread: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub(crate) async fn connect(net: &impl Net<Stream = S>, to: &Address) -> Self {
        let connected = soon(net.connect(to), || format!("a connection to {to}")).await;
        Self::new(connected.expect("somebody listens"))
    }

    pub(crate) fn new(connection: Connection<S>) -> Self {
        Self {
            stream: connection.stream,
            unread: Vec::new(),
        }
    }

    /// Writes `bytes` as they are.
    pub(crate) async fn say(&mut self, bytes: impl AsRef<[u8]>) {
        let written = self.try_say(bytes.as_ref()).await;
        written.expect("the connection is there");
    }

    /// Like [`say`](Self::say), but the other end may have closed the connection.
    pub(crate) async fn try_say(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let what = || format!("room to write {} bytes", bytes.len());
        soon(self.stream.write_all(bytes), what).await
    }

    /// Writes `bytes` repeatedly until the connection breaks.
    pub(crate) async fn flood(&mut self, bytes: &[u8], written: &mut usize) {
        // A partial write continues at the byte where it was cut.
        while let Ok(more) = self.stream.write(&bytes[*written % bytes.len()..]).await {
            *written += more;
        }
    }

    /// Closes the sending half.
    pub(crate) async fn half_close(&mut self) {
        let closed = self.stream.shutdown().await;
        closed.expect("the connection is there");
    }

    /// The stream without the bytes that were received.
    pub(crate) fn into_stream(self) -> S {
        self.stream
    }

    async fn read(&mut self, what: &str) -> std::io::Result<usize> {
        let read = timeout(PATIENCE, self.stream.read_buf(&mut self.unread)).await;
        let Ok(read) = read else {
            panic!(
                "waited in vain for {what}; so far: {}",
                escape(&self.unread)
            );
        };
        read
    }

    /// Reads the next line, without its terminator.
    pub(crate) async fn line(&mut self) -> Vec<u8> {
        loop {
            if let Some(end) = self.unread.iter().position(|&byte| byte == b'\n') {
                let rest = self.unread.split_off(end + 1);
                let mut line = std::mem::replace(&mut self.unread, rest);
                line.pop();
                return line;
            }
            let read = self.read("a line").await.expect("a line, not an error");
            assert!(read > 0, "ended after: {}", escape(&self.unread));
        }
    }

    /// Reads the next line, which must be this one.
    pub(crate) async fn expect(&mut self, line: impl AsRef<[u8]>) {
        let came = self.line().await;
        let (came, wanted) = (escape(&came), escape(line.as_ref()));
        assert!(came == wanted, "expected: {wanted}\n    came: {came}");
    }

    /// Reads the next line, which must start with this text, and returns the rest of it.
    pub(crate) async fn expect_start(&mut self, start: &str) -> String {
        let came = escape(&self.line().await);
        let Some(rest) = came.strip_prefix(start) else {
            panic!("expected: {start}…\n    came: {came}");
        };
        rest.to_owned()
    }

    /// Reads the next line, which must be the answer of `server` to `IAMAT {told}`, with any skew.
    pub(crate) async fn expect_at(&mut self, server: &str, told: &str) {
        let rest = self.expect_start(&format!("AT {server} ")).await;
        let (skew, came) = rest.split_once(' ').expect("more than a skew");
        assert_eq!(came, told);
        let digits = skew.strip_prefix(['+', '-']).expect("a sign");
        let (whole, fraction) = digits.split_once('.').expect("a point");
        let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        assert!(is_number(whole) && is_number(fraction) && fraction.len() == 9);
    }

    /// Reads the next bytes, which must be exactly this text.
    pub(crate) async fn expect_text(&mut self, text: &str) {
        while self.unread.len() < text.len() {
            let read = self.read("a text").await.expect("a text, not an error");
            assert!(read > 0, "ended after: {}", escape(&self.unread));
        }
        let rest = self.unread.split_off(text.len());
        let came = std::mem::replace(&mut self.unread, rest);
        assert_eq!(escape(&came), escape(text.as_bytes()));
    }

    /// The other end must close without an error and without another byte.
    pub(crate) async fn expect_end(&mut self) {
        let rest = self.rest().await;
        assert!(rest.is_empty(), "came: {}", escape(&rest));
    }

    /// Reads all bytes until the other end closes without an error.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        while self.read("the end").await.expect("an end in good order") > 0 {}
        std::mem::take(&mut self.unread)
    }

    /// The other end must close, with or without an error, whatever it sends before.
    pub(crate) async fn expect_gone(&mut self) {
        while matches!(self.read("the end").await, Ok(1..)) {}
    }
}

//! Splits bytes into lines of limited length.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::time::Instant;

/// The room for each read, in bytes.
const READ: usize = 16 * 1024;

/// The bytes that were read and not handled yet.
pub(super) struct Lines {
    buffer: Vec<u8>,
    /// All bytes before this position were handled.
    start: usize,
    /// There is no LF between `start` and this position.
    searched: usize,
    limit: usize,
    /// When `half_since()` was first called for the current incomplete line.
    half_since: Option<Instant>,
    /// The last read filled its room.
    was_full: bool,
}

/// The result of [`Lines::next`].
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next<'a> {
    /// A line, without its terminator.
    Line(&'a [u8]),
    /// The first bytes, up to the limit, of a line that is too long.
    TooLong(&'a [u8]),
    /// There is no whole line.
    Nothing,
}

impl Lines {
    /// Splits into lines of up to `limit` bytes without their terminator.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            buffer: Vec::new(),
            start: 0,
            searched: 0,
            limit,
            half_since: None,
            was_full: false,
        }
    }

    /// Like [`read_now`](Self::read_now), but for a neighbour. If the last read filled its room,
    /// other tasks get a turn first.
    pub(super) async fn read(
        &mut self,
        reader: &mut (impl AsyncRead + Unpin),
    ) -> io::Result<usize> {
        if std::mem::take(&mut self.was_full) {
            tokio::task::yield_now().await;
        }
        self.read_now(reader).await
    }

    /// Reads once, and returns 0 at the end of the stream. Dropping the future loses nothing. It
    /// waits only for the other end.
    pub(super) async fn read_now(
        &mut self,
        reader: &mut (impl AsyncRead + Unpin),
    ) -> io::Result<usize> {
        self.buffer.drain(..self.start);
        self.searched -= self.start;
        self.start = 0;
        self.buffer.reserve(READ);
        let read = reader.read_buf(&mut self.buffer).await?;
        self.was_full = read >= READ;
        Ok(read)
    }

    /// Takes the next line out of the buffer.
    pub(super) fn next(&mut self) -> Next<'_> {
        let unsearched = &self.buffer[self.searched..];
        // Bytes that were searched in vain are not searched again.
        let Some(found) = memchr::memchr(b'\n', unsearched) else {
            self.searched = self.buffer.len();
            if self.searched - self.start > self.limit {
                return Next::TooLong(&self.buffer[self.start..self.start + self.limit]);
            }
            return Next::Nothing;
        };
        let (start, end) = (self.start, self.searched + found);
        if end - start > self.limit {
            return Next::TooLong(&self.buffer[start..start + self.limit]);
        }
        self.start = end + 1;
        self.searched = self.start;
        self.half_since = None;
        Next::Line(&self.buffer[start..end])
    }

    /// Whether the buffer holds unhandled input: whole lines, or the start of one.
    pub(super) fn has_more(&self) -> bool {
        self.start < self.buffer.len()
    }

    /// The time since which the last line is incomplete, however much it has grown since.
    pub(super) fn half_since(&mut self) -> Option<Instant> {
        self.has_more()
            .then(|| *self.half_since.get_or_insert_with(Instant::now))
    }

    /// Completes an unterminated last line at the end of the stream.
    pub(super) fn end(&mut self) {
        if self.has_more() {
            self.buffer.push(b'\n');
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use futures_lite::future::or;

    use super::{Lines, Next};

    async fn fed(chunks: &[&[u8]], limit: usize) -> Vec<String> {
        let mut lines = Lines::new(limit);
        let mut seen = Vec::new();
        for chunk in chunks {
            let mut reader = *chunk;
            lines.read(&mut reader).await.expect("a slice reads");
            loop {
                match lines.next() {
                    Next::Line(line) => seen.push(crate::protocol::escape(line)),
                    Next::TooLong(line) => {
                        seen.push(format!("too long: {}", crate::protocol::escape(line)));
                        return seen;
                    }
                    Next::Nothing => break,
                }
            }
        }
        lines.end();
        if let Next::Line(line) = lines.next() {
            seen.push(format!("rest: {}", crate::protocol::escape(line)));
        }
        seen
    }

    #[tokio::test]
    async fn lines_may_be_split_and_joined_in_any_way() {
        let whole = fed(&[b"one\ntwo\r\n\nthree"], 10).await;
        assert_eq!(whole, ["one", "two\\r", "", "rest: three"]);
        let bytes: Vec<&[u8]> = b"one\ntwo\r\n\nthree".chunks(1).collect();
        assert_eq!(fed(&bytes, 10).await, whole);
    }

    #[tokio::test]
    async fn who_fills_every_read_lets_others_have_a_turn_before_the_next() {
        let turns = Cell::new(0);
        let flood = async {
            let (mut lines, mut endless) = (Lines::new(10), tokio::io::repeat(b'\n'));
            for _ in 0..10 {
                lines.read(&mut endless).await.expect("it is endless");
                while lines.next() != Next::Nothing {}
            }
            turns.get()
        };
        let others = async {
            loop {
                turns.set(turns.get() + 1);
                tokio::task::yield_now().await;
            }
        };
        assert_eq!(or(flood, others).await, 9);
    }

    #[tokio::test]
    async fn a_line_at_the_limit_is_a_line_and_one_byte_more_is_not() {
        assert_eq!(fed(&[b"12345\n"], 5).await, ["12345"]);
        assert_eq!(fed(&[b"12", b"345", b"\n"], 5).await, ["12345"]);
        assert_eq!(fed(&[b"123456\n"], 5).await, ["too long: 12345"]);
        assert_eq!(
            fed(&[b"ok\n1234", b"56"], 5).await,
            ["ok", "too long: 12345"]
        );
    }
}

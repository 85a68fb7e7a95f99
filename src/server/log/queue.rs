//! A bounded queue of log lines in front of a slow outlet, and the thread that empties it.

use std::io::{self, Write};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::notice::{Notice, Outlet, Tell};
use crate::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use crate::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, TryRecvError};
use crate::sync::{Mutex, thread};

/// The sending half of the queue. It never blocks: lines that find no room are dropped and counted.
pub struct Queue {
    send: Mutex<Option<Sender<Message>>>,
    counts: Arc<Counts>,
    /// The number of bytes that can wait.
    most: usize,
}

/// A request to the thread that writes.
enum Message {
    Lines(Vec<u8>),
    Reopen,
}

#[derive(Default)]
struct Counts {
    waiting: AtomicUsize,
    dropped: AtomicU64,
    /// The count for the whole run. The other count restarts when a report has shown it.
    dropped_ever: AtomicU64,
}

impl Counts {
    fn drop_lines(&self, lines: u64) {
        self.dropped.fetch_add(lines, Ordering::Relaxed);
        self.dropped_ever.fetch_add(lines, Ordering::Relaxed);
    }
}

impl Queue {
    /// Queues whole lines, with their terminators.
    pub fn put(&self, lines: Vec<u8>) {
        if lines.is_empty() {
            return;
        }
        // A text of several lines, such as an error with its help, is queued or dropped as a whole.
        let (length, number) = (lines.len(), lines_in(&lines).max(1));
        let waiting = self.counts.waiting.fetch_add(length, Ordering::Relaxed);
        let has_room = waiting.saturating_add(length) <= self.most;
        if !(has_room && self.send(Message::Lines(lines))) {
            self.counts.waiting.fetch_sub(length, Ordering::Relaxed);
            self.counts.drop_lines(number);
        }
    }

    /// Reopens the outlet once all lines that are queued so far are written.
    pub(super) fn reopen(&self) {
        self.send(Message::Reopen);
    }

    fn send(&self, message: Message) -> bool {
        let send = self.send.lock().unwrap_or_else(PoisonError::into_inner);
        send.as_ref().is_some_and(|send| send.send(message).is_ok())
    }

    /// The number of lines that were dropped since the server began.
    pub fn dropped(&self) -> u64 {
        self.counts.dropped_ever.load(Ordering::Relaxed)
    }

    /// A line to write into, which is queued when it is dropped.
    pub fn line(self: &Arc<Self>) -> Line {
        Line {
            queue: Arc::clone(self),
            text: Vec::new(),
        }
    }
}

/// A line that is being composed.
pub struct Line {
    queue: Arc<Queue>,
    text: Vec<u8>,
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.queue.put(std::mem::take(&mut self.text));
    }
}

/// The number of lines that end in `text`.
fn lines_in(text: &[u8]) -> u64 {
    let lines = memchr::memchr_iter(b'\n', text).count();
    u64::try_from(lines).unwrap_or(u64::MAX)
}

/// The thread that writes what is put into its queue.
pub struct Writing {
    queue: Arc<Queue>,
    opened: Mutex<Receiver<io::Error>>,
    ended: Mutex<Receiver<()>>,
}

impl Writing {
    /// Starts a thread that calls `open` and writes to the outlet behind a queue of `most` bytes.
    /// The outlet gets a line made by `missing` in place of dropped lines; a failure of the outlet
    /// is reported by `tell`.
    pub fn start<O: Outlet>(
        name: &str,
        most: usize,
        open: impl FnOnce() -> io::Result<O> + Send + 'static,
        missing: fn(u64) -> String,
        tell: Tell,
    ) -> io::Result<Self> {
        let (send, messages) = mpsc::channel();
        let (end, ended) = mpsc::channel();
        let (fail, opened) = mpsc::channel();
        let counts = Arc::new(Counts::default());
        let queue = Arc::new(Queue {
            send: Mutex::new(Some(send)),
            counts: Arc::clone(&counts),
            most,
        });
        // This is a thread, because opening or writing a file or a pipe can block, and a server
        // must not wait for its log. The thread makes no decisions, and nothing in a simulation
        // logs.
        thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                match open() {
                    Ok(outlet) => {
                        drop(fail);
                        Writer::new(outlet, &counts, missing, tell).follow(&messages);
                    }
                    Err(error) => {
                        // The caller gets the error if it still waits in `is_open`. Otherwise the
                        // operator gets it.
                        if let Err(mpsc::SendError(error)) = fail.send(error) {
                            tell(&Notice::Lost(error));
                        }
                    }
                }
                // The receiver may be gone.
                let _ = end.send(());
            })?;
        Ok(Self {
            queue,
            opened: Mutex::new(opened),
            ended: Mutex::new(ended),
        })
    }

    /// Waits up to `patience` until the outlet is open, and returns whether it is. Lines can be
    /// queued meanwhile.
    ///
    /// # Errors
    ///
    /// When the outlet can't be opened.
    pub fn is_open(&self, patience: Duration) -> io::Result<bool> {
        let opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        match opened.recv_timeout(patience) {
            Ok(error) => Err(error),
            Err(RecvTimeoutError::Disconnected) => Ok(true),
            Err(RecvTimeoutError::Timeout) => Ok(false),
        }
    }

    /// The queue of this thread.
    pub fn queue(&self) -> Arc<Queue> {
        Arc::clone(&self.queue)
    }

    /// Closes the queue, waits up to `patience` until its lines are written, and returns whether
    /// they are.
    pub fn finish(&self, patience: Duration) -> bool {
        let mut send = self
            .queue
            .send
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if send.take().is_none() {
            return true;
        }
        drop(send);
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        ended.recv_timeout(patience).is_ok()
    }
}

/// The number of queued bytes that one write collects.
const AT_ONCE: usize = 8 * 1024;

/// The shortest time between two reports that an outlet fails, however often it recovers in
/// between.
const TOLD_AGAIN: Duration = Duration::from_mins(1);

/// The state of the thread.
struct Writer<'a, O> {
    outlet: O,
    counts: &'a Counts,
    missing: fn(u64) -> String,
    tell: Tell,
    /// Whole lines that left the queue and are not written yet.
    batch: Vec<u8>,
    /// The last write ended in the middle of a line.
    is_torn: bool,
    failing: Option<Failing>,
    /// When a failure was last reported.
    told: Option<Instant>,
}

/// A failure that lasts: no write has succeeded since it began.
struct Failing {
    lost: u64,
    is_told: bool,
}

impl<'a, O: Outlet> Writer<'a, O> {
    fn new(outlet: O, counts: &'a Counts, missing: fn(u64) -> String, tell: Tell) -> Self {
        Self {
            outlet,
            counts,
            missing,
            tell,
            batch: Vec::new(),
            is_torn: false,
            failing: None,
            told: None,
        }
    }

    /// Writes until every sender is gone. Lines that can't be written are dropped and counted.
    fn follow(&mut self, messages: &Receiver<Message>) {
        loop {
            let next = match messages.try_recv() {
                Err(TryRecvError::Empty) => {
                    self.flush();
                    messages.recv().ok()
                }
                next => next.ok(),
            };
            match next {
                None => break,
                Some(Message::Reopen) => {
                    self.flush();
                    self.outlet.reopen();
                }
                Some(Message::Lines(lines)) => {
                    self.say_what_is_missing();
                    self.counts
                        .waiting
                        .fetch_sub(lines.len(), Ordering::Relaxed);
                    self.batch.extend_from_slice(&lines);
                    if self.batch.len() >= AT_ONCE {
                        self.flush();
                    }
                }
            }
        }
        self.say_what_is_missing();
        self.flush();
    }

    fn say_what_is_missing(&mut self) {
        if self.counts.dropped.load(Ordering::Relaxed) == 0 {
            return;
        }
        // The lines in the batch are older than the dropped ones, so they go first.
        self.flush();
        let dropped = self.counts.dropped.swap(0, Ordering::Relaxed);
        let line = (self.missing)(dropped) + "\n";
        if self.write(line.as_bytes()).is_err() {
            self.counts.dropped.fetch_add(dropped, Ordering::Relaxed);
        }
    }

    /// Writes the batch. Lines that fail to be written are dropped.
    fn flush(&mut self) {
        let batch = std::mem::take(&mut self.batch);
        if batch.is_empty() {
            return;
        }
        match self.write(&batch) {
            Ok(()) => {
                if let Some(Failing {
                    lost,
                    is_told: true,
                }) = self.failing.take()
                {
                    (self.tell)(&Notice::Works(lost));
                }
            }
            Err((written, error)) => self.failed(&batch[written..], error),
        }
        // The next batch uses the same memory.
        self.batch = batch;
        self.batch.clear();
    }

    /// Counts lines as lost, the first of which may be written in part, and reports the failure.
    fn failed(&mut self, lines: &[u8], error: io::Error) {
        let lost = lines_in(lines);
        self.counts.drop_lines(lost);
        let told = self.told;
        let failing = self.failing.get_or_insert(Failing {
            lost: 0,
            is_told: false,
        });
        failing.lost += lost;
        if !failing.is_told && told.is_none_or(|told| told.elapsed() >= TOLD_AGAIN) {
            failing.is_told = true;
            self.told = Some(Instant::now());
            (self.tell)(&Notice::Failing(error));
        }
    }

    /// Writes all of `bytes`. An error comes with the number of bytes that were written before it.
    fn write(&mut self, bytes: &[u8]) -> Result<(), (usize, io::Error)> {
        if self.is_torn {
            // This ends the torn line, so that the next one begins on a line of its own.
            self.outlet.write_all(b"\n").map_err(|error| (0, error))?;
            self.is_torn = false;
        }
        let mut written = 0;
        let failed = loop {
            if written == bytes.len() {
                match self.outlet.flush() {
                    Ok(()) => return Ok(()),
                    Err(error) => break error,
                }
            }
            match self.outlet.write(&bytes[written..]) {
                Ok(0) => break io::ErrorKind::WriteZero.into(),
                Ok(more) => written += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break error,
            }
        };
        self.is_torn = written > 0 && bytes[written - 1] != b'\n';
        Err((written, failed))
    }
}

#[cfg(all(test, feature = "threads"))]
mod threads;

#[cfg(test)]
mod tests;

//! Lines on their way to somewhere slow: a bounded queue and the thread that empties it.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, TryRecvError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::notice::{Notice, Outlet, Tell};

/// Where lines are put. Never waits: what finds no room is dropped and counted.
pub struct Queue {
    send: Mutex<Option<Sender<Message>>>,
    counts: Arc<Counts>,
    /// The number of bytes that may wait.
    most: usize,
}

/// What the thread is given to do.
enum Message {
    Lines(Vec<u8>),
    Reopen,
}

#[derive(Default)]
struct Counts {
    waiting: AtomicUsize,
    dropped: AtomicU64,
    /// Of the whole run; the other count begins again when it was reported.
    dropped_ever: AtomicU64,
}

impl Counts {
    fn drop_lines(&self, lines: u64) {
        self.dropped.fetch_add(lines, Ordering::Relaxed);
        self.dropped_ever.fetch_add(lines, Ordering::Relaxed);
    }
}

impl Queue {
    /// Puts whole lines, with their terminators.
    pub fn put(&self, lines: Vec<u8>) {
        if lines.is_empty() {
            return;
        }
        let length = lines.len();
        let waiting = self.counts.waiting.fetch_add(length, Ordering::Relaxed);
        let has_room = waiting.saturating_add(length) <= self.most;
        if !(has_room && self.send(Message::Lines(lines))) {
            self.counts.waiting.fetch_sub(length, Ordering::Relaxed);
            self.counts.drop_lines(1);
        }
    }

    /// Has the outlet opened anew, behind what was put so far.
    pub(super) fn reopen(&self) {
        self.send(Message::Reopen);
    }

    fn send(&self, message: Message) -> bool {
        let send = self.send.lock().unwrap_or_else(PoisonError::into_inner);
        send.as_ref().is_some_and(|send| send.send(message).is_ok())
    }

    /// How many lines were dropped since the beginning.
    pub fn dropped(&self) -> u64 {
        self.counts.dropped_ever.load(Ordering::Relaxed)
    }

    /// A line to write into; it is put when it is dropped.
    pub fn line(self: &Arc<Self>) -> Line {
        Line {
            queue: Arc::clone(self),
            text: Vec::new(),
        }
    }
}

/// A line that is being written.
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

/// A thread that writes what is put into its queue.
pub struct Writing {
    queue: Arc<Queue>,
    opened: Mutex<Receiver<io::Error>>,
    ended: Mutex<Receiver<()>>,
}

impl Writing {
    /// Begins to write to what `open` opens; at most `most` bytes may wait. Where lines were dropped, `missing` says so in a
    /// line of its own; if the outlet takes none, `tell` does.
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
        // A thread, because opening and writing a file or a pipe may block, and a server must not wait for its log. It
        // decides nothing, and nothing in a simulation logs.
        std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                match open() {
                    Ok(outlet) => {
                        drop(fail);
                        Writer::new(outlet, &counts, missing, tell).follow(&messages);
                    }
                    Err(error) => {
                        // Whoever began this waits for the error, or else hears of it like this.
                        if let Err(mpsc::SendError(error)) = fail.send(error) {
                            tell(&Notice::Lost(error));
                        }
                    }
                }
                // Nobody may be waiting for the end.
                let _ = end.send(());
            })?;
        Ok(Self {
            queue,
            opened: Mutex::new(opened),
            ended: Mutex::new(ended),
        })
    }

    /// Waits until the outlet is open, but no longer than `patience`, and says whether it is. Lines can be put meanwhile.
    ///
    /// # Errors
    ///
    /// When it can't be opened.
    pub fn is_open(&self, patience: Duration) -> io::Result<bool> {
        let opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        match opened.recv_timeout(patience) {
            Ok(error) => Err(error),
            Err(RecvTimeoutError::Disconnected) => Ok(true),
            Err(RecvTimeoutError::Timeout) => Ok(false),
        }
    }

    /// Where lines are put.
    pub fn queue(&self) -> Arc<Queue> {
        Arc::clone(&self.queue)
    }

    /// Takes no more lines and waits until those that were put are written, but no longer than `patience`. Whether they are.
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

/// The number of bytes that are written at a time, if as many wait.
const AT_ONCE: usize = 8 * 1024;

/// The shortest time between two reports of a failing outlet, however often it works in between.
const TOLD_AGAIN: Duration = Duration::from_mins(1);

/// What the thread does.
struct Writer<'a, O> {
    outlet: O,
    counts: &'a Counts,
    missing: fn(u64) -> String,
    tell: Tell,
    /// Whole lines that were taken from the queue.
    batch: Vec<u8>,
    /// Half a line was written last.
    is_torn: bool,
    failing: Option<Failing>,
    /// When it was last reported that writing fails.
    told: Option<Instant>,
}

/// Nothing can be written.
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

    /// Writes until nobody can put any more. What can't be written is dropped and counted, too.
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
        // What is still to be written came before.
        self.flush();
        let dropped = self.counts.dropped.swap(0, Ordering::Relaxed);
        let line = (self.missing)(dropped) + "\n";
        if self.write(line.as_bytes()).is_err() {
            self.counts.dropped.fetch_add(dropped, Ordering::Relaxed);
        }
    }

    /// Writes what was taken, or drops it.
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
        // Its memory is used again.
        self.batch = batch;
        self.batch.clear();
    }

    /// These lines are lost, the first one perhaps in part.
    fn failed(&mut self, lines: &[u8], error: io::Error) {
        let lost = memchr::memchr_iter(b'\n', lines).count();
        let lost = u64::try_from(lost).unwrap_or(u64::MAX);
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

    /// Writes all of `bytes`, or says how many it could, and why no more.
    fn write(&mut self, bytes: &[u8]) -> Result<(), (usize, io::Error)> {
        if self.is_torn {
            // So that the next line is one.
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

#[cfg(test)]
mod tests;

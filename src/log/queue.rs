//! Lines on their way to somewhere slow: a bounded queue and the thread that empties it.

use std::fmt;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, TryRecvError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Where lines are put. Never waits: what finds no room is dropped and counted.
pub struct Queue {
    send: Mutex<Option<Sender<Message>>>,
    counts: Arc<Counts>,
    /// So many bytes may wait.
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
    /// Of the whole run; the other count begins again when it was told.
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

/// Where a thread writes to.
pub trait Outlet: Write {
    /// Begins anew what was moved away, if there is such a thing.
    fn reopen(&mut self) {}
}

impl Outlet for io::Stderr {}

/// What an operator should know of an outlet; its name comes before it.
#[derive(Debug)]
pub enum Notice {
    /// Nothing can be written from here on. That is told once, until something could be.
    Failing(io::Error),
    /// Something was written again, and so many lines were lost meanwhile.
    Works(u64),
    /// A file grows on that should have been rotated.
    NotRotated(io::Error),
    /// A file that was moved away was begun anew.
    Reopened,
    /// It could not be, and the old one is still written.
    NotReopened(io::Error),
    /// A file that was removed was begun anew.
    Removed,
    /// It could not be: all lines are lost.
    Lost(io::Error),
}

impl Notice {
    /// Whether something is wrong from here on.
    pub fn is_bad(&self) -> bool {
        !matches!(self, Self::Works(_) | Self::Reopened | Self::Removed)
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failing(error) => write!(
                f,
                "can't be written, its lines are dropped and counted until it can: {error}"
            ),
            Self::Works(lost) => write!(f, "is written again; {lost} lines were lost"),
            Self::NotRotated(error) => write!(f, "can't be rotated and grows on: {error}"),
            Self::Reopened => f.write_str("is opened anew"),
            Self::NotReopened(error) => {
                write!(f, "can't be opened anew, the old one goes on: {error}")
            }
            Self::Removed => f.write_str("was removed, and is begun anew"),
            Self::Lost(error) => write!(
                f,
                "was removed and can't be begun anew, so its lines are lost: {error}"
            ),
        }
    }
}

/// Tells an operator. It is called by the thread that writes, and must not wait for that.
pub type Tell = Arc<dyn Fn(&Notice) + Send + Sync>;

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

/// So many bytes are written at a time, if as many wait.
const AT_ONCE: usize = 8 * 1024;

/// A failing outlet is told of this often at most, however often it works in between.
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
    /// When it was last told that nothing can be written.
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
mod tests {
    use std::io::{self, Write};
    use std::sync::mpsc;
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use super::{Outlet, Tell, Writing};

    /// Takes each write when it is let to.
    struct Slow {
        may: mpsc::Receiver<()>,
        begun: mpsc::Sender<()>,
        taken: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.begun.send(());
            let _ = self.may.recv();
            self.taken.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Outlet for Slow {}

    fn missing(lines: u64) -> String {
        format!("{lines} missing")
    }

    fn untold() -> Tell {
        Arc::new(|notice| panic!("{notice}"))
    }

    #[test]
    fn a_full_queue_drops_and_says_how_many() {
        let (let_it, may) = mpsc::channel();
        let (begun, has_begun) = mpsc::channel();
        let taken = Arc::new(Mutex::new(Vec::new()));
        let slow = Slow {
            may,
            begun,
            taken: Arc::clone(&taken),
        };
        let writing = Writing::start("test", 10, || Ok(slow), missing, untold()).unwrap();
        let queue = writing.queue();
        queue.put(b"first\n".to_vec());
        // It is being written now, and counts no longer.
        has_begun.recv().unwrap();
        for line in ["2\n", "3\n", "4\n", "5\n", "6\n", "no\n", "room\n"] {
            queue.put(line.as_bytes().to_vec());
        }
        drop(let_it);
        assert!(writing.finish(Duration::from_secs(10)));
        let taken = String::from_utf8(taken.lock().unwrap().clone()).unwrap();
        assert_eq!(taken, "first\n2 missing\n2\n3\n4\n5\n6\n");
    }

    #[test]
    fn a_stuck_outlet_holds_nobody_for_ever() {
        let (_let_it, may) = mpsc::channel();
        let (begun, _has_begun) = mpsc::channel();
        let taken = Arc::default();
        let slow = Slow { may, begun, taken };
        let writing = Writing::start("test", 10, || Ok(slow), missing, untold()).unwrap();
        writing.queue().put(b"line\n".to_vec());
        assert!(!writing.finish(Duration::from_millis(1)));
        writing.queue().put(b"late\n".to_vec());
    }

    #[test]
    fn one_that_is_not_opened_in_time_is_waited_for_without_stopping_anybody() {
        let (let_it, may) = mpsc::channel::<()>();
        let open = move || {
            let _ = may.recv();
            Err::<io::Stderr, _>(io::Error::other("gone"))
        };
        let (tell, told) = mpsc::channel();
        let tell = Mutex::new(tell);
        let tell: Tell = Arc::new(move |notice| {
            let _ = tell.lock().unwrap().send(notice.to_string());
        });
        let writing = Writing::start("test", 10, open, missing, tell).unwrap();
        assert!(!writing.is_open(Duration::from_millis(1)).unwrap());
        writing.queue().put(b"line\n".to_vec());
        drop(let_it);
        // Whoever still asks is told; otherwise an operator is.
        let error = writing.is_open(Duration::from_secs(10)).unwrap_err();
        assert_eq!(error.to_string(), "gone");
        assert!(told.try_recv().is_err());
    }

    /// Has room for so many bytes.
    struct Small {
        room: Arc<Mutex<usize>>,
        taken: Arc<Mutex<Vec<u8>>>,
        written: mpsc::Sender<()>,
    }

    impl Write for Small {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut room = self.room.lock().unwrap();
            let fit = bytes.len().min(*room);
            *room -= fit;
            let _ = self.written.send(());
            if fit == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.taken.lock().unwrap().extend_from_slice(&bytes[..fit]);
            Ok(fit)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Outlet for Small {}

    #[test]
    fn a_full_outlet_is_told_of_once_and_what_is_lost_is_counted() {
        let (room, taken) = (Arc::new(Mutex::new(7)), Arc::<Mutex<Vec<u8>>>::default());
        let told: Arc<Mutex<Vec<String>>> = Arc::default();
        let tell = {
            let told = Arc::clone(&told);
            Arc::new(move |notice: &super::Notice| told.lock().unwrap().push(notice.to_string()))
        };
        let (written, was_written) = mpsc::channel();
        let small = Small {
            room: Arc::clone(&room),
            taken: Arc::clone(&taken),
            written,
        };
        let writing = Writing::start("test", 1000, || Ok(small), missing, tell).unwrap();
        let queue = writing.queue();
        // One and a half of them fit.
        for line in ["one1\n", "two2\n", "three\n", "four\n"] {
            queue.put(line.as_bytes().to_vec());
            was_written.recv().unwrap();
        }
        while queue.dropped() < 3 {
            std::thread::yield_now();
        }
        *room.lock().unwrap() = 1000;
        queue.put(b"five\n".to_vec());
        assert!(writing.finish(Duration::from_secs(10)));
        let taken = String::from_utf8(taken.lock().unwrap().clone()).unwrap();
        assert_eq!(taken, "one1\ntw\n3 missing\nfive\n");
        let told = told.lock().unwrap();
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0].starts_with("can't be written"), "{told:?}");
        assert_eq!(told[1], "is written again; 3 lines were lost");
        assert_eq!(queue.dropped(), 3);
    }
}

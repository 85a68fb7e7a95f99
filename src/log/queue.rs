//! Lines on their way to somewhere slow: a bounded queue and the thread that empties it.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender, TryRecvError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Where lines are put. Never waits: what finds no room is dropped and counted.
pub struct Queue {
    send: Mutex<Option<Sender<Vec<u8>>>>,
    counts: Arc<Counts>,
    /// So many bytes may wait.
    most: usize,
}

#[derive(Default)]
struct Counts {
    waiting: AtomicUsize,
    dropped: AtomicU64,
    /// Of the whole run; the other count begins again when it was told.
    dropped_ever: AtomicU64,
}

impl Counts {
    fn drop_one(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
        self.dropped_ever.fetch_add(1, Ordering::Relaxed);
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
        let send = self.send.lock().unwrap_or_else(PoisonError::into_inner);
        let sent = has_room && send.as_ref().is_some_and(|send| send.send(lines).is_ok());
        if !sent {
            self.counts.waiting.fetch_sub(length, Ordering::Relaxed);
            self.counts.drop_one();
        }
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
    ended: Mutex<Receiver<()>>,
}

impl Writing {
    /// Begins to write to `outlet`; at most `most` bytes may wait. Where lines were dropped, `missing` says so in a
    /// line of its own.
    pub fn start(
        name: &str,
        most: usize,
        outlet: impl Write + Send + 'static,
        missing: fn(u64) -> String,
    ) -> io::Result<Self> {
        let (send, lines) = mpsc::channel();
        let (end, ended) = mpsc::channel();
        let counts = Arc::new(Counts::default());
        let queue = Arc::new(Queue {
            send: Mutex::new(Some(send)),
            counts: Arc::clone(&counts),
            most,
        });
        // A thread, because writing to a file or a pipe may block, and a server must not wait for its log. It
        // decides nothing, and nothing in a simulation logs.
        std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                write_all(&lines, outlet, &counts, missing);
                // Nobody may be waiting for the end.
                let _ = end.send(());
            })?;
        let ended = Mutex::new(ended);
        Ok(Self { queue, ended })
    }

    /// Where lines are put.
    pub fn queue(&self) -> Arc<Queue> {
        Arc::clone(&self.queue)
    }

    /// Takes no more lines and waits until those that were put are written, but no longer than `patience`.
    pub fn finish(&self, patience: Duration) {
        let mut send = self
            .queue
            .send
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if send.take().is_some() {
            drop(send);
            let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
            let _ = ended.recv_timeout(patience);
        }
    }
}

/// Writes until nobody can put any more. What can't be written is dropped and counted, too: there is nobody to tell.
fn write_all(
    lines: &Receiver<Vec<u8>>,
    outlet: impl Write,
    counts: &Counts,
    missing: fn(u64) -> String,
) {
    let mut outlet = io::BufWriter::new(outlet);
    loop {
        let next = match lines.try_recv() {
            Err(TryRecvError::Empty) => {
                let _ = outlet.flush();
                lines.recv().ok()
            }
            next => next.ok(),
        };
        let dropped = counts.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 && writeln!(outlet, "{}", missing(dropped)).is_err() {
            counts.dropped.fetch_add(dropped, Ordering::Relaxed);
        }
        let Some(line) = next else { break };
        if outlet.write_all(&line).is_err() {
            counts.drop_one();
        }
        counts.waiting.fetch_sub(line.len(), Ordering::Relaxed);
    }
    let _ = outlet.flush();
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::mpsc;
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use super::Writing;

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

    fn missing(lines: u64) -> String {
        format!("{lines} missing")
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
        let writing = Writing::start("test", 10, slow, missing).unwrap();
        let queue = writing.queue();
        queue.put(b"first\n".to_vec());
        // It is being written now, and counts no longer.
        has_begun.recv().unwrap();
        for line in ["2\n", "3\n", "4\n", "5\n", "6\n", "no\n", "room\n"] {
            queue.put(line.as_bytes().to_vec());
        }
        drop(let_it);
        writing.finish(Duration::from_secs(10));
        let taken = String::from_utf8(taken.lock().unwrap().clone()).unwrap();
        assert_eq!(taken, "first\n2 missing\n2\n3\n4\n5\n6\n");
    }

    #[test]
    fn a_stuck_outlet_holds_nobody_for_ever() {
        let (_let_it, may) = mpsc::channel();
        let (begun, _has_begun) = mpsc::channel();
        let taken = Arc::default();
        let writing = Writing::start("test", 10, Slow { may, begun, taken }, missing).unwrap();
        writing.queue().put(b"line\n".to_vec());
        writing.finish(Duration::from_millis(1));
        writing.queue().put(b"late\n".to_vec());
    }
}

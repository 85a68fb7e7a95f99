use std::io::{self, Write};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::Writing;
use crate::log::notice::{Notice, Outlet, Tell};

/// An outlet that finishes each write only when the test permits it.
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
    // The thread is writing this line, so the line no longer counts as waiting.
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
fn each_line_of_a_text_that_is_dropped_counts() {
    let (_let_it, may) = mpsc::channel();
    let (begun, _has_begun) = mpsc::channel();
    let taken = Arc::default();
    let slow = Slow { may, begun, taken };
    let writing = Writing::start("test", 10, || Ok(slow), missing, untold()).unwrap();
    let queue = writing.queue();
    queue.put(b"error: one\nhelp: two\nhelp: three\n".to_vec());
    assert_eq!(queue.dropped(), 3);
    queue.put(b"a line without its terminator".to_vec());
    assert_eq!(queue.dropped(), 4);
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
    // A caller that waits for the file to open gets the error; only without one does the operator.
    let error = writing.is_open(Duration::from_secs(10)).unwrap_err();
    assert_eq!(error.to_string(), "gone");
    assert!(told.try_recv().is_err());
}

/// An outlet with room for a limited number of bytes.
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
        Arc::new(move |notice: &Notice| told.lock().unwrap().push(notice.to_string()))
    };
    let (written, was_written) = mpsc::channel();
    let small = Small {
        room: Arc::clone(&room),
        taken: Arc::clone(&taken),
        written,
    };
    let writing = Writing::start("test", 1000, || Ok(small), missing, tell).unwrap();
    let queue = writing.queue();
    // The room fits one and a half of these lines.
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

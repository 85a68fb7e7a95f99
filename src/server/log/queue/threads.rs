use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use super::Writing;
use crate::log::notice::Outlet;
use crate::sync::{Mutex, check, thread};

/// What was written, in which a thread can be held up.
#[derive(Clone)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Outlet for Written {}

/// The room of the queue: three lines.
const MOST: usize = 9;

/// The lines that a thread puts into the queue.
const LINES: [&str; 2] = ["x1\n", "x2\n"];

#[test]
fn each_line_is_written_or_counted_as_missing_and_those_of_a_thread_keep_their_order() {
    check(2000, || {
        let written = Written(Arc::new(Mutex::new(Vec::new())));
        let outlet = written.clone();
        let missing = |lines| format!("missing {lines}");
        let tell = Arc::new(|notice: &_| panic!("{notice:?}"));
        let writing = Writing::start("log", MOST, || Ok(outlet), missing, tell).expect("a thread");
        let queue = writing.queue();
        let putting = ["a", "b"].map(|name| {
            let queue = Arc::clone(&queue);
            thread::spawn(move || {
                for line in LINES {
                    queue.put(line.replace('x', name).into_bytes());
                }
            })
        });
        for putting in putting {
            putting.join().expect("no panic");
        }
        assert!(writing.finish(Duration::ZERO), "the thread has ended");
        assert_eq!(queue.counts.waiting.load(super::Ordering::SeqCst), 0);
        let written = written.0.lock().expect("no panic").clone();
        let written = String::from_utf8(written).expect("UTF-8");
        let (counts, lines): (Vec<_>, Vec<_>) =
            (written.lines()).partition(|line| line.starts_with("missing"));
        let counts = counts
            .iter()
            .filter_map(|line| line.strip_prefix("missing "));
        let missing: u64 = counts
            .map(|count| count.parse::<u64>().expect("a number"))
            .sum();
        assert_eq!(missing, queue.dropped());
        assert_eq!(
            lines.len() + usize::try_from(missing).expect("few"),
            4,
            "{written}"
        );
        for name in ["a", "b"] {
            let own = lines.iter().filter(|line| line.starts_with(name));
            assert!(own.is_sorted(), "{written}");
        }
    });
}

#[test]
fn a_queue_that_ends_counts_what_comes_too_late() {
    check(2000, || {
        let written = Written(Arc::new(Mutex::new(Vec::new())));
        let outlet = written.clone();
        let tell = Arc::new(|notice: &_| panic!("{notice:?}"));
        let missing = |lines| format!("missing {lines}");
        let writing = Writing::start("log", MOST, || Ok(outlet), missing, tell).expect("a thread");
        let queue = writing.queue();
        let putting = {
            let queue = Arc::clone(&queue);
            thread::spawn(move || LINES.map(|line| queue.put(line.into())))
        };
        assert!(writing.finish(Duration::ZERO), "the thread has ended");
        putting.join().expect("no panic");
        let written = written.0.lock().expect("no panic").clone();
        let lines = String::from_utf8(written).expect("UTF-8");
        let lines = lines.lines().filter(|line| line.starts_with('x')).count();
        assert_eq!(queue.dropped() + u64::try_from(lines).expect("few"), 2);
    });
}

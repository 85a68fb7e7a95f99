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

/// The lines that a thread puts into the queue, each of three bytes.
const LINES: [&str; 2] = ["x1\n", "x2\n"];

/// The thread that writes for a queue with room for `lines` lines, and what it has written.
fn writing(lines: usize) -> (Writing, Written) {
    let written = Written(Arc::new(Mutex::new(Vec::new())));
    let outlet = written.clone();
    let missing = |lines| format!("missing {lines}");
    let tell = Arc::new(|notice: &_| panic!("{notice:?}"));
    let writing = Writing::start("log", 3 * lines, || Ok(outlet), missing, tell);
    (writing.expect("a thread"), written)
}

impl Written {
    /// The lines that were put into the queue, and the number of those that are reported missing.
    fn told(&self) -> (Vec<String>, u64) {
        let written = self.0.lock().expect("no panic").clone();
        let (mut lines, mut missing) = (Vec::new(), 0);
        for line in String::from_utf8(written).expect("UTF-8").lines() {
            match line.strip_prefix("missing ") {
                Some(number) => missing += number.parse::<u64>().expect("a number"),
                None => lines.push(line.to_owned()),
            }
        }
        (lines, missing)
    }
}

#[test]
fn each_line_is_written_or_counted_as_missing_and_those_of_a_thread_keep_their_order() {
    for room in [1, 3] {
        check(2000, move || {
            let (writing, written) = writing(room);
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
            let (lines, missing) = written.told();
            assert_eq!(missing, queue.dropped());
            let missing = usize::try_from(missing).expect("few");
            assert_eq!(lines.len() + missing, 4, "{lines:?}");
            assert!(lines.len() >= room, "there was room: {lines:?}");
            for name in ["a", "b"] {
                let own = lines.iter().filter(|line| line.starts_with(name));
                assert!(own.is_sorted(), "{lines:?}");
            }
        });
    }
}

#[test]
fn a_queue_that_ends_counts_what_comes_too_late() {
    check(2000, || {
        let (writing, written) = writing(3);
        let queue = writing.queue();
        let putting = {
            let queue = Arc::clone(&queue);
            thread::spawn(move || LINES.map(|line| queue.put(line.into())))
        };
        assert!(writing.finish(Duration::ZERO), "the thread has ended");
        putting.join().expect("no panic");
        let (lines, _) = written.told();
        assert_eq!(
            queue.dropped() + u64::try_from(lines.len()).expect("few"),
            2
        );
    });
}

use shuttle::future::{block_on, yield_now};
use tokio::io::AsyncWriteExt as _;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::{Lines, Timing, Until};
use crate::journal::CloseReason;
use crate::server::shell::lines::Next;
use crate::sync::{check, thread};

#[test]
fn no_stop_is_lost_whatever_comes_at_the_same_time() {
    check(4000, || {
        // The first notification is not the stop yet, so the task waits again.
        let (stop, stopped) = watch::channel(0);
        let stopped = async move {
            let mut stopped = stopped;
            let _ = stopped.wait_for(|&told| told == 2).await;
        };
        let (mut near, mut far) = tokio::io::duplex(100);
        let client = thread::spawn(move || {
            block_on(far.write_all(b"one\n")).expect("there is room");
            far
        });
        let server = thread::spawn(move || {
            for _ in 0..2 {
                stop.send_modify(|told| *told += 1);
            }
        });
        let (timing, mut lines) = (Timing::default(), Lines::new(100));
        let mut until = Until::new(stopped, sleep_until(Instant::now() + timing.idle));
        let over = block_on(async {
            loop {
                let now = Instant::now();
                let read = until.read(&timing, now, &mut lines, &mut near).await;
                if let Err(over) = read {
                    return over;
                }
                while matches!(lines.next(), Next::Line(_)) {}
                // Here the task waits for something else, such as the answer of Places.
                yield_now().await;
            }
        });
        assert_eq!(over, CloseReason::Stopping);
        server.join().expect("no panic");
        client.join().expect("no panic");
    });
}

//! Whose turn it is: whoever asks for more than its share waits behind those who don't.
//!
//! Bytes are no measure: 16 KiB may be sixteen thousand lines. What a connection costs is counted in units of about
//! what an empty line costs.

use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

/// How much is done for a connection before others have a turn. To end one costs some hundred nanoseconds, which is
/// little beside what is done in it, and others wait for a few of them at most.
const TURN: usize = 640;

/// How much is done, at most, for what was read at once.
const LONG_TURN: usize = 2 * TURN;

/// How soon a new connection is checked for whether it goes beyond its share, or a thousand that come at once would
/// have a thousand turns.
const FIRST_TURN: usize = 64;

/// How much may be done for a connection beside everybody else for each second in which it is waited for. What goes
/// beyond is done as fast as can be, but in the order in which such connections come.
const SHARE: usize = 2048;

/// The number of those that go beyond their share that are ready at a time, which is also the number of turns that
/// others wait for. More would only wait for the lock of the Node.
const GREEDY_AT_A_TIME: usize = 4;

/// Reading and writing once costs as much as some lines.
const EXCHANGE: usize = 16;

/// To begin and to end a look-up costs as much as some lines.
const LOOK_UP: usize = 16;

/// The number of bytes of a line that cost as much as the line.
const BYTES: usize = 128;

/// Where those wait that go beyond their share. It gives turns in the order of their coming.
#[derive(Debug)]
pub(super) struct Gate(Semaphore);

impl Default for Gate {
    fn default() -> Self {
        Self(Semaphore::new(GREEDY_AT_A_TIME))
    }
}

/// What a connection has cost.
#[derive(Debug)]
pub(super) struct Turn {
    /// In this turn,
    cost: usize,
    /// and in those before, less what was forgiven.
    before: usize,
}

impl Turn {
    /// The first turn of a connection.
    pub(super) fn new() -> Self {
        Self {
            cost: TURN - FIRST_TURN,
            before: SHARE,
        }
    }

    /// A line of `bytes` bytes was handled.
    pub(super) fn line(&mut self, bytes: usize) {
        self.cost += 1 + bytes / BYTES;
    }

    /// A look-up was begun.
    pub(super) fn look_up(&mut self) {
        self.cost += LOOK_UP;
    }

    /// There was something to read, and answers were written.
    pub(super) fn exchange(&mut self) {
        self.cost += EXCHANGE;
    }

    /// Whether others should have a turn before more is read.
    pub(super) fn is_over(&self) -> bool {
        self.cost >= TURN
    }

    /// Whether others should have a turn though there is more of what was read: to answer a part of it first costs one more
    /// write than to answer all at once.
    pub(super) fn is_long_over(&self) -> bool {
        self.cost >= LONG_TURN
    }

    /// Begins the next turn, when all others that are ready have had one. It is over at the latest when what comes back
    /// is dropped.
    pub(super) async fn next<'a>(&mut self, gate: &'a Gate) -> Option<SemaphorePermit<'a>> {
        let permit = if self.settle() {
            // The semaphore is never closed, so acquiring can't fail.
            gate.0.acquire().await.ok()
        } else {
            None
        };
        // Whoever has a place keeps it while it is ready: that is what keeps others from being ready, too.
        tokio::task::yield_now().await;
        permit
    }

    /// The server waited for the client, for this long. Only that is forgiven: time in which a connection waits for
    /// its turn shows how busy the server is, not how modest the client.
    pub(super) fn waited(&mut self, time: Duration) {
        self.before = self.before.saturating_sub(forgiven(time));
    }

    /// Adds up what the connection has cost; whether that is more than its share.
    fn settle(&mut self) -> bool {
        self.before += std::mem::take(&mut self.cost);
        let is_greedy = self.before > SHARE;
        // Whoever stops has its share again after two seconds.
        self.before = self.before.min(2 * SHARE);
        is_greedy
    }
}

/// How much is forgiven in this time.
fn forgiven(passed: Duration) -> usize {
    let micros = usize::try_from(passed.as_micros()).unwrap_or(usize::MAX);
    micros.saturating_mul(SHARE) / 1_000_000
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_lite::future::or;
    use tokio::io::AsyncWriteExt as _;
    use tokio::task::{JoinSet, yield_now};

    use super::{
        Duration, EXCHANGE, FIRST_TURN, GREEDY_AT_A_TIME, Gate, LONG_TURN, LOOK_UP, TURN, Turn,
    };
    use crate::server::shell::lines::{Lines, Next};

    /// What a connection does with what it read.
    async fn handle(lines: &mut Lines, turn: &mut Turn, gate: &Gate, handled: &AtomicUsize) {
        loop {
            if turn.is_long_over() {
                turn.next(gate).await;
            }
            let Next::Line(line) = lines.next() else {
                return;
            };
            turn.line(line.len());
            handled.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[tokio::test]
    async fn others_have_a_turn_after_some_lines_however_short_they_are() {
        let (mut lines, gate, handled) = (Lines::new(100), Gate::default(), AtomicUsize::new(0));
        let (mut near, mut far) = tokio::io::duplex(1 << 16);
        far.write_all(&[b'\n'; 16 * 1024]).await.expect("room");
        lines.read(&mut near).await.expect("it is there");
        let mut turn = Turn::new();
        let flood = handle(&mut lines, &mut turn, &gate, &handled);
        let others = async {
            let mut before = 0;
            loop {
                let now = handled.load(Ordering::Relaxed);
                assert!(
                    now - before <= LONG_TURN,
                    "{} lines in a turn",
                    now - before
                );
                before = now;
                yield_now().await;
            }
        };
        or(flood, others).await;
        assert_eq!(handled.into_inner(), 16 * 1024);
    }

    #[test]
    fn what_was_read_at_once_is_answered_at_once_up_to_a_bound() {
        let mut turn = Turn::new();
        let lines = |turn: &mut Turn, is_over: fn(&Turn) -> bool| {
            let mut lines = 0;
            while !is_over(turn) {
                turn.line(0);
                lines += 1;
            }
            lines
        };
        assert_eq!(lines(&mut turn, Turn::is_over), FIRST_TURN);
        assert_eq!(lines(&mut turn, Turn::is_long_over), LONG_TURN - TURN);
    }

    #[tokio::test]
    async fn long_lines_and_look_ups_cost_more() {
        let lines = |cost: &dyn Fn(&mut Turn)| {
            let mut turn = Turn { cost: 0, before: 0 };
            let mut lines = 0;
            while !turn.is_over() {
                cost(&mut turn);
                lines += 1;
            }
            lines
        };
        assert_eq!(lines(&|turn| turn.line(0)), TURN);
        assert_eq!(lines(&|turn| turn.line(100)), TURN);
        assert!(lines(&|turn| turn.line(4096)) <= TURN / 30 + 1);
        assert_eq!(lines(&Turn::look_up), TURN / LOOK_UP);
        assert_eq!(lines(&Turn::exchange), TURN / EXCHANGE);
    }

    #[tokio::test]
    async fn whoever_stays_within_its_share_waits_for_a_few_of_those_who_do_not() {
        let (gate, turns) = (Arc::new(Gate::default()), Arc::new(AtomicUsize::new(0)));
        let mut greedy = JoinSet::new();
        for _ in 0..1000 {
            let (gate, turns) = (Arc::clone(&gate), Arc::clone(&turns));
            greedy.spawn(async move {
                let mut turn = Turn::new();
                loop {
                    let permit = turn.next(&gate).await;
                    while !turn.is_over() {
                        turn.line(0);
                    }
                    turns.fetch_add(1, Ordering::Relaxed);
                    drop(permit);
                }
            });
        }
        // All have gone beyond their share by then.
        while turns.load(Ordering::Relaxed) < 10_000 {
            yield_now().await;
        }
        let mut modest = Turn::new();
        for _ in 0..10 {
            modest.waited(Duration::from_secs(1));
            let before = turns.load(Ordering::Relaxed);
            while !modest.is_over() {
                modest.line(0);
            }
            assert!(modest.next(&gate).await.is_none());
            let waited = turns.load(Ordering::Relaxed) - before;
            // Those that were ready, and those that are by then.
            assert!(waited <= 3 * GREEDY_AT_A_TIME, "for {waited} turns");
        }
        greedy.shutdown().await;
    }

    #[tokio::test]
    async fn only_the_time_in_which_a_client_is_waited_for_forgives() {
        let (gate, mut turn) = (Gate::default(), Turn::new());
        let use_up = async |turn: &mut Turn| {
            while !turn.is_over() {
                turn.line(0);
            }
            turn.next(&gate).await.is_some()
        };
        // None at first, then as many as there was time for, less the one by which it went beyond.
        for (seconds, modest) in [(0, 0), (1, 2), (2, 3), (100, 3)] {
            turn.waited(Duration::from_secs(seconds));
            let mut turns = 0;
            while !use_up(&mut turn).await {
                turns += 1;
            }
            assert_eq!(turns, modest, "after {seconds} s");
        }
    }
}

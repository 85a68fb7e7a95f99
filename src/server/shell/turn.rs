//! Fairness between clients: a connection that exceeds its share of work waits behind those that
//! don't.
//!
//! Bytes don't measure work, since 16 KiB can hold sixteen thousand lines. The unit of work is
//! about the cost of an empty line.

use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

/// The work for a connection before others get a turn. Ending a turn costs some hundred
/// nanoseconds, little beside its work, and other connections wait for a few turns at most.
const TURN: usize = 640;

/// The limit on a turn that handles the lines of one large read.
const LONG_TURN: usize = 2 * TURN;

/// The work for a new connection before the first check of its share. Otherwise a thousand new
/// connections would get a thousand whole turns.
const FIRST_TURN: usize = 64;

/// The work that a connection can cause for each second in which the server waits for its client.
/// Work beyond this share is done as fast as possible, but such connections take turns in order of
/// arrival.
const SHARE: usize = 2048;

/// The number of connections beyond their share that can be ready at a time. Other connections wait
/// for as many turns. A larger number would only wait for the Node's lock.
const GREEDY_AT_A_TIME: usize = 4;

/// The cost of one read and one write.
const EXCHANGE: usize = 16;

/// The cost of beginning and ending a look-up.
const LOOK_UP: usize = 16;

/// The number of bytes whose cost equals that of an empty line.
const BYTES: usize = 128;

/// The queue of connections that exceed their share, in order of arrival.
#[derive(Debug)]
pub(super) struct Gate(Semaphore);

impl Default for Gate {
    fn default() -> Self {
        Self(Semaphore::new(GREEDY_AT_A_TIME))
    }
}

impl Gate {
    /// The number of connections beyond their share that are ready.
    pub(super) fn taken(&self) -> usize {
        GREEDY_AT_A_TIME - self.0.available_permits()
    }
}

/// The work that a connection has caused.
#[derive(Debug)]
pub(super) struct Turn {
    /// The work in this turn.
    cost: usize,
    /// The work in earlier turns, less what was forgiven.
    before: usize,
}

impl Turn {
    /// The first turn of a connection, which is short.
    pub(super) fn new() -> Self {
        Self {
            cost: TURN - FIRST_TURN,
            before: SHARE,
        }
    }

    /// Counts a line of `bytes` bytes.
    pub(super) fn line(&mut self, bytes: usize) {
        self.cost += 1 + bytes / BYTES;
    }

    /// Counts a look-up.
    pub(super) fn look_up(&mut self) {
        self.cost += LOOK_UP;
    }

    /// Counts a read and the write of its answers.
    pub(super) fn exchange(&mut self) {
        self.cost += EXCHANGE;
    }

    /// Whether other connections should get a turn before the next read.
    pub(super) fn is_over(&self) -> bool {
        self.cost >= TURN
    }

    /// Whether other connections should get a turn although lines of the last read are left. This
    /// limit is higher, because answering a part of them first costs another write.
    pub(super) fn is_long_over(&self) -> bool {
        self.cost >= LONG_TURN
    }

    /// Waits until all other ready connections have had a turn, then begins the next one. The turn
    /// ends when the permit is dropped, if there is one.
    pub(super) async fn next<'a>(&mut self, gate: &'a Gate) -> Option<SemaphorePermit<'a>> {
        let permit = if self.settle() {
            // The semaphore is never closed, so acquiring can't fail.
            gate.0.acquire().await.ok()
        } else {
            None
        };
        // The permit is kept while this connection is ready, since it limits the number of ready
        // ones.
        tokio::task::yield_now().await;
        permit
    }

    /// Forgives work for time in which the server waited for the client. The wait for a turn
    /// forgives nothing, because it shows a busy server, not a modest client.
    pub(super) fn waited(&mut self, time: Duration) {
        self.before = self.before.saturating_sub(forgiven(time));
    }

    /// Adds the turn's work to the total, and returns whether the total exceeds the share.
    fn settle(&mut self) -> bool {
        self.before += std::mem::take(&mut self.cost);
        let is_greedy = self.before > SHARE;
        // This cap gives a connection its whole share back after two idle seconds.
        self.before = self.before.min(2 * SHARE);
        is_greedy
    }
}

/// The work that is forgiven for this time.
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

    /// Handles the lines of one read like a client's connection.
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
        // By now all of them exceed their share.
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
            // These are the turns of connections that were ready before, and that became ready
            // since.
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
        // At first no turn is within the share. Then the idle time forgives some, up to a maximum.
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

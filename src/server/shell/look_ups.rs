//! The answers of one connection that wait, for Places or for the disk. They are completed
//! concurrently, and keep the order of the lines.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::mem::size_of;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};

use futures_lite::future::or;
use tokio::time::Instant;

use crate::journal::{ConnId, End, EventId, EventKind, Journal};

/// The number of bytes of waiting answers at which no further line is handled. Look-ups in flight
/// still add their answers.
const MOST_WAITING: usize = 256 * 1024;

/// A complete answer, with its terminator.
pub(super) struct Answer {
    /// The event that caused it.
    pub(super) cause: EventId,
    pub(super) text: Vec<u8>,
}

/// A look-up in flight.
type UnderWay<'a> = Pin<Box<dyn Future<Output = Answer> + Send + 'a>>;

enum LookUp<'a> {
    UnderWay(UnderWay<'a>),
    Answered(Answer),
}

/// What an answer waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WaitsFor {
    /// Places.
    Places,
    /// The disk, with an answer of about this number of bytes.
    Disk(usize),
}

impl WaitsFor {
    /// The number of bytes that count as waiting before the answer is known.
    fn reserved(self) -> usize {
        match self {
            Self::Places => 0,
            Self::Disk(bytes) => bytes + size_of::<Slot<'_>>(),
        }
    }
}

/// The look-up of a WHATSAT, or the wait of an IAMAT for the disk, and the answers to the lines
/// after it up to the next one.
struct Slot<'a> {
    /// When the line arrived.
    since: Instant,
    waits_for: WaitsFor,
    look_up: LookUp<'a>,
    /// The answers that are complete and wait for this look-up.
    behind: Vec<u8>,
    not_recorded: NotRecorded,
}

/// The cause of each waiting answer, and its length with the terminator. They are not recorded
/// before they are written.
type NotRecorded = Mutex<Vec<(EventId, usize)>>;

impl Slot<'_> {
    /// The number of bytes that wait behind the look-up.
    fn behind(&mut self) -> usize {
        let not_recorded = (self.not_recorded.get_mut()).unwrap_or_else(PoisonError::into_inner);
        self.behind.len() + not_recorded.len() * size_of::<(EventId, usize)>()
    }
}

/// All waiting answers of a connection, in the order of its lines.
#[derive(Default)]
pub(super) struct LookUps<'a> {
    slots: VecDeque<Slot<'a>>,
    under_way: usize,
    /// The number of waiting bytes, without those behind the last look-up, which still grow.
    waiting: usize,
}

impl<'a> LookUps<'a> {
    /// Whether no answer waits.
    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Whether as many look-ups are in flight as may be.
    pub(super) fn are_too_many(&self, most: usize) -> bool {
        self.under_way >= most
    }

    /// Whether another line may be handled, with up to `most` look-ups in flight.
    pub(super) fn has_room(&mut self, most: usize) -> bool {
        let behind_last = self.slots.back_mut().map_or(0, Slot::behind);
        !self.are_too_many(most) && self.waiting + behind_last < MOST_WAITING
    }

    /// Adds the look-up of a WHATSAT, or the wait of an IAMAT, that arrived at `since`. It starts
    /// when it is next polled.
    pub(super) fn begin(
        &mut self,
        since: Instant,
        waits_for: WaitsFor,
        look_up: impl Future<Output = Answer> + Send + 'a,
    ) {
        self.waiting += self.slots.back_mut().map_or(0, Slot::behind);
        self.under_way += usize::from(waits_for == WaitsFor::Places);
        self.waiting += waits_for.reserved();
        self.slots.push_back(Slot {
            since,
            waits_for,
            look_up: LookUp::UnderWay(Box::pin(look_up)),
            behind: Vec::new(),
            not_recorded: Mutex::default(),
        });
    }

    /// The buffer and the journal for answers that have to wait, or `None` if no answer waits.
    pub(super) fn behind<'b>(
        &'b mut self,
        journal: &'b dyn Journal,
    ) -> Option<(&'b mut Vec<u8>, Withheld<'b>)> {
        let last = self.slots.back_mut()?;
        let withheld = Withheld {
            journal,
            not_recorded: &last.not_recorded,
        };
        Some((&mut last.behind, withheld))
    }

    /// Moves the answer of the first look-up, if it is complete, and those behind it to `out`, and
    /// records them now. Returns when the line arrived, and what its answer waited for.
    pub(super) fn release(
        &mut self,
        conn: ConnId,
        journal: &dyn Journal,
        out: &mut Vec<u8>,
    ) -> Option<(Instant, WaitsFor)> {
        if !self.is_first_answered() {
            return None;
        }
        let mut slot = self.slots.pop_front()?;
        if !self.is_empty() {
            self.waiting -= slot.behind();
        }
        let LookUp::Answered(Answer { cause, text }) = slot.look_up else {
            return None;
        };
        self.waiting -= text.len();
        let line_out = |cause, line: &[u8]| {
            let line = line.into();
            journal.record(Some(cause), EventKind::LineOut { conn, line });
        };
        let terminator = match slot.waits_for {
            WaitsFor::Places => b"\n\n".as_slice(),
            WaitsFor::Disk(_) => b"\n",
        };
        line_out(cause, text.strip_suffix(terminator).unwrap_or(&text));
        let mut rest = slot.behind.as_slice();
        let not_recorded = slot.not_recorded.into_inner();
        for (cause, length) in not_recorded.unwrap_or_else(PoisonError::into_inner) {
            let (line, others) = rest.split_at(length);
            line_out(cause, line.strip_suffix(b"\n").unwrap_or(line));
            rest = others;
        }
        out.extend_from_slice(&text);
        out.extend_from_slice(&slot.behind);
        Some((slot.since, slot.waits_for))
    }

    /// Polls all look-ups once.
    pub(super) async fn get_on(&mut self) {
        poll_fn(|context| {
            self.poll_all(context);
            Poll::Ready(())
        })
        .await;
    }

    /// Completes when an answer can be written, or if none waits. With `wants_room` it also
    /// completes when there is room, with up to `most` look-ups in flight.
    pub(super) async fn ready(&mut self, wants_room: bool, most: usize) {
        poll_fn(|context| {
            self.poll_all(context);
            let is_ready =
                self.is_empty() || self.is_first_answered() || wants_room && self.has_room(most);
            if is_ready {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }

    /// Awaits `work` while the look-ups make progress. Otherwise a look-up with a permit of the
    /// server-wide limit would keep it for as long as its client does not read.
    pub(super) async fn meanwhile<T>(&mut self, work: impl Future<Output = T>) -> T {
        let get_on = poll_fn(|context| {
            self.poll_all(context);
            Poll::Pending
        });
        or(work, get_on).await
    }

    fn is_first_answered(&self) -> bool {
        let first = self.slots.front();
        first.is_some_and(|first| matches!(first.look_up, LookUp::Answered(_)))
    }

    fn poll_all(&mut self, context: &mut Context<'_>) {
        for slot in &mut self.slots {
            if let LookUp::UnderWay(look_up) = &mut slot.look_up
                && let Poll::Ready(answer) = look_up.as_mut().poll(context)
            {
                self.under_way -= usize::from(slot.waits_for == WaitsFor::Places);
                self.waiting -= slot.waits_for.reserved();
                self.waiting += answer.text.len();
                slot.look_up = LookUp::Answered(answer);
            }
        }
    }
}

/// A journal for lines whose answers have to wait. It passes on all events except these answers.
pub(super) struct Withheld<'a> {
    journal: &'a dyn Journal,
    not_recorded: &'a NotRecorded,
}

impl Journal for Withheld<'_> {
    fn open(&self, end: End, local: SocketAddr, remote: SocketAddr) -> ConnId {
        self.journal.open(end, local, remote)
    }

    fn record(&self, cause: Option<EventId>, what: EventKind<'_>) -> EventId {
        let (EventKind::LineOut { line, .. }, Some(heard)) = (&what, cause) else {
            return self.journal.record(cause, what);
        };
        let mut not_recorded = (self.not_recorded.lock()).unwrap_or_else(PoisonError::into_inner);
        // An event has no terminator, but the answer has.
        not_recorded.push((heard, line.0.len() + 1));
        // No event is caused by an answer, so any id will do.
        heard
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::pending;
    use std::net::SocketAddr;
    use std::num::NonZeroU64;
    use std::sync::Mutex;

    use futures_lite::future::{or, poll_once};
    use tokio::sync::{Semaphore, oneshot};
    use tokio::time::Instant;

    use super::{Answer, LookUps, MOST_WAITING, WaitsFor};
    use crate::journal::{ConnId, End, EventId, EventKind, Journal, NullJournal};

    const CONN: ConnId = ConnId(1);
    const CAUSE: EventId = EventId(NonZeroU64::MIN);

    /// Begins a look-up, whose answer the test sends.
    fn held(look_ups: &mut LookUps<'_>) -> oneshot::Sender<&'static str> {
        let (tell, told) = oneshot::channel::<&'static str>();
        look_ups.begin(Instant::now(), WaitsFor::Places, async {
            let text = told.await.expect("an answer");
            Answer {
                cause: CAUSE,
                text: format!("{text}\n\n").into_bytes(),
            }
        });
        tell
    }

    /// Adds the answer to a line that needs no look-up.
    fn answer(look_ups: &mut LookUps<'_>, journal: &dyn Journal, line: &str) {
        let (behind, withheld) = look_ups.behind(journal).expect("a look-up is under way");
        behind.extend_from_slice(format!("{line}\n").as_bytes());
        let line = line.as_bytes().into();
        withheld.record(Some(CAUSE), EventKind::LineOut { conn: CONN, line });
    }

    async fn released(look_ups: &mut LookUps<'_>, journal: &dyn Journal) -> String {
        let mut out = Vec::new();
        look_ups.get_on().await;
        look_ups.release(CONN, journal, &mut out);
        String::from_utf8(out).expect("text")
    }

    /// A journal of the lines that were written.
    #[derive(Default)]
    struct Out(Mutex<Vec<String>>);

    impl Journal for Out {
        fn open(&self, _: End, _: SocketAddr, _: SocketAddr) -> ConnId {
            CONN
        }

        fn record(&self, _: Option<EventId>, what: EventKind<'_>) -> EventId {
            if let EventKind::LineOut { line, .. } = what {
                let mut lines = self.0.lock().expect("no panic");
                lines.push(line.to_string());
            }
            CAUSE
        }
    }

    #[tokio::test]
    async fn answers_are_out_in_the_order_of_the_lines_and_recorded_then() {
        let (mut look_ups, out) = (LookUps::default(), Out::default());
        let first = held(&mut look_ups);
        answer(&mut look_ups, &out, "one");
        answer(&mut look_ups, &out, "");
        let second = held(&mut look_ups);
        answer(&mut look_ups, &out, "two");
        second.send("second").expect("it waits");
        assert_eq!(released(&mut look_ups, &out).await, "");
        assert!(out.0.lock().expect("no panic").is_empty());
        first.send("first").expect("it waits");
        assert_eq!(released(&mut look_ups, &out).await, "first\n\none\n\n");
        assert_eq!(released(&mut look_ups, &out).await, "second\n\ntwo\n");
        assert!(look_ups.is_empty());
        let out = out.0.into_inner().expect("no panic");
        assert_eq!(out, ["first", "one", "", "second", "two"]);
    }

    #[tokio::test]
    async fn there_is_room_again_as_soon_as_any_look_up_is_answered() {
        let mut look_ups = LookUps::default();
        let _first = held(&mut look_ups);
        assert!(look_ups.has_room(2));
        let second = held(&mut look_ups);
        assert!(!look_ups.has_room(2));
        assert_eq!(poll_once(look_ups.ready(true, 2)).await, None);
        second.send("second").expect("it waits");
        assert_eq!(poll_once(look_ups.ready(false, 2)).await, None);
        assert_eq!(poll_once(look_ups.ready(true, 2)).await, Some(()));
        assert!(look_ups.has_room(2));
    }

    #[tokio::test]
    async fn bytes_that_wait_are_bounded_and_all_are_forgotten_once_they_are_out() {
        let mut look_ups = LookUps::default();
        let first = held(&mut look_ups);
        let mut lines = 0;
        while look_ups.has_room(100) {
            answer(&mut look_ups, &NullJournal, "");
            lines += 1;
            if lines % 1000 == 0 {
                held(&mut look_ups).send("a body").expect("it waits");
            }
        }
        // The bookkeeping of each answer counts, so even answers of one byte have a bound.
        assert!(lines < MOST_WAITING / 16, "{lines} lines");
        first.send("first").expect("it waits");
        let mut released_lines = 0;
        while !look_ups.is_empty() {
            let out = released(&mut look_ups, &NullJournal).await;
            released_lines += out.lines().filter(|line| line.is_empty()).count();
        }
        // The answer of each look-up ends with an empty line, too.
        assert_eq!(released_lines, lines + 1 + lines / 1000);
        assert_eq!((look_ups.waiting, look_ups.under_way), (0, 0));
    }

    #[tokio::test]
    async fn a_look_up_gets_on_and_gives_its_turn_back_while_its_client_does_not_read() {
        let turns = Semaphore::new(1);
        let mut look_ups = LookUps::default();
        let taken = turns.acquire().await.expect("it is open");
        look_ups.begin(Instant::now(), WaitsFor::Places, async {
            let _turn = turns.acquire().await.expect("it is open");
            let text = b"{}\n\n".to_vec();
            Answer { cause: CAUSE, text }
        });
        look_ups.get_on().await;
        // The look-up gets the permit, and must give it back for others.
        drop(taken);
        let others = Cell::new(false);
        let somebody_else = async {
            let _turn = turns.acquire().await.expect("it is open");
            others.set(true);
        };
        or(look_ups.meanwhile(pending::<()>()), somebody_else).await;
        assert!(others.get());
    }
}

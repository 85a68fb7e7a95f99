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

use super::answer::{Answer, Saves};
use crate::journal::{ConnId, End, EventId, EventKind, Journal};
use crate::node::ToBeSaved;

/// The number of bytes of waiting answers at which no further line is handled. Look-ups in flight
/// still add their answers.
const MOST_WAITING: usize = 256 * 1024;

/// A look-up in flight, or a wait for the disk.
type UnderWay<'a> = Pin<Box<dyn Future<Output = Answer> + Send + 'a>>;

enum LookUp<'a> {
    /// The wait for the disk has not begun, so others can be added.
    Added(Saves),
    UnderWay(UnderWay<'a>),
    Answered(Answer),
}

/// What answers waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WaitsFor {
    /// One for Places.
    Places,
    /// This number for the disk.
    Disk(u64),
}

/// Answers that were moved to the write buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Released {
    /// When the lines arrived.
    pub(super) since: Instant,
    pub(super) waited_for: WaitsFor,
}

/// The look-up of a WHATSAT, or the wait of IAMATs for the disk, and the answers to the lines after
/// it up to the next one.
struct Slot<'a> {
    /// When the line arrived.
    since: Instant,
    waits_for: WaitsFor,
    /// The number of bytes that count as waiting before the answer is known.
    reserved: usize,
    look_up: LookUp<'a>,
    /// The answers that are complete and wait for this look-up.
    behind: Vec<u8>,
    not_recorded: NotRecorded,
}

/// The cause of each waiting answer, and its length with the terminator. They are not recorded
/// before they are written.
type NotRecorded = Mutex<Vec<(EventId, usize)>>;

impl<'a> Slot<'a> {
    fn new(since: Instant, waits_for: WaitsFor, look_up: LookUp<'a>) -> Self {
        Self {
            since,
            waits_for,
            reserved: 0,
            look_up,
            behind: Vec::new(),
            not_recorded: Mutex::default(),
        }
    }

    /// Whether another IAMAT can wait with it.
    fn takes_more(&mut self) -> bool {
        matches!(self.look_up, LookUp::Added(_)) && self.behind() == 0
    }

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

    /// Adds the look-up of a WHATSAT that arrived at `since`. It starts when it is next polled.
    pub(super) fn begin(
        &mut self,
        since: Instant,
        look_up: impl Future<Output = Answer> + Send + 'a,
    ) {
        self.under_way += 1;
        let look_up = LookUp::UnderWay(Box::pin(look_up));
        self.push(Slot::new(since, WaitsFor::Places, look_up));
    }

    fn push(&mut self, slot: Slot<'a>) {
        self.waiting += self.slots.back_mut().map_or(0, Slot::behind) + slot.reserved;
        self.slots.push_back(slot);
    }

    /// Adds an IAMAT that arrived at `since`, with its answer, which waits for the disk. The wait
    /// begins with [`wait_for_disk`](Self::wait_for_disk).
    pub(super) fn save(&mut self, since: Instant, line: &[u8], answer: &[u8], to_be: ToBeSaved) {
        if !self.slots.back_mut().is_some_and(Slot::takes_more) {
            let mut slot = Slot::new(since, WaitsFor::Disk(0), LookUp::Added(Saves::default()));
            slot.reserved = size_of::<Slot<'_>>();
            self.push(slot);
        }
        if let Some(slot) = self.slots.back_mut()
            && let (LookUp::Added(saves), WaitsFor::Disk(lines)) =
                (&mut slot.look_up, &mut slot.waits_for)
        {
            *lines += 1;
            let before = saves.bytes();
            saves.add(line, answer, to_be);
            let more = saves.bytes() - before;
            slot.reserved += more;
            self.waiting += more;
        }
    }

    /// Begins the waits of all IAMATs that were added.
    pub(super) fn wait_for_disk<W>(&mut self, wait: impl Fn(Saves) -> W)
    where
        W: Future<Output = Answer> + Send + 'a,
    {
        for slot in &mut self.slots {
            if let LookUp::Added(saves) = &mut slot.look_up {
                let wait = wait(std::mem::take(saves));
                slot.look_up = LookUp::UnderWay(Box::pin(wait));
            }
        }
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
    /// records them now.
    pub(super) fn release(
        &mut self,
        conn: ConnId,
        journal: &dyn Journal,
        out: &mut Vec<u8>,
    ) -> Option<Released> {
        if !self.is_first_answered() {
            return None;
        }
        let mut slot = self.slots.pop_front()?;
        if !self.is_empty() {
            self.waiting -= slot.behind();
        }
        let LookUp::Answered(Answer { lines, text }) = slot.look_up else {
            return None;
        };
        self.waiting -= text.len();
        let terminator = match slot.waits_for {
            WaitsFor::Places => b"\n\n".as_slice(),
            WaitsFor::Disk(_) => b"\n",
        };
        let tell = |lines: Vec<(EventId, usize)>, mut text: &[u8], terminator: &[u8]| {
            for (cause, length) in lines {
                let (line, others) = text.split_at(length);
                let line = line.strip_suffix(terminator).unwrap_or(line).into();
                journal.record(Some(cause), EventKind::LineOut { conn, line });
                text = others;
            }
        };
        tell(lines, &text, terminator);
        let not_recorded = slot.not_recorded.into_inner();
        let not_recorded = not_recorded.unwrap_or_else(PoisonError::into_inner);
        tell(not_recorded, &slot.behind, b"\n");
        if out.is_empty() {
            *out = text;
        } else {
            out.extend_from_slice(&text);
        }
        out.extend_from_slice(&slot.behind);
        let (since, waited_for) = (slot.since, slot.waits_for);
        Some(Released { since, waited_for })
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
                self.waiting -= slot.reserved;
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
    use crate::node::ToBeSaved;

    const CONN: ConnId = ConnId(1);
    const CAUSE: EventId = EventId(NonZeroU64::MIN);

    /// Begins a look-up, whose answer the test sends.
    fn held(look_ups: &mut LookUps<'_>) -> oneshot::Sender<&'static str> {
        let (tell, told) = oneshot::channel::<&'static str>();
        look_ups.begin(Instant::now(), async {
            let text = told.await.expect("an answer");
            Answer::one(CAUSE, format!("{text}\n\n").into_bytes())
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
        look_ups.begin(Instant::now(), async {
            let _turn = turns.acquire().await.expect("it is open");
            Answer::one(CAUSE, b"{}\n\n".to_vec())
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

    /// IAMATs that wait for the disk have one wait, unless the answer to another line stands between.
    #[tokio::test]
    async fn what_was_added_before_a_wait_waits_together() {
        let (mut look_ups, out) = (LookUps::default(), Out::default());
        let to_be = |saved| ToBeSaved {
            saved,
            heard: CAUSE,
        };
        look_ups.save(Instant::now(), b"one", b"1\n", to_be(3));
        look_ups.save(Instant::now(), b"two", b"2\n", to_be(2));
        answer(&mut look_ups, &out, "?");
        look_ups.save(Instant::now(), b"three", b"3\n", to_be(4));
        let waits = Cell::new(0);
        look_ups.wait_for_disk(|saves| {
            waits.set(waits.get() + 1);
            async move { saves.all_answered() }
        });
        // What comes after the waits have begun has a wait of its own.
        look_ups.save(Instant::now(), b"four", b"4\n", to_be(4));
        look_ups.wait_for_disk(|saves| async move { saves.all_refused(&NullJournal) });
        let (mut all, mut waited_for) = (Vec::new(), Vec::new());
        look_ups.get_on().await;
        while let Some(released) = look_ups.release(CONN, &out, &mut all) {
            waited_for.push(released.waited_for);
        }
        assert_eq!(waits.get(), 2);
        assert_eq!(waited_for, [2, 1, 1].map(WaitsFor::Disk));
        assert_eq!(all, b"1\n2\n?\n3\n? four\n");
        let out = out.0.into_inner().expect("no panic");
        assert_eq!(out, ["1", "2", "?", "3", "? four"]);
        assert_eq!((look_ups.waiting, look_ups.under_way), (0, 0));
    }
}

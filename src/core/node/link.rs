//! One live link, as the Node sees it: what is still to be sent to the neighbour.
//!
//! Nothing here grows with traffic. Updates wait as a dirty set of clients, each with its latest
//! record, so a slow neighbour costs at most one entry for each client, nothing is lost, and a
//! newer update overtakes an older one. Queries wait as prefixes, and their number is bounded.
//!
//! Live updates go first, then queries and answers, then records in bulk: a million records that a
//! neighbour lacks must not delay the updates of this moment. The bulk in flight is limited by what
//! the neighbour has confirmed ([`Pings`]); otherwise a second of it would wait in the buffers of
//! both ends, ahead of every live update.

use std::collections::VecDeque;

use std::time::Duration;

use super::Greeting;
use super::dirty::{Dirty, Waiting};
use super::pings::Pings;
use crate::journal::{ConnId, EventId};
use crate::protocol::peer::{BootId, Pace, PeerError, Prefix, Summary};
use crate::protocol::time::Timestamp;

/// A neighbour's state while its link is up.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) conn: ConnId,
    /// The version of the protocol that both ends speak.
    pub(super) version: u32,
    /// The run of the neighbour.
    pub(super) boot: BootId,
    /// Queued lines other than updates, each with the event that made it due.
    pub(super) words: VecDeque<(Word, Option<EventId>)>,
    pub(super) dirty: Dirty,
    pub(super) round: Round,
    /// Whether the digest roots differed when last compared.
    pub(super) differed: bool,
    /// Whether the neighbour's last `ROOT` equalled ours; `None` before the first.
    pub(super) agreed: Option<bool>,
    /// Whether a round of set reconciliation has completed on this link.
    pub(super) was_synchronised: bool,
    /// Reconciliation that is postponed until another neighbour has filled this server.
    pub(super) put_off: Option<PutOff>,
    pub(super) pings: Pings,
    pub(super) parting: Parting,
}

/// Where reconciliation resumes that was postponed while another neighbour fills this server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PutOff {
    /// The neighbour will send its digest.
    ToBeAsked,
    /// The neighbour sent this digest, by this line.
    Asked(Summary, EventId),
    /// This end will send its digest, because of this event.
    ToAsk(EventId),
}

/// How far a graceful stop has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Parting {
    #[default]
    None,
    /// This server stops: live updates are still sent, then `BYE`.
    Leaving,
    /// Everything is sent, and `BYE` after it.
    Said,
    /// The neighbour has confirmed that it stored everything.
    Confirmed,
    /// The neighbour stops, as this line says; `BYE` is the last line to it.
    Left(EventId),
}

/// The status of a link that is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkStatus {
    /// The version of the protocol that both ends speak.
    pub version: u32,
    /// The run of the neighbour.
    pub boot: BootId,
    /// The time from the last answered `PING` to its `PONG`; version 1 has no `PONG`.
    pub round_trip: Option<Duration>,
    /// Nanoseconds by which the neighbour's clock is ahead of this server's, as last measured, give
    /// or take half the round trip.
    pub clock_offset: Option<i64>,
    /// The number of records that wait to be sent, and one more if `SYNCED` waits.
    pub waiting: usize,
    /// Whether a round of set reconciliation is under way.
    pub comparing: bool,
    /// Whether both stores were equal when their roots were last compared; `None` before that.
    pub agreed: Option<bool>,
}

/// A line other than an update. Lines of the set reconciliation get their content when they are
/// written, since the store may have changed by then.
#[derive(Debug)]
pub(super) enum Word {
    Ping,
    Pong(Timestamp, Timestamp),
    Bye,
    Root,
    Digest(Prefix),
    Done(Prefix),
    List(Prefix),
    Want(Prefix, Vec<u64>),
}

/// A query to the neighbour without an answer yet.
#[derive(Clone, Copy, Debug)]
pub(super) enum Question {
    /// `DIGEST`: is your set the same? The answer is `DONE`, `LIST`, or the digests of the sixteen
    /// parts; the number counts those that have arrived.
    Digest(Prefix, u8),
    /// `LIST`: which of these records do you lack? The answer is `WANT`.
    List(Prefix),
}

/// A neighbour's answer to a query.
#[derive(Clone, Copy, Debug)]
pub(super) enum Answer {
    Done(Prefix),
    Listed(Prefix),
    Wanted(Prefix),
    /// The digest of one of the sixteen parts, which arrive in order.
    Part(Prefix),
}

/// The state of the set reconciliation with a neighbour.
///
/// Every `DIGEST` and `LIST` is a query that has exactly one answer. Answers come in the order of
/// the queries, since each end sends both by one queue, so a line that answers no query, or one
/// again, is an error. An end without open queries sends `SYNCED`: it needs nothing more, and no
/// line of the other end can make it send another query. When both ends have sent `SYNCED`, they
/// are synchronised.
#[derive(Debug, Default)]
pub(super) struct Round {
    /// Our queries without an answer yet, the oldest first.
    open: VecDeque<Question>,
    /// `None` between two rounds.
    current: Option<Current>,
}

/// A round under way.
#[derive(Debug, Default)]
struct Current {
    /// Records sent to answer the neighbour's queries.
    sent: u64,
    /// Whether the neighbour has sent the digest of its whole store. Two rounds may cross, one
    /// begun by each end.
    was_asked: bool,
    /// Whether a bound left a set uncompared, so that another round must follow.
    skipped: bool,
    /// Whether `SYNCED` waits behind the records that answer the neighbour's queries, or is sent.
    finishing: bool,
    /// The count in our `SYNCED`, once it is written.
    said: Option<u64>,
    /// The count in the neighbour's `SYNCED`, once it has arrived.
    heard: Option<u64>,
}

impl Round {
    pub(super) fn is_active(&self) -> bool {
        self.current.is_some()
    }

    pub(super) fn begin(&mut self) {
        self.current = Some(Current::default());
    }

    /// Notes the neighbour's digest of its whole store; a second one in the same round is an error.
    pub(super) fn asked_for_all(&mut self) -> Result<(), PeerError> {
        let current = self.current.get_or_insert_default();
        if std::mem::replace(&mut current.was_asked, true) {
            return Err(PeerError::Unexpected);
        }
        Ok(())
    }

    pub(super) fn ask(&mut self, question: Question) {
        self.open.push_back(question);
    }

    pub(super) fn open(&self) -> usize {
        self.open.len()
    }

    pub(super) fn skip(&mut self) {
        if let Some(current) = &mut self.current {
            current.skipped = true;
        }
    }

    /// Matches an answer with the oldest open query; an answer that does not fit is an error.
    pub(super) fn answered(&mut self, answer: Answer) -> Result<(), PeerError> {
        let is_whole = match (self.open.front_mut(), answer) {
            (Some(Question::Digest(asked, 0)), Answer::Done(under) | Answer::Listed(under))
            | (Some(Question::List(asked)), Answer::Wanted(under)) => *asked == under,
            (Some(Question::Digest(asked, heard)), Answer::Part(part))
                if asked.child(*heard) == Some(part) =>
            {
                *heard += 1;
                if *heard < Prefix::FAN_OUT {
                    return Ok(());
                }
                true
            }
            _ => false,
        };
        if !is_whole {
            return Err(PeerError::Unexpected);
        }
        self.open.pop_front();
        Ok(())
    }

    /// Counts a record that is sent to answer a query.
    pub(super) fn send(&mut self) {
        if let Some(current) = &mut self.current {
            current.sent += 1;
        }
    }

    /// Whether `SYNCED` is due now, which happens once in a round.
    pub(super) fn is_due(&mut self) -> bool {
        let no_question_is_open = self.open.is_empty();
        let Some(current) = &mut self.current else {
            return false;
        };
        no_question_is_open && !std::mem::replace(&mut current.finishing, no_question_is_open)
    }

    /// The count for the `SYNCED` that is being written.
    pub(super) fn say(&mut self) -> u64 {
        let current = self.current.get_or_insert_default();
        *current.said.insert(current.sent)
    }

    pub(super) fn hear(&mut self, sent: u64) {
        if let Some(current) = &mut self.current {
            current.heard = Some(sent);
        }
    }

    /// If both ends have sent `SYNCED`, ends the round, and returns the records sent, those
    /// received, and whether another round must follow.
    pub(super) fn take_finished(&mut self) -> Option<(u64, u64, bool)> {
        let current = self.current.as_ref()?;
        let finished = (current.said?, current.heard?, current.skipped);
        self.current = None;
        Some(finished)
    }
}

impl Link {
    pub(super) fn new(conn: ConnId, greeting: Greeting) -> Self {
        Self {
            conn,
            version: greeting.version,
            boot: greeting.boot,
            words: VecDeque::new(),
            dirty: Dirty::default(),
            round: Round::default(),
            differed: false,
            agreed: None,
            was_synchronised: false,
            put_off: None,
            pings: Pings::default(),
            parting: Parting::None,
        }
    }

    pub(super) fn status(&self) -> LinkStatus {
        LinkStatus {
            version: self.version,
            boot: self.boot,
            round_trip: self.pings.measured.map(|(way, _)| way),
            clock_offset: self.pings.measured.map(|(_, offset)| offset),
            waiting: self.dirty.count(),
            comparing: self.is_comparing(),
            agreed: self.agreed,
        }
    }

    /// Whether a round of set reconciliation is under way.
    pub(super) fn is_comparing(&self) -> bool {
        self.round.is_active()
    }

    /// Begins a round: queries with the digest of the whole store.
    pub(super) fn begin_round(&mut self, cause: EventId) {
        self.round.begin();
        self.round.ask(Question::Digest(Prefix::ROOT, 0));
        self.words
            .push_back((Word::Digest(Prefix::ROOT), Some(cause)));
    }

    /// Queues a line other than an update. An honest neighbour has at most `most` queries and a
    /// fan-out of further ones open, and each answer has at most sixteen lines; a neighbour that
    /// queries on and on without reading the answers is refused.
    pub(super) fn say(
        &mut self,
        word: Word,
        cause: Option<EventId>,
        most: usize,
    ) -> Result<(), PeerError> {
        if self.words.len() >= 32 * (most + 16) {
            return Err(PeerError::TooManyQuestions);
        }
        self.words.push_back((word, cause));
        Ok(())
    }

    /// The number of lines and records that wait to be written, and that of queries without an
    /// answer, to which a round under way counts.
    pub(super) fn under_way(&self) -> (usize, usize) {
        let waiting = self.words.len() + self.dirty.count();
        let queries = self.round.open() + usize::from(self.round.is_active());
        (waiting, queries)
    }

    /// Heap bytes of the queues, by capacity.
    pub(super) fn heap(&self) -> usize {
        let words = self.words.capacity() * size_of::<(Word, Option<EventId>)>();
        words + self.dirty.heap()
    }

    /// Whether there is anything to write now.
    pub(super) fn has_work(&self) -> bool {
        self.has_waiting() || self.parting == Parting::Leaving
    }

    /// Whether anything but a last `BYE` can be written now.
    pub(super) fn has_waiting(&self) -> bool {
        !self.words.is_empty()
            || self.dirty.has_live()
            || (self.dirty.has_bulk() && self.pings.allow_bulk())
    }

    /// Removes and returns the next record of this `pace`. There is none in bulk while the pings do
    /// not allow it.
    pub(super) fn pop(&mut self, pace: Pace) -> Option<Waiting> {
        match pace {
            Pace::Live => self.dirty.pop_live(),
            Pace::Bulk if !self.pings.allow_bulk() => None,
            Pace::Bulk => self.dirty.pop_bulk(),
        }
    }

    /// Begins a graceful stop: from now on nothing is sent but live updates and `PONG`s.
    pub(super) fn leave(&mut self) {
        self.parting = Parting::Leaving;
        self.hush();
        self.dirty.forget_bulk();
    }

    /// The neighbour stops, as the line `heard` says: `BYE` answers it and is the last line to it.
    pub(super) fn let_go(&mut self, heard: EventId) {
        self.parting = Parting::Left(heard);
        self.hush();
        self.dirty = Dirty::default();
        self.words.push_back((Word::Bye, Some(heard)));
    }

    fn hush(&mut self) {
        self.put_off = None;
        self.round = Round::default();
        // A neighbour that sent a `PING` still gets its `PONG`.
        self.words
            .retain(|(word, _)| matches!(word, Word::Pong(..)));
    }

    /// Whether new updates are still sent to the neighbour.
    pub(super) fn is_told(&self) -> bool {
        matches!(self.parting, Parting::None | Parting::Leaving)
    }
}

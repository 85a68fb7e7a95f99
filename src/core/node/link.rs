//! One live link, as the Node sees it: what is still to be sent to the neighbour.
//!
//! Nothing here grows with traffic. Updates wait as a set of clients, each with its latest record,
//! so a slow neighbour costs at most one entry for each client, nothing is lost, and a newer update
//! overtakes an older one. Questions wait as prefixes, and there is a limit to how many.
//!
//! What is live goes first, then questions and answers, then records in bulk: a million records that a neighbour lacks
//! must not keep it from hearing what happens now. How much bulk is on its way is limited by what the neighbour has
//! confirmed ([`Pings`]), or a second of it would wait in the buffers between both, before every live update.

use std::collections::VecDeque;

use std::time::Duration;

use super::Greeting;
use super::dirty::{Dirty, Waiting};
use super::pings::Pings;
use crate::journal::{ConnId, EventId};
use crate::protocol::peer::{BootId, Pace, PeerError, Prefix, Summary};
use crate::protocol::time::Timestamp;

/// What the Node keeps for a neighbour while the link is up.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) conn: ConnId,
    /// The version of the language that both speak.
    pub(super) version: u32,
    /// Which run of the neighbour this is.
    pub(super) boot: BootId,
    /// Lines that are no updates and wait to be written, each with what made them due.
    pub(super) words: VecDeque<(Word, Option<EventId>)>,
    pub(super) dirty: Dirty,
    pub(super) round: Round,
    /// The digest roots differed when last compared.
    pub(super) differed: bool,
    /// Whether the neighbour's last root was ours, too.
    pub(super) agreed: Option<bool>,
    /// Whether both have compared all they know since the link is up.
    pub(super) was_synchronised: bool,
    /// What was put off until this server has been filled by another neighbour.
    pub(super) put_off: Option<PutOff>,
    pub(super) pings: Pings,
    pub(super) parting: Parting,
}

/// What both ends still have to do before they compare what they know, while this one is filled by somebody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PutOff {
    /// The neighbour has not sent its digest yet, which it will.
    ToBeAsked,
    /// It sent its digest, by this line.
    Asked(Summary, EventId),
    /// This end will ask, because of this.
    ToAsk(EventId),
}

/// How far a graceful end has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Parting {
    #[default]
    None,
    /// This server stops: what is live is still sent, then `BYE`.
    Leaving,
    /// `BYE` is sent, and nothing more is.
    Said,
    /// The neighbour has confirmed that it stored everything.
    Confirmed,
    /// The neighbour leaves: it is sent `BYE`, because of this line.
    Left(EventId),
}

/// How a link is that is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkStatus {
    /// The version of the language that both speak.
    pub version: u32,
    /// Which run of the neighbour it is with.
    pub boot: BootId,
    /// How long a line takes there and its answer back, as last measured. Version 1 can't.
    pub round_trip: Option<Duration>,
    /// Nanoseconds by which the neighbour's clock is ahead of this server's, as last measured, give or take half the round
    /// trip.
    pub clock_offset: Option<i64>,
    /// The number of records that wait to be sent.
    pub waiting: usize,
    /// Both ends are comparing what they know.
    pub comparing: bool,
    /// Whether both knew the same when they last compared digests; not said before they first did.
    pub agreed: Option<bool>,
}

/// A line that is no update. The synchronisation's are filled in when they are written: by then
/// the store may know more.
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

/// A question to the neighbour that has no answer yet.
#[derive(Clone, Copy, Debug)]
pub(super) enum Question {
    /// `DIGEST`: is yours the same? Answered by `DONE`, by `LIST`, or by the digests of the sixteen parts, of which so
    /// many came.
    Digest(Prefix, u8),
    /// `LIST`: which of these do you want? Answered by `WANT`.
    List(Prefix),
}

/// What a neighbour says in answer to a question.
#[derive(Clone, Copy, Debug)]
pub(super) enum Answer {
    Done(Prefix),
    Listed(Prefix),
    Wanted(Prefix),
    /// The digest of one of the sixteen parts, which come in their order.
    Part(Prefix),
}

/// How far the comparison of both stores has come.
///
/// Every `DIGEST` and `LIST` is a question that has exactly one answer, and answers come in the order of the
/// questions, for each end sends both by one queue. So nothing is answered without a question, and nothing twice. An
/// end that has none open has nothing more to request, and the other end can't make it send more questions by its
/// answers: it says `SYNCED`. When both have said so, they are synchronised.
#[derive(Debug, Default)]
pub(super) struct Round {
    /// Our questions that have no answer yet, the oldest first.
    open: VecDeque<Question>,
    /// None between two rounds.
    current: Option<Current>,
}

/// A round under way.
#[derive(Debug, Default)]
struct Current {
    /// Records sent in answer to questions.
    sent: u64,
    /// The neighbour has sent its digest of the whole. Two rounds may cross, one begun by each end.
    was_asked: bool,
    /// A set was not compared to its end, so another round must follow.
    skipped: bool,
    /// `SYNCED` waits behind the records that answer the neighbour's questions, or is written.
    finishing: bool,
    /// `SYNCED` was written, with this count.
    said: Option<u64>,
    /// The neighbour's `SYNCED` came, with its count.
    heard: Option<u64>,
}

impl Round {
    pub(super) fn is_active(&self) -> bool {
        self.current.is_some()
    }

    pub(super) fn begin(&mut self) {
        self.current = Some(Current::default());
    }

    /// The neighbour asks for the whole. In one round it may do so once.
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

    /// An answer came; one that does not answer the oldest question has no place in the protocol.
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

    /// A record is sent in answer to a question.
    pub(super) fn send(&mut self) {
        if let Some(current) = &mut self.current {
            current.sent += 1;
        }
    }

    /// Whether `SYNCED` is due now, which it is once.
    pub(super) fn is_due(&mut self) -> bool {
        let no_question_is_open = self.open.is_empty();
        let Some(current) = &mut self.current else {
            return false;
        };
        no_question_is_open && !std::mem::replace(&mut current.finishing, no_question_is_open)
    }

    /// `SYNCED` is being written: with this count.
    pub(super) fn say(&mut self) -> u64 {
        let current = self.current.get_or_insert_default();
        *current.said.insert(current.sent)
    }

    pub(super) fn hear(&mut self, sent: u64) {
        if let Some(current) = &mut self.current {
            current.heard = Some(sent);
        }
    }

    /// Both counts, sent and received, and whether another round must follow, once both ends are done.
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

    /// Whether both ends are comparing what they know.
    pub(super) fn is_comparing(&self) -> bool {
        self.round.is_active()
    }

    /// Begins comparing what both know.
    pub(super) fn begin_round(&mut self, cause: EventId) {
        self.round.begin();
        self.round.ask(Question::Digest(Prefix::ROOT, 0));
        self.words
            .push_back((Word::Digest(Prefix::ROOT), Some(cause)));
    }

    /// Queues a line that is no update. An honest neighbour has at most `most` and a fan-out of
    /// questions open, and each answer is at most sixteen lines; one that asks on and on without
    /// reading the answers is refused.
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

    /// Bytes behind it that it has room for.
    pub(super) fn heap(&self) -> usize {
        let words = self.words.capacity() * size_of::<(Word, Option<EventId>)>();
        words + self.dirty.heap()
    }

    /// Whether there is anything to write now.
    pub(super) fn has_work(&self) -> bool {
        self.has_waiting() || self.parting == Parting::Leaving
    }

    /// Whether anything waits that can be written now, but for a last `BYE`.
    pub(super) fn has_waiting(&self) -> bool {
        !self.words.is_empty()
            || self.dirty.has_live()
            || (self.dirty.has_bulk() && self.pings.allow_bulk())
    }

    /// Removes and returns the next item to send, a live one or one in bulk, as `pace` says. There is none in bulk while
    /// the pings do not allow it.
    pub(super) fn pop(&mut self, pace: Pace) -> Option<Waiting> {
        match pace {
            Pace::Live => self.dirty.pop_live(),
            Pace::Bulk if !self.pings.allow_bulk() => None,
            Pace::Bulk => self.dirty.pop_bulk(),
        }
    }

    /// Nothing is sent from now on but what is live, and no question is sent or answered any more.
    pub(super) fn leave(&mut self) {
        self.parting = Parting::Leaving;
        self.hush();
        self.dirty.forget_bulk();
    }

    /// The neighbour leaves, it said by this line: it is answered, and sent nothing more.
    pub(super) fn let_go(&mut self, heard: EventId) {
        self.parting = Parting::Left(heard);
        self.hush();
        self.dirty = Dirty::default();
        self.words.push_back((Word::Bye, Some(heard)));
    }

    fn hush(&mut self) {
        self.put_off = None;
        self.round = Round::default();
        // Whoever sent a `PING` is still answered.
        self.words
            .retain(|(word, _)| matches!(word, Word::Pong(..)));
    }

    /// Whether the neighbour is still sent what happens.
    pub(super) fn is_told(&self) -> bool {
        matches!(self.parting, Parting::None | Parting::Leaving)
    }
}

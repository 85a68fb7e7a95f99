//! One live link, as the Node sees it: what the neighbour is still to be told.
//!
//! Nothing here grows with traffic. Updates wait as a set of clients, each with its latest record,
//! so a slow neighbour costs at most one entry for each client, nothing is lost, and a newer update
//! overtakes an older one. Questions wait as prefixes, and there is a limit to how many.

use std::collections::VecDeque;

use super::store::ClientIndex;
use crate::journal::{ConnId, EventId};
use crate::protocol::peer::{PeerError, Prefix};

/// What the Node keeps for a neighbour while the link is up.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) conn: ConnId,
    /// Lines that are no updates and wait to be written, each with what made them due.
    pub(super) words: VecDeque<(Word, Option<EventId>)>,
    pub(super) dirty: Dirty,
    pub(super) round: Round,
    /// The digest roots differed when last compared.
    pub(super) differed: bool,
    /// Whether the neighbour's last root was ours, too.
    pub(super) agreed: Option<bool>,
}

/// How a link is that is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkStatus {
    /// So many records wait to be sent.
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
/// Every `DIGEST` and `LIST` is a question that has exactly one answer, and answers come in the order of the questions, for
/// each end says both by one queue. So nothing is answered that was not asked, and nothing twice. An end that has none open
/// has nothing more to ask for, and the other end can't be made to ask more by its answers: it says
/// `SYNCED`. When both have said so, they are synchronised.
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
    /// The neighbour has asked for the whole. Two rounds may cross, one begun by each end.
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
    pub(super) fn new(conn: ConnId) -> Self {
        Self {
            conn,
            words: VecDeque::new(),
            dirty: Dirty::default(),
            round: Round::default(),
            differed: false,
            agreed: None,
        }
    }

    pub(super) fn status(&self) -> LinkStatus {
        LinkStatus {
            waiting: self.dirty.count,
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
        let turns = self.dirty.order.capacity() * size_of::<Turn>();
        words + turns + self.dirty.marks.capacity() * size_of::<Mark>()
    }

    /// Whether there is anything to write.
    pub(super) fn has_work(&self) -> bool {
        !self.words.is_empty() || !self.dirty.is_empty()
    }
}

/// The clients whose latest record the neighbour is to be told, in the order in which they became so.
#[derive(Debug, Default)]
pub(super) struct Dirty {
    order: VecDeque<Turn>,
    /// By client; shorter than the number of clients where the rest is clean.
    marks: Vec<Mark>,
    /// How many turns are not cancelled.
    count: usize,
}

/// A place in the queue.
#[derive(Clone, Copy, Debug)]
enum Turn {
    Client(ClientIndex),
    Part(Part),
    Synced(EventId),
}

/// Many clients at once, all of which the neighbour turned out to lack: looked up when their turn comes, a part at a time,
/// so that nobody waits while a million are marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) under: Prefix,
    /// How many there were.
    pub(super) count: usize,
    /// The line by which they turned out to be lacking.
    pub(super) cause: EventId,
}

/// What waits in the queue of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waiting {
    /// This client's latest record.
    Client(ClientIndex, Reason),
    /// The latest records of these.
    Part(Part),
    /// The word that all answers were sent, due because of this line.
    Synced(EventId),
}

/// Why a record is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// It is news.
    Flood,
    /// The neighbour turned out to lack it, by this line.
    Sync(EventId),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Mark {
    #[default]
    Clean,
    Dirty(Reason),
    /// Not to be told after all, but its place in the queue is still there.
    Cancelled,
}

impl Dirty {
    fn is_empty(&self) -> bool {
        self.count == 0
    }

    #[cfg(test)]
    pub(super) fn turns(&self) -> usize {
        self.order.len()
    }

    pub(super) fn mark(&mut self, client: ClientIndex, reason: Reason) {
        if self.note(client, reason) {
            self.order.push_back(Turn::Client(client));
        }
    }

    /// As [`mark`](Self::mark), but it is this client's turn before all that wait.
    pub(super) fn mark_first(&mut self, client: ClientIndex, reason: Reason) {
        if self.note(client, reason) {
            self.order.push_front(Turn::Client(client));
        }
    }

    pub(super) fn mark_part(&mut self, part: Part) {
        self.order.push_back(Turn::Part(part));
        self.count += part.count;
    }

    /// As [`mark_part`](Self::mark_part), but before all that wait.
    pub(super) fn mark_part_first(&mut self, part: Part) {
        self.order.push_front(Turn::Part(part));
        self.count += part.count;
    }

    /// Whether the client needs a place in the queue.
    fn note(&mut self, client: ClientIndex, reason: Reason) -> bool {
        let at = client.position();
        if at >= self.marks.len() {
            self.marks.resize(at + 1, Mark::Clean);
        }
        let was = self.marks[at];
        match was {
            // What is news by now is sent as news, whatever it was queued for.
            Mark::Dirty(_) if reason == Reason::Flood => {}
            Mark::Dirty(_) => return false,
            Mark::Clean | Mark::Cancelled => self.count += 1,
        }
        self.marks[at] = Mark::Dirty(reason);
        was == Mark::Clean
    }

    /// The neighbour knows it already.
    pub(super) fn unmark(&mut self, client: ClientIndex) {
        if let Some(mark @ Mark::Dirty(_)) = self.marks.get_mut(client.position()) {
            *mark = Mark::Cancelled;
            self.count -= 1;
        }
    }

    pub(super) fn push_synced(&mut self, cause: EventId) {
        self.order.push_back(Turn::Synced(cause));
        self.count += 1;
    }

    pub(super) fn pop(&mut self) -> Option<Waiting> {
        while let Some(turn) = self.order.pop_front() {
            let waiting = match turn {
                Turn::Synced(cause) => Waiting::Synced(cause),
                Turn::Part(part) => {
                    self.count -= part.count;
                    return Some(Waiting::Part(part));
                }
                Turn::Client(client) => match std::mem::take(&mut self.marks[client.position()]) {
                    Mark::Dirty(reason) => Waiting::Client(client, reason),
                    Mark::Clean | Mark::Cancelled => continue,
                },
            };
            self.count -= 1;
            return Some(waiting);
        }
        None
    }
}

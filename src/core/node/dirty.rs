//! Which records are to be sent to a neighbour, and in which order.

use std::collections::VecDeque;

use super::store::ClientIndex;
use crate::journal::EventId;
use crate::protocol::peer::{Pace, Prefix};

/// The clients whose latest record the neighbour is to be sent, in the order in which they became so: those that are
/// live, and those that are not.
#[derive(Debug, Default)]
pub(super) struct Dirty {
    live: VecDeque<ClientIndex>,
    bulk: VecDeque<Turn>,
    /// By client; shorter than the number of clients where the rest is clean.
    marks: Vec<Mark>,
    /// That all answers were sent, once this number of the places in `live` have been passed: what became live after it was
    /// due is not waited for, or under load it would never be said. Counted with the bulk.
    synced: Option<(EventId, usize)>,
    /// How many of `live`, and of `bulk`, are to be sent.
    count_live: usize,
    count_bulk: usize,
}

/// A place in the queue for bulk.
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
    /// Clients with this number or a higher one came after the neighbour turned out to lack the others. They are
    /// passed on to it anyway, and would be sent twice.
    pub(super) end: ClientIndex,
    /// The line by which they turned out to be lacking.
    pub(super) cause: EventId,
}

/// What waits in a queue of a link.
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
    /// It is new here.
    Flood,
    /// It is new here, but came in bulk.
    Relay,
    /// The neighbour turned out to lack it, by this line.
    Sync(EventId),
}

impl Reason {
    pub(super) fn pace(self) -> Pace {
        match self {
            Self::Flood => Pace::Live,
            Self::Relay | Self::Sync(_) => Pace::Bulk,
        }
    }
}

/// What is to be done about a client, and in which queues it has a place. A place stays where it is, whatever becomes of the
/// client meanwhile, so that none need be searched for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Mark {
    owed: Option<Reason>,
    in_live: bool,
    in_bulk: bool,
}

impl Dirty {
    pub(super) fn has_live(&self) -> bool {
        self.count_live > 0
    }

    pub(super) fn has_bulk(&self) -> bool {
        self.count_bulk > 0
    }

    /// How many records and words wait.
    pub(super) fn count(&self) -> usize {
        self.count_live + self.count_bulk
    }

    /// How many live records wait.
    pub(super) fn live(&self) -> usize {
        self.count_live
    }

    #[cfg(test)]
    pub(super) fn turns(&self) -> usize {
        self.live.len() + self.bulk.len()
    }

    /// Bytes behind it that it has room for.
    pub(super) fn heap(&self) -> usize {
        self.live.capacity() * size_of::<ClientIndex>()
            + self.bulk.capacity() * size_of::<Turn>()
            + self.marks.capacity() * size_of::<Mark>()
    }

    pub(super) fn mark(&mut self, client: ClientIndex, reason: Reason) {
        if self.note(client, reason) {
            match reason.pace() {
                Pace::Live => self.live.push_back(client),
                Pace::Bulk => self.bulk.push_back(Turn::Client(client)),
            }
        }
    }

    /// As [`mark`](Self::mark) for what the neighbour lacks, but it is this client's turn before all others of the bulk.
    pub(super) fn mark_first(&mut self, client: ClientIndex, cause: EventId) {
        if self.note(client, Reason::Sync(cause)) {
            self.bulk.push_front(Turn::Client(client));
        }
    }

    pub(super) fn mark_part(&mut self, part: Part) {
        self.bulk.push_back(Turn::Part(part));
        self.count_bulk += part.count;
    }

    /// As [`mark_part`](Self::mark_part), but before all others of the bulk.
    pub(super) fn mark_part_first(&mut self, part: Part) {
        self.bulk.push_front(Turn::Part(part));
        self.count_bulk += part.count;
    }

    /// Whether the client needs a place in the queue of `reason`.
    fn note(&mut self, client: ClientIndex, reason: Reason) -> bool {
        let at = client.position();
        if at >= self.marks.len() {
            self.marks.resize(at + 1, Mark::default());
        }
        let mark = &mut self.marks[at];
        match (mark.owed, reason.pace()) {
            // What is live by now is sent so, whatever it was queued for.
            (Some(owed), Pace::Live) if owed.pace() == Pace::Bulk => {
                self.count_bulk -= 1;
                self.count_live += 1;
            }
            (Some(_), _) => return false,
            (None, Pace::Live) => self.count_live += 1,
            (None, Pace::Bulk) => self.count_bulk += 1,
        }
        mark.owed = Some(reason);
        let place = match reason.pace() {
            Pace::Live => &mut mark.in_live,
            Pace::Bulk => &mut mark.in_bulk,
        };
        !std::mem::replace(place, true)
    }

    /// The neighbour knows it already.
    pub(super) fn unmark(&mut self, client: ClientIndex) {
        let mark = self.marks.get_mut(client.position());
        match mark.and_then(|mark| mark.owed.take()).map(Reason::pace) {
            Some(Pace::Live) => self.count_live -= 1,
            Some(Pace::Bulk) => self.count_bulk -= 1,
            None => {}
        }
    }

    pub(super) fn push_synced(&mut self, cause: EventId) {
        self.bulk.push_back(Turn::Synced(cause));
        self.count_bulk += 1;
    }

    /// Nothing is sent in bulk any more.
    pub(super) fn forget_bulk(&mut self) {
        for turn in std::mem::take(&mut self.bulk) {
            if let Turn::Client(client) = turn {
                let mark = &mut self.marks[client.position()];
                mark.in_bulk = false;
                mark.owed = mark.owed.filter(|owed| owed.pace() == Pace::Live);
            }
        }
        self.synced = None;
        self.count_bulk = 0;
    }

    pub(super) fn pop_live(&mut self) -> Option<Waiting> {
        loop {
            if let Some((cause, _)) = self.synced.take_if(|(_, places)| *places == 0) {
                self.count_bulk -= 1;
                return Some(Waiting::Synced(cause));
            }
            let client = self.live.pop_front()?;
            if let Some((_, places)) = &mut self.synced {
                *places -= 1;
            }
            let mark = &mut self.marks[client.position()];
            mark.in_live = false;
            // What was unmarked and then owed again in bulk has its turn there.
            if let Some(reason) = mark.owed.take_if(|owed| owed.pace() == Pace::Live) {
                self.count_live -= 1;
                return Some(Waiting::Client(client, reason));
            }
        }
    }

    pub(super) fn pop_bulk(&mut self) -> Option<Waiting> {
        while let Some(turn) = self.bulk.pop_front() {
            let waiting = match turn {
                // It follows all that was requested, also what became live meanwhile.
                Turn::Synced(cause) if self.has_live() => {
                    self.synced = Some((cause, self.live.len()));
                    continue;
                }
                Turn::Synced(cause) => Waiting::Synced(cause),
                Turn::Part(part) => {
                    self.count_bulk -= part.count;
                    return Some(Waiting::Part(part));
                }
                Turn::Client(client) => {
                    let mark = &mut self.marks[client.position()];
                    mark.in_bulk = false;
                    match mark.owed.take_if(|owed| owed.pace() == Pace::Bulk) {
                        Some(reason) => Waiting::Client(client, reason),
                        None => continue,
                    }
                }
            };
            self.count_bulk -= 1;
            return Some(waiting);
        }
        None
    }
}

//! The dirty set of a link: which records are to be sent to the neighbour, and in which order.

use std::collections::VecDeque;

use super::store::ClientIndex;
use crate::journal::EventId;
use crate::protocol::peer::{Pace, Prefix};

/// The clients whose latest record is to be sent to the neighbour, in the order in which they were
/// marked: one queue of live updates, and one of bulk.
#[derive(Debug, Default)]
pub(super) struct Dirty {
    live: VecDeque<ClientIndex>,
    bulk: VecDeque<Turn>,
    /// Indexed by client; clients beyond its end are clean.
    marks: Vec<Mark>,
    /// A `SYNCED`, due once this number of places in `live` has been passed. It does not wait for
    /// what becomes live later, or it would never be sent under load. It counts as bulk.
    synced: Option<(EventId, usize)>,
    /// How much of `live`, and of `bulk`, is to be sent; places of unmarked clients do not count.
    count_live: usize,
    count_bulk: usize,
}

/// A place in the queue of bulk.
#[derive(Clone, Copy, Debug)]
enum Turn {
    Client(ClientIndex),
    Part(Part),
    Synced(EventId),
}

/// A set of clients that the neighbour lacks as a whole. It is looked up in its turn, a part at a
/// time, so that nothing waits while a million clients are marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) under: Prefix,
    /// How many records the set had when it was queued.
    pub(super) count: usize,
    /// Clients with this index or a higher one came after the neighbour was found to lack the set.
    /// The flood sends them, so here they would be sent twice.
    pub(super) end: ClientIndex,
    /// The line that showed the lack.
    pub(super) cause: EventId,
}

/// An item of a link's queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waiting {
    /// The latest record of this client.
    Client(ClientIndex, Reason),
    /// The latest records of a set of clients.
    Part(Part),
    /// `SYNCED`, due because of this line.
    Synced(EventId),
}

/// Why a record is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// The record is new here, and live.
    Flood,
    /// The record is new here, but arrived in bulk.
    Relay,
    /// Set reconciliation found, by this line, that the neighbour lacks the record.
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

/// Why a client's record is to be sent, if it is, and which queues hold a place for the client. A
/// place stays in its queue even if the client is unmarked, so that no queue is ever searched.
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

    /// How many records wait, and `SYNCED` if it does.
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

    /// Heap bytes of the queues, by capacity.
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

    /// As [`mark`](Self::mark) for a record that the neighbour lacks, but ahead of all other bulk.
    pub(super) fn mark_first(&mut self, client: ClientIndex, cause: EventId) {
        if self.note(client, Reason::Sync(cause)) {
            self.bulk.push_front(Turn::Client(client));
        }
    }

    pub(super) fn mark_part(&mut self, part: Part) {
        self.bulk.push_back(Turn::Part(part));
        self.count_bulk += part.count;
    }

    /// As [`mark_part`](Self::mark_part), but ahead of all other bulk.
    pub(super) fn mark_part_first(&mut self, part: Part) {
        self.bulk.push_front(Turn::Part(part));
        self.count_bulk += part.count;
    }

    /// Marks the client, and returns whether it needs a place in the queue of `reason`.
    fn note(&mut self, client: ClientIndex, reason: Reason) -> bool {
        let at = client.position();
        if at >= self.marks.len() {
            self.marks.resize(at + 1, Mark::default());
        }
        let mark = &mut self.marks[at];
        match (mark.owed, reason.pace()) {
            // A record that becomes live is sent as live, whatever it was queued for.
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

    /// The client's record need not be sent: the neighbour has it already, or it has expired.
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

    /// Drops all that waits in bulk.
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
            // A client that was unmarked and then marked for bulk has its turn there.
            if let Some(reason) = mark.owed.take_if(|owed| owed.pace() == Pace::Live) {
                self.count_live -= 1;
                return Some(Waiting::Client(client, reason));
            }
        }
    }

    pub(super) fn pop_bulk(&mut self) -> Option<Waiting> {
        while let Some(turn) = self.bulk.pop_front() {
            let waiting = match turn {
                // `SYNCED` follows everything that was requested, also what became live meanwhile.
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

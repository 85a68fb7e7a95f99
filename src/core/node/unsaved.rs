//! What the disk is behind: the dirty set of a server's own disk, as every link has one.
//!
//! It holds each client once, however often its record changed since it was written, so a slow disk
//! costs one entry a client and newer records overtake older ones. Entries are counted, so that it
//! is known from when on everything that was stored before a moment is on the disk: a change goes
//! behind all entries there are, or its client is in front of the end already.

use std::collections::VecDeque;

use super::Node;
use super::mistakes::Mistake;
use super::store::ClientIndex;
use crate::journal::{EventKind, Journal};
use crate::protocol::peer::Update;
use crate::protocol::record::Record;

/// The clients whose latest record is not on the disk yet.
#[derive(Debug, Default)]
pub(super) struct Unsaved {
    queue: VecDeque<ClientIndex>,
    /// Indexed by client; clients beyond its end are saved.
    marks: Vec<bool>,
    /// The number of entries that were ever queued, and of those that were taken out.
    queued: u64,
    taken: u64,
    /// Whether a client's update is answered only when it is saved.
    before_answers: bool,
    /// Whether the disk takes nothing.
    is_failing: bool,
}

impl Unsaved {
    pub(super) fn mark(&mut self, client: ClientIndex) {
        let at = client.position();
        if at >= self.marks.len() {
            self.marks.resize(at + 1, false);
        }
        if !std::mem::replace(&mut self.marks[at], true) {
            self.queue.push_back(client);
            self.queued += 1;
        }
    }

    /// The client's record was removed, so there is nothing to save.
    pub(super) fn unmark(&mut self, client: ClientIndex) {
        if let Some(mark) = self.marks.get_mut(client.position()) {
            *mark = false;
        }
    }

    /// Heap bytes, by capacity.
    pub(super) fn heap(&self) -> usize {
        self.queue.capacity() * size_of::<ClientIndex>() + self.marks.capacity()
    }
}

impl Node {
    /// Counts from now on what changes, for a disk. With `before_answers`, clients' updates are
    /// answered only when they are saved.
    pub fn save_changes(&mut self, before_answers: bool) {
        self.unsaved = Some(Unsaved {
            before_answers,
            ..Unsaved::default()
        });
    }

    /// Whether the disk takes nothing, so that updates that would have to wait for it are refused.
    pub fn set_disk_fails(&mut self, fails: bool) {
        if let Some(unsaved) = &mut self.unsaved {
            unsaved.is_failing = fails;
        }
    }

    pub(super) fn cannot_save(&self) -> bool {
        let unsaved = self.unsaved.as_ref();
        unsaved.is_some_and(|unsaved| unsaved.before_answers && unsaved.is_failing)
    }

    /// Up to where everything must be saved before what is stored now can be answered, if answers
    /// wait for that.
    pub(super) fn to_be_saved(&self) -> Option<u64> {
        let unsaved = self
            .unsaved
            .as_ref()
            .filter(|unsaved| unsaved.before_answers);
        unsaved.map(|unsaved| unsaved.queued)
    }

    /// The number of clients whose latest record was not taken for the disk yet.
    pub fn unsaved(&self) -> usize {
        let unsaved = self.unsaved.as_ref();
        unsaved.map_or(0, |unsaved| {
            usize::try_from(unsaved.queued - unsaved.taken).unwrap_or(usize::MAX)
        })
    }

    /// Takes up to `most` of the latest records that are not on the disk, and passes each with its
    /// hops to `write`. Returns up to where everything is saved once these are.
    pub fn take_unsaved(&mut self, most: usize, mut write: impl FnMut(&Record, u32)) -> u64 {
        let Some(unsaved) = &mut self.unsaved else {
            return 0;
        };
        let mut written = 0;
        while written < most
            && let Some(client) = unsaved.queue.pop_front()
        {
            unsaved.taken += 1;
            if std::mem::take(&mut unsaved.marks[client.position()]) {
                let entry = self.store.entry(client);
                write(&entry.record, entry.hops);
                written += 1;
            }
        }
        unsaved.taken
    }

    /// Passes up to `most` records with their hops to `write`, from the one at position `from` on.
    /// Returns the position of the next; `None` at the end.
    ///
    /// A client that becomes known while this is called again and again may be left out. It is
    /// among [`unsaved`](Self::unsaved) then.
    pub fn copy_records(
        &self,
        from: usize,
        most: usize,
        mut write: impl FnMut(&Record, u32),
    ) -> Option<usize> {
        for entry in self.store.entries_from(from).take(most).flatten() {
            write(&entry.record, entry.hops);
        }
        let next = from + most;
        (next < self.store.end().position()).then_some(next)
    }

    /// Makes room for this number of clients, whose records are to be [restored](Self::restore).
    pub fn reserve(&mut self, clients: usize) {
        self.store.reserve(clients);
    }

    /// Stores a record that was read from the disk, if it is newer than others of its client there.
    /// If it may not be synced there, it is to be saved again. Returns whether it was stored.
    pub fn restore(&mut self, update: Update, is_synced: bool, journal: &dyn Journal) -> bool {
        let Update { record, hops, .. } = update;
        let known = self.store.find(record.id());
        let held = known.map(|client| &self.store.entry(client).record);
        let is_newer = held.is_none_or(|held| record.supersedes(held))
            || self.mistakes.makes(Mistake::ReplaysBackwards);
        if self.kept.is_over(&record) || !is_newer {
            return false;
        }
        let what = EventKind::Restored {
            record: (&record).into(),
            hops,
            generation: record.generation(),
        };
        let accepted = journal.record(None, what);
        let client = self.put(known, record, hops, accepted);
        match &mut self.unsaved {
            Some(unsaved) if is_synced => unsaved.unmark(client),
            Some(unsaved) => unsaved.mark(client),
            None => {}
        }
        true
    }
}

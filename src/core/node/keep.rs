//! Retention: ceilings on the number of clients and bytes, and a time to live for records.
//!
//! The ceilings, and the limit on times in the future, apply to clients' updates alone: servers
//! that refused each other's records would disagree for ever. A record expires when its origin
//! received it longer ago than the time to live. The record alone decides that, so every server
//! decides alike, whenever and by whatever route the record arrived. An expired record is not
//! accepted again from a neighbour that expires it later, and its client is as unknown as one that
//! never sent anything.

use std::collections::BTreeSet;
use std::time::Duration;

use super::Node;
use super::mistakes::Mistake;
use super::store::ClientIndex;
use crate::journal::{EventKind, Journal};
use crate::protocol::record::Record;
use crate::protocol::time::Timestamp;

/// Limits on what a server stores, and for how long. The default has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// From this number of known clients on, updates of new clients are refused, but not those of
    /// neighbours.
    pub most_clients: usize,
    /// Clients' updates that would bring the records together above this number of bytes are
    /// refused, but not those of neighbours.
    pub most_bytes: usize,
    /// A record expires this long after its origin received it, by the origin's clock. All servers
    /// of a herd must have the same value; otherwise their digests differ as long as one holds what
    /// another has expired.
    pub time_to_live: Option<Duration>,
    /// How far a client's time may be ahead of the server's clock, since a later one would win for
    /// ever. Records from neighbours are exempt: each server applied the limit to its own clients
    /// by its own clock.
    pub future_limit: Option<Duration>,
}

impl Default for Keep {
    fn default() -> Self {
        Self {
            most_clients: usize::MAX,
            most_bytes: usize::MAX,
            time_to_live: None,
            future_limit: None,
        }
    }
}

/// The limits, and the state that expiry needs.
#[derive(Default)]
pub(super) struct Retention {
    keep: Keep,
    /// The time at the last [`Node::expire`].
    now: Timestamp,
    /// All clients by when their record was heard; empty without a time to live.
    by_age: BTreeSet<(Timestamp, ClientIndex)>,
}

impl Retention {
    /// Whether the record had expired at the last [`Node::expire`]. Nothing ages between two such
    /// calls, so that one limit applies to stored and to arriving records.
    pub(super) fn is_over(&self, record: &Record) -> bool {
        let limit = self.keep.time_to_live;
        limit.is_some_and(|limit| record.heard_at().saturating_add(limit) < self.now)
    }

    pub(super) fn add(&mut self, record: &Record, client: ClientIndex) {
        if self.keep.time_to_live.is_some() {
            self.by_age.insert((record.heard_at(), client));
        }
    }

    /// Removes the age of a record that is about to be replaced.
    pub(super) fn replace(&mut self, record: Option<&Record>, client: Option<ClientIndex>) {
        if let (Some(record), Some(client), true) =
            (record, client, self.keep.time_to_live.is_some())
        {
            self.by_age.remove(&(record.heard_at(), client));
        }
    }
}

impl Node {
    /// Replaces the limits. A first time to live also applies to records that are already stored.
    pub fn keep(&mut self, keep: Keep) {
        let had_ages = self.kept.keep.time_to_live.is_some();
        self.kept.keep = keep;
        if keep.time_to_live.is_none() {
            self.kept.by_age.clear();
        } else if !had_ages {
            let clients = self.store.indices();
            let aged = clients.map(|client| (self.store.entry(client).record.heard_at(), client));
            self.kept.by_age = aged.collect();
        }
    }

    /// Removes up to `most` records that are expired at `now`, and returns how many. It sends
    /// nothing, because every server expires the same records by its own clock.
    pub fn expire(&mut self, now: Timestamp, most: usize, journal: &dyn Journal) -> usize {
        // The latest time that was ever seen would not do: a clock that was far ahead for a moment
        // would make this server refuse all records from then on.
        self.kept.now = now;
        let mut forgotten = 0;
        while forgotten < most
            && let Some(&(heard, client)) = self.kept.by_age.first()
            && self.kept.is_over(&self.store.entry(client).record)
        {
            self.kept.by_age.remove(&(heard, client));
            for link in self.links.iter_mut().flatten() {
                link.dirty.unmark(client);
            }
            if let Some(unsaved) = &mut self.unsaved {
                unsaved.unmark(client);
            }
            if let Some(record) = self.store.remove(client) {
                let record = (&record).into();
                journal.record(None, EventKind::Expired { record });
            }
            forgotten += 1;
        }
        forgotten
    }

    /// Whether a client's `time` is further ahead of this server's `clock` than the limit.
    pub(super) fn is_too_early(&self, clock: Timestamp, time: Timestamp) -> bool {
        let limit = self.kept.keep.future_limit;
        limit.is_some_and(|limit| time > clock.saturating_add(limit))
            && !self.mistakes.makes(Mistake::TakesAnyTime)
    }

    /// Whether a ceiling forbids a client's line of `length` bytes: the client is new, or the line
    /// is longer than its record.
    pub(super) fn has_no_room_for(&self, id: &[u8], length: usize) -> bool {
        let Keep {
            most_clients,
            most_bytes,
            ..
        } = self.kept.keep;
        let too_many = self.clients() >= most_clients;
        let too_much = self.store.bytes() + length > most_bytes;
        if !too_many && !too_much {
            return false;
        }
        let known = self.store.find(id);
        // A forgotten client did not count, so it counts as new when it comes back.
        let known = known.filter(|&client| !self.store.entry(client).record.is_tombstone());
        known.is_none_or(|client| too_much && self.store.entry(client).record.text().len() < length)
    }
}

//! What a server keeps, and for how long: ceilings for clients and bytes, and a time to live for records.
//!
//! The ceilings, and how far ahead a time may be, hold where clients speak and never between servers, which would disagree
//! for ever. A record's time is over when its origin heard it longer ago than the time to live: by the record alone, so that every server says the
//! same of it, whenever and by whatever way it came. One that is over is not taken in again from a neighbour that was
//! slower to forget it, and nobody knows the difference between one that was forgotten and one that never came.

use std::collections::BTreeSet;
use std::time::Duration;

use super::Node;
use super::store::ClientIndex;
use crate::journal::{EventKind, Journal};
use crate::protocol::record::Record;
use crate::protocol::time::Timestamp;

/// What a server keeps, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// The number of known clients from which on clients can't add further ones. Neighbours still can.
    pub most_clients: usize,
    /// The number of bytes of all records together from which on clients can't add to them. Neighbours still can.
    pub most_bytes: usize,
    /// How long after its origin heard it, by the origin's clock, a record is forgotten. The whole herd must have the
    /// same, or its digests differ as long as one remembers what another forgot.
    pub time_to_live: Option<Duration>,
    /// How far a client's time may be ahead of the server's clock; a later one would win for ever. It does not hold
    /// for neighbours: they applied it to their clients by their own clocks.
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

/// The rules, and what they need to know.
#[derive(Default)]
pub(super) struct Retention {
    keep: Keep,
    /// What the time was when records were last forgotten.
    now: Timestamp,
    /// If records have a time to live: all clients, by when their record was heard.
    by_age: BTreeSet<(Timestamp, ClientIndex)>,
}

impl Retention {
    /// Whether the record's time was over when records were last forgotten. Between two times of forgetting nothing
    /// ages, so that one limit applies to what is stored and to what is taken in.
    pub(super) fn is_over(&self, record: &Record) -> bool {
        let limit = self.keep.time_to_live;
        limit.is_some_and(|limit| record.heard_at().saturating_add(limit) < self.now)
    }

    pub(super) fn add(&mut self, record: &Record, client: ClientIndex) {
        if self.keep.time_to_live.is_some() {
            self.by_age.insert((record.heard_at(), client));
        }
    }

    /// The record of `client` is about to be replaced.
    pub(super) fn replace(&mut self, record: Option<&Record>, client: Option<ClientIndex>) {
        if let (Some(record), Some(client), true) =
            (record, client, self.keep.time_to_live.is_some())
        {
            self.by_age.remove(&(record.heard_at(), client));
        }
    }
}

impl Node {
    /// Changes what is kept, and for how long.
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

    /// Forgets up to `most` records whose time is over at `now`, and returns how many. What is forgotten is forgotten
    /// by all servers, each by its own clock.
    pub fn expire(&mut self, now: Timestamp, most: usize, journal: &dyn Journal) -> usize {
        // Not the latest that was ever seen: a clock that was far ahead for a moment would make this server refuse all
        // records from then on.
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
            if let Some(record) = self.store.remove(client) {
                let record = (&record).into();
                journal.record(None, EventKind::Expired { record });
            }
            forgotten += 1;
        }
        forgotten
    }

    /// Whether a client's time is further ahead of this `clock` than it may be.
    pub(super) fn is_too_early(&self, clock: Timestamp, time: Timestamp) -> bool {
        let limit = self.kept.keep.future_limit;
        limit.is_some_and(|limit| time > clock.saturating_add(limit))
    }

    /// Whether there is no room for a line of `length` bytes about a client: it is one more client, or the line is
    /// longer than the one before.
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
        // A client that was forgotten is one more when it comes back.
        let known = known.filter(|&client| !self.store.entry(client).record.is_tombstone());
        known.is_none_or(|client| too_much && self.store.entry(client).record.text().len() < length)
    }
}

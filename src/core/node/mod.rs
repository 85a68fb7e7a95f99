//! One server's decisions: what it stores, floods, synchronises and answers.
//!
//! Nothing here waits, reads a clock or uses a socket. Lines and the time are arguments; the task
//! that can write to a link pulls its lines out of the Node ([`Node::pull`]), and every decision is
//! recorded in a [`Journal`]. So the same decisions run in production, in the simulator and in
//! tests without a network.

mod client;
mod dirty;
mod fill;
mod forget;
mod greeting;
mod keep;
mod link;
mod memory;
pub(crate) mod mistakes;
mod neighbours;
mod parting;
mod peer;
mod pings;
mod store;
mod sync;
#[cfg(test)]
mod tests;
mod unsaved;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use crate::journal::{EventId, EventKind, Ignored, Journal, Source};
use crate::protocol::peer::{BootId, Pace};
use crate::protocol::record::Record;

use dirty::Reason;
use link::Link;
use mistakes::{Made, Mistake, Mistakes, Rare};
use store::{ClientIndex, Store};

pub use client::{ClientLineAt, LookUp, ToBeSaved, Waits};
pub use forget::{ForgetError, Forgotten};
pub use greeting::{Greeted, Greeting, Namesakes, Refused};
pub use keep::Keep;
pub use link::LinkStatus;
pub use memory::Memory;
pub use parting::Unconfirmed;

/// A neighbour's position in [`NodeConfig::neighbours`]. A neighbour that joins gets the id of one
/// that left, if there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NeighbourId(pub usize);

/// A Node's identity, its neighbours and its bounds.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// The herd's name; servers of another herd are refused.
    pub herd: Arc<str>,
    /// This server's name.
    pub name: Arc<str>,
    /// Identifies this run of the server; new at each restart.
    pub boot: BootId,
    /// Seeds the hash table of clients, so that no client can choose ids that collide in it.
    /// Nothing observable depends on it.
    pub table_seed: u64,
    /// The neighbours at the start; [`Node::gain`] and [`Node::lose`] change them later.
    pub neighbours: Vec<Neighbour>,
    /// The bounds of the set reconciliation.
    pub bounds: SyncBounds,
    /// Which links a new update is sent over; without a rule, all links but the one it arrived by.
    pub flood: Option<Arc<dyn Flood>>,
    /// The highest version of the protocol between servers that it speaks. A server that speaks no more than the oldest
    /// one stands for a build from before the others.
    pub speaks: u32,
}

/// A replacement for the shipped rule of the flood: over which links a server forwards a new
/// update.
///
/// An update that the rule withholds is not lost: set reconciliation finds it, at the latest by
/// anti-entropy.
pub trait Flood: fmt::Debug + Send + Sync {
    /// Whether server `me` sends an update to its neighbour `to`. `from` is the neighbour that sent
    /// the update, `None` if a client did.
    fn sends(&self, me: &str, from: Option<&str>, to: &str) -> bool;
}

/// The bounds of the set reconciliation between two stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyncBounds {
    /// A set is listed if neither side holds more than this number of its records, at most
    /// [`MOST_HASHES`](crate::protocol::peer::MOST_HASHES); larger sets are cut up.
    pub small: u64,
    /// From this number of open queries on, a set that differs is not cut up; the next round finds
    /// the difference. Two rounds that cross have up to 32 queries open for each digit on the way
    /// to a difference, so a bound below 512 might never reach a deep one.
    pub most_questions: usize,
    /// The maximum number of records to go through at once, since clients wait meanwhile. Larger
    /// sets are gone through in parts.
    pub most_at_once: u64,
}

impl Default for SyncBounds {
    fn default() -> Self {
        Self {
            small: 32,
            most_questions: 4096,
            most_at_once: 1024,
        }
    }
}

/// A server at the other end of a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Neighbour {
    /// The neighbour's name in the herd.
    pub name: Arc<str>,
    /// Whether this end dials the neighbour. The server that the herd file names first in a link
    /// dials.
    pub dialled: bool,
}

/// One server's state and rules.
pub struct Node {
    config: NodeConfig,
    store: Store,
    /// Indexed by [`NeighbourId`]; `None` while the link is down.
    links: Vec<Option<Link>>,
    /// Ids of neighbours that left. These ids stay valid until neighbours that join get them.
    left: BTreeSet<NeighbourId>,
    /// The ceilings and the time to live of records.
    kept: keep::Retention,
    /// Links that got something to write since the last [`take_ready`](Self::take_ready).
    ready: BTreeSet<NeighbourId>,
    /// The neighbour that fills this server, while it lacks much.
    filling: Option<fill::Filling>,
    /// Indexed by [`NeighbourId`], as `parted` is: the neighbour's runs, and how its last link
    /// ended.
    runs: Vec<parting::Runs>,
    parted: Vec<parting::Parted>,
    /// What its disk is behind, if it has one.
    unsaved: Option<unsaved::Unsaved>,
    /// The number of updates accepted since the start.
    accepted: u64,
    /// Whether updates from one neighbour are forwarded to the others.
    relays: bool,
    /// What it does wrong; in no build but a test's is there anything of this.
    mistakes: Mistakes,
}

/// The outcome of merging a record into the store.
struct Merged {
    /// The client, if the store now holds exactly the merged record, be it new or a duplicate.
    held: Option<ClientIndex>,
}

impl Node {
    /// A server with an empty store and no link.
    pub fn new(config: NodeConfig) -> Self {
        let links = config.neighbours.iter().map(|_| None).collect();
        let runs = config.neighbours.iter().map(|_| parting::Runs::default());
        let parted = config.neighbours.iter().map(|_| parting::Parted::default());
        Self {
            store: Store::new(&config.herd, config.table_seed),
            links,
            left: BTreeSet::new(),
            kept: keep::Retention::default(),
            ready: BTreeSet::new(),
            filling: None,
            unsaved: None,
            runs: runs.collect(),
            parted: parted.collect(),
            accepted: 0,
            relays: true,
            mistakes: Made::NONE.into(),
            config,
        }
    }

    /// The same server, with the mistake that it is configured to make. None of this is left in any build but a test's.
    #[must_use]
    pub(crate) fn making(self, mistake: Made) -> Self {
        Self {
            mistakes: mistake.into(),
            ..self
        }
    }

    /// How many clients it knows: tombstones are none.
    pub fn clients(&self) -> usize {
        self.store.len() - self.store.tombstones()
    }

    /// The number of tombstones.
    pub fn forgotten(&self) -> usize {
        self.store.tombstones()
    }

    /// All records, tombstones included, each with its hops. As long as none has expired, they are
    /// in the order in which their clients became known.
    pub fn records(&self) -> impl Iterator<Item = (&Record, u32)> {
        let entries = self.store.entries();
        entries.map(|entry| (&entry.record, entry.hops))
    }

    /// Stores `record` if it is newer, and marks it for every live link but the one it arrived by.
    fn merge(
        &mut self,
        record: Record,
        hops: u32,
        from: Option<(NeighbourId, Pace)>,
        heard: EventId,
        journal: &dyn Journal,
    ) -> Merged {
        let source = match from {
            None => Source::Client,
            Some((neighbour, _)) => Source::Server(self.name_of(neighbour)),
        };
        let in_future =
            self.mistakes.makes(Mistake::AsksItsClock) && record.time() > self.mistakes.time();
        if in_future || self.kept.is_over(&record) {
            let what = EventKind::Ignored {
                record: (&record).into(),
                why: if in_future {
                    Ignored::Older
                } else {
                    Ignored::Expired
                },
                from: source,
            };
            journal.record(Some(heard), what);
            return Merged { held: None };
        }
        let known = self.store.find(record.id());
        let held = known.map(|client| (client, &self.store.entry(client).record));
        let record = match (from, held) {
            // A client's update belongs to the generation of the record that its server holds.
            (None, Some((_, held))) if held.generation() > 0 => {
                record.in_generation(held.generation())
            }
            _ => record,
        };
        if let Some((client, held)) = held
            && !self.replaces(&record, held, from.is_some())
        {
            let same = *held == record;
            let rare = match from {
                None => Rare::Older,
                Some(_) => Rare::Overtaken,
            };
            self.mistakes.note(|| (!same).then_some(rare));
            let what = EventKind::Ignored {
                record: (&record).into(),
                why: match same {
                    true => Ignored::Known,
                    false if record.ties(held) => Ignored::Tied,
                    false => Ignored::Older,
                },
                from: source,
            };
            journal.record(Some(heard), what);
            return Merged {
                held: same.then_some(client),
            };
        }
        let what = match source {
            Source::Server(name) if record.is_tombstone() => {
                EventKind::forgotten(&record, Some(name))
            }
            source => EventKind::Accepted {
                record: (&record).into(),
                hops,
                from: source,
            },
        };
        let accepted = journal.record(Some(heard), what);
        let client = self.take_in(known, record, hops, accepted, from);
        Merged { held: Some(client) }
    }

    /// Stores a record that is newer than that of `known`, and marks it for every live link but the
    /// one it arrived by.
    fn take_in(
        &mut self,
        known: Option<ClientIndex>,
        record: Record,
        hops: u32,
        accepted: EventId,
        from: Option<(NeighbourId, Pace)>,
    ) -> ClientIndex {
        let client = self.put(known, record, hops, accepted);
        if let Some(unsaved) = &mut self.unsaved {
            unsaved.mark(client);
        }
        self.accepted += 1;
        self.mark(client, from);
        client
    }

    /// Stores a record that is newer than that of `known`.
    fn put(
        &mut self,
        known: Option<ClientIndex>,
        record: Record,
        hops: u32,
        accepted: EventId,
    ) -> ClientIndex {
        self.kept
            .replace(known.map(|client| &self.store.entry(client).record), known);
        let client = self.store.put(known, record, hops, accepted);
        self.kept.add(&self.store.entry(client).record, client);
        client
    }

    /// Whether `record` replaces `held`: if it is newer, unless a mistake decides otherwise.
    fn replaces(&self, record: &Record, held: &Record, from_server: bool) -> bool {
        let makes = |mistake| self.mistakes.makes(mistake);
        if makes(Mistake::BreaksNoTie) {
            return record.time() > held.time();
        }
        if makes(Mistake::ComparesFloats) {
            return mistakes::is_newer_as_float(record, held);
        }
        if makes(Mistake::TiesByValue) || makes(Mistake::PrefersGreaterSkew) {
            let by_skew = makes(Mistake::PrefersGreaterSkew);
            let broken = mistakes::breaks_tie(record, held, by_skew);
            return broken.unwrap_or_else(|| record.supersedes(held));
        }
        if makes(Mistake::DropsTheLock) && !from_server {
            let then = self.mistakes.looked_up(record);
            return then.is_none_or(|then| record.supersedes(then));
        }
        let is_older_and_taken = makes(Mistake::TakesOlder) && !from_server && record != held;
        record.supersedes(held) || is_older_and_taken
    }

    fn mark(&mut self, client: ClientIndex, from: Option<(NeighbourId, Pace)>) {
        if from.is_some() && !self.relays || self.mistakes.is_failed() {
            return;
        }
        let makes = |mistake| self.mistakes.makes(mistake);
        let by_sync =
            |from: NeighbourId| self.links[from.0].as_ref().is_some_and(Link::is_comparing);
        if makes(Mistake::KeepsToItself) && from.is_some_and(|(from, _)| by_sync(from)) {
            return;
        }
        let reason = match from {
            Some((_, Pace::Bulk)) => Reason::Relay,
            Some((_, Pace::Live)) | None => Reason::Flood,
        };
        let but = from
            .map(|(from, _)| from)
            .filter(|_| !makes(Mistake::TellsBack));
        let NodeConfig {
            name,
            neighbours,
            flood,
            ..
        } = &self.config;
        let called = |id: NeighbourId| {
            neighbours
                .get(id.0)
                .map_or("", |neighbour| &*neighbour.name)
        };
        let sends = |flood: &Arc<dyn Flood>, to| {
            let from = from.map(|(from, _)| called(from));
            flood.sends(name, from, called(to))
        };
        for (position, link) in self.links.iter_mut().enumerate() {
            let neighbour = NeighbourId(position);
            if let Some(link) = link
                && Some(neighbour) != but
                && flood.as_ref().is_none_or(|flood| sends(flood, neighbour))
                && link.is_told()
                // The postponed reconciliation finds which of these records the neighbour lacks.
                && !(reason == Reason::Relay && link.put_off.is_some())
                && !(makes(Mistake::SubscribesLate) && link.is_comparing())
            {
                link.dirty.mark(client, reason);
                self.ready.insert(neighbour);
            }
        }
    }

    /// A client's record, which may be a tombstone, and how many links it crossed on its way here.
    pub fn record(&self, id: &[u8]) -> Option<(&Record, u32)> {
        let entry = self.store.entry(self.store.find(id)?);
        Some((&entry.record, entry.hops))
    }

    /// Whether anything waits to be written to `neighbour`.
    pub fn has_work(&self, neighbour: NeighbourId) -> bool {
        self.links[neighbour.0].as_ref().is_some_and(Link::has_work)
    }

    /// The number of lines and records that wait for neighbours, and that of queries to them without
    /// an answer, to which rounds of set reconciliation under way count. Both are 0 when the server
    /// is quiet.
    pub fn under_way(&self) -> (usize, usize) {
        let links = self.links.iter().flatten().map(Link::under_way);
        links.fold((0, 0), |(waiting, queries), (more, others)| {
            (waiting + more, queries + others)
        })
    }

    /// Calls `wake` for each link that got something to write since the last call.
    pub fn take_ready(&mut self, mut wake: impl FnMut(NeighbourId)) {
        while let Some(neighbour) = self.ready.pop_first() {
            wake(neighbour);
        }
    }
}

//! One server's decisions: what it stores, floods, synchronises and answers.
//!
//! Nothing here waits, reads a clock or uses a socket. Lines and the time are arguments; what is to be written is
//! pulled out of the Node by whoever can write it, and everything that was decided is recorded in a [`Journal`]. So
//! the very same decisions run in production, in the simulator and in tests that have no network at all.

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

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use crate::journal::{EventId, EventKind, Ignored, Journal, Source};
use crate::protocol::peer::{BootId, Pace};
use crate::protocol::record::Record;

use dirty::Reason;
use link::Link;
use mistakes::{Made, Mistake, Mistakes};
use store::{ClientIndex, Store};

pub use client::{ClientLineAt, LookUp};
pub use forget::{ForgetError, Forgotten};
pub use greeting::{Greeted, Greeting, Namesakes, Refused};
pub use keep::Keep;
pub use link::LinkStatus;
pub use memory::Memory;
pub use parting::Unconfirmed;

/// A neighbour's position in [`NodeConfig::neighbours`]. That of one that left is given to one that comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NeighbourId(pub usize);

/// What a Node must know before it can decide anything.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// The herd's name; servers of another herd are refused.
    pub herd: Arc<str>,
    /// This server's name.
    pub name: Arc<str>,
    /// Which run of it.
    pub boot: BootId,
    /// Makes the table of clients unpredictable to them. Changes nothing that anybody can see.
    pub table_seed: u64,
    /// The servers that this one has a link with when it begins.
    pub neighbours: Vec<Neighbour>,
    /// How the comparison of stores is bounded.
    pub bounds: SyncBounds,
    /// Which links a new update is sent over; all but the one that it came by, if not given.
    pub flood: Option<Arc<dyn Flood>>,
}

/// A rule of the flood other than the shipped one: over which links a new update is sent on.
///
/// What it leaves out is not lost: the comparison of stores finds it, at the latest at the next anti-entropy round.
pub trait Flood: fmt::Debug + Send + Sync {
    /// Whether server `me` sends an update to its neighbour `to`. It came from the neighbour `from`, or from a client.
    fn sends(&self, me: &str, from: Option<&str>, to: &str) -> bool;
}

/// How the comparison of two stores is bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyncBounds {
    /// The number of records on both sides up to which a set is listed, at most
    /// [`MOST_HASHES`](crate::protocol::peer::MOST_HASHES); larger sets are cut up.
    pub small: u64,
    /// The number of open questions from which on a set is not cut up: what that would have found is found in the
    /// next round. Two rounds that cross have up to 32 open for each digit on the way to a difference, so less than
    /// 512 might never reach a deep one.
    pub most_questions: usize,
    /// The number of records that are gone through at a time while others wait; of more, a part each time.
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
    /// Its name.
    pub name: Arc<str>,
    /// Whether this end dials it. One end of each link does: the one that the herd names first.
    pub dialled: bool,
}

/// One server's state and rules.
pub struct Node {
    config: NodeConfig,
    store: Store,
    /// By [`NeighbourId`]; `None` while that link is down.
    links: Vec<Option<Link>>,
    /// Those that are no neighbours any more. Their ids stay valid, and go to those that come.
    left: BTreeSet<NeighbourId>,
    /// What is kept, and for how long.
    kept: keep::Retention,
    /// Links that got something to write since [`take_ready`](Self::take_ready) was last called.
    ready: BTreeSet<NeighbourId>,
    /// The neighbour that this server gets most of what it lacks from.
    filling: Option<fill::Filling>,
    /// By [`NeighbourId`]: its runs, and how it stood when its link was last up.
    runs: Vec<parting::Runs>,
    parted: Vec<parting::Parted>,
    /// How many updates were accepted.
    accepted: u64,
    /// Whether what one neighbour sends is sent on to the others.
    relays: bool,
    /// What it does wrong; in no build but a test's is there anything of this.
    mistakes: Mistakes,
}

/// What became of a record.
struct Merged {
    /// The client, if the store holds exactly this record now, whether it was new or not.
    held: Option<ClientIndex>,
}

impl Node {
    /// A server that knows nobody's place and has no link up.
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

    /// How many clients it knows to be forgotten.
    pub fn forgotten(&self) -> usize {
        self.store.tombstones()
    }

    /// Everything it knows, tombstones included; as long as nothing is forgotten, in the order in which it first heard of each client.
    pub fn records(&self) -> impl Iterator<Item = (&Record, u32)> {
        let entries = self.store.entries();
        entries.map(|entry| (&entry.record, entry.hops))
    }

    /// Takes `record` in if it is new, and marks it for every live link but the one it came by.
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
            // What a client says belongs to the generation that its server knows of.
            (None, Some((_, held))) if held.generation() > 0 => {
                record.in_generation(held.generation())
            }
            _ => record,
        };
        if let Some((client, held)) = held
            && !self.replaces(&record, held, from.is_some())
        {
            let same = *held == record;
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

    /// Stores a record that is newer than what is `known`, and marks it for every live link but the one it came by.
    fn take_in(
        &mut self,
        known: Option<ClientIndex>,
        record: Record,
        hops: u32,
        accepted: EventId,
        from: Option<(NeighbourId, Pace)>,
    ) -> ClientIndex {
        self.kept
            .replace(known.map(|client| &self.store.entry(client).record), known);
        let client = self.store.put(known, record, hops, accepted);
        self.kept.add(&self.store.entry(client).record, client);
        self.accepted += 1;
        self.mark(client, from);
        client
    }

    /// Whether `record` is to be stored in the place of `held`.
    fn replaces(&self, record: &Record, held: &Record, from_server: bool) -> bool {
        let makes = |mistake| self.mistakes.makes(mistake);
        if makes(Mistake::BreaksNoTie) {
            return record.time() > held.time();
        }
        if makes(Mistake::ComparesFloats) {
            return mistakes::is_newer_as_float(record, held);
        }
        let is_older_and_taken = makes(Mistake::TakesOlder) && !from_server && record != held;
        record.supersedes(held) || is_older_and_taken
    }

    fn mark(&mut self, client: ClientIndex, from: Option<(NeighbourId, Pace)>) {
        if from.is_some() && !self.relays {
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
                // Comparing will find what it lacks of this.
                && !(reason == Reason::Relay && link.put_off.is_some())
                && !(makes(Mistake::SubscribesLate) && link.is_comparing())
            {
                link.dirty.mark(client, reason);
                self.ready.insert(neighbour);
            }
        }
    }

    /// What it knows of a client, be it that it is forgotten, and how many links that crossed on its way here.
    pub fn record(&self, id: &[u8]) -> Option<(&Record, u32)> {
        let entry = self.store.entry(self.store.find(id)?);
        Some((&entry.record, entry.hops))
    }

    /// Whether anything waits to be written to `neighbour`.
    pub fn has_work(&self, neighbour: NeighbourId) -> bool {
        self.links[neighbour.0].as_ref().is_some_and(Link::has_work)
    }

    /// Calls `wake` for each link that got something to write since this was last called.
    pub fn take_ready(&mut self, mut wake: impl FnMut(NeighbourId)) {
        while let Some(neighbour) = self.ready.pop_first() {
            wake(neighbour);
        }
    }
}

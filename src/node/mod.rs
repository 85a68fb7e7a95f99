//! One server's decisions: what it stores, floods, synchronises and answers.
//!
//! Nothing here waits, reads a clock or touches a socket. Lines and the time are arguments; what is
//! to be written is pulled out of the Node by whoever can write it, and everything that was decided
//! is told to a [`Journal`]. So the very same decisions run in production, in the simulator and in
//! tests that have no network at all.

mod link;
mod store;
mod sync;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::journal::{ConnId, EventId, Ignored, Journal, Source, What, Why};
use crate::protocol::client::{ClientLine, Refusal, write_refusal};
use crate::protocol::peer::{self, BootId, Hello, PeerError, PeerLine, Update};
use crate::protocol::record::Record;
use crate::protocol::time::Timestamp;
use crate::protocol::{escape, location::Radius};

use link::{Link, Reason, Waiting};
use store::{ClientIndex, Store};

/// A neighbour's position in [`NodeConfig::neighbours`].
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
    /// The servers that this one has a link with.
    pub neighbours: Vec<Neighbour>,
    /// How the comparison of stores is bounded.
    pub bounds: SyncBounds,
}

/// How the comparison of two stores is bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyncBounds {
    /// Sets of up to so many records on both sides are listed, at most
    /// [`MOST_HASHES`](peer::MOST_HASHES); larger ones are cut up.
    pub small: u64,
    /// While so many questions are open, a set is not cut up: what that would have found is found
    /// in the next round. Two rounds that cross have up to 32 open for each digit on the way to a
    /// difference, so less than 512 might never reach a deep one.
    pub most_questions: usize,
}

impl Default for SyncBounds {
    fn default() -> Self {
        Self {
            small: 32,
            most_questions: 4096,
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
    /// Links that got something to write since [`take_ready`](Self::take_ready) was last called.
    ready: BTreeSet<NeighbourId>,
}

/// A question that Places must answer before the client can be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookUp {
    /// Around whom.
    pub client: Vec<u8>,
    /// The first line of the answer, with its terminator.
    pub at_line: Vec<u8>,
    /// The latitude, as the client wrote it.
    pub latitude: Vec<u8>,
    /// The longitude, as the client wrote it.
    pub longitude: Vec<u8>,
    /// How far around, in metres, exactly.
    pub radius_metres: String,
    /// How many places at most.
    pub bound: u8,
    /// The line that asked.
    pub asked_by: EventId,
}

/// What became of a record.
struct Merged {
    client: ClientIndex,
    /// The store holds exactly this record now, be it news or not.
    held: bool,
}

/// Where a client's line came from.
#[derive(Clone, Copy, Debug)]
pub struct ClientLineAt {
    /// By which connection.
    pub conn: ConnId,
    /// When, by this server's clock.
    pub now: Timestamp,
}

impl Node {
    /// A server that knows nobody's place and has no link up.
    pub fn new(config: NodeConfig) -> Self {
        let links = config.neighbours.iter().map(|_| None).collect();
        Self {
            store: Store::new(&config.herd, config.table_seed),
            links,
            ready: BTreeSet::new(),
            config,
        }
    }

    /// What it was made with.
    pub fn config(&self) -> &NodeConfig {
        &self.config
    }

    /// How many clients it knows.
    pub fn clients(&self) -> usize {
        self.store.len()
    }

    /// Everything it knows, in the order in which it first heard of each client.
    pub fn records(&self) -> impl Iterator<Item = (&Record, u32)> {
        let entries = self.store.entries().iter();
        entries.map(|entry| (&entry.record, entry.hops))
    }

    /// Handles one line of a client, without its terminator, and appends the whole answer to `out`.
    ///
    /// A WHATSAT can't be answered from here alone: nothing is appended then, and the look-up is
    /// returned that the answer waits for.
    pub fn client_line(
        &mut self,
        line: &[u8],
        at: ClientLineAt,
        journal: &dyn Journal,
        out: &mut Vec<u8>,
    ) -> Option<LookUp> {
        let heard = journal.record(
            None,
            What::LineIn {
                conn: at.conn,
                line: line.into(),
            },
        );
        match ClientLine::parse(line) {
            Ok(ClientLine::Iamat { id, location, time }) => {
                let record = Record::new(&self.config.name, at.now, id, location, time);
                let from = out.len();
                out.extend_from_slice(b"AT ");
                out.extend_from_slice(record.text());
                out.push(b'\n');
                self.merge(record, 0, None, heard, journal);
                Self::tell_line_out(at.conn, &out[from..], heard, journal);
                None
            }
            Ok(ClientLine::Whatsat { id, radius, bound }) => {
                let look_up = self.look_up(id, radius, bound, heard);
                if look_up.is_none() {
                    Self::refuse(line, Refusal::UnknownClient, at.conn, heard, journal, out);
                }
                look_up
            }
            Err(refusal) => {
                Self::refuse(line, refusal, at.conn, heard, journal, out);
                None
            }
        }
    }

    /// Answers the beginning of a line that is longer than the limit.
    pub fn client_line_too_long(
        &mut self,
        beginning: &[u8],
        conn: ConnId,
        journal: &dyn Journal,
        out: &mut Vec<u8>,
    ) {
        let line = beginning.into();
        let heard = journal.record(None, What::LineIn { conn, line });
        Self::refuse(beginning, Refusal::TooLong, conn, heard, journal, out);
    }

    fn look_up(
        &self,
        id: &[u8],
        radius: Radius<'_>,
        bound: u8,
        asked_by: EventId,
    ) -> Option<LookUp> {
        let record = &self.store.entry(self.store.find(id)?).record;
        let location = crate::protocol::location::Location::parse(record.location())?;
        Some(LookUp {
            client: id.to_vec(),
            at_line: [b"AT ", record.text(), b"\n"].concat(),
            latitude: location.latitude().to_vec(),
            longitude: location.longitude().to_vec(),
            radius_metres: radius.metres(),
            bound,
            asked_by,
        })
    }

    fn refuse(
        line: &[u8],
        why: Refusal,
        conn: ConnId,
        heard: EventId,
        journal: &dyn Journal,
        out: &mut Vec<u8>,
    ) {
        let refused = journal.record(Some(heard), What::Refused { why });
        let from = out.len();
        write_refusal(out, line);
        Self::tell_line_out(conn, &out[from..], refused, journal);
    }

    fn tell_line_out(conn: ConnId, line: &[u8], cause: EventId, journal: &dyn Journal) {
        let line = line.strip_suffix(b"\n").unwrap_or(line).into();
        journal.record(Some(cause), What::LineOut { conn, line });
    }

    /// Takes `record` in if it is news, and marks it for every live link but the one it came by.
    fn merge(
        &mut self,
        record: Record,
        hops: u32,
        from: Option<NeighbourId>,
        heard: EventId,
        journal: &dyn Journal,
    ) -> Merged {
        let source = match from {
            None => Source::Client,
            Some(neighbour) => Source::Server(self.name_of(neighbour)),
        };
        let known = self.store.find(record.id());
        if let Some(client) = known {
            let held = &self.store.entry(client).record;
            if !record.supersedes(held) {
                let same = *held == record;
                let what = What::Ignored {
                    record: (&record).into(),
                    why: if same { Ignored::Known } else { Ignored::Older },
                    from: source,
                };
                journal.record(Some(heard), what);
                return Merged { client, held: same };
            }
        }
        let what = What::Accepted {
            record: (&record).into(),
            hops,
            from: source,
        };
        let accepted = journal.record(Some(heard), what);
        let client = self.store.put(known, record, hops, accepted);
        self.mark(client, from);
        Merged { client, held: true }
    }

    fn mark(&mut self, client: ClientIndex, but: Option<NeighbourId>) {
        for (position, link) in self.links.iter_mut().enumerate() {
            let neighbour = NeighbourId(position);
            if let Some(link) = link
                && Some(neighbour) != but
            {
                link.dirty.mark(client, Reason::Flood);
                self.ready.insert(neighbour);
            }
        }
    }

    /// Who the neighbour is.
    pub fn name_of(&self, neighbour: NeighbourId) -> Arc<str> {
        Arc::clone(&self.config.neighbours[neighbour.0].name)
    }

    /// The greeting to send, without its terminator.
    pub fn hello(&self) -> Vec<u8> {
        let hello = Hello {
            version: peer::VERSION,
            herd: self.config.herd.as_bytes(),
            server: self.config.name.as_bytes(),
            boot: self.config.boot,
        };
        PeerLine::Hello(hello).to_bytes()
    }

    /// Decides whether whoever sent `line` may have a link, and which. `dialled` is the neighbour
    /// that this end meant to reach, if it is the end that dialled.
    ///
    /// # Errors
    ///
    /// The words for a `BYE` when it may not. Nothing changed.
    pub fn greet(&self, line: &[u8], dialled: Option<NeighbourId>) -> Result<NeighbourId, String> {
        let me = &self.config.name;
        if let Some(theirs) = peer::hello_version(line)
            && theirs != peer::VERSION
        {
            let ours = peer::VERSION;
            return Err(format!("version {theirs} is not spoken here, {ours} is"));
        }
        let Ok(PeerLine::Hello(hello)) = PeerLine::parse(line) else {
            return Err("HELLO must come first".to_owned());
        };
        let server = escape(hello.server);
        if hello.herd != self.config.herd.as_bytes() {
            let (ours, theirs) = (&self.config.herd, escape(hello.herd));
            return Err(format!("this is herd {ours}, not {theirs}"));
        }
        let mut neighbours = self.config.neighbours.iter();
        let found = neighbours.position(|known| known.name.as_bytes() == hello.server);
        let found = found
            .map(NeighbourId)
            .ok_or_else(|| format!("{server} is no neighbour of {me}"))?;
        match dialled {
            Some(wanted) if wanted != found => Err(format!(
                "{} was dialled, not {server}",
                self.name_of(wanted)
            )),
            // Two links between the same two servers would take turns in superseding each other.
            None if self.config.neighbours[found.0].dialled => {
                Err(format!("{me} dials {server}, not the other way round"))
            }
            _ => Ok(found),
        }
    }

    /// A neighbour was greeted on `conn`: updates flow from now on. The end that dialled begins
    /// comparing what both know. A link that was up already is superseded.
    ///
    /// Subscribing comes first and comparing second: the other way round an update that arrives in
    /// between would fall through.
    ///
    /// `greeted` is the event of hearing the greeting.
    pub fn link_up(
        &mut self,
        neighbour: NeighbourId,
        conn: ConnId,
        greeted: EventId,
        journal: &dyn Journal,
    ) {
        self.link_down(neighbour, Why::Superseded, Some(greeted), journal);
        let peer = self.name_of(neighbour);
        let up = journal.record(Some(greeted), What::LinkUp { peer, conn });
        let mut link = Link::new(conn);
        if self.config.neighbours[neighbour.0].dialled {
            link.begin_round(up);
            self.ready.insert(neighbour);
        }
        self.links[neighbour.0] = Some(link);
    }

    /// The link is gone, and with it what waited for it: synchronisation will find what is missing.
    pub fn link_down(
        &mut self,
        neighbour: NeighbourId,
        why: Why,
        cause: Option<EventId>,
        journal: &dyn Journal,
    ) {
        if self.links[neighbour.0].take().is_some() {
            let peer = self.name_of(neighbour);
            journal.record(cause, What::LinkDown { peer, why });
        }
    }

    /// Handles one line of a neighbour whose link is up, without its terminator.
    ///
    /// # Errors
    ///
    /// When the line has no place in the protocol, with the event of hearing it. The link must be
    /// closed then; what lines before it said stands.
    pub fn peer_line(
        &mut self,
        neighbour: NeighbourId,
        line: &[u8],
        journal: &dyn Journal,
    ) -> Result<(), (PeerError, EventId)> {
        let conn = self.links[neighbour.0]
            .as_ref()
            .map_or(ConnId(0), |link| link.conn);
        let line_in = What::LineIn {
            conn,
            line: line.into(),
        };
        let heard = journal.record(None, line_in);
        let handled = self.handle_peer_line(neighbour, line, heard, journal);
        handled.map_err(|error| (error, heard))
    }

    fn handle_peer_line(
        &mut self,
        neighbour: NeighbourId,
        line: &[u8],
        heard: EventId,
        journal: &dyn Journal,
    ) -> Result<(), PeerError> {
        if self.links[neighbour.0].is_none() {
            return Err(PeerError::Unexpected);
        }
        match PeerLine::parse(line)? {
            PeerLine::At(update) => {
                self.hear(neighbour, update, heard, journal);
                Ok(())
            }
            // The connection's end follows and closes the link.
            PeerLine::Ping | PeerLine::Bye { .. } => Ok(()),
            PeerLine::Hello(_) => Err(PeerError::Unexpected),
            sync => self.sync_line(neighbour, sync, heard, journal),
        }
    }

    fn hear(
        &mut self,
        neighbour: NeighbourId,
        update: Update,
        heard: EventId,
        journal: &dyn Journal,
    ) {
        let merged = self.merge(update.record, update.hops, Some(neighbour), heard, journal);
        // What it just said it need not be told. If something newer is held, it is still owed that.
        if let Some(link) = &mut self.links[neighbour.0]
            && merged.held
        {
            link.dirty.unmark(merged.client);
        }
    }

    /// Appends lines for `neighbour`, each with its terminator, until nothing waits or `out` holds
    /// `enough` bytes. They count as sent: a link that fails afterwards is synchronised anew.
    pub fn pull(
        &mut self,
        neighbour: NeighbourId,
        enough: usize,
        out: &mut Vec<u8>,
        journal: &dyn Journal,
    ) {
        while out.len() < enough {
            let from = out.len();
            let Some((conn, cause)) = self.write_next(neighbour, out) else {
                return;
            };
            let line = out[from..].into();
            let sent = journal.record(cause, What::LineOut { conn, line });
            out.push(b'\n');
            self.conclude_round(neighbour, sent, journal);
        }
    }

    /// Appends what is to be said next, without its terminator: answers and questions first, then
    /// records. Says by which connection and because of what.
    fn write_next(
        &mut self,
        neighbour: NeighbourId,
        out: &mut Vec<u8>,
    ) -> Option<(ConnId, Option<EventId>)> {
        let link = self.links[neighbour.0].as_mut()?;
        let conn = link.conn;
        if let Some((what, cause)) = link.words.pop_front() {
            self.write_word(neighbour, what, out);
            return Some((conn, cause));
        }
        match link.dirty.pop()? {
            Waiting::Synced(cause) => {
                let sent = link.round.say();
                PeerLine::Synced { sent }.write_to(out);
                Some((conn, Some(cause)))
            }
            Waiting::Client(client, reason) => {
                let entry = self.store.entry(client);
                peer::write_at(out, &entry.record, entry.hops.saturating_add(1));
                let cause = match reason {
                    Reason::Flood => entry.accepted,
                    Reason::Sync(asked_by) => {
                        link.round.send();
                        asked_by
                    }
                };
                Some((conn, Some(cause)))
            }
        }
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

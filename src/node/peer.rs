//! What a neighbour says and is told while its link is up, and who may have a link at all.

use crate::journal::{ConnId, EventId, Journal, What, Why};
use crate::protocol::escape;
use crate::protocol::peer::{self, Hello, PeerError, PeerLine, Update};

use super::link::{Link, Reason, Waiting};
use super::mistakes::{Mistake, makes};
use super::{NeighbourId, Node};

impl Node {
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
        let hello = match PeerLine::parse(line) {
            Ok(PeerLine::Hello(hello)) => hello,
            Err(PeerError::Malformed) if line.starts_with(b"HELLO") => {
                return Err("this is no HELLO as it must be".to_owned());
            }
            _ => return Err("HELLO must come first".to_owned()),
        };
        let server = escape(hello.server);
        if hello.herd != self.config.herd.as_bytes() {
            let (ours, theirs) = (&self.config.herd, escape(hello.herd));
            return Err(format!("this is herd {ours}, not {theirs}"));
        }
        let mut neighbours = self.neighbours();
        let found = neighbours.find(|(_, known)| known.name.as_bytes() == hello.server);
        let (found, known) = found.ok_or_else(|| format!("{server} is no neighbour of {me}"))?;
        match dialled {
            Some(wanted) if wanted != found => Err(format!(
                "{} was dialled, not {server}",
                self.name_of(wanted)
            )),
            // Two links between the same two servers would take turns in superseding each other.
            None if known.dialled => Err(format!("{me} dials {server}, not the other way round")),
            _ => Ok(found),
        }
    }

    /// A neighbour was greeted on `conn`: updates flow from now on. The end that dialled begins
    /// comparing what both know. A link that was up already is superseded.
    ///
    /// Subscribing comes first and comparing second: the other way round an update that arrives in
    /// between would fall through. One that left gets no link.
    ///
    /// `greeted` is the event of hearing the greeting.
    pub fn link_up(
        &mut self,
        neighbour: NeighbourId,
        conn: ConnId,
        greeted: EventId,
        journal: &dyn Journal,
    ) {
        if self.left.contains(&neighbour) {
            return;
        }
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
            PeerLine::At(_) if makes(&self.config.name, Mistake::IgnoresNeighbours) => Ok(()),
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
            && let Some(held) = merged.held
            && !makes(&self.config.name, Mistake::TellsBack)
        {
            link.dirty.unmark(held);
        }
    }

    /// Appends lines for `neighbour`, each with its terminator, until nothing waits, `out` holds
    /// `enough` bytes, or looking up what waits took long enough; then there may be more though nothing was appended. They count as sent: a link that fails afterwards is synchronised anew.
    pub fn pull(
        &mut self,
        neighbour: NeighbourId,
        enough: usize,
        out: &mut Vec<u8>,
        journal: &dyn Journal,
    ) {
        let mut unfolded = 0;
        while out.len() < enough && unfolded < UNFOLDED_AT_ONCE {
            let from = out.len();
            let (conn, cause) = match self.write_next(neighbour, out) {
                None => return,
                Some(Next::Unfolded) => {
                    unfolded += 1;
                    continue;
                }
                Some(Next::Written(conn, cause)) => (conn, cause),
            };
            let line = out[from..].into();
            let sent = journal.record(cause, What::LineOut { conn, line });
            out.push(b'\n');
            self.conclude_round(neighbour, sent, journal);
        }
    }

    /// Appends what is to be said next, without its terminator: answers and questions first, then
    /// records.
    fn write_next(&mut self, neighbour: NeighbourId, out: &mut Vec<u8>) -> Option<Next> {
        let link = self.links[neighbour.0].as_mut()?;
        let conn = link.conn;
        if let Some((what, cause)) = link.words.pop_front() {
            self.write_word(neighbour, what, out);
            return Some(Next::Written(conn, cause));
        }
        match link.dirty.pop()? {
            Waiting::Part(part) => {
                self.unfold(neighbour, part);
                Some(Next::Unfolded)
            }
            Waiting::Synced(cause) => {
                let sent = link.round.say();
                PeerLine::Synced { sent }.write_to(out);
                Some(Next::Written(conn, Some(cause)))
            }
            Waiting::Client(client, reason) => {
                let entry = self.store.entry(client);
                let makes = |mistake| makes(&self.config.name, mistake);
                let links = match entry.hops {
                    1.. if makes(Mistake::RaisesNoHops) => 0,
                    _ if makes(Mistake::CountsHopsTwice) => 2,
                    _ => 1,
                };
                peer::write_at(out, &entry.record, entry.hops.saturating_add(links));
                let cause = match reason {
                    Reason::Flood => entry.accepted,
                    Reason::Sync(asked_by) => {
                        link.round.send();
                        asked_by
                    }
                };
                Some(Next::Written(conn, Some(cause)))
            }
        }
    }
}

/// What was next for a neighbour.
enum Next {
    /// A line was appended, by this connection and because of this.
    Written(ConnId, Option<EventId>),
    /// What waited as a whole waits as its parts now.
    Unfolded,
}

/// So many wholes are unfolded before others may have the lock: they need not give a line, if all that is in them waits already.
const UNFOLDED_AT_ONCE: usize = 16;

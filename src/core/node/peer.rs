//! The lines from a neighbour and to it while its link is up.

use crate::journal::{CloseReason, ConnId, EventId, EventKind, Journal};
use crate::protocol::peer::{self, Pace, PeerError, PeerLine, Update};
use crate::protocol::time::Timestamp;

use super::dirty::{Reason, Waiting};
use super::link::{Link, Parting, Word};
use super::mistakes::{self, Mistake, Rare};
use super::store::ClientIndex;
use super::{Greeting, NeighbourId, Node};

impl Node {
    /// Opens the link with the neighbour that greeted on `conn`: updates flow from now on, and the
    /// end that dialled begins set reconciliation. A link that was up already is superseded. A
    /// neighbour that has left gets no link.
    ///
    /// The link is subscribed to updates before reconciliation begins; the other way round, an
    /// update that arrives in between would be missed.
    ///
    /// `greeted` is the event of the greeting's arrival.
    pub fn link_up(
        &mut self,
        greeting: Greeting,
        conn: ConnId,
        greeted: EventId,
        journal: &dyn Journal,
    ) {
        let neighbour = greeting.neighbour;
        if self.left.contains(&neighbour) {
            return;
        }
        self.link_down(neighbour, CloseReason::Superseded, Some(greeted), journal);
        let peer = self.name_of(neighbour);
        let up = journal.record(Some(greeted), EventKind::LinkUp { peer, conn });
        self.links[neighbour.0] = Some(Link::new(conn, greeting));
        if self.mistakes.makes(Mistake::BelievesGreetings) {
            self.runs[neighbour.0].is_alive(greeting.boot);
        }
        self.compare(neighbour, greeting.records, up);
    }

    /// Closes the link, and drops what waits for it: set reconciliation finds what is missing.
    pub fn link_down(
        &mut self,
        neighbour: NeighbourId,
        why: CloseReason,
        cause: Option<EventId>,
        journal: &dyn Journal,
    ) {
        if let Some(link) = self.links[neighbour.0].take() {
            self.note_parting(neighbour, &link);
            self.mistakes.note(|| Rare::of(&why));
            let peer = self.name_of(neighbour);
            journal.record(cause, EventKind::LinkDown { peer, why });
            if self.mistakes.makes(Mistake::SpinsWithoutLink) {
                self.mistakes.spin();
            }
            self.filled(neighbour);
        }
    }

    /// Handles one line, without its terminator, of a neighbour whose link is up.
    ///
    /// # Errors
    ///
    /// If the line violates the protocol; the event is its arrival. The caller must close the link,
    /// and the effects of earlier lines stay.
    pub fn peer_line(
        &mut self,
        neighbour: NeighbourId,
        line: &[u8],
        now: Timestamp,
        journal: &dyn Journal,
    ) -> Result<(), (PeerError, EventId)> {
        let conn = self.links[neighbour.0]
            .as_ref()
            .map_or(ConnId(0), |link| link.conn);
        let line_in = EventKind::LineIn {
            conn,
            line: line.into(),
        };
        let heard = journal.record(None, line_in);
        self.mistakes.note_time(|| now);
        let handled = self.handle_peer_line(neighbour, line, heard, now, journal);
        handled.map_err(|error| (error, heard))
    }

    fn handle_peer_line(
        &mut self,
        neighbour: NeighbourId,
        line: &[u8],
        heard: EventId,
        now: Timestamp,
        journal: &dyn Journal,
    ) -> Result<(), PeerError> {
        let most = self.config.bounds.most_questions;
        let Some(link) = &mut self.links[neighbour.0] else {
            return Err(PeerError::Unexpected);
        };
        // Only a run that says something after its greeting lives: its system may deliver the greeting long after its
        // end, when the run that followed it has the link.
        self.runs[neighbour.0].is_alive(link.boot);
        match PeerLine::parse(line)? {
            PeerLine::At(_) if self.mistakes.makes(Mistake::IgnoresNeighbours) => Ok(()),
            PeerLine::At(update) => {
                self.hear(neighbour, update, heard, journal);
                Ok(())
            }
            PeerLine::Ping { clock: Some(clock) } if link.version > 1 && link.is_told() => {
                link.say(Word::Pong(clock, now), Some(heard), most)?;
                self.ready.insert(neighbour);
                Ok(())
            }
            PeerLine::Pong { ping, clock } => {
                link.pings.answered(ping, clock, now)?;
                // Bulk may have waited for this `PONG`.
                self.ready.insert(neighbour);
                Ok(())
            }
            PeerLine::Bye { reason: b"" } if link.version > 1 => {
                self.hear_bye(neighbour, heard);
                Ok(())
            }
            // A heartbeat of version 1, or a refusal: the connection's end follows that and closes
            // the link.
            PeerLine::Ping { .. } | PeerLine::Bye { .. } => Ok(()),
            PeerLine::Hello(_) | PeerLine::Dial(_) => Err(PeerError::Unexpected),
            // Once one end stops, no query is sent or answered.
            _ if link.parting != Parting::None => Ok(()),
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
        let from = Some((neighbour, update.pace));
        let record = if self.mistakes.makes(Mistake::RestampsSkew) {
            mistakes::restamped(update.record, self.mistakes.time())
        } else {
            update.record
        };
        let same_client = if self.mistakes.makes(Mistake::UnmarksNewer) {
            self.store.find(record.id())
        } else {
            None
        };
        let merged = self.merge(record, update.hops, from, heard, journal);
        // The neighbour has the record that it just sent. If a newer one is held, that stays
        // marked.
        if let Some(link) = &mut self.links[neighbour.0]
            && let Some(held) = merged.held.or(same_client)
            && !self.mistakes.makes(Mistake::TellsBack)
        {
            link.dirty.unmark(held);
        }
    }

    /// Appends lines for `neighbour`, each with its terminator, until nothing waits, `out` holds
    /// about `enough` bytes, or looking up what waits took long enough; in that last case there may
    /// be more although nothing was appended. Appended lines count as sent: a link that fails
    /// afterwards is synchronised anew.
    ///
    /// Live updates go first. If they never end, a share of the rest goes with them each time, so
    /// that queries are answered, and a neighbour gets what it lacks in the end.
    pub fn pull(
        &mut self,
        neighbour: NeighbourId,
        enough: usize,
        now: Timestamp,
        out: &mut Vec<u8>,
        journal: &dyn Journal,
    ) {
        let share = (enough / 4).max(1);
        let before = out.len();
        self.pull_some(neighbour, enough, now, out, journal, Self::write_live);
        if let Some(link) = &mut self.links[neighbour.0] {
            link.pings.sent_live(out.len() - before);
        }
        let enough = enough.max(out.len().saturating_add(share));
        self.pull_some(neighbour, enough, now, out, journal, Self::write_word_due);
        // Bulk gets this share and no more, since whatever becomes live meanwhile waits behind it.
        let enough = out.len().saturating_add(share);
        let mut unfolded = 0;
        while out.len() < enough && unfolded < UNFOLDED_AT_ONCE {
            let from = out.len();
            match self.write_bulk(neighbour, out) {
                None => break,
                Some(Next::Unfolded) => unfolded += 1,
                Some(Next::Written(conn, cause)) => {
                    self.wrote(neighbour, conn, cause, from, out, journal);
                    self.ask_whether_handled(neighbour, out.len() - from, now, out, journal);
                }
            }
        }
        self.pull_some(neighbour, usize::MAX, now, out, journal, Self::write_bye);
    }

    /// Appends the lines of `write` until it has none or `out` holds `enough` bytes.
    fn pull_some(
        &mut self,
        neighbour: NeighbourId,
        enough: usize,
        now: Timestamp,
        out: &mut Vec<u8>,
        journal: &dyn Journal,
        write: fn(&mut Self, NeighbourId, Timestamp, &mut Vec<u8>) -> Option<Written>,
    ) {
        while out.len() < enough {
            let from = out.len();
            let Some((conn, cause)) = write(self, neighbour, now, out) else {
                return;
            };
            self.wrote(neighbour, conn, cause, from, out, journal);
        }
    }

    /// Terminates the line in `out[from..]`, and records it as sent.
    fn wrote(
        &mut self,
        neighbour: NeighbourId,
        conn: ConnId,
        cause: Option<EventId>,
        from: usize,
        out: &mut Vec<u8>,
        journal: &dyn Journal,
    ) {
        let line = out[from..].into();
        let sent = journal.record(cause, EventKind::LineOut { conn, line });
        out.push(b'\n');
        self.conclude_round(neighbour, sent, journal);
    }

    /// Appends a `PING` after a number of bytes of bulk: the `PONG` tells that they were handled,
    /// before too many are in flight.
    fn ask_whether_handled(
        &mut self,
        neighbour: NeighbourId,
        bytes: usize,
        now: Timestamp,
        out: &mut Vec<u8>,
        journal: &dyn Journal,
    ) {
        let link = self.links[neighbour.0].as_mut();
        if link.is_some_and(|link| link.version > 1 && link.pings.sent_bulk(bytes)) {
            let from = out.len();
            if let Some(conn) = self.write_ping(neighbour, now, out) {
                self.wrote(neighbour, conn, None, from, out, journal);
            }
        }
    }

    fn write_live(
        &mut self,
        neighbour: NeighbourId,
        _: Timestamp,
        out: &mut Vec<u8>,
    ) -> Option<Written> {
        loop {
            match self.links[neighbour.0].as_mut()?.pop(Pace::Live)? {
                Waiting::Client(client, _) if !self.can_say(neighbour, client) => {}
                Waiting::Client(client, reason) => {
                    return self.write_record(neighbour, client, reason, out);
                }
                Waiting::Synced(cause) => return self.write_synced(neighbour, cause, out),
                // Parts wait in bulk alone.
                Waiting::Part(_) => return None,
            }
        }
    }

    fn write_word_due(
        &mut self,
        neighbour: NeighbourId,
        now: Timestamp,
        out: &mut Vec<u8>,
    ) -> Option<Written> {
        let link = self.links[neighbour.0].as_mut()?;
        let conn = link.conn;
        let (word, cause) = link.words.pop_front()?;
        match word {
            Word::Ping => self
                .write_ping(neighbour, now, out)
                .map(|conn| (conn, cause)),
            word => {
                self.write_word(neighbour, word, out);
                Some((conn, cause))
            }
        }
    }

    fn write_bulk(&mut self, neighbour: NeighbourId, out: &mut Vec<u8>) -> Option<Next> {
        let link = self.links[neighbour.0].as_mut()?;
        match link.pop(Pace::Bulk)? {
            Waiting::Part(part) => {
                self.unfold(neighbour, part);
                Some(Next::Unfolded)
            }
            Waiting::Synced(cause) => {
                let written = self.write_synced(neighbour, cause, out);
                written.map(|(conn, cause)| Next::Written(conn, cause))
            }
            Waiting::Client(client, _) if !self.can_say(neighbour, client) => Some(Next::Unfolded),
            Waiting::Client(client, reason) => {
                let written = self.write_record(neighbour, client, reason, out);
                written.map(|(conn, cause)| Next::Written(conn, cause))
            }
        }
    }

    fn write_synced(
        &mut self,
        neighbour: NeighbourId,
        cause: EventId,
        out: &mut Vec<u8>,
    ) -> Option<Written> {
        let link = self.links[neighbour.0].as_mut()?;
        let sent = link.round.say();
        PeerLine::Synced { sent }.write_to(out);
        Some((link.conn, Some(cause)))
    }

    /// Whether the link's version can express the client's record: version 1 has no generations.
    fn can_say(&self, neighbour: NeighbourId, client: ClientIndex) -> bool {
        let link = self.links[neighbour.0].as_ref();
        let generation = self.store.entry(client).record.generation();
        generation == 0 || link.is_some_and(|link| link.version > 1)
    }

    fn write_record(
        &mut self,
        neighbour: NeighbourId,
        client: ClientIndex,
        reason: Reason,
        out: &mut Vec<u8>,
    ) -> Option<Written> {
        let link = self.links[neighbour.0].as_mut()?;
        let entry = self.store.entry(client);
        let makes = |mistake| self.mistakes.makes(mistake);
        let links = match entry.hops {
            1.. if makes(Mistake::RaisesNoHops) => 0,
            _ if makes(Mistake::CountsHopsTwice) => 2,
            _ => 1,
        };
        let hops = entry.hops.saturating_add(links);
        peer::write_at(out, &entry.record, hops, reason.pace(), link.version);
        let cause = match reason {
            Reason::Flood | Reason::Relay => entry.accepted,
            Reason::Sync(asked_by) => {
                if !makes(Mistake::CountsNothingSent) {
                    link.round.send();
                }
                asked_by
            }
        };
        Some((link.conn, Some(cause)))
    }

    /// Appends a `PING` that asks for a `PONG`, or a mere heartbeat in version 1 or if too many are
    /// open.
    fn write_ping(
        &mut self,
        neighbour: NeighbourId,
        now: Timestamp,
        out: &mut Vec<u8>,
    ) -> Option<ConnId> {
        let accepted = self.accepted;
        let link = self.links[neighbour.0].as_mut()?;
        let asks = link.version > 1 && link.pings.allow_more();
        if asks {
            // Updates that wait are not sent yet. Several updates of one client may wait as one
            // record.
            let told = accepted.saturating_sub(link.dirty.live() as u64);
            link.pings.ask(now, told);
        }
        let clock = asks.then_some(now);
        PeerLine::Ping { clock }.write_to(out);
        Some(link.conn)
    }
}

/// The connection of an appended line, and the event that caused it.
pub(super) type Written = (ConnId, Option<EventId>);

/// The outcome of the next item of bulk.
enum Next {
    /// A line was appended: its connection and its cause.
    Written(ConnId, Option<EventId>),
    /// A part was replaced by smaller ones or by its records, or the neighbour cannot get the
    /// record.
    Unfolded,
}

/// The number of parts that are unfolded before others may have the lock. A part need not give a
/// line, if all of its records wait already.
const UNFOLDED_AT_ONCE: usize = 16;

//! The lines that come from a neighbour and go to it while its link is up.

use crate::journal::{CloseReason, ConnId, EventId, EventKind, Journal};
use crate::protocol::peer::{self, Pace, PeerError, PeerLine, Update};
use crate::protocol::time::Timestamp;

use super::dirty::{Reason, Waiting};
use super::link::{Link, Parting, Word};
use super::mistakes::Mistake;
use super::store::ClientIndex;
use super::{Greeting, NeighbourId, Node};

impl Node {
    /// A neighbour was greeted on `conn`: updates flow from now on. The end that dialled begins
    /// comparing what both know. A link that was up already is superseded.
    ///
    /// Subscribing comes first and comparing second: the other way round an update that arrives in
    /// between would fall through. One that left gets no link.
    ///
    /// `greeted` is the event of hearing the greeting.
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
        self.runs[neighbour.0].began(greeting.boot);
        let peer = self.name_of(neighbour);
        let up = journal.record(Some(greeted), EventKind::LinkUp { peer, conn });
        self.links[neighbour.0] = Some(Link::new(conn, greeting));
        self.compare(neighbour, greeting.records, up);
    }

    /// The link is gone, and with it what waited for it: synchronisation will find what is missing.
    pub fn link_down(
        &mut self,
        neighbour: NeighbourId,
        why: CloseReason,
        cause: Option<EventId>,
        journal: &dyn Journal,
    ) {
        if let Some(link) = self.links[neighbour.0].take() {
            self.note_parting(neighbour, &link);
            let peer = self.name_of(neighbour);
            journal.record(cause, EventKind::LinkDown { peer, why });
            if self.mistakes.makes(Mistake::SpinsWithoutLink) {
                self.mistakes.spin();
            }
            self.filled(neighbour);
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
                // Bulk may have waited for this.
                self.ready.insert(neighbour);
                Ok(())
            }
            PeerLine::Bye { reason: b"" } if link.version > 1 => {
                self.hear_bye(neighbour, heard);
                Ok(())
            }
            // A heartbeat of version 1; or a refusal, which the connection's end follows and closes the link.
            PeerLine::Ping { .. } | PeerLine::Bye { .. } => Ok(()),
            PeerLine::Hello(_) | PeerLine::Dial(_) => Err(PeerError::Unexpected),
            // Who leaves has no questions any more, and answers none.
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
        let merged = self.merge(update.record, update.hops, from, heard, journal);
        // What it just sent need not be sent back. If something newer is held, it is still owed that.
        if let Some(link) = &mut self.links[neighbour.0]
            && let Some(held) = merged.held
            && !self.mistakes.makes(Mistake::TellsBack)
        {
            link.dirty.unmark(held);
        }
    }

    /// Appends lines for `neighbour`, each with its terminator, until nothing waits, `out` holds about
    /// `enough` bytes, or looking up what waits took long enough; then there may be more though nothing was appended. They
    /// count as sent: a link that fails afterwards is synchronised anew.
    ///
    /// What is live goes first. Where it never ends, a share of the rest goes with it each time, so that questions are
    /// answered, and what a neighbour lacks reaches it some day.
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
        // So much at most, and less where there was much else: what becomes live meanwhile waits for it.
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

    /// Appends what `write` gives, line by line, until it gives nothing or `out` holds `enough` bytes.
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

    /// The line from `from` on is said.
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

    /// After a number of bytes of bulk sends a `PING` to learn whether they were handled, before there are too many
    /// on their way.
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
                // It is bulk.
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

    /// Version 1 has no word for generations: what is sent to a neighbour that speaks it is not of one.
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
                link.round.send();
                asked_by
            }
        };
        Some((link.conn, Some(cause)))
    }

    /// Asks whether all that was said so far is handled; in version 1 just says that this end is there.
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
            // What waits was not said. It may be more than one update of a client, which is one record.
            let told = accepted.saturating_sub(link.dirty.live() as u64);
            link.pings.ask(now, told);
        }
        let clock = asks.then_some(now);
        PeerLine::Ping { clock }.write_to(out);
        Some(link.conn)
    }
}

/// By which connection a line was appended, and because of what.
pub(super) type Written = (ConnId, Option<EventId>);

/// What was next of the bulk for a neighbour.
enum Next {
    /// A line was appended, by this connection and because of this.
    Written(ConnId, Option<EventId>),
    /// What waited as a whole waits as its parts now, or is nothing for this neighbour.
    Unfolded,
}

/// The number of wholes that are unfolded before others may have the lock: they need not give a line, if all that is
/// in them waits already.
const UNFOLDED_AT_ONCE: usize = 16;

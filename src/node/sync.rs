//! Comparing what two servers know, and sending what one of them lacks.
//!
//! The exchange has no state but counters. A digest of a set of clients is compared with one's own;
//! where they differ, the set is cut in sixteen and each part is compared in turn, until a part is
//! small enough to be listed. One record that is missing among ten million costs some kilobytes.
//! What is sent goes through the same queue as the flood, so nothing is said twice and nothing
//! overtakes.

use std::collections::BTreeSet;

use crate::journal::{EventId, Journal, What};
use crate::protocol::peer::{MOST_HASHES, PeerError, PeerLine, Prefix, Summary};

use super::link::{Question, Reason};
use super::store::ClientIndex;
use super::{NeighbourId, Node};

/// Sets of up to so many records on both sides are listed; larger ones are cut up.
const SMALL: u64 = 32;

impl Node {
    /// Compares notes now and then: sends the digest of everything, for the neighbour to look at.
    pub fn audit(&mut self, neighbour: NeighbourId) {
        self.put(neighbour, Question::Root);
    }

    /// Shows the neighbour that this end is alive.
    pub fn ping(&mut self, neighbour: NeighbourId) {
        self.put(neighbour, Question::Ping);
    }

    fn put(&mut self, neighbour: NeighbourId, question: Question) {
        if let Some(link) = &mut self.links[neighbour.0] {
            // A link that is full of questions is anything but silent.
            let _ = link.queue(question);
            self.ready.push(neighbour);
        }
    }

    /// Handles a line of the synchronisation.
    pub(super) fn sync_line(
        &mut self,
        neighbour: NeighbourId,
        line: PeerLine<'_>,
        heard: EventId,
        journal: &dyn Journal,
    ) -> Result<(), PeerError> {
        match line {
            PeerLine::Root(theirs) => self.hear_root(neighbour, theirs),
            PeerLine::Digest { under, summary } => {
                self.asked(neighbour, heard);
                self.hear_digest(neighbour, under, summary)?;
            }
            PeerLine::List { under, hashes } => {
                self.asked(neighbour, heard);
                self.hear_list(neighbour, under, &hashes)?;
            }
            PeerLine::Want { under, hashes } => {
                self.asked(neighbour, heard);
                self.hear_want(neighbour, under, &hashes)?;
            }
            PeerLine::Done { .. } => self.round(neighbour)?.answered()?,
            PeerLine::Synced { sent } => self.round(neighbour)?.hear(sent),
            _ => return Err(PeerError::Unexpected),
        }
        if let Some(link) = &mut self.links[neighbour.0]
            && link.round.is_due()
        {
            link.dirty.push_synced();
        }
        self.ready.push(neighbour);
        self.conclude_round(neighbour, journal);
        Ok(())
    }

    fn round(&mut self, neighbour: NeighbourId) -> Result<&mut super::link::Round, PeerError> {
        let link = self.links[neighbour.0].as_mut();
        link.map(|link| &mut link.round)
            .ok_or(PeerError::Unexpected)
    }

    fn asked(&mut self, neighbour: NeighbourId, heard: EventId) {
        if let Some(link) = &mut self.links[neighbour.0] {
            link.asked_by = Some(heard);
        }
    }

    /// Roots that differ once differ because of what is under way; twice running, something is lost.
    fn hear_root(&mut self, neighbour: NeighbourId, theirs: Summary) {
        let differs = theirs != self.store.summary(Prefix::ROOT);
        let Some(link) = &mut self.links[neighbour.0] else {
            return;
        };
        if differs && link.differed && !link.round.active {
            link.begin_round();
            link.differed = false;
        } else {
            link.differed = differs;
        }
    }

    fn hear_digest(
        &mut self,
        neighbour: NeighbourId,
        under: Prefix,
        theirs: Summary,
    ) -> Result<(), PeerError> {
        let ours = self.store.summary(under);
        if theirs.count == 0 && ours.count > 0 {
            // It has nothing there, so it lacks all of ours, and there is nothing to ask it.
            self.owe(neighbour, under, |_| true);
        }
        let Some(link) = &mut self.links[neighbour.0] else {
            return Err(PeerError::Unexpected);
        };
        if under.is_empty() && !link.round.active {
            link.round.begin();
        }
        let answered = under.is_last_child();
        if ours == theirs || theirs.count == 0 {
            link.queue(Question::Done(under))?;
        } else if ours.count == 0
            || (ours.count.max(theirs.count) <= SMALL || under.children().next().is_none())
        {
            link.round.ask();
            link.queue(Question::List(under))?;
        } else if link.round.is_crowded() {
            link.round.skip();
            link.queue(Question::Done(under))?;
        } else {
            for child in under.children() {
                link.round.ask();
                link.queue(Question::Digest(child))?;
            }
        }
        // The sixteen digests below a digest of ours are together the answer to it.
        if answered {
            link.round.answered()?;
        }
        Ok(())
    }

    fn hear_list(
        &mut self,
        neighbour: NeighbourId,
        under: Prefix,
        theirs: &[u64],
    ) -> Result<(), PeerError> {
        self.round(neighbour)?.answered()?;
        let theirs: BTreeSet<u64> = theirs.iter().copied().collect();
        let ours: BTreeSet<u64> = (self.store.under(under))
            .map(|client| self.store.entry(client).hash)
            .collect();
        self.owe(neighbour, under, |hash| !theirs.contains(&hash));
        let wanted = theirs.difference(&ours).copied().collect();
        match &mut self.links[neighbour.0] {
            Some(link) => link.queue(Question::Want(under, wanted)),
            None => Ok(()),
        }
    }

    fn hear_want(
        &mut self,
        neighbour: NeighbourId,
        under: Prefix,
        wanted: &[u64],
    ) -> Result<(), PeerError> {
        self.round(neighbour)?.answered()?;
        // A record that was replaced meanwhile is not found; its successor was flooded.
        self.owe(neighbour, under, |hash| wanted.contains(&hash));
        Ok(())
    }

    /// Marks our records under `under` whose hash the neighbour turned out to lack.
    fn owe(&mut self, neighbour: NeighbourId, under: Prefix, lacks: impl Fn(u64) -> bool) {
        let owed: Vec<ClientIndex> = (self.store.under(under))
            .filter(|&client| lacks(self.store.entry(client).hash))
            .collect();
        if let Some(link) = &mut self.links[neighbour.0] {
            for client in owed {
                link.dirty.mark(client, Reason::Sync);
            }
        }
    }

    /// Appends a line of the synchronisation, as the store stands now.
    pub(super) fn write_question(&self, question: Question, out: &mut Vec<u8>) {
        let line = match question {
            Question::Ping => PeerLine::Ping,
            Question::Root => PeerLine::Root(self.store.summary(Prefix::ROOT)),
            Question::Digest(under) => PeerLine::Digest {
                under,
                summary: self.store.summary(under),
            },
            Question::Done(under) => PeerLine::Done { under },
            Question::List(under) => PeerLine::List {
                under,
                hashes: (self.store.under(under))
                    .map(|client| self.store.entry(client).hash)
                    .take(MOST_HASHES)
                    .collect(),
            },
            Question::Want(under, hashes) => PeerLine::Want { under, hashes },
        };
        line.write_to(out);
    }

    /// When both ends have said that they are done: says so, and begins again if it must.
    pub(super) fn conclude_round(&mut self, neighbour: NeighbourId, journal: &dyn Journal) {
        let Some(link) = &mut self.links[neighbour.0] else {
            return;
        };
        let Some((sent, received, again)) = link.round.take_finished() else {
            return;
        };
        if again {
            link.begin_round();
            self.ready.push(neighbour);
        }
        let peer = self.name_of(neighbour);
        let what = What::Synchronised {
            peer,
            sent,
            received,
        };
        journal.record(None, what);
    }
}

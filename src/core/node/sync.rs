//! Range-based set reconciliation: finds what one of two servers lacks, and sends it.
//!
//! The exchange has no state but the open queries, in order. Each end compares the digest of a set
//! of clients with its own; where they differ, the set is cut into sixteen parts and each part is
//! compared, until a part is small enough to be listed. One record that is missing among ten
//! million costs some kilobytes. Records are sent through the queues of the flood, so none is sent
//! twice, and an older one never overtakes a newer one.

use std::collections::BTreeSet;

use crate::journal::{EventId, EventKind, Journal};
use crate::protocol::peer::{MOST_HASHES, PeerError, PeerLine, Prefix, Summary};

use super::dirty::{Part, Reason};
use super::link::{Answer, Parting, Question, Round, Word};
use super::mistakes::{self, Mistake, Rare};
use super::store::ClientIndex;
use super::{NeighbourId, Node};

impl Node {
    /// Begins an anti-entropy round: queues `ROOT`, the digest of the whole store.
    pub fn anti_entropy(&mut self, neighbour: NeighbourId) {
        self.look_at_filling(neighbour);
        self.say_unasked(neighbour, Word::Root);
    }

    /// Queues a heartbeat.
    pub fn ping(&mut self, neighbour: NeighbourId) {
        self.say_unasked(neighbour, Word::Ping);
    }

    fn say_unasked(&mut self, neighbour: NeighbourId, word: Word) {
        if let Some(link) = &mut self.links[neighbour.0]
            && link.parting == Parting::None
        {
            // A full queue drops the line: a link with so much to send is not silent.
            let _ = link.say(word, None, self.config.bounds.most_questions);
            self.ready.insert(neighbour);
        }
    }

    /// Handles a line of the set reconciliation.
    pub(super) fn sync_line(
        &mut self,
        neighbour: NeighbourId,
        line: PeerLine<'_>,
        heard: EventId,
        journal: &dyn Journal,
    ) -> Result<(), PeerError> {
        match line {
            PeerLine::Root(theirs) => self.hear_root(neighbour, theirs, heard),
            PeerLine::Digest { under, summary } => {
                self.hear_digest(neighbour, under, summary, heard)?;
            }
            PeerLine::List { under, hashes } => self.hear_list(neighbour, under, &hashes, heard)?,
            PeerLine::Want { under, hashes } => self.hear_want(neighbour, under, &hashes, heard)?,
            PeerLine::Done { under } => self.round(neighbour)?.answered(Answer::Done(under))?,
            PeerLine::Synced { sent } => self.round(neighbour)?.hear(sent),
            _ => return Err(PeerError::Unexpected),
        }
        self.finish_asking(neighbour, heard);
        self.conclude_round(neighbour, heard, journal);
        Ok(())
    }

    /// Queues `SYNCED` once this end has no open query.
    pub(super) fn finish_asking(&mut self, neighbour: NeighbourId, heard: EventId) {
        if let Some(link) = &mut self.links[neighbour.0]
            && link.put_off.is_none()
            && link.round.is_due()
            && !self.mistakes.makes(Mistake::NeverSynced)
        {
            link.dirty.push_synced(heard);
        }
        self.ready.insert(neighbour);
    }

    fn round(&mut self, neighbour: NeighbourId) -> Result<&mut Round, PeerError> {
        let link = self.links[neighbour.0].as_mut();
        link.map(|link| &mut link.round)
            .ok_or(PeerError::Unexpected)
    }

    fn say(&mut self, neighbour: NeighbourId, word: Word, cause: EventId) -> Result<(), PeerError> {
        let most = self.config.bounds.most_questions;
        let link = self.links[neighbour.0].as_mut();
        link.ok_or(PeerError::Unexpected)?
            .say(word, Some(cause), most)
    }

    /// The digest of all clients under `under`.
    fn summary(&self, under: Prefix) -> Summary {
        if !self.mistakes.makes(Mistake::MissesABucket) {
            return self.store.summary(under);
        }
        (self.under(under)).fold(Summary::default(), |sum, client| Summary {
            count: sum.count + 1,
            hash: sum.hash ^ self.store.entry(client).hash,
        })
    }

    /// All clients under `under`.
    fn under(&self, under: Prefix) -> impl Iterator<Item = ClientIndex> {
        let misses = self.mistakes.makes(Mistake::MissesABucket);
        let is_missed =
            move |client: &ClientIndex| misses && self.store.entry(*client).place >> 60 == 0;
        self.store
            .under(under)
            .filter(move |client| !is_missed(client))
    }

    /// Whether the server answers, by mistake, that two sets are equal though they differ.
    fn lets_it_be(&self, under: Prefix, ours: Summary, theirs: Summary) -> bool {
        if self.mistakes.makes(Mistake::ComparesCounts) {
            return !under.is_empty() && ours.count == theirs.count;
        }
        let both_know = ours.count > 0 && theirs.count > 0;
        both_know && under.is_empty() && self.mistakes.makes(Mistake::ComparesNothing)
    }

    /// Roots that differ once may differ by updates in flight; if they differ twice in a row, a
    /// record is lost.
    fn hear_root(&mut self, neighbour: NeighbourId, theirs: Summary, heard: EventId) {
        let differs =
            theirs != self.summary(Prefix::ROOT) || self.mistakes.makes(Mistake::ComparesTheSame);
        let Some(link) = &mut self.links[neighbour.0] else {
            return;
        };
        link.agreed = Some(!differs);
        let is_free = !link.round.is_active() && link.put_off.is_none();
        if differs && link.differed && is_free {
            link.begin_round(heard);
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
        heard: EventId,
    ) -> Result<(), PeerError> {
        if under.is_empty() {
            self.round(neighbour)?.asked_for_all()?;
            if self.answers_later(neighbour, theirs, heard) {
                return Ok(());
            }
        } else {
            // The sixteen digests below a digest of ours are together the answer to it.
            self.round(neighbour)?.answered(Answer::Part(under))?;
        }
        self.answer_digest(neighbour, under, theirs, heard)
    }

    pub(super) fn answer_digest(
        &mut self,
        neighbour: NeighbourId,
        under: Prefix,
        theirs: Summary,
        heard: EventId,
    ) -> Result<(), PeerError> {
        let bounds = self.config.bounds;
        let ours = self.summary(under);
        if ours == theirs || self.lets_it_be(under, ours, theirs) {
            self.say(neighbour, Word::Done(under), heard)?;
        } else if theirs.count == 0 {
            // The neighbour holds nothing there, so it lacks all of ours and has nothing to list.
            self.owe_all(neighbour, under, heard);
            self.say(neighbour, Word::Done(under), heard)?;
        } else if ours.count == 0 || is_small(ours.count.max(theirs.count), under, bounds.small) {
            self.round(neighbour)?.ask(Question::List(under));
            self.say(neighbour, Word::List(under), heard)?;
        } else if self.round(neighbour)?.open() >= bounds.most_questions {
            self.round(neighbour)?.skip();
            self.say(neighbour, Word::Done(under), heard)?;
        } else {
            for child in under.children() {
                self.round(neighbour)?.ask(Question::Digest(child, 0));
                self.say(neighbour, Word::Digest(child), heard)?;
            }
        }
        Ok(())
    }

    fn hear_list(
        &mut self,
        neighbour: NeighbourId,
        under: Prefix,
        theirs: &[u64],
        heard: EventId,
    ) -> Result<(), PeerError> {
        self.round(neighbour)?.answered(Answer::Listed(under))?;
        if theirs.is_empty() {
            self.owe_all(neighbour, under, heard);
            return self.say(neighbour, Word::Want(under, Vec::new()), heard);
        }
        if self.is_much(under) {
            self.round(neighbour)?.skip();
            return self.say(neighbour, Word::Want(under, Vec::new()), heard);
        }
        let theirs: BTreeSet<u64> = theirs.iter().copied().collect();
        let ours: BTreeSet<u64> = (self.under(under))
            .map(|client| self.store.entry(client).hash)
            .collect();
        self.owe(neighbour, under, heard, |hash| !theirs.contains(&hash));
        let wanted = theirs.difference(&ours).copied().collect();
        self.say(neighbour, Word::Want(under, wanted), heard)
    }

    fn hear_want(
        &mut self,
        neighbour: NeighbourId,
        under: Prefix,
        wanted: &[u64],
        heard: EventId,
    ) -> Result<(), PeerError> {
        self.round(neighbour)?.answered(Answer::Wanted(under))?;
        if self.is_much(under) {
            self.round(neighbour)?.skip();
            return Ok(());
        }
        let wanted = if self.mistakes.makes(Mistake::AnswersFewWants) {
            &wanted[..wanted.len().min(mistakes::FEW)]
        } else {
            wanted
        };
        // A record that was replaced meanwhile is not found; the flood sent its successor.
        self.owe(neighbour, under, heard, |hash| wanted.contains(&hash));
        Ok(())
    }

    /// Whether there are too many records under `under` to go through while clients wait. A set
    /// that is listed was small when that was decided; if it has outgrown the bound since, the next
    /// round cuts it up.
    fn is_much(&self, under: Prefix) -> bool {
        self.store.summary(under).count > self.config.bounds.most_at_once
    }

    /// Marks all our records under `under`, where the neighbour has none.
    fn owe_all(&mut self, neighbour: NeighbourId, under: Prefix, heard: EventId) {
        if !self.is_much(under) {
            return self.owe(neighbour, under, heard, |_| true);
        }
        let part = self.part(under, self.store.end(), heard);
        if let Some(link) = &mut self.links[neighbour.0] {
            link.dirty.mark_part(part);
        }
    }

    fn part(&self, under: Prefix, end: ClientIndex, cause: EventId) -> Part {
        let count = self.store.summary(under).count;
        Part {
            under,
            count: usize::try_from(count).unwrap_or(usize::MAX),
            end,
            cause,
        }
    }

    /// Replaces a part in the queue by its records, or by its sixteen parts if it has many.
    pub(super) fn unfold(&mut self, neighbour: NeighbourId, part: Part) {
        let Part {
            under, end, cause, ..
        } = part;
        let children: Vec<Part> = if self.is_much(under) {
            let children = under.children();
            children.map(|child| self.part(child, end, cause)).collect()
        } else {
            Vec::new()
        };
        let clients: Vec<ClientIndex> = if children.is_empty() {
            let clients = self.under(under);
            clients.filter(|client| *client < end).collect()
        } else {
            Vec::new()
        };
        let Some(link) = &mut self.links[neighbour.0] else {
            return;
        };
        if !children.is_empty() {
            let held = children.into_iter().rev().filter(|part| part.count > 0);
            return held.for_each(|part| link.dirty.mark_part_first(part));
        }
        for client in clients.into_iter().rev() {
            link.dirty.mark_first(client, cause);
        }
    }

    /// Marks those of our records under `under` that the neighbour lacks, as `lacks` says of a
    /// hash.
    fn owe(
        &mut self,
        neighbour: NeighbourId,
        under: Prefix,
        heard: EventId,
        lacks: impl Fn(u64) -> bool,
    ) {
        let owed: Vec<ClientIndex> = (self.under(under))
            .filter(|&client| lacks(self.store.entry(client).hash))
            .collect();
        if let Some(link) = &mut self.links[neighbour.0] {
            for client in owed {
                link.dirty.mark(client, Reason::Sync(heard));
            }
        }
    }

    /// Appends a line other than an update, with the store's present content.
    pub(super) fn write_word(&mut self, neighbour: NeighbourId, word: Word, out: &mut Vec<u8>) {
        let line = match word {
            Word::Ping => PeerLine::Ping { clock: None },
            Word::Pong(ping, clock) => PeerLine::Pong { ping, clock },
            Word::Bye => PeerLine::Bye { reason: b"" },
            Word::Root => PeerLine::Root(self.summary(Prefix::ROOT)),
            Word::Digest(under) => PeerLine::Digest {
                under,
                summary: self.summary(under),
            },
            Word::Done(under) => PeerLine::Done { under },
            Word::List(under) => PeerLine::List {
                under,
                hashes: self.list(neighbour, under),
            },
            Word::Want(under, hashes) => PeerLine::Want { under, hashes },
        };
        let from = out.len();
        line.write_to(out);
        let has_hashes = matches!(
            line,
            PeerLine::Root(_) | PeerLine::Digest { .. } | PeerLine::List { .. }
        );
        if has_hashes && self.mistakes.makes(Mistake::DropsZeros) {
            mistakes::drop_zeros(out, from);
        }
    }

    /// The hashes of all records under `under`, up to the limit of a line. If there are more,
    /// because records arrived since the decision to list them, another round must follow.
    fn list(&mut self, neighbour: NeighbourId, under: Prefix) -> Vec<u64> {
        let mut hashes: Vec<u64> = (self.under(under))
            .map(|client| self.store.entry(client).hash)
            .take(MOST_HASHES + 1)
            .collect();
        if hashes.len() > MOST_HASHES {
            hashes.truncate(MOST_HASHES);
            if let Ok(round) = self.round(neighbour) {
                round.skip();
            }
        }
        hashes
    }

    /// If both ends have sent `SYNCED`, records the synchronisation, or begins another round where
    /// one must follow.
    pub(super) fn conclude_round(
        &mut self,
        neighbour: NeighbourId,
        cause: EventId,
        journal: &dyn Journal,
    ) {
        let Some(link) = &mut self.links[neighbour.0] else {
            return;
        };
        let Some((sent, received, again)) = link.round.take_finished() else {
            return;
        };
        link.was_synchronised |= !again;
        if again {
            return self.begin_round(neighbour, cause);
        }
        self.runs[neighbour.0].was_synchronised = true;
        let both_ways = || (sent > 0 && received > 0).then_some(Rare::BothWays);
        self.mistakes.note(both_ways);
        let peer = self.name_of(neighbour);
        let what = EventKind::Synchronised {
            peer,
            sent,
            received,
        };
        journal.record(Some(cause), what);
        self.filled(neighbour);
    }
}

/// Whether a set of `count` records is listed and not cut up: it is small, or its prefix is
/// complete.
fn is_small(count: u64, under: Prefix, small: u64) -> bool {
    count <= small || under.children().next().is_none()
}

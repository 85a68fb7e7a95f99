//! A server that knows little beside neighbours that know much: it is filled by one of them at a time.
//!
//! Compared with all of them at once, it would be sent the same million records by each. So while one fills it, comparing with
//! the others is put off, and records that come in bulk are not passed on to those: whatever they lack of it is found when it is
//! their turn. Live updates go their way meanwhile. Nobody waits in a ring, since who fills another holds more than
//! that one; and should a neighbour that fills bring nothing more, the others are not put off any longer.

use crate::journal::EventId;
use crate::protocol::peer::{Prefix, Summary};

use super::link::PutOff;
use super::{NeighbourId, Node};

/// A neighbour fills this server if it holds more than twice as many records, and this many more.
const FILLS: u64 = 1024;

/// Who fills this server.
#[derive(Clone, Copy, Debug)]
pub(super) struct Filling {
    by: NeighbourId,
    /// How many records this server held at the last check.
    held: usize,
}

impl Node {
    /// Whether a neighbour that holds `theirs` records has much more than this server.
    fn is_filled_by(&self, theirs: u64) -> bool {
        let ours = self.store.summary(Prefix::ROOT).count;
        theirs > ours.saturating_mul(2).saturating_add(FILLS)
    }

    /// A link is up with a neighbour that holds `theirs` records, if it says so: compares what both know, if this end is the one
    /// that asks. That is put off while another neighbour fills this server.
    pub(super) fn compare(&mut self, neighbour: NeighbourId, theirs: Option<u64>, up: EventId) {
        let asks = self.config.neighbours[neighbour.0].dialled;
        let fills = theirs.is_some_and(|theirs| self.is_filled_by(theirs));
        if fills && self.filling.is_some() {
            let what = if asks {
                PutOff::ToAsk(up)
            } else {
                PutOff::ToBeAsked
            };
            return self.put_off(neighbour, what);
        }
        if fills {
            self.fill(neighbour);
        }
        if asks {
            self.begin_round(neighbour, up);
        }
    }

    /// Asks a neighbour whether it knows the same.
    pub(super) fn begin_round(&mut self, neighbour: NeighbourId, cause: EventId) {
        if let Some(link) = &mut self.links[neighbour.0] {
            link.begin_round(cause);
            self.ready.insert(neighbour);
        }
    }

    fn fill(&mut self, by: NeighbourId) {
        let held = self.store.len();
        self.filling = Some(Filling { by, held });
    }

    fn put_off(&mut self, neighbour: NeighbourId, what: PutOff) {
        if let Some(link) = &mut self.links[neighbour.0] {
            link.put_off = Some(what);
        }
    }

    /// A neighbour asks with the digest of everything, by this line: whether it is answered later.
    pub(super) fn answers_later(
        &mut self,
        neighbour: NeighbourId,
        theirs: Summary,
        heard: EventId,
    ) -> bool {
        let fills = self.is_filled_by(theirs.count);
        let is_put_off =
            (self.links[neighbour.0].as_ref()).is_some_and(|link| link.put_off.is_some());
        let waits = self
            .filling
            .is_some_and(|filling| fills && filling.by != neighbour);
        if is_put_off || waits {
            self.put_off(neighbour, PutOff::Asked(theirs, heard));
            return true;
        }
        if fills && self.filling.is_none() {
            self.fill(neighbour);
        }
        false
    }

    /// A neighbour has no more to bring, or its link is down: if it was the one that filled this server, it is the turn
    /// of those that were put off.
    pub(super) fn filled(&mut self, by: NeighbourId) {
        if self.filling.is_some_and(|filling| filling.by == by) {
            self.put_off_no_longer();
        }
    }

    /// If a neighbour that fills this server brought nothing since the last call, it is not waited for any longer.
    pub(super) fn look_at_filling(&mut self, by: NeighbourId) {
        let held = self.store.len();
        match &mut self.filling {
            Some(filling) if filling.by == by && filling.held == held => self.put_off_no_longer(),
            Some(filling) if filling.by == by => filling.held = held,
            _ => {}
        }
    }

    fn put_off_no_longer(&mut self) {
        self.filling = None;
        for position in 0..self.links.len() {
            let neighbour = NeighbourId(position);
            let Some(link) = &mut self.links[position] else {
                continue;
            };
            match link.put_off.take() {
                // Whoever has not sent its digest yet is answered when it does.
                None | Some(PutOff::ToBeAsked) => {}
                // Another one fills this server now, and this one's turn comes after it.
                Some(waits @ PutOff::ToAsk(_)) if self.filling.is_some() => {
                    link.put_off = Some(waits);
                }
                // How much it brings shows when its round begins. The others wait until it has brought it.
                Some(PutOff::ToAsk(cause)) => {
                    self.fill(neighbour);
                    self.begin_round(neighbour, cause);
                }
                Some(PutOff::Asked(theirs, heard)) => {
                    if self.answers_later(neighbour, theirs, heard) {
                        continue;
                    }
                    // It fails where too much waits to be said to a neighbour. To this one nothing was answered yet.
                    let answered = self.answer_digest(neighbour, Prefix::ROOT, theirs, heard);
                    debug_assert_eq!(answered, Ok(()));
                    self.finish_asking(neighbour, heard);
                }
            }
        }
    }
}

//! A server that lacks much is filled by one neighbour at a time.
//!
//! Reconciling with all neighbours at once would bring the same million records from each. While
//! one neighbour fills this server, reconciliation with the others is therefore postponed, and
//! records that arrive in bulk are not relayed to them: their own turn finds what they lack. Live
//! updates are flooded meanwhile. No ring of servers can wait for itself, since a server that fills
//! another holds more records than that one. If the neighbour that fills brings nothing more, the
//! next has its turn.

use crate::journal::EventId;
use crate::protocol::peer::{Prefix, Summary};

use super::link::PutOff;
use super::{NeighbourId, Node};

/// A neighbour fills this server if it holds twice as many records, plus more than this number.
const FILLS: u64 = 1024;

/// The neighbour that fills this server.
#[derive(Clone, Copy, Debug)]
pub(super) struct Filling {
    by: NeighbourId,
    /// How many records this server held at the last check of progress.
    held: usize,
}

impl Node {
    /// Whether a neighbour that holds `theirs` records holds so many more that it fills this
    /// server.
    fn is_filled_by(&self, theirs: u64) -> bool {
        let ours = self.store.summary(Prefix::ROOT).count;
        theirs > ours.saturating_mul(2).saturating_add(FILLS)
    }

    /// Begins set reconciliation on a link that has just come up, if this end dialled it. `theirs`
    /// is the number of records that the neighbour's greeting claims. If the neighbour would fill
    /// this server while another does, reconciliation is postponed.
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

    /// Begins a round: queries the neighbour with the digest of the whole store.
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

    /// Whether to answer later a neighbour's digest of its whole store, which arrived as the line
    /// `heard`.
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

    /// A neighbour has no more to send, or its link is down. If it filled this server, the
    /// postponed neighbours have their turn.
    pub(super) fn filled(&mut self, by: NeighbourId) {
        if self.filling.is_some_and(|filling| filling.by == by) {
            self.put_off_no_longer();
        }
    }

    /// Ends the filling by a neighbour that has brought nothing since the last call.
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
                // A neighbour that has not sent its digest yet is answered when it does.
                None | Some(PutOff::ToBeAsked) => {}
                // Another neighbour fills this server by now, so this one waits for the next turn.
                Some(waits @ PutOff::ToAsk(_)) if self.filling.is_some() => {
                    link.put_off = Some(waits);
                }
                // How much this neighbour brings shows only in its round, so the others wait for
                // its end.
                Some(PutOff::ToAsk(cause)) => {
                    self.fill(neighbour);
                    self.begin_round(neighbour, cause);
                }
                Some(PutOff::Asked(theirs, heard)) => {
                    if self.answers_later(neighbour, theirs, heard) {
                        continue;
                    }
                    // An answer fails only where too many lines wait for a neighbour; for this one
                    // none waits yet.
                    let answered = self.answer_digest(neighbour, Prefix::ROOT, theirs, heard);
                    debug_assert_eq!(answered, Ok(()));
                    self.finish_asking(neighbour, heard);
                }
            }
        }
    }
}

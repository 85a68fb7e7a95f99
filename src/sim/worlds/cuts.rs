//! The directions that faults cut, which are the same in every world.

use super::Wire;
use crate::journal::EventId;

/// The directions that each fault still cuts, by the event of its beginning.
#[derive(Default)]
pub(super) struct Cuts(Vec<(EventId, Vec<Wire>)>);

/// The pair of a direction's machines, the smaller number first.
pub(super) const fn pair((a, b): Wire) -> Wire {
    if a < b { (a, b) } else { (b, a) }
}

impl Cuts {
    pub(super) fn cut(&mut self, fault: EventId, wires: &[Wire]) {
        self.0.push((fault, wires.to_vec()));
    }

    /// Heals directions that this fault cut.
    pub(super) fn heal(&mut self, fault: EventId, wires: &[Wire]) {
        for (_, cut) in self.0.iter_mut().filter(|(event, _)| *event == fault) {
            cut.retain(|wire| !wires.contains(wire));
        }
        self.0.retain(|(_, cut)| !cut.is_empty());
    }

    /// The faults that cut any of these directions.
    pub(super) fn of(&self, wires: &[Wire]) -> impl Iterator<Item = EventId> {
        let cuts_any = |cut: &[Wire]| wires.iter().any(|wire| cut.contains(wire));
        let cuts = self.0.iter().filter(move |(_, cut)| cuts_any(cut));
        cuts.map(|(fault, _)| *fault)
    }
}

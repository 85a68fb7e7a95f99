//! Acknowledgements in flight. They are no part of the stream: one that is lost holds nothing up, and the next one says
//! the same and more.

use super::connection::{ConnectionId, End, Lane, Segment};
use super::tcp::Systems;

impl Systems {
    /// The first acknowledgement in flight from an end arrives, unless it is lost on the way.
    pub(super) fn acknowledgement_arrives(&mut self, id: ConnectionId, end: End) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let wire = Self::wire(connection, end);
        let acknowledgements = &mut connection.acknowledgements[end];
        let is_alone = acknowledgements.len() == 1;
        let Some(first) = acknowledgements.front_mut() else {
            return;
        };
        // It is looked at again when it is due.
        if first.due > self.now {
            return;
        }
        let is_dark = !self.machines[wire.1].has_power;
        let is_doomed = std::mem::take(&mut first.loss.is_doomed);
        let is_lost = self.links.loses(wire, false, &mut first.loss) || is_dark || is_doomed;
        if is_lost && is_alone && !first.loss.is_final() {
            // The sender, whose data were not acknowledged, sends them again, and they are acknowledged again.
            first.loss.is_doomed = self.links.impairments.loses(wire);
            let due = first.loss.again(self.now);
            first.due = due;
            self.schedule(id, end, Lane::Acknowledgements, due);
            return;
        }
        let Some(first) = acknowledgements.pop_front() else {
            return;
        };
        if let Some(next) = acknowledgements.front_mut() {
            if is_lost {
                next.segment.adds(&first.segment);
            }
            if next.due <= self.now {
                self.schedule(id, end, Lane::Acknowledgements, self.now);
            }
        }
        if !is_lost {
            self.received(id, 1 - end, first.segment);
        }
        self.forget_if_over(id);
    }
}

impl Segment {
    /// An acknowledgement says what one before it said that was lost.
    pub(super) fn adds(&mut self, lost: &Self) {
        if let (Self::Ack { bytes, .. }, Self::Ack { bytes: before, .. }) = (self, lost) {
            *bytes += before;
        }
    }
}

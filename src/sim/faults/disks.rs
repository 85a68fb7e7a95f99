//! What happens to servers' disks.

use super::{Breaker, Kind};
use crate::scenario::{Condition, Party};
use crate::sim::disk::Lost;

impl Breaker {
    /// The disk of a server that has lost its power loses what was not synced. This counts for that fault.
    pub(in crate::sim) fn lose_unsynced(&mut self, party: Party) {
        let Some(disk) = party.server().and_then(|id| self.disks.of(id)) else {
            return;
        };
        let Lost { bytes, names } = disk.power_lost();
        let it = Kind::Host(Condition::Unpowered, party);
        if let Some(fault) = self.active.iter_mut().rfind(|fault| fault.kind == it) {
            let lost = [(bytes, "unsynced bytes"), (names, "unsynced names")];
            fault.impact.others.extend(lost);
        }
    }
}

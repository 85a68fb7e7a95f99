//! What happens to servers' disks.

use std::time::Duration;

use super::{Breaker, Kind};
use crate::herd::ServerId;
use crate::journal::EventKind;
use crate::scenario::{Condition, DiskFault, Party};
use crate::sim::disk::Lost;
use crate::sim::impact::{Measure, Origin};

impl Breaker {
    /// The disk of a server that has lost its power loses what was not synced. This counts for that fault.
    pub(in crate::sim) fn lose_unsynced(&mut self, party: Party, now: Duration) {
        let Some(disk) = party.server().and_then(|id| self.disks.of(id)) else {
            return;
        };
        let Lost { bytes, names } = disk.power_lost(now);
        let it = Kind::Host(Condition::Unpowered, party);
        if let Some(fault) = self.active.iter_mut().rfind(|fault| fault.kind == it) {
            let lost = [(bytes, "unsynced bytes"), (names, "unsynced names")];
            fault.impact.others.extend(lost);
        }
    }

    /// Something is wrong with a server's disk from now on.
    pub(in crate::sim) fn break_disk(
        &mut self,
        server: ServerId,
        fault: DiskFault,
        now: Duration,
        origin: Origin,
    ) {
        let Some(disk) = self.disks.of(server).cloned() else {
            return;
        };
        let what = EventKind::DiskFaulty {
            fault: fault.name().into(),
            how: fault.to_string().into(),
            forgets: fault.makes_it_forget(),
        };
        let event = self.tell(self.who(Party::Server(server)), None, what);
        if let DiskFault::Rot(bits) = fault {
            let measure = Measure::Bits(disk.rot(bits, now));
            self.begin(origin, event, Kind::Moment, measure);
            self.end(|kind| *kind == Kind::Moment);
            return;
        }
        let measure = Measure::Disk(disk.clone(), unit(fault));
        self.begin(origin, event, Kind::Disk(server), measure);
        disk.set(Some(fault));
    }

    /// Nothing is wrong with it any more.
    pub(in crate::sim) fn repair_disk(&mut self, server: ServerId) {
        let Some(disk) = self.disks.of(server).cloned() else {
            return;
        };
        let it = Kind::Disk(server);
        let begun = self.begun(|kind| *kind == it);
        self.end(|kind| *kind == it);
        self.tell(self.who(Party::Server(server)), begun, EventKind::DiskWorks);
        disk.set(None);
    }
}

/// What a fault affects, in the plural.
const fn unit(fault: DiskFault) -> &'static str {
    match fault {
        DiskFault::Lies => "syncs",
        DiskFault::Misdirects => "writes",
        DiskFault::Rot(_) => "bits",
        DiskFault::Full | DiskFault::Stalls | DiskFault::Fails(_) => "operations",
    }
}

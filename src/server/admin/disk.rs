//! Counters of a server's disk, and what operators are told of it.

use std::fmt;
use std::time::Duration;

use super::counts::{Count, Histogram, micros};
use super::status::DiskReport;
use crate::disk::Durability;
use crate::journal::EventKind;
use crate::server::DiskStatus;
use crate::sync::atomic::{AtomicU64, Ordering};

/// Why a server whose answers wait for its disk is not ready.
const NOT_READY: &str = "its disk takes no records, so no IAMAT is accepted: the log says why";

/// Counters of what happened to the disk.
#[derive(Debug)]
pub(super) struct DiskCounts {
    /// The time of a batch, in nanoseconds: written and synced.
    pub(super) saves: Histogram<16>,
    pub(super) records: Count,
    pub(super) bytes: Count,
    pub(super) snapshots: Count,
    pub(super) failed_snapshots: Count,
    /// How often it began to fail.
    pub(super) failures: Count,
    /// The number of damaged places when the server started.
    pub(super) damaged: AtomicU64,
}

impl DiskCounts {
    pub(super) fn new() -> Self {
        Self {
            saves: Histogram::new(micros([
                50, 100, 250, 500, 1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000, 250_000,
                500_000, 1_000_000, 2_500_000, 10_000_000,
            ])),
            records: Count::default(),
            bytes: Count::default(),
            snapshots: Count::default(),
            failed_snapshots: Count::default(),
            failures: Count::default(),
            damaged: AtomicU64::new(0),
        }
    }

    /// Counts an event, if it is one of the disk.
    pub(super) fn count(&self, what: &EventKind<'_>) {
        match what {
            EventKind::Loaded { damaged, .. } => self.damaged.store(*damaged, Ordering::Relaxed),
            EventKind::Saved { records, bytes } => {
                self.records.add(*records);
                self.bytes.add(*bytes);
            }
            EventKind::Compacted { .. } => self.snapshots.add(1),
            EventKind::NotCompacted { .. } => self.failed_snapshots.add(1),
            EventKind::SaveFailed { .. } => self.failures.add(1),
            _ => {}
        }
    }
}

impl fmt::Display for DiskReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { unsaved, .. } = self;
        let plural = if *unsaved == 1 { " is" } else { "s are" };
        write!(
            f,
            "its disk takes no records: {unsaved} record{plural} in memory only"
        )
    }
}

/// Why a server with this disk is not ready, if that is so. In the background a failing disk leaves
/// it as useful to clients as one without a disk.
pub(super) fn not_ready(disk: Option<DiskStatus>) -> Option<String> {
    let waits = |disk: &DiskStatus| disk.durability == Durability::Answered && disk.is_failing;
    disk.filter(waits).map(|_| NOT_READY.to_owned())
}

impl From<DiskStatus> for DiskReport {
    fn from(disk: DiskStatus) -> Self {
        Self {
            durability: disk.durability.word().to_owned(),
            failing: disk.is_failing,
            unsaved: disk.unsaved,
            behind_millis: millis(disk.behind),
            bytes: disk.bytes,
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_disk_matters_to_clients_where_answers_wait_for_it() {
        for (durability, is_failing, ready) in [
            (Durability::Answered, true, false),
            (Durability::Answered, false, true),
            (Durability::Background, true, true),
        ] {
            let status = DiskStatus {
                durability,
                is_failing,
                unsaved: 3,
                behind: Duration::from_millis(1500),
                bytes: 7,
            };
            assert_eq!(not_ready(Some(status)).is_none(), ready, "{status:?}");
            let report = DiskReport::from(status);
            assert_eq!((report.failing, report.behind_millis), (is_failing, 1500));
        }
        assert_eq!(not_ready(None), None);
    }
}

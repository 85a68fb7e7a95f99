use std::collections::BTreeSet;
use std::sync::Arc;

use shuttle::future::block_on;

use super::{Counts, Failure};
use crate::sync::{check, thread};

#[test]
fn each_failure_is_reported_once() {
    check(2000, || {
        let counts = Arc::<Counts>::default();
        let looking_up = [
            Failure::Late.into(),
            Failure::Busy.into(),
            Failure::Late.into(),
        ]
        .map(|answer| {
            let counts = Arc::clone(&counts);
            thread::spawn(move || counts.count(&answer))
        });
        let (mut reported, mut statuses) = (0, BTreeSet::new());
        // The first of each status is due at once. The second waits for a minute, which never
        // passes here.
        while statuses.len() < 2 {
            for report in block_on(counts.reports()) {
                reported += report.count;
                statuses.insert(report.status);
            }
        }
        for looking_up in looking_up {
            looking_up.join().expect("no panic");
        }
        for report in counts.last_reports() {
            reported += report.count;
        }
        assert_eq!(reported, 3);
        assert_eq!(counts.all().map(|(_, count)| count).sum::<u64>(), 3);
    });
}

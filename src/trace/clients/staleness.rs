//! How far behind the herd the answers to a workload's WHATSATs were.
//!
//! A server may tell a place that another one has replaced already: an update takes its time. Only
//! how old such an answer is tells how good the herd is, so it is reported and not judged.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::exchanges::{Exchanges, Moment};
use super::lines::{Line, Told};
use crate::trace::{Trace, WorkloadShape};

/// The stale answers to the WHATSATs of a workload: those with a place that was older than one that
/// some client had been told, by another server, when the WHATSAT was sent.
///
/// An answer is behind by the time from when the first newer place was told to when the WHATSAT was
/// sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Staleness {
    /// The workload's name.
    pub workload: String,
    /// How many WHATSATs were answered with a place.
    pub reads: usize,
    /// How many of these answers were stale.
    pub stale: usize,
    /// Half of the stale answers were behind by up to this number of nanoseconds.
    pub p50: u64,
    /// Nine in ten were behind by up to this number of nanoseconds.
    pub p90: u64,
    /// 99 in a hundred were behind by up to this number of nanoseconds.
    pub p99: u64,
    /// The longest that one was behind, in nanoseconds.
    pub longest: u64,
}

/// The stale answers of each workload that got any, in the order of the header.
pub fn staleness(trace: &Trace) -> Vec<Staleness> {
    let workloads = &trace.header.workloads;
    if workloads.is_empty() {
        return Vec::new();
    }
    let reads = reads(&Exchanges::of(&trace.events));
    let all = workloads.iter().map(|workload| of(workload, &reads));
    all.filter(|found| found.stale > 0).collect()
}

/// A WHATSAT that was answered with a place.
struct Read<'a> {
    client: &'a str,
    /// By how many nanoseconds its answer was behind, if it was stale.
    behind: Option<u64>,
}

/// What was told first, and when. Each is newer than the one before it.
type Newest<'a> = Vec<(Told<'a>, u64)>;

fn reads<'a>(exchanges: &Exchanges<'a>) -> Vec<Read<'a>> {
    let mut newest: BTreeMap<&[u8], Newest<'_>> = BTreeMap::new();
    let mut known: BTreeMap<usize, usize> = BTreeMap::new();
    let mut lost: BTreeSet<&[u8]> = BTreeSet::new();
    let mut reads = Vec::new();
    for &moment in &exchanges.moments {
        match moment {
            Moment::ByHand(_) => {}
            Moment::Lost(id) => {
                lost.insert(id);
            }
            Moment::Sent(number) => {
                if let Line::Query(id) = exchanges.all[number].line {
                    known.insert(number, newest.get(id).map_or(0, Vec::len));
                }
            }
            Moment::Answered(number) => {
                let exchange = &exchanges.all[number];
                let Some((told, at)) =
                    (exchange.answer).and_then(|answer| Some((answer.told?, answer.event.at)))
                else {
                    continue;
                };
                let newest = newest.entry(told.place.id).or_default();
                if let Some(known) = known.remove(&number) {
                    let is_known_order = !lost.contains(told.place.id);
                    let until = newest.get(..known).filter(|_| is_known_order);
                    let behind = until.and_then(|known| since(known, &told));
                    reads.push(Read {
                        client: exchange.client,
                        behind: behind.map(|since| exchange.sent.at.saturating_sub(since)),
                    });
                }
                let is_newer = |(last, _): &(Told<'_>, u64)| told.order(last) == Ordering::Greater;
                if newest.last().is_none_or(is_newer) {
                    newest.push((told, at));
                }
            }
        }
    }
    reads
}

/// Since when something newer than `told` has been known; `None` if nothing is.
fn since(known: &[(Told<'_>, u64)], told: &Told<'_>) -> Option<u64> {
    let first = known.partition_point(|(other, _)| other.order(told) != Ordering::Greater);
    known.get(first).map(|&(_, at)| at)
}

fn of(workload: &WorkloadShape, reads: &[Read<'_>]) -> Staleness {
    let own = || reads.iter().filter(|read| workload.has_client(read.client));
    let mut behind: Vec<u64> = own().filter_map(|read| read.behind).collect();
    behind.sort_unstable();
    let percentile = |hundredths: usize| {
        let rank = (behind.len() * hundredths).div_ceil(100);
        behind.get(rank.saturating_sub(1)).copied().unwrap_or(0)
    };
    Staleness {
        workload: workload.name.clone(),
        reads: own().count(),
        stale: behind.len(),
        p50: percentile(50),
        p90: percentile(90),
        p99: percentile(99),
        longest: percentile(100),
    }
}

//! The outcome of one order, without what no server can observe.

use std::collections::BTreeMap;

use crate::journal::{Actor, ConnId, EventKind};
use crate::protocol::peer::PeerLine;
use crate::protocol::record::Record;
use crate::trace::fingerprint::Fingerprint;
use crate::trace::propagation::Use;
use crate::trace::{Judgement, Trace};

/// The outcome of one order.
pub(super) struct Outcome {
    /// What each server observed, without times: the updates that each neighbour sent it, what it
    /// accepted, when it started and crashed, and its links, in order. Orders with equal histories
    /// have the same outcome.
    pub(super) histories: String,
    pub(super) updates: Vec<Update>,
    pub(super) judgements: Vec<Judgement>,
    /// How the order failed; `None` if it passed.
    pub(super) broken: Option<Fingerprint>,
}

/// How one update spread.
pub(super) struct Update {
    pub(super) name: String,
    /// The hops after which the update first reached each server.
    pub(super) hops: BTreeMap<String, u32>,
    pub(super) sends: usize,
    pub(super) useful: usize,
}

impl Outcome {
    pub(super) fn of(trace: Trace) -> Self {
        let updates = trace.updates.iter().map(|update| {
            let servers = trace.herd.server_names();
            let hops =
                servers.filter_map(|name| Some((name.to_owned(), update.arrival(name)?.hops)));
            Update {
                name: update.name.clone(),
                hops: hops.collect(),
                sends: update.sends.len(),
                useful: update.count(Use::Useful),
            }
        });
        Self {
            updates: updates.collect(),
            histories: histories(&trace),
            broken: Fingerprint::of(&trace),
            judgements: trace.judgements,
        }
    }
}

/// The rank of each record of a run, oldest first. Histories contain ranks in place of records,
/// whose times and skews depend on when a client was served: only which record is newer is an
/// observable difference.
fn ranks(trace: &Trace) -> BTreeMap<Vec<u8>, usize> {
    let mut records: BTreeMap<Vec<u8>, Record> = BTreeMap::new();
    for event in &trace.events {
        if let EventKind::Accepted { record, .. } = &event.what
            && let Some(parsed) = Record::parse(&record.text())
        {
            records.insert(parsed.text().to_vec(), parsed);
        }
    }
    let mut all: Vec<&Record> = records.values().collect();
    all.sort_by_key(|record| {
        (
            record.time(),
            record.id(),
            record.location(),
            record.origin(),
        )
    });
    let ranks = (0..).zip(all);
    ranks
        .map(|(rank, record)| (record.text().to_vec(), rank))
        .collect()
}

fn histories(trace: &Trace) -> String {
    let ranks = ranks(trace);
    let rank = |text: &[u8]| ranks.get(text).map_or("?".to_owned(), usize::to_string);
    let mut peers: BTreeMap<(&Actor, ConnId), &str> = BTreeMap::new();
    let mut told: BTreeMap<&str, String> = BTreeMap::new();
    for event in &trace.events {
        let Actor::Server(me) = &event.who else {
            continue;
        };
        let words = match &event.what {
            EventKind::LinkUp { peer, conn } => {
                peers.insert((&event.who, *conn), peer);
                format!("up {peer}")
            }
            EventKind::LinkDown { peer, .. } => format!("down {peer}"),
            EventKind::LineIn { conn, line } => match PeerLine::parse(&line.0) {
                Ok(PeerLine::At(update)) => {
                    let from = peers.get(&(&event.who, *conn)).copied().unwrap_or("?");
                    format!("{from} {} {}", rank(update.record.text()), update.hops)
                }
                _ => continue,
            },
            EventKind::Accepted { record, hops, .. } => {
                format!("takes {} {hops}", rank(&record.text()))
            }
            EventKind::Restored { record, hops, .. } => {
                format!("has {} {hops}", rank(&record.text()))
            }
            EventKind::Started { .. } => "starts".to_owned(),
            EventKind::Crashed => "crashes".to_owned(),
            _ => continue,
        };
        let history = told.entry(me).or_default();
        history.push_str(&words);
        history.push_str("; ");
    }
    let lines: Vec<String> = told
        .into_iter()
        .map(|(me, history)| format!("{me}: {history}"))
        .collect();
    lines.join("\n")
}

//! The outcome of one order, as far as orders can differ in it.

use std::collections::BTreeMap;

use crate::journal::{Actor, ConnId, EventKind};
use crate::protocol::peer::PeerLine;
use crate::protocol::record::Record;
use crate::trace::fingerprint::Fingerprint;
use crate::trace::propagation::Use;
use crate::trace::{Judgement, Trace};

/// The outcome of one order.
pub(super) struct Outcome {
    /// What happened at each server, without times: what each neighbour sent it, in which order, what it took in,
    /// when it started and ended, and how its links were. Two orders that are equal in this differ in nothing that
    /// any server could tell.
    pub(super) histories: String,
    pub(super) updates: Vec<Update>,
    pub(super) judgements: Vec<Judgement>,
    /// In which way it failed, if it did.
    pub(super) broken: Option<Fingerprint>,
}

/// How one update fared.
pub(super) struct Update {
    pub(super) name: String,
    /// After how many hops it first reached each server.
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

/// The records of a run by their age. Their times and skews depend on when a client was served, which is not a
/// difference that counts; which of them is newer is.
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

//! How each update spread: as a tree, as a table of arrivals, and what it cost.

use std::sync::Arc;

use super::faults::faults;
use super::lanes::Lanes;
use super::reasons::Reasons;
use super::sentences::{fate, remarkable};
use super::show;
use crate::trace::clients::staleness::{Staleness, staleness};
use crate::trace::propagation::{Arrival, Fate, Propagation, Use, alike};
use crate::trace::{Trace, WorkloadShape};

/// How all updates of a run spread, as lines of text.
pub fn ways(trace: &Trace) -> Vec<String> {
    let mut lines = Vec::new();
    let lanes = Lanes::of(trace);
    let faults = faults(trace, &lanes);
    let reasons = Reasons::new(trace, &lanes, &faults);
    let why = |update: &Propagation| whys(&reasons, update);
    for (title, update) in alike(&told_singly(trace), true, why) {
        if !lines.is_empty() {
            lines.push(String::new());
        }
        lines.extend(way(&reasons, &title, update));
    }
    let stale = staleness(trace);
    for workload in &trace.header.workloads {
        if !lines.is_empty() {
            lines.push(String::new());
        }
        lines.push(whole(trace, workload));
        let own = stale.iter().filter(|stale| stale.workload == workload.name);
        lines.extend(own.map(stale_answers));
    }
    lines
}

/// How many answers to a workload's WHATSATs were stale, and by how much.
fn stale_answers(stale: &Staleness) -> String {
    format!(
        "  {} of {} stale: behind by {} (50 %), {} (90 %), {} (99 %), {} (longest)",
        show::grouped(stale.stale),
        show::count(stale.reads, "WHATSAT answer"),
        show::delay(stale.p50),
        show::delay(stale.p90),
        show::delay(stale.p99),
        show::delay(stale.longest),
    )
}

/// All updates except those of workloads, which are summarised.
pub(super) fn told_singly(trace: &Trace) -> Vec<Propagation> {
    let workloads = &trace.header.workloads;
    let in_workload = |update: &Propagation| workloads.iter().any(|load| load.has_update(update));
    let updates = trace.updates.iter();
    updates
        .filter(|update| !in_workload(update))
        .cloned()
        .collect()
}

/// A workload's updates in one line.
fn whole(trace: &Trace, workload: &WorkloadShape) -> String {
    let updates: Vec<&Propagation> = (trace.updates.iter())
        .filter(|update| workload.has_update(update))
        .collect();
    let accepted = |update: &&&Propagation| update.fate == Fate::Accepted;
    let accepted = updates.iter().filter(accepted).count();
    let count = |wanted: Option<Use>| -> usize {
        let counts = updates.iter().map(|update| match wanted {
            Some(result) => update.count(result),
            None => update.sends.len(),
        });
        counts.sum()
    };
    let (accepted, result) = (show::grouped(accepted), |result| {
        show::grouped(count(Some(result)))
    });
    format!(
        "workload {}: {}, {accepted} accepted; {}: {} useful, {} duplicate, {} lost",
        workload.name,
        show::count(updates.len(), "update"),
        show::count(count(None), "send"),
        result(Use::Useful),
        result(Use::Duplicate),
        result(Use::Lost),
    )
}

/// All explanations of how an update spread. Updates that also agree in these are shown together.
fn whys(reasons: &Reasons<'_>, update: &Propagation) -> Vec<String> {
    let names = reasons.trace.herd.server_names();
    let without = names.filter(|name| update.arrival(name).is_none());
    let missing = without.map(|name| missing(reasons, update, name));
    let mut whys: Vec<String> = missing.collect();
    whys.extend(remarkable(reasons, update));
    whys
}

/// The words for a server that never had an update, with the reason if one is known.
pub(crate) fn missing(reasons: &Reasons<'_>, update: &Propagation, server: &str) -> String {
    let has_another = |name: &Arc<str>| &**name == server;
    let tied = update.tied.iter().any(|tied| has_another(&tied.server));
    match reasons.of_absence(update, server) {
        _ if update.overtaken.iter().any(has_another) => "overtaken by a newer one".to_owned(),
        Some(why) if tied => why,
        Some(why) => format!("never reached: {why}"),
        None => "never reached".to_owned(),
    }
}

fn way(reasons: &Reasons<'_>, title: &str, update: &Propagation) -> Vec<String> {
    let mut lines = vec![format!("{title} at {}: {}", update.to, fate(update))];
    if update.arrivals.is_empty() {
        return lines;
    }
    lines.extend(tree(update).into_iter().map(|line| format!("  {line}")));
    let trace = reasons.trace;
    lines.extend(
        table(reasons, update)
            .into_iter()
            .map(|line| format!("  {line}")),
    );
    lines.extend(remarkable(reasons, update).map(|why| format!("  {why}")));
    lines.push(format!("  {}", cost(trace, update)));
    lines
}

/// The tree of first arrivals: each server below the one that it first received the update from.
pub(super) fn tree(update: &Propagation) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(origin) = update.arrivals.first() {
        branch(update, origin, "", "", &mut lines);
    }
    lines
}

fn branch(update: &Propagation, at: &Arrival, first: &str, rest: &str, lines: &mut Vec<String>) {
    let by_sync = if at.sync { " (synchronised)" } else { "" };
    lines.push(format!("{first}{}{by_sync}", at.server));
    let told: Vec<&Arrival> = (update.spread())
        .filter(|arrival| arrival.via.as_deref() == Some(&*at.server))
        .collect();
    for (index, arrival) in told.iter().enumerate() {
        let last = index + 1 == told.len();
        let (elbow, bar) = if last {
            ("└─ ", "   ")
        } else {
            ("├─ ", "│  ")
        };
        let (first, rest) = (format!("{rest}{elbow}"), format!("{rest}{bar}"));
        branch(update, arrival, &first, &rest, lines);
    }
}

fn table(reasons: &Reasons<'_>, update: &Propagation) -> Vec<String> {
    let titles = ["server", "hops", "shortest", "delay", "fastest", "via"];
    let mut rows = vec![titles.map(str::to_owned).to_vec()];
    for arrival in &update.arrivals {
        rows.push(arrival_row(arrival));
    }
    for server in reasons.trace.herd.server_names() {
        if update.arrival(server).is_none() {
            let dash = || "-".to_owned();
            rows.push(vec![
                server.to_owned(),
                dash(),
                dash(),
                dash(),
                dash(),
                missing(reasons, update, server),
            ]);
        }
    }
    show::table(&rows, &[false, true, true, true, true, false])
}

fn arrival_row(arrival: &Arrival) -> Vec<String> {
    let dash = || "-".to_owned();
    let via = match (&arrival.via, arrival.sync) {
        (None, _) => "its client".to_owned(),
        (Some(via), false) => via.to_string(),
        (Some(via), true) => format!("{via}, synchronised"),
    };
    vec![
        arrival.server.to_string(),
        arrival.hops.to_string(),
        arrival.shortest.map_or_else(dash, |hops| hops.to_string()),
        show::delay(arrival.delay),
        arrival.fastest.map_or_else(dash, show::delay),
        via,
    ]
}

fn cost(trace: &Trace, update: &Propagation) -> String {
    let sends = show::count(update.sends.len(), "send");
    let useful = show::grouped(update.count(Use::Useful));
    let duplicate = show::grouped(update.count(Use::Duplicate));
    let lost = match update.count(Use::Lost) {
        0 => String::new(),
        lost => format!(", {} lost", show::grouped(lost)),
    };
    let sync = match update.sends.iter().filter(|send| send.sync).count() {
        0 => String::new(),
        sync => format!(", {sync} of them by synchronisation"),
    };
    let cost = format!("{sends}{sync}: {useful} useful, {duplicate} duplicate{lost}");
    if !trace.herd.is_connected() {
        return cost;
    }
    let (links, servers) = (trace.herd.links().len(), trace.herd.servers().len());
    let formula = trace.herd.fault_free_sends();
    format!(
        "{cost}; a fault-free flood over {} and {} costs 2×{links}−{servers}+1 = {formula}",
        show::count(links, "link"),
        show::count(servers, "server"),
    )
}

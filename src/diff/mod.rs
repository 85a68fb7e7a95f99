//! Compares the results of two runs, not their text.
//!
//! [`compare`] is a pure function of two traces. The same functions (`facts`) extract the facts of
//! each run, by name and number, never by an event's id. A fact that differs is kept with both its
//! values. [`text`] describes the differences in sentences, as what changed from the first run to
//! the second.

mod facts;
#[cfg(test)]
mod tests;
mod words;

use std::collections::BTreeMap;

use indexmap::IndexMap;
use serde::Serialize;

use crate::journal::{Event, EventKind};
use crate::seed::Recipe;
use crate::trace::{Trace, Verdict, WorkloadShape};

pub use facts::{Exchange, Fault, FirstArrival, LinkLife, Load, Outcome, UpdateOutcome};
pub use words::text;

/// What changed from one run to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diff {
    /// The first run.
    pub a: Side,
    /// The second run.
    pub b: Side,
    /// The input: seed, latencies, versions. A different input is reported, but is no difference of
    /// the results.
    pub ran: Vec<Changed<String>>,
    /// How updates spread, by the names that expectations use.
    pub updates: Vec<UpdateDiff>,
    /// Workloads, each as a whole, since the seed draws their clients' lines.
    pub workloads: Vec<Changed<Load>>,
    /// The lines of clients and their answers, by client and number.
    pub lines: Vec<Changed<Exchange>>,
    /// Faults that began or ended.
    pub faults: Vec<Changed<Fault>>,
    /// Expectations and their results.
    pub expectations: Vec<Changed<Outcome>>,
    /// The histories of links.
    pub links: Vec<Changed<LinkLife>>,
    /// Servers that run at the end of only one of the runs.
    pub running: Vec<Changed<bool>>,
    /// Records at the end, of servers that run at the end of both runs.
    pub held: Vec<HeldDiff>,
    /// How often things happened: messages of each kind, connections, accepted updates.
    pub counts: Vec<Changed<u64>>,
    /// The first event that differs, except in boot ids. Two runs with equal results can still do
    /// something at another time or in another order, so this is reported but is no difference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<Parting>,
}

/// One of the two runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Side {
    /// The scenario's name.
    pub scenario: String,
    /// The seed of the run.
    pub seed: Recipe,
    /// The number of events.
    pub events: usize,
    /// How many expectations passed and failed.
    pub verdict: Verdict,
}

/// A fact that differs between the runs. A side is `None` where the run does not have the fact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Changed<T> {
    /// The fact's name.
    pub what: String,
    /// The value in the first run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub a: Option<T>,
    /// The value in the second run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub b: Option<T>,
}

/// An update that spread differently in the two runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UpdateDiff {
    /// Where the update was sent, whether it was accepted and what it cost.
    #[serde(flatten)]
    pub way: Changed<UpdateOutcome>,
    /// The servers that the update reached differently. Empty if only one run has the update.
    pub servers: Vec<Changed<FirstArrival>>,
}

/// A client whose record at the end differs between the runs on some servers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HeldDiff {
    /// The client.
    pub client: String,
    /// The servers with this difference: within a run they all hold the same record.
    pub servers: Vec<String>,
    /// The record in the first run; `None` without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub a: Option<String>,
    /// The record in the second run; `None` without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub b: Option<String>,
}

/// The first event at which two runs diverge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Parting {
    /// The number of the event, from 1.
    pub event: usize,
    /// The event in the first run; `None` if that run had ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub a: Option<Moment>,
    /// The event in the second run; `None` if that run had ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub b: Option<Moment>,
}

/// An event in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Moment {
    /// Nanoseconds since the run began.
    pub at: u64,
    /// The server, client or other part to which it belongs.
    pub who: String,
    /// The event in words, without random ids.
    pub what: String,
}

impl Diff {
    /// Whether both runs had the same results. The input may differ, and so may the times and order
    /// of events that leave no trace in the results.
    pub fn is_same(&self) -> bool {
        self.parts().iter().all(|(_, count)| *count == 0)
    }

    /// The number of differences of each kind.
    pub fn parts(&self) -> [(&'static str, usize); 9] {
        [
            ("update", self.updates.len()),
            ("workload", self.workloads.len()),
            ("line of clients", self.lines.len()),
            ("fault", self.faults.len()),
            ("expectation", self.expectations.len()),
            ("link", self.links.len()),
            ("running server", self.running.len()),
            ("held record", self.held.len()),
            ("count", self.counts.len()),
        ]
    }
}

/// Compares run `b` with run `a`.
pub fn compare(a: &Trace, b: &Trace) -> Diff {
    let loads: Vec<WorkloadShape> = (a.header.workloads.iter().chain(&b.header.workloads))
        .cloned()
        .collect();
    let [states_a, states_b] = [a, b].map(facts::at_the_end);
    let running = |ends: &IndexMap<String, Option<facts::Records>>| -> IndexMap<String, bool> {
        let ends = ends.iter();
        ends.map(|(name, held)| (name.clone(), held.is_some()))
            .collect()
    };
    Diff {
        a: side(a),
        b: side(b),
        ran: changed(facts::ran(a), facts::ran(b)),
        updates: updates(a, b, &loads),
        workloads: changed(facts::workloads(a), facts::workloads(b)),
        lines: changed(facts::lines(a, &loads), facts::lines(b, &loads)),
        faults: changed(facts::faults(a), facts::faults(b)),
        expectations: changed(facts::expectations(a), facts::expectations(b)),
        links: changed(facts::links(a), facts::links(b)),
        running: changed(running(&states_a), running(&states_b)),
        held: held(&states_a, &states_b),
        counts: changed(facts::counts(a), facts::counts(b)),
        first: parting(a, b),
    }
}

fn side(trace: &Trace) -> Side {
    Side {
        scenario: trace.header.scenario.clone(),
        seed: trace.header.seed.clone(),
        events: trace.events.len(),
        verdict: trace.verdict(),
    }
}

/// The facts that differ: first those of `a`, in its order, then those that only `b` has.
fn changed<T: PartialEq>(a: IndexMap<String, T>, mut b: IndexMap<String, T>) -> Vec<Changed<T>> {
    let mut found = Vec::new();
    for (what, a) in a {
        let b = b.shift_remove(&what);
        if b.as_ref() != Some(&a) {
            found.push(Changed {
                what,
                a: Some(a),
                b,
            });
        }
    }
    found.extend(b.into_iter().map(|(what, b)| Changed {
        what,
        a: None,
        b: Some(b),
    }));
    found
}

fn updates(a: &Trace, b: &Trace, loads: &[WorkloadShape]) -> Vec<UpdateDiff> {
    let both = |trace| {
        let ways = facts::updates(trace, loads);
        ways.collect::<IndexMap<String, (UpdateOutcome, IndexMap<String, FirstArrival>)>>()
    };
    let found = changed(both(a), both(b)).into_iter().map(|changed| {
        let Changed { what, a, b } = changed;
        let ((a, heard_a), (b, heard_b)) = (a.unzip(), b.unzip());
        UpdateDiff {
            way: Changed { what, a, b },
            servers: match (heard_a, heard_b) {
                (Some(a), Some(b)) => self::changed(a, b),
                // If only one run has the update, that is the whole difference.
                _ => Vec::new(),
            },
        }
    });
    found.collect()
}

fn held(
    a: &IndexMap<String, Option<facts::Records>>,
    b: &IndexMap<String, Option<facts::Records>>,
) -> Vec<HeldDiff> {
    let mut found: BTreeMap<(String, Option<String>, Option<String>), Vec<String>> =
        BTreeMap::new();
    for (server, held) in a {
        let (Some(in_a), Some(Some(in_b))) = (held, b.get(server)) else {
            continue;
        };
        for Changed { what, a, b } in changed(in_a.clone(), in_b.clone()) {
            found.entry((what, a, b)).or_default().push(server.clone());
        }
    }
    let found = found.into_iter().map(|((client, a, b), servers)| HeldDiff {
        client,
        servers,
        a,
        b,
    });
    found.collect()
}

fn parting(a: &Trace, b: &Trace) -> Option<Parting> {
    let most = a.events.len().max(b.events.len());
    let [in_a, in_b] = [a, b].map(|trace| move |at: usize| trace.events.get(at));
    let differ = |at: &usize| match (in_a(*at), in_b(*at)) {
        (Some(a), Some(b)) => a != b && moment(a) != moment(b),
        _ => true,
    };
    let at = (0..most).find(differ)?;
    Some(Parting {
        event: at + 1,
        a: in_a(at).map(moment),
        b: in_b(at).map(moment),
    })
}

/// An event in words, without the boot id, which is random and differs from seed to seed.
fn moment(event: &Event) -> Moment {
    let what = match &event.what {
        EventKind::Started { .. } => "starts".to_owned(),
        EventKind::LineIn { line, .. } | EventKind::LineOut { line, .. }
            if line.0.starts_with(b"HELLO ") =>
        {
            let words = event.what.to_string();
            let (greeting, _) = words.rsplit_once(' ').unwrap_or((&words, ""));
            greeting.to_owned()
        }
        what => what.to_string(),
    };
    Moment {
        at: event.at,
        who: event.who.name().to_owned(),
        what,
    }
}

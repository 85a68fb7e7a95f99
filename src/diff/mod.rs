//! Compares two runs: not their text, but what changed between them.
//!
//! [`compare`] is a pure function over two traces. What one run says of itself is taken out of each by the
//! same functions (`facts`), by name and number and never by an event's id, and what is not the same is
//! kept with both its values. [`text`] tells it in sentences, with the second run seen from the first.

mod facts;
#[cfg(test)]
mod tests;
mod words;

use std::collections::BTreeMap;

use indexmap::IndexMap;
use serde::Serialize;

use crate::journal::{Event, EventKind};
use crate::trace::{Trace, Verdict, WorkloadShape};

pub use facts::{Exchange, Fault, FirstArrival, LinkLife, Load, Outcome, UpdateOutcome};
pub use words::text;

/// What changed from one run to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diff {
    /// The first run.
    pub a: Side,
    /// The second.
    pub b: Side,
    /// What ran: seed, latencies, versions. That it differs is reported and is no difference of the outcome.
    pub ran: Vec<Changed<String>>,
    /// The ways of updates, by what expectations call them.
    pub updates: Vec<UpdateDiff>,
    /// Workloads, as a whole: what their clients say is the seed's.
    pub workloads: Vec<Changed<Load>>,
    /// What clients said and were answered, by client and number.
    pub lines: Vec<Changed<Exchange>>,
    /// What the harness did.
    pub faults: Vec<Changed<Fault>>,
    /// What was expected and what came.
    pub expectations: Vec<Changed<Outcome>>,
    /// How links fared.
    pub links: Vec<Changed<LinkLife>>,
    /// Whether a server runs at the end.
    pub running: Vec<Changed<bool>>,
    /// What servers that run at the end of both hold then.
    pub held: Vec<HeldDiff>,
    /// How often things happened: messages of each kind, connections, records taken in.
    pub counts: Vec<Changed<u64>>,
    /// The first event that is not the same, boot ids aside. Two runs can differ in nothing above and still do
    /// something at another time or in another order; that is reported and is no difference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<Parting>,
}

/// One of the two runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Side {
    /// The scenario's name.
    pub scenario: String,
    /// The seed that it ran with.
    pub seed: u64,
    /// How many events there were.
    pub events: usize,
    /// The verdict on its expectations.
    pub verdict: Verdict,
}

/// Something that is not the same in both runs; a side is absent where there is no such thing in that run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Changed<T> {
    /// What it is.
    pub what: String,
    /// In the first run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub a: Option<T>,
    /// In the second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub b: Option<T>,
}

/// An update that did not go the same way in both runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UpdateDiff {
    /// Where it was said, what became of it and what it cost.
    #[serde(flatten)]
    pub way: Changed<UpdateOutcome>,
    /// The servers that did not hear of it in the same way.
    pub servers: Vec<Changed<FirstArrival>>,
}

/// A client for which some servers hold something else at the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HeldDiff {
    /// The client.
    pub client: String,
    /// The servers, which all hold the same of it in each run.
    pub servers: Vec<String>,
    /// The record in the first run, if they hold one there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub a: Option<String>,
    /// In the second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub b: Option<String>,
}

/// Where two runs part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Parting {
    /// The number of the first event that differs.
    pub event: usize,
    /// It in the first run, unless that was over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub a: Option<Moment>,
    /// In the second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub b: Option<Moment>,
}

/// An event in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Moment {
    /// Nanoseconds since the run began.
    pub at: u64,
    /// Who did it.
    pub who: String,
    /// What it was.
    pub what: String,
}

impl Diff {
    /// Whether both runs had the same outcome: nothing differs but what ran, and perhaps when and in which order
    /// things happened of which nobody could tell afterwards.
    pub fn is_same(&self) -> bool {
        self.parts().iter().all(|(_, count)| *count == 0)
    }

    /// How many differences there are of each kind.
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

/// What changed from `a` to `b`.
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
        seed: trace.header.seed,
        events: trace.events.len(),
        verdict: trace.verdict(),
    }
}

/// What is not the same in both: first what `a` has, in its order, then what only `b` has.
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
                // An update that is only in one of them went its own way altogether.
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

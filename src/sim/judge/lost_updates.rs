//! Whether the last updates for which clients got an answer are kept by every server that runs at the end.

use std::collections::{BTreeMap, BTreeSet};

use crate::herd::Name;
use crate::journal::{Event, EventId, EventKind};
use crate::protocol::escape;
use crate::protocol::record::Record;
use crate::scenario::{Action, ClientStep, Scenario, Step};
use crate::sim::client::Outcome;
use crate::trace::state::State;
use crate::trace::{Judgement, Trace};

/// The maximum number of lost updates that are listed; the others are counted.
const MOST_TOLD: usize = 5;

/// Of the clients of these names.
pub(in crate::sim) fn of_clients(
    scenario: &Scenario,
    clients: &[Name],
    outcomes: &[Outcome],
    trace: &Trace,
) -> Judgement {
    let is_theirs = |_: &Step, client: &ClientStep| clients.contains(&client.client);
    let names: Vec<&str> = clients.iter().map(|name| &**name).collect();
    let judgement = judge(scenario, &names.join(", "), is_theirs, outcomes, trace);
    let is_unanswered = |name: &&Name| {
        let is_its = |_: &Step, client: &ClientStep| client.client == **name;
        newest(scenario, is_its, outcomes).is_empty()
    };
    let unanswered = clients.iter().filter(is_unanswered);
    let unanswered: Vec<&str> = unanswered.map(|name| &**name).collect();
    if unanswered.is_empty() || !judgement.passed {
        return judgement;
    }
    Judgement {
        passed: false,
        actual: format!("no update was answered of {}", unanswered.join(", ")),
        ..judgement
    }
}

/// Judges the updates of all clients whose steps are `theirs`, called `name`.
pub(in crate::sim) fn judge(
    scenario: &Scenario,
    name: &str,
    theirs: impl Fn(&Step, &ClientStep) -> bool,
    outcomes: &[Outcome],
    trace: &Trace,
) -> Judgement {
    let newest = newest(scenario, theirs, outcomes);
    let state = State::at(&trace.events, u64::MAX);
    let mut lost: Vec<(String, Vec<EventId>)> = Vec::new();
    for (server, running) in state.servers() {
        for (id, (record, said)) in &newest {
            let held = running.held.get(id.as_slice()).copied();
            let holds = held.and_then(record_of);
            let is_kept = |held: &Record| held == record || held.supersedes(record);
            if !holds.as_ref().is_some_and(is_kept) {
                let holds = holds.map_or("nothing".to_owned(), |held| escape(held.text()));
                let (client, record) = (escape(id), escape(record.text()));
                let told = format!("{server} holds of {client} {holds}, not {record}");
                let events = said.iter().copied().chain(held.map(|event| event.id));
                lost.push((told, events.collect()));
            }
        }
    }
    let (clients, servers) = (newest.len(), state.servers().len());
    let all = format!("the newest of each of {clients} at {servers} servers");
    let nobody = match (clients, servers) {
        (0, _) => Some("no update was answered"),
        (_, 0) => Some("no server runs"),
        _ => None,
    };
    let told = lost.iter().map(|(told, _)| told.clone()).collect();
    let actual = nobody.map_or_else(|| told_or(told, &all), str::to_owned);
    let held = lost.is_empty() && nobody.is_none();
    let events = lost.into_iter().take(MOST_TOLD);
    let events: BTreeSet<EventId> = events.flat_map(|(_, events)| events).collect();
    Judgement {
        about: format!("{name}: no answered update is lost"),
        passed: held,
        expected: all,
        actual,
        place: None,
        invariant: None,
        events: events.into_iter().collect(),
    }
}

/// By id the newest update that was answered, as the servers write it, and the event of saying it.
fn newest(
    scenario: &Scenario,
    theirs: impl Fn(&Step, &ClientStep) -> bool,
    outcomes: &[Outcome],
) -> BTreeMap<Vec<u8>, (Record, Option<EventId>)> {
    let mut newest: BTreeMap<Vec<u8>, (Record, Option<EventId>)> = BTreeMap::new();
    for outcome in outcomes {
        let step = &scenario.steps[outcome.place.step];
        let Action::Client(client) = &step.action else {
            continue;
        };
        let answer = outcome.answer.as_deref().filter(|_| theirs(step, client));
        let record = answer.and_then(|answer| answer.strip_prefix(b"AT ").and_then(Record::parse));
        let Some(record) = record else {
            continue;
        };
        let sent = client.lines[outcome.place.line]
            .send
            .update_id(outcome.place.repetition);
        if sent.as_deref() != Some(record.id()) {
            continue;
        }
        let older = newest.get(record.id());
        if older.is_none_or(|(older, _)| record.supersedes(older)) {
            newest.insert(record.id().to_vec(), (record, outcome.sent));
        }
    }
    newest
}

fn record_of(event: &Event) -> Option<Record> {
    match &event.what {
        EventKind::Accepted { record, .. } => Record::parse(&record.text()),
        _ => None,
    }
}

/// The first of these and how many more there are; `otherwise` if there are none.
pub(in crate::sim) fn told_or(told: Vec<String>, otherwise: &str) -> String {
    let more = told.len().saturating_sub(MOST_TOLD);
    let mut first: Vec<String> = told.into_iter().take(MOST_TOLD).collect();
    if first.is_empty() {
        return otherwise.to_owned();
    }
    if more > 0 {
        first.push(format!("and {more} more"));
    }
    first.join("; ")
}

//! No answered update is lost: of each client, every server that runs at the end holds the newest update that was
//! answered, or a newer one.

use std::collections::{BTreeMap, BTreeSet};

use super::observed::MOST_LISTED;
use super::read::{Declaration, Reading};
use crate::scenario::fields::{Field, Holds, field};
use super::{Expectation, Expected, Fields, Observed, first_and_more};
use crate::diag::{Problem, did_you_mean};
use crate::document::{Located, OneOrMany};
use crate::herd::Name;
use crate::journal::{Event, EventId};
use crate::protocol::escape;
use crate::protocol::record::Record;
use crate::scenario::{Action, ClientStep, Drawn, Step, clients_of};
use crate::trace::Judgement;
use crate::trace::state::State;

/// The clients whose updates must not be lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientSet {
    /// Those of a workload. There is exactly one of that name.
    Workload(Name),
    /// Those of these names in the steps.
    Clients(Vec<Name>),
}

const FLAG: Field = field("no_lost_updates", Holds::Flag, "For each of its clients that got an answer, every server that runs at the end holds the newest answered update, or a newer one.").written("no_lost_updates = true");

pub(super) const DECLARATIONS: &[Declaration] = &[
    Declaration {
        subject: field("workload", Holds::Text, "The workload that is meant, by its name."),
        fields: &[FLAG],
        read: of_a_workload,
    },
    Declaration {
        subject: field("client", Holds::Names, "Clients, by their names in the steps: `\"kiwi\"`, `\"load-3\"`, or a list."),
        fields: &[FLAG],
        read: of_clients,
    },
];

fn of_a_workload(reading: &mut Reading<'_, '_, '_>) -> Option<Expected> {
    let name = reading.get::<Located<String>>("workload")?;
    if !reading.has(FLAG.name) {
        reading.nothing_expected("of a workload, give `no_lost_updates = true`");
    }
    let steps = reading.known.written?;
    let workloads = || {
        steps.iter().filter_map(|step| match &step.action {
            Action::Workload(workload) => Some(workload),
            _ => None,
        })
    };
    match workloads().find(|workload| *workload.name == **name) {
        None => {
            let message = format!("there is no workload `{}`", **name);
            let known = workloads().map(|workload| &*workload.name);
            let help = did_you_mean(name, "workloads", known);
            let problem = Problem::error(reading.cx.source, name.span(), message);
            reading.cx.report(problem.help(help));
        }
        Some(workload) if workload.whatsat == 100 => {
            let message = format!(
                "`{}` only asks (`whatsat = 100`), so there is nothing of it to keep",
                **name
            );
            reading.cx.error(name.span(), message);
        }
        Some(_) => {}
    }
    Some(ClientSet::Workload(name.as_str().into()).into())
}

fn of_clients(reading: &mut Reading<'_, '_, '_>) -> Option<Expected> {
    let list = reading.get::<OneOrMany>("client")?;
    if !reading.has(FLAG.name) {
        reading.nothing_expected("of clients, give `no_lost_updates = true`");
    }
    let steps = reading.known.steps.as_deref()?;
    let names = clients_of(steps);
    let named = reading.cx.named(list, |cx, name| {
        let found = names.get(name.as_str()).cloned();
        if found.is_none() {
            let message = format!("there is no client `{}`", **name);
            let help = did_you_mean(name, "clients", names.iter().map(|name| &**name));
            cx.report(Problem::error(cx.source, name.span(), message).help(help));
        } else if !sends_updates(steps, name) {
            let message = format!(
                "`{}` sends no IAMAT, so there is nothing of it to keep",
                **name
            );
            cx.error(name.span(), message);
        }
        found
    })?;
    let clients = named.into_iter().map(|(name, _)| name);
    Some(ClientSet::Clients(clients.collect()).into())
}

/// Whether a client of this name sends any IAMAT.
fn sends_updates(steps: &[Step], name: &str) -> bool {
    steps.iter().any(|step| match &step.action {
        Action::Client(client) => {
            let mut lines = client.lines.iter();
            &*client.client == name && lines.any(|line| line.send.update_id(1).is_some())
        }
        Action::Workload(load) => (1..=load.clients).any(|number| &*load.client(number) == name),
        _ => false,
    })
}

impl Expectation for ClientSet {
    fn write(&self, fields: &mut Fields<'_>) {
        match self {
            Self::Workload(name) => fields.text("workload", name),
            Self::Clients(names) => fields.list("client", names),
        }
        fields.flag(FLAG.name);
    }

    fn judge(&self, run: &Observed<'_>) -> Vec<Judgement> {
        vec![match self {
            Self::Workload(name) => judge(run, name, |step, _| is_of(run, name, step)),
            Self::Clients(names) => judge_each(run, names),
        }]
    }

    fn in_any_order(&self) -> (Option<Expected>, Vec<&'static str>) {
        (Some(self.clone().into()), Vec::new())
    }

    fn is_about_all(&self) -> bool {
        true
    }
}

/// Whether a step was drawn for the workload of this name: such steps have its place.
fn is_of(run: &Observed<'_>, name: &Name, step: &Step) -> bool {
    let is_it = |step: &&Step| matches!(&step.action, Action::Drawn(Drawn::Workload(load)) if load.name == *name);
    let workload = run.scenario.steps.iter().find(is_it);
    workload.is_some_and(|workload| workload.span == step.span)
}

impl ClientSet {
    /// What they are called, and by id the newest update of each that was answered.
    pub(super) fn newest_answered(&self, run: &Observed<'_>) -> (String, BTreeMap<Vec<u8>, Record>) {
        let (name, newest) = match self {
            Self::Workload(name) => {
                let newest = newest(run, |step, _| is_of(run, name, step));
                (name.to_string(), newest)
            }
            Self::Clients(names) => {
                let newest = newest(run, |_, client| names.contains(&client.client));
                (names.join(", "), newest)
            }
        };
        let newest = newest.into_iter().map(|(id, (record, _))| (id, record));
        (name, newest.collect())
    }
}

/// Judges the clients of these names, each of which must have an answered update.
fn judge_each(run: &Observed<'_>, clients: &[Name]) -> Judgement {
    let is_theirs = |_: &Step, client: &ClientStep| clients.contains(&client.client);
    let names: Vec<&str> = clients.iter().map(|name| &**name).collect();
    let judgement = judge(run, &names.join(", "), is_theirs);
    let is_unanswered = |name: &&Name| {
        newest(run, |_, client| client.client == **name).is_empty()
    };
    let unanswered: Vec<&str> = (clients.iter().filter(is_unanswered))
        .map(|name| &**name)
        .collect();
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
fn judge(
    run: &Observed<'_>,
    name: &str,
    theirs: impl Fn(&Step, &ClientStep) -> bool,
) -> Judgement {
    let newest = newest(run, theirs);
    let state = State::at(&run.trace.events, u64::MAX);
    let mut lost: Vec<(String, Vec<EventId>)> = Vec::new();
    for (server, running) in state.servers() {
        for (id, (record, sent)) in &newest {
            let held = running.held.get(id.as_slice()).copied();
            let holds = held.and_then(record_of);
            let is_kept = |held: &Record| held == record || held.supersedes(record);
            if !holds.as_ref().is_some_and(is_kept) {
                let holds = holds.map_or("nothing".to_owned(), |held| escape(held.text()));
                let (client, record) = (escape(id), escape(record.text()));
                let words = format!("{server} holds of {client} {holds}, not {record}");
                let events = sent.iter().copied().chain(held.map(|event| event.id));
                lost.push((words, events.collect()));
            }
        }
    }
    let (clients, servers) = (newest.len(), state.servers().len());
    let all = format!("the newest of each of {clients} at {servers} servers");
    let vacuous = match (clients, servers) {
        (0, _) => Some("no update was answered"),
        (_, 0) => Some("no server runs"),
        _ => None,
    };
    let words = lost.iter().map(|(words, _)| words.clone()).collect();
    let actual = vacuous.map_or_else(|| first_and_more(words, &all), str::to_owned);
    let passed = lost.is_empty() && vacuous.is_none();
    let events = lost.into_iter().take(MOST_LISTED);
    let events: BTreeSet<EventId> = events.flat_map(|(_, events)| events).collect();
    Judgement {
        about: format!("{name}: no answered update is lost"),
        passed,
        expected: all,
        actual,
        place: None,
        note: None,
        invariant: None,
        events: events.into_iter().collect(),
    }
}

/// By id the newest update that was answered, as the servers write it, and the event of sending it.
fn newest(
    run: &Observed<'_>,
    theirs: impl Fn(&Step, &ClientStep) -> bool,
) -> BTreeMap<Vec<u8>, (Record, Option<EventId>)> {
    let mut newest: BTreeMap<Vec<u8>, (Record, Option<EventId>)> = BTreeMap::new();
    for outcome in run.outcomes {
        let step = &run.scenario.steps[outcome.line.step];
        let Action::Client(client) = &step.action else {
            continue;
        };
        let answer = outcome.answer.as_deref().filter(|_| theirs(step, client));
        let record = answer.and_then(|answer| answer.strip_prefix(b"AT ").and_then(Record::parse));
        let Some(record) = record else {
            continue;
        };
        let line = &client.lines[outcome.line.line];
        let sent = line.send.update_id(outcome.line.repetition);
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
    event.what.held().and_then(|record| Record::parse(&record.text()))
}

//! Expectations of servers: what they hold at a moment, and what they ask Places in the whole run.

use std::time::Duration;

use super::observed::compare;
use super::read::{AT, Declaration, Reading};
use crate::scenario::fields::{Holds, field};
use super::{Expectation, Expected, Fields, Observed, UpdateRef, failed};
use crate::document::{Located, OneOrMany};
use crate::herd::ServerId;
use crate::journal::{Event, EventId, EventKind, RecordText};
use crate::protocol::escape;
use crate::trace::Judgement;
use crate::trace::propagation::{Fate, Propagation};
use crate::trace::state::State;
use crate::units::{DurationText, format_duration};

/// What is expected of servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerExpectation {
    /// Which. Never empty.
    pub servers: Vec<ServerId>,
    /// The moment at which each check is made that looks at one; the end of the run, if not
    /// given.
    pub at: Option<Duration>,
    /// What must be true of each. Never empty.
    pub checks: Vec<ServerCheck>,
}

/// Something that must be true of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerCheck {
    /// At the moment that is looked at.
    State(StateCheck),
    /// The number of client queries that were passed on to Places in the whole run.
    LookUps(u64),
    /// The number of its requests that reached Places in the whole run.
    Requests(u64),
}

/// Something that must be true of a server at some moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StateCheck {
    /// It holds exactly this update of its client.
    Holds(UpdateRef),
    /// It holds nothing of the client of this id.
    Lacks(Vec<u8>),
    /// The number of clients of which it holds records.
    Records(u64),
}

pub(super) const DECLARATIONS: &[Declaration] = &[Declaration {
    subject: field("server", Holds::Names, "Servers: a name, a list, or `\"all\"`. At least one of `holds`, `lacks`, `records`, `lookups` and `requests` says what must be true of each."),
    fields: &[
        AT,
        field("holds", Holds::Names, "It holds exactly these updates, each as its client's newest: `\"kiwi#2\"`, or a list."),
        field("lacks", Holds::Names, "It holds no record of these clients, given by their ids."),
        field("records", Holds::Count, "It holds records of this number of clients."),
        field("lookups", Holds::Count, "This number of its clients' questions went on to Places, in the whole run."),
        field("requests", Holds::Count, "This number of its requests reached Places, in the whole run."),
    ],
    read,
}];

fn read(reading: &mut Reading<'_, '_, '_>) -> Option<Expected> {
    let servers = reading.cx.servers(reading.get("server")?);
    let at = reading.moment("at");
    let (holds, lacks) = (
        reading.get::<OneOrMany>("holds"),
        reading.get::<OneOrMany>("lacks"),
    );
    let mut checks = Vec::new();
    for text in holds.into_iter().flat_map(OneOrMany::items) {
        let held = reading.update_ref(text);
        checks.extend(held.map(StateCheck::Holds));
    }
    for id in lacks.into_iter().flat_map(OneOrMany::items) {
        let lacked = reading.client_id(id);
        checks.extend(lacked.map(StateCheck::Lacks));
    }
    for list in [holds, lacks].into_iter().flatten() {
        reading.not_empty(list, "no client is named here");
    }
    checks.extend(reading.count("records").map(StateCheck::Records));
    let counts = [
        reading.count("lookups").map(ServerCheck::LookUps),
        reading.count("requests").map(ServerCheck::Requests),
    ];
    let looks_at_a_moment = ["holds", "lacks", "records"]
        .iter()
        .any(|field| reading.has(field));
    let written = reading.get::<Located<DurationText>>("at");
    if let Some(at) = written.filter(|_| !looks_at_a_moment && counts.iter().any(Option::is_some)) {
        let message = "`lookups` and `requests` count over the whole run, so `at` has no meaning";
        reading.cx.error(at.span(), message);
    }
    reading.needs_one_of(&["holds", "lacks", "records", "lookups", "requests"]);
    let states = checks.into_iter().map(ServerCheck::State);
    let servers = servers?;
    let checks = states.chain(counts.into_iter().flatten()).collect();
    Some(
        ServerExpectation {
            servers,
            at,
            checks,
        }
        .into(),
    )
}

impl Expectation for ServerExpectation {
    fn write(&self, fields: &mut Fields<'_>) {
        fields.servers("server", &self.servers);
        if let Some(at) = self.at {
            fields.duration("at", at);
        }
        let (mut holds, mut lacks, mut counts) = (Vec::new(), Vec::new(), Vec::new());
        for check in &self.checks {
            match check {
                ServerCheck::State(StateCheck::Holds(update)) => holds.push(update.text.clone()),
                ServerCheck::State(StateCheck::Lacks(id)) => lacks.push(escape(id)),
                ServerCheck::State(StateCheck::Records(count)) => counts.push(("records", *count)),
                ServerCheck::LookUps(count) => counts.push(("lookups", *count)),
                ServerCheck::Requests(count) => counts.push(("requests", *count)),
            }
        }
        fields.list("holds", &holds);
        fields.list("lacks", &lacks);
        for (name, count) in counts {
            fields.count(name, count);
        }
    }

    fn judge(&self, run: &Observed<'_>) -> Vec<Judgement> {
        let state = run.state(self.at);
        let when = when(self.at);
        let mut judgements = Vec::new();
        for &server in &self.servers {
            let name = run.name(server);
            judgements.extend(self.checks.iter().map(|check| match (check, &state) {
                (ServerCheck::LookUps(expected), _) => look_ups(run, name, *expected),
                (ServerCheck::Requests(expected), _) => requests(run, name, *expected),
                (ServerCheck::State(check), Ok(state)) => judge(run, state, name, &when, check),
                (ServerCheck::State(check), Err(over)) => {
                    let (about, expected) = words(run, name, &when, check);
                    failed(about, &expected, over)
                }
            }));
        }
        judgements
    }

    fn in_any_order(&self) -> (Option<Expected>, Vec<&'static str>) {
        if self.at.is_none() {
            return (Some(self.clone().into()), Vec::new());
        }
        let is_of_the_run = |check: &&ServerCheck| !matches!(check, ServerCheck::State(_));
        let checks: Vec<_> = self.checks.iter().filter(is_of_the_run).cloned().collect();
        let kept = (!checks.is_empty()).then(|| Self {
            servers: self.servers.clone(),
            at: None,
            checks,
        });
        (kept.map(Expected::from), vec!["at"])
    }

    fn updates(&self) -> Vec<&UpdateRef> {
        let checks = self.checks.iter();
        let held = checks.filter_map(|check| match check {
            ServerCheck::State(StateCheck::Holds(update)) => Some(update),
            _ => None,
        });
        held.collect()
    }

    fn is_about_answers(&self) -> bool {
        let counts = |check: &ServerCheck| !matches!(check, ServerCheck::State(_));
        self.checks.iter().any(counts)
    }
}

/// A moment in words.
pub(super) fn when(at: Option<Duration>) -> String {
    match at {
        Some(at) => format!("at {}", format_duration(at)),
        None => "at the end".to_owned(),
    }
}

/// What a check of a server at a moment is about, and what is expected.
fn words(run: &Observed<'_>, name: &str, when: &str, check: &StateCheck) -> (String, String) {
    match check {
        StateCheck::Holds(update) => {
            let id = escape(&update.client_id);
            let about = format!("{name} {when}: its record of {id}");
            let found = run.propagation(update);
            let expected = found.map_or(&update.text, |found| &found.name);
            (about, expected.clone())
        }
        StateCheck::Lacks(id) => {
            let about = format!("{name} {when}: its record of {}", escape(id));
            (about, "none".to_owned())
        }
        StateCheck::Records(count) => (format!("{name} {when}: records"), count.to_string()),
    }
}

fn judge(
    run: &Observed<'_>,
    state: &State<'_>,
    name: &str,
    when: &str,
    check: &StateCheck,
) -> Judgement {
    let (about, expected) = words(run, name, when, check);
    let Some(server) = state.server(name) else {
        return failed(about, &expected, "the server does not run");
    };
    let held = |id: &[u8]| server.held.get(id).copied();
    match check {
        StateCheck::Holds(update) => {
            let held = held(&update.client_id);
            holds(run, about, &expected, run.propagation(update), held)
        }
        StateCheck::Lacks(id) => {
            let held = held(id);
            let actual = held.map_or_else(|| "none".to_owned(), |held| held_name(run, held));
            let events = held.map(|held| held.id).into_iter().collect();
            compare(about, &expected, &actual, events)
        }
        StateCheck::Records(_) => {
            let events = server.held.values().map(|held| held.id).collect();
            compare(about, &expected, &server.held.len().to_string(), events)
        }
    }
}

fn holds(
    run: &Observed<'_>,
    about: String,
    expected: &str,
    wanted: Option<&Propagation>,
    held: Option<&Event>,
) -> Judgement {
    let actual = match (held, wanted.map(|wanted| &wanted.fate)) {
        (Some(held), _) => held_name(run, held),
        (None, Some(Fate::Unheard)) => format!("none: {expected} was never heard"),
        (None, Some(Fate::Refused(_))) => format!("none: {expected} was refused"),
        (None, _) => "none".to_owned(),
    };
    let found = held.and_then(record);
    Judgement {
        passed: found.is_some() && found == wanted.and_then(|wanted| first_record(run, wanted)),
        events: held.map(|held| held.id).into_iter().collect(),
        ..failed(about, expected, &actual)
    }
}

/// The record that an update became at its origin.
fn first_record<'a>(run: &Observed<'a>, update: &Propagation) -> Option<&'a RecordText<'static>> {
    let first = update.arrivals.first()?;
    record(run.trace.event(first.event)?)
}

/// What the report calls the update that was accepted.
fn held_name(run: &Observed<'_>, held: &Event) -> String {
    let held = record(held);
    let same = |update: &&Propagation| first_record(run, update) == held;
    match (run.trace.updates.iter().find(same), held) {
        (Some(update), _) => update.name.clone(),
        (None, Some(record)) => format!("{} of {}", record.client, record.time),
        (None, None) => "none".to_owned(),
    }
}

fn record(accepted: &Event) -> Option<&RecordText<'static>> {
    match &accepted.what {
        EventKind::Accepted { record, .. } => Some(record),
        _ => None,
    }
}

fn look_ups(run: &Observed<'_>, name: &str, expected: u64) -> Judgement {
    let is_its = |event: &&Event| {
        event.who.name() == name && matches!(event.what, EventKind::LookUp { .. })
    };
    let events = run.trace.events.iter().filter(is_its);
    let events: Vec<EventId> = events.map(|event| event.id).collect();
    let actual = events.len() as u64;
    compare(format!("{name}: look-ups"), &expected, &actual, events)
}

/// A request is caused by the look-up that sent it.
fn requests(run: &Observed<'_>, name: &str, expected: u64) -> Judgement {
    let look_up = |event: &Event| run.trace.event(event.cause?);
    let events: Vec<EventId> = (run.trace.events.iter())
        .filter(|event| matches!(event.what, EventKind::PlacesAsked { .. }))
        .filter(|event| look_up(event).is_some_and(|cause| cause.who.name() == name))
        .map(|event| event.id)
        .collect();
    let actual = events.len() as u64;
    let about = format!("{name}: requests to Places");
    compare(about, &expected, &actual, events)
}

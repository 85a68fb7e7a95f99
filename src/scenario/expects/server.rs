//! Expectations of servers: what they hold at a moment, and what they ask Places in the whole run.

use super::observed::{compare, compare_count};
use super::read::{Declaration, Reading};
use super::window::{AFTER, ALWAYS, AT, BEFORE, EVENTUALLY, FROM, Moments, NEVER, UNTIL, WITHIN, Window};
use super::{Expectation, Expected, Fields, Observed, UpdateRef, failed};
use crate::document::OneOrMany;
use crate::herd::ServerId;
use crate::journal::{Event, EventKind, RecordText};
use crate::protocol::escape;
use crate::scenario::fields::{Holds, RawValue, field};
use crate::trace::Judgement;
use crate::trace::propagation::{Fate, Propagation};
use crate::scenario::CountRange;

/// What is expected of servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerExpectation {
    /// Which. Never empty.
    pub servers: Vec<ServerId>,
    /// The moments at which a state is looked at.
    pub moments: Moments,
    /// What is counted, is counted in this part of the run.
    pub window: Window,
    /// What must be true of each. Never empty.
    pub checks: Vec<ServerCheck>,
}

/// Something that must be true of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerCheck {
    /// At the moments that are looked at.
    State(StateCheck),
    /// The number of client queries that were passed on to Places.
    LookUps(CountRange),
    /// The number of its requests that reached Places.
    Requests(CountRange),
}

/// Something that must be true of a server at some moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StateCheck {
    /// It holds exactly this update of its client.
    Holds(UpdateRef),
    /// It holds nothing of the client of this id.
    Lacks(Vec<u8>),
    /// The number of clients of which it holds records.
    Records(CountRange),
}

pub(super) const DECLARATIONS: &[Declaration] = &[Declaration {
    subject: field("server", Holds::Names, "Servers: a name, a list, or `\"all\"`. At least one of `holds`, `lacks`, `records`, `lookups` and `requests` says what must be true of each."),
    fields: &[
        AT,
        ALWAYS,
        NEVER,
        EVENTUALLY,
        FROM,
        AFTER,
        UNTIL,
        BEFORE,
        WITHIN,
        field("holds", Holds::Names, "It holds exactly these updates, each as its client's newest: `\"kiwi#2\"`, or a list."),
        field("lacks", Holds::Names, "It holds no record of these clients, given by their ids."),
        field("records", Holds::Amount, "It holds records of this number of clients."),
        field("lookups", Holds::Amount, "This number of its clients' questions went on to Places, in the whole run or as `from` and the fields like it say."),
        field("requests", Holds::Amount, "This number of its requests reached Places, in the same time."),
    ],
    read,
}];

/// The fields that say how a server is.
const STATES: [&str; 3] = ["holds", "lacks", "records"];

fn read(reading: &mut Reading<'_, '_, '_>) -> Option<Expected> {
    let servers = reading.cx.servers(reading.get("server")?);
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
    checks.extend(reading.amount("records").map(StateCheck::Records));
    let counts = [
        reading.amount("lookups").map(ServerCheck::LookUps),
        reading.amount("requests").map(ServerCheck::Requests),
    ];
    let has_state = STATES.iter().any(|field| reading.has(field));
    let has_counts = counts.iter().any(Option::is_some);
    let written = reading.raw.get(AT.name).and_then(RawValue::place);
    if let Some(at) = written.filter(|_| !has_state && has_counts) {
        let message = "`lookups` and `requests` count over the whole run, so `at` has no meaning";
        reading.cx.error(at, message);
    }
    let needs = "one of `holds`, `lacks` and `records`";
    let moments = reading.moments(needs, has_state, has_counts);
    let window = match &moments {
        Moments::In(_, window) => window.clone(),
        Moments::At(_) if has_counts && !has_state => reading.window(),
        Moments::At(_) => Window::default(),
    };
    reading.needs_one_of(&["holds", "lacks", "records", "lookups", "requests"]);
    let states = checks.into_iter().map(ServerCheck::State);
    let servers = servers?;
    let checks = states.chain(counts.into_iter().flatten()).collect();
    Some(
        ServerExpectation {
            servers,
            moments,
            window,
            checks,
        }
        .into(),
    )
}

impl Expectation for ServerExpectation {
    fn write(&self, fields: &mut Fields<'_>) {
        fields.servers("server", &self.servers);
        match &self.moments {
            Moments::At(None) => self.window.write(fields),
            moments => moments.write(fields),
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
            fields.amount(name, count);
        }
    }

    fn judge(&self, run: &Observed<'_>) -> Vec<Judgement> {
        let mut judgements = Vec::new();
        for &server in &self.servers {
            let name = run.name(server);
            judgements.extend(self.checks.iter().map(|check| match check {
                ServerCheck::LookUps(expected) => look_ups(run, name, &self.window, *expected),
                ServerCheck::Requests(expected) => requests(run, name, &self.window, *expected),
                ServerCheck::State(check) => state(run, name, &self.moments, check),
            }));
        }
        judgements
    }

    fn in_any_order(&self) -> (Option<Expected>, Vec<&'static str>) {
        if self.moments.is_end() && self.window == Window::default() {
            return (Some(self.clone().into()), Vec::new());
        }
        let is_of_the_run = |check: &&ServerCheck| !matches!(check, ServerCheck::State(_));
        let is_of_a_part = self.window != Window::default();
        let checks: Vec<_> = (self.checks.iter())
            .filter(|check| is_of_the_run(check) && !is_of_a_part)
            .cloned()
            .collect();
        let kept = (!checks.is_empty()).then(|| Self {
            servers: self.servers.clone(),
            moments: Moments::At(None),
            window: Window::default(),
            checks,
        });
        let left_out = match self.moments {
            Moments::At(Some(_)) => AT.name,
            Moments::In(quantifier, _) => quantifier.word(),
            Moments::At(None) => "a part of the run",
        };
        (kept.map(Expected::from), vec![left_out])
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

/// What a check of a server at a moment is about, and what is expected.
fn words(run: &Observed<'_>, name: &str, when: &str, check: &StateCheck) -> (String, String) {
    match check {
        StateCheck::Holds(update) => {
            let id = escape(&update.client_id);
            let about = format!("{name}{when}: its record of {id}");
            let found = run.propagation(update);
            let expected = found.map_or(&update.text, |found| &found.name);
            (about, expected.clone())
        }
        StateCheck::Lacks(id) => {
            let about = format!("{name}{when}: its record of {}", escape(id));
            (about, "none".to_owned())
        }
        StateCheck::Records(count) => (format!("{name}{when}: records"), count.to_string()),
    }
}

/// A server that does not run has no state.
fn state(run: &Observed<'_>, name: &str, moments: &Moments, check: &StateCheck) -> Judgement {
    let (about, expected) = words(run, name, &moments.words(), check);
    let concerns = |event: &Event| event.who.name() == name;
    moments.judge(run, (about.clone(), &expected), concerns, |state| {
        let server = state.server(name).ok_or("the server does not run")?;
        let held = |id: &[u8]| server.held.get(id).copied();
        let about = about.clone();
        Ok(match check {
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
            StateCheck::Records(count) => {
                let events = server.held.values().map(|held| held.id).collect();
                compare_count(about, *count, events)
            }
        })
    })
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

fn record(held: &Event) -> Option<&RecordText<'static>> {
    held.what.held()
}

fn look_ups(run: &Observed<'_>, name: &str, window: &Window, expected: CountRange) -> Judgement {
    count(run, format!("{name}{}: look-ups", window.words()), window, expected, |event| {
        event.who.name() == name && matches!(event.what, EventKind::LookUp { .. })
    })
}

/// A request is caused by the look-up that sent it.
fn requests(run: &Observed<'_>, name: &str, window: &Window, expected: CountRange) -> Judgement {
    let about = format!("{name}{}: requests to Places", window.words());
    count(run, about, window, expected, |event| {
        let look_up = || run.trace.event(event.cause?);
        matches!(event.what, EventKind::PlacesAsked { .. })
            && look_up().is_some_and(|cause| cause.who.name() == name)
    })
}

/// Compares the number of these events in a part of the run.
fn count(
    run: &Observed<'_>,
    about: String,
    window: &Window,
    expected: CountRange,
    is_one: impl Fn(&Event) -> bool,
) -> Judgement {
    match window.of(run) {
        Err(why) => failed(about, &expected.to_string(), &why),
        Ok(stretch) => {
            let events = stretch.events.iter().filter(|event| is_one(event));
            let counted = compare_count(about, expected, events.map(|event| event.id).collect());
            match stretch.check_whole(run) {
                // What comes later could only be too much.
                Err(why) if expected.most < u64::MAX => failed(counted.about, &counted.expected, &why),
                _ => counted,
            }
        }
    }
}

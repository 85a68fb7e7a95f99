//! What of an expectation can be judged by clients alone, where servers record nothing.
//!
//! At the end of such a run every server that can answer is asked by a WHATSAT for each client of the scenario. What it
//! tells is what it holds; by which way it got that, and when, nobody outside knows.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::observed::{compare, compare_count, failed};
use super::{
    Check, ClientSet, Expected, LineId, LinkCheck, Moments, Observed, Quantifier, ServerCheck,
    ServerExpectation, StateCheck, UpdateExpectation, UpdateRef, Window, first_and_more,
};
use crate::herd::ServerId;
use crate::journal::{Actor, ConnId, EventKind, PeerRole};
use crate::protocol::record::Record;
use crate::protocol::{escape, fields};
use crate::trace::{Judgement, Trace};

/// The client that asks servers at the end of a run. No client of a scenario has a name with a space in it.
pub(crate) const SURVEYOR: &str = "the harness";

/// What each server told at the end, by its name: of each client that it was asked for, its record if it has one.
pub(crate) struct Told<'a>(BTreeMap<&'a str, BTreeMap<Vec<u8>, Option<Record>>>);

/// What was judged, and in words what could not be.
pub(crate) type Outside = (Vec<Judgement>, Vec<String>);

impl<'a> Told<'a> {
    /// The last answer of each server to each question of the surveyor.
    pub(crate) fn of(trace: &'a Trace) -> Self {
        let mut servers: BTreeMap<ConnId, &str> = BTreeMap::new();
        let mut asked: BTreeMap<ConnId, Vec<u8>> = BTreeMap::new();
        let mut told: BTreeMap<&str, BTreeMap<Vec<u8>, Option<Record>>> = BTreeMap::new();
        let is_own = |who: &Actor| matches!(who, Actor::Client(name) if **name == *SURVEYOR);
        for event in trace.events.iter().filter(|event| is_own(&event.who)) {
            match &event.what {
                EventKind::Opened {
                    conn,
                    with: PeerRole::Server(name),
                    ..
                } => {
                    servers.insert(*conn, name);
                }
                EventKind::LineOut { conn, line } => {
                    let id = fields(&line.0).nth(1).unwrap_or_default();
                    asked.insert(*conn, id.to_vec());
                }
                EventKind::LineIn { conn, line } => {
                    let line = line.0.split(|&byte| byte == b'\n').next();
                    let line = line.and_then(|line| line.strip_prefix(b"AT "));
                    if let (Some(server), Some(id)) = (servers.get(conn), asked.remove(conn)) {
                        let held = line.and_then(Record::parse);
                        told.entry(server).or_default().insert(id, held);
                    }
                }
                _ => {}
            }
        }
        Self(told)
    }

    /// The server's record of a client; outer `None` if it was not asked.
    fn held(&self, server: &str, id: &[u8]) -> Option<&Option<Record>> {
        self.0.get(server)?.get(id)
    }
}

impl Expected {
    /// Judges by clients alone, as far as that goes.
    pub(crate) fn judge_outside(&self, run: &Observed<'_>, told: &Told<'_>) -> Outside {
        match self {
            Self::Update(expected) => update(expected, run, told),
            Self::Server(expected) => server(expected, run, told),
            Self::NoLostUpdates(clients) => (vec![no_lost_updates(clients, run, told)], Vec::new()),
            // Which invariants are judged is said where they are.
            Self::Invariants(_) => (Vec::new(), Vec::new()),
            Self::Link(_) => unseen("links"),
            Self::Log(_) => unseen("log"),
        }
    }
}

impl Expected {
    /// The same with this much more time wherever it gives a time, and with any moment of that where it gives a moment;
    /// `None` if it gives none.
    pub(crate) fn relaxed(&self, by: Duration) -> Option<Self> {
        let relaxed = match self {
            Self::Update(expected) => {
                let mut expected = expected.clone();
                for check in &mut expected.checks {
                    if let Check::Within { limit, .. } = check {
                        *limit += by;
                    }
                }
                Self::Update(expected)
            }
            Self::Log(expected) => Self::Log(expected.relaxed(by)?),
            Self::Server(expected) => {
                let mut expected = expected.clone();
                later(&mut expected.moments, by);
                Self::Server(expected)
            }
            Self::Link(expected) => {
                let mut expected = expected.clone();
                for check in &mut expected.checks {
                    match check {
                        LinkCheck::Is { moments, .. } => later(moments, by),
                        LinkCheck::SynchronisesWithin { limit, .. } => *limit += by,
                        LinkCheck::Brings { .. } => {}
                    }
                }
                Self::Link(expected)
            }
            Self::NoLostUpdates(_) | Self::Invariants(_) => return None,
        };
        (relaxed != *self).then_some(relaxed)
    }
}

impl Expected {
    /// What is left of it without the requests that Places got of each server, and whether there were any: real servers
    /// have one address.
    pub(crate) fn without_requests(&self) -> (Option<Self>, bool) {
        let Self::Server(expected) = self else {
            return (Some(self.clone()), false);
        };
        let mut expected = expected.clone();
        let all = expected.checks.len();
        let is_other = |check: &ServerCheck| !matches!(check, ServerCheck::Requests(_));
        expected.checks.retain(is_other);
        let has_some = expected.checks.len() < all;
        let rest = (!expected.checks.is_empty()).then_some(Self::Server(expected));
        (rest, has_some)
    }
}

fn later(moments: &mut Moments, by: Duration) {
    if let Moments::At(Some(at)) = *moments {
        let window = Window {
            from: at,
            until: Some(at + by),
            ..Window::default()
        };
        *moments = Moments::In(Quantifier::Eventually, window);
    }
}

fn unseen(what: &str) -> Outside {
    (Vec::new(), vec![format!("`{what}`")])
}

/// The record that its server made of an update, if it was answered.
fn record_of(run: &Observed<'_>, update: &UpdateRef) -> Option<Record> {
    let planned = run.planned().iter();
    let mut planned = planned.filter(|one| one.client_id == update.client_id);
    let planned = planned.find(|one| one.nth == update.nth)?;
    let line = LineId {
        step: planned.step,
        to: planned.to,
        repetition: planned.repetition,
        line: planned.line,
    };
    let outcome = run.outcomes.iter().find(|outcome| outcome.line == line)?;
    let answer = outcome.answer.as_deref()?.strip_prefix(b"AT ")?;
    Record::parse(answer)
}

fn update(expected: &UpdateExpectation, run: &Observed<'_>, told: &Told<'_>) -> Outside {
    let (mut judgements, mut left_out) = (Vec::new(), Vec::new());
    let name = &expected.update.text;
    let mut reached = BTreeSet::new();
    for check in &expected.checks {
        let seen = match *check {
            Check::Reaches(server) => Some((server, true)),
            Check::Misses(server) => Some((server, false)),
            ref other => {
                left_out.push(format!("{name}: `{}`", word_of(other)));
                // What has come some way, or by some time, has come.
                arrives_at(other).map(|server| (server, true))
            }
        };
        let Some((server, reaches)) = seen.filter(|&seen| reached.insert(seen)) else {
            continue;
        };
        let judgement = judge_reach(run, told, &expected.update, (server, reaches));
        if judgement.is_none() {
            let word = if reaches { "reaches" } else { "misses" };
            left_out.push(format!("{name}: {word} {}", run.name(server)));
        }
        judgements.extend(judgement);
    }
    (judgements, left_out)
}

/// Whether a server has an update at the end; `None` if it can't be told, since a newer one took its place, or since the
/// server could not be asked.
fn judge_reach(
    run: &Observed<'_>,
    told: &Told<'_>,
    update: &UpdateRef,
    (server, expected): (ServerId, bool),
) -> Option<Judgement> {
    let name = run.name(server);
    let about = format!("{}: reaches {name}", update.text);
    let say = |reached| if reached { "yes" } else { "no" };
    let Some(sent) = record_of(run, update) else {
        // What nobody answered can have gone anywhere, unless it was refused.
        let actual = "it was not answered";
        return (expected).then(|| failed(about, say(true), actual));
    };
    let held = told.held(name, &update.client_id)?.as_ref();
    if held.is_some_and(|held| held.supersedes(&sent)) {
        return None;
    }
    let reached = held == Some(&sent);
    Some(compare(about, &say(expected), &say(reached), Vec::new()))
}

/// The server at which an update must be there at some time, for this to be true.
fn arrives_at(check: &Check) -> Option<ServerId> {
    match *check {
        Check::Hops(server, _) | Check::Path(server, _) => Some(server),
        Check::Arrives(server) | Check::Within { server, .. } => server,
        _ => None,
    }
}

fn word_of(check: &Check) -> &'static str {
    match check {
        Check::Reaches(_) => "reaches",
        Check::Misses(_) => "misses",
        Check::Hops(..) => "hops",
        Check::Path(..) => "path",
        Check::Within { .. } => "within",
        Check::Arrives(_) => "after",
        Check::Sends(_) => "sends",
        Check::Useful(_) => "useful",
        Check::Duplicates(_) => "duplicates",
        Check::Ignored => "ignored",
        Check::Refused => "refused",
        Check::Unheard => "unheard",
    }
}

fn server(expected: &ServerExpectation, run: &Observed<'_>, told: &Told<'_>) -> Outside {
    let (mut judgements, mut left_out) = (Vec::new(), Vec::new());
    let is_end =
        matches!(expected.moments, Moments::At(None)) && expected.window == Window::default();
    for &server in &expected.servers {
        let name = run.name(server);
        for check in &expected.checks {
            let (word, check) = match check {
                ServerCheck::State(check) => ("state", Some(check)),
                ServerCheck::LookUps(_) => ("lookups", None),
                ServerCheck::Requests(_) => ("requests", None),
            };
            let judgement = check.filter(|_| is_end);
            match judgement.and_then(|check| state(run, told, name, check)) {
                Some(judgement) => judgements.push(judgement),
                None => left_out.push(format!("{name}: `{word}`")),
            }
        }
    }
    (judgements, left_out)
}

/// A server's records at the end; `None` if it could not be asked.
fn state(run: &Observed<'_>, told: &Told<'_>, name: &str, check: &StateCheck) -> Option<Judgement> {
    let show =
        |held: Option<&Record>| held.map_or_else(|| "none".to_owned(), |held| escape(held.text()));
    Some(match check {
        StateCheck::Holds(update) => {
            let held = told.held(name, &update.client_id)?.as_ref();
            let about = format!("{name}: its record of {}", escape(&update.client_id));
            match record_of(run, update) {
                Some(sent) => compare(about, &show(Some(&sent)), &show(held), Vec::new()),
                None => failed(about, &update.text, "it was not answered"),
            }
        }
        StateCheck::Lacks(id) => {
            let about = format!("{name}: its record of {}", escape(id));
            compare(
                about,
                &show(None),
                &show(told.held(name, id)?.as_ref()),
                Vec::new(),
            )
        }
        StateCheck::Records(count) => {
            let held = told.0.get(name)?.values().flatten().count();
            let about = format!("{name}: records of the scenario's clients");
            let counted = compare_count(about, *count, Vec::new());
            Judgement {
                passed: count.contains(held as u64),
                actual: held.to_string(),
                ..counted
            }
        }
    })
}

/// Every server that could be asked holds the newest update of each client that was answered, or a newer one.
fn no_lost_updates(clients: &ClientSet, run: &Observed<'_>, told: &Told<'_>) -> Judgement {
    let (name, newest) = clients.newest_answered(run);
    let mut lost = Vec::new();
    let mut asked: BTreeSet<&str> = BTreeSet::new();
    for (id, record) in &newest {
        for (server, held) in &told.0 {
            let Some(held) = held.get(id) else { continue };
            asked.insert(server);
            let is_kept = |held: &Record| held == record || held.supersedes(record);
            if !held.as_ref().is_some_and(is_kept) {
                let holds = held
                    .as_ref()
                    .map_or("nothing".to_owned(), |held| escape(held.text()));
                let (client, record) = (escape(id), escape(record.text()));
                lost.push(format!("{server} tells of {client} {holds}, not {record}"));
            }
        }
    }
    let all = format!(
        "the newest of each of {} at {} servers",
        newest.len(),
        asked.len()
    );
    let vacuous = newest.is_empty() || asked.is_empty();
    let actual = match vacuous {
        true if newest.is_empty() => "no update was answered".to_owned(),
        true => "no server could be asked".to_owned(),
        false => first_and_more(lost.clone(), &all),
    };
    Judgement {
        passed: lost.is_empty() && !vacuous,
        ..failed(format!("{name}: no answered update is lost"), &all, &actual)
    }
}

//! What was expected of servers, of links, and of what happens.

use std::time::Duration;

use super::{Judge, broken, compare};
use crate::herd::{Link, ServerId};
use crate::journal::{Event, EventId, EventKind, RecordText};
use crate::protocol::escape;
use crate::report::Printed;
use crate::scenario::{LinkCheck, LogCheck, ServerCheck, StateCheck, UpdateRef};
use crate::trace::Judgement;
use crate::trace::propagation::{Fate, Propagation};
use crate::trace::state::{LinkEnd, LinkState, State};
use crate::units::format_duration;

impl Judge<'_> {
    /// How it was at a moment; not after the run was over, as nobody saw that.
    fn state(&self, at: Option<Duration>) -> Result<State<'_>, String> {
        match at {
            Some(at) if at > self.lasted => Err(self.over()),
            at => Ok(State::at(&self.trace.events, at.map_or(u64::MAX, nanos))),
        }
    }

    pub(super) fn over(&self) -> String {
        format!("the run was over at {}", format_duration(self.lasted))
    }

    pub(super) fn servers(
        &self,
        servers: &[ServerId],
        at: Option<Duration>,
        checks: &[ServerCheck],
    ) -> Vec<Judgement> {
        let state = self.state(at);
        let mut judgements = Vec::new();
        for &server in servers {
            let name = self.name(server);
            judgements.extend(checks.iter().map(|check| match (check, &state) {
                (ServerCheck::LookUps(expected), _) => self.look_ups(name, *expected),
                (ServerCheck::Requests(expected), _) => self.requests(name, *expected),
                (ServerCheck::State(check), Ok(state)) => {
                    self.server(state, name, &when(at), check)
                }
                (ServerCheck::State(check), Err(over)) => {
                    let (about, expected) = self.server_words(name, &when(at), check);
                    broken(about, &expected, over)
                }
            }));
        }
        judgements
    }

    /// What a check of a server at a moment is about, and what is expected.
    fn server_words(&self, name: &str, when: &str, check: &StateCheck) -> (String, String) {
        match check {
            StateCheck::Holds(update) => {
                let id = escape(&update.client_id);
                let about = format!("{name} {when}: its record of {id}");
                (about, self.update_name(update))
            }
            StateCheck::Lacks(id) => {
                let about = format!("{name} {when}: its record of {}", escape(id));
                (about, "none".to_owned())
            }
            StateCheck::Records(count) => (format!("{name} {when}: records"), count.to_string()),
        }
    }

    fn update_name(&self, update: &UpdateRef) -> String {
        let propagation = self.propagation(update);
        propagation.map_or_else(|| update.text.clone(), |found| found.name.clone())
    }

    fn server(&self, state: &State<'_>, name: &str, when: &str, check: &StateCheck) -> Judgement {
        let (about, expected) = self.server_words(name, when, check);
        let Some(server) = state.server(name) else {
            return broken(about, &expected, "the server does not run");
        };
        let held = |id: &[u8]| server.held.get(id).copied();
        match check {
            StateCheck::Holds(update) => {
                self.holds(about, &expected, update, held(&update.client_id))
            }
            StateCheck::Lacks(id) => {
                let held = held(id);
                let actual = held.map_or_else(|| "none".to_owned(), |held| self.held_name(held));
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
        &self,
        about: String,
        expected: &str,
        update: &UpdateRef,
        held: Option<&Event>,
    ) -> Judgement {
        let wanted = self.propagation(update);
        let actual = match (held, wanted.map(|wanted| &wanted.fate)) {
            (Some(held), _) => self.held_name(held),
            (None, Some(Fate::Unheard)) => format!("none: {expected} was never heard"),
            (None, Some(Fate::Refused(_))) => format!("none: {expected} was refused"),
            (None, _) => "none".to_owned(),
        };
        let record = held.and_then(record);
        Judgement {
            passed: record.is_some() && record == wanted.and_then(|wanted| self.told(wanted)),
            events: held.map(|held| held.id).into_iter().collect(),
            ..compare(about, &expected, &actual.as_str(), Vec::new())
        }
    }

    /// The record that an update became where it was told.
    fn told(&self, update: &Propagation) -> Option<&RecordText<'static>> {
        let first = update.arrivals.first()?;
        record(self.trace.event(first.event)?)
    }

    /// What the report calls the update that was accepted.
    fn held_name(&self, held: &Event) -> String {
        let held = record(held);
        let same = |update: &&Propagation| self.told(update) == held;
        match (self.trace.updates.iter().find(same), held) {
            (Some(update), _) => update.name.clone(),
            (None, Some(record)) => format!("{} of {}", record.client, record.time),
            (None, None) => "none".to_owned(),
        }
    }

    fn look_ups(&self, name: &str, expected: u64) -> Judgement {
        let events: Vec<EventId> = (self.trace.events.iter())
            .filter(|event| {
                event.who.name() == name && matches!(event.what, EventKind::LookUp { .. })
            })
            .map(|event| event.id)
            .collect();
        let actual = events.len() as u64;
        compare(format!("{name}: look-ups"), &expected, &actual, events)
    }

    /// A request is caused by the look-up that sent it.
    fn requests(&self, name: &str, expected: u64) -> Judgement {
        let look_up = |event: &Event| self.trace.event(event.cause?);
        let events: Vec<EventId> = (self.trace.events.iter())
            .filter(|event| matches!(event.what, EventKind::PlacesAsked { .. }))
            .filter(|event| look_up(event).is_some_and(|cause| cause.who.name() == name))
            .map(|event| event.id)
            .collect();
        let actual = events.len() as u64;
        compare(
            format!("{name}: requests to Places"),
            &expected,
            &actual,
            events,
        )
    }

    pub(super) fn links(&self, links: &[usize], checks: &[LinkCheck]) -> Vec<Judgement> {
        let links = links
            .iter()
            .map(|&index| &self.scenario.herd.links()[index]);
        let judged = links.flat_map(|link| checks.iter().map(|check| self.link(link, check)));
        judged.collect()
    }

    fn link(&self, link: &Link, check: &LinkCheck) -> Judgement {
        let name = format!("{}-{}", self.name(link.a), self.name(link.b));
        match *check {
            LinkCheck::Is { at, state } => self.link_is(&name, link, at, state),
            LinkCheck::SynchronisesWithin { since, limit } => {
                let about = format!("{name} {}: synchronised after", since_when(since));
                let expected = format!("up to {}", format_duration(limit));
                match self.synchronised(link, since) {
                    Err(why) => broken(about, &expected, &why),
                    Ok(found) => Judgement {
                        passed: found.took <= nanos(limit),
                        events: found.events,
                        ..broken(about, &expected, &shown(found.took))
                    },
                }
            }
            LinkCheck::Brings { since, records } => {
                let about = format!("{name} {}: records brought", since_when(since));
                match self.synchronised(link, since) {
                    Err(why) => broken(about, &records.to_string(), &why),
                    Ok(found) => compare(about, &records, &found.records, found.events),
                }
            }
        }
    }

    fn link_is(
        &self,
        name: &str,
        link: &Link,
        at: Option<Duration>,
        expected: LinkState,
    ) -> Judgement {
        let about = format!("{name} {}", when(at));
        let state = match self.state(at) {
            Ok(state) => state,
            Err(over) => return broken(about, expected.word(), &over),
        };
        let actual = state.link_state(&self.scenario.herd, link);
        let held = match expected {
            LinkState::Down => actual == LinkState::Down,
            LinkState::Up | LinkState::Synchronised => actual >= expected,
        };
        Judgement {
            passed: held,
            events: (self.ends(&state, link).iter().flatten())
                .map(|end| end.by.id)
                .collect(),
            ..broken(about, expected.word(), actual.word())
        }
    }

    fn ends<'a>(&self, state: &State<'a>, link: &Link) -> [Option<LinkEnd<'a>>; 2] {
        let [a, b] = [link.a, link.b].map(|id| self.name(id));
        [(a, b), (b, a)].map(|(name, peer)| state.server(name)?.link(peer))
    }

    /// The first synchronisation after a link came up after `since`; if there is none, why.
    fn synchronised(&self, link: &Link, since: Duration) -> Result<Synchronisation, String> {
        if since > self.lasted {
            return Err(self.over());
        }
        let herd = &self.scenario.herd;
        let [a, b] = [link.a, link.b].map(|id| self.name(id));
        let comes_up = |event: &Event| match &event.what {
            EventKind::LinkUp { peer, .. } => {
                let ends = (event.who.name(), &**peer);
                event.at >= nanos(since) && (ends == (a, b) || ends == (b, a))
            }
            _ => false,
        };
        let mut state = State::default();
        let mut up: Option<&Event> = None;
        for event in &self.trace.events {
            state.learn(event);
            if up.is_none() && comes_up(event) {
                up = Some(event);
            }
            let Some(up) = up else {
                continue;
            };
            if state.link_state(herd, link) == LinkState::Synchronised {
                let ends = self.ends(&state, link);
                let mut events = vec![up.id];
                events.extend(ends.iter().flatten().map(|end| end.by.id));
                return Ok(Synchronisation {
                    took: event.at - up.at,
                    records: ends.iter().flatten().map(|end| sent(end.by)).sum(),
                    events,
                });
            }
        }
        Err(match up {
            None => "it never comes up".to_owned(),
            Some(_) => "it comes up, and is not synchronised".to_owned(),
        })
    }

    pub(super) fn log(&self, log: &LogCheck) -> Judgement {
        let by = log.by.as_deref();
        let whose = by.map_or_else(|| "the log".to_owned(), |by| format!("the log of {by}"));
        let from = match log.from {
            Duration::ZERO => String::new(),
            from => format!(" from {}", format_duration(from)),
        };
        let until = log.until.map(format_duration);
        let until = until.map_or_else(String::new, |until| format!(" until {until}"));
        let about = format!("{whose}{from}{until}: {}", log.pattern.show(1, None));
        let expected = log.times.map_or_else(|| "at least once".to_owned(), times);
        if log.from.max(log.until.unwrap_or_default()) > self.lasted {
            return broken(about, &expected, &self.over());
        }
        let printed = Printed::new(self.trace);
        let counts = nanos(log.from)..=log.until.map_or(u64::MAX, nanos);
        let events: Vec<EventId> = (self.trace.events.iter())
            .filter(|event| counts.contains(&event.at))
            .filter(|event| by.is_none_or(|by| event.who.name() == by))
            .filter(|event| {
                // Columns are blanks and names, which a star at the beginning would take for words.
                let (printed, is_whole) = (
                    printed.from_each_column(event),
                    log.pattern.text().contains('['),
                );
                let [what, columns @ ..] = &printed;
                let matches = |text: &str| log.pattern.matches(text.as_bytes(), 1, None);
                matches(&event.what.to_string())
                    || matches(what)
                    || is_whole && columns.iter().any(|text| matches(text))
            })
            .map(|event| event.id)
            .collect();
        if log.times == Some(0) && self.is_gone(log, |event| counts.contains(&event.at)) {
            return broken(about, &expected, "the server does not run in that time");
        }
        let actual = events.len() as u64;
        Judgement {
            passed: log.times.map_or(actual > 0, |expected| actual == expected),
            events,
            ..broken(about, &expected, &times(actual))
        }
    }
}

/// How a link was synchronised.
struct Synchronisation {
    /// Nanoseconds.
    took: u64,
    /// Both ways together.
    records: u64,
    events: Vec<EventId>,
}

/// How many records an end sent until it was synchronised.
fn sent(event: &Event) -> u64 {
    match event.what {
        EventKind::Synchronised { sent, .. } => sent,
        _ => 0,
    }
}

fn record(accepted: &Event) -> Option<&RecordText<'static>> {
    match &accepted.what {
        EventKind::Accepted { record, .. } => Some(record),
        _ => None,
    }
}

pub(super) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn shown(nanos: u64) -> String {
    format_duration(Duration::from_nanos(nanos))
}

fn when(at: Option<Duration>) -> String {
    match at {
        Some(at) => format!("at {}", format_duration(at)),
        None => "at the end".to_owned(),
    }
}

fn since_when(since: Duration) -> String {
    format!("since {}", format_duration(since))
}

fn times(number: u64) -> String {
    match number {
        0 => "never".to_owned(),
        1 => "once".to_owned(),
        _ => format!("{number} times"),
    }
}

//! What was expected of updates.

use std::collections::BTreeMap;

use super::{Judge, broken, compare};
use crate::herd::ServerId;
use crate::journal::EventId;
use crate::protocol::escape;
use crate::scenario::{Check, Scenario, UpdateRef, planned};
use crate::sim::client::{Outcome, Place};
use crate::trace::Judgement;
use crate::trace::propagation::{Fate, Propagation, Sent, Use};
use crate::units::format_duration;

/// The updates that the scenario sends, by their names in expectations, with their events.
pub(in crate::sim) fn sent_updates(scenario: &Scenario, outcomes: &[Outcome]) -> Vec<Sent> {
    let planned = planned(&scenario.steps);
    let mut many: BTreeMap<&[u8], usize> = BTreeMap::new();
    for update in &planned {
        *many.entry(&update.client_id).or_default() += 1;
    }
    let name = |id: &[u8], nth: usize| match many.get(id) {
        Some(1) => escape(id),
        _ => format!("{}#{nth}", escape(id)),
    };
    let events: BTreeMap<Place, Option<EventId>> = (outcomes.iter())
        .map(|outcome| (outcome.place, outcome.sent))
        .collect();
    let sent = planned.iter().map(|update| {
        let place = Place {
            step: update.step,
            to: update.to,
            repetition: update.repetition,
            line: update.line,
        };
        Sent {
            name: name(&update.client_id, update.nth),
            to: scenario.herd.server(update.to).name.clone(),
            event: events.get(&place).copied().flatten(),
        }
    });
    sent.collect()
}

impl Judge<'_> {
    /// The way of an update. Validation made sure that there is one; were there none, that must
    /// not pass unseen.
    pub(super) fn propagation(&self, update: &UpdateRef) -> Option<&Propagation> {
        let position = self
            .planned
            .iter()
            .position(|planned| planned.client_id == update.client_id && planned.nth == update.nth);
        self.trace.updates.get(position?)
    }

    pub(super) fn update(&self, update: &UpdateRef, checks: &[Check]) -> Vec<Judgement> {
        let judge = |check| match self.propagation(update) {
            Some(propagation) => self.check(propagation, check),
            None => broken(update.text.clone(), "an update", "never sent"),
        };
        checks.iter().map(judge).collect()
    }

    /// Of an update that its server did not hear or understand, only that can be true, and that
    /// servers miss it: that it cost nothing says nothing.
    fn check(&self, update: &Propagation, check: &Check) -> Judgement {
        let mut judgement = self.check_accepted(update, check);
        let unknown = match update.fate {
            Fate::Unheard => "it was never heard",
            Fate::Refused(_) => "it was refused",
            Fate::Accepted | Fate::Ignored(_) => return judgement,
        };
        if matches!(check, Check::Misses(_) | Check::Refused | Check::Unheard) {
            return judgement;
        }
        judgement.passed = false;
        unknown.clone_into(&mut judgement.actual);
        judgement
    }

    fn check_accepted(&self, update: &Propagation, check: &Check) -> Judgement {
        let name = &update.name;
        let count = |what: &str, expected: u64, counts: &dyn Fn(Use) -> bool| {
            let sends = update.sends.iter().filter(|send| counts(send.result));
            let events: Vec<EventId> = sends.map(|send| send.event).collect();
            let actual = events.len() as u64;
            compare(format!("{name}: {what}"), &expected, &actual, events)
        };
        match *check {
            Check::Reaches(server) => self.reaches(update, server, true),
            Check::Misses(server) => self.reaches(update, server, false),
            Check::Hops(server, hops) => self.hops(update, server, hops),
            Check::Path(server, ref path) => self.path(update, server, path),
            Check::Within { server, limit } => self.within(update, server, limit),
            Check::Sends(expected) => count("sends", expected, &|_| true),
            Check::Useful(expected) => {
                count("useful sends", expected, &|result| result == Use::Useful)
            }
            Check::Duplicates(expected) => count("duplicate sends", expected, &|result| {
                result == Use::Duplicate
            }),
            Check::Ignored => came_to(update, "is answered and changes nothing", "ignored"),
            Check::Refused => came_to(update, "is refused", "refused"),
            Check::Unheard => came_to(update, "is never heard", "never heard"),
        }
    }

    fn reaches(&self, update: &Propagation, server: ServerId, expected: bool) -> Judgement {
        let arrival = update.arrival(self.name(server));
        let say = |reached| if reached { "yes" } else { "no" };
        compare(
            format!("{}: reaches {}", update.name, self.name(server)),
            &say(expected),
            &say(arrival.is_some()),
            arrival.map(|arrival| arrival.event).into_iter().collect(),
        )
    }

    fn hops(&self, update: &Propagation, server: ServerId, expected: u32) -> Judgement {
        let about = format!("{}: hops to {}", update.name, self.name(server));
        match update.arrival(self.name(server)) {
            Some(arrival) => compare(
                about,
                &expected,
                &arrival.hops,
                self.on_the_way(update, server),
            ),
            None => broken(about, &expected.to_string(), "never reached"),
        }
    }

    fn path(&self, update: &Propagation, server: ServerId, expected: &[ServerId]) -> Judgement {
        let expected: Vec<&str> = expected.iter().map(|&id| self.name(id)).collect();
        let actual = update.path(self.name(server));
        let actual: Vec<&str> = actual.iter().map(|name| &**name).collect();
        let about = format!("{}: path to {}", update.name, self.name(server));
        if actual.is_empty() {
            return broken(about, &expected.join(" → "), "never reached");
        }
        compare(
            about,
            &expected.join(" → "),
            &actual.join(" → "),
            self.on_the_way(update, server),
        )
    }

    /// How an update reached a server: the events of taking it in, from the origin on.
    fn on_the_way(&self, update: &Propagation, server: ServerId) -> Vec<EventId> {
        let path = update.path_of(self.name(server)).into_iter();
        path.map(|arrival| arrival.event).collect()
    }

    fn within(
        &self,
        update: &Propagation,
        server: Option<ServerId>,
        limit: std::time::Duration,
    ) -> Judgement {
        let name = server.map_or("every other server that it reaches", |server| {
            self.name(server)
        });
        let about = format!("{}: delay to {name}", update.name);
        // The origin has it at once; that alone proves nothing.
        let slowest = match server {
            Some(server) => update.arrival(self.name(server)),
            None => update.spread().max_by_key(|arrival| arrival.delay),
        };
        let expected = format!("up to {}", format_duration(limit));
        match slowest {
            None => broken(about, &expected, "never reached"),
            Some(slowest) => Judgement {
                about,
                passed: u128::from(slowest.delay) <= limit.as_nanos(),
                expected,
                actual: format!(
                    "{} ({})",
                    format_duration(std::time::Duration::from_nanos(slowest.delay)),
                    slowest.server
                ),
                place: None,
                invariant: None,
                events: vec![slowest.event],
            },
        }
    }
}

/// Compares what its server made of an update with what was expected.
fn came_to(update: &Propagation, words: &str, expected: &str) -> Judgement {
    let actual = match update.fate {
        Fate::Ignored(_) => "ignored",
        Fate::Accepted => "accepted",
        Fate::Refused(_) => "refused",
        Fate::Unheard => "never heard",
    };
    let events = update.sent.into_iter().collect();
    let about = format!("{}: {words}", update.name);
    compare(about, &expected, &actual, events)
}

//! What was expected, held against what happened.

use std::collections::{BTreeMap, BTreeSet};

use super::client::{Outcome, Place};
use super::faults::Touch;
use super::google::Seen;
use super::world::Execution;
use crate::herd::ServerId;
use crate::journal::{ConnId, EventId, What, Who};
use crate::protocol::{escape, visible};
use crate::scenario::{Action, Check, ClientStep, Expect, PlannedUpdate, Scenario};
use crate::trace::invariants::{Invariant, Run};
use crate::trace::propagation::{Fate, Propagation, Sent, Use};
use crate::trace::{Judgement, Trace};
use crate::units::format_duration;

/// How many violations of an invariant are told; the others are counted.
const MOST_VIOLATIONS: usize = 5;

/// What is expected of every invariant.
const NO_VIOLATION: &str = "no violation";

/// The updates that the scenario sends, by their names in expectations, with their events.
pub(super) fn sent_updates(scenario: &Scenario, outcomes: &[Outcome]) -> Vec<Sent> {
    let planned = scenario.updates();
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

/// Every judgement of a run: first the scenario's own, then what must hold of every run.
pub(super) fn judge(scenario: &Scenario, execution: &Execution, trace: &Trace) -> Vec<Judgement> {
    let judge = Judge {
        scenario,
        trace,
        planned: scenario.updates(),
    };
    let mut judgements = judge.replies(&execution.outcomes);
    for expect in &scenario.expects {
        judgements.extend(judge.expectation(expect));
    }
    judgements.extend(execution.touched.iter().map(|touch| judge.touch(touch)));
    let judged = |invariant: &Invariant| !scenario.without.contains(invariant);
    let invariants = Invariant::ALL.into_iter().filter(judged);
    judgements.extend(invariants.map(|invariant| judge.invariant(invariant)));
    judgements.push(Judge::ending(execution));
    judgements.extend(judge.unasked());
    if let Some(seen) = &execution.places {
        judgements.extend(judge.places(seen));
    }
    judgements
}

/// Every line of a client's step, in the order in which they are judged.
fn places(step: usize, client: &ClientStep) -> impl Iterator<Item = Place> {
    client.to.iter().flat_map(move |&to| {
        (1..=client.times).flat_map(move |repetition| {
            (0..client.lines.len()).map(move |line| Place {
                step,
                to,
                repetition,
                line,
            })
        })
    })
}

struct Judge<'a> {
    scenario: &'a Scenario,
    trace: &'a Trace,
    /// The updates in order of sending, as in the trace.
    planned: Vec<PlannedUpdate>,
}

impl Judge<'_> {
    fn name(&self, server: ServerId) -> &str {
        &self.scenario.herd.server(server).name
    }

    /// `line:column` of a byte of the scenario's file.
    fn place(&self, at: usize) -> String {
        let (line, column) = self.scenario.source.line_column(at);
        format!("{line}:{column}")
    }

    /// Each line that a client was to send was answered, and as expected. A line that was never
    /// sent, because the run ended first, was not.
    fn replies(&self, outcomes: &[Outcome]) -> Vec<Judgement> {
        let outcomes: BTreeMap<Place, &Outcome> = (outcomes.iter())
            .map(|outcome| (outcome.place, outcome))
            .collect();
        let mut judgements = Vec::new();
        for (step, what) in self.scenario.steps.iter().enumerate() {
            let Action::Client(client) = &what.action else {
                continue;
            };
            for place in places(step, client) {
                let mut judgement = self.reply(client, place, outcomes.get(&place).copied());
                judgement.place = Some(self.place(what.span.start));
                judgements.push(judgement);
            }
        }
        judgements
    }

    fn reply(&self, client: &ClientStep, place: Place, outcome: Option<&Outcome>) -> Judgement {
        let line = &client.lines[place.line];
        let answer = outcome.and_then(|outcome| outcome.answer.as_deref());
        let clock = outcome.and_then(|outcome| outcome.clock.as_deref());
        let (held, expected) = match (&line.reply, client.no_reply) {
            (_, true) => (answer.is_none(), "no answer".to_owned()),
            (None, false) => (answer.is_some(), "any answer".to_owned()),
            (Some(pattern), false) => (
                answer.is_some_and(|answer| pattern.matches(answer, place.repetition, clock)),
                visible(&pattern.show(place.repetition, clock)),
            ),
        };
        let number = (place.repetition as usize - 1) * client.lines.len() + place.line + 1;
        let which = if client.lines.len() * client.times as usize > 1 {
            format!(", line {number}")
        } else {
            String::new()
        };
        let actual = match (outcome, answer) {
            (_, Some(answer)) => escape(answer),
            (Some(_), None) => "no answer".to_owned(),
            (None, None) => "no answer before the run ended".to_owned(),
        };
        Judgement {
            about: format!("{} answers {}{which}", self.name(place.to), client.client),
            held: held && outcome.is_some(),
            expected,
            actual,
            place: None,
            invariant: None,
            events: outcome
                .and_then(|outcome| outcome.sent)
                .into_iter()
                .collect(),
        }
    }

    fn expectation(&self, expect: &Expect) -> Vec<Judgement> {
        let position = self.planned.iter().position(|update| {
            update.client_id == expect.update.client_id && update.nth == expect.update.nth
        });
        // Validation made sure that there is one; were there none, that must not pass unseen.
        let update = position.and_then(|position| self.trace.updates.get(position));
        let judge = |check| match update {
            Some(update) => self.check(update, check),
            None => broken(expect.update.text.clone(), "an update", "never sent"),
        };
        let mut judgements: Vec<Judgement> = expect.checks.iter().map(judge).collect();
        for judgement in &mut judgements {
            judgement.place = Some(self.place(expect.span.start));
        }
        judgements
    }

    /// Of an update that no server took in, only `ignored` can be true: that it reached nobody, or
    /// cost nothing, says nothing.
    fn check(&self, update: &Propagation, check: &Check) -> Judgement {
        let mut judgement = self.check_accepted(update, check);
        let unknown = match update.fate {
            Fate::Unheard => "it was never heard",
            Fate::Refused(_) => "it was refused",
            Fate::Accepted | Fate::Ignored(_) => return judgement,
        };
        judgement.held = false;
        unknown.clone_into(&mut judgement.actual);
        judgement
    }

    fn check_accepted(&self, update: &Propagation, check: &Check) -> Judgement {
        let name = &update.name;
        let count = |what: &str, expected: u64, actual: usize| {
            let events = update.sends.iter().map(|send| send.event).collect();
            compare(
                format!("{name}: {what}"),
                &expected,
                &(actual as u64),
                events,
            )
        };
        match *check {
            Check::Reaches(server) => self.reaches(update, server, true),
            Check::Misses(server) => self.reaches(update, server, false),
            Check::Hops(server, hops) => self.hops(update, server, hops),
            Check::Path(server, ref path) => self.path(update, server, path),
            Check::Within { server, limit } => self.within(update, server, limit),
            Check::Sends(expected) => count("sends", expected, update.sends.len()),
            Check::Useful(expected) => count("useful sends", expected, update.count(Use::Useful)),
            Check::Duplicates(expected) => {
                count("duplicate sends", expected, update.count(Use::Duplicate))
            }
            Check::Ignored => ignored(update),
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
            Some(arrival) => compare(about, &expected, &arrival.hops, vec![arrival.event]),
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
            Vec::new(),
        )
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
        let expected = format!("at most {}", format_duration(limit));
        match slowest {
            None => broken(about, &expected, "never reached"),
            Some(slowest) => Judgement {
                about,
                held: u128::from(slowest.delay) <= limit.as_nanos(),
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

    /// Places was asked as the tables and mocks want it, and for nothing else.
    fn places(&self, seen: &Seen) -> Vec<Judgement> {
        let mut judgements = Vec::new();
        for (index, (table, &asked)) in self.scenario.places.iter().zip(&seen.asked).enumerate() {
            let (held, expected) = match table.expect {
                Some(expected) => (asked == expected, requests(expected)),
                None if table.maybe => continue,
                None => (asked > 0, format!("at least {}", requests(1))),
            };
            judgements.push(Judgement {
                about: format!("Places is asked for table {}", index + 1),
                held,
                expected,
                actual: requests(asked),
                place: Some(self.place(table.span.start)),
                invariant: None,
                events: Vec::new(),
            });
        }
        if let Some(first) = seen.unmatched.first() {
            let about = "every request to Places has an answer".to_owned();
            judgements.push(broken(
                about,
                "a table or mock for it",
                &format!("none for {first}"),
            ));
        }
        if let Some(said) = &seen.unmet {
            let about = "mocks are asked as they expect".to_owned();
            judgements.push(broken(about, "what they expect", said.trim()));
        }
        judgements
    }

    /// A fault that touched nothing proves nothing.
    fn touch(&self, touch: &Touch) -> Judgement {
        let actual = match touch.count {
            0 => "nothing".to_owned(),
            1 => format!("1 {}", touch.what.trim_end_matches('s')),
            count => format!("{count} {}", touch.what),
        };
        Judgement {
            about: format!("{} touches something", touch.about),
            held: touch.count > 0,
            expected: "something".to_owned(),
            actual,
            place: Some(self.place(touch.place)),
            invariant: None,
            events: vec![touch.event],
        }
    }

    /// Whether `invariant` held; if not, the first ways in which it did not.
    fn invariant(&self, invariant: Invariant) -> Judgement {
        let violations = invariant.violations(&Run {
            herd: &self.scenario.herd,
            events: &self.trace.events,
            until_quiet: self.scenario.end.is_none(),
        });
        let first = || violations.iter().take(MOST_VIOLATIONS);
        let events: BTreeSet<EventId> = first()
            .flat_map(|violation| violation.events.iter().copied())
            .collect();
        let mut actual: Vec<String> = first().map(|violation| violation.what.clone()).collect();
        match violations.len().saturating_sub(MOST_VIOLATIONS) {
            0 => {}
            more => actual.push(format!("and {more} more")),
        }
        if actual.is_empty() {
            actual.push(NO_VIOLATION.to_owned());
        }
        Judgement {
            about: format!("{invariant}: {}", invariant.sentence()),
            held: violations.is_empty(),
            expected: NO_VIOLATION.to_owned(),
            actual: actual.join("; "),
            place: None,
            invariant: Some(invariant),
            events: events.into_iter().collect(),
        }
    }

    /// A run that ended early, or never, proves nothing.
    fn ending(execution: &Execution) -> Judgement {
        let Execution {
            ended_well,
            undone,
            still_waiting,
            ..
        } = execution;
        let actual = match (ended_well, undone, still_waiting) {
            (true, 0, 0) => "all done".to_owned(),
            (true, 0, 1) => "a client still waits for an answer".to_owned(),
            (true, 0, some) => format!("{some} clients still wait for an answer"),
            (true, some, _) => format!("{some} steps were not done"),
            (false, ..) => format!("still unrest after {}", format_duration(execution.lasted)),
        };
        compare(
            "the run ends with every step done and every client answered".to_owned(),
            &"all done",
            &actual.as_str(),
            Vec::new(),
        )
    }

    /// Clients are told nothing that they did not ask for. Said only when it is broken.
    fn unasked(&self) -> Option<Judgement> {
        let mut open: BTreeMap<ConnId, usize> = BTreeMap::new();
        let mut events: Vec<EventId> = Vec::new();
        for event in &self.trace.events {
            if let Who::Client(_) = event.who {
                match event.what {
                    What::LineOut { conn, .. } => *open.entry(conn).or_default() += 1,
                    What::LineIn { conn, .. } => match open.get_mut(&conn) {
                        Some(asked) if *asked > 0 => *asked -= 1,
                        _ => events.push(event.id),
                    },
                    _ => {}
                }
            }
        }
        let first = self.trace.event(*events.first()?)?;
        let What::LineIn { line, .. } = &first.what else {
            return None;
        };
        let mut judgement = broken(
            format!(
                "{} is told nothing that it did not ask for",
                first.who.name()
            ),
            "one answer for each line",
            &format!("also: {line}"),
        );
        judgement.events = events;
        Some(judgement)
    }
}

fn requests(number: u64) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} request{plural}")
}

fn ignored(update: &Propagation) -> Judgement {
    let actual = match update.fate {
        Fate::Ignored(_) => "ignored",
        Fate::Accepted => "accepted",
        Fate::Refused(_) => "refused",
        Fate::Unheard => "never heard",
    };
    let events = update.sent.into_iter().collect();
    let about = format!("{}: is answered and changes nothing", update.name);
    compare(about, &"ignored", &actual, events)
}

fn compare<T: PartialEq + std::fmt::Display>(
    about: String,
    expected: &T,
    actual: &T,
    events: Vec<EventId>,
) -> Judgement {
    Judgement {
        about,
        held: expected == actual,
        expected: expected.to_string(),
        actual: actual.to_string(),
        place: None,
        invariant: None,
        events,
    }
}

fn broken(about: String, expected: &str, actual: &str) -> Judgement {
    Judgement {
        about,
        held: false,
        expected: expected.to_owned(),
        actual: actual.to_owned(),
        place: None,
        invariant: None,
        events: Vec::new(),
    }
}

//! Compares what was expected with what happened.

mod idle;
pub(super) mod outside;
mod randoms;
mod reactions;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;

use super::Mode;
use super::chooser::OrderOutcome;
use super::driver::Execution;
use super::google::PlacesObservation;
use super::impact::Impact;
use super::recorder::MOST_EVENTS;
use crate::journal::{Actor, CloseReason, ConnId, EventId, EventKind};
use crate::protocol::escape;
use crate::scenario::{
    Action, ClientStep, Expect, Failure, LineId, Mismatch, Observed, Outcome, Scenario, compare,
    failed, judge_workloads,
};
use crate::trace::invariants::{Census, Invariant};
use crate::trace::network::Network;
use crate::trace::{Judgement, Sometimes, Trace};
use crate::units::format_duration;

pub(super) use idle::needless;

/// The maximum number of violations of an invariant that are listed; the others are counted.
const MOST_VIOLATIONS: usize = 5;

/// What is expected of every fault; its words stand before this.
/// What is judged of the end of every run.
pub(crate) const ENDS: &str = "the run ends with every step done and every client answered";

pub(crate) const HAS_EFFECT: &str = " has an effect";

/// What is expected of every invariant.
const NO_VIOLATION: &str = "no violation";

/// Every judgement of a run: first the scenario's own, then what must hold of every run.
pub(super) fn judge(
    scenario: &Scenario,
    execution: &Execution,
    mode: &Mode,
    trace: &Trace,
) -> Vec<Judgement> {
    let judge = Judge {
        run: Observed::new(scenario, trace, execution.lasted, &execution.outcomes),
        by_hand: mode.is_by_hand(),
        census: idle::census_of(execution),
    };
    let mut judgements = judge.replies();
    judgements.extend(judge_workloads(&judge.run));
    for expect in scenario.expects.iter().filter(|expect| !expect.sometimes) {
        judgements.extend(judge.expectation(expect));
    }
    let (drawn, impacts) = randoms::split(scenario, &execution.impacts);
    match mode {
        Mode::ByTime => judgements.extend(impacts.into_iter().map(|impact| judge.impact(impact))),
        // At some moments a fault finds nobody that it could concern.
        Mode::ByHand(followed) => judgements.extend(followed.iter().map(|it| judge.order(it))),
    }
    judgements.extend(randoms::randoms(scenario, &drawn, trace));
    let judged = |invariant: &Invariant| !scenario.without.contains(invariant);
    let invariants = Invariant::ALL.into_iter().filter(judged);
    judgements.extend(invariants.map(|invariant| judge.invariant(invariant)));
    judgements.extend(reactions::in_vain(&judge.run));
    judgements.push(judge.ending(execution));
    judgements.extend(judge.unasked());
    judgements.extend(judge.came_up());
    judgements.extend(judge.answered_at_all());
    if let Some(seen) = &execution.places {
        judgements.extend(judge.places(seen));
    }
    judgements
}

/// What need not be so in each run, and whether it is in this one.
pub(super) fn sometimes(
    scenario: &Scenario,
    execution: &Execution,
    trace: &Trace,
) -> Vec<Sometimes> {
    let run = Observed::new(scenario, trace, execution.lasted, &execution.outcomes);
    let all = scenario.expects.iter().filter(|expect| expect.sometimes);
    let seen = all.map(|expect| {
        let judgements = expect.what.judge(&run);
        let about = judgements.first().map_or("", |first| &first.about);
        let place = run.place(expect.span.start);
        Sometimes {
            about: format!("{about} (at {place})"),
            seen: judgements.iter().all(|judgement| judgement.passed),
        }
    });
    seen.collect()
}

/// Every line of a client's step, in the order in which they are judged.
fn lines(step: usize, client: &ClientStep) -> impl Iterator<Item = LineId> {
    client.to.iter().flat_map(move |&to| {
        (1..=client.times).flat_map(move |repetition| {
            (0..client.lines.len()).map(move |line| LineId {
                step,
                to,
                repetition,
                line,
            })
        })
    })
}

struct Judge<'a> {
    run: Observed<'a>,
    /// Choices decided on the order of messages.
    by_hand: bool,
    census: &'a [Census],
}

impl<'a> Deref for Judge<'a> {
    type Target = Observed<'a>;

    fn deref(&self) -> &Self::Target {
        &self.run
    }
}

impl Judge<'_> {
    /// Each line that a client was to send was answered, and as expected. A line that was never
    /// sent, because the run ended first, was not.
    fn replies(&self) -> Vec<Judgement> {
        let outcomes = self.outcomes.iter();
        let outcomes: BTreeMap<LineId, &Outcome> =
            outcomes.map(|outcome| (outcome.line, outcome)).collect();
        // Workloads are judged as a whole.
        let drawn = randoms::places_of_workloads(self.scenario);
        let mut judgements = Vec::new();
        for (step, what) in self.scenario.steps.iter().enumerate() {
            let Some(talk) = what.action.talk() else {
                continue;
            };
            if drawn.contains(&what.span.start) {
                continue;
            }
            for id in lines(step, talk) {
                let outcome = outcomes.get(&id).copied();
                let judgement = if is_awaited(&what.action, id.line) {
                    Some(self.reply(talk, id, outcome))
                } else {
                    self.unsent(talk, id, outcome)
                };
                let place = Some(self.place(what.span.start));
                judgements.extend(judgement.map(|judgement| Judgement { place, ..judgement }));
            }
        }
        judgements
    }

    fn reply(&self, client: &ClientStep, id: LineId, outcome: Option<&Outcome>) -> Judgement {
        let line = &client.lines[id.line];
        let answer = outcome.and_then(|outcome| outcome.answer.as_deref());
        let clock = outcome.and_then(|outcome| outcome.clock.as_deref());
        let is_over = outcome.is_some_and(|outcome| !outcome.waits);
        let silent = client.maybe && answer.is_none();
        let lost = outcome.and_then(|outcome| outcome.lost.as_ref());
        let (held, expected) = match (client.fails, &line.reply) {
            (Some(failure), _) => fails_as(failure, outcome),
            _ if client.no_reply => (answer.is_none(), "no answer".to_owned()),
            (None, None) if answer.is_some_and(idle::is_failed_look_up) => (
                false,
                "what Places found, or a `reply` that says otherwise".to_owned(),
            ),
            (None, None) => (answer.is_some(), "any answer".to_owned()),
            (None, Some(reply)) => (
                answer.is_some_and(|answer| reply.matches(answer, id.repetition, clock)),
                reply.show(id.repetition, clock),
            ),
        };
        let which = which(client, id);
        let actual = match (outcome, answer) {
            (_, Some(answer)) => match &line.reply {
                Some(reply) if !held && answer.len() > LONG => {
                    match reply.difference(answer, id.repetition, clock) {
                        Some((right, wanted)) => first_difference(answer, right, &wanted),
                        None => reply.show_answer(answer),
                    }
                }
                Some(reply) => reply.show_answer(answer),
                None => escape(answer),
            },
            (Some(_), None) if is_over => match lost {
                Some(why) if client.says_why() => format!("no answer: {why}"),
                _ => "no answer".to_owned(),
            },
            (_, None) => "no answer before the run ended".to_owned(),
        };
        Judgement {
            about: format!("{} answers {}{which}", self.name(id.to), client.client),
            passed: held && is_over || silent,
            expected,
            actual,
            place: None,
            note: None,
            invariant: None,
            events: outcome
                .and_then(|outcome| outcome.sent)
                .into_iter()
                .collect(),
        }
    }

    /// A line of a peer after which nothing is awaited must at least be sent. Reported only on failure.
    fn unsent(
        &self,
        peer: &ClientStep,
        id: LineId,
        outcome: Option<&Outcome>,
    ) -> Option<Judgement> {
        let is_sent = outcome.is_some_and(|outcome| outcome.sent.is_some());
        if is_sent || peer.maybe {
            return None;
        }
        let lost = outcome.and_then(|outcome| outcome.lost.as_ref());
        let actual = match lost {
            Some(why) => format!("not sent: {why}"),
            None => "not sent before the run ended".to_owned(),
        };
        let about = format!(
            "{} sends to {}{}",
            peer.client,
            self.name(id.to),
            which(peer, id)
        );
        Some(failed(about, "sent", &actual))
    }

    fn expectation(&self, expect: &Expect) -> Vec<Judgement> {
        let mut judgements = expect.what.judge(&self.run);
        for judgement in &mut judgements {
            judgement.place = Some(self.place(expect.span.start));
            judgement.note.clone_from(&expect.note);
        }
        judgements
    }

    /// Places got the requests that the tables and mocks want, and no others.
    fn places(&self, seen: &PlacesObservation) -> Vec<Judgement> {
        let mut judgements = Vec::new();
        for (index, (table, &asked)) in self.scenario.places.iter().zip(&seen.asked).enumerate() {
            let (held, expected) = match table.expect {
                Some(expected) => (asked == expected, requests(expected)),
                None if table.maybe => continue,
                None => (asked > 0, format!("at least {}", requests(1))),
            };
            judgements.push(Judgement {
                note: None,
                about: format!("Places is asked for table {}", index + 1),
                passed: held,
                expected,
                actual: requests(asked),
                place: Some(self.place(table.span.start)),
                invariant: None,
                events: Vec::new(),
            });
        }
        if let Some(first) = seen.unmatched.first() {
            let about = "every request to Places has an answer".to_owned();
            judgements.push(failed(
                about,
                "a table or mock for it",
                &format!("none for {first}"),
            ));
        }
        if let Some(said) = &seen.unmet {
            let about = "mocks are asked as they expect".to_owned();
            judgements.push(failed(about, "what they expect", said.trim()));
        }
        judgements
    }

    /// The order that the scenario gives was kept to its end.
    fn order(&self, followed: &OrderOutcome) -> Judgement {
        let all = format!("all {}", followed.all);
        Judgement {
            note: None,
            about: "everything happens in the order of `deliver`".to_owned(),
            passed: followed.missed.is_none(),
            actual: match &followed.missed {
                None => all.clone(),
                Some(why) => format!("{} of {}; {why}", followed.done, followed.all),
            },
            expected: all,
            place: Some(self.place(followed.place)),
            invariant: None,
            events: Vec::new(),
        }
    }

    /// A fault without an effect proves nothing.
    fn impact(&self, impact: &Impact) -> Judgement {
        let actual = match impact.told() {
            (0, _) => "none".to_owned(),
            (1, what) if !what.contains(' ') => format!("1 {}", what.trim_end_matches('s')),
            (count, what) => format!("{count} {what}"),
        };
        Judgement {
            note: None,
            about: format!("{}{HAS_EFFECT}", impact.origin.about),
            passed: impact.is_any(),
            expected: "an effect".to_owned(),
            actual,
            place: Some(self.place(impact.origin.place)),
            invariant: None,
            events: vec![impact.event],
        }
    }

    /// Whether `invariant` passed; if not, its first violations.
    fn invariant(&self, invariant: Invariant) -> Judgement {
        let run = idle::run(self.scenario, self.trace, self.census, self.by_hand);
        let violations = invariant.violations(&run);
        let place = self.said_of(invariant);
        // What a scenario is about must have been put to the test.
        let expected = place.as_ref().filter(|_| violations.is_empty());
        let idle = expected.and_then(|_| invariant.idle(&run));
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
            actual.push(idle.unwrap_or(NO_VIOLATION).to_owned());
        }
        Judgement {
            note: None,
            about: format!("{invariant}: {}", invariant.sentence()),
            passed: violations.is_empty() && idle.is_none(),
            expected: NO_VIOLATION.to_owned(),
            actual: actual.join("; "),
            place,
            invariant: Some(invariant),
            events: events.into_iter().collect(),
        }
    }

    /// Where the scenario says that it is about an invariant.
    fn said_of(&self, invariant: Invariant) -> Option<String> {
        let says = |expect: &&Expect| expect.what.names(invariant);
        let expect = self.scenario.expects.iter().find(says)?;
        Some(self.place(expect.span.start))
    }

    /// A run that ended early, or never, proves nothing. Faults that were not cleared excuse much at the end, so they
    /// are listed.
    fn ending(&self, execution: &Execution) -> Judgement {
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
            (false, ..) => {
                let lasted = format_duration(execution.lasted);
                match self.trace.events.len() {
                    0..=MOST_EVENTS => format!("still unrest after {lasted}"),
                    _ => format!("more than {MOST_EVENTS} events within {lasted}"),
                }
            }
        };
        let mut judgement = compare(ENDS.to_owned(), &"all done", &actual.as_str(), Vec::new());
        if let Some(words) = Network::at_the_end(&self.trace.events).words() {
            judgement.actual = format!("{actual}; still in force: {words}");
        }
        judgement
    }

    /// Clients are sent nothing that they did not request. Reported only on failure.
    fn unasked(&self) -> Option<Judgement> {
        let mut open: BTreeMap<ConnId, usize> = BTreeMap::new();
        let mut events: Vec<EventId> = Vec::new();
        for event in &self.trace.events {
            if let Actor::Client(_) = event.who {
                match event.what {
                    EventKind::LineOut { conn, .. } => *open.entry(conn).or_default() += 1,
                    EventKind::LineIn { conn, .. } => match open.get_mut(&conn) {
                        Some(asked) if *asked > 0 => *asked -= 1,
                        _ => events.push(event.id),
                    },
                    _ => {}
                }
            }
        }
        let first = self.trace.event(*events.first()?)?;
        let EventKind::LineIn { line, .. } = &first.what else {
            return None;
        };
        let mut judgement = failed(
            format!("{} receives no answer without a request", first.who.name()),
            "one answer for each line",
            &format!("also: {line}"),
        );
        judgement.events = events;
        Some(judgement)
    }
}

/// Which line of its step a line is, where there are several.
fn which(step: &ClientStep, id: LineId) -> String {
    if step.lines.len() * step.times as usize > 1 {
        let number = (id.repetition as usize - 1) * step.lines.len() + id.line + 1;
        format!(", line {number}")
    } else {
        String::new()
    }
}

/// Whether the scenario says what must come after a line, or that it must fail. A client's line is answered in any case.
fn is_awaited(action: &Action, line: usize) -> bool {
    match action {
        Action::Peer(peer) => {
            let has_reply = peer
                .lines
                .get(line)
                .is_some_and(|line| line.reply.is_some());
            has_reply || peer.no_reply || peer.fails.is_some()
        }
        _ => true,
    }
}

/// Whether a line was lost as it must be, and how that is in words.
fn fails_as(failure: Failure, outcome: Option<&Outcome>) -> (bool, String) {
    let lost = outcome.filter(|outcome| outcome.answer.is_none());
    let why = lost.and_then(|outcome| outcome.lost.as_ref());
    match failure {
        Failure::Refused => {
            let refused = CloseReason::from(&std::io::ErrorKind::ConnectionRefused.into());
            (why == Some(&refused), format!("no answer: {refused}"))
        }
        Failure::Unheard => {
            let silent = CloseReason::Silent;
            (why == Some(&silent), format!("no answer: {silent}"))
        }
    }
}

fn requests(number: u64) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} request{plural}")
}

/// An answer that is longer is not shown whole where it is wrong, but as far as it is right, and where not.
const LONG: usize = 200;

/// How much of an answer is shown on either side.
const AROUND: usize = 60;

fn first_difference(answer: &[u8], right: usize, wanted: &Mismatch) -> String {
    let before = &answer[..right];
    let line = memchr::memchr_iter(b'\n', before).count() + 1;
    let begin = memchr::memrchr(b'\n', before);
    let begin = begin.map_or(0, |newline| newline + 1);
    let column = String::from_utf8_lossy(&before[begin..]).chars().count() + 1;
    let excerpt = |bytes: &[u8]| {
        let end = if bytes.len() > AROUND { "…" } else { "" };
        format!("`{}{end}`", escape(&bytes[..bytes.len().min(AROUND)]))
    };
    let (begin, rest) = (excerpt(answer), &answer[right..]);
    let came = if rest.is_empty() {
        "its end".to_owned()
    } else {
        excerpt(rest)
    };
    let wanted = match wanted {
        Mismatch::Next(bytes) => format!("{} and not {came}", excerpt(bytes)),
        Mismatch::Somewhere(bytes) => format!("{}, which is nowhere behind", excerpt(bytes)),
        Mismatch::End => format!("its end and not {came}"),
    };
    format!(
        "{begin}, of {} bytes; line {line}, column {column} should be {wanted}",
        answer.len()
    )
}

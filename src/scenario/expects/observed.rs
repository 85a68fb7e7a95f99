//! A run as expectations see it, and judgements of it.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::time::Duration;

use super::UpdateRef;
use crate::herd::ServerId;
use crate::journal::{CloseReason, EventId};
use crate::protocol::escape;
use crate::report::Printed;
use crate::scenario::CountRange;
use crate::scenario::{PlannedUpdate, Scenario, planned};
use crate::trace::propagation::{Propagation, Sent};
use crate::trace::state::State;
use crate::trace::{Judgement, Trace};
use crate::units::format_duration;

/// The maximum number of things that one judgement lists; the others are counted.
pub(crate) const MOST_LISTED: usize = 5;

/// Which line of a scenario: of which step, to which server, in which repetition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LineId {
    /// An index into the steps of the expanded scenario.
    pub(crate) step: usize,
    pub(crate) to: ServerId,
    /// From 1.
    pub(crate) repetition: u32,
    /// From 0.
    pub(crate) line: usize,
}

/// The outcome of one line so far.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) line: LineId,
    /// The event of sending it; none if there was no connection.
    pub(crate) sent: Option<EventId>,
    /// The text of the first clock in it.
    pub(crate) clock: Option<String>,
    pub(crate) answer: Option<Vec<u8>>,
    /// Why there is no answer, once that is known: why there was no connection, why it was closed, or that nothing came
    /// in time.
    pub(crate) lost: Option<CloseReason>,
    /// An answer may still come.
    pub(crate) waits: bool,
}

/// A run that is over.
pub(crate) struct Observed<'a> {
    /// The scenario in plain steps.
    pub(crate) scenario: &'a Scenario,
    pub(crate) trace: &'a Trace,
    /// How long the run lasted.
    pub(crate) lasted: Duration,
    /// What clients were answered.
    pub(crate) outcomes: &'a [Outcome],
    /// The updates in order of sending, as in the trace.
    planned: Vec<PlannedUpdate>,
    /// Prints its events, once somebody asks.
    printed: OnceCell<Printed<'a>>,
}

impl<'a> Observed<'a> {
    pub(crate) fn new(
        scenario: &'a Scenario,
        trace: &'a Trace,
        lasted: Duration,
        outcomes: &'a [Outcome],
    ) -> Self {
        Self {
            scenario,
            trace,
            lasted,
            outcomes,
            planned: planned(&scenario.steps),
            printed: OnceCell::new(),
        }
    }

    pub(crate) fn name(&self, server: ServerId) -> &'a str {
        &self.scenario.herd.server(server).name
    }

    /// `line:column` of a byte of the scenario's file.
    pub(crate) fn place(&self, at: usize) -> String {
        let (line, column) = self.scenario.source.line_column(at);
        format!("{line}:{column}")
    }

    /// The updates that the scenario sends, in order of sending.
    pub(super) fn planned(&self) -> &[PlannedUpdate] {
        &self.planned
    }

    /// How an update propagated. Validation made sure that there is one; were there none, that must
    /// not pass unseen.
    pub(super) fn propagation(&self, update: &UpdateRef) -> Option<&'a Propagation> {
        let is_it = |planned: &PlannedUpdate| {
            planned.client_id == update.client_id && planned.nth == update.nth
        };
        let position = self.planned.iter().position(is_it);
        self.trace.updates.get(position?)
    }

    /// The state of the herd at a moment; not after the run was over, as nobody saw that.
    pub(super) fn state(&self, at: Option<Duration>) -> Result<State<'a>, String> {
        match at {
            Some(at) if at > self.lasted => Err(self.over()),
            at => Ok(State::at(&self.trace.events, at.map_or(u64::MAX, nanos))),
        }
    }

    /// Prints events as `herd run --all` does.
    pub(super) fn printed(&self) -> &Printed<'a> {
        self.printed.get_or_init(|| Printed::new(self.trace))
    }

    pub(crate) fn over(&self) -> String {
        format!("the run was over at {}", format_duration(self.lasted))
    }
}

/// The updates that the scenario sends, by their names in expectations, with their events.
pub(crate) fn sent_updates(scenario: &Scenario, outcomes: &[Outcome]) -> Vec<Sent> {
    let planned = planned(&scenario.steps);
    let mut many: BTreeMap<&[u8], usize> = BTreeMap::new();
    for update in &planned {
        *many.entry(&update.client_id).or_default() += 1;
    }
    let name = |id: &[u8], nth: usize| match many.get(id) {
        Some(1) => escape(id),
        _ => format!("{}#{nth}", escape(id)),
    };
    let events: BTreeMap<LineId, Option<EventId>> = (outcomes.iter())
        .map(|outcome| (outcome.line, outcome.sent))
        .collect();
    let sent = planned.iter().map(|update| {
        let line = LineId {
            step: update.step,
            to: update.to,
            repetition: update.repetition,
            line: update.line,
        };
        Sent {
            name: name(&update.client_id, update.nth),
            to: scenario.herd.server(update.to).name.clone(),
            event: events.get(&line).copied().flatten(),
        }
    });
    sent.collect()
}

/// A judgement that passed if both are the same.
pub(crate) fn compare<T: PartialEq + Display>(
    about: String,
    expected: &T,
    actual: &T,
    events: Vec<EventId>,
) -> Judgement {
    Judgement {
        passed: expected == actual,
        events,
        ..failed(about, &expected.to_string(), &actual.to_string())
    }
}

/// A judgement that passed if there are as many events as expected.
pub(super) fn compare_count(
    about: String,
    expected: CountRange,
    events: Vec<EventId>,
) -> Judgement {
    let actual = events.len() as u64;
    Judgement {
        passed: expected.contains(actual),
        events,
        ..failed(about, &expected.to_string(), &actual.to_string())
    }
}

/// A judgement that failed.
pub(crate) fn failed(about: String, expected: &str, actual: &str) -> Judgement {
    Judgement {
        about,
        passed: false,
        expected: expected.to_owned(),
        actual: actual.to_owned(),
        place: None,
        note: None,
        invariant: None,
        events: Vec::new(),
    }
}

/// The first of these and how many more there are; `otherwise` if there are none.
pub(crate) fn first_and_more(all: Vec<String>, otherwise: &str) -> String {
    let more = all.len().saturating_sub(MOST_LISTED);
    let mut first: Vec<String> = all.into_iter().take(MOST_LISTED).collect();
    if first.is_empty() {
        return otherwise.to_owned();
    }
    if more > 0 {
        first.push(format!("and {more} more"));
    }
    first.join("; ")
}

/// Nanoseconds, as events count them.
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

//! Expectations of events: what must happen, how often, or never.

use std::time::Duration;

use super::read::{Declaration, Reading};
use super::window::{AFTER, BEFORE, FROM, UNTIL, WITHIN};
use super::{Expectation, Expected, Fields, Observed, Window, failed};
use crate::journal::{Event, EventId, EventKind};
use crate::scenario::fields::{Holds, field};
use crate::trace::Judgement;
use crate::trace::faults::Faults;
use crate::trace::network::Network;
use crate::trace::state::State;
use crate::scenario::{CountRange, EventText};

/// Events that must be, or must not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogExpectation {
    /// Which events.
    pub event: EventText,
    /// Only events of this part of the run count.
    pub window: Window,
    /// How many there must be; at least one, if not given.
    pub times: Option<CountRange>,
}

pub(super) const DECLARATIONS: &[Declaration] = &[Declaration {
    subject: field("log", Holds::Text, "What happened, in the words of `herd run --all`: `\"link to Juzang is down*\"`. `*` stands for any text, `\\*` for a star, `\\\\` for a backslash."),
    fields: &[
        field("by", Holds::Text, "Only the events of a server, of a client, of `network` or of `places` count; by default everybody's."),
        FROM,
        AFTER,
        UNTIL,
        BEFORE,
        WITHIN,
        field("times", Holds::Amount, "There is this number of such events, 0 for none; by default at least one."),
    ],
    read,
}];

fn read(reading: &mut Reading<'_, '_, '_>) -> Option<Expected> {
    let (text, by) = (reading.get("log")?, reading.get("by"));
    let steps = reading.steps();
    let event = reading.cx.event_text(text, by, steps);
    let window = reading.window();
    let expected = LogExpectation {
        event: event?,
        window,
        times: reading.amount("times"),
    };
    Some(expected.into())
}

impl Expectation for LogExpectation {
    fn write(&self, fields: &mut Fields<'_>) {
        fields.text("log", self.event.pattern.text());
        if let Some(by) = &self.event.by {
            fields.text("by", by);
        }
        self.window.write(fields);
        if let Some(times) = self.times {
            fields.amount("times", times);
        }
    }

    fn judge(&self, run: &Observed<'_>) -> Vec<Judgement> {
        vec![self.judgement(run)]
    }

    fn in_any_order(&self) -> (Option<Expected>, Vec<&'static str>) {
        (None, vec!["log"])
    }

    fn is_about_answers(&self) -> bool {
        true
    }
}

impl LogExpectation {
    /// The same with a later end, if it is about what must come and not about what may not.
    pub(super) fn relaxed(&self, by: Duration) -> Option<Self> {
        if self.times.is_some_and(|times| times.least == 0) {
            return None;
        }
        let mut relaxed = self.clone();
        let Window { until, within, .. } = &mut relaxed.window;
        for end in [until, within].into_iter().flatten() {
            *end += by;
        }
        Some(relaxed)
    }

    fn judgement(&self, run: &Observed<'_>) -> Judgement {
        let by = self.event.by.as_deref();
        let owner = by.map_or_else(|| "the log".to_owned(), |by| format!("the log of {by}"));
        let words = self.event.pattern.show(1, None);
        let about = format!("{owner}{}: {words}", self.window.words());
        let expected = self.times.map_or_else(|| "at least once".to_owned(), times);
        let stretch = match self.window.of(run) {
            Ok(stretch) => stretch,
            Err(why) => return failed(about, &expected, &why),
        };
        let events: Vec<EventId> = (stretch.events.iter())
            .filter(|event| self.event.matches(run.printed(), event))
            .map(|event| event.id)
            .collect();
        if self.times == Some(CountRange::exactly(0)) && self.is_gone(run, stretch.events, stretch.last) {
            return failed(about, &expected, "the server does not run in that time");
        }
        let wanted = self.times.unwrap_or(AT_LEAST_ONCE);
        // What comes later could only be too much.
        if wanted.most < u64::MAX
            && let Err(why) = stretch.check_whole(run)
        {
            return failed(about, &expected, &why);
        }
        let actual = events.len() as u64;
        Judgement {
            passed: wanted.contains(actual),
            events,
            ..failed(about, &expected, &times(CountRange::exactly(actual)))
        }
    }

    /// Whether the server whose events may not come does not run while they could, up to the moment `last`.
    fn is_gone(&self, run: &Observed<'_>, counted: &[Event], last: u64) -> bool {
        let by = self.event.by.as_deref();
        let Some(by) = by.filter(|by| run.scenario.herd.id(by).is_some()) else {
            return false;
        };
        let events = &run.trace.events;
        let before = events.partition_point(|event| event.at <= last);
        let last_event = before.checked_sub(1).map(|at| events[at].id);
        let is_frozen = last_event
            .is_some_and(|event| Network::behind(&Faults::of(events), Some(event)).is_frozen(by));
        let runs = State::at(events, last).server(by).is_some() && !is_frozen;
        let acts = |event: &Event| event.who.name() == by && is_own(event);
        !runs && !counted.iter().any(acts)
    }
}

/// What must be if a file says no number.
const AT_LEAST_ONCE: CountRange = CountRange {
    least: 1,
    most: u64::MAX,
};

/// Whether a server did it, and it was neither done to it nor its mere start.
fn is_own(event: &Event) -> bool {
    !matches!(event.what, EventKind::Started { .. }) && !event.what.is_by_harness()
}

fn times(number: CountRange) -> String {
    match (number.least, number.most) {
        (0, 0) => "never".to_owned(),
        (1, 1) => "once".to_owned(),
        _ => format!("{number} times"),
    }
}

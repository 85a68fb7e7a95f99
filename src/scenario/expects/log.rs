//! Expectations of events: what must happen, how often, or never.

use std::collections::BTreeSet;
use std::time::Duration;

use super::read::{Declaration, Reading};
use crate::scenario::fields::{Holds, field};
use super::{Expectation, Expected, Fields, Observed, failed, nanos};
use crate::diag::{Problem, did_you_mean};
use crate::document::Located;
use crate::herd::Name;
use crate::journal::{Event, EventId, EventKind};
use crate::report::Printed;
use crate::scenario::{Pattern, clients_of, forms};
use crate::trace::Judgement;
use crate::trace::faults::Faults;
use crate::trace::network::Network;
use crate::trace::state::State;
use crate::units::{DurationText, format_duration};

/// Events that must be, or must not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogExpectation {
    /// What an event's words look like.
    pub pattern: Pattern,
    /// Whose events count; everybody's, if not given.
    pub by: Option<String>,
    /// Only events from this moment on count.
    pub from: Duration,
    /// Only events up to this moment count; to the end of the run, if not given.
    pub until: Option<Duration>,
    /// How many there must be, exactly; at least one, if not given.
    pub times: Option<u64>,
}

pub(super) const DECLARATIONS: &[Declaration] = &[Declaration {
    subject: field("log", Holds::Text, "What happened, in the words of `herd run --all`: `\"link to Juzang is down*\"`. `*` stands for any text, `\\*` for a star, `\\\\` for a backslash."),
    fields: &[
        field("by", Holds::Text, "Only the events of a server, of a client, of `network` or of `places` count; by default everybody's."),
        field("from", Holds::Duration, "Only events at or after this moment count; by default from the beginning.").written("from = \"2s\""),
        field("until", Holds::Duration, "Only events at or before this moment count; by default to the end of the run.").written("until = \"3s\""),
        field("times", Holds::Count, "There are exactly this number of such events, 0 for none; by default at least one."),
    ],
    read,
}];

fn read(reading: &mut Reading<'_, '_, '_>) -> Option<Expected> {
    let text = reading.get::<Located<String>>("log")?;
    let pattern = Pattern::plain(text)
        .map_err(|error| reading.cx.error(text.span(), error.to_string()))
        .ok();
    if let Some(pattern) = &pattern {
        check_can_match(reading, text, pattern);
    }
    let by = reading.get::<Located<String>>("by");
    if let Some(by) = by {
        check_acts(reading, by);
    }
    let from = reading.moment("from").unwrap_or_default();
    let until = reading.moment("until");
    let written = reading.get::<Located<DurationText>>("until");
    if let Some(written) = written.filter(|_| until.is_some_and(|until| until < from)) {
        let (until, from) = (format_duration(written.0), format_duration(from));
        let message = format!("`until` is {until}, before `from`, {from}");
        reading.cx.error(written.span(), message);
    }
    let expected = LogExpectation {
        pattern: pattern?,
        by: by.map(|by| by.to_string()),
        from,
        until,
        times: reading.count("times"),
    };
    Some(expected.into())
}

/// A pattern that no event ever looks like would make `times = 0` pass for nothing.
fn check_can_match(reading: &mut Reading<'_, '_, '_>, text: &Located<String>, pattern: &Pattern) {
    let Some(steps) = reading.known.written else {
        return;
    };
    if forms::can_match(pattern, steps, reading.cx.has_bodies) {
        return;
    }
    let problem = Problem::error(reading.cx.source, text.span(), "no event ever looks like this");
    let help = forms::nearest(pattern).map_or_else(
        || "`herd run --all` shows what events look like".to_owned(),
        |nearest| format!("the nearest is `{nearest}`"),
    );
    let help = format!(
        "{help}; the text of a client's line or of Places follows the event's own words, as in `→  *`"
    );
    reading.cx.report(problem.help(help));
}

/// Nothing that somebody does who isn't there could ever be in the log.
fn check_acts(reading: &mut Reading<'_, '_, '_>, by: &Located<String>) {
    let (Some(herd), Some(steps)) = (reading.cx.herd.clone(), &reading.known.steps) else {
        return;
    };
    let mut names: BTreeSet<Name> = (herd.servers().iter())
        .map(|server| server.name.clone())
        .collect();
    names.extend(clients_of(steps));
    names.extend(["network", "places"].map(Name::from));
    if !names.contains(by.as_str()) {
        let names = names.iter().map(|name| &**name);
        let message = format!("no server or client is called `{}` here", **by);
        let help = did_you_mean(by, "servers and clients", names);
        let problem = Problem::error(reading.cx.source, by.span(), message);
        reading.cx.report(problem.help(help));
    }
}

impl Expectation for LogExpectation {
    fn write(&self, fields: &mut Fields<'_>) {
        fields.text("log", self.pattern.text());
        if let Some(by) = &self.by {
            fields.text("by", by);
        }
        fields.since("from", self.from);
        if let Some(until) = self.until {
            fields.duration("until", until);
        }
        if let Some(times) = self.times {
            fields.count("times", times);
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
    fn judgement(&self, run: &Observed<'_>) -> Judgement {
        let by = self.by.as_deref();
        let owner = by.map_or_else(|| "the log".to_owned(), |by| format!("the log of {by}"));
        let from = match self.from {
            Duration::ZERO => String::new(),
            from => format!(" from {}", format_duration(from)),
        };
        let until = self.until.map(format_duration);
        let until = until.map_or_else(String::new, |until| format!(" until {until}"));
        let about = format!("{owner}{from}{until}: {}", self.pattern.show(1, None));
        let expected = self.times.map_or_else(|| "at least once".to_owned(), times);
        if self.from.max(self.until.unwrap_or_default()) > run.lasted {
            return failed(about, &expected, &run.over());
        }
        let printed = Printed::new(run.trace);
        let events: Vec<EventId> = (run.trace.events.iter())
            .filter(|event| self.counts(event.at))
            .filter(|event| by.is_none_or(|by| event.who.name() == by))
            .filter(|event| self.matches(event, &printed))
            .map(|event| event.id)
            .collect();
        if self.times == Some(0) && self.is_gone(run) {
            return failed(about, &expected, "the server does not run in that time");
        }
        let actual = events.len() as u64;
        Judgement {
            passed: self.times.map_or(actual > 0, |expected| actual == expected),
            events,
            ..failed(about, &expected, &times(actual))
        }
    }

    /// Whether what happens at this moment counts, in nanoseconds.
    fn counts(&self, at: u64) -> bool {
        (nanos(self.from)..=self.until.map_or(u64::MAX, nanos)).contains(&at)
    }

    fn matches(&self, event: &Event, printed: &Printed<'_>) -> bool {
        // Columns are blanks and names, which a star at the beginning would take for words.
        let is_whole = self.pattern.text().contains('[');
        let printed = printed.from_each_column(event);
        let [what, columns @ ..] = &printed;
        let matches = |text: &str| self.pattern.matches(text.as_bytes(), 1, None);
        matches(&event.what.to_string())
            || matches(what)
            || is_whole && columns.iter().any(|text| matches(text))
    }

    /// Whether the server whose events may not come does not run while they could.
    fn is_gone(&self, run: &Observed<'_>) -> bool {
        let by = self.by.as_deref();
        let Some(by) = by.filter(|by| run.scenario.herd.id(by).is_some()) else {
            return false;
        };
        let until = self.until.map_or(u64::MAX, nanos);
        let events = &run.trace.events;
        let before = events.partition_point(|event| event.at <= until);
        let last = before.checked_sub(1).map(|last| events[last].id);
        let is_frozen =
            last.is_some_and(|last| Network::behind(&Faults::of(events), Some(last)).is_frozen(by));
        let runs = State::at(events, until).server(by).is_some() && !is_frozen;
        let acts =
            |event: &Event| event.who.name() == by && self.counts(event.at) && is_own(event);
        !runs && !events.iter().any(acts)
    }
}

/// Whether a server did it, and it was neither done to it nor its mere start.
fn is_own(event: &Event) -> bool {
    !matches!(event.what, EventKind::Started { .. }) && !event.what.is_by_harness()
}

fn times(number: u64) -> String {
    match number {
        0 => "never".to_owned(),
        1 => "once".to_owned(),
        _ => format!("{number} times"),
    }
}

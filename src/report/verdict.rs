//! The expectations of a run with their results, and the verdict in one line.

use super::faults::faults;
use super::lanes::Lanes;
use super::reasons::Reasons;
use super::show;
use super::story::{Detail, StoryFilter};
use crate::trace::invariants::Invariant;
use crate::trace::{Judgement, Trace};

/// The maximum number of events of a failed expectation that are listed; the others are counted.
const MOST_EVENTS: usize = 16;

/// The result of each expectation; a failed one with the expected and the actual value. The
/// invariants that passed share a line. One more line lists the invariants that are switched off,
/// and one those of them that passed.
pub fn judgements(trace: &Trace) -> Vec<String> {
    let held = |judgement: &Judgement| judgement.invariant.filter(|_| judgement.passed);
    let mut invariants = trace.judgements.iter().filter_map(held).peekable();
    let mut lines = Vec::new();
    let lanes = Lanes::of(trace);
    let faults = faults(trace, &lanes);
    let reasons = Reasons::new(trace, &lanes, &faults);
    let told = StoryFilter::new(trace, Detail::Everything);
    for judgement in &trace.judgements {
        if held(judgement).is_none() {
            lines.extend(lines_of(judgement, &reasons, &told));
        } else if invariants.peek().is_some() {
            lines.push(format!("passed  invariants: {}", names(&mut invariants)));
        }
    }
    if !trace.header.without.is_empty() {
        let without = names(&mut trace.header.without.iter().copied());
        lines.push(format!("off     invariants: {without}"));
    }
    if !trace.header.needless.is_empty() {
        let needless = names(&mut trace.header.needless.iter().copied());
        lines.push(format!("off     `without` is needless: {needless} passed"));
    }
    if !trace.header.not_evaluated.is_empty() {
        let all = trace.header.not_evaluated.join("; ");
        lines.push(format!(
            "unseen  not evaluated, since it can't be seen from outside: {all}"
        ));
    }
    for sometimes in &trace.header.sometimes {
        let seen = if sometimes.seen { "seen" } else { "unseen" };
        lines.push(format!("{seen:<8}sometimes: {}", sometimes.about));
    }
    lines
}

/// An expectation that failed, as the report shows it.
#[derive(Clone, Debug)]
pub struct Failed<'a> {
    /// The expectation.
    pub judgement: &'a Judgement,
    /// The actual result, with the reason if a fault explains it.
    pub actual: String,
    /// The report's lines about it, including the events that show the failure.
    pub lines: Vec<String>,
}

/// The expectations that failed, in their order.
pub fn failed(trace: &Trace) -> Vec<Failed<'_>> {
    let lanes = Lanes::of(trace);
    let faults = faults(trace, &lanes);
    let reasons = Reasons::new(trace, &lanes, &faults);
    let told = StoryFilter::new(trace, Detail::Everything);
    let failed = trace
        .judgements
        .iter()
        .filter(|judgement| !judgement.passed);
    let as_told = failed.map(|judgement| Failed {
        judgement,
        actual: actual(&reasons, judgement),
        lines: lines_of(judgement, &reasons, &told),
    });
    as_told.collect()
}

fn names(invariants: &mut dyn Iterator<Item = Invariant>) -> String {
    let names: Vec<&str> = invariants.map(Invariant::name).collect();
    names.join(", ")
}

/// The actual result. For a failed expectation about an update's route to a server, the reason
/// follows.
pub(crate) fn actual(reasons: &Reasons<'_>, judgement: &Judgement) -> String {
    let actual = &judgement.actual;
    match why(reasons, judgement).filter(|_| !judgement.passed) {
        Some(why) => format!("{actual}{why}"),
        None => actual.clone(),
    }
}

fn why(reasons: &Reasons<'_>, judgement: &Judgement) -> Option<String> {
    // An expectation about an update begins with its name and a colon. Client ids contain no white
    // space, so ": " ends the name.
    let (name, what) = judgement.about.split_once(": ")?;
    let mut updates = reasons.trace.updates.iter();
    let update = updates.find(|update| update.name == name)?;
    let to = ["hops to ", "path to ", "delay to ", "reaches "];
    let server = to.iter().find_map(|words| what.strip_prefix(words))?;
    match update.arrival(server) {
        // An update that was not to reach the server has no reason that could be shown.
        Some(_) if what.starts_with("reaches ") => None,
        Some(arrival) => Some(reasons.of_arrival(update, arrival)),
        None => Some(format!(": {}", reasons.of_absence(update, server)?)),
    }
}

fn lines_of(judgement: &Judgement, reasons: &Reasons<'_>, told: &StoryFilter<'_>) -> Vec<String> {
    let Judgement {
        about, expected, ..
    } = judgement;
    let actual = &actual(reasons, judgement);
    if judgement.passed {
        let as_expected = if expected == actual {
            String::new()
        } else {
            format!("  (expected: {})", first_line(expected))
        };
        return vec![format!(
            "passed  {about}: {}{as_expected}",
            first_line(actual)
        )];
    }
    let place = judgement
        .place
        .as_deref()
        .map_or(String::new(), |place| format!("  (at {place})"));
    let mut lines = vec![
        format!("FAILED  {about}{place}"),
        format!("          expected: {expected}"),
        format!("          actual:   {actual}"),
    ];
    if let Some(note) = &judgement.note {
        lines.push(format!("          note:     {note}"));
    }
    let events = judgement.events.iter();
    let events = events.filter_map(|&event| reasons.trace.event(event));
    let rows: Vec<Vec<String>> = (events.take(MOST_EVENTS))
        .map(|event| {
            let who = event.who.name().to_owned();
            vec![show::moment(event.at), who, told.line(event)]
        })
        .collect();
    let titles = ["events:  "]
        .into_iter()
        .chain(std::iter::repeat("         "));
    let rows = show::table(&rows, &[true]);
    let rows = rows.iter().zip(titles);
    lines.extend(rows.map(|(row, title)| format!("          {title} {row}")));
    match judgement.events.len().saturating_sub(MOST_EVENTS) {
        0 => {}
        more => lines.push(format!("                    and {more} more")),
    }
    lines
}

/// The text up to its first escaped line feed: what passed need not be shown whole.
fn first_line(text: &str) -> String {
    match text.split_once("\\n") {
        Some((first, _)) => format!("{first} …"),
        None => text.to_owned(),
    }
}

/// The verdict: `PASSED` or `FAILED`, and the number of expectations.
pub fn verdict_line(trace: &Trace) -> String {
    let verdict = trace.verdict();
    let total = show::count(verdict.passed + verdict.failed, "expectation");
    let events = show::count(trace.events.len(), "event");
    let name = &trace.header.scenario;
    if verdict.failed == 0 {
        format!("PASSED: {name}, {total}, {events}")
    } else {
        format!(
            "FAILED: {name}, {} of {total} failed, {events}",
            show::grouped(verdict.failed)
        )
    }
}

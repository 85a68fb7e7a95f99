//! What was expected and what came, and the one line that sums it up.

use super::show;
use crate::trace::invariants::Invariant;
use crate::trace::{Judgement, Trace};

/// Each expectation: held, or broken with what was expected and what came. The invariants that held
/// are one line; those that were not judged are another.
pub fn judgements(trace: &Trace) -> Vec<String> {
    let held = |judgement: &Judgement| judgement.invariant.filter(|_| judgement.held);
    let mut invariants = trace.judgements.iter().filter_map(held).peekable();
    let mut lines = Vec::new();
    for judgement in &trace.judgements {
        if held(judgement).is_none() {
            lines.extend(lines_of(judgement));
        } else if invariants.peek().is_some() {
            lines.push(format!("held    invariants: {}", names(&mut invariants)));
        }
    }
    if !trace.header.without.is_empty() {
        let without = names(&mut trace.header.without.iter().copied());
        lines.push(format!("off     invariants: {without}"));
    }
    lines
}

fn names(invariants: &mut dyn Iterator<Item = Invariant>) -> String {
    let names: Vec<&str> = invariants.map(Invariant::name).collect();
    names.join(", ")
}

fn lines_of(judgement: &Judgement) -> Vec<String> {
    let Judgement {
        about,
        expected,
        actual,
        ..
    } = judgement;
    if judgement.held {
        let as_expected = if expected == actual {
            String::new()
        } else {
            format!("  (expected: {})", first_line(expected))
        };
        return vec![format!(
            "held    {about}: {}{as_expected}",
            first_line(actual)
        )];
    }
    let place = judgement
        .place
        .as_deref()
        .map_or(String::new(), |place| format!("  (at {place})"));
    let mut lines = vec![
        format!("BROKEN  {about}{place}"),
        format!("          expected: {expected}"),
        format!("          actual:   {actual}"),
    ];
    if !judgement.events.is_empty() {
        let events: Vec<String> = judgement
            .events
            .iter()
            .take(8)
            .map(|event| event.0.to_string())
            .collect();
        lines.push(format!(
            "          events:   {} (as numbered by --all)",
            events.join(", ")
        ));
    }
    lines
}

/// What held need not be shown whole: of an answer with a body, the first line.
fn first_line(text: &str) -> String {
    match text.split_once("\\n") {
        Some((first, _)) => format!("{first} …"),
        None => text.to_owned(),
    }
}

/// `HELD` or `BROKEN`, and how many expectations.
pub fn verdict_line(trace: &Trace) -> String {
    let verdict = trace.verdict();
    let total = show::count(verdict.held + verdict.broken, "expectation");
    let events = show::count(trace.events.len(), "event");
    let name = &trace.header.scenario;
    if verdict.broken == 0 {
        format!("HELD: {name}, {total}, {events}")
    } else {
        format!(
            "BROKEN: {name}, {} of {total} broken, {events}",
            show::grouped(verdict.broken)
        )
    }
}

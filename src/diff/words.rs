//! A difference in sentences, as what changed from the first run to the second.

use std::fmt::Write as _;

use super::{
    Changed, Diff, Exchange, Fault, HeldDiff, LinkLife, Moment, Outcome, Side, UpdateDiff,
    UpdateOutcome,
};
use crate::diff::FirstArrival;
use crate::report::show::{self, delay};
use crate::trace::names;
use crate::trace::propagation::Fate;

/// The maximum number of lines of one kind that are shown; the rest is counted.
const MOST_LINES: usize = 60;

/// The whole difference as text, with a verdict as its last line.
pub fn text(diff: &Diff) -> String {
    let mut text = String::new();
    for (letter, side) in [("A", &diff.a), ("B", &diff.b)] {
        let _ = writeln!(text, "{letter}  {}", heading(side));
    }
    let ran = all(&diff.ran, value);
    if !ran.is_empty() {
        let _ = writeln!(text, "   in B: {}", ran.join("; "));
    }
    part(&mut text, None, updates(&diff.updates));
    part(&mut text, Some("workloads"), all(&diff.workloads, value));
    part(&mut text, Some("clients"), all(&diff.lines, line));
    part(&mut text, Some("faults"), all(&diff.faults, fault));
    part(
        &mut text,
        Some("expectations"),
        all(&diff.expectations, outcome),
    );
    part(&mut text, Some("links"), all(&diff.links, link));
    let mut end = all(&diff.running, running);
    end.extend(diff.held.iter().map(held));
    part(&mut text, Some("at the end"), end);
    part(&mut text, Some("how often"), all(&diff.counts, count));
    part(&mut text, None, parting(diff));
    let _ = writeln!(text, "\n{}", verdict(diff));
    text
}

fn heading(side: &Side) -> String {
    let (scenario, seed) = (&side.scenario, &side.seed);
    let (events, broken) = (show::count(side.events, "event"), side.verdict.failed);
    let verdict = match broken {
        0 => "PASSED".to_owned(),
        broken => format!("FAILED ({broken})"),
    };
    format!("{scenario}, seed {seed}: {verdict}, {events}")
}

fn part(text: &mut String, title: Option<&str>, lines: Vec<String>) {
    if lines.is_empty() {
        return;
    }
    let _ = writeln!(text);
    if let Some(title) = title {
        let _ = writeln!(text, "{title}");
    }
    let more = lines.len().saturating_sub(MOST_LINES);
    let indent = if title.is_some() { "  " } else { "" };
    for line in lines.into_iter().take(MOST_LINES) {
        let _ = writeln!(text, "{indent}{line}");
    }
    if more > 0 {
        let more = show::count(more, "line");
        let _ = writeln!(text, "{indent}and {more} more (--json has all)");
    }
}

/// One line for each fact. Facts with the same words share a line.
fn all<T>(found: &[Changed<T>], words: impl Fn(&Changed<T>) -> String) -> Vec<String> {
    let mut told: Vec<(String, Vec<&str>)> = Vec::new();
    for changed in found {
        let words = words(changed);
        match told.iter_mut().find(|(known, _)| *known == words) {
            Some((_, names)) => names.push(&changed.what),
            None => told.push((words, vec![&changed.what])),
        }
    }
    let lines = told.into_iter();
    lines
        .map(|(words, names)| format!("{}{words}", names.join(", ")))
        .collect()
}

/// The words ` 2 instead of 1`, which follow a name such as `seed`.
fn value<T: std::fmt::Display>(changed: &Changed<T>) -> String {
    match (&changed.a, &changed.b) {
        (Some(a), Some(b)) => format!(" {} instead of {}", quoted(b), quoted(a)),
        (Some(a), None) => format!(": only in A ({a})"),
        (None, b) => format!(
            ": only in B ({})",
            b.as_ref().map_or_else(String::new, quoted)
        ),
    }
}

/// The value, or `none` if it is empty.
fn quoted(value: &impl std::fmt::Display) -> String {
    match value.to_string() {
        empty if empty.is_empty() => "none".to_owned(),
        value => value,
    }
}

/// Updates with the same differences share their lines.
fn updates(updates: &[UpdateDiff]) -> Vec<String> {
    let mut told: Vec<(Vec<String>, Vec<&str>)> = Vec::new();
    for update in updates {
        let lines = update_lines(update);
        match told.iter_mut().find(|(known, _)| *known == lines) {
            Some((_, names)) => names.push(&update.way.what),
            None => told.push((lines, vec![&update.way.what])),
        }
    }
    let mut all = Vec::new();
    for (lines, names) in told {
        all.push(names::title(names.into_iter()));
        all.extend(lines.into_iter().map(|line| format!("  {line}")));
    }
    all
}

fn update_lines(update: &UpdateDiff) -> Vec<String> {
    let (a, b) = match (&update.way.a, &update.way.b) {
        (Some(a), Some(b)) => (a, b),
        (Some(_), None) => return vec!["only in A".to_owned()],
        (None, _) => return vec!["only in B".to_owned()],
    };
    let mut lines = Vec::new();
    if a.to != b.to {
        lines.push(format!("is said to {} instead of {}", b.to, a.to));
    }
    if a.fate != b.fate {
        lines.push(format!("is {} instead of {}", fate(b.fate), fate(a.fate)));
    }
    if let (Some(a), Some(b)) = (a.at, b.at)
        && a != b
    {
        lines.push(format!("is taken in {}", later(a, b)));
    }
    let servers = update.servers.iter();
    lines.extend(servers.map(|server| format!("{} {}", server.what, heard(server, b))));
    lines.extend(cost(a, b));
    lines
}

fn fate(fate: Fate) -> String {
    match fate {
        Fate::Accepted => "accepted".to_owned(),
        Fate::Ignored(_) => "ignored".to_owned(),
        Fate::Refused(why) => format!("refused ({why})"),
        Fate::Unheard => "never heard".to_owned(),
    }
}

/// Words such as `heard from Bernard instead of Riley; over 2 links instead of 1; 12ms later`.
fn heard(server: &Changed<FirstArrival>, way: &UpdateOutcome) -> String {
    let (a, b) = match (&server.a, &server.b) {
        (Some(a), Some(b)) => (a, b),
        (Some(_), None) if way.overtaken.contains(&server.what) => {
            return "never had it: something newer came first".to_owned();
        }
        (Some(_), None) if way.tied.contains(&server.what) => {
            return "never had it: equal time, the tie went to another".to_owned();
        }
        (Some(_), None) => return "was never reached".to_owned(),
        (None, b) => {
            let by = b.as_ref().map_or_else(String::new, |heard| {
                format!(" {}, after {}", from(heard), delay(heard.delay))
            });
            return format!("was reached: it heard{by}");
        }
    };
    let mut words = Vec::new();
    if (&a.via, a.sync) != (&b.via, b.sync) {
        let before = match (&a.via, a.sync == b.sync) {
            (Some(via), true) => via.clone(),
            _ => from(a),
        };
        words.push(format!("heard {} instead of {before}", from(b)));
    } else if a.path != b.path {
        let [a, b] = [a, b].map(|heard| heard.path.join(" → "));
        words.push(format!("heard by way of {b} instead of {a}"));
    }
    if a.hops != b.hops {
        let links = show::count(b.hops as usize, "link");
        words.push(format!("over {links} instead of {}", a.hops));
    }
    if a.delay != b.delay {
        words.push(later(a.delay, b.delay));
    }
    if a.times != b.times {
        let times = show::count(b.times, "time");
        words.push(format!("took it in {times} instead of {}", a.times));
    }
    words.join("; ")
}

fn from(heard: &FirstArrival) -> String {
    let via = heard.via.as_deref().unwrap_or("its client");
    let sync = if heard.sync {
        " by synchronisation"
    } else {
        ""
    };
    format!("from {via}{sync}")
}

/// How much later or earlier `b` is than `a`: `12ms later`.
fn later(a: u64, b: u64) -> String {
    if a == b {
        return "at the same time".to_owned();
    }
    let word = if b > a { "later" } else { "earlier" };
    format!("{} {word}", delay(a.abs_diff(b)))
}

/// How the cost changed; `None` if it did not.
fn cost(a: &UpdateOutcome, b: &UpdateOutcome) -> Option<String> {
    let kinds = [
        (a.useful, b.useful, ["useful message", "useful messages"]),
        (a.duplicate, b.duplicate, ["duplicate", "duplicates"]),
        (a.lost, b.lost, ["lost message", "lost messages"]),
        (
            a.by_sync,
            b.by_sync,
            ["message by synchronisation", "messages by synchronisation"],
        ),
    ];
    let told = kinds
        .into_iter()
        .filter_map(|(a, b, what)| more(a, b, what));
    let told: Vec<String> = told.collect();
    (!told.is_empty()).then(|| told.join(", "))
}

/// The change of a number: `one more duplicate`, `3 fewer duplicates`. `None` without one.
fn more(a: usize, b: usize, [one, many]: [&str; 2]) -> Option<String> {
    let word = if b > a { "more" } else { "fewer" };
    match a.abs_diff(b) {
        0 => None,
        1 => Some(format!("one {word} {one}")),
        several => Some(format!("{several} {word} {many}")),
    }
}

fn line(changed: &Changed<Exchange>) -> String {
    let (a, b) = match (&changed.a, &changed.b) {
        (Some(a), Some(b)) => (a, b),
        (Some(a), None) => return format!(": only in A: {}", a.line),
        (None, b) => {
            let line = b.as_ref().map_or("", |said| &said.line);
            return format!(": only in B: {line}");
        }
    };
    let mut words = Vec::new();
    if a.to != b.to {
        words.push(format!("to {} instead of {}", b.to, a.to));
    }
    if a.line != b.line {
        words.push(format!("says {} instead of {}", b.line, a.line));
    }
    match (&a.answer, &b.answer) {
        (Some(_), None) => words.push("has no answer".to_owned()),
        (None, Some(answer)) => words.push(format!("has an answer: {}", first_line(answer))),
        (Some(a), Some(b)) if a != b => {
            let [a, b] = [a, b].map(|answer| first_line(answer));
            let told = if a == b {
                format!("hears another body behind {a}")
            } else {
                format!("hears {b} instead of {a}")
            };
            words.push(told);
        }
        _ => {}
    }
    if a.at != b.at {
        words.push(format!("is said {}", later(a.at, b.at)));
    }
    if let (Some(a), Some(b)) = (a.after, b.after)
        && a != b
    {
        words.push(format!("is answered {}", later(a, b)));
    }
    format!(": {}", words.join("; "))
}

/// The text up to its first escaped line feed.
fn first_line(text: &str) -> &str {
    text.split_once("\\n").map_or(text, |(first, _)| first)
}

fn fault(changed: &Changed<Fault>) -> String {
    match (&changed.a, &changed.b) {
        (Some(a), Some(b)) => {
            let mut words = Vec::new();
            if a.at != b.at {
                words.push(later(a.at, b.at));
            }
            if a.touched != b.touched {
                let [a, b] = [a, b].map(|fault| quoted(&fault.touched.join(" and ")));
                words.push(format!("touches {b} instead of {a}"));
            }
            format!(": {}", words.join("; "))
        }
        (Some(a), None) => format!(": only in A, at {}", show::moment(a.at)),
        (None, b) => {
            let at = b.as_ref().map_or(0, |fault| fault.at);
            format!(": only in B, at {}", show::moment(at))
        }
    }
}

fn outcome(changed: &Changed<Outcome>) -> String {
    let verdict = |held: bool| if held { "passed" } else { "FAILED" };
    match (&changed.a, &changed.b) {
        (Some(a), Some(b)) => {
            let mut words = Vec::new();
            if a.held != b.held {
                words.push(format!(
                    "{} instead of {}",
                    verdict(b.held),
                    verdict(a.held)
                ));
            }
            if a.expected != b.expected {
                words.push(format!("expected {} instead of {}", b.expected, a.expected));
            }
            if a.actual != b.actual {
                let [a, b] = [a, b].map(|outcome| first_line(&outcome.actual));
                words.push(format!("{b} instead of {a}"));
            }
            format!(": {}", words.join("; "))
        }
        (Some(a), None) => format!(": only in A ({})", verdict(a.held)),
        (None, b) => {
            let held = b.as_ref().is_some_and(|outcome| outcome.held);
            format!(": only in B ({})", verdict(held))
        }
    }
}

fn link(changed: &Changed<LinkLife>) -> String {
    let (a, b) = match (&changed.a, &changed.b) {
        (Some(a), Some(b)) => (a, b),
        (Some(_), None) => return ": only in A".to_owned(),
        (None, _) => return ": only in B".to_owned(),
    };
    let mut words = Vec::new();
    if a.ups != b.ups {
        let times = show::count(b.ups, "time");
        words.push(format!(
            "seen to come up {times} by its ends instead of {}",
            a.ups
        ));
    }
    if a.downs != b.downs {
        let [a, b] = [a, b].map(|link| link.downs.join(", "));
        words.push(match (&*a, &*b) {
            (_, "") => format!("never lost instead of lost by {a}"),
            ("", _) => format!("lost by {b}"),
            _ => format!("lost by {b} instead of {a}"),
        });
    }
    if a.brought != b.brought {
        words.push(format!(
            "synchronisation brings {} instead of {}",
            b.brought, a.brought
        ));
    }
    if a.apart != b.apart {
        let word = if b.apart > a.apart {
            "longer"
        } else {
            "shorter"
        };
        let time = delay(a.apart.abs_diff(b.apart));
        words.push(format!("apart {time} {word}"));
    }
    if a.end != b.end {
        words.push(format!("{} at the end instead of {}", b.end, a.end));
    }
    format!(": {}", words.join("; "))
}

fn running(changed: &Changed<bool>) -> String {
    match (changed.a, changed.b) {
        (Some(_), Some(true)) => ": running, and not in A".to_owned(),
        (Some(_), Some(false)) => ": not running, but in A".to_owned(),
        (Some(_), None) => ": not in B's herd".to_owned(),
        (None, _) => ": not in A's herd".to_owned(),
    }
}

fn held(held: &HeldDiff) -> String {
    let servers = held.servers.join(", ");
    let client = &held.client;
    match (&held.a, &held.b) {
        (Some(a), Some(b)) => format!("{servers}: {b} instead of {a}"),
        (Some(a), None) => format!("{servers}: nothing of {client} instead of {a}"),
        (None, b) => {
            let record = b.as_deref().unwrap_or_default();
            format!("{servers}: {record} instead of nothing of {client}")
        }
    }
}

fn count(changed: &Changed<u64>) -> String {
    let [a, b] = [changed.a, changed.b].map(Option::unwrap_or_default);
    format!(": {b} instead of {a}")
}

fn parting(diff: &Diff) -> Vec<String> {
    let Some(parting) = &diff.first else {
        return Vec::new();
    };
    let told = |moment: &Option<Moment>| match moment {
        Some(moment) => {
            let at = show::moment(moment.at);
            format!("{at}  {}  {}", moment.who, moment.what)
        }
        None => "the run is over".to_owned(),
    };
    vec![
        format!("the runs diverge at event {}", parting.event),
        format!("  A  {}", told(&parting.a)),
        format!("  B  {}", told(&parting.b)),
    ]
}

fn verdict(diff: &Diff) -> String {
    if diff.is_same() {
        let events = match diff.first {
            None => "event by event",
            Some(_) => "in all that comes of them, and not event by event",
        };
        return format!("SAME: the two runs are the same {events}");
    }
    let parts = diff.parts();
    let told = parts.iter().filter(|(_, count)| *count > 0);
    let told = told.map(|(what, count)| match what.split_once(" of ") {
        Some((noun, rest)) => format!("{} of {rest}", show::count(*count, noun)),
        None => show::count(*count, what),
    });
    format!("DIFFERENT: {}", told.collect::<Vec<_>>().join(", "))
}

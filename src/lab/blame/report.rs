//! When a failure became inevitable, as text for people.

use super::{Blame, Moment, Rise};
use crate::report::show::{count, grouped, moment, table};

/// The length of the bar of a moment all of whose futures fail, in columns.
const BAR: usize = 40;

/// The maximum number of steps and of events that are shown; others are counted.
const MOST_SHOWN: usize = 12;

/// The whole report.
pub fn text(blame: &Blame) -> String {
    let Blame {
        scenario,
        seed,
        fingerprint,
        futures,
        ..
    } = blame;
    let swarm = if blame.swarm {
        " (faults and the order of tasks chosen by it)"
    } else {
        ""
    };
    let mut lines = vec![
        format!("{scenario}, seed {seed}{swarm}"),
        format!("  fails by {fingerprint}"),
        format!(
            "  of each of {} what was drawn before it is kept, and the rest is drawn anew, {futures} times",
            count(blame.curve.len(), "moment")
        ),
        String::new(),
    ];
    lines.extend(bars(blame));
    lines.push(String::new());
    lines.extend(verdict(blame));
    lines.join("\n") + "\n"
}

/// The curve, a moment in each line.
fn bars(blame: &Blame) -> Vec<String> {
    let has_others = blame.curve.iter().any(|moment| moment.other > 0);
    let mut head = vec!["kept until".to_owned(), "fail so".to_owned()];
    head.extend(has_others.then(|| "otherwise".to_owned()));
    let mut rows = vec![head];
    for one in &blame.curve {
        let mut row = vec![moment(one.at), grouped(one.same)];
        row.extend(has_others.then(|| grouped(one.other)));
        row.push("#".repeat(one.same * BAR / blame.futures.max(1)));
        rows.push(row);
    }
    let right = [true, true, has_others];
    table(&rows, &right)
}

/// What is to be said of the curve.
fn verdict(blame: &Blame) -> Vec<String> {
    let mut lines = Vec::new();
    if blame.interrupted {
        lines.push("PARTIAL: interrupted, so moments are missing".to_owned());
    }
    let Some(first) = blame.curve.first() else {
        return lines;
    };
    if first.same == blame.futures {
        lines.push(
            "inevitable from the beginning: the written steps alone do it, whatever the seed"
                .to_owned(),
        );
        return lines;
    }
    if let Some(rise) = &blame.rise {
        lines.extend(risen(blame, rise));
    }
    if let Some(from) = blame.inevitable() {
        lines.push(format!(
            "inevitable from {} on: all {} futures fail so",
            moment(from.at),
            grouped(blame.futures)
        ));
    }
    lines
}

fn risen(blame: &Blame, rise: &Rise) -> Vec<String> {
    let share = |moment: &Moment| format!("{} of {}", grouped(moment.same), grouped(blame.futures));
    let mut lines = vec![format!(
        "the steepest rise: from {} to {}, by what was drawn from {} to before {}",
        share(&rise.from),
        share(&rise.to),
        moment(rise.from.at),
        moment(rise.to.at)
    )];
    lines.extend(some("step ", &rise.steps));
    lines.extend(some("event", &rise.events));
    if rise.steps.is_empty() && rise.events.is_empty() {
        lines.push(
            "  no step and nothing of the story: a latency, a loss or the order of tasks"
                .to_owned(),
        );
    }
    lines.push(format!("  before: {}", blame.again(&rise.from, 0)));
    lines.push(format!("  after:  {}", blame.again(&rise.to, 0)));
    lines
}

fn some(what: &str, all: &[String]) -> Vec<String> {
    let mut lines: Vec<String> = (all.iter().take(MOST_SHOWN))
        .map(|one| format!("  {what}  {one}"))
        .collect();
    let more = all.len().saturating_sub(MOST_SHOWN);
    if more > 0 {
        lines.push(format!("  and {} more", grouped(more)));
    }
    lines
}

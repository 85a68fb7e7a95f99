//! An exploration as text for people.

use std::collections::BTreeSet;

use super::{BrokenOrder, Exploration, Range, UpdateRange};
use crate::report::show::{count, grouped, table};

/// The whole report.
pub fn text(exploration: &Exploration) -> String {
    let mut lines = vec![
        exploration.title.clone(),
        format!("  herd {}{}", exploration.herd, told_to(exploration)),
        String::new(),
    ];
    lines.extend(orders(exploration));
    for update in &exploration.updates {
        lines.push(String::new());
        lines.extend(spread(update));
    }
    lines.push(String::new());
    lines.extend(judged(exploration));
    for broken in &exploration.broken {
        lines.push(String::new());
        lines.extend(order(broken));
    }
    lines.push(String::new());
    lines.push(verdict(exploration));
    lines.join("\n") + "\n"
}

/// One line: whether all orders passed, and how many were run.
pub fn verdict(exploration: &Exploration) -> String {
    let word = match (exploration.is_broken(), exploration.counts.orders) {
        (true, _) => "FAILED",
        (false, 0) => "FAILED: nothing was explored",
        (false, _) if exploration.counts.interrupted => "PARTIAL, passed so far",
        (false, _) => "PASSED",
    };
    let from = told_to(exploration);
    format!(
        "{word}: {}{from}, {}",
        exploration.scenario,
        share(exploration)
    )
}

fn told_to(exploration: &Exploration) -> String {
    let origin = exploration.origin.as_ref();
    origin.map_or(String::new(), |origin| format!(", from {origin}"))
}

/// How many of the orders were run, in words.
fn share(exploration: &Exploration) -> String {
    let counts = exploration.counts;
    let unseen = counts.left_out + counts.open;
    let orders = count(counts.orders, "order");
    let all = match (exploration.complete, exploration.reduced) {
        (true, false) => "all there are".to_owned(),
        (true, true) => "one for each that differs".to_owned(),
        (false, false) => format!("of at least {}", grouped(counts.orders + unseen)),
        (false, true) => format!("{} not followed", count(unseen, "beginning")),
    };
    let interrupted = if counts.interrupted {
        "; interrupted"
    } else {
        ""
    };
    match (exploration.complete, exploration.reduced) {
        (false, false) => format!("{orders} {all}{interrupted}"),
        _ => format!("{orders}: {all}{interrupted}"),
    }
}

fn orders(exploration: &Exploration) -> Vec<String> {
    let counts = exploration.counts;
    let mut lines = vec![
        format!("explored  {}", share(exploration)),
        format!("choices   {} in an order", range(exploration.choices)),
        format!(
            "outcomes  {} that differ in what any server was told, by whom or in which order",
            grouped(exploration.outcomes)
        ),
    ];
    let also = [
        (counts.left_out, "left out by the bounds"),
        (counts.open, "not reached"),
    ];
    for (beginnings, why) in also {
        if beginnings > 0 {
            lines.push(format!(
                "          {} {why}",
                count(beginnings, "beginning")
            ));
        }
    }
    if counts.cut_short > 0 {
        lines.push(format!(
            "          {} cut short: what follows commutes with what was run",
            count(counts.cut_short, "run")
        ));
    }
    lines
}

fn spread(update: &UpdateRange) -> Vec<String> {
    let (sends, useful) = (range(update.sends), range(update.useful));
    let mut lines = vec![format!(
        "update {}: {sends} sends, {useful} useful",
        update.name
    )];
    let head = ["server", "hops", ""].map(str::to_owned).to_vec();
    let rows = update.servers.iter().map(|server| {
        let missed = match server.missed {
            0 => String::new(),
            orders => format!("never in {}", count(orders, "order")),
        };
        vec![server.server.clone(), numbers(&server.hops), missed]
    });
    let rows: Vec<Vec<String>> = [head].into_iter().chain(rows).collect();
    lines.extend(
        table(&rows, &[false, true])
            .into_iter()
            .map(|row| format!("  {row}")),
    );
    lines
}

fn judged(exploration: &Exploration) -> Vec<String> {
    let line = |judged: &super::ExpectationTally| match judged.broken {
        0 => format!("passed  {}", judged.about),
        broken => format!("FAILED  {}  (in {})", judged.about, count(broken, "order")),
    };
    let mut lines: Vec<String> = exploration.judged.iter().map(line).collect();
    let needs_time = |judged: &super::ExpectationTally| {
        judged.broken > 0
            && (judged.about.contains(" answers ") || judged.about.starts_with("Places is asked"))
    };
    if exploration.judged.iter().any(needs_time) {
        lines.push(
            "here every message takes 1 ms and steps have no times of their own: a reply that names a skew, or depends on a time, breaks by that alone"
                .to_owned(),
        );
    }
    if !exploration.not_judged.is_empty() {
        let words = exploration.not_judged.join(", ");
        lines.push(format!("not judged, as it depends on the order: {words}"));
    }
    lines
}

fn order(broken: &BrokenOrder) -> Vec<String> {
    let order = match broken.order.as_slice() {
        [] => "all as it comes up".to_owned(),
        order => format!("{}, then as it comes up", order.join(", ")),
    };
    let orders = count(broken.orders, "order");
    let mut lines = vec![format!("{orders} failed like this one: {order}")];
    for judgement in &broken.judgements {
        lines.push(format!("FAILED  {}", judgement.about));
        lines.push(format!("          expected: {}", judgement.expected));
        lines.push(format!("          actual:   {}", judgement.actual));
    }
    lines
}

/// The numbers as `1..4` if they are consecutive, otherwise as `1, 3`.
fn numbers(all: &BTreeSet<u32>) -> String {
    match (all.first(), all.last()) {
        (Some(first), Some(last)) if first == last => first.to_string(),
        (Some(first), Some(last)) if (last - first) as usize + 1 == all.len() => {
            format!("{first}..{last}")
        }
        (None, _) => "-".to_owned(),
        _ => {
            let all: Vec<String> = all.iter().map(u32::to_string).collect();
            all.join(", ")
        }
    }
}

fn range(range: Range) -> String {
    if range.least == range.most {
        range.least.to_string()
    } else {
        format!("{} to {}", range.least, range.most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_as_short_as_they_can_be() {
        assert_eq!(
            [0, 999, 1_248, 1_000_000].map(grouped),
            ["0", "999", "1,248", "1,000,000"]
        );
        let set = |all: &[u32]| numbers(&all.iter().copied().collect());
        assert_eq!(
            ["-", "2", "1..3", "1, 3"],
            [set(&[]), set(&[2]), set(&[1, 2, 3]), set(&[1, 3])]
        );
        assert_eq!(count(1, "order"), "1 order");
    }
}

//! Surveys and hops as text, JSON and CSV, by pure functions.

mod all;
mod hops;

pub(crate) use all::Cutting;

/// The maximum number of deviations from the graph that are listed in text; the others are counted.
const MOST_TOLD: usize = 20;

/// Right-aligns all of `columns` columns but the first.
fn right(columns: usize) -> Vec<bool> {
    (0..columns).map(|column| column > 0).collect()
}

/// One line for each deviation from the graph, up to [`MOST_TOLD`].
fn told(exceptions: impl Iterator<Item = String>) -> Vec<String> {
    let mut all: Vec<String> = exceptions.map(|what| format!("FAILED  {what}")).collect();
    if all.len() > MOST_TOLD {
        let more = all.len() - MOST_TOLD;
        all.truncate(MOST_TOLD);
        all.push(format!("… and {more} more"));
    }
    all
}

/// How often each number occurs: the count of `n` is at index `n`.
fn histogram(numbers: impl Iterator<Item = u32>) -> Vec<usize> {
    let mut counts = Vec::new();
    for number in numbers {
        let at = number as usize;
        if at >= counts.len() {
            counts.resize(at + 1, 0);
        }
        counts[at] += 1;
    }
    counts
}

/// The mean with two decimals, rounded down.
fn mean(sum: u64, of: usize) -> String {
    let hundredths = (sum * 100).checked_div(u64::try_from(of).unwrap_or(u64::MAX));
    let hundredths = hundredths.unwrap_or(0);
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

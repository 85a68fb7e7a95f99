//! A run as a log for `ShiViz`, a viewer of logs with vector clocks.
//!
//! The first line of such a file is the regular expression that reads the rest, the second (empty here)
//! would part several runs. Then come two lines an event: who and the vector clock, when and what.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::markup::cut;
use crate::protocol::visible;
use crate::report::lanes::Lanes;
use crate::report::{Detail, StoryFilter, show};
use crate::trace::Trace;

/// What reads the log's events.
const PARSER: &str = r"(?<host>\S+) (?<clock>\{.*\})\n(?<at>\S+) (?<event>.*)";

/// How many of its events each lane had told when something happened, as far as that could be known.
type Clock = BTreeMap<usize, u64>;

/// The events of a run that are shown, with vector clocks. An event that is not shown counts in no clock, and yet
/// what was known through it is known.
pub fn shiviz(trace: &Trace, detail: Detail) -> String {
    let told = StoryFilter::new(trace, detail);
    let lanes = Lanes::of(trace);
    let hosts = hosts(&lanes);
    let mut clocks: Vec<Clock> = Vec::new();
    let mut latest = vec![Clock::new(); hosts.len()];
    let mut log = format!("{PARSER}\n\n");
    for (event, lane) in
        (trace.events.iter()).filter_map(|event| Some((event, lanes.of_event(event)?)))
    {
        let clock = &mut latest[lane];
        let cause = event
            .cause
            .and_then(|cause| usize::try_from(cause.0.get()).ok());
        // Only what came before can be a cause.
        if let Some(cause) = cause.and_then(|cause| clocks.get(cause - 1)) {
            learn(clock, cause);
        }
        if told.is_told(event) {
            *clock.entry(lane).or_default() += 1;
            let known = clock
                .iter()
                .map(|(host, count)| (hosts[*host].clone(), (*count).into()));
            let known = serde_json::Value::Object(known.collect());
            let (host, at, what) = (&hosts[lane], show::moment(event.at), told.what(event));
            let _ = writeln!(log, "{host} {known}\n{at} {}", one_line(&what));
        }
        clocks.push(clock.clone());
    }
    log
}

fn learn(clock: &mut Clock, from: &Clock) {
    for (host, count) in from {
        let known = clock.entry(*host).or_default();
        *known = (*known).max(*count);
    }
}

/// A name for each lane, without blanks; no two have the same.
fn hosts(lanes: &Lanes<'_>) -> Vec<String> {
    let mut taken = BTreeSet::new();
    let name = |name: &str| {
        let plain = cut(&one_line(name), 60).replace(char::is_whitespace, "_");
        let numbered = (2..).map(|number| format!("{plain}~{number}"));
        let mut names = std::iter::once(plain.clone()).chain(numbered);
        let free = names.find(|name| !taken.contains(name)).unwrap_or_default();
        taken.insert(free.clone());
        free
    };
    lanes
        .list
        .iter()
        .map(|lane| &*lane.name)
        .map(name)
        .collect()
}

/// Text without anything that ends a line for a JavaScript regular expression.
fn one_line(text: &str) -> String {
    visible(text).replace(['\u{2028}', '\u{2029}'], " ")
}

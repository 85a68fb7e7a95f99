//! A run as a log for `ShiViz`, a viewer of logs with vector clocks.
//!
//! The first line of the format is a regular expression that reads the rest. The second line would
//! be a delimiter between several runs, and is empty here. Each event then takes two lines: host
//! and vector clock, and time and words.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::markup::cut;
use crate::protocol::visible;
use crate::report::lanes::Lanes;
use crate::report::{Detail, StoryFilter, show};
use crate::trace::Trace;

/// The regular expression with which `ShiViz` reads the events.
const PARSER: &str = r"(?<host>\S+) (?<clock>\{.*\})\n(?<at>\S+) (?<event>.*)";

/// A vector clock: by lane, the number of its shown events that are known.
type Clock = BTreeMap<usize, u64>;

/// The shown events of a run, with vector clocks. An event that is not shown is not counted, but
/// still passes on the knowledge of its causes.
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
        // A damaged trace may name a later event as a cause; that is ignored.
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

/// A unique name for each lane, without white space.
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

/// The text without anything that JavaScript's regular expressions take as the end of a line.
fn one_line(text: &str) -> String {
    visible(text).replace(['\u{2028}', '\u{2029}'], " ")
}

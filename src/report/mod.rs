//! A trace as text. Every function here is pure: the same trace gives the same text, whether it
//! comes from a run or from a file.

pub mod faults;
pub mod lanes;
mod reasons;
mod sentences;
pub mod show;
mod snapshot;
mod story;
mod verdict;
mod ways;

use std::fmt::Write as _;

use crate::trace::Trace;

pub(crate) use reasons::Reasons;
pub use sentences::fate;
pub(crate) use sentences::sentences;
pub use snapshot::{snapshot, snapshot_with_times};
pub use story::{Detail, Printed, StoryFilter, story};
pub(crate) use verdict::actual;
pub use verdict::{Failed, failed, judgements, verdict_line};
pub(crate) use ways::missing;
pub use ways::ways;

/// The whole report of one run: title and herd, the story, how each update spread, the
/// expectations, and one line of verdict.
pub fn text(trace: &Trace, detail: Detail) -> String {
    let mut text = String::new();
    for line in heading(trace) {
        let _ = writeln!(text, "{line}");
    }
    for part in [story(trace, detail), ways(trace), judgements(trace)] {
        if !part.is_empty() {
            let _ = writeln!(text);
        }
        for line in part {
            let _ = writeln!(text, "{line}");
        }
    }
    let _ = writeln!(text, "\n{}", verdict_line(trace));
    text
}

fn heading(trace: &Trace) -> Vec<String> {
    let header = &trace.header;
    let mut lines = vec![header.title.clone()];
    if let Some(about) = &header.about {
        lines.extend(
            about
                .trim()
                .lines()
                .map(|line| format!("  {}", line.trim())),
        );
    }
    let herd = &header.herd;
    let servers = show::count(header.servers.len(), "server");
    let links = show::count(header.links.len(), "link");
    let seed = &header.seed;
    // Only the world of ticks has any.
    let tick = match header.world.as_str() {
        "turmoil" => format!(", tick {}", show::delay(header.tick)),
        _ => String::new(),
    };
    let chosen = match (header.swarm, header.shuffle) {
        (true, true) => " (faults and the order of tasks chosen by it)",
        (true, false) => " (faults chosen by it)",
        (false, true) => " (the order of tasks chosen by it)",
        (false, false) => "",
    };
    lines.push(format!(
        "  herd {herd}: {servers}, {links}, {}; seed {seed}{chosen}{tick}",
        latencies(trace)
    ));
    lines
}

fn latencies(trace: &Trace) -> String {
    let mut different: Vec<&str> = Vec::new();
    for link in &trace.header.links {
        if !different.contains(&link.latency.as_str()) {
            different.push(&link.latency);
        }
    }
    match different.as_slice() {
        [] => "no latency".to_owned(),
        [one] => format!("{one} each"),
        some => format!("of {}", some.join(", ")),
    }
}

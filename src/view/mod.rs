//! Runs as pictures. A page for a browser shows runs as a space-time diagram, as a map of the herd,
//! and as the records of each server at any moment. A run is also shown as a static picture, and in
//! the formats of other tools. Everything here is a pure function of traces: the same traces give
//! the same bytes.
//!
//! [`model::Run`] is the input of any picture of a run. [`page`] embeds it into a page whose own
//! code (`page/`) draws it. The page sends no requests to any network, and content of a trace stays
//! text in it.

mod blame;
mod heat;
mod html;
mod junit;
mod markup;
pub mod messages;
pub mod model;
mod order_tree;
mod orders;
mod perfetto;
mod shiviz;
mod svg;
mod sweep;
#[cfg(test)]
mod tests;

use std::fmt::Write as _;

use crate::diff;
use crate::report::{self, Detail};
use crate::trace::Trace;
use model::Run;

pub use blame::blame_page;
pub use heat::heat_map;
pub(crate) use html::escape as escape_html;
pub use junit::{Suite, junit};
pub(crate) use markup::text as xml_text;
pub use orders::orders_page;
pub use perfetto::perfetto;
pub use shiviz::shiviz;
pub use svg::{Drawing, Window, svg};
pub(crate) use sweep::plain_page;
pub use sweep::{SmallScenario, sweep_page};

/// The maximum number of lines of a run's story in the page; `herd show` prints all of them.
const MOST_STORY: usize = 4_000;

/// The maximum number of pairs of runs whose differences are in words; other pairs are only drawn.
const MOST_PAIRS: usize = 6;

/// The page's style.
const STYLE: &str = concat!(
    include_str!("page/base.css"),
    include_str!("page/parts.css"),
    include_str!("page/print.css"),
);
/// The page's code, in an order in which no part comes before one that it needs.
const SCRIPT: &str = concat!(
    "(() => {\n\"use strict\";\n",
    include_str!("page/dom.js"),
    include_str!("page/model.js"),
    include_str!("page/timelines.js"),
    include_str!("page/memory_state.js"),
    include_str!("page/fold.js"),
    include_str!("page/view.js"),
    include_str!("page/marks.js"),
    include_str!("page/diagram.js"),
    include_str!("page/gestures.js"),
    include_str!("page/layout.js"),
    include_str!("page/herd.js"),
    include_str!("page/memory.js"),
    include_str!("page/figures.js"),
    include_str!("page/compare.js"),
    include_str!("page/glance.js"),
    include_str!("page/transport.js"),
    include_str!("page/keyboard.js"),
    include_str!("page/main.js"),
    "})();\n",
);
const TEMPLATE: &str = include_str!("page/page.html");

/// A run for the page.
#[derive(Clone, Debug)]
pub struct ShownRun {
    /// The run's trace.
    pub trace: Trace,
    /// The file that the run came from.
    pub source: String,
    /// The command that repeats the run; empty if none is known.
    pub command: String,
}

/// One page that shows these runs.
pub fn page(runs: &[ShownRun]) -> String {
    page_with(runs, "")
}

/// The same, with more below the diagram.
fn page_with(runs: &[ShownRun], below: &str) -> String {
    let models: Vec<Run> = (runs.iter())
        .map(|run| Run::of(&run.trace, &run.source, &run.command))
        .collect();
    let titles: Vec<&str> = runs.iter().map(|run| &*run.trace.header.title).collect();
    let style = html::policy_hash(STYLE);
    let script = html::policy_hash(SCRIPT);
    let policy = format!(
        "default-src 'none'; style-src {style}; script-src {script}; img-src data:; base-uri 'none'; form-action 'none'"
    );
    let stories: String = runs.iter().map(story).collect();
    let pairs = (1..runs.len()).flat_map(|second| (0..second).map(move |first| (first, second)));
    let differences: String = pairs
        .take(MOST_PAIRS)
        .map(|pair| differences(runs, pair))
        .collect();
    html::fill(
        TEMPLATE,
        &[
            ("policy", &policy),
            ("title", &html::escape(&titles.join(" · "))),
            ("style", STYLE),
            ("below", below),
            ("stories", &stories),
            ("differences", &differences),
            ("model", &html::json(&models)),
            ("script", SCRIPT),
        ],
    )
}

/// The story in words, for readers without JavaScript or with a screen reader.
fn story(run: &ShownRun) -> String {
    let text = report::text(&run.trace, Detail::Story);
    let header = &run.trace.header;
    let (title, source, seed) = (&header.title, &run.source, &header.seed);
    let summary = format!("The whole story: {title} ({source}, seed {seed})");
    unfolding("", &summary, &text, "herd show")
}

/// The differences between two of the runs, in words.
fn differences(runs: &[ShownRun], (first, second): (usize, usize)) -> String {
    let (a, b) = (&runs[first], &runs[second]);
    let text = diff::text(&diff::compare(&a.trace, &b.trace));
    let [named_a, named_b] =
        [a, b].map(|run| format!("{}, seed {}", run.source, run.trace.header.seed));
    let summary = format!("What differs: A is {named_a}; B is {named_b}");
    let data = format!(" data-differences=\"{first} {second}\"");
    unfolding(&data, &summary, &text, "herd diff")
}

/// A long text in a folded element. `whole` is the command that prints all of it.
fn unfolding(data: &str, summary: &str, text: &str, whole: &str) -> String {
    let summary = html::escape(summary);
    let mut html = format!(
        "<details class=\"story\"{data}><summary>{summary}</summary>\n\
         <pre tabindex=\"0\" role=\"region\" aria-label=\"{summary}\">"
    );
    for line in text.lines().take(MOST_STORY) {
        let _ = writeln!(html, "{}", html::escape(line));
    }
    let more = text.lines().count().saturating_sub(MOST_STORY);
    if more > 0 {
        let _ = writeln!(html, "… and {more} lines more, which `{whole}` prints");
    }
    html.push_str("</pre></details>\n");
    html
}

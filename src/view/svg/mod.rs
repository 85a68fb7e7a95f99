//! The space-time diagram of a run as a static SVG, for papers and READMEs: a lifeline for each
//! participant, time downwards, an arrow for each message.
//!
//! The diagram draws the events of the story, or all events with [`Detail::Everything`]. Within a
//! burst, distances are proportional to time unless labels need more room. Quiet stretches are
//! folded, and marked as such. All coordinates are whole numbers and the order follows from the
//! trace, so the same trace gives the same bytes.

mod columns;
mod drawn;
mod frame;
mod rows;
mod shapes;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::markup::text;
use crate::report::faults::{Fault, faults};
use crate::report::lanes::Lanes;
use crate::report::{Detail, fate, verdict_line};
use crate::trace::Trace;
use columns::Columns;
use drawn::Drawn;
use rows::Rows;

/// A part of a run, in nanoseconds since its beginning, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The first moment.
    pub from: u64,
    /// The last moment.
    pub until: u64,
}

impl Window {
    /// The whole run.
    pub const ALL: Self = Self {
        from: 0,
        until: u64::MAX,
    };

    fn has(self, at: u64) -> bool {
        (self.from..=self.until).contains(&at)
    }
}

/// The left edge of the first lifeline's column, in pixels. The times are to the left of it.
const LEFT: i64 = 74;
/// The width of the notes in pixels, and the number of characters that fit in.
const NOTES: i64 = 400;
const NOTE_LENGTH: usize = 56;
/// The assumed delay if no message between servers has one, in nanoseconds.
const USUAL: u64 = 20_000_000;

/// A run, laid out.
struct Picture<'a> {
    trace: &'a Trace,
    lanes: Lanes<'a>,
    drawn: Drawn<'a>,
    faults: Vec<Fault>,
    columns: Columns,
    rows: Rows,
    /// The vertical position at which the lifelines begin, in pixels.
    top: i64,
}

/// A diagram and its size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drawing {
    /// The text of the SVG.
    pub svg: String,
    /// The number of messages in it.
    pub messages: usize,
    /// The height in pixels.
    pub height: i64,
}

/// Draws the part `window` of a run.
pub fn svg(trace: &Trace, detail: Detail, window: Window) -> Drawing {
    let lanes = Lanes::of(trace);
    let drawn = Drawn::new(trace, &lanes, detail, window);
    let columns = Columns::new(&lanes, &drawn, LEFT);
    let mut faults = faults(trace, &lanes);
    faults.retain(|fault| fault.overlaps(window.from, window.until));
    let top = frame::TITLE + columns.head();
    let moments = moments(&drawn, &faults, window);
    let rows = Rows::new(&moments, usual(&drawn), top + 18);
    let picture = Picture {
        trace,
        lanes,
        drawn,
        faults,
        columns,
        rows,
        top,
    };
    picture.draw()
}

/// All moments at which something is drawn, in nanoseconds, each with the number of its notes.
fn moments(drawn: &Drawn<'_>, faults: &[Fault], window: Window) -> BTreeMap<u64, usize> {
    let notes = drawn.notes.iter().map(|(at, notes)| (*at, notes.len()));
    let mut moments: BTreeMap<u64, usize> = notes.collect();
    let sent = drawn
        .messages
        .iter()
        .filter_map(|message| drawn.event(message.sent));
    let heard = drawn
        .messages
        .iter()
        .filter_map(|message| drawn.heard(message));
    let marks = drawn.marks.iter().copied();
    let events = sent.chain(heard).chain(marks).map(|event| event.at);
    let ends = faults.iter().flat_map(|fault| [Some(fault.from), fault.to]);
    for at in events.chain(ends.flatten()).filter(|at| window.has(*at)) {
        moments.entry(at).or_default();
    }
    moments
}

/// The median delay of messages between servers, in nanoseconds.
fn usual(drawn: &Drawn<'_>) -> u64 {
    let mut delays: Vec<u64> = (drawn.messages.iter())
        .filter_map(|message| {
            let (sent, heard) = (drawn.event(message.sent)?, drawn.heard(message)?);
            let between_servers = message.update.is_some() && message.hops > 0;
            Some(heard.at.saturating_sub(sent.at)).filter(|delay| between_servers && *delay > 0)
        })
        .collect();
    delays.sort_unstable();
    delays.get(delays.len() / 2).copied().unwrap_or(USUAL)
}

impl Picture<'_> {
    fn draw(&self) -> Drawing {
        let width = (self.columns.right() + NOTES).max(620);
        let legend = self.legend(width);
        let height = self.rows.bottom + 34 + legend.height;
        let title = text(&self.trace.header.title);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
             height=\"{height}\" role=\"img\" aria-labelledby=\"title desc\">\n\
             <title id=\"title\">{title}</title>\n<desc id=\"desc\">{}</desc>\n<style>\n{}</style>\n",
            text(&self.in_words()),
            include_str!("style.css"),
        );
        let _ = writeln!(
            svg,
            "<rect class=\"paper\" width=\"{width}\" height=\"{height}\" rx=\"8\"/>"
        );
        for part in [
            self.heading(),
            self.bands(),
            self.lifelines(),
            self.times(),
            self.spans(),
            self.folds(),
            self.ways(),
            self.marks(),
            self.heads(),
            self.notes(),
            legend.svg,
        ] {
            svg.push_str(&part);
        }
        svg.push_str("</svg>\n");
        Drawing {
            svg,
            messages: self.drawn.messages.len(),
            height,
        }
    }

    /// The picture in words, for screen readers. It describes up to 20 updates.
    fn in_words(&self) -> String {
        let mut words = vec![format!(
            "A space-time diagram: a vertical lifeline for each participant, time downwards, an arrow for each \
             message. {}.",
            verdict_line(self.trace)
        )];
        for update in self.trace.updates.iter().take(20) {
            let arrivals = update.arrivals.iter().skip(1).map(|arrival| {
                let hops = crate::report::show::count(arrival.hops as usize, "hop");
                format!("{} after {hops}", arrival.server)
            });
            let arrivals: Vec<String> = arrivals.collect();
            let reached = match arrivals.as_slice() {
                [] => String::new(),
                some => format!("; reached {}", some.join(", ")),
            };
            let (name, to, fate) = (&update.name, &update.to, fate(update));
            words.push(format!("Update {name} at {to}: {fate}{reached}."));
        }
        if let more @ 1.. = self.trace.updates.len().saturating_sub(20) {
            words.push(format!("{more} more updates."));
        }
        words.join(" ")
    }
}

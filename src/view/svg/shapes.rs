//! Draws what happens: messages, reactions to updates, and faults.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::Picture;
use crate::journal::{Event, EventKind};
use crate::protocol::escape;
use crate::report::faults::{Fault, FaultClass};
use crate::report::show;
use crate::view::markup::{cut, text};
use crate::view::messages::{Class, Message};

/// The radius of the marks of an accepted and of an ignored update, in pixels.
const TOOK: i64 = 9;
const KNEW: i64 = 4;
/// The vertical length of the line of a lost message, in pixels.
const DROP: i64 = 30;

type Point = (i64, i64);

/// A message's line: its CSS class and its two ends.
type Line = (&'static str, Point, Point);

impl Picture<'_> {
    /// Draws all messages. Messages with the same line are drawn once, with their number.
    pub(super) fn ways(&self) -> String {
        let mut lines: BTreeMap<Line, Vec<String>> = BTreeMap::new();
        for message in &self.drawn.messages {
            if let Some((line, words)) = self.line(message) {
                lines.entry(line).or_default().push(words);
            }
        }
        let mut svg = String::new();
        for ((class, from, to), words) in lines {
            let _ = write!(
                svg,
                "<g><title>{}</title><line class=\"way {class}\" x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\"/>{}",
                listed(&words),
                from.0,
                from.1,
                to.0,
                to.1,
                tip(class, from, to),
            );
            if words.len() > 1 {
                let (x, y) = (i64::midpoint(from.0, to.0), i64::midpoint(from.1, to.1));
                let _ = write!(
                    svg,
                    "<text class=\"many\" x=\"{x}\" y=\"{y}\">×{}</text>",
                    words.len()
                );
            }
            svg.push_str("</g>\n");
        }
        svg
    }

    fn line(&self, message: &Message) -> Option<(Line, String)> {
        let sent = self.drawn.event(message.sent)?;
        let heard = self.drawn.heard(message);
        let from = (self.columns.x(message.from)?, self.rows.y(sent.at));
        let end = self.columns.x(message.to?)?;
        let class = class(message);
        let to = match heard {
            Some(heard) => (end, self.rows.y(heard.at)),
            // The line ends a little past half way, so that the message does not seem to arrive.
            None => (from.0 + (end - from.0) * 11 / 20, from.1 + DROP),
        };
        let to = match heard {
            Some(heard) => shortened(from, to, self.radius(heard)),
            None => to,
        };
        Some(((class, from, to), words(message, sent, heard)))
    }

    /// The radius of the mark at which an arrow ends; 0 without one.
    fn radius(&self, heard: &Event) -> i64 {
        let marks = &self.drawn.marks;
        let now = marks.partition_point(|mark| mark.at < heard.at);
        let now = (marks[now..].iter()).take_while(|mark| mark.at == heard.at);
        let here = now.filter(|mark| mark.who == heard.who);
        let sizes = here.map(|mark| match mark.what {
            EventKind::Accepted { .. } => TOOK,
            _ => KNEW,
        });
        sizes.max().unwrap_or(0)
    }

    pub(super) fn marks(&self) -> String {
        let mut took: BTreeMap<Point, Vec<(u32, &Event)>> = BTreeMap::new();
        let mut knew: BTreeMap<Point, Vec<&Event>> = BTreeMap::new();
        for &event in &self.drawn.marks {
            let Some(x) = self.lane(event).and_then(|lane| self.columns.x(lane)) else {
                continue;
            };
            let place = (x, self.rows.y(event.at));
            match &event.what {
                EventKind::Accepted { hops, .. } => {
                    took.entry(place).or_default().push((*hops, event));
                }
                _ => knew.entry(place).or_default().push(event),
            }
        }
        let mut svg = String::new();
        for ((x, y), events) in knew {
            let words: Vec<String> = events.iter().map(|event| self.said(event)).collect();
            let _ = writeln!(
                svg,
                "<g><title>{}</title><circle class=\"knew\" cx=\"{x}\" cy=\"{y}\" r=\"{KNEW}\"/></g>",
                listed(&words),
            );
        }
        for ((x, y), events) in took {
            let words: Vec<String> = events.iter().map(|(_, event)| self.said(event)).collect();
            let _ = write!(
                svg,
                "<g class=\"took\"><title>{}</title><circle cx=\"{x}\" cy=\"{y}\" r=\"{TOOK}\"/>\
                 <text x=\"{x}\" y=\"{}\">{}</text></g>",
                listed(&words),
                y + 4,
                events[0].0,
            );
            if events.len() > 1 {
                let (x, y) = (x + TOOK + 2, y - 5);
                let _ = write!(
                    svg,
                    "<text class=\"many\" x=\"{x}\" y=\"{y}\">×{}</text>",
                    events.len()
                );
            }
            svg.push('\n');
        }
        svg
    }

    fn said(&self, event: &Event) -> String {
        let (at, who) = (show::moment(event.at), event.who.name());
        format!("{at} {who} {}", cut(&self.drawn.told.what(event), 120))
    }

    fn lane(&self, event: &Event) -> Option<usize> {
        self.lanes.of_event(event)
    }

    /// The vertical beginning and end of a fault. A fault without duration still gets six pixels.
    fn extent(&self, fault: &Fault) -> (i64, i64) {
        let from = self.rows.y(fault.from);
        let to = fault.to.map_or(self.rows.bottom, |to| self.rows.y(to));
        (from, to.max(from + 6))
    }

    /// Draws the faults between servers, each as a band across the lifelines that it affects.
    pub(super) fn bands(&self) -> String {
        let mut svg = String::new();
        for fault in self.faults.iter().filter(|fault| !fault.pairs.is_empty()) {
            let touched: Vec<i64> = fault
                .lanes
                .iter()
                .filter_map(|lane| self.columns.x(*lane))
                .collect();
            let (Some(left), Some(right)) = (touched.first(), touched.last()) else {
                continue;
            };
            let (top, bottom) = self.extent(fault);
            let _ = write!(
                svg,
                "<g class=\"band\"><title>{}</title>",
                text(&fault.label)
            );
            let _ = write!(
                svg,
                "<rect x=\"{}\" y=\"{top}\" width=\"{}\" height=\"{}\"/>",
                left - 22,
                right - left + 44,
                bottom - top,
            );
            for x in touched {
                let _ = write!(
                    svg,
                    "<path d=\"M{} {top}h20M{} {bottom}h20\"/>",
                    x - 10,
                    x - 10
                );
            }
            svg.push_str("</g>\n");
        }
        svg
    }

    /// Draws the faults of single servers, each as a box on the server's lifeline.
    pub(super) fn spans(&self) -> String {
        let mut svg = String::new();
        for fault in self.faults.iter().filter(|fault| fault.pairs.is_empty()) {
            let lane = fault.lanes.first().and_then(|lane| self.columns.x(*lane));
            let Some(x) = lane else {
                continue;
            };
            let (pattern, word) = match fault.kind {
                FaultClass::Down => ("down", "down"),
                FaultClass::Frozen => ("frozen", "still"),
                FaultClass::Refusing => ("refusing", "refuses"),
                FaultClass::Skewed => ("skewed", "clock"),
                FaultClass::Disk => ("disk", "disk"),
                FaultClass::Cut | FaultClass::Slow | FaultClass::Impaired | FaultClass::Severed => {
                    continue;
                }
            };
            let (top, bottom) = self.extent(fault);
            let shape = striped(pattern, x - 7, top, 14, bottom - top);
            let _ = write!(
                svg,
                "<g class=\"span\"><title>{}</title>{shape}",
                text(&fault.label)
            );
            if bottom - top > 16 && !self.columns.turned {
                let (x, y) = (x + 12, top + 13);
                let _ = write!(
                    svg,
                    "<text class=\"halo\" x=\"{x}\" y=\"{y}\">{word}</text>"
                );
            }
            svg.push_str("</g>\n");
        }
        svg
    }
}

/// A message in words, for its tooltip.
fn words(message: &Message, sent: &Event, heard: Option<&Event>) -> String {
    let result = match message.class {
        Class::Useful => ", news there",
        Class::Duplicate => ", known there already",
        _ if heard.is_none() => ", never arrived",
        _ => "",
    };
    let when = heard.map_or_else(String::new, |heard| {
        format!(" to {}", show::moment(heard.at))
    });
    let line = match &sent.what {
        EventKind::LineOut { line, .. } => escape(&line.0),
        what => what.to_string(),
    };
    let (who, at) = (sent.who.name(), show::moment(sent.at));
    let to = heard.map_or("", |heard| heard.who.name());
    format!("{who} → {to} {at}{when}{result}: {}", cut(&line, 120))
}

/// The CSS class of a message.
fn class(message: &Message) -> &'static str {
    match message.class {
        Class::Useful => "useful",
        Class::Duplicate => "duplicate",
        Class::Lost => "lost",
        _ if message.heard.is_none() => "lost",
        Class::Request | Class::Answer | Class::Places => "plain",
        Class::Sync | Class::Heartbeat => "housekeeping",
    }
}

/// Up to eight descriptions as the text of an SVG element, one per line. Each is escaped alone,
/// since escaping the joined text would change the line breaks.
fn listed(words: &[String]) -> String {
    let (shown, more) = words.split_at(words.len().min(8));
    let mut lines: Vec<String> = shown.iter().map(|words| text(words)).collect();
    if !more.is_empty() {
        lines.push(format!("… and {} more", more.len()));
    }
    lines.join("\n")
}

/// The length of a vector, at least 1 so that it can be a divisor.
fn length((x, y): Point) -> i64 {
    let square = x.unsigned_abs().pow(2) + y.unsigned_abs().pow(2);
    i64::try_from(square.isqrt()).unwrap_or(i64::MAX).max(1)
}

/// The end of a line that stops `by` pixels before `to`.
fn shortened(from: Point, to: Point, by: i64) -> Point {
    let (x, y) = (to.0 - from.0, to.1 - from.1);
    let length = length((x, y));
    (to.0 - x * by / length, to.1 - y * by / length)
}

/// The head of an arrow at `to`, or the cross of a lost message.
pub(super) fn tip(class: &str, from: Point, to: Point) -> String {
    if class == "lost" {
        let (x, y) = (to.0 - 5, to.1 - 5);
        return format!("<path class=\"cross\" d=\"M{x} {y}l10 10m0 -10l-10 10\"/>");
    }
    let (x, y) = (to.0 - from.0, to.1 - from.1);
    let length = length((x, y));
    let size = if class == "useful" { 11 } else { 9 };
    let (back_x, back_y) = (x * size / length, y * size / length);
    let (side_x, side_y) = (-y * size * 2 / (length * 5), x * size * 2 / (length * 5));
    format!(
        "<path class=\"tip {class}\" d=\"M{} {}L{} {}L{} {}Z\"/>",
        to.0,
        to.1,
        to.0 - back_x + side_x,
        to.1 - back_y + side_y,
        to.0 - back_x - side_x,
        to.1 - back_y - side_y,
    )
}

/// A box on a lifeline. Its pattern of stripes identifies the fault without colour.
pub(super) fn striped(pattern: &str, x: i64, y: i64, width: i64, height: i64) -> String {
    let mut stripes = String::new();
    let box_of = |class: &str| {
        format!(
            "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\"/>"
        )
    };
    let bottom = y + height;
    let mut at = y;
    while at < bottom {
        match pattern {
            "down" => {
                // Slanted, and clipped at the box's top.
                let rise = width.min(at - y);
                let _ = write!(stripes, "M{x} {at}l{rise} -{rise}");
            }
            "frozen" => {
                let _ = write!(stripes, "M{x} {at}h{width}");
            }
            "refusing" => {
                let _ = write!(stripes, "M{} {at}v3", x + width / 2);
            }
            "disk" => {
                let _ = write!(stripes, "M{} {at}h3M{} {at}h3", x + 2, x + width - 5);
            }
            _ => {
                let _ = write!(stripes, "M{} {at}l{} 3", x + 3, width - 6);
            }
        }
        at += 6;
    }
    format!(
        "{}<path class=\"stripe\" d=\"{stripes}\"/>",
        box_of("paint")
    )
}

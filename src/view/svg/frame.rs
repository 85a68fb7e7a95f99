//! Draws what surrounds the messages: title, lifelines and their names, times, notes, legend.

use std::fmt::Write as _;

use super::{LEFT, NOTE_LENGTH, Picture};
use crate::journal::EventKind;
use crate::report::faults::FaultClass;
use crate::report::show;
use crate::view::markup::{cut, text};
use crate::view::messages::Class;

/// The height of the title, in pixels.
pub(super) const TITLE: i64 = 68;
/// The minimum distance between labels of times, in pixels.
const LABELS: i64 = 14;

/// A legend, and its height in pixels.
pub(super) struct Legend {
    pub(super) svg: String,
    pub(super) height: i64,
}

impl Picture<'_> {
    pub(super) fn heading(&self) -> String {
        let header = &self.trace.header;
        let verdict = self.trace.verdict();
        let verdict = match (verdict.passed, verdict.failed) {
            (0, 0) => "nothing expected".to_owned(),
            (held, 0) => format!("passed: {}", show::count(held, "expectation")),
            (held, broken) => format!(
                "FAILED: {} of {}",
                show::grouped(broken),
                show::count(held + broken, "expectation")
            ),
        };
        let about = format!("herd {}, seed {} · {verdict}", header.herd, header.seed);
        format!(
            "<text class=\"title\" x=\"20\" y=\"32\">{}</text>\n<text class=\"soft\" x=\"20\" y=\"52\">{}</text>\n",
            text(&cut(&header.title, 80)),
            text(&cut(&about, 110)),
        )
    }

    pub(super) fn lifelines(&self) -> String {
        let mut svg = String::new();
        for column in &self.columns.list {
            let (x, top, bottom) = (column.x, self.top, self.rows.bottom);
            let _ = writeln!(
                svg,
                "<line class=\"life\" x1=\"{x}\" y1=\"{top}\" x2=\"{x}\" y2=\"{bottom}\"/>"
            );
        }
        svg
    }

    pub(super) fn heads(&self) -> String {
        let mut svg = String::new();
        for column in &self.columns.list {
            let (x, width, y) = (column.x, column.width, self.top - 28);
            let class = if column.is_server {
                "head"
            } else {
                "head other"
            };
            let name = text(&column.name);
            let _ = if self.columns.turned {
                let y = self.top - 8;
                writeln!(
                    svg,
                    "<g class=\"{class} turned\"><text transform=\"translate({x} {y}) rotate(-55)\">{name}</text></g>"
                )
            } else {
                writeln!(
                    svg,
                    "<g class=\"{class}\"><rect x=\"{}\" y=\"{y}\" width=\"{width}\" height=\"26\" rx=\"5\"/>\
                     <text x=\"{x}\" y=\"{}\">{name}</text></g>",
                    x - width / 2,
                    y + 17,
                )
            };
        }
        svg
    }

    /// A label and a dotted line for each moment, as far as there is room.
    pub(super) fn times(&self) -> String {
        let (x, y) = (LEFT - 14, self.top - 11);
        let mut svg = format!("<text class=\"time\" x=\"{x}\" y=\"{y}\">seconds</text>\n");
        let mut free = i64::MIN;
        for &(at, y) in self.rows.moments() {
            if y >= free {
                let (time, base) = (show::moment(at), y + 4);
                let end = self.columns.right();
                let _ = writeln!(
                    svg,
                    "<text class=\"time\" x=\"{x}\" y=\"{base}\">{time}</text>\
                     <line class=\"row\" x1=\"{LEFT}\" y1=\"{y}\" x2=\"{end}\" y2=\"{y}\"/>"
                );
                free = y + LABELS;
            }
        }
        svg
    }

    pub(super) fn folds(&self) -> String {
        let mut svg = String::new();
        for &(y, took) in &self.rows.folds {
            let _ = write!(svg, "<g class=\"break\">");
            for column in &self.columns.list {
                let x = column.x;
                let _ = write!(
                    svg,
                    "<rect x=\"{}\" y=\"{}\" width=\"16\" height=\"9\"/><path d=\"M{} {}l18 -7M{} {}l18 -7\"/>",
                    x - 8,
                    y - 5,
                    x - 9,
                    y - 1,
                    x - 9,
                    y + 8,
                );
            }
            let x = self.columns.right() + 14;
            let (took, base) = (show::delay(took), y + 4);
            let _ = writeln!(
                svg,
                "<text x=\"{x}\" y=\"{base}\">⋯ {took} without news</text></g>"
            );
        }
        svg
    }

    pub(super) fn notes(&self) -> String {
        let x = self.columns.right() + 14;
        let mut svg = String::new();
        for (at, notes) in &self.drawn.notes {
            let mut y = self.rows.y(*at) + 4;
            for note in notes {
                let short = text(&cut(note, NOTE_LENGTH));
                let _ = writeln!(
                    svg,
                    "<text class=\"halo\" x=\"{x}\" y=\"{y}\">{short}</text>"
                );
                y += 15;
            }
        }
        svg
    }

    /// The legend: a sample for each kind of element that the picture has, in rows up to `width`.
    pub(super) fn legend(&self, width: i64) -> Legend {
        let mut x = 20;
        let mut y = self.rows.bottom + 30;
        let first = y;
        let mut svg = String::new();
        for (sample, words) in self.samples() {
            let room = 46 + i64::try_from(words.chars().count()).unwrap_or(0) * 7;
            if x + room > width - 10 && x > 20 {
                x = 20;
                y += 22;
            }
            let _ = writeln!(
                svg,
                "<g transform=\"translate({x} {y})\">{sample}<text class=\"soft\" x=\"40\" y=\"4\">{words}</text></g>"
            );
            x += room + 10;
        }
        let height = y - first + 12;
        Legend { svg, height }
    }

    fn samples(&self) -> Vec<(String, &'static str)> {
        let way = |class: &str| {
            format!(
                "<line class=\"way {class}\" x1=\"0\" y1=\"0\" x2=\"24\" y2=\"0\"/>{}",
                super::shapes::tip(class, (0, 0), (32, 0)),
            )
        };
        let has = |class: Class| {
            self.drawn
                .messages
                .iter()
                .any(|message| message.class == class)
        };
        let fault = |kind: FaultClass| self.faults.iter().any(|fault| fault.kind == kind);
        let mark = |wanted: fn(&EventKind<'_>) -> bool| {
            let mut marks = self.drawn.marks.iter();
            marks.any(|event| wanted(&event.what))
        };
        let span = |pattern: &str| {
            format!(
                "<g class=\"span\">{}</g>",
                super::shapes::striped(pattern, 8, -8, 14, 16)
            )
        };
        let took = "<g class=\"took\"><circle cx=\"16\" cy=\"0\" r=\"9\"/><text x=\"16\" y=\"4\">2</text></g>";
        let knew = "<circle class=\"knew\" cx=\"16\" cy=\"0\" r=\"4\"/>";
        let cross = "<line class=\"way lost\" x1=\"0\" y1=\"0\" x2=\"22\" y2=\"0\"/><path class=\"cross\" d=\"M20 -5l10 10m0 -10l-10 10\"/>";
        let band = "<g class=\"band\"><rect x=\"0\" y=\"-7\" width=\"32\" height=\"14\"/></g>";
        let all = [
            (has(Class::Useful), way("useful"), "update, news there"),
            (
                has(Class::Duplicate),
                way("duplicate"),
                "update, known there already",
            ),
            (has(Class::Lost), cross.to_owned(), "update, never arrived"),
            (
                has(Class::Request) || has(Class::Answer) || has(Class::Places),
                way("plain"),
                "line, answer, look-up",
            ),
            (
                has(Class::Sync) || has(Class::Heartbeat),
                way("housekeeping"),
                "greeting, sync, sign of life",
            ),
            (
                mark(|what| matches!(what, EventKind::Accepted { .. })),
                took.to_owned(),
                "taken in after so many hops",
            ),
            (
                mark(|what| matches!(what, EventKind::Ignored { .. })),
                knew.to_owned(),
                "changes nothing",
            ),
            (fault(FaultClass::Down), span("down"), "server down"),
            (fault(FaultClass::Frozen), span("frozen"), "frozen"),
            (
                fault(FaultClass::Refusing),
                span("refusing"),
                "refuses connections",
            ),
            (fault(FaultClass::Skewed), span("skewed"), "clock wrong"),
            (fault(FaultClass::Disk), span("disk"), "disk at fault"),
            (
                [FaultClass::Cut, FaultClass::Slow, FaultClass::Impaired]
                    .into_iter()
                    .any(fault),
                band.to_owned(),
                "network cut, slow or impaired",
            ),
        ];
        let there = all.into_iter().filter(|(is_there, ..)| *is_there);
        there.map(|(_, sample, words)| (sample, words)).collect()
    }
}

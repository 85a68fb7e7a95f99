//! The options of `herd view` for a single picture, and for the formats of other tools.

use std::io::Write as _;

use super::Failure;
use crate::report::{Detail, show};
use crate::trace::Trace;
use crate::units::parse_duration;
use crate::view::{self, Drawing, Window};

/// The height in pixels above which a picture is tedious to scroll through.
const LARGE: i64 = 4_000;

/// The formats other than a page.
#[derive(clap::Args)]
#[group(id = "format", multiple = false, args = ["svg", "shiviz", "perfetto"])]
pub(super) struct Export {
    /// Write the space-time diagram alone, as a static SVG
    #[arg(long, conflicts_with = "open")]
    svg: bool,
    /// Write a log for `ShiViz`, with vector clocks; its first line is the expression that parses it
    #[arg(long, conflicts_with = "open")]
    shiviz: bool,
    /// Write a trace for Perfetto and Chrome's viewer
    #[arg(long, conflicts_with = "open")]
    perfetto: bool,
    #[command(flatten)]
    part: Part,
}

/// The part of a run that is exported.
#[derive(clap::Args)]
struct Part {
    /// Include every event and every line, heartbeats as well (with --svg, --shiviz, --perfetto)
    #[arg(long, requires = "format")]
    all: bool,
    /// Draw only what happens from this moment of the run on, such as 1s (with --svg)
    #[arg(long, value_name = "TIME", requires = "svg", conflicts_with_all = ["shiviz", "perfetto"], value_parser = moment)]
    from: Option<u64>,
    /// Draw only what happens until this moment of the run (with --svg)
    #[arg(long, value_name = "TIME", requires = "svg", conflicts_with_all = ["shiviz", "perfetto"], value_parser = moment)]
    until: Option<u64>,
}

impl Export {
    /// Whether a format other than a page is requested.
    pub(super) fn is_wanted(&self) -> bool {
        self.svg || self.shiviz || self.perfetto
    }

    /// The single run in the requested format.
    pub(super) fn text(&self, traces: &[&Trace]) -> Result<String, Failure> {
        let [trace] = traces else {
            return Err(Failure::Input(format!(
                "there are {} runs, and this shows one: give one scenario, or the trace of one run",
                traces.len()
            )));
        };
        let detail = if self.part.all {
            Detail::Everything
        } else {
            Detail::Story
        };
        Ok(if self.shiviz {
            view::shiviz(trace, detail)
        } else if self.perfetto {
            view::perfetto(trace, detail)
        } else {
            let window = self.part.window()?;
            let end = trace.events.last().map_or(0, |event| event.at);
            if window.from > end {
                return Err(Failure::Input(format!(
                    "--from is after the run's end, which is at {}: nothing would be drawn",
                    show::delay(end)
                )));
            }
            drawn(view::svg(trace, detail, window))
        })
    }
}

/// The picture. If it is very high, a note on standard error says how to draw a part of it.
fn drawn(drawing: Drawing) -> String {
    let Drawing {
        svg,
        messages,
        height,
    } = drawing;
    if height > LARGE {
        let (pixels, messages) = (show::grouped(height), show::grouped(messages));
        let size = show::grouped(svg.len().div_ceil(1000));
        // A note that cannot be written does not prevent the picture.
        let _ = writeln!(
            std::io::stderr(),
            "note: the picture is {pixels} pixels high, with {messages} messages, {size} kB: --from and --until draw a part"
        );
    }
    svg
}

impl Part {
    fn window(&self) -> Result<Window, Failure> {
        let window = Window {
            from: self.from.unwrap_or(Window::ALL.from),
            until: self.until.unwrap_or(Window::ALL.until),
        };
        if window.from > window.until {
            let text = "--from is after --until: nothing is in between";
            return Err(Failure::Input(text.to_owned()));
        }
        Ok(window)
    }
}

fn moment(text: &str) -> Result<u64, String> {
    let moment = parse_duration(text).map_err(|error| error.to_string())?;
    u64::try_from(moment.as_nanos()).map_err(|_| "longer than any run".to_owned())
}

//! When a failure became inevitable, as a curve under the diagram of the run.

use std::fmt::Write as _;

use super::html::escape;
use super::{ShownRun, page_with};
use crate::blame::{self, Blame, Moment};
use crate::report::show;

/// The size of the picture, in its own units.
const SIZE: (u64, u64) = (960, 180);

/// What is left free around the curve, for its axes: left, above, right, below.
const MARGIN: (u64, u64, u64, u64) = (48, 12, 16, 28);

/// The maximum number of words on the axis of time.
const MOST_TIMES: usize = 8;

/// One page that shows the run and when its failure became inevitable.
pub fn blame_page(run: &ShownRun, blame: &Blame) -> String {
    page_with(std::slice::from_ref(run), &card(blame))
}

/// The curve, with the report in words below it.
fn card(blame: &Blame) -> String {
    let words = escape(&blame::text(blame));
    format!(
        "<section class=\"card\" id=\"blame\" aria-labelledby=\"blame-title\">\n\
         <h2 id=\"blame-title\">When it became inevitable</h2>\n\
         <p>Each point: what was drawn before a moment is kept, the rest is drawn anew {} times. It is as high as \
         the share of these futures that fail as the run did.</p>\n{}\
         <details class=\"story\"><summary>The same in words</summary>\n<pre tabindex=\"0\">{words}</pre></details>\n\
         </section>\n",
        show::grouped(blame.futures),
        curve(blame)
    )
}

/// Where things are in the picture.
struct Scale {
    futures: u64,
    first: u64,
    last: u64,
}

impl Scale {
    fn x(&self, at: u64) -> u64 {
        let width = SIZE.0 - MARGIN.0 - MARGIN.2;
        let span = (self.last - self.first).max(1);
        let share = u128::from(at - self.first) * u128::from(width) / u128::from(span);
        MARGIN.0 + u64::try_from(share).unwrap_or(width)
    }

    fn y(&self, futures: usize) -> u64 {
        let height = SIZE.1 - MARGIN.1 - MARGIN.3;
        let share = u64::try_from(futures).unwrap_or(self.futures) * height / self.futures;
        MARGIN.1 + height - share
    }
}

fn curve(blame: &Blame) -> String {
    let moments = blame.curve.iter().map(|moment| moment.at);
    let (Some(first), Some(last)) = (moments.clone().min(), moments.max()) else {
        return String::new();
    };
    let futures = u64::try_from(blame.futures).unwrap_or(u64::MAX).max(1);
    let scale = Scale {
        futures,
        first,
        last,
    };
    let (width, height) = SIZE;
    let mut svg = format!(
        "<svg class=\"blame\" viewBox=\"0 0 {width} {height}\" role=\"img\" aria-labelledby=\"blame-title\">\n"
    );
    if let Some(rise) = &blame.rise {
        let (from, to) = (scale.x(rise.from.at), scale.x(rise.to.at));
        let _ = writeln!(
            svg,
            "<rect class=\"rise\" x=\"{from}\" y=\"{}\" width=\"{}\" height=\"{}\"><title>{}</title></rect>",
            MARGIN.1,
            (to - from).max(1),
            height - MARGIN.1 - MARGIN.3,
            escape(&format!(
                "the steepest rise: from {} to {}",
                show::moment(rise.from.at),
                show::moment(rise.to.at)
            ))
        );
    }
    axes(&mut svg, &scale, blame);
    let point = |moment: &Moment| format!("{},{}", scale.x(moment.at), scale.y(moment.same));
    let points: Vec<String> = blame.curve.iter().map(point).collect();
    let _ = writeln!(
        svg,
        "<polyline class=\"share\" points=\"{}\"/>",
        points.join(" ")
    );
    for moment in &blame.curve {
        let words = format!(
            "{}: {} of {}",
            show::moment(moment.at),
            moment.same,
            blame.futures
        );
        let _ = writeln!(
            svg,
            "<circle class=\"share\" cx=\"{}\" cy=\"{}\" r=\"3\"><title>{}</title></circle>",
            scale.x(moment.at),
            scale.y(moment.same),
            escape(&words)
        );
    }
    svg + "</svg>\n"
}

/// Lines at none, half and all of the futures, and some of the moments in words.
fn axes(svg: &mut String, scale: &Scale, blame: &Blame) {
    let (left, right) = (MARGIN.0, SIZE.0 - MARGIN.2);
    for (share, words) in [(0, "0 %"), (1, "50 %"), (2, "100 %")] {
        let y = scale.y(blame.futures * share / 2);
        let _ = writeln!(
            svg,
            "<line class=\"axis\" x1=\"{left}\" y1=\"{y}\" x2=\"{right}\" y2=\"{y}\"/>\
             <text class=\"end\" x=\"{}\" y=\"{}\">{words}</text>",
            left - 6,
            y + 4
        );
    }
    let every = blame.curve.len().div_ceil(MOST_TIMES).max(1);
    let mut free = 0;
    for moment in blame.curve.iter().step_by(every) {
        let x = scale.x(moment.at);
        // One that would run into the one before is left out.
        if x < free {
            continue;
        }
        free = x + 60;
        let _ = writeln!(
            svg,
            "<text class=\"middle\" x=\"{x}\" y=\"{}\">{}</text>",
            SIZE.1 - 8,
            show::moment(moment.at)
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blame::{Options, blame};
    use crate::scenario::Scenario;
    use crate::sim;

    /// A cut that comes at random makes the reply late.
    fn failing() -> Scenario {
        let text = "title = \"t\"\nherd = { name = \"pair\", servers = [\"A\", \"B\"], links = [\"A-B\"] }\nseed = 3\n\
            steps = [{ at = \"1s\", random = { partition = \"2s\" }, holds = \"5s\", lasts = \"10s\" },\n\
            { at = \"12s\", client = \"kiwi\", to = \"A\", send = \"IAMAT kiwi +1+1 {now}\" }]\n\
            [[expect]]\nlog = \"link to B is down*\"\nby = \"A\"\ntimes = 0\n";
        Scenario::parse("t.toml", text, None).unwrap().0
    }

    #[test]
    fn the_curve_rises_where_the_report_says() {
        let scenario = failing();
        let options = Options {
            futures: 4,
            moments: 8,
            ..Options::default()
        };
        let found = blame(&scenario, &options, &mut |_| {
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
        let run = ShownRun {
            trace: sim::run_once(&scenario).unwrap(),
            source: "t.toml".to_owned(),
            command: String::new(),
        };
        let page = blame_page(&run, &found);
        assert_eq!(
            page.matches("<circle class=\"share\"").count(),
            found.curve.len()
        );
        let end = SIZE.0 - MARGIN.2;
        let all = format!("<circle class=\"share\" cx=\"{end}\" cy=\"{}\"", MARGIN.1);
        assert!(
            page.contains(&all),
            "at the end all futures fail: {}",
            curve(&found)
        );
        assert_eq!(page.contains("<rect class=\"rise\""), found.rise.is_some());
        let place = |text: &str| page.find(text).unwrap_or_else(|| panic!("{text} is there"));
        assert!(place("id=\"diagram\"") < place("id=\"blame\""));
        assert!(place("id=\"blame\"") < place("id=\"words\""));
    }
}

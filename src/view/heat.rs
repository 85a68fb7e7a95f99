//! A survey as a page: a row for each failure set, a column for each origin of an update. A cell
//! shows how many servers the update did not reach, or how many more hops it took than in the
//! intact herd. The page has no code.

use std::fmt::Write as _;

use super::html::{escape, framed};
use crate::report::show::count;
use crate::survey::{Cutting, FailureSet, Spread, Survey};

/// The maximum number of rows; other failure sets are only counted.
const MOST_ROWS: usize = 3_000;

const STYLE: &str = concat!(include_str!("page/base.css"), include_str!("heat.css"));

/// The figures of a cell: live servers out of reach, servers in reach that were not reached, and
/// the most additional hops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cell {
    apart: usize,
    missed: usize,
    detour: u32,
}

/// The survey as an HTML page.
pub fn heat_map(survey: &Survey) -> String {
    let whole = survey.sets.iter().find(|set| set.size() == 0);
    let title = format!("Survey of the herd {}", survey.herd);
    let mut rows = String::new();
    for set in survey.sets.iter().take(MOST_ROWS) {
        row(&mut rows, survey, whole, set);
    }
    let mut heads = String::new();
    for name in &survey.servers {
        let _ = write!(heads, "<th scope=\"col\">{}</th>", escape(name));
    }
    let more = match survey.sets.len().saturating_sub(MOST_ROWS) {
        0 => String::new(),
        more => format!(
            "<p>{} more are in `herd survey --csv`.</p>",
            count(more, "failure set")
        ),
    };
    let verdict = escape(&survey.verdict());
    let class = if survey.held() { "held" } else { "broken" };
    let body = format!(
        "<p class=\"verdict-line {class}\">{verdict}</p>\n{LEGEND}\
         <main class=\"scroll\" tabindex=\"0\" aria-label=\"The heat map\"><table class=\"heat\">\n\
         <caption class=\"unseen\">Failure sets by origin of the update</caption>\n\
         <thead><tr><th scope=\"col\">missing</th>{heads}</tr></thead>\n<tbody>\n{rows}</tbody></table></main>\n{more}{}{}",
        cutting(survey),
        extra_links(survey),
    );
    framed(&title, STYLE, &body)
}

/// The failures that partition the herd, in the terminal's words.
fn cutting(survey: &Survey) -> String {
    let mut html = "<section><h2>What cuts the herd</h2>\n".to_owned();
    for Cutting { words, sets } in survey.cutting() {
        let _ = writeln!(html, "<p>{}</p>", escape(&words));
        if !sets.is_empty() {
            let items = sets.iter().map(|set| format!("<li>{}</li>", escape(set)));
            let _ = writeln!(html, "<ul>{}</ul>", items.collect::<String>());
        }
    }
    html + "</section>\n"
}

/// What each missing link would improve, in the terminal's words.
fn extra_links(survey: &Survey) -> String {
    let rows = match survey.extra_links() {
        Err(none) => format!("<p>{none}</p>"),
        Ok(rows) => {
            let row = |row: &Vec<String>| {
                let cells = row.iter().map(|cell| format!("<td>{}</td>", escape(cell)));
                format!("<tr>{}</tr>\n", cells.collect::<String>())
            };
            let head = rows.first().into_iter().flatten();
            let head = head.map(|cell| format!("<th scope=\"col\">{cell}</th>"));
            let (head, rows) = (head.collect::<String>(), rows.iter().skip(1).map(row));
            let rows: String = rows.collect();
            format!(
                "<div class=\"scroll\" tabindex=\"0\" aria-label=\"Links that would help\"><table class=\"links\"><thead><tr>{head}</tr></thead>\n<tbody>\n{rows}</tbody></table></div>"
            )
        }
    };
    format!("<section><h2>What one link more would help</h2>\n{rows}</section>\n")
}

const LEGEND: &str = "<ul class=\"legend\">\
    <li><b class=\"d0\">·</b> everybody, in as few hops as with nothing missing</li>\
    <li><b class=\"d1\">+1</b> everybody, and somebody in so many hops more</li>\
    <li><b class=\"apart\">2</b> the number of live servers that can't be reached from there, since the failures partition the herd</li>\
    <li><b class=\"missed\">!1</b> so many were in reach and not reached</li>\
    <li><b class=\"dead\">✕</b> the origin itself is dead</li>\
    <li><b class=\"cuts\">A</b> a bar before what is missing: that cuts the herd</li></ul>\n";

fn row(rows: &mut String, survey: &Survey, whole: Option<&FailureSet>, set: &FailureSet) {
    let missing: Vec<&str> = set
        .dead
        .iter()
        .chain(&set.cut)
        .map(String::as_str)
        .collect();
    let name = match missing.as_slice() {
        [] => "nothing".to_owned(),
        some => some.join(", "),
    };
    let cuts = if set.cuts_the_herd {
        " class=\"cuts\""
    } else {
        ""
    };
    let _ = write!(rows, "<tr{cuts}><th scope=\"row\">{}</th>", escape(&name));
    for origin in &survey.servers {
        let spread = set.spreads.iter().find(|spread| spread.origin == *origin);
        let before = whole.and_then(|whole| {
            let mut spreads = whole.spreads.iter();
            spreads.find(|spread| spread.origin == *origin)
        });
        let (class, sign, words) = match spread.map(|spread| cell(survey, set, spread, before)) {
            None => ("dead".to_owned(), "✕".to_owned(), "is dead".to_owned()),
            Some(cell) => cell.looks(),
        };
        let label = escape(&format!("{name} missing, from {origin}: {words}"));
        let _ = write!(rows, "<td class=\"{class}\" title=\"{label}\">{sign}</td>");
    }
    rows.push_str("</tr>\n");
}

/// The figures of a cell. `before` is the spread of the same update in the intact herd.
fn cell(survey: &Survey, set: &FailureSet, spread: &Spread, before: Option<&Spread>) -> Cell {
    let mut cell = Cell {
        apart: 0,
        missed: 0,
        detour: 0,
    };
    for (at, (server, way)) in survey.servers.iter().zip(&spread.ways).enumerate() {
        if set.dead.contains(server) {
            continue;
        }
        cell.apart += usize::from(way.shortest.is_none());
        cell.missed += usize::from(way.shortest.is_some() && way.hops.is_none());
        let usual = before.and_then(|before| before.ways.get(at)?.hops);
        if let (Some(hops), Some(usual)) = (way.hops, usual) {
            cell.detour = cell.detour.max(hops.saturating_sub(usual));
        }
    }
    cell
}

impl Cell {
    /// The cell's CSS class, its sign, and its description.
    fn looks(self) -> (String, String, String) {
        let more = count(self.detour as usize, "hop");
        match self {
            Self { missed: 1.., .. } => {
                let (missed, words) = (self.missed, count(self.missed, "server"));
                (
                    "missed".to_owned(),
                    format!("!{missed}"),
                    format!("{words} in reach not reached"),
                )
            }
            Self { apart: 1.., .. } => {
                let words = count(self.apart, "server");
                (
                    "apart".to_owned(),
                    self.apart.to_string(),
                    format!("{words} out of reach"),
                )
            }
            Self { detour: 0, .. } => (
                "d0".to_owned(),
                "·".to_owned(),
                "everybody, in as few hops as ever".to_owned(),
            ),
            Self { detour, .. } => (
                format!("d{}", detour.min(4)),
                format!("+{detour}"),
                format!("everybody, somebody in {more} more"),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::herd::Herd;
    use crate::survey::{Engine, Options, survey};

    fn surveyed() -> Survey {
        let riley = Herd::builtin("riley").unwrap();
        let options = Options {
            engine: Engine::Model,
            ..Options::default()
        };
        survey(&riley, &options).unwrap()
    }

    /// The signs in the row of a failure set.
    fn signs(page: &str, missing: &str) -> Vec<String> {
        let row = page
            .split("<tr")
            .find(|row| row.contains(&format!("row\">{missing}</th>")));
        let cells = row.unwrap().split("<td ").skip(1);
        let sign = |cell: &str| cell.split(['>', '<']).nth(1).unwrap().to_owned();
        cells.map(sign).collect()
    }

    #[test]
    fn without_juzang_campbell_is_a_hop_further_away_from_riley() {
        let page = heat_map(&surveyed());
        assert_eq!(signs(&page, "nothing"), ["·"; 5]);
        // The origins are Riley, Jaquez, Juzang, Campbell and Bernard, in this order.
        assert_eq!(signs(&page, "Juzang"), ["+1", "·", "✕", "+1", "·"]);
        assert_eq!(page.matches("<th scope=\"row\">").count(), 42);
        // Campbell's only neighbours are Bernard and Juzang, so these failures isolate it.
        assert_eq!(
            signs(&page, "Bernard, Juzang-Campbell"),
            ["1", "1", "1", "3", "✕"]
        );
    }

    #[test]
    fn who_is_in_reach_and_not_reached_is_seen_before_anything_else() {
        let mut survey = surveyed();
        survey.sets[0].spreads[0].ways[4].hops = None;
        survey.herd = "<script>".to_owned();
        let page = heat_map(&survey);
        assert_eq!(signs(&page, "nothing")[0], "!1");
        assert!(!page.contains("<script"));
    }

    #[test]
    fn the_page_says_what_the_terminal_says() {
        let mut survey = surveyed();
        let page = heat_map(&survey);
        assert!(
            page.contains("<p class=\"verdict-line held\">PASSED: "),
            "{page}"
        );
        assert!(page.contains("<p>pairs of failures that partition the herd: 8 of 30</p>"));
        assert_eq!(page.matches("<li>").count() - 6, 8);
        assert!(page.contains("<td>Riley-Campbell</td><td>6</td><td>8</td><td>40</td>"));
        survey.extra = Some(Vec::new());
        survey.sets.clear();
        let page = heat_map(&survey);
        assert!(page.contains("<p>every two servers are linked</p>"));
        assert!(page.contains("<p class=\"verdict-line broken\">"));
    }

    #[test]
    fn the_bar_of_what_cuts_the_herd_is_explained() {
        let page = heat_map(&surveyed());
        assert!(
            page.contains("<tr class=\"cuts\"><th scope=\"row\">Bernard, Juzang-Campbell</th>")
        );
        let (_, legend) = page.split_once("<ul class=\"legend\">").unwrap();
        let (legend, _) = legend.split_once("</ul>").unwrap();
        for class in ["d0", "d1", "apart", "missed", "dead", "cuts"] {
            let sample = format!("<b class=\"{class}\">");
            assert_eq!(legend.matches(&sample).count(), 1, "{class}");
        }
    }
}

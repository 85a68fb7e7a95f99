//! A sweep as a page: the failures by fingerprint, each with its shrunk scenario, and the coverage
//! of the runs. The page has no code.

use std::fmt::Write as _;

use super::html::{escape, framed};
use crate::report::show::grouped;
use crate::sweep::report::{Group, Report, ranked};
use crate::trace::fingerprint::Fingerprint;

const STYLE: &str = concat!(include_str!("page/base.css"), include_str!("sheet.css"));

/// The file of a shrunk failing run.
#[derive(Clone, Debug)]
pub struct SmallScenario {
    /// How the run fails.
    pub fingerprint: Fingerprint,
    /// The file's name, as shown.
    pub file: String,
    /// The file's address, relative to the page.
    pub link: String,
    /// The file's text.
    pub text: String,
}

/// The page of a sweep, with the shrunk scenarios of its failures.
pub fn sweep_page(report: &Report, small: &[SmallScenario]) -> String {
    let verdict = escape(&report.verdict());
    let class = if report.is_good() { "held" } else { "broken" };
    let mut body = format!(
        "<p class=\"verdict-line {class}\">{verdict}</p>\n<p class=\"quiet\">{}</p>\n<main>\n",
        escape(&report.extent())
    );
    failures(&mut body, report, small);
    coverage(&mut body, report);
    body.push_str("</main>\n");
    framed(&capitalized(&report.subject()), STYLE, &body)
}

/// A page of tables without code, in the style of this one. `title` is escaped, `body` is HTML.
pub(crate) fn plain_page(title: &str, body: &str) -> String {
    framed(title, STYLE, body)
}

fn failures(body: &mut String, report: &Report, small: &[SmallScenario]) {
    body.push_str("<section><h2>Ways in which runs broke</h2>\n");
    if report.held() {
        let none = match report.runs {
            0 => "Nothing was run.",
            _ => "None.",
        };
        let _ = writeln!(body, "<p>{none}</p></section>");
        return;
    }
    body.push_str(
        "<div class=\"scroll wide\" role=\"region\" tabindex=\"0\" aria-label=\"Ways in which runs broke\"><table>\n\
         <thead><tr><th scope=\"col\">way</th><th scope=\"col\" class=\"num\">runs</th><th scope=\"col\">seeds</th>\
         <th scope=\"col\">the first</th></tr></thead>\n<tbody>\n",
    );
    for group in &report.groups {
        let small = small
            .iter()
            .find(|small| small.fingerprint == group.fingerprint);
        failure(body, report, group, small);
    }
    body.push_str("</tbody></table></div></section>\n");
}

fn failure(body: &mut String, report: &Report, group: &Group, small: Option<&SmallScenario>) {
    let _ = write!(
        body,
        "<tr><th scope=\"row\">{}</th><td class=\"num\" data-label=\"runs\">{}</td><td data-label=\"seeds\">{}</td><td>",
        escape(&group.fingerprint.to_string()),
        grouped(group.runs),
        escape(&report.seeds(group)),
    );
    let _ = write!(body, "<p>{}</p>", escape(&group.words));
    if let Some(&first) = group.first.first() {
        let _ = write!(
            body,
            "<p>again: <code>{}</code></p>",
            escape(&report.again(first))
        );
        if small.is_none() && !group.internal {
            let smaller = escape(&report.smaller(first));
            let _ = write!(body, "<p>make it small: <code>{smaller}</code></p>");
        }
    }
    if let Some(small) = small {
        let (file, link) = (escape(&small.file), escape(&small.link));
        let _ = write!(
            body,
            "<details><summary>shrunk</summary><p><a href=\"{link}\">{file}</a></p><pre>{}</pre></details>",
            escape(&small.text)
        );
    }
    body.push_str("</td></tr>\n");
}

fn coverage(body: &mut String, report: &Report) {
    body.push_str("<section><h2>Results of the runs</h2>\n");
    if !report.never.is_empty() {
        body.push_str("<h3 class=\"bad\">Wanted and never seen</h3>\n<ul>\n");
        for what in &report.never {
            let _ = writeln!(body, "<li>{}</li>", escape(what));
        }
        body.push_str("</ul>\n");
    }
    body.push_str("<div class=\"columns\">\n");
    let coverage = &report.coverage;
    table(body, ["fault", "times"], ranked(&coverage.faults));
    table(body, ["event", "times"], ranked(&coverage.events));
    table(body, ["situation", "runs"], report.situations());
    body.push_str("</div></section>\n");
}

fn table<'a>(
    body: &mut String,
    [what, times]: [&str; 2],
    rows: impl IntoIterator<Item = (&'a str, u64)>,
) {
    let _ = write!(
        body,
        "<div class=\"scroll\"><table>\n<thead><tr><th scope=\"col\">{what}</th><th scope=\"col\" class=\"num\">{times}</th></tr></thead>\n<tbody>\n"
    );
    let mut is_empty = true;
    for (name, times) in rows {
        is_empty = false;
        let zero = if times == 0 { " class=\"zero\"" } else { "" };
        let _ = writeln!(
            body,
            "<tr{zero}><td>{}</td><td class=\"num\">{}</td></tr>",
            escape(name),
            grouped(times)
        );
    }
    if is_empty {
        body.push_str("<tr class=\"zero\"><td>none</td><td class=\"num\">0</td></tr>\n");
    }
    body.push_str("</tbody></table></div>\n");
}

fn capitalized(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next();
    first.map_or(String::new(), |first| {
        first.to_uppercase().chain(characters).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::mistakes::Mistake;
    use crate::scenario::Scenario;
    use crate::sim::Simulator;
    use crate::sweep::{Options, sweep};

    const HOSTILE: &str = "<script>alert(1)</script>\"'&";

    fn swept(threads: usize) -> Report {
        swept_with(Simulator::default(), threads)
    }

    fn swept_with(simulator: Simulator, threads: usize) -> Report {
        let scenario = "title = \"Two bad seconds\"\nherd = \"riley\"\ntick = \"10ms\"\nclient_latency = \"10ms\"\nsteps = [\n\
             { at = \"500ms\", workload = \"load\", clients = 4, rate = 10, lasts = \"3s\" },\n\
             { at = \"500ms\", random = { crash = \"500ms\", sever = \"500ms\" }, lasts = \"1500ms\", holds = \"100ms..500ms\" },\n]\n";
        let (scenario, _) = Scenario::parse("short.toml", scenario, None).unwrap();
        let options = Options {
            seeds: 0..6,
            keep_going: true,
            threads,
            simulator,
            ..Options::default()
        };
        sweep(&[scenario], &options)
    }

    /// The number in the table row of this name.
    fn number(page: &str, name: &str) -> Option<u64> {
        let (_, rest) = page.split_once(&format!("<td>{}</td><td class=\"num\">", escape(name)))?;
        rest.split('<').next()?.replace(',', "").parse().ok()
    }

    #[test]
    fn the_page_says_what_the_report_says() {
        let report = swept(1);
        let page = sweep_page(&report, &[]);
        assert!(page.contains(&format!("held\">{}</p>", report.verdict())));
        assert!(page.contains("<p>None.</p>"));
        let counts = [&report.coverage.faults, &report.coverage.events];
        let counts: Vec<_> = counts.into_iter().flatten().collect();
        assert!(counts.len() > 5, "{counts:?}");
        for (name, count) in counts {
            assert_eq!(number(&page, name), Some(*count), "{name}");
        }
        for (name, runs) in report.situations() {
            assert_eq!(number(&page, name), Some(runs), "{name}");
        }
        assert_eq!(page, sweep_page(&swept(2), &[]));
    }

    #[test]
    fn each_way_has_its_count_its_command_and_its_small_scenario_and_nothing_is_markup() {
        let mistaken = Simulator::default().with_mistake(Mistake::TellsBack.made_by("Juzang"));
        let mut report = swept_with(mistaken, 2);
        assert!(!report.held(), "{}", report.to_text());
        let ways = report.groups.len();
        HOSTILE.clone_into(&mut report.groups[0].words);
        HOSTILE.clone_into(&mut report.plan.scenarios[0].name);
        HOSTILE.clone_into(&mut report.plan.scenarios[0].file);
        report.never.push(HOSTILE.to_owned());
        let group = report.groups[0].clone();
        let page = sweep_page(&report, &[]);
        assert_eq!(page.matches("<th scope=\"row\">").count(), ways);
        assert!(page.contains("make it small: <code>herd shrink --swarm --seed "));
        let small = SmallScenario {
            fingerprint: group.fingerprint.clone(),
            file: HOSTILE.to_owned(),
            link: HOSTILE.to_owned(),
            text: format!("title = {HOSTILE}"),
        };
        let page = sweep_page(&report, &[small]);
        let way = escape(&group.fingerprint.to_string());
        let row = format!(
            "<tr><th scope=\"row\">{way}</th><td class=\"num\" data-label=\"runs\">{}</td>",
            group.runs
        );
        assert!(page.contains(&row), "{row}");
        assert!(page.contains(&format!("<pre>title = {}</pre>", escape(HOSTILE))));
        assert_eq!(page.matches("<details>").count(), 1);
        assert!(page.contains("PARTIAL") == report.is_partial());
        assert!(!page.contains("<script") && !page.contains("alert(1)</script"));
    }
}

//! A card as one page to hand out. The page has no code, and asks no network for anything.

use std::fmt::Write as _;

use super::card::{Card, Group, Result, Verdict, Weight};
use super::text::{parts, share};
use crate::view::{escape_html, plain_page};

/// The card as a page of HTML.
pub fn page(card: &Card) -> String {
    let class = if card.passed() { "held" } else { "broken" };
    let taste = card.counts(Weight::Taste);
    let mut body = format!(
        "<p class=\"verdict-line {class}\">{}</p>\n<p class=\"quiet\">{} with the herd {}; matters of taste: {} of {}</p>\n<main>\n",
        escape_html(&card.score()),
        escape_html(&card.subject),
        escape_html(&card.herd),
        taste.passed,
        taste.passed + taste.failed,
    );
    for group in Group::ALL {
        let results = card.results.iter();
        let results = results
            .filter(|result| result.rule.group == group && result.rule.weight == Weight::Must);
        section(&mut body, &group.to_string(), results);
    }
    let taste = card.results.iter();
    let taste = taste.filter(|result| result.rule.weight == Weight::Taste);
    section(&mut body, "Matters of taste, not in the score", taste);
    body.push_str("</main>\n");
    plain_page("Report card", &body)
}

fn section<'a>(body: &mut String, title: &str, results: impl Iterator<Item = &'a Result>) {
    let results: Vec<_> = results.collect();
    if results.is_empty() {
        return;
    }
    let title = escape_html(title);
    let _ = writeln!(
        body,
        "<section><h2>{title}: {}</h2>\n\
         <div class=\"scroll wide\" role=\"region\" tabindex=\"0\" aria-label=\"{title}\"><table>\n\
         <thead><tr><th scope=\"col\">rule</th><th scope=\"col\">verdict</th><th scope=\"col\">what it says</th></tr></thead>\n<tbody>",
        share(&results),
    );
    for result in results {
        row(body, result);
    }
    body.push_str("</tbody></table></div></section>\n");
}

fn row(body: &mut String, result: &Result) {
    let (class, verdict) = match &result.verdict {
        Verdict::Passed => ("", "passed"),
        Verdict::Failed(_) => (" class=\"bad\"", "failed"),
        Verdict::NotEvaluated { .. } => (" class=\"zero\"", "not evaluated"),
    };
    let rule = &result.rule;
    let _ = write!(
        body,
        "<tr><th scope=\"row\">{}</th><td{class} data-label=\"verdict\">{verdict}</td><td>{}",
        escape_html(rule.id),
        escape_html(rule.rule),
    );
    match &result.verdict {
        Verdict::Passed => {}
        Verdict::NotEvaluated { reason } => {
            let _ = write!(body, "<p>{}</p>", escape_html(reason));
        }
        Verdict::Failed(failure) => {
            let lines = parts(failure).into_iter();
            let lines: Vec<_> = lines
                .map(|(what, shown)| format!("{what:<7} {shown}"))
                .collect();
            let _ = write!(
                body,
                "<pre>{}</pre><p>Usually: {}</p>",
                escape_html(&lines.join("\n")),
                escape_html(rule.hint),
            );
        }
    }
    body.push_str("</td></tr>\n");
}

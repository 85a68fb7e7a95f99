//! A card as a JUnit file: a suite for each group, a test case for each rule.

use std::fmt::Write as _;

use super::card::{Card, Group, Verdict, Weight};
use super::text::parts;
use crate::view::xml_text;

/// The card as a JUnit file. A rule of taste that failed is skipped there, so that it fails no
/// build. Nothing in it is a wall time.
pub fn junit(card: &Card) -> String {
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    for group in Group::ALL {
        let results: Vec<_> = (card.results.iter())
            .filter(|result| result.rule.group == group)
            .collect();
        if results.is_empty() {
            continue;
        }
        let mut cases = String::new();
        let (mut failures, mut skipped) = (0, 0);
        for result in &results {
            let rule = &result.rule;
            let begin = format!(
                "<testcase classname=\"{}\" name=\"{}\"",
                xml_text(&group.to_string()),
                xml_text(&format!("{}: {}", rule.id, rule.rule)),
            );
            let inside = match &result.verdict {
                Verdict::Passed => {
                    let _ = writeln!(cases, "    {begin}/>");
                    continue;
                }
                Verdict::NotEvaluated { reason } => {
                    skipped += 1;
                    format!("<skipped message=\"not evaluated: {}\"/>", xml_text(reason))
                }
                Verdict::Failed(failure) if rule.weight == Weight::Taste => {
                    skipped += 1;
                    let wanted = xml_text(&failure.wanted);
                    format!("<skipped message=\"a matter of taste: wanted {wanted}\"/>")
                }
                Verdict::Failed(failure) => {
                    failures += 1;
                    let lines = parts(failure).into_iter();
                    let lines = lines.chain([("hint:", rule.hint.to_owned())]);
                    let lines = lines.map(|(what, shown)| xml_text(&format!("{what} {shown}")));
                    let lines: Vec<_> = lines.collect();
                    let wanted = xml_text(&failure.wanted);
                    format!(
                        "<failure message=\"wanted {wanted}\">{}</failure>",
                        lines.join("\n")
                    )
                }
            };
            let _ = writeln!(cases, "    {begin}>{inside}</testcase>");
        }
        let (name, tests) = (xml_text(&group.to_string()), results.len());
        let _ = writeln!(
            xml,
            "  <testsuite name=\"{name}\" tests=\"{tests}\" failures=\"{failures}\" skipped=\"{skipped}\">\n{cases}  </testsuite>"
        );
    }
    xml.push_str("</testsuites>\n");
    xml
}

//! A card as text.

use std::fmt::Write as _;

use super::card::{Card, Failure, Group, Result, Verdict, Weight};

/// How many characters of what was sent, or came, are shown.
const SHOWN: usize = 300;

impl Card {
    /// The card as text: what counts by groups, then matters of taste, then the score. With `all`,
    /// rules that passed are listed, too.
    pub fn text(&self, all: bool) -> String {
        let mut text = format!("{} with the herd {}\n", self.subject, self.herd);
        for group in Group::ALL {
            let of_group =
                |result: &&Result| result.rule.group == group && result.rule.weight == Weight::Must;
            section(
                &mut text,
                &group.to_string(),
                self.results.iter().filter(of_group),
                all,
            );
        }
        let taste = |result: &&Result| result.rule.weight == Weight::Taste;
        let title = "matters of taste (not in the score)";
        section(&mut text, title, self.results.iter().filter(taste), all);
        let verdict = if self.passed() { "PASSED" } else { "FAILED" };
        let _ = writeln!(text, "\n{verdict}: {}", self.score());
        let taste = self.counts(Weight::Taste);
        let judged = taste.passed + taste.failed;
        if judged > 0 {
            let _ = writeln!(text, "taste: {} of {judged}", taste.passed);
        }
        text
    }
}

fn section<'a>(
    text: &mut String,
    title: &str,
    results: impl Iterator<Item = &'a Result>,
    all: bool,
) {
    let results: Vec<_> = results.collect();
    if results.is_empty() {
        return;
    }
    let passed = results
        .iter()
        .filter(|result| result.verdict == Verdict::Passed);
    let (passed, of) = (passed.count(), results.len());
    let _ = writeln!(text, "\n{title}: {passed} of {of}");
    for result in results {
        let rule = &result.rule;
        match &result.verdict {
            Verdict::Passed if all => {
                let _ = writeln!(text, "passed  {}: {}", rule.id, rule.rule);
            }
            Verdict::Passed => {}
            Verdict::NotEvaluated { reason } => {
                let _ = writeln!(
                    text,
                    "not evaluated  {}: {}\n  why:    {reason}",
                    rule.id, rule.rule
                );
            }
            Verdict::Failed(failure) => {
                let _ = writeln!(text, "FAILED  {}: {}", rule.id, rule.rule);
                for (what, shown) in parts(failure) {
                    let _ = writeln!(text, "  {what:<7} {shown}");
                }
                let _ = writeln!(text, "  hint:   {}", rule.hint);
            }
        }
    }
}

/// What is shown of a failure, each with its title, and none that is empty.
pub(super) fn parts(failure: &Failure) -> Vec<(&'static str, String)> {
    let sent = match failure.server.as_str() {
        "" => failure.sent.clone(),
        server => format!("{} (to {server})", short(&failure.sent)),
    };
    let came = match failure.came.as_str() {
        "" => "nothing".to_owned(),
        came => short(came),
    };
    let parts = [
        ("sent:", sent),
        ("came:", came),
        ("wanted:", failure.wanted.clone()),
    ];
    parts
        .into_iter()
        .filter(|(_, shown)| !shown.is_empty())
        .collect()
}

fn short(text: &str) -> String {
    if text.chars().count() <= SHOWN {
        return text.to_owned();
    }
    text.chars().take(SHOWN).chain(['…']).collect()
}

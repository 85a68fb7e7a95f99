//! A card as text.

use std::collections::BTreeMap;
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
    let _ = writeln!(text, "\n{title}: {}", share(&results));
    let mut unseen: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for result in results {
        let rule = &result.rule;
        match &result.verdict {
            Verdict::Passed if all => {
                let _ = writeln!(text, "passed  {}: {}", rule.id, rule.rule);
            }
            Verdict::Passed => {}
            Verdict::NotEvaluated { reason } => unseen.entry(reason).or_default().push(rule.id),
            Verdict::Failed(failure) => {
                let _ = writeln!(text, "FAILED  {}: {}", rule.id, rule.rule);
                for (what, shown) in parts(failure) {
                    let _ = writeln!(text, "  {what:<7} {shown}");
                }
                let _ = writeln!(text, "  hint:   {}", rule.hint);
            }
        }
    }
    for (reason, ids) in unseen {
        let _ = writeln!(
            text,
            "not evaluated  {}\n  why:    {reason}",
            ids.join(", ")
        );
    }
}

/// How many of the rules that could be judged were followed: `3 of 4, 8 not evaluated`.
pub(super) fn share(results: &[&Result]) -> String {
    let count = |wanted: fn(&Verdict) -> bool| {
        let results = results.iter();
        results.filter(|result| wanted(&result.verdict)).count()
    };
    let passed = count(|verdict| matches!(verdict, Verdict::Passed));
    let unseen = count(|verdict| matches!(verdict, Verdict::NotEvaluated { .. }));
    let share = format!("{passed} of {}", results.len() - unseen);
    match unseen {
        0 => share,
        unseen => format!("{share}, {unseen} not evaluated"),
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

//! A scenario as one rule of the card: it is played on real processes, and judged by what clients
//! see.

use std::collections::BTreeSet;

use super::card::{Failure, Group, Result, Rule, Verdict, Weight};
use crate::live::run::{self, Options};
use crate::scenario::{Expected, Scenario};
use crate::trace::{Judgement, Trace};

/// How many of the judgements that failed are shown.
const SHOWN: usize = 3;

/// The rule that a scenario is on a card. As all rules do, its texts stay for as long as the
/// program runs.
pub fn scenario_rule(scenario: &Scenario) -> Rule {
    let about = scenario.about.as_deref().unwrap_or_default();
    let rule = match about {
        "" => scenario.title.clone(),
        about => format!("{}: {about}", scenario.title),
    };
    Rule {
        id: scenario.name.clone().leak(),
        group: Group::Scenarios,
        weight: Weight::Must,
        rule: rule.trim_end_matches('.').to_owned().leak(),
        hint: "`herd run --world live` tells the whole story, with the same --command",
    }
}

/// Plays a scenario, on this thread, which must be inside of no runtime. The servers are started
/// for it alone.
pub fn play(rule: Rule, scenario: &Scenario, options: &Options) -> Result {
    let verdict = match run::run(scenario, options) {
        Ok(trace) => verdict(scenario, &trace),
        Err(error) => Verdict::NotEvaluated {
            reason: error.to_string(),
        },
    };
    Result { rule, verdict }
}

fn verdict(scenario: &Scenario, trace: &Trace) -> Verdict {
    let failed = trace.judgements.iter().filter(|one| !one.passed);
    let failed: Vec<_> = failed.take(SHOWN).collect();
    if !failed.is_empty() {
        let lines = |shown: fn(&Judgement) -> &str| {
            let lines = failed.iter();
            let lines = lines.map(|one| format!("{}: {}", one.about, shown(one)));
            lines.collect::<Vec<_>>().join("; ")
        };
        return Verdict::Failed(Failure {
            server: String::new(),
            sent: String::new(),
            came: lines(|one| &one.actual),
            wanted: lines(|one| &one.expected),
        });
    }
    let expects = scenario.expects.iter();
    let expects = expects.filter(|one| !matches!(one.what, Expected::Invariants(_)));
    let expected: BTreeSet<String> = expects
        .map(|one| {
            let (line, column) = scenario.source.line_column(one.span.start);
            format!("{line}:{column}")
        })
        .collect();
    let places: BTreeSet<&str> = (trace.judgements.iter())
        .filter_map(|one| one.place.as_deref())
        .collect();
    let seen = |place: &String| places.contains(place.as_str());
    // Replies alone do not show what a scenario with expectations is about.
    if places.is_empty() || !(expected.is_empty() || expected.iter().any(seen)) {
        let unseen = trace.header.not_evaluated.iter();
        let unseen =
            unseen.filter(|what| expected.iter().any(|place| what.contains(place.as_str())));
        let unseen: Vec<_> = unseen.map(String::as_str).collect();
        return Verdict::NotEvaluated {
            reason: format!(
                "nothing of what it expects could be seen: {}",
                unseen.join("; ")
            ),
        };
    }
    Verdict::Passed
}

//! What is thought of faults at random, and what belongs to workloads.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::scenario::{Action, Drawn, FaultKind, Random, Scenario, Step, workloads_in};
use crate::sim::impact::Impact;
use crate::trace::{Judgement, Trace};
use crate::units::format_duration;

/// Where workloads are written. The steps of their clients have the same places.
pub(super) fn places_of_workloads(scenario: &Scenario) -> BTreeSet<usize> {
    let workloads = workloads_in(scenario);
    workloads.map(|(step, _)| step.span.start).collect()
}

fn randoms_in(scenario: &Scenario) -> impl Iterator<Item = (&Step, &Random, &[u32])> {
    scenario.steps.iter().filter_map(|step| match &step.action {
        Action::Drawn(Drawn::Random(random, counts)) => Some((step, random, counts.as_slice())),
        _ => None,
    })
}

/// What was impacts by faults at random, and what by those that are written.
pub(super) fn split<'t>(
    scenario: &Scenario,
    impacts: &'t [Impact],
) -> (Vec<&'t Impact>, Vec<&'t Impact>) {
    let drawn: BTreeSet<usize> = randoms_in(scenario)
        .map(|(step, ..)| step.span.start)
        .collect();
    let impacts = impacts.iter();
    impacts.partition(|impact| drawn.contains(&impact.origin.place))
}

/// Faults at random prove something if any was chosen, and they affected anything at all. The seed
/// decides which kinds are chosen; the report tells which of them had an effect.
pub(super) fn randoms(scenario: &Scenario, impacts: &[&Impact], trace: &Trace) -> Vec<Judgement> {
    let mut judgements = Vec::new();
    for (step, random, counts) in randoms_in(scenario) {
        let kinds = random.faults.iter().zip(counts);
        let told = kinds.map(|((fault, _), &count)| format!("`{}` {}", fault.name, times(count)));
        let told: Vec<String> = told.collect();
        judgements.push(Judgement {
            note: None,
            about: "faults are chosen at random".to_owned(),
            passed: random.maybe || counts.iter().any(|&count| count > 0),
            expected: if random.maybe { "any" } else { "at least one" }.to_owned(),
            actual: told.join(", "),
            place: Some(place(scenario, step.span.start)),
            invariant: None,
            events: Vec::new(),
        });
        let mine = impacts
            .iter()
            .filter(|impact| impact.origin.place == step.span.start);
        let mine: Vec<&Impact> = mine.copied().collect();
        let effects = effects(&mine, trace);
        judgements.push(Judgement {
            place: Some(place(scenario, step.span.start)),
            passed: random.maybe || effects.passed,
            ..effects
        });
    }
    judgements
}

/// How many of each kind had an effect and on what, and which had none.
fn effects(impacts: &[&Impact], trace: &Trace) -> Judgement {
    let mut kinds: BTreeMap<FaultKind, (u64, u64, ImpactCounts)> = BTreeMap::new();
    for impact in impacts {
        let (all, some, sum) = kinds.entry(impact.origin.kind).or_default();
        *all += 1;
        *some += u64::from(impact.is_any());
        *sum.entry(impact.what).or_default() += impact.count;
        for (count, what) in &impact.others {
            *sum.entry(what).or_default() += count;
        }
    }
    let tell = |(kind, (all, some, sum)): (FaultKind, (u64, u64, ImpactCounts))| {
        let sum: Vec<String> = sum
            .iter()
            .map(|(what, count)| format!("{count} {what}"))
            .collect();
        format!("{some} of {all} by `{}` ({})", kind.name, sum.join(", "))
    };
    let mut told: Vec<String> = kinds.into_iter().map(tell).collect();
    let any = impacts.iter().any(|impact| impact.is_any());
    let idle = || impacts.iter().filter(|impact| !impact.is_any());
    let names: Vec<String> = idle()
        .filter_map(|impact| Some((impact, trace.event(impact.event)?)))
        .map(|(impact, event)| {
            let at = format_duration(Duration::from_nanos(event.at));
            format!("{} at {at}", impact.origin.about)
        })
        .collect();
    if !names.is_empty() {
        told.push(format!("none by {}", names.join(", ")));
    }
    if !any {
        told = vec!["none".to_owned()];
    }
    Judgement {
        about: "faults at random have an effect".to_owned(),
        passed: any,
        expected: "an effect".to_owned(),
        actual: told.join("; "),
        place: None,
        note: None,
        invariant: None,
        events: idle().map(|impact| impact.event).collect(),
    }
}

/// How many of what were affected.
type ImpactCounts = BTreeMap<&'static str, u64>;

fn times(count: u32) -> String {
    match count {
        0 => "never".to_owned(),
        1 => "once".to_owned(),
        _ => format!("{count} times"),
    }
}

/// `line:column` of a byte of the scenario's file.
fn place(scenario: &Scenario, at: usize) -> String {
    let (line, column) = scenario.source.line_column(at);
    format!("{line}:{column}")
}

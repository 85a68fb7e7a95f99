//! Judges steps that stand for many: each workload as a whole, and random faults.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::client::{Outcome, Place};
use super::impact::Impact;
use super::judge::lost_updates::{self, told_or};
use crate::protocol::{escape, fields};
use crate::scenario::{
    Action, ClientSet, ClientStep, Drawn, Expected, FaultKind, Random, Scenario, Step, Workload,
};
use crate::trace::{Judgement, Trace};
use crate::units::format_duration;

/// The maximum number of wrong answers that are listed; the others are counted.
const MOST_TOLD: usize = 5;

/// The places of workloads in the scenario's file, as byte offsets. The steps of their clients have
/// the same places.
pub(super) fn places_of_workloads(scenario: &Scenario) -> BTreeSet<usize> {
    let workloads = workloads_in(scenario);
    workloads.map(|(step, _)| step.span.start).collect()
}

fn workloads_in(scenario: &Scenario) -> impl Iterator<Item = (&Step, &Workload)> {
    scenario.steps.iter().filter_map(|step| match &step.action {
        Action::Drawn(Drawn::Workload(workload)) => Some((step, workload)),
        _ => None,
    })
}

fn randoms_in(scenario: &Scenario) -> impl Iterator<Item = (&Step, &Random, &[u32])> {
    scenario.steps.iter().filter_map(|step| match &step.action {
        Action::Drawn(Drawn::Random(random, counts)) => Some((step, random, counts.as_slice())),
        _ => None,
    })
}

/// Splits impacts into those of random faults and those of written faults.
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

/// Judges random steps. Such a step passes if it chose a fault and its faults had any effect (or
/// with `maybe`, always). The seed decides which kinds are chosen, so the report says which of them
/// had an effect.
pub(super) fn randoms(scenario: &Scenario, impacts: &[&Impact], trace: &Trace) -> Vec<Judgement> {
    let mut judgements = Vec::new();
    for (step, random, counts) in randoms_in(scenario) {
        let kinds = random.faults.iter().zip(counts);
        let told = kinds.map(|((fault, _), &count)| format!("`{}` {}", fault.name, times(count)));
        let told: Vec<String> = told.collect();
        judgements.push(Judgement {
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

/// Judges the effects of random faults: how many of each kind had an effect, and on what.
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
        invariant: None,
        events: idle().map(|impact| impact.event).collect(),
    }
}

/// Counts of affected things, by their unit.
type ImpactCounts = BTreeMap<&'static str, u64>;

fn times(count: u32) -> String {
    match count {
        0 => "never".to_owned(),
        1 => "once".to_owned(),
        _ => format!("{count} times"),
    }
}

/// Judges each workload: how many of its lines were answered, and whether each answer is of the
/// right kind.
pub(super) fn workloads(scenario: &Scenario, all: &[Outcome], trace: &Trace) -> Vec<Judgement> {
    let outcomes: BTreeMap<Place, &Outcome> = (all.iter())
        .map(|outcome| (outcome.place, outcome))
        .collect();
    let mut judgements = Vec::new();
    for (step, workload) in workloads_in(scenario) {
        let load = Load::new(scenario, step, workload, &outcomes);
        judgements.push(load.answered());
        judgements.push(load.right_kind());
        let kept = scenario.expects.iter().filter(|expect| {
            matches!(&expect.what, Expected::NoLostUpdates(ClientSet::Workload(name)) if *name == workload.name)
        });
        judgements.extend(kept.map(|expect| {
            let is_its = |other: &Step, _: &ClientStep| other.span == step.span;
            let kept = lost_updates::judge(scenario, &workload.name, is_its, all, trace);
            Judgement {
                place: Some(place(scenario, expect.span.start)),
                ..kept
            }
        }));
    }
    judgements
}

/// A workload, and the outcome of each of its lines.
struct Load<'a> {
    workload: &'a Workload,
    place: String,
    lines: Vec<(&'a ClientStep, Option<&'a Outcome>)>,
}

impl<'a> Load<'a> {
    fn new(
        scenario: &'a Scenario,
        drawn: &Step,
        workload: &'a Workload,
        outcomes: &BTreeMap<Place, &'a Outcome>,
    ) -> Self {
        let steps = scenario.steps.iter().enumerate();
        let lines = steps.filter_map(|(index, step)| match &step.action {
            Action::Client(client) if step.span == drawn.span => {
                let place = Place {
                    step: index,
                    to: *client.to.first()?,
                    repetition: 1,
                    line: 0,
                };
                Some((client, outcomes.get(&place).copied()))
            }
            _ => None,
        });
        Self {
            workload,
            place: place(scenario, drawn.span.start),
            lines: lines.collect(),
        }
    }

    fn answers(&self) -> impl Iterator<Item = (&'a ClientStep, &'a Outcome, &'a [u8])> {
        let lines = self.lines.iter();
        lines.filter_map(|&(client, outcome)| {
            let outcome = outcome?;
            Some((client, outcome, outcome.answer.as_deref()?))
        })
    }

    fn judgement(&self, about: &str, held: bool, expected: String, actual: String) -> Judgement {
        Judgement {
            about: format!("{}: {about}", self.workload.name),
            passed: held,
            expected,
            actual,
            place: Some(self.place.clone()),
            invariant: None,
            events: Vec::new(),
        }
    }

    /// Judges the number of answers. Servers that cannot be reached cannot answer, but a workload
    /// with hardly any answers proves little.
    fn answered(&self) -> Judgement {
        let (all, answered) = (self.lines.len(), self.answers().count());
        let wanted = self.workload.least_answered(all);
        let expected = format!("at least {wanted}");
        let actual = format!("{answered} of {all}");
        self.judgement("lines answered", answered >= wanted, expected, actual)
    }

    fn right_kind(&self) -> Judgement {
        let wrong: Vec<_> = self.answers().filter(|answer| !is_right(answer)).collect();
        let tell = |(client, _, answer): &(&ClientStep, &Outcome, &[u8])| {
            format!("{} hears {}", client.client, escape(answer))
        };
        let told = wrong.iter().map(tell);
        let mut judgement = self.judgement(
            "every answer is one to its line",
            wrong.is_empty(),
            "no other answer".to_owned(),
            told_or(told.collect(), "no other answer"),
        );
        let events = wrong.iter().filter_map(|(_, outcome, _)| outcome.sent);
        judgement.events = events.take(MOST_TOLD).collect();
        judgement
    }
}

/// Whether an answer fits its line. The answer to a WHATSAT is the server's record of that client,
/// or the line itself after `?` if it has none.
fn is_right((client, outcome, answer): &(&ClientStep, &Outcome, &[u8])) -> bool {
    let Some(line) = client.lines.first() else {
        return false;
    };
    if let Some(pattern) = &line.reply {
        return pattern.matches(answer, 1, outcome.clock.as_deref());
    }
    let said = line.send.render(1, 0).bytes;
    let about = fields(&said).nth(1);
    let known = answer.starts_with(b"AT ") && fields(answer).nth(3) == about;
    known || answer.strip_prefix(b"? ") == Some(&said)
}

/// A byte offset in the scenario's file as `line:column`.
fn place(scenario: &Scenario, at: usize) -> String {
    let (line, column) = scenario.source.line_column(at);
    format!("{line}:{column}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{Line, Pattern, Template};

    fn is_answered(send: &str, reply: Option<&str>, answer: &str) -> bool {
        let (scenario, _) = Scenario::parse(
            "t.toml",
            "title = \"t\"\nherd = \"riley\"\nsteps = [{ at = \"1s\", crash = \"all\" }]",
            None,
        )
        .unwrap();
        let to = scenario.herd.id("Riley").unwrap();
        let line = Line {
            send: Template::parse(send).unwrap(),
            reply: reply.map(|reply| Pattern::parse(reply).unwrap()),
        };
        let client = ClientStep {
            client: "load-1".into(),
            clients: None,
            to: vec![to],
            lines: vec![line],
            no_reply: false,
            maybe: false,
            times: 1,
            every: Duration::ZERO,
        };
        let outcome = Outcome {
            place: Place {
                step: 0,
                to,
                repetition: 1,
                line: 0,
            },
            sent: None,
            clock: Some("5".to_owned()),
            answer: Some(answer.as_bytes().to_vec()),
            waits: false,
        };
        is_right(&(&client, &outcome, answer.as_bytes()))
    }

    #[test]
    fn only_an_answer_to_the_line_is_right() {
        let told = |answer| {
            is_answered(
                "IAMAT load-1 +1+1 {now}",
                Some("AT Riley * load-1 +1+1 {sent}"),
                answer,
            )
        };
        assert!(told("AT Riley -1.000000000 load-1 +1+1 5"));
        assert!(!told("AT Riley -1.000000000 load-1 +1+1 6"));
        assert!(!told("? IAMAT load-1 +1+1 5"));
        let asked = |answer| is_answered("WHATSAT load-2 10 5", None, answer);
        assert!(asked("AT Juzang +0.1 load-2 +1+1 5\n{}"));
        assert!(asked("? WHATSAT load-2 10 5"));
        assert!(!asked("AT Juzang +0.1 load-3 +1+1 5\n{}"));
        assert!(!asked("? WHATSAT load-3 10 5"));
        assert!(!asked("load-2"));
    }
}

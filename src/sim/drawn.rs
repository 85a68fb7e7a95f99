//! What is thought of steps that stand for many: of a workload as a whole, and of faults at random.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::impact::Impact;
use crate::protocol::{escape, fields};
use crate::scenario::{
    Action, ClientStep, Drawn, FaultKind, LineId, MOST_LISTED, Observed, Outcome, Random, Scenario,
    Step, Workload, first_and_more,
};
use crate::trace::{Judgement, Trace};
use crate::units::format_duration;

/// Where workloads are written. The steps of their clients have the same places.
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

/// What is thought of each workload: how many lines were answered, and by what.
pub(super) fn workloads(run: &Observed<'_>) -> Vec<Judgement> {
    let outcomes: BTreeMap<LineId, &Outcome> = (run.outcomes.iter())
        .map(|outcome| (outcome.line, outcome))
        .collect();
    let mut judgements = Vec::new();
    for (step, workload) in workloads_in(run.scenario) {
        let load = Load::new(run.scenario, step, workload, &outcomes);
        judgements.push(load.answered());
        judgements.push(load.right_kind());
    }
    judgements
}

/// A workload and the outcome of each line.
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
        outcomes: &BTreeMap<LineId, &'a Outcome>,
    ) -> Self {
        let steps = scenario.steps.iter().enumerate();
        let lines = steps.filter_map(|(index, step)| match &step.action {
            Action::Client(client) if step.span == drawn.span => {
                let id = LineId {
                    step: index,
                    to: *client.to.first()?,
                    repetition: 1,
                    line: 0,
                };
                Some((client, outcomes.get(&id).copied()))
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

    /// Who can't be reached can't answer; but a workload that hardly anybody answers proves little.
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
            first_and_more(told.collect(), "no other answer"),
        );
        let events = wrong.iter().filter_map(|(_, outcome, _)| outcome.sent);
        judgement.events = events.take(MOST_LISTED).collect();
        judgement
    }
}

/// Whether an answer is one to what was said: to a WHATSAT what the server knows, or its line again
/// if it knows nothing.
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

/// `line:column` of a byte of the scenario's file.
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
            line: LineId {
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

//! What is thought of a workload: how many lines were answered, and by what.

use std::collections::BTreeMap;

use super::Workload;
use crate::disk::Durability;
use crate::protocol::{escape, fields};
use crate::scenario::{
    Action, ClientStep, Drawn, LineId, MOST_LISTED, Observed, Outcome, Scenario, Step,
    first_and_more,
};
use crate::trace::Judgement;

pub(crate) fn workloads_in(scenario: &Scenario) -> impl Iterator<Item = (&Step, &Workload)> {
    scenario.steps.iter().filter_map(|step| match &step.action {
        Action::Drawn(Drawn::Workload(workload)) => Some((step, workload)),
        _ => None,
    })
}

/// What is thought of each workload: how many lines were answered, and by what.
pub(crate) fn judge_workloads(run: &Observed<'_>) -> Vec<Judgement> {
    let outcomes: BTreeMap<LineId, &Outcome> = (run.outcomes.iter())
        .map(|outcome| (outcome.line, outcome))
        .collect();
    let mut judgements = Vec::new();
    for (step, workload) in workloads_in(run.scenario) {
        let load = Load::new(run, step, workload, &outcomes);
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
    /// Whether a server may refuse an update, since its disk does not take it.
    may_refuse: bool,
}

impl<'a> Load<'a> {
    fn new(
        run: &Observed<'a>,
        drawn: &Step,
        workload: &'a Workload,
        outcomes: &BTreeMap<LineId, &'a Outcome>,
    ) -> Self {
        let steps = run.scenario.steps.iter().enumerate();
        let writes = steps.filter_map(|(index, step)| match &step.action {
            Action::Client(client) if step.span == drawn.span => {
                Some((index, client, *client.to.first()?))
            }
            _ => None,
        });
        let lines = writes.flat_map(|(step, client, to)| {
            (0..client.lines.len()).map(move |line| {
                let id = LineId {
                    step,
                    to,
                    repetition: 1,
                    line,
                };
                (client, outcomes.get(&id).copied())
            })
        });
        Self {
            workload,
            place: run.place(drawn.span.start),
            lines: lines.collect(),
            may_refuse: (run.scenario.disks)
                .is_some_and(|disks| disks.durability == Durability::Answered),
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
            note: None,
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
        let is_fine = |answer: &_| is_right(answer) || self.may_refuse && is_refused(answer);
        let wrong: Vec<_> = self.answers().filter(|answer| !is_fine(answer)).collect();
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
    let Some(line) = client.lines.get(outcome.line.line) else {
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

/// Whether an answer is the refusal of the update that was sent.
fn is_refused((client, outcome, answer): &(&ClientStep, &Outcome, &[u8])) -> bool {
    let (Some(line), Some(refused)) = (
        client.lines.get(outcome.line.line),
        answer.strip_prefix(b"? IAMAT "),
    ) else {
        return false;
    };
    let said = line.send.render(1, 0).bytes;
    let place: Vec<&[u8]> = fields(&said).skip(1).take(2).collect();
    let time = outcome.clock.as_deref().map(str::as_bytes);
    fields(refused).eq(place.into_iter().chain(time))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::scenario::{ConnectionUse, Line, Pattern, Template};

    fn is_answered(send: &str, reply: Option<&str>, answer: &str) -> bool {
        judged(send, reply, answer).0
    }

    /// Whether an answer is right, and whether it is a refusal.
    fn judged(send: &str, reply: Option<&str>, answer: &str) -> (bool, bool) {
        let (scenario, _) = Scenario::parse(
            "t.toml",
            "title = \"t\"\nherd = \"riley\"\nsteps = [{ at = \"1s\", crash = \"all\" }]",
            None,
        )
        .unwrap();
        let to = scenario.herd.id("Riley").unwrap();
        let line = Line {
            send: Template::parse(send).unwrap(),
            reply: reply.map(|reply| Pattern::parse(reply).unwrap().into()),
        };
        let client = ClientStep {
            client: "load-1".into(),
            clients: None,
            to: vec![to],
            lines: vec![line],
            connection: ConnectionUse::default(),
            no_reply: false,
            maybe: false,
            fails: None,
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
            lost: None,
            waits: false,
        };
        let answer = (&client, &outcome, answer.as_bytes());
        (is_right(&answer), is_refused(&answer))
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
    #[test]
    fn a_refusal_is_of_the_line_that_was_sent() {
        let refused = |answer| {
            let pattern = Some("AT Riley * load-1 +1+1 {sent}");
            let judged = judged("IAMAT load-1 +1+1 {now}", pattern, answer);
            assert!(!judged.0);
            judged.1
        };
        assert!(refused("? IAMAT load-1 +1+1 5"));
        for other in [
            "? IAMAT load-1 +1+1 6",
            "? IAMAT load-2 +1+1 5",
            "? IAMAT load-1 +1+1 5 5",
            "? WHATSAT load-1 10 5",
            "AT Juzang +0.1 load-1 +1+1 6",
        ] {
            assert!(!refused(other), "{other}");
        }
    }
}

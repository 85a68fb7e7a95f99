//! Judges a run of servers that record nothing, by what clients sent and received.

use std::time::Duration;

use super::{Execution, Judge};
use crate::scenario::{Expect, Observed, Scenario, Told};
use crate::trace::invariants::Invariant;
use crate::trace::{Judgement, Trace};
use crate::units::format_duration;

/// The invariants that follow from what clients sent and received.
const BY_CLIENTS: [Invariant; 5] = [
    Invariant::AnswersOfTheirKind,
    Invariant::ToldAsSent,
    Invariant::ReadYourWrites,
    Invariant::MonotonicReads,
    Invariant::ConvergentReads,
];

/// The judgements of a run, and what was not evaluated, in words.
pub(in crate::sim) fn judge(
    scenario: &Scenario,
    execution: &Execution,
    trace: &Trace,
) -> (Vec<Judgement>, Vec<String>) {
    let judge = Judge {
        run: Observed::new(scenario, trace, execution.lasted, &execution.outcomes),
        by_hand: false,
        census: &[],
    };
    let told = Told::of(trace);
    let mut judgements = judge.replies();
    judgements.extend(crate::scenario::judge_workloads(&judge.run));
    let mut left_out = Vec::new();
    for expect in &scenario.expects {
        let (judged, words) = expect.what.judge_outside(&judge.run, &told);
        let place = judge.place(expect.span.start);
        left_out.extend(
            words
                .into_iter()
                .map(|words| format!("{words} (at {place})")),
        );
        // What need not be so in each run is nothing that this run can fail by.
        let judged = judged.into_iter().filter(|_| !expect.sometimes);
        judgements.extend(judged.map(|judgement| Judgement {
            place: Some(place.clone()),
            note: expect.note.clone(),
            ..judgement
        }));
    }
    for invariant in Invariant::ALL {
        if scenario.without.contains(&invariant) {
            continue;
        }
        if BY_CLIENTS.contains(&invariant) {
            judgements.push(judge.invariant(invariant));
        } else {
            left_out.push(invariant.name().to_owned());
        }
    }
    if !execution.impacts.is_empty() {
        left_out.push(EFFECTS.to_owned());
    }
    judgements.extend(ends(&judge, execution));
    left_out.dedup();
    (judgements, left_out)
}

/// What is not counted here.
const EFFECTS: &str = "whether faults had an effect";

/// The invariants that depend on exact times, or on counts inside of a process.
const BY_INSIDE: [Invariant; 5] = [
    Invariant::AnswersAsOfTheirLine,
    Invariant::SkewIsRight,
    Invariant::LimitsHold,
    Invariant::DeadlinesHold,
    Invariant::NothingIsLeft,
];

/// The judgements of a run whose servers recorded everything, and what was not evaluated.
pub(in crate::sim) fn judge_whole(
    scenario: &Scenario,
    execution: &Execution,
    trace: &Trace,
    slack: Duration,
) -> (Vec<Judgement>, Vec<String>) {
    let judge = Judge {
        run: Observed::new(scenario, trace, execution.lasted, &execution.outcomes),
        // Silence is no exact time here, either.
        by_hand: true,
        census: &[],
    };
    let mut judgements = judge.replies();
    judgements.extend(crate::scenario::judge_workloads(&judge.run));
    let mut left_out = Vec::new();
    for expect in scenario.expects.iter().filter(|expect| !expect.sometimes) {
        let (rest, has_requests) = expect.what.without_requests();
        if has_requests {
            left_out.push(format!(
                "`requests` (at {})",
                judge.place(expect.span.start)
            ));
        }
        if let Some(what) = rest {
            let expect = Expect {
                what,
                ..expect.clone()
            };
            judgements.extend(with_slack(&judge, &expect, slack));
        }
    }
    for invariant in Invariant::ALL {
        if scenario.without.contains(&invariant) {
            continue;
        }
        if BY_INSIDE.contains(&invariant) {
            left_out.push(invariant.name().to_owned());
        } else {
            judgements.push(judge.invariant(invariant));
        }
    }
    if !execution.impacts.is_empty() {
        left_out.push(EFFECTS.to_owned());
    }
    judgements.extend(ends(&judge, execution));
    (judgements, left_out)
}

/// Judges an expectation. What fails by its times alone passes if it is so a little later: processes take their time.
fn with_slack(judge: &Judge<'_>, expect: &Expect, slack: Duration) -> Vec<Judgement> {
    let judgements = judge.expectation(expect);
    let Some(relaxed) = expect.what.relaxed(slack) else {
        return judgements;
    };
    let expect = Expect {
        what: relaxed,
        ..expect.clone()
    };
    let relaxed = judge.expectation(&expect);
    let slack = format_duration(slack);
    let either = judgements.into_iter().zip(relaxed);
    let either = either.map(|(exact, relaxed)| {
        if exact.passed || !relaxed.passed {
            return exact;
        }
        let own = exact.note.iter().map(|note| format!("{note}; "));
        let own: String = own.collect();
        Judgement {
            passed: true,
            actual: relaxed.actual,
            events: relaxed.events,
            note: Some(format!("{own}in real time, {slack} later is early enough")),
            ..exact
        }
    });
    either.collect()
}

/// What is judged of the end of a run.
fn ends(judge: &Judge<'_>, execution: &Execution) -> Vec<Judgement> {
    let mut judgements = vec![judge.ending(execution)];
    judgements.extend(judge.unasked());
    judgements.extend(judge.answered_at_all());
    if let Some(seen) = &execution.places {
        judgements.extend(judge.places(seen));
    }
    judgements
}

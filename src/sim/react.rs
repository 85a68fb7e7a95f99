//! Steps that react get their times: by executing what comes before them, as often as there are such steps.
//!
//! A run follows from its scenario, so what was before the moment of a reaction is the same with the reaction and without
//! it. So a step that reacts becomes a plain step at a moment, and nothing else has to know of it.

use std::time::Duration;

use super::SimError;
use crate::report::Printed;
use crate::scenario::{Scenario, Step, nanos};
use crate::trace::Trace;
use crate::units::format_duration;

/// The scenario of plain steps with times for all that react, but for those to which nothing happens: they stay as they are,
/// and are not done. `execute` executes what has its times.
///
/// # Errors
///
/// Those of `execute`; and if the steps do not fit together at the times that they get.
pub(super) fn timed(
    scenario: &Scenario,
    mut execute: impl FnMut(&Scenario) -> Result<Trace, SimError>,
) -> Result<Scenario, SimError> {
    let mut timed = scenario.clone();
    if !timed.steps.iter().any(reacts) {
        return Ok(timed);
    }
    while timed.steps.iter().any(reacts) {
        let trace = execute(&timed)?;
        let Some((at, index)) = first_reaction(&timed, &trace) else {
            break;
        };
        let step = &mut timed.steps[index];
        (step.at, step.when) = (at, None);
        timed.steps.sort_by_key(|step| step.at);
        check(&timed, at)?;
    }
    Ok(timed)
}

/// Whether a step waits for something to happen.
pub(super) fn reacts(step: &Step) -> bool {
    step.when.is_some()
}

/// The first moment at which a step reacts, and which step that is. Later ones may not come to it once that step is done.
fn first_reaction(scenario: &Scenario, trace: &Trace) -> Option<(Duration, usize)> {
    let printed = Printed::new(trace);
    let reactions = scenario
        .steps
        .iter()
        .enumerate()
        .filter_map(|(index, step)| {
            let when = step.when.as_ref()?;
            let from = nanos(step.at);
            let mut later = trace.events.iter().filter(|event| event.at >= from);
            let event = later.find(|event| when.event.matches(&printed, event))?;
            let at = when.after(Duration::from_nanos(event.at), scenario.tick);
            Some((at, index))
        });
    reactions.min()
}

/// The rules of files hold at the times that a run gives, too: nothing starts again that runs.
fn check(scenario: &Scenario, at: Duration) -> Result<(), SimError> {
    let mut known = scenario.plain();
    known.steps.retain(|step| !reacts(step));
    // What is expected of updates that are not sent yet would be wrong.
    known.expects.clear();
    let Err(problems) = Scenario::parse_over(&scenario.herd, "timed.toml", &known.to_toml()) else {
        return Ok(());
    };
    let first = problems.sorted().into_iter().next();
    let why = first.map_or_else(String::new, |problem| problem.message.clone());
    let at = format_duration(at);
    Err(SimError::Failed(format!(
        "a step reacts at {at}, and then the steps do not fit together: {why}"
    )))
}

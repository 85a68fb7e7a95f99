//! A scenario made ready to be run in every order: what time decided is out of the way.

use std::time::Duration;

use crate::diag::{Problem, Problems};
use crate::herd::ServerId;
use crate::scenario::{Action, Expect, Scenario};
use crate::timing::Timing;
use crate::units::LatencyRange;

/// Every message takes one tick, so that as little simulated time passes as can.
const TICK: Duration = Duration::from_millis(1);

/// Signs of life and anti-entropy rounds come when everything is long over.
const NEVER: Duration = Duration::from_hours(1);

/// Whoever lost a link dials again when nothing else is under way: this much time can hardly pass while there is
/// anything to choose.
const LONG: Duration = Duration::from_millis(500);

/// What is left out of a scenario, since it can't hold in every order.
pub(super) struct Prepared {
    pub(super) scenario: Scenario,
    pub(super) left_out: Vec<&'static str>,
}

/// Makes a scenario ready. With `any_time` each of its steps can be done at any moment after the one before, not only
/// those of the same time. With `origin` what its first client says goes there.
///
/// # Errors
///
/// When it has steps that are nothing without time, in the places of its file.
pub(super) fn prepare(
    scenario: &Scenario,
    any_time: bool,
    origin: Option<ServerId>,
) -> Result<Prepared, Problems> {
    let mut scenario = scenario.clone();
    let mut problems = Problems::new();
    for step in &scenario.steps {
        if let Some(what) = step.action.needs_time() {
            let message = format!("this is {what}, and where orders are explored there is no time");
            problems.push(Problem::error(&scenario.source, step.span.clone(), message));
        }
    }
    if problems.has_errors() {
        return Err(problems);
    }
    let constant = LatencyRange::constant(TICK);
    scenario.tick = TICK;
    scenario.link_latency.fill(constant);
    scenario.client_latency = constant;
    scenario.places_latency = constant;
    scenario.timing = Timing {
        heartbeat: NEVER,
        anti_entropy: NEVER,
        connect_deadline: LONG,
        hello_deadline: LONG,
        redial_least: LONG,
        redial_most: LONG,
        ..Timing::default()
    };
    scenario.end = None;
    scenario.deliver = None;
    if let Some(origin) = origin {
        redirect(&mut scenario, origin);
    }
    retime(&mut scenario, any_time);
    let mut left_out = Vec::new();
    let expects = std::mem::take(&mut scenario.expects);
    scenario.expects = (expects.into_iter())
        .filter_map(|expect| {
            let (what, rest) = expect.what.in_any_order();
            left_out.extend(rest);
            what.map(|what| Expect { what, ..expect })
        })
        .collect();
    left_out.sort_unstable();
    left_out.dedup();
    Ok(Prepared { scenario, left_out })
}

/// What the first client says goes to `origin`. What another server would have answered is not expected then.
fn redirect(scenario: &mut Scenario, origin: ServerId) {
    let clients = scenario.steps.iter_mut();
    let first = clients.filter_map(|step| match &mut step.action {
        Action::Client(client) => Some(client),
        _ => None,
    });
    if let Some(client) = { first }.next()
        && client.to != [origin]
    {
        client.to = vec![origin];
        for line in &mut client.lines {
            line.reply = None;
        }
    }
}

/// Steps of the same time stay so; nothing else about their times counts.
fn retime(scenario: &mut Scenario, any_time: bool) {
    let mut before = None;
    let mut at = Duration::ZERO;
    for step in &mut scenario.steps {
        if before.is_none() || (before != Some(step.at) && !any_time) {
            at += Duration::from_secs(1);
        }
        before = Some(step.at);
        step.at = at;
    }
}

//! Prepares a scenario for being run in every order, by removing what depends on time.

use std::time::Duration;

use crate::diag::{Problem, Problems};
use crate::herd::ServerId;
use crate::scenario::{Action, Expect, Held, Scenario};
use crate::timing::Timing;
use crate::units::LatencyRange;

/// The tick, and the latency of every message: the shortest, so that little simulated time passes.
const TICK: Duration = Duration::from_millis(1);

/// The interval of heartbeats and anti-entropy rounds: longer than any run, so that none occur.
const NEVER: Duration = Duration::from_hours(1);

/// The pause before redialling, and the deadlines of a new connection. Messages take a tick each,
/// so this much time passes only when no message is left to deliver.
const LONG: Duration = Duration::from_millis(500);

/// A prepared scenario, and the words of the expectations that were removed since they depend on
/// the order.
pub(super) struct Prepared {
    pub(super) scenario: Scenario,
    pub(super) left_out: Vec<&'static str>,
}

/// Prepares a scenario. With `any_time` each step can happen at any moment after the step before
/// it; otherwise only steps of the same time can. `held` says which messages wait. With `origin` the first client sends
/// to that server.
///
/// # Errors
///
/// If the scenario has steps that need time; each is reported at its place in the file.
pub(super) fn prepare(
    scenario: &Scenario,
    (any_time, held): (bool, Held),
    origin: Option<ServerId>,
) -> Result<Prepared, Problems> {
    let mut scenario = scenario.clone();
    let mut problems = Problems::new();
    for step in &scenario.steps {
        if let Some(what) = step.needs_time() {
            let message = format!("this is {what}, and where orders are explored there is no time");
            problems.push(Problem::error(&scenario.source, step.span.clone(), message));
        }
    }
    if problems.has_errors() {
        return Err(problems);
    }
    let constant = LatencyRange::constant(TICK);
    (scenario.tick, scenario.finer) = (TICK, None);
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
    scenario.held = held;
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

/// Makes the first client send to `origin`, and removes its expected replies if it sent to another
/// server before.
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

/// Gives steps of the same time one time, and others a second more than the step before; the
/// original times do not matter.
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

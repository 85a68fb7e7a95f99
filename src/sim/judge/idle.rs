//! What proves nothing: a run in which nothing was put to the test that a scenario is about.

use super::super::driver::Execution;
use super::super::{Mode, WorldKind};
use super::Judge;
use crate::journal::{Event, EventKind};
use crate::scenario::{Action, Scenario, failed, nanos};
use crate::trace::invariants::{Census, Invariant, Patience, Rules, Run};
use crate::trace::{Judgement, Trace};

/// A run as its invariants look at it.
pub(super) fn run<'a>(
    scenario: &'a Scenario,
    trace: &'a Trace,
    census: &'a [Census],
    by_hand: bool,
) -> Run<'a> {
    let world = trace.header.world.parse().ok();
    let patience = Patience {
        heartbeat: nanos(scenario.timing.heartbeat),
        hello: nanos(scenario.timing.hello_deadline),
        resend: world.and_then(WorldKind::resend).map(nanos),
    };
    Run {
        header: &trace.header,
        herd: &scenario.herd,
        events: &trace.events,
        until_quiet: scenario.end.is_none(),
        patience: (!by_hand).then_some(patience),
        rules: Some(Rules {
            timing: scenario.timing,
            limits: scenario.limits,
        }),
        census,
    }
}

/// What was counted at the end. If the run did not end well, what is left then is no fault of it.
pub(super) fn census_of(execution: &Execution) -> &[Census] {
    if execution.ended_well {
        &execution.census
    } else {
        &[]
    }
}

/// The invariants that are switched off and passed all the same.
pub(in crate::sim) fn needless(
    scenario: &Scenario,
    execution: &Execution,
    mode: &Mode,
    trace: &Trace,
) -> Vec<Invariant> {
    let run = run(scenario, trace, census_of(execution), mode.is_by_hand());
    let held = |invariant: &Invariant| invariant.violations(&run).is_empty();
    scenario.without.iter().copied().filter(held).collect()
}

impl Judge<'_> {
    /// A run that ends before the herd is up has tested no herd. Reported only on failure.
    pub(super) fn came_up(&self) -> Option<Judgement> {
        let is_ready = |event: &Event| matches!(event.what, EventKind::Synchronised { .. });
        let is_early = self.scenario.end.is_some()
            && !self.scenario.herd.links().is_empty()
            && !self.trace.events.iter().any(is_ready);
        let about = "some link is synchronised before the run ends";
        is_early.then(|| failed(about.to_owned(), "a synchronised link", &self.over()))
    }

    /// Where any answer may fail to come and nothing else is expected, one must come. Reported only on failure.
    pub(super) fn answered_at_all(&self) -> Option<Judgement> {
        let mut clients = self
            .scenario
            .steps
            .iter()
            .filter_map(|step| match &step.action {
                Action::Client(client) => Some(client.maybe),
                // Of a peer's lines that no reply is expected to, none is awaited.
                Action::Peer(peer) => {
                    let awaits = peer.lines.iter().any(|line| line.reply.is_some());
                    awaits.then_some(peer.maybe)
                }
                // A workload says itself how many answers must come.
                Action::Drawn(_) => Some(false),
                _ => None,
            });
        let is_open = self.scenario.expects.is_empty()
            && clients.next().is_some_and(|maybe| maybe)
            && clients.all(|maybe| maybe);
        let is_answered = || self.outcomes.iter().any(|outcome| outcome.answer.is_some());
        let about = "some client is answered, as nothing else is expected";
        (is_open && !is_answered())
            .then(|| failed(about.to_owned(), "an answer to a `maybe`", "no answer"))
    }
}

/// Whether a WHATSAT was answered with no more than that Places could not be reached, or said no.
pub(super) fn is_failed_look_up(answer: &[u8]) -> bool {
    let mut parts = answer.splitn(2, |&byte| byte == b'\n');
    let (Some(b'A'), Some(body)) = (parts.next().and_then(|line| line.first()), parts.next())
    else {
        return false;
    };
    let body: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let status = body.get("status").and_then(serde_json::Value::as_str);
    status.is_some_and(|status| !["OK", "ZERO_RESULTS"].contains(&status))
}

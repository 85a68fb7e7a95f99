//! What happens and when: the steps in order of time, and who is up and who is down meanwhile.

use std::time::Duration;

use super::Context;
use super::state::{Clients, Moment};
use crate::diag::{Problem, Span};
use crate::document::{Located, Section};
use crate::herd::Herd;
use crate::scenario::broken::Broken;
use crate::scenario::raw::RawStep;
use crate::scenario::{Action, ClientStep, FaultKind, Step, Target, Values};
use crate::units::format_duration;

/// A step whose servers are not yet known to be up or down.
pub(super) struct Draft {
    at: Duration,
    /// Where its time is written.
    when: Span,
    /// The whole step.
    span: Span,
    pub(super) action: DraftAction,
}

/// What happens, as [`Action`].
pub(super) enum DraftAction {
    /// A fault begins, with these values, which are written there.
    Begin(FaultKind, DraftTargets, Values, Span),
    /// It ends for those who are named there.
    End(FaultKind, DraftTargets, Span),
    Ready(Action),
    Client(ClientStep),
}

/// Whom a fault begins or ends for.
pub(super) enum DraftTargets {
    /// Everybody that it can begin or end for at that time.
    All(Span),
    /// These, each with its place.
    Named(Vec<(Target, Span)>),
    /// The clocks of those who are called so.
    Clocks(Vec<(String, Span)>),
}

impl Context<'_> {
    /// The steps by time; none if anything about them is wrong.
    pub(super) fn steps(
        &mut self,
        raw: Option<&Located<Vec<Section<RawStep>>>>,
        end: Option<Duration>,
    ) -> Option<Vec<Step>> {
        let raw = self.required(raw, &crate::document::ROOT, "a scenario needs `steps`")?;
        let intact = !self.damage.is_at(&raw.span());
        if raw.is_empty() && intact {
            self.error(raw.span(), "a scenario needs at least one step");
            return None;
        }
        let times = self.times(raw, intact);
        let mut drafts = Vec::new();
        for (step, time) in raw.iter().zip(times) {
            let action = self.action(step);
            if let (Some(action), Some((at, when))) = (action, time) {
                let span = step.span();
                drafts.push(Draft {
                    at,
                    when,
                    span,
                    action,
                });
            }
        }
        self.check_before_end(&drafts, end);
        // While a step is missing, nothing is known of who is up.
        let complete = intact && drafts.len() == raw.len();
        let herd = self.herd.clone().filter(|_| complete)?;
        drafts.sort_by_key(|draft| draft.at);
        let steps = self.settle(drafts, &herd);
        self.check_workload_names(&steps);
        self.check_undisturbed(&steps, &herd);
        // More steps than can run are not even listed one by one.
        self.check_connections(&steps, &herd)?;
        Some(steps)
    }

    /// The time of each step and where it is written; none if it can't be known.
    fn times(&mut self, steps: &[Section<RawStep>], intact: bool) -> Vec<Option<(Duration, Span)>> {
        let mut previous = intact.then_some(Duration::ZERO);
        let mut times = Vec::new();
        for step in steps {
            let time = self.time(step, previous);
            previous = time.as_ref().map(|(at, _)| *at);
            times.push(time);
        }
        times
    }

    fn time(
        &mut self,
        step: &Section<RawStep>,
        previous: Option<Duration>,
    ) -> Option<(Duration, Span)> {
        match (&step.at, &step.after) {
            (Some(at), Some(after)) => {
                let message = "a step has either `at` or `after`";
                let problem = Problem::error(self.source, after.span(), message);
                self.report(problem.also(at.span(), "the time is already given here"));
                None
            }
            (Some(at), None) => Some((self.moment(at, "`at`"), at.span())),
            (None, Some(after)) => {
                let delay = self.on_tick(after, "`after`");
                let at = previous?.saturating_add(delay);
                self.check_not_too_late(at, &after.span());
                Some((at, after.span()))
            }
            (None, None) => {
                if !self.damage.is_at(&step.span()) {
                    self.error(step.span(), "a step needs a time: `at` or `after`");
                }
                None
            }
        }
    }

    fn check_before_end(&mut self, drafts: &[Draft], end: Option<Duration>) {
        for draft in drafts {
            let last = match &draft.action {
                DraftAction::Client(client) => {
                    let connections = client.times.saturating_mul(client.clients.unwrap_or(1));
                    client.every.saturating_mul(connections - 1)
                }
                DraftAction::Ready(Action::Workload(workload)) => workload.lasts,
                DraftAction::Ready(Action::Random(random)) => random.lasts,
                _ => Duration::ZERO,
            };
            let repeats = !last.is_zero();
            let last = draft.at.saturating_add(last);
            if repeats {
                self.check_not_too_late(last, &draft.when);
            }
            if end.is_some_and(|end| last >= end) {
                let (last, end) = (
                    format_duration(last),
                    format_duration(end.unwrap_or_default()),
                );
                let message = format!("this happens at {last}, but the run ends at {end}");
                self.error(draft.when.clone(), message);
            }
        }
    }

    /// Goes through the steps in order of time and follows what is wrong.
    fn settle(&mut self, drafts: Vec<Draft>, herd: &Herd) -> Vec<Step> {
        let mut broken = Broken::default();
        let mut steps = Vec::new();
        let clients = Clients::of(&drafts);
        for draft in drafts {
            broken.pass(draft.at);
            let mut moment = Moment {
                at: draft.at,
                herd,
                clients: &clients,
                broken: &mut broken,
            };
            let action = match draft.action {
                DraftAction::Begin(kind, targets, values, place) => {
                    Action::Begin(self.begins(kind, targets, &values, &place, &mut moment))
                }
                DraftAction::End(kind, targets, list) => {
                    Action::End(kind, self.ends(kind, targets, &list, &mut moment))
                }
                DraftAction::Ready(action) => action,
                DraftAction::Client(client) => Action::Client(client),
            };
            steps.push(Step {
                at: draft.at,
                span: draft.span,
                action,
            });
        }
        steps
    }
}

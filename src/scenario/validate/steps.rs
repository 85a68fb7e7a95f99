//! What happens and when: the steps in order of time, and who is up and who is down meanwhile.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Context;
use crate::diag::{Problem, Span};
use crate::document::{Located, Section};
use crate::herd::{Herd, ServerId};
use crate::scenario::raw::RawStep;
use crate::scenario::{Action, ClientStep, Step};
use crate::units::format_duration;

/// A step whose servers are not yet known to be up or down.
struct Draft {
    at: Duration,
    /// Where its time is written.
    when: Span,
    /// The whole step.
    span: Span,
    action: DraftAction,
}

/// What happens, as [`Action`].
pub(super) enum DraftAction {
    Crash(Whom),
    Restart(Whom),
    Client(ClientStep),
}

/// The servers that crash or restart.
pub(super) enum Whom {
    /// Whoever is up, or down, at that time.
    Everyone(Span),
    /// These, each with the place of its name.
    Named(Vec<(ServerId, Span)>),
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
        Some(self.settle(drafts, &herd))
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
                DraftAction::Client(client) => client.every.saturating_mul(client.times - 1),
                DraftAction::Crash(_) | DraftAction::Restart(_) => Duration::ZERO,
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

    /// Goes through the steps in order of time and follows who is up and who is down.
    fn settle(&mut self, drafts: Vec<Draft>, herd: &Herd) -> Vec<Step> {
        let mut down: BTreeMap<ServerId, Span> = BTreeMap::new();
        let mut steps = Vec::new();
        for draft in drafts {
            let action = match draft.action {
                DraftAction::Crash(whom) => Action::Crash(self.crash(whom, herd, &mut down)),
                DraftAction::Restart(whom) => Action::Restart(self.restart(whom, herd, &mut down)),
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

    fn crash(
        &mut self,
        whom: Whom,
        herd: &Herd,
        down: &mut BTreeMap<ServerId, Span>,
    ) -> Vec<ServerId> {
        let named = match whom {
            Whom::Named(named) => named,
            Whom::Everyone(span) => {
                let up = herd.ids().filter(|id| !down.contains_key(id));
                let up: Vec<_> = up.map(|id| (id, span.clone())).collect();
                if up.is_empty() {
                    self.error(span, "no server is running then");
                }
                up
            }
        };
        for (id, span) in &named {
            if let Some(earlier) = down.insert(*id, span.clone()) {
                let message = format!("`{}` is down already", herd.server(*id).name);
                let problem = Problem::error(self.source, span.clone(), message);
                self.report(problem.also(earlier, "it crashes here"));
            }
        }
        named.into_iter().map(|(id, _)| id).collect()
    }

    fn restart(
        &mut self,
        whom: Whom,
        herd: &Herd,
        down: &mut BTreeMap<ServerId, Span>,
    ) -> Vec<ServerId> {
        let named = match whom {
            Whom::Named(named) => named,
            Whom::Everyone(span) => {
                if down.is_empty() {
                    self.error(span.clone(), "no server is down then");
                }
                down.keys().map(|id| (*id, span.clone())).collect()
            }
        };
        for (id, span) in &named {
            if down.remove(id).is_none() {
                let message = format!("`{}` is running and can't restart", herd.server(*id).name);
                let problem = Problem::error(self.source, span.clone(), message);
                self.report(problem.help("let it `crash` first"));
            }
        }
        named.into_iter().map(|(id, _)| id).collect()
    }
}

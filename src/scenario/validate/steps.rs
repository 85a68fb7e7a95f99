//! What happens and when: the steps in order of time, and who is up and who is down meanwhile.

use std::time::Duration;

use super::Context;
use super::clocks::Clients;
use crate::diag::{Problem, Span};
use crate::document::{Located, Section};
use crate::herd::Herd;
use crate::scenario::broken::Broken;
use crate::scenario::raw::RawStep;
use crate::scenario::{Action, ClientStep, Direction, Fault, Party, Route, Skewed, Step};
use crate::units::{LatencyRange, format_duration};

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
    Break(Fault, Whom),
    Mend(Fault, Whom),
    Cut(Vec<Direction>),
    Heal(Option<Vec<Direction>>, Span),
    /// What the routes take from now on, and where that is written.
    Slow(Vec<Route>, LatencyRange, Span),
    /// The names of those whose clocks are wrong, or all servers, and where that is written.
    Skew(Option<Vec<(String, Span)>>, Span, Skewed),
    Ready(Action),
    Client(ClientStep),
}

/// Whom something is wrong with.
pub(super) enum Whom {
    /// Every server that it can begin or end for at that time.
    Everyone(Span),
    /// These, each with the place of its name.
    Named(Vec<(Party, Span)>),
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

    /// Goes through the steps in order of time and follows what is broken.
    fn settle(&mut self, drafts: Vec<Draft>, herd: &Herd) -> Vec<Step> {
        let mut broken = Broken::default();
        let mut steps = Vec::new();
        let clients = Clients::of(&drafts);
        for draft in drafts {
            let action = match draft.action {
                DraftAction::Break(fault, whom) => {
                    Action::Break(fault, self.breaks(fault, whom, herd, &mut broken))
                }
                DraftAction::Mend(fault, whom) => {
                    Action::Mend(fault, self.mends(fault, whom, herd, &mut broken))
                }
                DraftAction::Cut(ways) => {
                    broken.cut(&ways);
                    Action::Cut(ways)
                }
                DraftAction::Heal(ways, span) => Action::Heal(self.heals(ways, &span, &mut broken)),
                DraftAction::Slow(routes, latency, span) => {
                    self.slows(&routes, latency, span, &mut broken);
                    Action::Slow(routes, latency)
                }
                DraftAction::Skew(names, span, skewed) => {
                    let whom = self.skews(names, &span, skewed, &clients, &mut broken);
                    Action::Skew(whom, skewed)
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

    fn breaks(&mut self, fault: Fault, whom: Whom, herd: &Herd, broken: &mut Broken) -> Vec<Party> {
        let named = match whom {
            Whom::Named(named) => named,
            Whom::Everyone(span) => {
                let servers = herd.ids().map(Party::Server);
                let fit = servers.filter(|&id| broken.against(fault, id).is_none());
                let fit: Vec<_> = fit.map(|id| (id, span.clone())).collect();
                if fit.is_empty() {
                    self.error(span, "there is no server left that this can happen to");
                }
                fit
            }
        };
        for (id, span) in &named {
            if let Some((earlier, why)) = broken.against(fault, *id) {
                let message = format!("`{}` {why} already", id.name(herd));
                let problem = Problem::error(self.source, span.clone(), message);
                self.report(problem.also(earlier, "since here"));
            }
            broken.begin(fault, *id, span.clone());
        }
        named.into_iter().map(|(id, _)| id).collect()
    }

    fn mends(&mut self, fault: Fault, whom: Whom, herd: &Herd, broken: &mut Broken) -> Vec<Party> {
        let (begin, end) = fault.words();
        let named = match whom {
            Whom::Named(named) => named,
            Whom::Everyone(span) => {
                let all: Vec<_> = broken
                    .servers_with(fault)
                    .map(|id| (id, span.clone()))
                    .collect();
                if all.is_empty() {
                    self.error(span, format!("there is no server to `{end}` then"));
                }
                all
            }
        };
        for (id, span) in &named {
            if !broken.mend(fault, *id) {
                let name = id.name(herd);
                let problem = if let Some(ended) = broken.ended(fault, *id) {
                    let message = format!("`{name}` can't `{end}`: the `{begin}` is over");
                    let problem = Problem::error(self.source, span.clone(), message);
                    let problem = problem.also(ended.clone(), "this ended it");
                    problem.help("leave this step out")
                } else {
                    let message = format!("`{name}` can't `{end}`: there was no `{begin}`");
                    let problem = Problem::error(self.source, span.clone(), message);
                    problem.help(format!("let it `{begin}` first"))
                };
                self.report(problem);
            }
        }
        named.into_iter().map(|(id, _)| id).collect()
    }

    fn heals(
        &mut self,
        ways: Option<Vec<Direction>>,
        span: &Span,
        broken: &mut Broken,
    ) -> Vec<Direction> {
        let healed = broken.healed(ways);
        if healed.is_empty() {
            let problem = Problem::error(self.source, span.clone(), "nothing is cut there then");
            let help = self.cut_then(broken);
            self.report(problem.help(help));
        }
        broken.heal(&healed);
        healed
    }
}

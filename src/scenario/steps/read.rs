//! Steps as a file says them, in order of time.

use std::sync::Arc;
use std::time::Duration;

use super::draft::{Draft, DraftAction};
use super::raw::{NOTE, RawStep, StepFields, owners};
use super::state::{Clients, Moment};
use super::{Action, Step, client, declarations, plain};
use crate::diag::{Problem, Span};
use crate::document::{Located, Section};
use crate::herd::Herd;
use crate::protocol::visible;
use crate::scenario::broken::Broken;
use crate::scenario::event::AllSteps;
use crate::scenario::fields::{Fields as _, RawValue, listed};
use crate::scenario::validate::Context;
use crate::units::{DurationText, format_duration};

impl Context<'_> {
    /// The steps by time; none if anything about them is wrong.
    pub(in crate::scenario) fn steps(
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
            let is_drawn = matches!(
                action,
                Some(DraftAction::Ready(Action::Workload(_) | Action::Random(_)))
            );
            let when = self.when(step, is_drawn);
            if let (Some(action), Some((at, placed))) = (action, time) {
                let span = step.span();
                drafts.push(Draft {
                    at,
                    placed,
                    when,
                    note: note(step),
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
        let all = AllSteps {
            written: &steps,
            plain: &plain(&steps),
        };
        self.check_reactions(raw, all);
        self.check_workload_names(&steps);
        self.check_undisturbed(&steps, &herd);
        self.check_kept(&steps, &herd);
        self.check_speakers(&steps);
        // More steps than can run are not even listed one by one.
        self.check_connections(&steps, &herd)?;
        Some(steps)
    }

    /// The time of each step and where it is written; none if it can't be known.
    fn times(&mut self, steps: &[Section<RawStep>], intact: bool) -> Vec<Option<(Duration, Span)>> {
        let mut previous = intact.then_some(Duration::ZERO);
        let mut times = Vec::new();
        let mut reaction: Option<Span> = None;
        for step in steps {
            let after = step.value::<Located<DurationText>>("after");
            if let (Some(after), Some(reaction)) = (after, &reaction) {
                let message = "nobody knows the time of the step before, which reacts";
                let problem = Problem::error(self.source, after.span(), message);
                let also = problem.also(reaction.clone(), "this step reacts");
                self.report(also.help("give `at`, or `when`"));
            }
            let time = self.time(step, previous);
            previous = time.as_ref().map(|(at, _)| *at);
            reaction = step.reacts().then(|| step.span());
            times.push(time);
        }
        times
    }

    fn time(
        &mut self,
        step: &Section<RawStep>,
        previous: Option<Duration>,
    ) -> Option<(Duration, Span)> {
        match (
            step.value::<Located<DurationText>>("at"),
            step.value::<Located<DurationText>>("after"),
        ) {
            (Some(at), Some(after)) => {
                let message = "a step has either `at` or `after`";
                let problem = Problem::error(self.source, after.span(), message);
                self.report(problem.also(at.span(), "the time is already given here"));
                None
            }
            (Some(at), None) => Some((self.moment(at, "`at`"), at.span())),
            (None, Some(after)) => {
                let delay = self.duration(after, "`after`");
                let at = previous?.saturating_add(delay);
                self.check_not_too_late(at, &after.span());
                Some((at, after.span()))
            }
            (None, None) if step.reacts() => Some((previous?, step.span())),
            (None, None) => {
                if !self.damage.is_at(&step.span()) {
                    self.error(step.span(), "a step needs a time: `at` or `after`");
                }
                None
            }
        }
    }

    /// The one thing that a step does; none if it is wrong in any way.
    fn action(&mut self, step: &Section<RawStep>) -> Option<DraftAction> {
        let mut subjects = step.subjects();
        let first = subjects.next();
        for (name, span) in subjects {
            self.second_action(name, span, first.as_ref());
        }
        let Some((word, _)) = first else {
            self.no_action(step);
            return None;
        };
        // What is missing may be what the other fields belong to.
        if !self.damage.is_at(&step.span()) {
            self.check_fields_fit(step, word);
        }
        match declarations().find(|kind| kind.subject.name == word) {
            Some(kind) => (kind.read)(self, step),
            None => self.fault(step, word, step.value(word)?),
        }
    }

    /// Reports fields that belong to other kinds of steps than this one.
    fn check_fields_fit(&mut self, step: &Section<RawStep>, word: &str) {
        for field in StepFields::fields() {
            let Some(place) = step.get(field.name).and_then(RawValue::place) else {
                continue;
            };
            // Times belong to all steps, and the subjects were looked at before.
            let owners = owners(field.name);
            if !owners.is_empty() && !owners.contains(&word) {
                let owners: Vec<String> = owners.iter().map(|word| format!("`{word}`")).collect();
                let owners = listed(&owners, "and");
                let name = field.name;
                let message = format!("`{name}` goes with {owners}, and this step has `{word}`");
                self.error(place, message);
            }
        }
    }

    fn second_action(&mut self, name: &str, span: Span, first: Option<&(&str, Span)>) {
        let message = format!("a step does one thing, and `{name}` is a second one");
        let mut problem = Problem::error(self.source, span, message);
        if let Some((first, place)) = first {
            problem = problem.also(place.clone(), format!("the first is `{first}`"));
        }
        self.report(problem.help("make two steps of it; they may have the same time"));
    }

    fn no_action(&mut self, step: &Section<RawStep>) {
        if self.damage.is_at(&step.span()) {
            return;
        }
        let mut of_clients = client::DECLARATION.fields.iter();
        let message = match of_clients.find(|field| step.get(field.name).is_some()) {
            Some(field) => format!("a step with `{}` needs a `client` who does it", field.name),
            None => "a step needs something that happens: `client`, `crash`, `partition` and so on"
                .to_owned(),
        };
        self.error(step.span(), message);
    }

    fn check_before_end(&mut self, drafts: &[Draft], end: Option<Duration>) {
        for draft in drafts {
            let last = match &draft.action {
                DraftAction::Ready(Action::Client(talk) | Action::Peer(talk)) => talk.lasts(),
                DraftAction::Ready(Action::Workload(workload)) => workload.lasts,
                DraftAction::Ready(Action::Random(random)) => random.lasts,
                _ => Duration::ZERO,
            };
            let repeats = !last.is_zero();
            let last = draft.at.saturating_add(last);
            if repeats {
                self.check_not_too_late(last, &draft.placed);
            }
            if end.is_some_and(|end| last >= end) {
                let (last, end) = (
                    format_duration(last),
                    format_duration(end.unwrap_or_default()),
                );
                let message = format!("this happens at {last}, but the run ends at {end}");
                self.error(draft.placed.clone(), message);
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
            };
            steps.push(Step {
                at: draft.at,
                when: draft.when,
                note: draft.note,
                span: draft.span,
                action,
            });
        }
        steps
    }
}

/// What the author says of a step, in one line.
fn note(step: &RawStep) -> Option<Arc<str>> {
    let text = step.value::<Located<String>>(NOTE.name)?;
    Some(visible(text).into())
}

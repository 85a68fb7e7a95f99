//! Steps that react: they happen when something else did.

use std::time::Duration;

use super::raw::{RawStep, WAIT, WHEN};
use super::write::InlineTable;
use super::{Action, Step};
use crate::diag::Problem;
use crate::document::{Located, Section, TextOr};
use crate::scenario::EventText;
use crate::scenario::event::{AllSteps, RawEvent};
use crate::scenario::validate::Context;
use crate::units::{DurationText, format_duration};

/// What a step reacts to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct When {
    /// The event. The first from the step's time on is meant.
    pub event: EventText,
    /// How long after it the step happens.
    pub wait: Duration,
}

impl When {
    /// When a step happens that reacts to what was at this moment: at the first tick after it, so that it cannot undo what it
    /// reacts to.
    pub(crate) fn after(&self, event: Duration, tick: Duration) -> Duration {
        let ticks = (event + self.wait).as_nanos() / tick.as_nanos();
        let ticks = u32::try_from(ticks + 1).unwrap_or(u32::MAX);
        tick.saturating_mul(ticks)
    }

    /// The same, this much later.
    pub(super) fn later(&self, by: Duration) -> Self {
        Self {
            wait: self.wait + by,
            ..self.clone()
        }
    }

    pub(super) fn write(&self, table: &mut InlineTable<'_>) {
        table.field(WHEN.name, self.event.written());
        if !self.wait.is_zero() {
            table.text(WAIT.name, &format_duration(self.wait));
        }
    }
}

impl RawStep {
    fn event(&self) -> Option<&Located<TextOr<RawEvent>>> {
        self.value(WHEN.name)
    }

    /// Whether it waits for something to happen.
    pub(super) fn reacts(&self) -> bool {
        self.get(WHEN.name).is_some()
    }
}

impl Context<'_> {
    /// What a step reacts to, if it does. What it cannot react to is told when all steps are known.
    pub(super) fn when(&mut self, step: &Section<RawStep>, is_drawn: bool) -> Option<When> {
        let wait = step.value::<Located<DurationText>>(WAIT.name);
        if !step.reacts() {
            if let Some(wait) = wait {
                self.error(
                    wait.span(),
                    "`wait` needs `when`: the event after which it counts",
                );
            }
            return None;
        }
        if is_drawn {
            let message =
                "what is drawn has its times before the run, so it cannot wait for `when`";
            self.error(step.event()?.span(), message);
        }
        let wait = wait.map(|wait| self.duration(wait, "`wait`"));
        let event = self.event(step.event()?, None)?;
        Some(When {
            event,
            wait: wait.unwrap_or_default(),
        })
    }

    /// Tells which steps wait for what no event can be, and that nobody knows what to draw beside them.
    pub(super) fn check_reactions(&mut self, raw: &[Section<RawStep>], all: AllSteps<'_>) {
        let reacting = raw.iter().filter_map(|step| step.event());
        let is_random = |step: &&Step| matches!(step.action, Action::Random(_));
        let random = all.written.iter().find(is_random);
        for event in reacting {
            self.check_event(event, all);
            if let Some(random) = random {
                let message = "faults at random are drawn before the run, when nobody knows what reacts to what";
                let problem = Problem::error(self.source, random.span.clone(), message);
                self.report(problem.also(event.span(), "this step reacts"));
            }
        }
    }
}

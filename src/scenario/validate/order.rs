//! The order of a run that goes on by hand.

use super::Context;
use crate::diag::{Problem, Span, did_you_mean};
use crate::document::{Located, OneOrMany};
use crate::herd::{Herd, ServerId};
use crate::scenario::order::STEP;
use crate::scenario::{Choice, Order, Step};
use crate::units::DurationText;

impl Context<'_> {
    /// The order that `deliver` gives, if it gives one.
    pub(super) fn order(
        &mut self,
        raw: Option<&OneOrMany>,
        end: Option<&Located<DurationText>>,
        steps: Option<&[Step]>,
    ) -> Option<Order> {
        let raw = raw?;
        let herd = self.herd.clone()?;
        if let Some(end) = end {
            let message = "a run with `deliver` ends when everything has happened";
            let problem = Problem::error(self.source, end.span(), message);
            self.report(
                problem
                    .also(raw.span(), "`deliver` is here")
                    .help("leave `end` out"),
            );
        }
        for step in steps.unwrap_or_default() {
            if let Some(what) = step.needs_time() {
                let message = format!("`deliver` takes the place of time, and this is {what}");
                let problem = Problem::error(self.source, step.span.clone(), message);
                self.report(problem.also(raw.span(), "`deliver` is here"));
            }
        }
        let choices = raw.items().iter().map(|text| self.choice(text, &herd));
        let choices: Vec<Option<Choice>> = choices.collect();
        self.check_steps_there(raw, steps);
        Some(Order {
            span: raw.span(),
            choices: choices.into_iter().collect::<Option<_>>()?,
        })
    }

    fn choice(&mut self, text: &Located<String>, herd: &Herd) -> Option<Choice> {
        if text.as_str() == STEP {
            return Some(Choice::Step);
        }
        let Some((from, to)) = text.split_once('>') else {
            let message = format!("`{}` is nothing that can happen next", **text);
            let help = "a delivery is written \"Riley>Jaquez\", and the next step is \"step\"";
            self.report(Problem::error(self.source, text.span(), message).help(help));
            return None;
        };
        let at = from.len() + 1;
        let halves = [(from, 0..from.len()), (to, at..at + to.len())];
        let [from, to] = halves.map(|(name, part)| {
            let place = text.part(self.source, part);
            self.end_of_delivery(name.trim(), place, herd)
        });
        let (from, to) = (from?, to?);
        if herd.link_between(from, to).is_none() {
            let problem = self.no_link(herd, (from, to), text.span());
            self.report(problem);
            return None;
        }
        Some(Choice::Delivery(from, to))
    }

    fn end_of_delivery(&mut self, name: &str, place: Span, herd: &Herd) -> Option<ServerId> {
        let found = herd.id(name);
        if found.is_none() {
            let message = format!("unknown server `{name}`");
            let help = did_you_mean(name, "servers", herd.server_names());
            self.report(Problem::error(self.source, place, message).help(help));
        }
        found
    }

    /// There must be a step for each `"step"`.
    fn check_steps_there(&mut self, raw: &OneOrMany, steps: Option<&[Step]>) {
        let Some(steps) = steps else {
            return;
        };
        let mut listed = raw.items().iter().filter(|text| text.as_str() == STEP);
        if let Some(text) = listed.nth(steps.len()) {
            let message = match steps.len() {
                1 => "there is one step only".to_owned(),
                many => format!("there are {many} steps only"),
            };
            self.error(text.span(), message);
        }
    }
}

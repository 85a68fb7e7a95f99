//! Who chooses what happens next in a run that goes on by hand.

use std::collections::BTreeSet;

use crate::herd::{Herd, ServerId};
use crate::scenario::{Choice, Order};

/// Chooses what happens next in a run that goes on by hand.
pub trait Chooser {
    /// One of `options`, by its position; none to give up the run. There is at least one, and they
    /// are in the order in which they came up, a step last.
    fn choose(&mut self, options: &[Choice]) -> Option<usize>;

    /// The servers that did anything because of the last choice, or that it was about.
    fn touched(&mut self, servers: &BTreeSet<ServerId>) {
        let _ = servers;
    }
}

/// Follows a scenario's own order, and then the order in which everything came up.
pub(super) struct Listed<'a> {
    order: &'a Order,
    herd: &'a Herd,
    followed: usize,
    /// What there was instead, when the order could not be followed.
    missed: Option<String>,
}

impl<'a> Listed<'a> {
    pub(super) fn new(order: &'a Order, herd: &'a Herd) -> Self {
        Self {
            order,
            herd,
            followed: 0,
            missed: None,
        }
    }

    /// How far the order was followed, and what came in its way.
    pub(super) fn followed(&self) -> OrderOutcome {
        let next = self.order.choices.get(self.followed);
        let missed = next.map(|choice| {
            let instead = self
                .missed
                .as_deref()
                .unwrap_or("nothing is left to happen");
            let at = self.followed + 1;
            format!(
                "number {at}, {}, can't happen then: {instead}",
                choice.text(self.herd)
            )
        });
        OrderOutcome {
            place: self.order.span.start,
            all: self.order.choices.len(),
            done: self.followed,
            missed,
        }
    }
}

impl Chooser for Listed<'_> {
    fn choose(&mut self, options: &[Choice]) -> Option<usize> {
        let wanted = self.order.choices.get(self.followed);
        if let Some(wanted) = wanted
            && self.missed.is_none()
        {
            if let Some(at) = options.iter().position(|option| option == wanted) {
                self.followed += 1;
                return Some(at);
            }
            let options: Vec<_> = options
                .iter()
                .map(|option| option.text(self.herd))
                .collect();
            self.missed = Some(format!("what can is {}", options.join(", ")));
        }
        Some(0)
    }
}

/// The outcome of a scenario's order.
pub(super) struct OrderOutcome {
    /// Where the scenario's file says so, as a byte.
    pub(super) place: usize,
    pub(super) all: usize,
    pub(super) done: usize,
    /// Why it was not followed to its end.
    pub(super) missed: Option<String>,
}

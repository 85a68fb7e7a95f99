//! Choosers decide what happens next in a run by hand.

use std::collections::BTreeSet;

use crate::herd::{Herd, ServerId};
use crate::scenario::{Choice, Order};

/// Chooses what happens next in a run by hand, in which choices replace time.
pub trait Chooser {
    /// Returns the index of one of `options`, or `None` to give up the run. There is at least one
    /// option. Options are in the order in which they became possible, with a step last.
    fn choose(&mut self, options: &[Choice]) -> Option<usize>;

    /// Receives the footprint of the last choice: the servers that it concerned, and those that did
    /// anything after it.
    fn touched(&mut self, servers: &BTreeSet<ServerId>) {
        let _ = servers;
    }
}

/// Follows a scenario's `deliver`, and after it takes what became possible first.
pub(super) struct Listed<'a> {
    order: &'a Order,
    herd: &'a Herd,
    followed: usize,
    /// The options at the point where the order could not be followed.
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

    /// How far the order was followed, and why not further.
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

/// How far a scenario's `deliver` was followed.
#[derive(PartialEq)]
pub(super) struct OrderOutcome {
    /// The place of `deliver` in the scenario's file, as a byte offset.
    pub(super) place: usize,
    pub(super) all: usize,
    pub(super) done: usize,
    /// Why the order was not followed to its end; `None` if it was.
    pub(super) missed: Option<String>,
}

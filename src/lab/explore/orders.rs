//! The orders of an exploration and their outcomes, for showing all of them.

use std::collections::BTreeMap;

use super::outcome::Outcome;
use crate::herd::Herd;
use crate::scenario::Choice;

/// Orders and their outcomes. If there are more orders than the maximum, only the outcomes are
/// kept.
#[derive(Clone, Debug)]
pub struct Orders {
    /// All choices in words, in the sequence in which each was first made.
    pub words: Vec<String>,
    /// The orders, in the sequence of runs. Empty if there were too many.
    pub all: Vec<KeptOrder>,
    /// The outcomes, in the sequence in which each was first seen.
    pub came: Vec<OrderGroup>,
    /// The number of orders whose outcome is beyond the maximum, and so is not kept.
    pub unkept: usize,
    /// The maximum number of orders, and of outcomes.
    most: usize,
    known: BTreeMap<Choice, usize>,
    places: BTreeMap<u128, usize>,
    too_many: bool,
}

/// One order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptOrder {
    /// The choices, as indices into [`Orders::words`].
    pub choices: Vec<usize>,
    /// The outcome, as an index into [`Orders::came`].
    pub came: usize,
    /// Whether the order failed.
    pub broken: bool,
}

/// The outcome of one order or of several: what each server received from which neighbour, in
/// which order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderGroup {
    /// Each update's name, and its hops to each server in the herd's order (`None` for a server
    /// that it did not reach).
    pub hops: Vec<(String, Vec<Option<u32>>)>,
    /// The number of orders with this outcome.
    pub orders: usize,
    /// The number of these orders that failed.
    pub broken: usize,
    /// The choices of the first of these orders, as indices into [`Orders::words`].
    pub first: Vec<usize>,
}

impl Orders {
    pub(super) const fn new(most: usize) -> Self {
        Self {
            words: Vec::new(),
            all: Vec::new(),
            came: Vec::new(),
            unkept: 0,
            most,
            known: BTreeMap::new(),
            places: BTreeMap::new(),
            too_many: false,
        }
    }

    /// Whether all orders that were run are kept.
    pub const fn are_all_kept(&self) -> bool {
        !self.too_many
    }

    /// Adds an order. `history` is the hash of its outcome's histories, and identifies the outcome.
    pub(super) fn add(&mut self, herd: &Herd, order: &[Choice], history: u128, outcome: &Outcome) {
        if self.all.len() == self.most {
            self.too_many = true;
            self.all = Vec::new();
        }
        let broken = outcome.broken.is_some();
        let place = self.places.get(&history).copied();
        let came = match place {
            Some(came) => came,
            None if self.came.len() == self.most => {
                self.unkept += 1;
                return;
            }
            None => {
                let first = self.choices(herd, order);
                self.places.insert(history, self.came.len());
                self.came.push(OrderGroup {
                    hops: hops(herd, outcome),
                    orders: 0,
                    broken: 0,
                    first,
                });
                self.came.len() - 1
            }
        };
        self.came[came].orders += 1;
        self.came[came].broken += usize::from(broken);
        if !self.too_many {
            let choices = self.choices(herd, order);
            self.all.push(KeptOrder {
                choices,
                came,
                broken,
            });
        }
    }

    fn choices(&mut self, herd: &Herd, order: &[Choice]) -> Vec<usize> {
        let places = order.iter().map(|choice| {
            *self.known.entry(*choice).or_insert_with(|| {
                self.words.push(choice.text(herd));
                self.words.len() - 1
            })
        });
        places.collect()
    }
}

fn hops(herd: &Herd, outcome: &Outcome) -> Vec<(String, Vec<Option<u32>>)> {
    let updates = outcome.updates.iter().map(|update| {
        let servers = herd.server_names();
        let hops = servers.map(|server| update.hops.get(server).copied());
        (update.name.clone(), hops.collect())
    });
    updates.collect()
}

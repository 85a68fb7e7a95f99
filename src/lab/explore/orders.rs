//! Every order and its outcome, kept for whoever wants to see them all.

use std::collections::BTreeMap;

use super::outcome::Outcome;
use crate::herd::Herd;
use crate::scenario::Choice;

/// Orders, and their outcomes. The orders themselves are dropped where there are more than were to be kept.
#[derive(Clone, Debug)]
pub struct Orders {
    /// What can be chosen, in words, in the order in which it first was.
    pub words: Vec<String>,
    /// The orders in which they were run; nothing if there were too many.
    pub all: Vec<KeptOrder>,
    /// Their outcomes, in the order in which each was first seen.
    pub came: Vec<OrderGroup>,
    /// The number of orders whose outcome is not kept, since it would be too much.
    pub unkept: usize,
    /// How many are kept at most.
    most: usize,
    known: BTreeMap<Choice, usize>,
    places: BTreeMap<u128, usize>,
    too_many: bool,
}

/// One order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptOrder {
    /// What was chosen, by its place among the words.
    pub choices: Vec<usize>,
    /// Its outcome, as an index into the outcomes.
    pub came: usize,
    /// Whether something failed in it.
    pub broken: bool,
}

/// The outcome of one order or of several: what each server received from which neighbour, in which order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderGroup {
    /// Each update's name, and after how many hops it reached each server, if it did, in the order of the herd.
    pub hops: Vec<(String, Vec<Option<u32>>)>,
    /// The number of orders with this outcome.
    pub orders: usize,
    /// The number of them in which something failed.
    pub broken: usize,
    /// The first of them.
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

    /// Whether every order that was run is here.
    pub const fn are_all_kept(&self) -> bool {
        !self.too_many
    }

    /// `history` stands for all that the servers of this order could tell.
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

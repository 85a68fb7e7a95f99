//! Runs a scenario against the real server in every order in which a network could deliver its
//! messages.
//!
//! `prepare` removes time from a scenario. `search` walks a tree of choices and knows nothing of
//! herds. The simulator runs the scenario by hand
//! ([`Simulator::run_by_hand`](crate::sim::Simulator::run_by_hand)): it asks the walk at each point
//! what happens next. `outcome` describes the outcome of one order, and [`Exploration`] that of all
//! orders.

mod options;
mod orders;
mod outcome;
mod prepare;
mod report;
mod search;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::ControlFlow;

use serde::Serialize;
use siphasher::sip128::SipHasher13;

use crate::diag::Problems;
use crate::herd::ServerId;
use crate::scenario::{Choice, Order, Scenario};
use crate::sim::{self, SimError, Simulator};
use crate::trace::Judgement;
use crate::trace::fingerprint::Fingerprint;

use outcome::Outcome;
use search::{Bounds, OneWalk, SearchError, System, Walk};

pub use options::Options;
pub use orders::{KeptOrder, OrderGroup, Orders};
pub use report::{text, verdict};
pub use search::Counts;

/// The maximum number of fingerprints of which one failing order is kept; other failing orders are
/// only counted.
const MOST_KINDS: usize = 20;

/// Why a scenario could not be explored.
#[derive(Debug, thiserror::Error)]
pub enum ExploreError {
    /// The scenario has steps that need time, each reported at its place in the file.
    #[error("{0}")]
    Unfit(Problems),
    /// The simulator failed.
    #[error("{0}")]
    Run(#[from] SimError),
    /// Two runs with equal choices differed, so runs cannot be replayed.
    #[error("two runs in which the same was chosen differed")]
    Unstable,
}

/// The outcome of all orders that were run.
#[derive(Clone, Debug, Serialize)]
pub struct Exploration {
    /// The scenario's name.
    pub scenario: String,
    /// The scenario's title.
    pub title: String,
    /// The herd's name.
    pub herd: String,
    /// The server to which the first client sent, if the options replaced the scenario's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// Whether only one of several equivalent orders was run (see [`Options::reduce`]).
    pub reduced: bool,
    /// The number of orders that were run, cut short or left out.
    pub counts: Counts,
    /// Whether the search neither left out an order nor ended early.
    pub complete: bool,
    /// The number of different outcomes. An outcome is what each server received, from which
    /// neighbour and in which order.
    pub outcomes: usize,
    /// The number of choices in an order.
    pub choices: Range,
    /// The spread of each update over all orders.
    pub updates: Vec<UpdateRange>,
    /// The results of the expectations that were evaluated in every order.
    pub judged: Vec<ExpectationTally>,
    /// The words of expectations that were not evaluated, since they depend on the order.
    pub not_judged: Vec<&'static str>,
    /// One failing order for each fingerprint.
    pub broken: Vec<BrokenOrder>,
    /// The orders themselves, if [`Options::keep`] asks for them.
    #[serde(skip)]
    pub orders: Option<Orders>,
}

impl Exploration {
    /// Whether any order failed.
    pub fn is_broken(&self) -> bool {
        !self.broken.is_empty()
    }
}

/// The lowest and the highest of some numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Range {
    /// The lowest number.
    pub least: usize,
    /// The highest number.
    pub most: usize,
}

impl Range {
    fn add(range: &mut Option<Self>, value: usize) {
        let range = range.get_or_insert(Self {
            least: value,
            most: value,
        });
        range.least = range.least.min(value);
        range.most = range.most.max(value);
    }
}

/// The spread of an update over all orders.
#[derive(Clone, Debug, Serialize)]
pub struct UpdateRange {
    /// The update's name.
    pub name: String,
    /// The hops to each server, in the order of the herd.
    pub servers: Vec<ServerHops>,
    /// The number of messages that carried the update.
    pub sends: Range,
    /// The number of these messages that were new to their receiver.
    pub useful: Range,
}

/// The hops after which an update first reached a server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ServerHops {
    /// The server.
    pub server: String,
    /// Every number of hops that occurred in some order.
    pub hops: BTreeSet<u32>,
    /// The number of orders in which the update did not reach the server.
    pub missed: usize,
}

/// An expectation, and how often it passed and failed.
#[derive(Clone, Debug, Serialize)]
pub struct ExpectationTally {
    /// The expectation in words.
    pub about: String,
    /// The number of orders in which it passed.
    pub held: usize,
    /// The number of orders in which it failed.
    pub broken: usize,
}

/// An order that failed.
#[derive(Clone, Debug, Serialize)]
pub struct BrokenOrder {
    /// The shortest beginning of the order that still fails in the same way, in the words of a
    /// scenario's `deliver`. After it, every choice is what became possible first.
    pub order: Vec<String>,
    /// How the order failed.
    pub kind: Fingerprint,
    /// The number of the first order that failed in this way, from 1, in the sequence of runs.
    pub first: usize,
    /// The judgements that failed.
    pub judgements: Vec<Judgement>,
    /// The number of orders that failed in this way.
    pub orders: usize,
    /// The scenario with this order as its `deliver`.
    #[serde(skip)]
    pub scenario: Scenario,
}

/// Runs a scenario in every order within the options.
///
/// # Errors
///
/// If the scenario has steps that need time, or if the simulator fails. An order that fails is no
/// error: it is part of the [`Exploration`].
pub fn explore(scenario: &Scenario, options: &Options) -> Result<Exploration, ExploreError> {
    explore_watched(scenario, options, |_| ControlFlow::Continue(()))
}

/// As [`explore`], with a callback that receives the progress after every batch of runs. It can end
/// the search; the result then covers the runs until then.
///
/// # Errors
///
/// As [`explore`].
pub fn explore_watched(
    scenario: &Scenario,
    options: &Options,
    watch: impl FnMut(&Counts) -> ControlFlow<()>,
) -> Result<Exploration, ExploreError> {
    let varied = (options.any_time, options.held);
    let prepared = prepare::prepare(scenario, varied, options.origin);
    let prepared = prepared.map_err(ExploreError::Unfit)?;
    let bounds = Bounds {
        reduce: options.reduce,
        depth: options.depth,
        deviations: options.preemptions,
        budget: options.budget,
    };
    let mut tally = Tally::new(&prepared.scenario, options.keep);
    let herd = HerdByHand {
        scenario: &prepared.scenario,
        simulator: &options.simulator,
    };
    let seen = |order: &[Choice], outcome| tally.add(order, outcome);
    let counts = search::search(&herd, bounds, options.threads, seen, watch);
    let counts = counts.map_err(|error| match error {
        SearchError::Run(error) => ExploreError::Run(error),
        SearchError::Unstable => ExploreError::Unstable,
    })?;
    let mut exploration = tally.finish(counts, prepared.left_out);
    for broken in &mut exploration.broken {
        shorten(broken, &options.simulator)?;
    }
    exploration.reduced = options.reduce;
    exploration.origin = options
        .origin
        .map(|id| scenario.herd.server(id).name.to_string());
    Ok(exploration)
}

/// Shortens an order to the shortest beginning that still fails in the same way if every later
/// choice is what became possible first. If the run is interrupted, the order stays whole.
fn shorten(broken: &mut BrokenOrder, simulator: &Simulator) -> Result<(), SimError> {
    let Some(whole) = broken.scenario.deliver.take() else {
        return Ok(());
    };
    let mut kept = whole.choices.len();
    for length in 0..kept {
        let beginning = Beginning(whole.choices[..length].iter().copied().collect());
        let trace = match simulator.run_by_hand(&broken.scenario, beginning) {
            Ok((_, trace)) => trace,
            Err(SimError::Interrupted) => break,
            Err(error) => return Err(error),
        };
        if trace.and_then(|trace| Fingerprint::of(&trace)).as_ref() == Some(&broken.kind) {
            kept = length;
            break;
        }
    }
    let mut choices = whole.choices;
    choices.truncate(kept);
    let herd = &broken.scenario.herd;
    broken.order = choices.iter().map(|choice| choice.text(herd)).collect();
    broken.scenario.deliver = Some(Order { choices, ..whole });
    Ok(())
}

/// Makes the listed choices, and after them always the first option.
struct Beginning(VecDeque<Choice>);

impl sim::Chooser for Beginning {
    fn choose(&mut self, options: &[Choice]) -> Option<usize> {
        let Some(next) = self.0.pop_front() else {
            return Some(0);
        };
        options.iter().position(|option| *option == next)
    }
}

/// A scenario that is run by hand, and the simulator that runs it.
struct HerdByHand<'a> {
    scenario: &'a Scenario,
    simulator: &'a Simulator,
}

impl System for HerdByHand<'_> {
    type Choice = Choice;
    type Outcome = Outcome;
    type Error = SimError;

    fn run(&self, walk: Walk<Choice>) -> Result<OneWalk<Self>, SimError> {
        let (Hand(walk), trace) = self.simulator.run_by_hand(self.scenario, Hand(walk))?;
        Ok((walk, trace.map(Outcome::of)))
    }

    fn is_interrupted(error: &SimError) -> bool {
        matches!(error, SimError::Interrupted)
    }
}

/// Lets a walk make the simulator's choices.
struct Hand(Walk<Choice>);

impl sim::Chooser for Hand {
    fn choose(&mut self, options: &[Choice]) -> Option<usize> {
        self.0.choose(options)
    }

    fn touched(&mut self, servers: &BTreeSet<ServerId>) {
        self.0
            .touched(servers.iter().map(|id| id.index()).collect());
    }
}

/// The outcome of all orders so far.
struct Tally<'a> {
    scenario: &'a Scenario,
    orders: usize,
    /// Hashes of the histories, since the texts of all orders would not fit into memory.
    outcomes: BTreeSet<u128>,
    choices: Option<Range>,
    updates: Vec<UpdateTally>,
    judged: Vec<ExpectationTally>,
    broken: BTreeMap<Fingerprint, usize>,
    kept: Vec<BrokenOrder>,
    all: Option<Orders>,
}

struct UpdateTally {
    name: String,
    servers: Vec<ServerHops>,
    sends: Option<Range>,
    useful: Option<Range>,
}

impl<'a> Tally<'a> {
    fn new(scenario: &'a Scenario, keep: usize) -> Self {
        Self {
            scenario,
            orders: 0,
            outcomes: BTreeSet::new(),
            choices: None,
            updates: Vec::new(),
            judged: Vec::new(),
            broken: BTreeMap::new(),
            kept: Vec::new(),
            all: (keep > 0).then(|| Orders::new(keep)),
        }
    }

    fn add(&mut self, order: &[Choice], outcome: Outcome) {
        self.orders += 1;
        Range::add(&mut self.choices, order.len());
        for (at, update) in outcome.updates.iter().enumerate() {
            self.add_update(at, update);
        }
        for judgement in &outcome.judgements {
            let known = self
                .judged
                .iter_mut()
                .find(|known| known.about == judgement.about);
            let judged = if let Some(known) = known {
                known
            } else {
                self.judged.push(ExpectationTally {
                    about: judgement.about.clone(),
                    held: 0,
                    broken: 0,
                });
                let last = self.judged.len() - 1;
                &mut self.judged[last]
            };
            *(if judgement.passed {
                &mut judged.held
            } else {
                &mut judged.broken
            }) += 1;
        }
        let hash = SipHasher13::new().hash(outcome.histories.as_bytes());
        self.outcomes.insert(hash.as_u128());
        if let Some(all) = &mut self.all {
            all.add(&self.scenario.herd, order, hash.as_u128(), &outcome);
        }
        if let Some(broken) = outcome.broken {
            self.keep(order, broken, outcome.judgements);
        }
    }

    fn add_update(&mut self, at: usize, update: &outcome::Update) {
        if self.updates.len() <= at {
            let servers = self.scenario.herd.server_names().map(|name| ServerHops {
                server: name.to_owned(),
                ..ServerHops::default()
            });
            self.updates.push(UpdateTally {
                name: update.name.clone(),
                servers: servers.collect(),
                sends: None,
                useful: None,
            });
        }
        let tally = &mut self.updates[at];
        for server in &mut tally.servers {
            match update.hops.get(&server.server) {
                Some(hops) => {
                    server.hops.insert(*hops);
                }
                None => server.missed += 1,
            }
        }
        Range::add(&mut tally.sends, update.sends);
        Range::add(&mut tally.useful, update.useful);
    }

    fn keep(&mut self, order: &[Choice], broken: Fingerprint, judgements: Vec<Judgement>) {
        let count = self.broken.entry(broken.clone()).or_default();
        *count += 1;
        if *count > 1 || self.kept.len() == MOST_KINDS {
            return;
        }
        let found = BrokenOrder {
            kind: broken,
            first: self.orders,
            order: Vec::new(),
            judgements: judgements
                .into_iter()
                .filter(|judgement| !judgement.passed)
                .collect(),
            orders: 0,
            scenario: Scenario {
                title: format!("{}, in an order that breaks it", self.scenario.title),
                deliver: Some(Order {
                    span: 0..0,
                    choices: order.to_vec(),
                }),
                ..self.scenario.clone()
            },
        };
        self.kept.push(found);
    }

    fn finish(self, counts: Counts, not_judged: Vec<&'static str>) -> Exploration {
        let none = Range { least: 0, most: 0 };
        let updates = self.updates.into_iter().map(|update| UpdateRange {
            name: update.name,
            servers: update.servers,
            sends: update.sends.unwrap_or(none),
            useful: update.useful.unwrap_or(none),
        });
        let broken = self.kept.into_iter().map(|order| BrokenOrder {
            orders: self.broken.get(&order.kind).copied().unwrap_or_default(),
            ..order
        });
        Exploration {
            scenario: self.scenario.name.clone(),
            title: self.scenario.title.clone(),
            herd: self.scenario.herd.name().to_string(),
            origin: None,
            reduced: false,
            complete: counts.left_out == 0 && counts.open == 0,
            counts,
            outcomes: self.outcomes.len(),
            choices: self.choices.unwrap_or(none),
            updates: updates.collect(),
            judged: self.judged,
            not_judged,
            broken: broken.collect(),
            orders: self.all,
        }
    }
}

#[cfg(test)]
mod tests;

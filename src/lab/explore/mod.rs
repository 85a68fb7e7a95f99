//! Every order in which a network could deliver the messages of a scenario, run against the real server.
//!
//! `search` walks a tree of choices and knows nothing of herds; `prepare` takes time out of a scenario; the
//! simulator runs it by hand ([`Simulator::run_by_hand`](crate::sim::Simulator::run_by_hand)), asking at each point what comes next; `outcome` is
//! the outcome of one order, and [`Exploration`] that of all orders.

mod orders;
mod outcome;
mod prepare;
mod report;
mod search;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::num::NonZeroUsize;
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

pub use orders::{KeptOrder, OrderGroup, Orders};
pub use report::{text, verdict};
pub use search::Counts;

/// The number of kinds of failing orders of which one is kept each; the others are counted.
const MOST_KINDS: usize = 20;

/// What to explore, and how far.
#[derive(Clone, Debug)]
pub struct Options {
    /// Of orders that differ only in turns of what commutes, one is run.
    pub reduce: bool,
    /// The number of choices, from the beginning, that are varied.
    pub depth: Option<usize>,
    /// The maximum number of choices that differ from the order in which everything came up.
    pub preemptions: Option<usize>,
    /// The maximum number of runs, those that are cut short among them.
    pub budget: usize,
    /// The number of threads that share the runs. What is found does not depend on it.
    pub threads: NonZeroUsize,
    /// Every step can be done at any moment after the one before, not only those of the same time.
    pub any_time: bool,
    /// Where the first client goes, in place of where the scenario sends it.
    pub origin: Option<ServerId>,
    /// The maximum number of orders that are kept, each with its outcome; 0 keeps none.
    pub keep: usize,
    /// How long one run may take in wall time.
    pub simulator: Simulator,
}

impl Default for Options {
    /// Every order, up to 50,000, on one thread.
    fn default() -> Self {
        Self {
            reduce: false,
            depth: None,
            preemptions: None,
            budget: 50_000,
            threads: NonZeroUsize::MIN,
            any_time: false,
            origin: None,
            keep: 0,
            simulator: Simulator::default(),
        }
    }
}

/// Why nothing could be explored.
#[derive(Debug, thiserror::Error)]
pub enum ExploreError {
    /// The scenario has what can't be explored, each in its place.
    #[error("{0}")]
    Unfit(Problems),
    /// A run failed inside.
    #[error("{0}")]
    Run(#[from] SimError),
    /// The same choices did not lead to the same.
    #[error("two runs in which the same was chosen differed")]
    Unstable,
}

/// The outcome of all orders that were run.
#[derive(Clone, Debug, Serialize)]
pub struct Exploration {
    /// The scenario's name.
    pub scenario: String,
    /// Its title.
    pub title: String,
    /// The herd's name.
    pub herd: String,
    /// Where the first client went, if not where the scenario sends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// Whether of orders that differ only in turns of what commutes one was run.
    pub reduced: bool,
    /// How many orders there were.
    pub counts: Counts,
    /// Whether nothing was left out.
    pub complete: bool,
    /// How many different outcomes they had: what each server received from which neighbour, in which order.
    pub outcomes: usize,
    /// How few and how many choices an order had.
    pub choices: Range,
    /// How each update fared.
    pub updates: Vec<UpdateRange>,
    /// The results of the expectations that were evaluated in every order.
    pub judged: Vec<ExpectationTally>,
    /// What the scenario expects that was not evaluated, since it depends on the order.
    pub not_judged: Vec<&'static str>,
    /// Orders in which something failed: one of each kind.
    pub broken: Vec<BrokenOrder>,
    /// The orders themselves, if they were to be kept.
    #[serde(skip)]
    pub orders: Option<Orders>,
}

impl Exploration {
    /// Whether something failed in any order.
    pub fn is_broken(&self) -> bool {
        !self.broken.is_empty()
    }
}

/// The least and the most of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Range {
    /// The least.
    pub least: usize,
    /// The most.
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

/// How an update fared in all orders together.
#[derive(Clone, Debug, Serialize)]
pub struct UpdateRange {
    /// How it is called.
    pub name: String,
    /// Over how many hops it reached each server, in the order of the herd.
    pub servers: Vec<ServerHops>,
    /// How many messages carried it.
    pub sends: Range,
    /// The number of them that were new to their receiver.
    pub useful: Range,
}

/// After how many hops an update can first come to a server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ServerHops {
    /// The server.
    pub server: String,
    /// Each number of hops that was seen.
    pub hops: BTreeSet<u32>,
    /// In how many orders it never came there.
    pub missed: usize,
}

/// Something that was judged in every order.
#[derive(Clone, Debug, Serialize)]
pub struct ExpectationTally {
    /// What.
    pub about: String,
    /// The number of orders in which it passed.
    pub held: usize,
    /// The number of orders in which it failed.
    pub broken: usize,
}

/// An order in which something failed.
#[derive(Clone, Debug, Serialize)]
pub struct BrokenOrder {
    /// What happened, one after the other, as a scenario's `deliver` has it: as much of it as it takes to break the same.
    /// Everything else happened in the order in which it came up.
    pub order: Vec<String>,
    /// In which way it failed.
    pub kind: Fingerprint,
    /// Which of all orders was the first such one, from 1 in the order in which they were run.
    pub first: usize,
    /// What failed.
    pub judgements: Vec<Judgement>,
    /// The number of orders that failed in this way.
    pub orders: usize,
    /// The scenario that has this order.
    #[serde(skip)]
    pub scenario: Scenario,
}

/// Runs a scenario in every order within the options.
///
/// # Errors
///
/// When the scenario has steps that mean nothing without time, or when something inside fails. What fails in some
/// order is in the [`Exploration`].
pub fn explore(scenario: &Scenario, options: &Options) -> Result<Exploration, ExploreError> {
    explore_watched(scenario, options, |_| ControlFlow::Continue(()))
}

/// As [`explore`], with a callback that gets the progress now and then, and that can end the search: the result is
/// then what was found until then.
///
/// # Errors
///
/// As [`explore`].
pub fn explore_watched(
    scenario: &Scenario,
    options: &Options,
    watch: impl FnMut(&Counts) -> ControlFlow<()>,
) -> Result<Exploration, ExploreError> {
    let prepared = prepare::prepare(scenario, options.any_time, options.origin)
        .map_err(ExploreError::Unfit)?;
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

/// Keeps as little of an order as is needed to fail in the same way: what is left out happens as it comes up. An
/// order stays as it was found when the search for shorter ones was cancelled.
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

/// Chooses what is listed, and then what came up first.
struct Beginning(VecDeque<Choice>);

impl sim::Chooser for Beginning {
    fn choose(&mut self, options: &[Choice]) -> Option<usize> {
        let Some(next) = self.0.pop_front() else {
            return Some(0);
        };
        options.iter().position(|option| *option == next)
    }
}

/// A scenario that goes on by hand, and how long it may.
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

/// The simulator's choices, made by a walk.
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
    /// Their histories' hashes: the texts of that many orders would be too much to keep.
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

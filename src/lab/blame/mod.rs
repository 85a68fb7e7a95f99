//! When a failure became inevitable: the choices of a failing run are kept up to a moment and drawn anew after it, many
//! times, for many moments. The share of these futures that fail in the same way rises where the failure was decided.
//!
//! `search` chooses the moments and knows nothing of herds; `report` puts the curve into words.

mod report;
mod search;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::time::Duration;

use serde::Serialize;

use crate::parallel::in_order;
use crate::report::{Detail, StoryFilter, show};
use crate::scenario::{Action, Recipe, Scenario};
use crate::seed::derive;
use crate::sim::{SimError, Simulator, WorldKind};
use crate::sweep;
use crate::trace::Trace;
use crate::trace::fingerprint::Fingerprint;

pub use report::text;
use search::curve;

/// The settings of a search.
#[derive(Clone, Debug)]
pub struct Options {
    /// The number of futures of each moment.
    pub futures: usize,
    /// The maximum number of moments.
    pub moments: usize,
    /// The number of threads, which the result does not depend on.
    pub threads: usize,
    /// Whether the run has a mixture of faults of its own: see [`Scenario::swarmed`].
    pub swarm: bool,
    /// What runs the scenarios.
    pub simulator: Simulator,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            futures: 100,
            moments: 60,
            threads: 1,
            swarm: false,
            simulator: Simulator::default(),
        }
    }
}

/// When the failure of a run became inevitable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Blame {
    /// The scenario's name.
    pub scenario: String,
    /// The scenario's file.
    pub file: String,
    /// The seed of the run, or several in a row.
    pub seed: Recipe,
    /// Whether the run has a mixture of faults of its own.
    pub swarm: bool,
    /// The world of all runs.
    pub world: WorldKind,
    /// How the run fails.
    pub fingerprint: Fingerprint,
    /// The number of futures of each moment.
    pub futures: usize,
    /// The curve, by moment. The last moment is the end of the run, after which nothing is left to be drawn.
    pub curve: Vec<Moment>,
    /// The steepest rise between two moments next to each other; none if the share never rises.
    pub rise: Option<Rise>,
    /// Whether the search was interrupted, so that moments are missing.
    pub interrupted: bool,
}

/// What becomes of a run whose choices are kept up to a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Moment {
    /// The moment, in nanoseconds. All that was drawn before it is kept.
    pub at: u64,
    /// The number of futures that fail as the run did.
    pub same: usize,
    /// The number of futures that fail in another way.
    pub other: usize,
}

/// Two moments between which the share of failures rises, and what happened in the run from the first to before the
/// second.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rise {
    /// The first moment.
    pub from: Moment,
    /// The second.
    pub to: Moment,
    /// The steps that began between them, as a file would have them.
    pub steps: Vec<String>,
    /// The other events of the story between them, each in a line.
    pub events: Vec<String>,
}

/// Why there is nothing to blame.
#[derive(Debug, thiserror::Error)]
pub enum BlameError {
    /// The simulator failed.
    #[error(transparent)]
    Sim(#[from] SimError),
    /// The run passed.
    #[error("nothing failed in this run, so there is nothing to blame")]
    Held,
    /// The order of everything is given.
    #[error("`deliver` gives the order of everything, so nothing is drawn as time passes")]
    Ordered,
}

impl Blame {
    /// The command that shows one of the futures of a moment.
    pub fn again(&self, moment: &Moment, future: usize) -> String {
        let (world, swarm) = (self.world.flag(), if self.swarm { " --swarm" } else { "" });
        let recipe = future_of(&self.seed, moment.at, future);
        let file = crate::files::quoted(&self.file);
        format!("herd run{world}{swarm} --seed {recipe} {file}")
    }

    /// The first moment from which on all futures fail in the same way.
    pub fn inevitable(&self) -> Option<&Moment> {
        let all = |moment: &&Moment| moment.same == self.futures;
        self.curve.iter().rev().take_while(all).last()
    }
}

/// The recipe of a future: the run's own until the moment, and another seed from then on.
fn future_of(seed: &Recipe, at: u64, future: usize) -> Recipe {
    // Short enough to be typed.
    let number = derive(0, "future", future as u64) & u64::from(u32::MAX);
    seed.then(Duration::from_nanos(at), number)
}

/// Runs a failing scenario with other futures from many moments on. `watch` is told how many moments are done, and can
/// end the search.
pub fn blame(
    scenario: &Scenario,
    options: &Options,
    watch: &mut dyn FnMut(usize) -> ControlFlow<()>,
) -> Result<Blame, BlameError> {
    if scenario.deliver.is_some() {
        return Err(BlameError::Ordered);
    }
    let expanded = with_seed(scenario, &scenario.seed, options.swarm);
    let trace = options.simulator.run(&expanded)?;
    let fingerprint = Fingerprint::of(&trace).ok_or(BlameError::Held)?;
    let moments = moments(&expanded, &trace);
    let mut study = Study {
        scenario,
        options,
        fingerprint: &fingerprint,
        moments: &moments,
    };
    let mut done = 0;
    let (curve, interrupted) = curve(moments.len(), options.moments, &mut |wanted| {
        if watch(done).is_break() {
            return None;
        }
        done += wanted.len();
        study.measure(wanted)
    });
    let curve: Vec<Moment> = curve.into_values().collect();
    Ok(Blame {
        scenario: scenario.name.clone(),
        file: scenario.path(),
        seed: scenario.seed.clone(),
        swarm: options.swarm,
        world: options.simulator.world,
        futures: options.futures,
        rise: rise(&curve, &expanded, &trace),
        fingerprint,
        curve,
        interrupted,
    })
}

fn with_seed(scenario: &Scenario, seed: &Recipe, swarm: bool) -> Scenario {
    let scenario = scenario.clone().with_seed(seed.clone());
    let scenario = if swarm { scenario.swarmed() } else { scenario };
    scenario.expanded()
}

/// The moments at which something happens in a run, from its beginning to its end: between two of them next to each
/// other nothing does.
fn moments(expanded: &Scenario, trace: &Trace) -> Vec<u64> {
    let steps = expanded.steps.iter().map(|step| nanos(step.at));
    let events = trace.events.iter().map(|event| event.at);
    let mut moments: BTreeSet<u64> = steps.chain(events).chain([0]).collect();
    let end = moments.last().map_or(0, |last| last + nanos(expanded.tick));
    moments.insert(end);
    moments.into_iter().collect()
}

fn nanos(at: Duration) -> u64 {
    u64::try_from(at.as_nanos()).unwrap_or(u64::MAX)
}

/// A run did not come to its end because the search was to end.
struct Interrupted;

/// The runs of a search.
struct Study<'a> {
    scenario: &'a Scenario,
    options: &'a Options,
    fingerprint: &'a Fingerprint,
    moments: &'a [u64],
}

impl Study<'_> {
    /// Runs all futures of these moments. `None` if a run was interrupted.
    fn measure(&mut self, wanted: &[usize]) -> Option<Vec<Moment>> {
        let Options {
            futures, threads, ..
        } = *self.options;
        let mut measured: Vec<Moment> = (wanted.iter())
            .map(|&at| Moment {
                at: self.moments[at],
                same: 0,
                other: 0,
            })
            .collect();
        let mut is_whole = true;
        let run = |number: usize| self.run(wanted[number / futures], number % futures);
        in_order(threads, wanted.len() * futures, run, |number, how| {
            let Ok(how) = how else {
                is_whole = false;
                return ControlFlow::Break(());
            };
            let moment = &mut measured[number / futures];
            match how {
                Some(how) if how == *self.fingerprint => moment.same += 1,
                Some(_) => moment.other += 1,
                None => {}
            }
            ControlFlow::Continue(())
        });
        is_whole.then_some(measured)
    }

    /// How a future fails, if it does.
    fn run(&self, at: usize, future: usize) -> Result<Option<Fingerprint>, Interrupted> {
        let recipe = future_of(&self.scenario.seed, self.moments[at], future);
        let scenario = with_seed(self.scenario, &recipe, self.options.swarm);
        match sweep::execute(&scenario, false, &self.options.simulator) {
            Ok(trace) => Ok(Fingerprint::of(&trace)),
            Err(failure) => Ok(Some(failure.ok_or(Interrupted)?.fingerprint)),
        }
    }
}

/// The steepest rise of a curve; of equal ones the first.
fn rise(curve: &[Moment], expanded: &Scenario, trace: &Trace) -> Option<Rise> {
    let mut steepest: Option<(Moment, Moment)> = None;
    let height = |(from, to): &(Moment, Moment)| to.same.saturating_sub(from.same);
    for pair in curve.windows(2) {
        let pair = (pair[0], pair[1]);
        if height(&pair) > steepest.as_ref().map_or(0, height) {
            steepest = Some(pair);
        }
    }
    let (from, to) = steepest?;
    let is_between = |at: u64| (from.at..to.at).contains(&at);
    let steps = expanded.steps.iter();
    let steps =
        steps.filter(|step| is_between(nanos(step.at)) && !matches!(step.action, Action::Drawn(_)));
    // What a workload's clients send is in no story, but it is a choice like any other.
    let told = StoryFilter::new(trace, Detail::Story);
    let events = trace.events.iter();
    let events = events.filter(|event| is_between(event.at) && told.is_told(event));
    Some(Rise {
        from,
        to,
        steps: steps.map(|step| step.to_toml(&expanded.herd)).collect(),
        events: events
            .map(|event| {
                let who = event.who.name();
                format!("{}  {who}  {}", show::moment(event.at), told.what(event))
            })
            .collect(),
    })
}

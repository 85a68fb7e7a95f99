//! Surveys every failure set of a herd up to a size.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use super::graph::{Graph, link_name, names};
use super::links::{ExtraLink, extra_links};
use super::seen::{Engine, modelled};
use super::sets::{all_sets, number_of_sets};
use super::simulated::{Simulation, title};
use super::way::Spread;
use crate::herd::{Herd, ServerId};
use crate::model::Without;
use crate::parallel::in_order;
use crate::sim::Simulator;

/// The maximum number of routes that a survey keeps in memory: failure sets × origins × servers.
const MOST_WAYS: usize = 20_000_000;

/// The latency of every link, and the simulator's tick.
const LATENCY: Duration = Duration::from_millis(20);

/// What is surveyed, and how.
#[derive(Clone)]
pub struct Options<'a> {
    /// The maximum number of dead servers.
    pub dead: usize,
    /// The maximum number of cut links.
    pub cut: usize,
    /// What runs the servers.
    pub engine: Engine,
    /// The number of sets that run at a time. With one, they run on the calling thread.
    pub threads: usize,
    /// Is polled before the first set and after each. Once it returns true, no further set begins,
    /// and the survey is partial.
    pub stop: Option<&'a (dyn Fn() -> bool + Sync)>,
    /// Is called after each set with the number of finished sets.
    pub progress: Option<&'a (dyn Fn(usize) + Sync)>,
    /// Which server [`Engine::Simulator`] runs, and how long one run may take in wall time.
    pub simulator: Simulator,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self {
            dead: 1,
            cut: 1,
            engine: Engine::default(),
            threads: 1,
            stop: None,
            progress: None,
            simulator: Simulator::default(),
        }
    }
}

/// Why a survey was refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SurveyError {
    /// The results of all sets would not fit into memory.
    #[error(
        "{sets} failure sets of {servers} servers are too many: ask for fewer failures at a time"
    )]
    TooMany {
        /// The number of failure sets, or "Countless" where it is higher than `usize`.
        sets: String,
        /// The number of servers.
        servers: usize,
    },
}

/// The result of one failure set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailureSet {
    /// The names of dead servers.
    pub dead: Vec<String>,
    /// The names of cut links.
    pub cut: Vec<String>,
    /// Whether these failures partition the servers that run.
    pub cuts_the_herd: bool,
    /// The update from each live server, in the herd's order.
    pub spreads: Vec<Spread>,
    /// Failures beside the updates themselves, in words.
    pub broken: Vec<String>,
}

impl FailureSet {
    /// The number of dead servers and cut links.
    pub fn size(&self) -> usize {
        self.dead.len() + self.cut.len()
    }

    /// The number of servers that run, of `of` in the herd.
    pub fn live(&self, of: usize) -> usize {
        of - self.dead.len()
    }
}

/// A deviation from the graph.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Exception {
    /// The failure set in words.
    pub set: String,
    /// How the run deviated.
    pub what: String,
}

/// The results of every failure set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survey {
    /// The herd's name.
    pub herd: String,
    /// The names of the herd's servers, in the order of its file.
    pub servers: Vec<String>,
    /// The names of the herd's links, in the order of its file.
    pub links: Vec<String>,
    /// The latency of each link.
    pub latency: Duration,
    /// What ran the servers.
    pub engine: Engine,
    /// The maximum numbers of dead servers and of cut links.
    pub most: (usize, usize),
    /// The number of failure sets of the plan. If fewer were surveyed, the survey is partial.
    pub all: usize,
    /// The surveyed failure sets, those with fewer failures first.
    pub sets: Vec<FailureSet>,
    /// What each missing link would improve, best first. `None` for a herd that is too large to
    /// evaluate them.
    pub extra: Option<Vec<ExtraLink>>,
    /// All deviations from the graph.
    pub exceptions: Vec<Exception>,
}

impl Survey {
    /// Whether the survey was stopped before all sets were surveyed.
    pub fn is_partial(&self) -> bool {
        self.sets.len() < self.all
    }

    /// The spreads of all updates.
    pub fn spreads(&self) -> impl Iterator<Item = &Spread> {
        self.sets.iter().flat_map(|set| &set.spreads)
    }

    /// Whether every set was surveyed, at least one update was sent, and no deviation was found.
    pub fn held(&self) -> bool {
        !self.is_partial() && self.spreads().next().is_some() && self.exceptions.is_empty()
    }
}

/// Surveys every failure set of `herd` up to a size.
///
/// ```
/// use proxy_herd::herd::Herd;
/// use proxy_herd::survey::{Engine, Options, survey};
///
/// let riley = Herd::builtin("riley").expect("it is built in");
/// let options = Options { engine: Engine::Model, ..Options::default() };
/// let survey = survey(&riley, &options)?;
/// assert_eq!((survey.sets.len(), survey.exceptions.len()), (42, 0));
/// # Ok::<(), proxy_herd::survey::SurveyError>(())
/// ```
pub fn survey(herd: &Herd, options: &Options<'_>) -> Result<Survey, SurveyError> {
    let servers = herd.servers().len();
    let number = number_of_sets(herd, options.dead, options.cut);
    if number.saturating_mul(servers * servers) > MOST_WAYS {
        let sets = match number {
            usize::MAX => "Countless".to_owned(),
            some => some.to_string(),
        };
        return Err(SurveyError::TooMany { sets, servers });
    }
    let sets = all_sets(herd, options.dead, options.cut);
    let done = survey_each(herd, &sets, options);
    let finished: Vec<&Without> = (sets.iter().zip(&done))
        .filter_map(|(set, done)| done.as_ref().map(|_| set))
        .collect();
    let extra = extra_links(herd, &finished);
    let surveyed: Vec<FailureSet> = done.into_iter().flatten().collect();
    let exceptions = surveyed.iter().flat_map(|set| exceptions(herd, set));
    Ok(Survey {
        herd: herd.name().to_string(),
        servers: herd.server_names().map(str::to_owned).collect(),
        links: (0..herd.links().len())
            .map(|at| link_name(herd, at))
            .collect(),
        latency: LATENCY,
        engine: options.engine,
        most: (
            options.dead.min(servers),
            options.cut.min(herd.links().len()),
        ),
        all: sets.len(),
        extra,
        exceptions: exceptions.collect(),
        sets: surveyed,
    })
}

/// The result of each set, in the order of `sets`; `None` for sets that were not begun.
fn survey_each(herd: &Herd, sets: &[Without], options: &Options<'_>) -> Vec<Option<FailureSet>> {
    let simulation = Simulation {
        herd: Arc::new(herd.clone()),
        latency: LATENCY,
        origins: herd.ids().collect(),
        simulator: options.simulator.clone(),
    };
    let is_stopped = || options.stop.is_some_and(|stop| stop());
    let mut done: Vec<Option<FailureSet>> = vec![None; sets.len()];
    if is_stopped() {
        return done;
    }
    let survey = |at: usize| survey_one(&simulation, &sets[at], options.engine);
    in_order(options.threads, sets.len(), survey, |at, set| {
        done[at] = Some(set);
        if let Some(progress) = options.progress {
            progress(at + 1);
        }
        if is_stopped() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    done
}

fn survey_one(simulation: &Simulation, set: &Without, engine: Engine) -> FailureSet {
    let herd = &*simulation.herd;
    let latency = vec![LATENCY; herd.links().len()];
    let origins: Vec<ServerId> = herd.ids().filter(|id| set.is_alive(*id)).collect();
    let seen = match engine {
        Engine::Simulator => simulation.run(set),
        Engine::Model => {
            let mistake = simulation.simulator.server.mistake();
            modelled(herd, set, &latency, &origins, mistake, &mut |_| {})
        }
    };
    let graph = Graph::new(herd, set, latency);
    let (dead, cut) = names(herd, set);
    let spreads = seen.updates.iter();
    FailureSet {
        dead,
        cut,
        cuts_the_herd: graph.parts().len() > 1,
        spreads: spreads
            .map(|one| graph.compare(one.origin, &one.arrivals, one.costs))
            .collect(),
        broken: seen.broken,
    }
}

/// All deviations of a set from the graph.
fn exceptions(herd: &Herd, set: &FailureSet) -> Vec<Exception> {
    let mut found = set.broken.clone();
    let live = set.live(herd.servers().len());
    if set.spreads.len() != live {
        let seen = set.spreads.len();
        found.push(format!(
            "updates of {seen} servers were seen, and {live} run"
        ));
    }
    for spread in &set.spreads {
        let named = herd.server_names().zip(&spread.ways);
        found.extend(named.filter_map(|(server, way)| way.exception(&spread.origin, server, true)));
        found.extend(spread.waste());
    }
    let words = set.words();
    (found.into_iter())
        .map(|what| Exception {
            set: words.clone(),
            what,
        })
        .collect()
}

impl FailureSet {
    /// The set in words: `Riley dead, Juzang-Jaquez cut`.
    pub fn words(&self) -> String {
        title(&self.dead, &self.cut)
    }
}

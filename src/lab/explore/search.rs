//! Runs a system along every path through its tree of choices, each time from the beginning.
//!
//! The search does not know what a choice means. A [`System`] runs to its end, and at each point
//! asks which of its options comes next. A run follows a given beginning (a prefix of choices), and
//! after it takes the first option at each point; the other options there become beginnings of
//! later runs. So every path is run exactly once.
//!
//! **Partial-order reduction.** Two choices whose footprints (the processes that they affect) are
//! disjoint commute: both sequences lead to the same state. With [`Bounds::reduce`] only one of the
//! two is followed, by sleep sets (Godefroid). A choice that was already followed from a point
//! sleeps in the paths that are followed from there later, until a choice affects one of the same
//! processes. A sleeping choice is not taken, and a run in which all options sleep is cut short. So
//! exactly one order of each equivalence class is run to its end.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::Arc;

use crate::parallel::in_order;

use serde::Serialize;

/// The number of runs before new ones are planned. It does not depend on the number of threads, so
/// neither does the sequence of runs.
const BATCH: usize = 32;

/// The processes that a choice affected.
pub(super) type Footprint = BTreeSet<usize>;

/// A system that can be run repeatedly, and that does the same if the same is chosen.
pub(super) trait System: Sync + Sized {
    /// A choice, equal to itself in other runs.
    type Choice: Clone + PartialEq + Send + Sync + 'static;
    /// The result of a complete run.
    type Outcome: Send;
    /// Why a run failed.
    type Error: Send;

    /// Runs from the beginning to the end. Returns the walk, and the outcome unless the walk gave
    /// the run up.
    fn run(&self, chooser: Walk<Self::Choice>) -> Result<OneWalk<Self>, Self::Error>;

    /// Whether the error is a request to stop, rather than a failure.
    fn is_interrupted(_: &Self::Error) -> bool {
        false
    }
}

/// The walk of one run, and the outcome unless the walk gave the run up.
pub(super) type OneWalk<S> = (Walk<<S as System>::Choice>, Option<<S as System>::Outcome>);

/// The bounds of a search.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Partial-order reduction: whether one order of each equivalence class is run.
    pub reduce: bool,
    /// The number of choices, from the beginning, that are varied; `None` for all.
    pub depth: Option<usize>,
    /// The maximum number of choices other than the first option; `None` for no maximum.
    pub deviations: Option<usize>,
    /// The maximum number of runs.
    pub budget: usize,
}

/// How many orders a search ran and did not run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Orders that were run to their end.
    pub orders: usize,
    /// Runs that were cut short, since every continuation is equivalent to an order that is run.
    pub cut_short: usize,
    /// Beginnings that the bounds excluded. Each stands for at least one order, or for one that is
    /// equivalent to an order that was run.
    pub left_out: usize,
    /// Beginnings that were not followed yet when the search ended.
    pub open: usize,
    /// Whether the search was interrupted.
    pub interrupted: bool,
}

/// Why a search ended early.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum SearchError<E> {
    /// A run failed.
    Run(E),
    /// The same choices did not lead to the same options.
    Unstable,
}

/// A prefix of choices for a run to follow.
struct Beginning<C> {
    /// The choices, each as its index among the options at its point.
    positions: Vec<usize>,
    /// The last choice; a run that meets another one there is not repeatable.
    last: Option<C>,
    /// The sleep set at the point of the last choice.
    asleep: Vec<(C, Footprint)>,
    /// The number of choices other than the first option.
    deviations: usize,
    /// The number of untried options after the last choice, at the same point.
    later: usize,
}

impl<C> Beginning<C> {
    /// The beginning of the first run: no choices.
    const fn empty() -> Self {
        Self {
            positions: Vec::new(),
            last: None,
            asleep: Vec::new(),
            deviations: 0,
            later: 0,
        }
    }
}

/// A point at which a choice was made.
struct Point<C> {
    options: Vec<C>,
    taken: usize,
    asleep: Vec<(C, Footprint)>,
    touched: Option<Footprint>,
}

impl<C: PartialEq> Point<C> {
    /// The indices of the options after the taken one that do not sleep.
    fn later(&self) -> impl Iterator<Item = usize> {
        let behind = self.taken + 1..self.options.len();
        behind.filter(|at| !sleeps(&self.asleep, &self.options[*at]))
    }
}

fn sleeps<C: PartialEq>(asleep: &[(C, Footprint)], choice: &C) -> bool {
    asleep.iter().any(|(other, _)| other == choice)
}

/// The choices of one run: those of its beginning, and all after it.
pub(super) struct Walk<C> {
    beginning: Arc<Beginning<C>>,
    reduce: bool,
    /// The choices so far, as indices among their options.
    positions: Vec<usize>,
    /// The choices so far.
    chosen: Vec<C>,
    /// The last point of the beginning, and all points after it.
    points: Vec<Point<C>>,
    unstable: bool,
}

impl<C: Clone + PartialEq> Walk<C> {
    fn new(beginning: &Arc<Beginning<C>>, reduce: bool) -> Self {
        Self {
            beginning: Arc::clone(beginning),
            reduce,
            positions: Vec::new(),
            chosen: Vec::new(),
            points: Vec::new(),
            unstable: false,
        }
    }

    /// Makes the next choice, and returns its index among `options`. `None` if the run is to be
    /// given up.
    pub(super) fn choose(&mut self, options: &[C]) -> Option<usize> {
        let at = self.positions.len();
        let given = self.beginning.positions.get(at).copied();
        let is_last = at + 1 == self.beginning.positions.len();
        let asleep = match given {
            Some(_) if is_last => self.beginning.asleep.clone(),
            Some(_) => Vec::new(),
            None => self.asleep_now(),
        };
        let taken = match given {
            Some(position) => Some(position),
            None => (0..options.len()).find(|at| !sleeps(&asleep, &options[*at])),
        }?;
        let choice = options.get(taken);
        if choice.is_none() || (is_last && choice != self.beginning.last.as_ref()) {
            self.unstable = true;
            return None;
        }
        self.positions.push(taken);
        self.chosen.push(options[taken].clone());
        if given.is_none() || is_last {
            self.points.push(Point {
                options: options.to_vec(),
                taken,
                asleep,
                touched: None,
            });
        }
        Some(taken)
    }

    /// Sets the footprint of the last choice.
    pub(super) fn touched(&mut self, touched: Footprint) {
        // Footprints within the beginning are not needed, except that of its last choice.
        let is_behind = self.positions.len() >= self.beginning.positions.len();
        if let Some(point) = self.points.last_mut().filter(|_| is_behind) {
            point.touched = Some(touched);
        }
    }

    /// The sleep set after the last choice: the one before it, without the choices whose footprint
    /// meets the last choice's.
    fn asleep_now(&self) -> Vec<(C, Footprint)> {
        let Some(point) = self.points.last().filter(|_| self.reduce) else {
            return Vec::new();
        };
        let Some(touched) = &point.touched else {
            return Vec::new();
        };
        let stay = point
            .asleep
            .iter()
            .filter(|(_, by)| by.is_disjoint(touched));
        stay.cloned().collect()
    }
}

/// The result of one run.
struct CompletedRun<C, O> {
    outcome: Option<O>,
    chosen: Vec<C>,
    points: Vec<Point<C>>,
    positions: Vec<usize>,
}

/// A search in progress.
struct Search<C> {
    bounds: Bounds,
    counts: Counts,
    /// The beginnings still to follow. Those with the fewest deviations come first, among these
    /// those that were found first.
    open: BTreeMap<(usize, u64), Beginning<C>>,
    found: u64,
}

/// Runs `system` in every order within the bounds. `seen` is called with the choices and the
/// outcome of each complete run. `watch` is called after each batch and says whether to continue.
///
/// Several threads share the runs. The calls of `seen` and their sequence do not depend on the
/// number of threads.
///
/// # Errors
///
/// If a run fails, or if equal choices lead to different options.
pub(super) fn search<S: System>(
    system: &S,
    bounds: Bounds,
    threads: NonZeroUsize,
    mut seen: impl FnMut(&[S::Choice], S::Outcome),
    mut watch: impl FnMut(&Counts) -> ControlFlow<()>,
) -> Result<Counts, SearchError<S::Error>> {
    let mut search = Search {
        bounds,
        counts: Counts::default(),
        open: BTreeMap::from([((0, 0), Beginning::empty())]),
        found: 0,
    };
    loop {
        let batch = search.next_batch();
        if batch.is_empty() {
            break;
        }
        for (beginning, ran) in batch
            .iter()
            .zip(run_all(system, &batch, bounds.reduce, threads))
        {
            let ran = match ran {
                Err(SearchError::Run(error)) if S::is_interrupted(&error) => {
                    search.counts.interrupted = true;
                    search.counts.open += 1 + beginning.later;
                    continue;
                }
                ran => ran?,
            };
            search.learn(beginning, &ran);
            if let Some(outcome) = ran.outcome {
                seen(&ran.chosen, outcome);
            }
        }
        search.forget_too_many();
        if watch(&search.counts()).is_break() || search.counts.interrupted {
            search.counts.interrupted = search.open_ways() > 0;
            break;
        }
    }
    Ok(search.counts())
}

impl<C: Clone + PartialEq> Search<C> {
    fn runs_left(&self) -> usize {
        let made = self.counts.orders + self.counts.cut_short;
        self.bounds.budget.saturating_sub(made)
    }

    fn next_batch(&mut self) -> Vec<Arc<Beginning<C>>> {
        let many = BATCH.min(self.runs_left());
        let next = std::iter::from_fn(|| self.open.pop_first().map(|(_, beginning)| beginning));
        next.take(many).map(Arc::new).collect()
    }

    /// Counts a run, and adds the beginnings that its alternatives make.
    fn learn<O>(&mut self, beginning: &Beginning<C>, ran: &CompletedRun<C, O>) {
        if ran.outcome.is_some() {
            self.counts.orders += 1;
        } else {
            self.counts.cut_short += 1;
        }
        let first = beginning.positions.len().saturating_sub(1);
        let mut deviations = beginning.deviations;
        if beginning.positions.last().is_some_and(|last| *last > 0) {
            // The loop counts this deviation at its point.
            deviations -= 1;
        }
        for (at, point) in (first..).zip(&ran.points) {
            let mut later = point.later();
            let next = later.next();
            if let Some(next) = next {
                let deviations = deviations + 1;
                let more = later.count();
                let too_deep = self.bounds.depth.is_some_and(|depth| at >= depth);
                let too_far = self.bounds.deviations.is_some_and(|most| deviations > most);
                if too_deep || too_far {
                    self.counts.left_out += 1 + more;
                } else {
                    let mut asleep = point.asleep.clone();
                    if let (true, Some(touched)) = (self.bounds.reduce, &point.touched) {
                        asleep.push((point.options[point.taken].clone(), touched.clone()));
                    }
                    let beginning = Beginning {
                        positions: [&ran.positions[..at], &[next]].concat(),
                        last: point.options.get(next).cloned(),
                        asleep,
                        deviations,
                        later: more,
                    };
                    self.found += 1;
                    self.open.insert((deviations, self.found), beginning);
                }
            }
            deviations += usize::from(point.taken > 0);
        }
    }

    /// Drops the beginnings that the budget cannot reach, so that memory is bounded.
    fn forget_too_many(&mut self) {
        while self.open.len() > self.runs_left() {
            if let Some((_, beginning)) = self.open.pop_last() {
                self.counts.open += 1 + beginning.later;
            }
        }
    }

    fn open_ways(&self) -> usize {
        let open = self.open.values().map(|beginning| 1 + beginning.later);
        self.counts.open + open.sum::<usize>()
    }

    fn counts(&self) -> Counts {
        Counts {
            open: self.open_ways(),
            ..self.counts
        }
    }
}

/// The result of one run of a system, or why it failed.
type OneRun<S> = Result<
    CompletedRun<<S as System>::Choice, <S as System>::Outcome>,
    SearchError<<S as System>::Error>,
>;

/// Runs all these beginnings. The results are in their order.
fn run_all<S: System>(
    system: &S,
    batch: &[Arc<Beginning<S::Choice>>],
    reduce: bool,
    threads: NonZeroUsize,
) -> Vec<OneRun<S>> {
    let mut ran = Vec::with_capacity(batch.len());
    let run = |at: usize| run_one(system, &batch[at], reduce);
    in_order(threads.get(), batch.len(), run, |_, one| {
        ran.push(one);
        ControlFlow::Continue(())
    });
    ran
}

fn run_one<S: System>(
    system: &S,
    beginning: &Arc<Beginning<S::Choice>>,
    reduce: bool,
) -> OneRun<S> {
    let walk = Walk::new(beginning, reduce);
    let (walk, outcome) = system.run(walk).map_err(SearchError::Run)?;
    if walk.unstable || walk.positions.len() < beginning.positions.len() {
        return Err(SearchError::Unstable);
    }
    Ok(CompletedRun {
        outcome,
        chosen: walk.chosen,
        points: walk.points,
        positions: walk.positions,
    })
}

#[cfg(test)]
mod tests;

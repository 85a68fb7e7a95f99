//! Every way through a tree of choices, by running a system again and again from its beginning.
//!
//! Nothing here knows what is chosen. A [`System`] runs to its end, and asks at each point which of its options
//! comes next. A run follows a given beginning and then takes the first option at each point; the other
//! options there are beginnings of runs to come. So every way is run exactly once.
//!
//! **What commutes.** Two choices that affect no process in common lead to the same, whichever comes first. With
//! [`Bounds::reduce`] only one of the two orders is followed, by sleep sets (Godefroid): what was followed from a
//! point already sleeps in what is followed from there later, until something happens that affects the same process;
//! who sleeps is not chosen, and a run in which all sleep is cut short. So of all orders that differ in nothing but
//! turns of what commutes, exactly one is run to its end.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::Arc;

use crate::parallel::in_order;

use serde::Serialize;

/// The number of runs that are made before new ones are planned, however many threads share them: what is run next
/// depends on nothing else.
const BATCH: usize = 32;

/// Those that a choice affected.
pub(super) type Footprint = BTreeSet<usize>;

/// Something that can be run again and again, and does the same when the same is chosen.
pub(super) trait System: Sync + Sized {
    /// What can be chosen.
    type Choice: Clone + PartialEq + Send + Sync + 'static;
    /// What comes of a run.
    type Outcome: Send;
    /// Why there was no run.
    type Error: Send;

    /// Runs from the beginning to the end, and gives back who chose; nothing comes of it if that gives it up.
    fn run(&self, chooser: Walk<Self::Choice>) -> Result<OneWalk<Self>, Self::Error>;

    /// Whether this is no failure, but somebody who wants no more.
    fn is_interrupted(_: &Self::Error) -> bool {
        false
    }
}

/// The result of one run: who chose, and the outcome.
pub(super) type OneWalk<S> = (Walk<<S as System>::Choice>, Option<<S as System>::Outcome>);

/// How far to look.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Of orders that differ only in what commutes, one is run.
    pub reduce: bool,
    /// The number of choices, from the beginning, that are varied.
    pub depth: Option<usize>,
    /// The maximum number of choices that differ from the first option.
    pub deviations: Option<usize>,
    /// The maximum number of runs.
    pub budget: usize,
}

/// How many ways there were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Runs to their end.
    pub orders: usize,
    /// Runs that were cut short, since all that followed is seen in other runs.
    pub cut_short: usize,
    /// Beginnings that the bounds left out; each of them has at least one order, or commutes with one.
    pub left_out: usize,
    /// Beginnings that were not followed yet when the search ended.
    pub open: usize,
    /// The search was interrupted.
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

/// A beginning to follow.
struct Beginning<C> {
    /// The choices, by their positions among the options.
    positions: Vec<usize>,
    /// The last of them.
    last: Option<C>,
    /// What sleeps before the last of them.
    asleep: Vec<(C, Footprint)>,
    /// How many of them differ from the first option.
    deviations: usize,
    /// How many more options there are in place of the last.
    later: usize,
}

impl<C> Beginning<C> {
    /// Nothing chosen yet.
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

/// A point at which something was chosen.
struct Point<C> {
    options: Vec<C>,
    taken: usize,
    asleep: Vec<(C, Footprint)>,
    touched: Option<Footprint>,
}

impl<C: PartialEq> Point<C> {
    /// The options behind the one that was taken that are not asleep.
    fn later(&self) -> impl Iterator<Item = usize> {
        let behind = self.taken + 1..self.options.len();
        behind.filter(|at| !sleeps(&self.asleep, &self.options[*at]))
    }
}

fn sleeps<C: PartialEq>(asleep: &[(C, Footprint)], choice: &C) -> bool {
    asleep.iter().any(|(other, _)| other == choice)
}

/// One run: a beginning, and what is chosen behind it.
pub(super) struct Walk<C> {
    beginning: Arc<Beginning<C>>,
    reduce: bool,
    /// All positions chosen so far.
    positions: Vec<usize>,
    /// All that was chosen.
    chosen: Vec<C>,
    /// The last point of the beginning, and all behind it.
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

    /// The position of what is chosen among `options`; none if the run is to be given up.
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

    /// Says what the last choice affected.
    pub(super) fn touched(&mut self, touched: Footprint) {
        // Within the beginning nobody asks.
        let is_behind = self.positions.len() >= self.beginning.positions.len();
        if let Some(point) = self.points.last_mut().filter(|_| is_behind) {
            point.touched = Some(touched);
        }
    }

    /// What sleeps behind the last choice: what slept before, without what that may have woken.
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

/// A search under way.
struct Search<C> {
    bounds: Bounds,
    counts: Counts,
    /// What is to be followed: first what differs least from the first options, then what was found first.
    open: BTreeMap<(usize, u64), Beginning<C>>,
    found: u64,
}

/// Runs `system` in every order within the bounds. `seen` is called with each run that reached its end, and with what
/// was chosen in it; `watch` is called now and then and says whether to go on.
///
/// The runs are shared by several threads; what is seen, and in which order, does not depend on their number.
///
/// # Errors
///
/// When a run fails, or when runs can't be repeated.
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

    /// Counts a run, and remembers what could have been chosen instead.
    fn learn<O>(&mut self, beginning: &Beginning<C>, ran: &CompletedRun<C, O>) {
        if ran.outcome.is_some() {
            self.counts.orders += 1;
        } else {
            self.counts.cut_short += 1;
        }
        let first = beginning.positions.len().saturating_sub(1);
        let mut deviations = beginning.deviations;
        if beginning.positions.last().is_some_and(|last| *last > 0) {
            // Counted at the point itself.
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

    /// Lets go of what the budget will never reach, so that memory has a bound, too.
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

/// The result of one run of a system, or why it has none.
type OneRun<S> = Result<
    CompletedRun<<S as System>::Choice, <S as System>::Outcome>,
    SearchError<<S as System>::Error>,
>;

/// Follows all these beginnings; the results are in their order.
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

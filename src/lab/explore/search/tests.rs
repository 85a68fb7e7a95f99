//! Searches of systems so small that their orders can be counted by hand.

use std::collections::BTreeMap;
use std::convert::Infallible;

use super::*;

/// Processes that each write a list of words, one word at a time, to numbered places. Two writes
/// commute if they are by different processes and to different places.
struct Writers {
    /// By process: the place of each of its words.
    processes: Vec<Vec<usize>>,
}

/// The words that were written to each place, in order.
type Places = BTreeMap<usize, Vec<(usize, usize)>>;

impl System for Writers {
    type Choice = usize;
    type Outcome = Places;
    type Error = Infallible;

    fn run(&self, mut walk: Walk<usize>) -> Result<OneWalk<Self>, Infallible> {
        let mut written = vec![0; self.processes.len()];
        let mut places = Places::new();
        loop {
            let ready = |process: &usize| written[*process] < self.processes[*process].len();
            let options: Vec<usize> = (0..self.processes.len()).filter(ready).collect();
            if options.is_empty() {
                return Ok((walk, Some(places)));
            }
            let Some(at) = walk.choose(&options) else {
                return Ok((walk, None));
            };
            let process = options[at];
            let place = self.processes[process][written[process]];
            let told = places.entry(place).or_default();
            told.push((process, written[process]));
            written[process] += 1;
            // A footprint contains the process and the place, which is numbered after the
            // processes.
            walk.touched(Footprint::from([process, self.processes.len() + place]));
        }
    }
}

const ALL: Bounds = Bounds {
    reduce: false,
    depth: None,
    deviations: None,
    budget: usize::MAX,
};

const REDUCED: Bounds = Bounds {
    reduce: true,
    ..ALL
};

fn writers(processes: &[&[usize]]) -> Writers {
    let processes = processes.iter().map(|places| places.to_vec());
    Writers {
        processes: processes.collect(),
    }
}

type Orders = Vec<Vec<usize>>;

/// The orders that were run, their outcomes, and the counts.
fn searched(system: &Writers, bounds: Bounds) -> (Orders, Vec<Places>, Counts) {
    searched_by(system, bounds, 1)
}

fn searched_by(system: &Writers, bounds: Bounds, threads: usize) -> (Orders, Vec<Places>, Counts) {
    let (mut orders, mut outcomes) = (Vec::new(), Vec::new());
    let threads = NonZeroUsize::new(threads).unwrap();
    let seen = |order: &[usize], outcome| {
        orders.push(order.to_vec());
        outcomes.push(outcome);
    };
    let go_on = |_: &Counts| ControlFlow::Continue(());
    let counts = search(system, bounds, threads, seen, go_on).unwrap();
    (orders, outcomes, counts)
}

fn distinct<T: Ord + Clone>(all: &[T]) -> BTreeSet<T> {
    all.iter().cloned().collect()
}

#[test]
fn every_order_is_run_exactly_once() {
    // 6! / (2! 2! 2!) ways to shuffle three lists of two.
    let (orders, _, counts) = searched(&writers(&[&[0, 0], &[0, 0], &[0, 0]]), ALL);
    assert_eq!((orders.len(), distinct(&orders).len()), (90, 90));
    let wanted = Counts {
        orders: 90,
        ..Counts::default()
    };
    assert_eq!(counts, wanted);
}

#[test]
fn of_orders_that_commute_one_is_run_and_all_outcomes_are_seen() {
    let systems: [&[&[usize]]; 6] = [
        // No processes share a place: all orders are equivalent.
        &[&[0, 0], &[1, 1], &[2, 2]],
        // All processes share the place: nothing commutes.
        &[&[0, 0], &[0, 0], &[0, 0]],
        // Some writes share a place.
        &[&[0, 1], &[1, 0], &[2, 0]],
        &[&[0, 1, 2], &[2, 1, 0], &[1, 2]],
        &[&[0], &[0], &[1], &[1], &[0, 1]],
        &[&[0, 1, 0], &[1, 2, 1], &[2, 0]],
    ];
    let mut shown = Vec::new();
    for processes in systems {
        let system = writers(processes);
        let (_, all, _) = searched(&system, ALL);
        let (reduced, few, counts) = searched(&system, REDUCED);
        assert_eq!(distinct(&all), distinct(&few), "{processes:?}");
        // Every outcome occurs once: one order of each equivalence class was run.
        assert_eq!(few.len(), distinct(&few).len(), "{processes:?}");
        assert_eq!(counts.orders, reduced.len());
        shown.push((all.len(), few.len()));
    }
    assert_eq!(shown[0], (90, 1));
    assert_eq!(shown[1], (90, 90));
    assert!(shown[2..].iter().all(|(all, few)| few < all), "{shown:?}");
}

#[test]
fn a_bound_on_deviations_runs_exactly_the_orders_within_it() {
    let system = writers(&[&[0, 0], &[0, 0], &[0]]);
    let (every, ..) = searched(&system, ALL);
    // The first option is the first process with words left.
    let deviations = |order: &Vec<usize>| {
        let mut left = [2, 2, 1];
        let mut count = 0;
        for &process in order {
            let first = left.iter().position(|left| *left > 0);
            count += usize::from(first != Some(process));
            left[process] -= 1;
        }
        count
    };
    for most in 0..4 {
        let bounds = Bounds {
            deviations: Some(most),
            ..ALL
        };
        let (orders, _, counts) = searched(&system, bounds);
        let within = every.iter().filter(|order| deviations(order) <= most);
        assert_eq!(distinct(&orders), within.cloned().collect());
        assert_eq!(counts.left_out > 0, orders.len() < every.len());
        assert!(counts.orders + counts.left_out <= every.len());
    }
}

#[test]
fn a_bound_on_depth_varies_the_first_choices_only() {
    let system = writers(&[&[0, 0], &[0, 0]]);
    let bounds = Bounds {
        depth: Some(2),
        ..ALL
    };
    let (orders, _, counts) = searched(&system, bounds);
    let wanted = [[0, 0, 1, 1], [0, 1, 0, 1], [1, 0, 0, 1], [1, 1, 0, 0]];
    assert_eq!(distinct(&orders), wanted.map(|order| order.to_vec()).into());
    assert_eq!((counts.orders, counts.left_out), (4, 2));
}

#[test]
fn a_budget_is_kept_and_what_it_left_is_counted() {
    let system = writers(&[&[0, 0], &[0, 0], &[0, 0]]);
    for budget in [1, 7, 33, 89, 90] {
        let bounds = Bounds { budget, ..ALL };
        let (orders, _, counts) = searched(&system, bounds);
        assert_eq!(distinct(&orders).len(), budget);
        // Each open beginning stands for at least one order.
        assert!(counts.orders + counts.open <= 90, "{counts:?}");
        assert_eq!(counts.open > 0, budget < 90, "{counts:?}");
    }
}

#[test]
fn what_is_found_does_not_depend_on_threads() {
    let system = writers(&[&[0, 1, 0], &[1, 2, 1], &[2, 0]]);
    for bounds in [ALL, REDUCED, Bounds { budget: 50, ..ALL }] {
        let one = searched_by(&system, bounds, 1);
        assert_eq!(one, searched_by(&system, bounds, 2));
        assert_eq!(one, searched_by(&system, bounds, 7));
    }
}

#[test]
fn an_interrupted_search_says_so_and_keeps_what_it_found() {
    let system = writers(&[&[0, 0], &[0, 0], &[0, 0]]);
    let mut seen = 0;
    let stop = |counts: &Counts| {
        if counts.orders >= 20 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    let counts = search(&system, ALL, NonZeroUsize::MIN, |_, _| seen += 1, stop).unwrap();
    assert!(counts.interrupted);
    assert!((20..90).contains(&seen), "{counts:?}");
    assert_eq!(counts.orders, seen);
}

/// A system whose options differ in every run.
struct Fickle(std::sync::atomic::AtomicUsize);

impl System for Fickle {
    type Choice = usize;
    type Outcome = ();
    type Error = Infallible;

    fn run(&self, mut walk: Walk<usize>) -> Result<OneWalk<Self>, Infallible> {
        let turn = self.0.fetch_add(10, std::sync::atomic::Ordering::Relaxed);
        let outcome = walk.choose(&[turn, turn + 1]).map(|_| ());
        Ok((walk, outcome))
    }
}

#[test]
fn a_system_that_can_not_be_repeated_is_noticed() {
    let fickle = Fickle(0.into());
    let go_on = |_: &Counts| ControlFlow::Continue(());
    let result = search(&fickle, ALL, NonZeroUsize::MIN, |_, ()| (), go_on);
    assert_eq!(result, Err(SearchError::Unstable));
}

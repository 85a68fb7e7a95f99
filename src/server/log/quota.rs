//! A limit on log lines that others can cause as often as they like. Some lines of each class are
//! logged, and the rest are counted and reported together.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The length of a window. Lines within a window are counted together.
pub const WINDOW: Duration = Duration::from_secs(10);

/// The number of lines within a window for one class and one peer.
const MOST_OF_ONE: u64 = 5;

/// The number of lines within a window for all strangers together, since an attacker with a
/// thousand addresses could fill a disk. Lines about neighbours do not count, because a server has
/// few.
const MOST_OF_STRANGERS: u64 = 50;

/// The number of classes and peers that are counted apart within a window. The rest are counted as
/// one class.
const MOST_TOLD_APART: usize = 1000;

/// The number of classes that a report names.
const MOST_NAMED: usize = 10;

/// The class of a line: lines of one class and one peer share a limit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Alike {
    /// What happened, without any text that a peer chose.
    pub(super) what: String,
    /// A neighbour's name, or the address of a stranger.
    pub(super) whom: String,
    pub(super) is_stranger: bool,
}

/// The numbers of lines that were logged and left out in the current window.
#[derive(Default)]
pub struct Quota {
    state: Mutex<State>,
    left_out: AtomicU64,
}

#[derive(Default)]
struct State {
    /// The number of the current window, counted from 1970.
    window: i128,
    of_strangers: u64,
    lines: BTreeMap<Alike, Lines>,
}

#[derive(Default)]
struct Lines {
    logged: u64,
    left_out: u64,
}

impl Quota {
    /// The number of lines that were left out since the server began.
    pub fn left_out(&self) -> u64 {
        self.left_out.load(Ordering::Relaxed)
    }

    /// Whether one more line of this class is to be logged now. `nanos` counts from 1970.
    pub(super) fn takes(&self, alike: Alike, nanos: i128) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let State {
            window,
            of_strangers,
            lines,
        } = &mut *state;
        if *window != window_of(nanos) {
            // Counts that no report has shown yet outlive their window.
            *window = window_of(nanos);
            *of_strangers = 0;
            lines.retain(|_, lines| lines.left_out > 0);
            for lines in lines.values_mut() {
                lines.logged = 0;
            }
        }
        let others = || Alike {
            what: "various things".to_owned(),
            whom: "many others".to_owned(),
            is_stranger: true,
        };
        let is_known = lines.contains_key(&alike) || lines.len() < MOST_TOLD_APART;
        let alike = if is_known { alike } else { others() };
        let has_room = !alike.is_stranger || *of_strangers < MOST_OF_STRANGERS;
        let is_stranger = alike.is_stranger;
        let lines = lines.entry(alike).or_default();
        let takes = has_room && lines.logged < MOST_OF_ONE;
        if takes {
            lines.logged += 1;
            *of_strangers += u64::from(is_stranger);
        } else {
            lines.left_out += 1;
            self.left_out.fetch_add(1, Ordering::Relaxed);
        }
        takes
    }

    /// Reports the lines that were left out since the last call, largest counts first.
    pub(super) fn sum_up(&self) -> Vec<String> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = state.lines.iter_mut();
        let mut left_out: Vec<(u64, Alike)> = lines
            .filter(|(_, lines)| lines.left_out > 0)
            .map(|(alike, lines)| (std::mem::take(&mut lines.left_out), alike.clone()))
            .collect();
        drop(state);
        left_out.sort_by(|(a, _), (b, _)| b.cmp(a));
        let rest = left_out.split_off(left_out.len().min(MOST_NAMED));
        let named = left_out.iter().map(|(count, Alike { what, whom, .. })| {
            format!("and {count} more like this: {what}, {whom}")
        });
        let mut said: Vec<String> = named.collect();
        if !rest.is_empty() {
            let count: u64 = rest.iter().map(|(count, _)| count).sum();
            said.push(format!(
                "and {count} more like these, of {} others",
                rest.len()
            ));
        }
        said
    }
}

fn window_of(nanos: i128) -> i128 {
    nanos.div_euclid(i128::try_from(WINDOW.as_nanos()).unwrap_or(i128::MAX))
}

#[cfg(test)]
mod tests {
    use super::{Alike, MOST_OF_STRANGERS, MOST_TOLD_APART, Quota};

    fn refused(whom: &str) -> Alike {
        Alike {
            what: "refused".to_owned(),
            whom: whom.to_owned(),
            is_stranger: true,
        }
    }

    #[test]
    fn some_lines_of_each_kind_are_logged_and_the_rest_counted() {
        let quota = Quota::default();
        let taken = |whom: &str, nanos| {
            (0..100)
                .filter(|_| quota.takes(refused(whom), nanos))
                .count()
        };
        assert_eq!(taken("a", 0), 5);
        assert_eq!(taken("b", 9_999_999_999), 5);
        assert_eq!(taken("a", 10_000_000_000), 5);
        assert_eq!(quota.left_out(), 285);
        assert_eq!(
            quota.sum_up(),
            [
                "and 190 more like this: refused, a",
                "and 95 more like this: refused, b"
            ]
        );
        assert!(quota.sum_up().is_empty());
    }

    #[test]
    fn strangers_with_many_addresses_have_a_bound_together_and_leave_neighbours_theirs() {
        let quota = Quota::default();
        let many = 3 * MOST_TOLD_APART;
        let taken = (0..many).filter(|n| quota.takes(refused(&n.to_string()), 0));
        assert_eq!(taken.count() as u64, MOST_OF_STRANGERS);
        assert!(quota.state.lock().unwrap().lines.len() <= MOST_TOLD_APART + 1);
        let said = quota.sum_up();
        assert_eq!(said.len(), 11);
        assert!(said[0].ends_with("various things, many others"), "{said:?}");
        let neighbour = Alike {
            is_stranger: false,
            ..refused("Jaquez")
        };
        let quota = Quota::default();
        for n in 0..100 {
            quota.takes(refused(&n.to_string()), 0);
        }
        assert!(quota.takes(neighbour, 0));
    }
}

//! Lines that others can bring about as often as they like: a limited number of each kind is logged, and how many
//! more there were is said once.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How long lines are counted together.
pub const WINDOW: Duration = Duration::from_secs(10);

/// The number of lines of one kind about one other end that are logged within a window.
const MOST_OF_ONE: u64 = 5;

/// The number of lines that are logged within a window about all other ends together: whoever has a thousand
/// addresses must not fill a disk either. What is about this server's own neighbours, of which there are few, has no
/// part in that.
const MOST_OF_STRANGERS: u64 = 50;

/// The number of kinds and other ends that are told apart within a window; the rest are counted as one.
const MOST_TOLD_APART: usize = 1000;

/// The number of them that are named when a window is over.
const MOST_NAMED: usize = 10;

/// What a line is about, as far as lines are alike.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Alike {
    /// What happened, without anything that others chose.
    pub(super) what: String,
    /// A neighbour's name, or the address of another end of which no more is known.
    pub(super) whom: String,
    pub(super) is_stranger: bool,
}

/// What was logged within this window and what was left out.
#[derive(Default)]
pub struct Quota {
    state: Mutex<State>,
    left_out: AtomicU64,
}

#[derive(Default)]
struct State {
    /// Windows since 1970.
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
    /// How many lines were left out since the beginning.
    pub fn left_out(&self) -> u64 {
        self.left_out.load(Ordering::Relaxed)
    }

    /// Whether one more line of this kind is to be logged at this time, in nanoseconds since 1970.
    pub(super) fn takes(&self, alike: Alike, nanos: i128) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let State {
            window,
            of_strangers,
            lines,
        } = &mut *state;
        if *window != window_of(nanos) {
            // What was left out before is kept, to be reported.
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

    /// What was left out since the last call, in words; those first of which there were most.
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

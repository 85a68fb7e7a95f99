//! Which recipe a guided sweep runs next, by what its runs came across so far.
//!
//! A run leaves marks: the situations at a server, and pairs of them in a row. For each mark a few runs are kept that
//! came to it soonest. Most runs take one of these up to just after its mark and draw what follows anew; the fewer runs
//! came to a mark, the more often it is gone on from. So what takes several rare things in a row is come to step by
//! step. All others draw everything from a seed of their own.
//!
//! Runs are planned in generations of a fixed size, and a generation is planned by those before it alone. So neither
//! threads nor interruptions change what is run.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::situations::{Occurrence, Situation};
use crate::scenario::Recipe;
use crate::seed::{derive, stream};

/// The number of runs that are planned at a time.
pub(super) const GENERATION: u64 = 32;

/// One of this number of runs draws everything from a seed of its own.
const FRESH: u32 = 4;

/// The number of runs that are kept for a mark.
const KEPT: usize = 4;

/// Weights are fractions of this.
const WHOLE: u64 = 1 << 32;

/// A situation at a server, or two in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Mark(u16);

impl Mark {
    /// Two situations in a row, or one alone.
    fn of(first: Option<Situation>, then: Situation) -> Self {
        let number = |situation: Situation| situation as u16 + 1;
        Self(first.map_or(0, number) << 8 | number(then))
    }
}

/// What a run of a guided sweep drew from, and when it came to each mark first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trail {
    /// What the run drew from.
    pub recipe: Recipe,
    /// The marks, each with its first moment in nanoseconds.
    pub marks: BTreeMap<Mark, u64>,
}

impl Trail {
    /// The trail of a run.
    pub(super) fn of(recipe: Recipe, occurrences: &[Occurrence<'_>]) -> Self {
        let mut marks = BTreeMap::new();
        let mut before: BTreeMap<&str, Vec<Situation>> = BTreeMap::new();
        for &Occurrence { at, who, situation } in occurrences {
            marks.entry(Mark::of(None, situation)).or_insert(at);
            let before = before.entry(who).or_default();
            for &first in &*before {
                marks.entry(Mark::of(Some(first), situation)).or_insert(at);
            }
            if !before.contains(&situation) {
                before.push(situation);
            }
        }
        Self { recipe, marks }
    }
}

/// What the runs of a scenario came across.
#[derive(Default)]
pub(super) struct Guide {
    marks: BTreeMap<Mark, Seen>,
}

/// What is known of a mark.
#[derive(Default)]
struct Seen {
    /// How many runs came to it.
    runs: u64,
    /// How often it was gone on from.
    chosen: u64,
    /// The runs that came to it soonest, with the moment.
    kept: Vec<(u64, Recipe)>,
}

impl Seen {
    fn weight(&self) -> u64 {
        WHOLE / (self.runs + self.chosen)
    }
}

impl Guide {
    /// Takes in what a run came across.
    pub(super) fn learn(&mut self, trail: &Trail) {
        for (&mark, &at) in &trail.marks {
            let seen = self.marks.entry(mark).or_default();
            seen.runs += 1;
            seen.kept.push((at, trail.recipe.clone()));
            // The order of equal moments is that of runs.
            seen.kept.sort_by_key(|(at, _)| *at);
            seen.kept.truncate(KEPT);
        }
    }

    /// What the run `item` of a sweep draws from, whose own seed is `seed`. `first` is the first seed of the sweep.
    pub(super) fn recipe(&mut self, first: u64, item: u64, seed: u64) -> Recipe {
        let mut rng = stream(first, "guided sweep", item);
        if rng.random_ratio(1, FRESH) {
            return seed.into();
        }
        let Some((at, recipe)) = self.choose(&mut rng) else {
            return seed.into();
        };
        // The next whole millisecond, and a seed that is short enough to be typed.
        let moment = Duration::from_millis(at / 1_000_000 + 1);
        recipe.then(
            moment,
            derive(first, "guided seed", item) & u64::from(u32::MAX),
        )
    }

    /// A kept run of a mark, with the mark's moment.
    fn choose(&mut self, rng: &mut ChaCha8Rng) -> Option<(u64, Recipe)> {
        let all: u64 = self.marks.values().map(Seen::weight).sum();
        let mut left = rng.random_range(0..all.max(1));
        let mut marks = self.marks.values_mut();
        let seen = marks.find(|seen| {
            let weight = seen.weight();
            let is_it = left < weight;
            left = left.saturating_sub(weight);
            is_it
        })?;
        seen.chosen += 1;
        seen.kept.get(rng.random_range(0..seen.kept.len())).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn occurrence(at: u64, who: &str, situation: Situation) -> Occurrence<'_> {
        Occurrence { at, who, situation }
    }

    fn trail(seed: u64, occurrences: &[Occurrence<'_>]) -> Trail {
        Trail::of(seed.into(), occurrences)
    }

    #[test]
    fn a_trail_has_what_came_in_a_row_at_one_server() {
        let all = [
            occurrence(5, "Riley", Situation::Silent),
            occurrence(6, "Juzang", Situation::BothWays),
            occurrence(7, "Riley", Situation::BothWays),
            occurrence(9, "Riley", Situation::Silent),
        ];
        let marks = trail(1, &all).marks;
        let (silent, both) = (Situation::Silent, Situation::BothWays);
        let expected = [
            (Mark::of(None, silent), 5),
            (Mark::of(None, both), 6),
            (Mark::of(Some(silent), both), 7),
            (Mark::of(Some(silent), silent), 9),
            (Mark::of(Some(both), silent), 9),
        ];
        assert_eq!(marks, expected.into_iter().collect());
    }

    #[test]
    fn rare_marks_are_gone_on_from_most_and_the_soonest_runs_are_kept() {
        let mut guide = Guide::default();
        for seed in 0..50 {
            guide.learn(&trail(
                seed,
                &[occurrence(
                    1_000_000 * (100 - seed),
                    "a",
                    Situation::TwoDown,
                )],
            ));
        }
        guide.learn(&trail(77, &[occurrence(3_000_000, "a", Situation::Silent)]));
        let recipes: Vec<Recipe> = (0..60).map(|item| guide.recipe(0, item, item)).collect();
        let from = |seed: u64| {
            let from = recipes.iter().filter(|it| !it.later().is_empty());
            from.filter(|it| it.first() == seed).count()
        };
        assert!(from(77) > 15, "{recipes:?}");
        let later = recipes.iter().filter(|it| !it.later().is_empty());
        assert!(
            later
                .clone()
                .all(|it| [46, 47, 48, 49, 77].contains(&it.first())),
            "{recipes:?}"
        );
        let after = later
            .filter(|it| it.first() == 77)
            .map(|it| it.later()[0].0);
        assert!({ after }.all(|moment| moment == Duration::from_millis(4)));
        let fresh = recipes.iter().filter(|it| it.later().is_empty()).count();
        assert!((5..30).contains(&fresh), "{fresh}");
    }

    #[test]
    fn without_anything_to_go_on_from_each_run_has_its_own_seed() {
        let mut guide = Guide::default();
        let recipes: Vec<Recipe> = (5..9).map(|item| guide.recipe(5, item, item)).collect();
        let seeds: Vec<Recipe> = (5..9).map(Recipe::from).collect();
        assert_eq!(recipes, seeds);
    }
}

//! Shrinks a failing run to the fewest steps that fail in the same way, as a scenario file that a
//! person can read.

mod edits;
mod search;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::ops::{ControlFlow, RangeInclusive};
use std::time::Duration;

use crate::files::quoted;
use crate::scenario::{Action, Expect, Expected, InvariantExpectation, Recipe, Scenario};
use crate::sim::{self, Simulator, WorldKind};
use crate::trace::fingerprint::Fingerprint;
use crate::trace::invariants::Invariant;

pub use search::minimal;

/// Candidates for the time between two steps, in milliseconds, shortest first.
const GAPS: [u64; 6] = [0, 10, 100, 500, 1_000, 2_000];

/// The maximum number of rounds through all kinds of edits. Later rounds find nothing smaller.
const MOST_ROUNDS: usize = 4;

/// How many other seeds a scenario with fewer steps is tried with, where its own decides what a
/// failure of power takes.
const OTHER_SEEDS: u64 = 16;

/// With how many steps other seeds are tried: fewer are understood at a glance, and more would take
/// all runs.
const SOME_STEPS: RangeInclusive<usize> = 6..=40;

/// Limits of the search.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The maximum number of smaller scenarios to try. The result is the smallest that was found
    /// until then.
    pub runs: usize,
    /// What runs the scenarios, with a limit of wall time. A run that exceeds it counts as not
    /// failing in the same way.
    pub simulator: Simulator,
    /// What must pass whatever fails: another server, from which the failure tells this one.
    pub passes: Option<Simulator>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            runs: 3_000,
            simulator: Simulator::default(),
            passes: None,
        }
    }
}

/// A shrunk failing run.
#[derive(Clone, Debug)]
pub struct Shrunk {
    /// The smallest scenario, as read back from its file.
    pub scenario: Scenario,
    /// The scenario that was shrunk. What is left of it keeps its text in the file.
    pub original: Scenario,
    /// The world in which it fails.
    pub world: WorldKind,
    /// How the scenario fails: exactly as the original did.
    pub fingerprint: Fingerprint,
    /// The number of plain steps before shrinking.
    pub before: usize,
    /// The number of runs of the simulator that shrinking took.
    pub runs: usize,
    /// Why the search ended.
    pub end: End,
}

/// Why a search ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// No edit makes the scenario smaller.
    Smallest,
    /// The maximum number of tries was reached.
    Limit,
    /// The callback ended the search.
    Interrupted,
}

/// The progress of a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tried {
    /// The number of smaller scenarios that were tried.
    pub tries: usize,
    /// The number of steps before shrinking.
    pub before: usize,
    /// The number of steps of the smallest scenario so far.
    pub left: usize,
}

/// Why a run could not be shrunk.
#[derive(Debug, thiserror::Error)]
pub enum ShrinkError {
    /// The simulator failed.
    #[error(transparent)]
    Sim(#[from] sim::SimError),
    /// The run passed.
    #[error("nothing failed in this run, so there is nothing to shrink")]
    Held,
    /// No file of the scenario fails in the same way, neither in plain steps nor as it was written.
    #[error("written as a file it does not fail in the same way any more: {0}")]
    Lost(Fingerprint),
}

impl Shrunk {
    /// The text of the file: comments that say what fails and how to run `file`, and the scenario.
    pub fn file(&self, file: &str) -> String {
        let mut text = String::new();
        let _ = writeln!(text, "# Breaks {}.", self.fingerprint);
        let world = self.world.flag();
        let _ = writeln!(text, "# Again: herd run{world} {}\n", quoted(file));
        text + &self.scenario.to_toml_in_layout_of(&self.original)
    }
}

/// Shrinks the failing run of a scenario with its seed.
///
/// # Errors
///
/// If the run passes, or if the scenario written to a file does not fail in the same way.
pub fn shrink(scenario: &Scenario, limits: Limits) -> Result<Shrunk, ShrinkError> {
    shrink_watched(scenario, limits, &mut |_| ControlFlow::Continue(()))
}

/// Shrinks a failing run, and calls `watch` before each try. If it breaks, the result is the
/// smallest scenario so far.
///
/// # Errors
///
/// As of [`shrink`].
pub fn shrink_watched(
    scenario: &Scenario,
    limits: Limits,
    watch: &mut dyn FnMut(&Tried) -> ControlFlow<()>,
) -> Result<Shrunk, ShrinkError> {
    let trace = limits.simulator.run_once(scenario)?;
    let target = Fingerprint::of(&trace).ok_or(ShrinkError::Held)?;
    let mut shrinker = Shrinker {
        allowed: Fingerprint::all_broken(&trace),
        target,
        runs: 1,
        limits,
        tried: Tried {
            tries: 0,
            before: 0,
            left: 0,
        },
        end: End::Smallest,
        watch,
    };
    let mut plain = about_one_thing(scenario.plain(), &shrinker.target);
    let mut before = plain.steps.len();
    if !shrinker.breaks(&plain) {
        plain = scenario.clone();
        before = plain.steps.len();
        if !shrinker.breaks(&plain) {
            return Err(ShrinkError::Lost(shrinker.target));
        }
    }
    (shrinker.tried.before, shrinker.tried.left) = (before, before);
    let mut small = shrinker.search(plain);
    small.title = format!("{}, shrunk", shrinker.target.broken);
    small.about = Some(format!(
        "Made of {}, seed {}.",
        scenario.title, scenario.seed
    ));
    Ok(Shrunk {
        scenario: read_back(&small).unwrap_or(small),
        original: scenario.clone(),
        world: shrinker.limits.simulator.world,
        fingerprint: shrinker.target,
        before,
        runs: shrinker.runs,
        end: shrinker.end,
    })
}

/// Reduces the expectations to the violated invariant, if `target` is one. Many edits change an
/// expected reply, even on a correct server, so replies would hide the real failure.
fn about_one_thing(scenario: Scenario, target: &Fingerprint) -> Scenario {
    let Ok(invariant) = target.broken.parse::<Invariant>() else {
        return scenario;
    };
    let expect = Expect {
        note: None,
        sometimes: false,
        span: 0..0,
        what: InvariantExpectation(vec![invariant]).into(),
    };
    let mut scenario = scenario;
    for step in &mut scenario.steps {
        if let Action::Client(client) = &mut step.action {
            client.lines.iter_mut().for_each(|line| line.reply = None);
        }
    }
    Scenario {
        expects: vec![expect],
        ..scenario
    }
}

/// Writes the scenario and reads it again; `None` if the file is invalid.
fn read_back(scenario: &Scenario) -> Option<Scenario> {
    let text = scenario.to_toml();
    let (read, _) = Scenario::parse("shrunk.toml", &text, None).ok()?;
    Some(read)
}

struct Shrinker<'w> {
    target: Fingerprint,
    /// What failed in the original run, and so may fail in a smaller one.
    allowed: BTreeSet<String>,
    runs: usize,
    limits: Limits,
    tried: Tried,
    end: End,
    watch: &'w mut dyn FnMut(&Tried) -> ControlFlow<()>,
}

impl Shrinker<'_> {
    /// Whether a smaller scenario fails in the same way. `false` without a run once the search is
    /// over.
    fn fails(&mut self, scenario: &Scenario) -> bool {
        if self.is_over() {
            return false;
        }
        if (self.watch)(&self.tried).is_break() {
            self.end = End::Interrupted;
            return false;
        }
        if self.tried.tries >= self.limits.runs {
            self.end = End::Limit;
            return false;
        }
        self.tried.tries += 1;
        let fails = self.breaks(scenario);
        if fails {
            self.tried.left = scenario.steps.len();
        }
        fails
    }

    /// Whether the scenario, written and read back, fails with the target's fingerprint, and with
    /// nothing else that the original run did not fail with.
    fn breaks(&mut self, scenario: &Scenario) -> bool {
        let Some(read) = read_back(scenario) else {
            return false;
        };
        self.runs += 1;
        let Ok(trace) = self.limits.simulator.run_once(&read) else {
            return false;
        };
        let may_be = |broken: &String| {
            self.allowed.contains(broken) || broken.ends_with(sim::HAS_EFFECT.trim_start())
        };
        Fingerprint::of(&trace).as_ref() == Some(&self.target)
            && Fingerprint::all_broken(&trace).iter().all(may_be)
            && self.passes_elsewhere(&read)
    }

    fn passes_elsewhere(&mut self, scenario: &Scenario) -> bool {
        let Some(other) = &self.limits.passes else {
            return true;
        };
        self.runs += 1;
        let ran = other.run_once(scenario);
        ran.is_ok_and(|trace| trace.verdict().failed == 0)
    }

    fn search(&mut self, scenario: Scenario) -> Scenario {
        let mut best = scenario;
        for _ in 0..MOST_ROUNDS {
            let before = best.to_toml();
            let ways: [fn(&mut Self, Scenario) -> Scenario; 9] = [
                |it, best| it.fewer_expectations(&best),
                |it, best| it.fewer_units(&best),
                |it, best| it.fewer_steps(&best),
                |it, best| it.first_of(best, edits::with_less_said),
                Self::sooner,
                Self::fewer_servers,
                |it, best| it.first_of(best, edits::simpler_settings),
                Self::fewer_steps_of_any_seed,
                Self::names,
            ];
            for way in ways {
                if self.is_over() {
                    return best;
                }
                best = way(self, best);
            }
            if best.to_toml() == before {
                break;
            }
        }
        best
    }

    /// Whether the search is over. Checked before building a candidate, which would not be run.
    fn is_over(&self) -> bool {
        self.end != End::Smallest
    }

    fn fewer_expectations(&mut self, scenario: &Scenario) -> Scenario {
        let with = |expects: &[Expect]| Scenario {
            expects: expects.to_vec(),
            ..scenario.clone()
        };
        let kept = minimal(scenario.expects.clone(), &mut |expects| {
            // Invariants are checked in any case. Their expectations are kept so that the file says
            // what it shows.
            let is_told = |expect: &Expect| matches!(expect.what, Expected::Invariants(_));
            let all_told = scenario
                .expects
                .iter()
                .filter(|expect| is_told(expect))
                .all(|e| expects.contains(e));
            all_told && self.fails(&with(expects))
        });
        with(&kept)
    }

    fn fewer_units(&mut self, scenario: &Scenario) -> Scenario {
        let steps = |units: &[Vec<usize>]| units.concat();
        let kept = minimal(edits::units(scenario), &mut |units| {
            !units.is_empty()
                && !self.is_over()
                && self.fails(&edits::with_steps(scenario, steps(units)))
        });
        edits::with_steps(scenario, steps(&kept))
    }

    /// Leaves out single steps, such as one that clears a fault that is no longer in force.
    fn fewer_steps(&mut self, scenario: &Scenario) -> Scenario {
        let all: Vec<usize> = (0..scenario.steps.len()).collect();
        let kept = minimal(all, &mut |kept| {
            !kept.is_empty()
                && !self.is_over()
                && self.fails(&edits::with_steps(scenario, kept.iter().copied()))
        });
        edits::with_steps(scenario, kept)
    }

    /// Leaves out single steps where another seed makes up for them: what is left of a chance that
    /// the steps had changed.
    fn fewer_steps_of_any_seed(&mut self, scenario: Scenario) -> Scenario {
        if scenario.disks.is_none() || !SOME_STEPS.contains(&scenario.steps.len()) {
            return scenario;
        }
        let mut seed = scenario.seed.clone();
        let all: Vec<usize> = (0..scenario.steps.len()).collect();
        let kept = minimal(all, &mut |kept| {
            if kept.is_empty() {
                return false;
            }
            let mut smaller = edits::with_steps(&scenario, kept.iter().copied());
            let seeds = std::iter::once(seed.clone()).chain((0..OTHER_SEEDS).map(Recipe::from));
            let found = seeds.into_iter().find(|other| {
                smaller.seed = other.clone();
                self.fails(&smaller)
            });
            found.is_some_and(|found| {
                seed = found;
                true
            })
        });
        Scenario {
            seed,
            ..edits::with_steps(&scenario, kept)
        }
    }

    /// Replaces the scenario by its first candidate that fails, repeatedly, until none does.
    fn first_of(
        &mut self,
        scenario: Scenario,
        smaller: fn(&Scenario) -> Vec<Scenario>,
    ) -> Scenario {
        let mut best = scenario;
        while let Some(next) = smaller(&best)
            .into_iter()
            .find(|smaller| self.fails(smaller))
        {
            best = next;
        }
        best
    }

    /// Moves steps closer together, and the first of them close to the beginning.
    fn sooner(&mut self, scenario: Scenario) -> Scenario {
        let mut best = scenario;
        for at in 0..best.steps.len() {
            // Links may not be up within the first second, so the first step is not moved to 0.
            let gaps: &[u64] = if at == 0 { &[500, 1_000] } else { &GAPS };
            let mut gaps = gaps.iter().map(|&gap| Duration::from_millis(gap));
            let nearer = gaps.find_map(|gap| {
                let nearer = edits::sooner(&best, at, gap)?;
                self.fails(&nearer).then_some(nearer)
            });
            best = nearer.unwrap_or(best);
        }
        best
    }

    fn fewer_servers(&mut self, scenario: Scenario) -> Scenario {
        let mut best = scenario;
        let mut at = 0;
        while let Some(id) = best.herd.ids().nth(at) {
            let fewer = edits::without_server(&best, id).filter(|_| best.herd.servers().len() > 1);
            match fewer.filter(|fewer| self.fails(fewer)) {
                Some(fewer) => best = fewer,
                None => at += 1,
            }
        }
        best
    }

    /// Gives clients short, distinct names, as few as possible.
    fn names(&mut self, scenario: Scenario) -> Scenario {
        let mut best = scenario;
        for wanted in [
            &["kiwi"][..],
            &["kiwi", "plum"],
            &["kiwi", "plum", "fig", "lime"],
        ] {
            let renamed = edits::renamed(&best, wanted);
            if let Some(renamed) = renamed.filter(|renamed| self.fails(renamed)) {
                best = renamed;
                break;
            }
        }
        best
    }
}

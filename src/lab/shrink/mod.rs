//! A run that fails, shrunk: the same failure by the fewest steps, as a scenario's file that a person can read.

mod edits;
mod search;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::ops::ControlFlow;
use std::time::Duration;

use crate::files::quoted;
use crate::scenario::{Action, Expect, Expected, InvariantExpectation, Scenario};
use crate::sim::{self, Simulator};
use crate::trace::fingerprint::Fingerprint;
use crate::trace::invariants::Invariant;

pub use search::minimal;

/// Times between two steps that are worth trying, in milliseconds, the shortest first.
const GAPS: [u64; 6] = [0, 10, 100, 500, 1_000, 2_000];

/// The number of rounds of leaving out and moving together after which nothing becomes smaller.
const MOST_ROUNDS: usize = 4;

/// How long to search.
#[derive(Clone, Debug)]
pub struct Limits {
    /// How many smaller scenarios to try at most. What was found until then is what it comes to.
    pub runs: usize,
    /// How long one run may take in wall time. One that takes longer does not fail in the same way.
    pub simulator: Simulator,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            runs: 3_000,
            simulator: Simulator::default(),
        }
    }
}

/// What a failing run was made to.
#[derive(Clone, Debug)]
pub struct Shrunk {
    /// The scenario, as it is read from its file.
    pub scenario: Scenario,
    /// How it fails: as what it was made of.
    pub fingerprint: Fingerprint,
    /// How many steps it had in plain steps before.
    pub before: usize,
    /// How many runs it took.
    pub runs: usize,
    /// Why it is not smaller.
    pub end: End,
}

/// Why a search ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Nothing more can be left out.
    Smallest,
    /// All tries that were allowed were made.
    Limit,
    /// Who watched wanted it to end.
    Interrupted,
}

/// How far a search is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tried {
    /// How many smaller scenarios were tried.
    pub tries: usize,
    /// How many steps there were before.
    pub before: usize,
    /// How many there are in the smallest scenario so far.
    pub left: usize,
}

/// Why there is nothing to make small.
#[derive(Debug, thiserror::Error)]
pub enum ShrinkError {
    /// The scenario can't be run at all.
    #[error(transparent)]
    Sim(#[from] sim::SimError),
    /// Nothing fails in its run.
    #[error("nothing failed in this run, so there is nothing to shrink")]
    Held,
    /// Neither in plain steps nor as written does a file of it fail in the same way.
    #[error("written as a file it does not fail in the same way any more: {0}")]
    Lost(Fingerprint),
}

impl Shrunk {
    /// The file: a few words on what it is, and the scenario. `file` is what it is called there.
    pub fn file(&self, file: &str) -> String {
        let mut text = String::new();
        let _ = writeln!(text, "# Breaks {}.", self.fingerprint);
        let _ = writeln!(text, "# Again: herd run {}\n", quoted(file));
        text + &self.scenario.to_toml()
    }
}

/// Makes the failing run of a scenario small, with the seed that it has.
///
/// # Errors
///
/// When it does not fail, or can't be written so that it fails again.
pub fn shrink(scenario: &Scenario, limits: Limits) -> Result<Shrunk, ShrinkError> {
    shrink_watched(scenario, limits, &mut |_| ControlFlow::Continue(()))
}

/// Shrinks a failing run, and calls `watch` before each try to know whether to go on. When it says no, the result is
/// the smallest scenario that was found so far.
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
    let scenario = read_back(&small).unwrap_or(small);
    Ok(Shrunk {
        scenario,
        fingerprint: shrinker.target,
        before,
        runs: shrinker.runs,
        end: shrinker.end,
    })
}

/// The scenario with nothing expected but the invariant that was violated, if it is one. A reply that is expected
/// fails by many a change that has nothing to do with it, and would on a server that is right, too.
fn about_one_thing(scenario: Scenario, target: &Fingerprint) -> Scenario {
    let Ok(invariant) = target.broken.parse::<Invariant>() else {
        return scenario;
    };
    let expect = Expect {
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

/// What the scenario is when it is written and read.
fn read_back(scenario: &Scenario) -> Option<Scenario> {
    let text = scenario.to_toml();
    let (read, _) = Scenario::parse("shrunk.toml", &text, None).ok()?;
    Some(read)
}

struct Shrinker<'w> {
    target: Fingerprint,
    /// What else may fail, since it did before.
    allowed: BTreeSet<String>,
    runs: usize,
    limits: Limits,
    tried: Tried,
    end: End,
    watch: &'w mut dyn FnMut(&Tried) -> ControlFlow<()>,
}

impl Shrinker<'_> {
    /// Whether a smaller scenario fails in the same way. When the search is to end, none does.
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

    /// Whether the scenario, written and read again, fails in the same way, and in no other than before.
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
    }

    fn search(&mut self, scenario: Scenario) -> Scenario {
        let mut best = scenario;
        for _ in 0..MOST_ROUNDS {
            let before = best.to_toml();
            let ways: [fn(&mut Self, Scenario) -> Scenario; 8] = [
                |it, best| it.fewer_expectations(&best),
                |it, best| it.fewer_units(&best),
                |it, best| it.fewer_steps(&best),
                |it, best| it.first_of(best, edits::with_less_said),
                Self::sooner,
                Self::fewer_servers,
                |it, best| it.first_of(best, edits::simpler_settings),
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

    /// Whether no more is tried. Who looks here first need not make what would not be tried.
    fn is_over(&self) -> bool {
        self.end != End::Smallest
    }

    fn fewer_expectations(&mut self, scenario: &Scenario) -> Scenario {
        let with = |expects: &[Expect]| Scenario {
            expects: expects.to_vec(),
            ..scenario.clone()
        };
        let kept = minimal(scenario.expects.clone(), &mut |expects| {
            // Which invariant was violated is reported anyway, but the file keeps what it is about.
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

    /// Each step by itself, such as one that clears a fault that is no longer in force.
    fn fewer_steps(&mut self, scenario: &Scenario) -> Scenario {
        let all: Vec<usize> = (0..scenario.steps.len()).collect();
        let kept = minimal(all, &mut |kept| {
            !kept.is_empty()
                && !self.is_over()
                && self.fails(&edits::with_steps(scenario, kept.iter().copied()))
        });
        edits::with_steps(scenario, kept)
    }

    /// Takes the first of the smaller ones that fails, as long as there is one.
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

    /// Steps nearer to each other, and the first of them early.
    fn sooner(&mut self, scenario: Scenario) -> Scenario {
        let mut best = scenario;
        for at in 0..best.steps.len() {
            // Before a second has passed, links are not up.
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

    /// Clients with names that can be told apart at a glance, and as few of them as will do.
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

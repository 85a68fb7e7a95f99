//! The results of a sweep, as text and JSON. They depend only on what ran, not on where or when.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use super::coverage::{Counts, Coverage};
use super::plan::{Plan, Shard};
use super::results::{Failure, Outcomes};
use super::situations::Situation;
use crate::files::quoted;
use crate::report::show::grouped;
use crate::scenario::{Recipe, Scenario};
use crate::trace::fingerprint::Fingerprint;
use crate::trace::invariants::Invariant;

/// The maximum number of seeds that a group names; the others are counted.
const MOST_SEEDS: usize = 10;

/// The results of a sweep.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The plan of the sweep.
    pub plan: Plan,
    /// The number of this part of the plan, and the number of parts.
    pub part: (u64, u64),
    /// The number of runs. Unless the plan keeps going, runs after the first failure do not count.
    pub runs: u64,
    /// The number of events of all runs.
    pub events: u64,
    /// The number of runs that are due but have no outcome, as after an interruption.
    pub missing_runs: u64,
    /// The number of runs that were not due because one before them failed.
    pub skipped_runs: u64,
    /// Whether incomplete coverage is a failure.
    pub strict: bool,
    /// Failures with equal fingerprints, the most common first.
    pub groups: Vec<Group>,
    /// What the first failed runs of each group drew from, in a guided sweep.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub recipes: BTreeMap<u64, Recipe>,
    /// The coverage of the runs.
    pub coverage: Coverage,
    /// For each invariant that a scenario switches off: in how many runs it passed nevertheless.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<Without>,
    /// The parts of the coverage goal that never occurred. Empty if the sweep stopped at a failure,
    /// since the runs that it skipped might have reached them.
    pub never: Vec<String>,
}

/// An invariant that a scenario switches off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Without {
    /// The invariant.
    pub invariant: Invariant,
    /// The scenario's name.
    pub scenario: String,
    /// The number of runs of this scenario.
    pub runs: u64,
    /// The number of these runs in which the invariant passed.
    pub held: u64,
}

/// Runs that failed in the same way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Group {
    /// Which invariant or expectation failed.
    pub fingerprint: Fingerprint,
    /// The number of runs that failed so.
    pub runs: u64,
    /// Whether the simulation itself failed, rather than the servers.
    pub internal: bool,
    /// The failure of the first run, with names and numbers.
    pub words: String,
    /// The first runs by their number in the plan, up to `MOST_SEEDS`.
    pub first: Vec<u64>,
}

/// How often invariants passed although a scenario switches them off.
fn without(plan: &Plan, outcomes: &Outcomes) -> Vec<Without> {
    let scenarios = plan.scenarios.iter().enumerate();
    let all = scenarios.flat_map(|(which, swept)| {
        swept.without.iter().map(move |&invariant| {
            let runs = outcomes.values().filter(|it| plan.run(it.run).0 == which);
            let mut without = Without {
                invariant,
                scenario: swept.name.clone(),
                runs: 0,
                held: 0,
            };
            for run in runs {
                without.runs += 1;
                without.held += u64::from(run.coverage.needless.contains_key(invariant.name()));
            }
            without
        })
    });
    all.collect()
}

impl Report {
    /// Reports the outcomes of a whole sweep.
    pub fn new(plan: Plan, outcomes: Outcomes) -> Self {
        Self::of_part(plan, outcomes, Shard::WHOLE)
    }

    /// Reports the outcomes of one part. Outcomes of other parts do not count.
    pub fn of_part(plan: Plan, mut outcomes: Outcomes, part: Shard) -> Self {
        outcomes.retain(|run, _| part.has(*run));
        let first_failure = outcomes.values().find(|outcome| outcome.failure.is_some());
        let stopped = first_failure
            .map(|outcome| outcome.run)
            .filter(|_| !plan.keep_going);
        if let Some(last) = stopped {
            outcomes.retain(|run, _| *run <= last);
        }
        let due = plan
            .items(part)
            .take_while(|item| stopped.is_none_or(|last| *item <= last));
        let due = due.count() as u64;
        let skipped_runs = plan.items(part).count() as u64 - due;
        let mut coverage = Coverage::default();
        let mut groups: BTreeMap<Fingerprint, Group> = BTreeMap::new();
        for outcome in outcomes.values() {
            coverage.add(&outcome.coverage);
            if let Some(failure) = &outcome.failure {
                add(&mut groups, outcome.run, failure);
            }
        }
        let without = without(&plan, &outcomes);
        let shown = groups.values().flat_map(|group| &group.first);
        let recipes = shown.filter_map(|run| {
            let trail = outcomes.get(run)?.trail.as_ref()?;
            Some((*run, trail.recipe.clone()))
        });
        let recipes = recipes.collect();
        let mut groups: Vec<Group> = groups.into_values().collect();
        groups.sort_by_key(|group| std::cmp::Reverse(group.runs));
        let runs = outcomes.len() as u64;
        Self {
            runs,
            part: (part.number, part.of),
            events: coverage.events.values().sum(),
            missing_runs: due.saturating_sub(runs),
            skipped_runs,
            strict: false,
            groups,
            recipes,
            never: match skipped_runs {
                0 => coverage.missing(&plan.wanted),
                _ => Vec::new(),
            },
            coverage,
            without,
            plan,
        }
    }

    /// Whether no run failed.
    pub fn held(&self) -> bool {
        self.groups.is_empty()
    }

    /// Whether runs are missing that were due.
    pub fn is_partial(&self) -> bool {
        self.missing_runs > 0
    }

    /// Whether the sweep passed: every run was made and passed and, if the report is strict, the
    /// coverage is complete.
    pub fn is_good(&self) -> bool {
        self.held()
            && !self.is_partial()
            && self.runs > 0
            && !self.lacks()
            && self.unseen().is_empty()
    }

    /// What a scenario says must be so in one run at least, and was in none; nothing while runs are not made, or if this
    /// is a part of a sweep.
    fn unseen(&self) -> Vec<&str> {
        let is_whole = self.part.1 == 1 && !self.is_partial() && self.skipped_runs == 0;
        let all = self.coverage.sometimes.iter();
        let unseen = all.filter(|(_, runs)| is_whole && **runs == 0);
        unseen.map(|(name, _)| name.as_str()).collect()
    }

    fn lacks(&self) -> bool {
        self.strict && !self.never.is_empty()
    }

    /// The number of runs that failed.
    pub fn failures(&self) -> u64 {
        self.groups.iter().map(|group| group.runs).sum()
    }

    /// As one JSON object and a line feed.
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }

    /// The report as text for people.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        self.heading(&mut text);
        for group in &self.groups {
            self.group(group, &mut text);
        }
        for (title, counts) in [
            ("faults", &self.coverage.faults),
            ("events", &self.coverage.events),
        ] {
            counted(title, counts, &mut text);
        }
        let _ = writeln!(text, "\nsituations, and in how many runs");
        for (name, runs) in self.situations() {
            let _ = writeln!(text, "  {name:<56}{:>12}", grouped(runs));
        }
        if !self.coverage.sometimes.is_empty() {
            let _ = writeln!(text, "\nsometimes, and in how many runs");
            for (name, runs) in &self.coverage.sometimes {
                let _ = writeln!(text, "  {name:<56}{:>12}", grouped(*runs));
            }
        }
        if !self.never.is_empty() {
            let so_far = if self.is_partial() { " so far" } else { "" };
            let _ = writeln!(text, "\nnever{so_far}");
            for what in &self.never {
                let _ = writeln!(text, "  {what}");
            }
        }
        let _ = writeln!(text, "\n{}", self.verdict());
        text
    }

    fn heading(&self, text: &mut String) {
        let _ = writeln!(text, "{}\n  {}", self.subject(), self.extent());
        for swept in &self.plan.scenarios {
            if !swept.without.is_empty() {
                let names: Vec<&str> = swept.without.iter().map(|it| it.name()).collect();
                let _ = writeln!(text, "  without {} in {}", names.join(", "), swept.name);
            }
        }
        for Without {
            invariant,
            scenario,
            runs,
            held,
        } in &self.without
        {
            let (of, counted) = (grouped(*runs), grouped(*held));
            let _ = if held == runs && *runs > 0 {
                writeln!(
                    text,
                    "  `without` is needless in {scenario}: {invariant} passed in each of {of} runs"
                )
            } else {
                writeln!(
                    text,
                    "  {invariant} passed in {counted} of {of} runs of {scenario}"
                )
            };
        }
    }

    /// The scenarios and seeds that were swept, in words.
    pub fn subject(&self) -> String {
        let names: Vec<&str> = (self.plan.scenarios.iter())
            .map(|swept| swept.name.as_str())
            .collect();
        let (from, to) = self.plan.seeds;
        let swarm = if self.plan.swarm {
            ", each with faults and an order of tasks of its own"
        } else {
            ""
        };
        let guided = if self.plan.guided {
            ", guided by what runs came across"
        } else {
            ""
        };
        let paired = if self.plan.paired {
            ", each executed twice and compared"
        } else {
            ""
        };
        format!(
            "sweep of {}, seeds {from}..{to}{swarm}{guided}{paired}",
            names.join(", ")
        )
    }

    /// How many runs of how many were made, in words.
    pub fn extent(&self) -> String {
        let part = match self.part {
            (_, 1) => String::new(),
            (number, of) => format!(" (part {number} of {of})"),
        };
        format!(
            "{} of {} runs{part}, {} events",
            grouped(self.runs),
            grouped(self.plan.len()),
            grouped(self.events)
        )
    }

    fn group(&self, group: &Group, text: &mut String) {
        let Group {
            fingerprint,
            runs,
            words,
            first,
            ..
        } = group;
        let plural = if *runs == 1 { "" } else { "s" };
        let _ = writeln!(
            text,
            "\nFAILED  {} run{plural}: {fingerprint}",
            grouped(*runs)
        );
        let _ = writeln!(text, "          seeds:  {}", self.seeds(group));
        let _ = writeln!(text, "          first:  {words}");
        let _ = writeln!(text, "          again:  {}", self.again(first[0]));
    }

    /// The seeds of a group: the first ones, and the number of the others.
    pub fn seeds(&self, group: &Group) -> String {
        let seeds: Vec<String> = group.first.iter().map(|&run| self.named(run)).collect();
        let more = match group.runs - group.first.len() as u64 {
            0 => String::new(),
            more => format!(", and {} more", grouped(more)),
        };
        format!("{}{more}", seeds.join(", "))
    }

    /// The seed of a run, after its scenario's name if the plan has several.
    fn named(&self, run: u64) -> String {
        let (scenario, seed) = (self.plan.run(run).0, self.recipe(run));
        match self.plan.scenarios.as_slice() {
            [_] => seed.to_string(),
            several => format!("{} {seed}", several[scenario].name),
        }
    }

    /// What a run drew from. In a guided sweep, it is known of the runs that groups name.
    pub fn recipe(&self, run: u64) -> Recipe {
        let recipe = self.recipes.get(&run).cloned();
        recipe.unwrap_or_else(|| self.plan.run(run).1.into())
    }

    /// The scenario of such a run.
    pub fn scenario_of(&self, scenarios: &[Scenario], run: u64) -> Scenario {
        super::with_recipe(scenarios, &self.plan, run, self.recipe(run))
    }

    /// The command line that repeats a run.
    pub fn again(&self, run: u64) -> String {
        self.command("run", run)
    }

    /// The command line that shrinks a run.
    pub fn smaller(&self, run: u64) -> String {
        self.command("shrink", run)
    }

    fn command(&self, verb: &str, run: u64) -> String {
        let (scenario, seed) = (self.plan.run(run).0, self.recipe(run));
        let swarm = if self.plan.swarm { " --swarm" } else { "" };
        let world = self.plan.world.flag();
        let file = quoted(&self.plan.scenarios[scenario].file);
        format!("herd {verb}{world}{swarm} --seed {seed} {file}")
    }

    /// Every situation, and the number of runs in which it occurred.
    pub fn situations(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = &self.coverage.situations;
        let names = Situation::ALL.map(Situation::name).into_iter();
        names.map(|name| (name, counts.get(name).copied().unwrap_or_default()))
    }

    /// One line: whether the sweep passed, failed or is partial.
    pub fn verdict(&self) -> String {
        let runs = grouped(self.runs);
        let partial = match self.missing_runs {
            0 => String::new(),
            missing => format!("PARTIAL, {} runs are missing; ", grouped(missing)),
        };
        let never = match self.never.len() {
            0 => String::new(),
            count => format!("; {count} wanted and never seen"),
        };
        if self.runs == 0 {
            return format!("{partial}FAILED: nothing was run, so nothing is known");
        }
        let ways = match self.groups.len() {
            1 => "one way".to_owned(),
            several => format!("{several} ways"),
        };
        let skipped = match self.skipped_runs {
            0 => String::new(),
            skipped => format!(
                "; stopped at the first, {} runs were not made (--keep-going makes them)",
                grouped(skipped)
            ),
        };
        let verdict = if !self.held() {
            format!(
                "FAILED: {} of {runs} runs, in {ways}{skipped}{never}",
                grouped(self.failures()),
            )
        } else if let [first, more @ ..] = self.unseen().as_slice() {
            let more = match more.len() {
                0 => String::new(),
                more => format!(", and {more} more"),
            };
            format!(
                "FAILED: {runs} runs passed, but none saw what it must sometimes: {first}{more}"
            )
        } else if self.lacks() {
            let never = self.never.len();
            format!("FAILED: {runs} runs passed, but {never} wanted and never seen (--strict)")
        } else {
            format!("PASSED: {runs} runs{never}")
        };
        format!("{partial}{verdict}")
    }
}

fn add(groups: &mut BTreeMap<Fingerprint, Group>, run: u64, failure: &Failure) {
    let group = groups
        .entry(failure.fingerprint.clone())
        .or_insert_with(|| Group {
            fingerprint: failure.fingerprint.clone(),
            runs: 0,
            internal: failure.internal,
            words: failure.words.clone(),
            first: Vec::new(),
        });
    group.runs += 1;
    if group.first.len() < MOST_SEEDS {
        group.first.push(run);
    }
}

fn counted(title: &str, counts: &Counts, text: &mut String) {
    if counts.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n{title}");
    for (name, count) in ranked(counts) {
        let _ = writeln!(text, "  {name:<24}{:>16}", grouped(count));
    }
}

/// The counts as a list, the highest first, equal ones by name.
pub(crate) fn ranked(counts: &Counts) -> Vec<(&str, u64)> {
    let mut ranked: Vec<(&str, u64)> = counts
        .iter()
        .map(|(name, count)| (name.as_str(), *count))
        .collect();
    ranked.sort_by_key(|(name, count)| (std::cmp::Reverse(*count), *name));
    ranked
}

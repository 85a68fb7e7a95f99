//! What runs covered: which faults, kinds of events and situations occurred, and how often.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::situations::{Occurrence, Situation};
use crate::scenario::{Action, Drawn, FaultKind, Scenario, Usual};
use crate::trace::Trace;

/// How often something occurred, by its name. What never occurred has no entry.
pub type Counts = BTreeMap<String, u64>;

/// The coverage of one run, or of several.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coverage {
    /// The number of faults that began, by the name of their kind.
    pub faults: Counts,
    /// The number of events, by their kind.
    pub events: Counts,
    /// The number of runs in which a situation occurred, by its name.
    pub situations: Counts,
    /// The number of runs in which an invariant passed though the scenario switches it off, by its
    /// name.
    #[serde(default, skip_serializing_if = "Counts::is_empty")]
    pub needless: Counts,
    /// In how many runs something was so that must be in one at least: by what it is and its scenario, with 0 for what
    /// was not.
    #[serde(default, skip_serializing_if = "Counts::is_empty")]
    pub sometimes: Counts,
}

/// The coverage that a sweep of some scenarios should reach.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoverageGoal {
    /// Kinds of faults, by name.
    pub faults: BTreeSet<String>,
    /// Kinds of events.
    pub events: BTreeSet<String>,
    /// Situations, by name.
    pub situations: BTreeSet<String>,
}

impl Coverage {
    /// The coverage of one run of an [expanded](Scenario::expanded) scenario, in which these situations occurred.
    pub fn of(expanded: &Scenario, trace: &Trace, occurrences: &[Occurrence<'_>]) -> Self {
        let mut coverage = Self::default();
        for (fault, count) in faults_in(expanded) {
            if count > 0 {
                *coverage.faults.entry(fault.name.to_owned()).or_default() += count;
            }
        }
        let mut events: BTreeMap<&'static str, u64> = BTreeMap::new();
        for event in &trace.events {
            *events.entry(event.what.kind()).or_default() += 1;
        }
        let events = events.into_iter();
        coverage.events = events
            .map(|(kind, count)| (kind.to_owned(), count))
            .collect();
        let situations: BTreeSet<Situation> = occurrences
            .iter()
            .map(|occurrence| occurrence.situation)
            .collect();
        for situation in situations {
            coverage.situations.insert(situation.name().to_owned(), 1);
        }
        let needless = trace.header.needless.iter();
        coverage.needless = needless.map(|it| (it.name().to_owned(), 1)).collect();
        let name = |about: &str| format!("{}: {about}", trace.header.scenario);
        let sometimes = trace.header.sometimes.iter();
        let sometimes = sometimes.map(|it| (name(&it.about), u64::from(it.seen)));
        coverage.sometimes = sometimes.collect();
        coverage
    }

    /// Adds the coverage of another run.
    pub fn add(&mut self, other: &Self) {
        for (mine, theirs) in [
            (&mut self.faults, &other.faults),
            (&mut self.events, &other.events),
            (&mut self.situations, &other.situations),
            (&mut self.needless, &other.needless),
            (&mut self.sometimes, &other.sometimes),
        ] {
            for (name, count) in theirs {
                *mine.entry(name.clone()).or_default() += count;
            }
        }
    }

    /// The parts of the goal that never occurred: `fault: crash`.
    pub fn missing(&self, wanted: &CoverageGoal) -> Vec<String> {
        let mut missing = Vec::new();
        for (what, wanted, came) in [
            ("fault", &wanted.faults, &self.faults),
            ("event", &wanted.events, &self.events),
            ("situation", &wanted.situations, &self.situations),
        ] {
            let absent = wanted.iter().filter(|name| !came.contains_key(*name));
            missing.extend(absent.map(|name| format!("{what}: {name}")));
        }
        missing
    }
}

impl CoverageGoal {
    /// Everything that these scenarios can cause.
    pub fn of(scenarios: &[Scenario]) -> Self {
        let mut wanted = Self::default();
        let mut faults = BTreeSet::new();
        for scenario in scenarios {
            let usual = scenario.usual();
            for step in &scenario.steps {
                match &step.action {
                    Action::Random(random) => {
                        faults.extend(random.faults.iter().map(|(fault, _)| *fault));
                        wanted.events.insert("chose".to_owned());
                    }
                    Action::Workload(load) if load.whatsat > 0 => {
                        wanted.events.insert("look-up".to_owned());
                    }
                    action => faults.extend(fault_of(action, &usual)),
                }
            }
            if scenario.asks_places {
                let places = ["places-asked", "places-told"];
                wanted.events.extend(places.map(str::to_owned));
            }
        }
        let always = [
            "accepted",
            "closed",
            "ignored",
            "line-in",
            "line-out",
            "link-up",
            "opened",
            "started",
            "synchronised",
        ];
        wanted.events.extend(always.map(str::to_owned));
        for fault in &faults {
            wanted.events.insert("affected".to_owned());
            let events = fault.events.iter();
            wanted.events.extend(events.map(|kind| (*kind).to_owned()));
        }
        wanted.faults = faults.iter().map(|fault| fault.name.to_owned()).collect();
        let possible = Situation::ALL
            .into_iter()
            .filter(|situation| situation.can_come(&faults));
        wanted.situations = possible
            .map(|situation| situation.name().to_owned())
            .collect();
        wanted
    }
}

/// The faults of an expanded scenario, and how often each begins.
fn faults_in(expanded: &Scenario) -> Vec<(FaultKind, u64)> {
    let drawn: BTreeSet<usize> = (expanded.steps.iter())
        .filter(|step| matches!(step.action, Action::Drawn(_)))
        .map(|step| step.span.start)
        .collect();
    let (mut found, usual) = (Vec::new(), expanded.usual());
    for step in &expanded.steps {
        if let Action::Drawn(Drawn::Random(random, counts)) = &step.action {
            let kinds = random.faults.iter().zip(counts);
            found.extend(kinds.map(|((fault, _), count)| (*fault, u64::from(*count))));
        } else if !drawn.contains(&step.span.start) {
            found.extend(fault_of(&step.action, &usual).map(|fault| (fault, 1)));
        }
    }
    found
}

/// The kind of fault that a plain step begins. A step that sets what is already the scenario's
/// default begins none.
fn fault_of(action: &Action, usual: &Usual) -> Option<FaultKind> {
    match action {
        Action::Begin(fault) => (!fault.is_none(usual)).then_some(fault.kind),
        _ => None,
    }
}

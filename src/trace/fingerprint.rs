//! How a run failed, without names, numbers and times: two runs that failed in the same way have
//! the same fingerprint.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::invariants::{Invariant, Patience, Run};
use super::{Judgement, Trace};
use crate::journal::{Actor, EventId};

/// How a run failed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Fingerprint {
    /// What failed: an invariant's name, or an expectation's words without names and numbers.
    pub broken: String,
    /// The kinds of the events that show the failure first, in alphabetical order.
    pub shape: Vec<String>,
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.broken)?;
        if !self.shape.is_empty() {
            write!(f, " ({})", self.shape.join(", "))?;
        }
        Ok(())
    }
}

impl Fingerprint {
    /// The fingerprint of a run, or `None` if the run passed. If several checks failed, the first
    /// invariant counts, since its cause is mostly why the others failed.
    pub fn of(trace: &Trace) -> Option<Self> {
        let broken = || {
            trace
                .judgements
                .iter()
                .filter(|judgement| !judgement.passed)
        };
        let first = broken().filter(|judgement| judgement.invariant.is_some());
        let first = first.min_by_key(|judgement| judgement.invariant);
        let judgement = first.or_else(|| broken().next())?;
        let (broken, events) = match judgement.invariant {
            Some(invariant) => (
                invariant.name().to_owned(),
                first_violation(trace, invariant, judgement),
            ),
            None => (
                without_names(trace, &judgement.about),
                judgement.events.clone(),
            ),
        };
        Some(Self {
            broken,
            shape: shape(trace, &events),
        })
    }

    /// The fingerprint of a run that gave no trace, for a reason in these words.
    pub fn of_failure(words: &str) -> Self {
        Self {
            broken: words.to_owned(),
            shape: Vec::new(),
        }
    }

    /// Everything that failed in a run: invariants by their names, expectations by their words
    /// without names and numbers.
    pub fn all_broken(trace: &Trace) -> BTreeSet<String> {
        let broken = trace
            .judgements
            .iter()
            .filter(|judgement| !judgement.passed);
        let name = |judgement: &Judgement| match judgement.invariant {
            Some(invariant) => invariant.name().to_owned(),
            None => without_names(trace, &judgement.about),
        };
        broken.map(name).collect()
    }
}

/// The events of the first violation that the judgement lists. The judgement's own events are those
/// of several violations.
fn first_violation(trace: &Trace, invariant: Invariant, judgement: &Judgement) -> Vec<EventId> {
    let violations = invariant.violations(&Run {
        header: &trace.header,
        herd: &trace.herd,
        events: &trace.events,
        // If the run ended otherwise, this finds violations that the judgement does not list; they
        // are skipped.
        until_quiet: true,
        patience: Some(Patience::ENDLESS),
        rules: None,
        census: &[],
    });
    let is_told = |event: &EventId| judgement.events.contains(event);
    let mut violations = violations.into_iter();
    let first = violations.find(|violation| violation.events.iter().all(is_told));
    first.map_or_else(|| judgement.events.clone(), |first| first.events)
}

fn shape(trace: &Trace, events: &[EventId]) -> Vec<String> {
    let events = events.iter().filter_map(|&id| trace.event(id));
    let kinds: BTreeSet<&str> = events.map(|event| event.what.kind()).collect();
    kinds.into_iter().map(str::to_owned).collect()
}

/// The words of a judgement, with `…` in place of each name and number.
fn without_names(trace: &Trace, about: &str) -> String {
    let servers: Vec<&str> = trace.herd.server_names().collect();
    let mut others: BTreeSet<&str> = (trace.events.iter())
        .filter_map(|event| match &event.who {
            Actor::Client(name) | Actor::Peer(name) => Some(&**name),
            _ => None,
        })
        .collect();
    others.extend(trace.updates.iter().map(|update| update.name.as_str()));
    others.extend(trace.header.workloads.iter().map(|load| load.name.as_str()));
    let names = |word: &str| {
        let bare = word.trim_end_matches([',', ':']);
        let counts = bare.bytes().any(|byte| byte.is_ascii_digit());
        let server = servers.iter().any(|server| bare.contains(server));
        counts || server || others.contains(bare)
    };
    let mut words: Vec<String> = Vec::new();
    for word in about.split_whitespace() {
        let end = word.trim_start_matches(|c| c != ',' && c != ':');
        let word = match names(word) {
            true if end == "," || end == ":" => format!("…{end}"),
            true => "…".to_owned(),
            false => word.to_owned(),
        };
        // A list of names becomes one `…`, however long it is.
        if words
            .last()
            .is_none_or(|last| *last != word || !word.starts_with('…'))
        {
            words.push(word);
        }
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::mistakes::Mistake;
    use crate::scenario::Scenario;
    use crate::sim::Simulator;

    fn run(steps: &str, seed: u64) -> Trace {
        run_with(&Simulator::default(), steps, seed)
    }

    /// The run in which `server` makes a mistake.
    fn mistaken(mistake: Mistake, server: &str, steps: &str, seed: u64) -> Trace {
        let simulator = Simulator::default().with_mistake(mistake.made_by(server));
        run_with(&simulator, steps, seed)
    }

    fn run_with(simulator: &Simulator, steps: &str, seed: u64) -> Trace {
        let text = format!("title = \"t\"\nherd = \"riley\"\nseed = {seed}\n{steps}");
        let (scenario, _) = Scenario::parse("t.toml", &text, None).expect("a right scenario");
        simulator.run_once(&scenario).expect("it runs")
    }

    fn kiwi(to: &str) -> String {
        format!(
            "steps = [{{ at = \"1s\", client = \"kiwi\", to = \"{to}\", send = \"IAMAT kiwi +1+1 {{now}}\" }}]"
        )
    }

    #[test]
    fn a_run_that_holds_has_none() {
        assert_eq!(Fingerprint::of(&run(&kiwi("Riley"), 1)), None);
    }

    #[test]
    fn it_is_the_same_wherever_and_whenever_the_same_breaks() {
        let broken = |server: &str, to: &str, seed| {
            let trace = mistaken(Mistake::TellsBack, server, &kiwi(to), seed);
            Fingerprint::of(&trace).expect("it is broken").to_string()
        };
        let one = broken("Jaquez", "Riley", 1);
        assert_eq!(one, "sends-bounded (accepted, line-out)");
        assert_eq!(broken("Juzang", "Campbell", 2), one);
    }

    #[test]
    fn an_invariant_goes_before_what_was_expected() {
        let steps = kiwi("Riley") + "\n[[expect]]\nupdate = \"kiwi\"\nreaches = \"all\"";
        let trace = mistaken(Mistake::IgnoresNeighbours, "Campbell", &steps, 1);
        let fingerprint = Fingerprint::of(&trace).expect("it is broken");
        assert_eq!(fingerprint.to_string(), "agreement (accepted)");
        let all: Vec<String> = Fingerprint::all_broken(&trace).into_iter().collect();
        assert_eq!(all, ["agreement", "…: reaches …"]);
    }

    #[test]
    fn an_expectation_is_known_by_its_words_without_names() {
        let broken = |steps: &str| Fingerprint::of(&run(steps, 1)).expect("broken").to_string();
        let hops = |to: &str, server: &str| {
            format!(
                "{}\n[[expect]]\nupdate = \"kiwi\"\nhops = {{ {server} = 7 }}",
                kiwi(to)
            )
        };
        let one = broken(&hops("Riley", "Campbell"));
        assert_eq!(one, "…: hops to … (accepted)");
        assert_eq!(broken(&hops("Bernard", "Jaquez")), one);
        let cut = "steps = [{ at = \"1s\", partition = \"Riley-Juzang\" }, { at = \"1001ms\", heal = \"all\" }]";
        assert_eq!(broken(cut), "`partition` has an effect (cut)");
    }
}

//! Each mistake of a server has a small scenario in `tests/mutants/`, which fails with the mistake
//! in a few steps and passes without it. `herd mutants --out tests/mutants` wrote these files.

#![cfg(feature = "sim")]

use std::collections::BTreeMap;
use std::path::Path;

use proxy_herd::report::{self, Detail};
use proxy_herd::scenario::Scenario;
use proxy_herd::sim;

/// The largest number of steps that a person understands at a glance.
const MOST_STEPS: usize = 5;

/// The scenario of each mutant, by the mutant's name.
fn files() -> BTreeMap<String, Scenario> {
    let folder = Path::new("tests/mutants")
        .read_dir()
        .expect("the folder is there");
    let files = folder.map(|entry| {
        let path = entry.expect("readable").path();
        let name = path.file_stem().expect("a file has a name");
        // Warnings are allowed, since a herd that was shrunk can be partitioned.
        let (scenario, _) = Scenario::load(&path).expect("a right scenario");
        (name.to_string_lossy().into_owned(), scenario)
    });
    files.collect()
}

#[test]
fn what_shows_a_mistake_holds_of_the_true_server() {
    let files = files();
    assert!(files.len() >= 12, "{:?}", files.keys());
    for (name, scenario) in files {
        let trace = sim::run_once(&scenario).expect("it runs");
        let told = report::text(&trace, Detail::Story);
        assert_eq!(trace.verdict().failed, 0, "{name}: {told}");
    }
}

#[test]
fn what_shows_a_mistake_is_small() {
    for (name, scenario) in files() {
        let steps = scenario.steps.len();
        assert!(
            (1..=MOST_STEPS).contains(&steps),
            "{name} has {steps} steps"
        );
    }
}

#[cfg(feature = "mutants")]
mod told {
    use super::*;
    use proxy_herd::mutants::Mutant;
    use proxy_herd::sim::Simulator;
    use proxy_herd::trace::fingerprint::Fingerprint;

    #[test]
    fn every_mutant_has_a_file_and_every_file_a_mutant() {
        let mutants: Vec<&str> = Mutant::ALL.iter().map(Mutant::name).collect();
        let mut sorted = mutants.clone();
        sorted.sort_unstable();
        let files = files();
        let files: Vec<&str> = files.keys().map(String::as_str).collect();
        assert_eq!(files, sorted);
    }

    #[test]
    fn each_file_breaks_as_it_says_when_all_servers_make_the_mistake() {
        for mutant in Mutant::ALL {
            let scenario = &files()[mutant.name()];
            let simulator = mutant.in_place_of_all(Simulator::default());
            let trace = simulator.run_once(scenario).expect("it runs");
            let told = report::text(&trace, Detail::Story);
            let broken = Fingerprint::of(&trace).unwrap_or_else(|| panic!("{mutant}: {told}"));
            let says = scenario.source.text.lines().next();
            assert_eq!(says, Some(&*format!("# Breaks {broken}.")), "{mutant}");
        }
    }

    #[test]
    fn a_mistake_is_made_by_the_servers_of_its_simulator_alone() {
        let mutant: Mutant = "hops-twice".parse().expect("a mutant");
        let scenario = &files()["hops-twice"];
        let broken = |simulator: &Simulator| {
            let trace = simulator.run_once(scenario).expect("it runs");
            trace.verdict().failed
        };
        let true_one = Simulator::default();
        let only = |server: &str| mutant.in_place_of(server, true_one.clone());
        assert_eq!(broken(&only("Juzang")), 0, "nobody hears of it from there");
        assert!(broken(&only("Riley")) > 0);
        assert_eq!(broken(&true_one), 0);
        // Side by side, on several threads.
        let all = mutant.in_place_of_all(true_one.clone());
        std::thread::scope(|scope| {
            let others = scope.spawn(|| broken(&all));
            assert_eq!(broken(&true_one), 0);
            assert!(others.join().expect("it runs") > 0);
        });
    }

    /// Its tasks are in an unlucky order only where the seed shuffles them.
    #[test]
    fn a_lock_that_is_dropped_shows_by_shuffling_alone() {
        let mutant: Mutant = "drops-the-lock".parse().expect("a mutant");
        let simulator = mutant.in_place_of_all(Simulator::default());
        let breaks = |seed: u64, shuffle| {
            let mut scenario = files()["drops-the-lock"].clone();
            (scenario.seed, scenario.shuffle) = (seed.into(), shuffle);
            simulator
                .run_once(&scenario)
                .expect("it runs")
                .verdict()
                .failed
                > 0
        };
        assert!((0..200).any(|seed| breaks(seed, true)));
        assert!(!(0..200).any(|seed| breaks(seed, false)));
    }

    #[test]
    fn unknown_mutants_are_told_which_there_are() {
        let error = "no-tie".parse::<Mutant>().expect_err("unknown");
        assert!(
            error
                .to_string()
                .starts_with("unknown mutant `no-tie`; there are no-tie-break, ")
        );
    }
}

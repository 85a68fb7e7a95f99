//! Another mixture of faults for each seed.

use std::time::Duration;

use rand::RngExt as _;

use crate::scenario::{Action, Random, Scenario};
use crate::seed::stream;

/// By what factor a fault becomes rarer than it is written, in halves: from twice as often to a quarter as often.
const HALVES: std::ops::RangeInclusive<u32> = 1..=8;

/// About the maximum number of faults, as in a file.
const MOST_FAULTS: u32 = 1_000;

impl Scenario {
    /// The same scenario with a mixture of faults of its own, which follows from its seed at the beginning of a random
    /// step: of each about
    /// half the kinds of faults, and at least one, each at a rate that is drawn, too. With all kinds at once each
    /// hides what the others alone would do. It is acceptable then that too few of them have an effect.
    #[must_use]
    pub fn swarmed(&self) -> Self {
        let mut swarmed = self.clone();
        swarmed.swarm = true;
        swarmed.shuffle = true;
        let mut number = 0;
        for step in &mut swarmed.steps {
            if let Action::Random(random) = &mut step.action {
                number += 1;
                mix(random, self.seed.at(step.at), number, self.tick);
            }
        }
        swarmed
    }
}

fn mix(random: &mut Random, seed: u64, number: u64, tick: Duration) {
    let mut rng = stream(seed, "swarm", number);
    let kinds = u32::try_from(random.faults.len()).unwrap_or(u32::MAX);
    let least = random.lasts * kinds / MOST_FAULTS;
    let spared = rng.random_range(0..random.faults.len());
    let mut at = 0;
    // All that there is to draw is drawn, so that no kind changes what the others draw.
    random.faults.retain_mut(|(_, mean)| {
        let (chosen, halves) = (rng.random_range(0..2) == 0, rng.random_range(HALVES));
        *mean = in_ticks((*mean * halves / 2).max(least), tick);
        at += 1;
        chosen || at - 1 == spared
    });
    random.maybe = true;
}

fn in_ticks(duration: Duration, tick: Duration) -> Duration {
    let ticks = duration.as_nanos().div_ceil(tick.as_nanos()).max(1);
    tick * u32::try_from(ticks).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::scenario::FaultKind;

    fn scenario(seed: u64) -> Scenario {
        let text = format!(
            "title = \"t\"\nherd = \"riley\"\ntick = \"10ms\"\nclient_latency = \"10ms\"\nseed = {seed}\n\
             steps = [{{ at = \"1s\", random = {{ crash = \"1s\", freeze = \"300ms\", sever = \"1s\", skew = \"2s\" }},\n\
             lasts = \"5s\", holds = \"100ms\" }}]"
        );
        Scenario::parse("t.toml", &text, None).unwrap().0
    }

    fn faults(seed: u64) -> Vec<(FaultKind, Duration)> {
        match &scenario(seed).swarmed().steps[0].action {
            Action::Random(random) if random.maybe => random.faults.clone(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_seed_has_a_mixture_of_its_own_and_always_the_same() {
        let kinds = |seed| {
            let kinds: Vec<FaultKind> = faults(seed).into_iter().map(|(kind, _)| kind).collect();
            kinds
        };
        let mixtures: BTreeSet<Vec<FaultKind>> = (0..200).map(kinds).collect();
        // Every set of four kinds but the empty one.
        assert_eq!(mixtures.len(), 15);
        assert_eq!(faults(7), faults(7));
    }

    #[test]
    fn rates_are_drawn_in_ticks_around_what_is_written() {
        let freezes = (0..200)
            .flat_map(faults)
            .filter(|(kind, _)| kind.name == "freeze");
        let means: BTreeSet<Duration> = freezes.map(|(_, mean)| mean).collect();
        let halves = (1..=8).map(|halves| Duration::from_millis(150) * halves);
        assert_eq!(means, halves.collect());
    }

    /// What the seed chose is a scenario that can be written and read.
    #[test]
    fn a_mixture_reads_back() {
        for seed in 0..20 {
            let swarmed = scenario(seed).swarmed();
            let (again, _) = Scenario::parse("t.toml", &swarmed.to_toml(), None).unwrap();
            assert_eq!(again.to_toml(), swarmed.to_toml());
        }
    }
}

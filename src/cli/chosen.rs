//! What a command line chooses for a scenario in place of what its file says.

use crate::scenario::{Recipe, Scenario};

/// The seed, and what it decides.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Chosen {
    /// Run with this seed instead of the scenario's; `7,1250ms:99` draws from 99 from 1250 ms on
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    seed: Option<Recipe>,
    /// Run with the mixture of faults and the order of tasks that the seed draws, as `herd sweep` does
    #[arg(long)]
    pub(super) swarm: bool,
    /// Let the seed also decide which of a server's tasks that could go on goes on first; `--swarm`
    /// does so, too
    #[arg(long)]
    shuffle: bool,
}

impl Chosen {
    /// The scenario with the seed and the order of tasks.
    pub(super) fn seeded(&self, scenario: Scenario) -> Scenario {
        let mut scenario = match self.seed.clone() {
            Some(seed) => scenario.with_seed(seed),
            None => scenario,
        };
        scenario.shuffle |= self.shuffle;
        scenario
    }

    /// The scenario with the mixture of faults of that seed, too.
    pub(super) fn of(&self, scenario: Scenario) -> Scenario {
        let scenario = self.seeded(scenario);
        if self.swarm {
            scenario.swarmed()
        } else {
            scenario
        }
    }
}

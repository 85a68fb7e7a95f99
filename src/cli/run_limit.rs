//! How scenarios are run: flags that several commands share.

use std::time::Duration;

use super::interrupt::Interrupt;
use crate::sim::{Simulator, WorldKind};
use crate::units::parse_duration;

/// The limit of a run's wall time.
#[derive(clap::Args)]
pub(super) struct RunLimit {
    /// The wall time that one execution of a scenario may take; a longer one fails, as when a
    /// server spins
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = limit)]
    run_limit: Duration,
}

impl RunLimit {
    /// The simulator of this world for a command that Ctrl-C ends at once.
    pub(super) fn simulator(&self, world: WorldKind) -> Simulator {
        Simulator {
            world,
            ..self.run_limit.into()
        }
    }
}

/// The limit, and the world.
#[derive(clap::Args)]
pub(super) struct Limited {
    #[command(flatten)]
    limit: RunLimit,

    /// The world that scenarios run in: `packets`, whose time is exact and whose network sends again
    /// what a cut has lost, or `turmoil`, whose time goes in the scenario's ticks and whose network
    /// loses nothing
    #[arg(long, value_name = "WORLD", default_value_t)]
    world: WorldKind,
}

impl Limited {
    /// The world that it chooses.
    pub(super) fn world(&self) -> WorldKind {
        self.world
    }

    /// The simulator for a command that Ctrl-C ends at once.
    pub(super) fn simulator(&self) -> Simulator {
        self.limit.simulator(self.world)
    }

    /// The simulator for a command that reports its results so far when Ctrl-C ends it.
    pub(super) fn until(&self, interrupt: &Interrupt) -> Simulator {
        Simulator {
            interrupt: Some(interrupt.flag()),
            ..self.simulator()
        }
    }
}

fn limit(text: &str) -> Result<Duration, String> {
    match parse_duration(text) {
        Ok(Duration::ZERO) => Err("nothing is over in no time; 60s is a minute".to_owned()),
        Ok(limit) => Ok(limit),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        limited: Limited,
    }

    fn given(arguments: &[&str]) -> Result<Duration, String> {
        let arguments = [&["command"], arguments].concat();
        let command = Command::try_parse_from(arguments).map_err(|error| error.to_string())?;
        Ok(command.limited.simulator().wall)
    }

    #[test]
    fn a_minute_is_the_limit_if_no_other_is_given() {
        assert_eq!(given(&[]), Ok(Simulator::DEFAULT));
        assert_eq!(given(&["--run-limit", "10m"]), Ok(Duration::from_mins(10)));
    }

    #[test]
    fn no_time_at_all_is_refused_and_so_is_what_is_none() {
        for (text, said) in [("0s", "no time"), ("60", "unit"), ("soon", "number")] {
            let refused = given(&["--run-limit", text]).expect_err(text);
            assert!(refused.contains(said), "{text}: {refused}");
        }
    }
}

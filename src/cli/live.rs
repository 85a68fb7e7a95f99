//! The world of real processes, for `herd run`.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::Failure;
#[cfg(unix)]
use super::interrupt::Interrupt;
#[cfg(unix)]
use super::{Exit, painted, print};
#[cfg(unix)]
use crate::live::command::Command;
#[cfg(unix)]
use crate::live::compare::compare;
#[cfg(unix)]
use crate::live::run::{self, LiveError, Options};
#[cfg(unix)]
use crate::scenario::Scenario;
#[cfg(unix)]
use crate::sim::{SimError, Simulator};
use crate::sim::{UnknownWorld, WorldKind};
#[cfg(unix)]
use crate::trace::Trace;

/// The name of the world of real processes.
const LIVE: &str = "live";

/// What scenarios run in: a world of the simulator, or processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Simulated(WorldKind),
    Live,
}

impl Default for Place {
    fn default() -> Self {
        Self::Simulated(WorldKind::default())
    }
}

impl FromStr for Place {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        if name == LIVE {
            return Ok(Self::Live);
        }
        let known = name.parse().map(Self::Simulated);
        known.map_err(|UnknownWorld(name)| {
            format!("unknown world `{name}`; there are `packets`, `turmoil` and `{LIVE}`")
        })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Simulated(kind) => kind.fmt(f),
            Self::Live => f.write_str(LIVE),
        }
    }
}

/// How scenarios run on real processes.
#[derive(clap::Args)]
#[command(next_help_heading = "With --world live")]
pub(super) struct LiveArgs {
    /// The command that starts one server of anybody's, instead of `herd serve`; {name}, {port},
    /// {port:NAME}, {peer}, {peer:NAME}, {herd}, {places} and {logs} stand for what it needs
    #[arg(long, value_name = "COMMAND")]
    command: Option<String>,
    /// How many times faster than written everything happens
    #[arg(long, value_name = "N")]
    speed: Option<u32>,
    /// Also run each scenario in the simulator, and report whether both agree: verdicts of what both
    /// evaluated, answers but for their skew, ways of updates, records at the end
    #[arg(long, conflicts_with_all = ["json", "trace", "html", "junit", "all"])]
    pub(super) compare: bool,
    /// Keep what the servers write, their settings and herd files in this folder
    #[arg(long, value_name = "DIR")]
    logs: Option<PathBuf>,
}

impl LiveArgs {
    /// Fails if something was said that only this world has.
    pub(super) fn check_unused(&self) -> Result<(), Failure> {
        let given = [
            ("--command", self.command.is_some()),
            ("--speed", self.speed.is_some()),
            ("--logs", self.logs.is_some()),
            ("--compare", self.compare),
        ];
        match given.iter().find(|(_, is_given)| *is_given) {
            Some((flag, _)) => Err(Failure::Input(format!(
                "{flag} is for real processes: say `--world {LIVE}`, too"
            ))),
            None => Ok(()),
        }
    }

    /// What runs scenarios on processes.
    #[cfg(unix)]
    pub(super) fn live(&self) -> Result<Live, Failure> {
        let command = self.command.as_deref().map(Command::parse).transpose();
        let herd = std::env::current_exe();
        let options = Options {
            herd: herd.map_err(|error| Failure::Internal(format!("can't find herd: {error}")))?,
            command: command.map_err(|error| Failure::Input(error.to_string()))?,
            speed: self.speed.unwrap_or(1),
            logs: self.logs.clone(),
            interrupt: None,
        };
        let interrupt = Interrupt::watch()?;
        Ok(Live {
            options: Options {
                interrupt: Some(interrupt.flag()),
                ..options
            },
            _interrupt: interrupt,
        })
    }
}

/// Runs scenarios on processes, until Ctrl-C.
#[cfg(unix)]
pub(super) struct Live {
    options: Options,
    _interrupt: Interrupt,
}

#[cfg(unix)]
impl Live {
    /// Runs scenarios in both worlds, and prints whether they agree.
    pub(super) fn compare(
        &self,
        scenarios: &[Scenario],
        simulator: &Simulator,
    ) -> Result<Exit, Failure> {
        let mut tally = Tally::default();
        for scenario in scenarios {
            let told = match self.try_run(scenario) {
                Ok(live) => {
                    let simulated = simulator.run(scenario);
                    let simulated =
                        simulated.map_err(|error| Failure::of_run(&scenario.path(), &error))?;
                    let agreement = compare(&simulated, &live);
                    let reason = scenario.live.as_deref();
                    tally.count(scenario, !agreement.differences.is_empty());
                    agreement.text(&scenario.name, reason)
                }
                Err(LiveError::Lacks(mistakes)) if scenarios.len() > 1 => {
                    tally.refused += 1;
                    format!("REFUSED: {}\n", mistakes.join("\n  "))
                }
                Err(LiveError::Run(SimError::Interrupted)) => {
                    return Err(failure(scenario, LiveError::Run(SimError::Interrupted)));
                }
                // The others can still be played.
                Err(error) if scenarios.len() > 1 => {
                    tally.failed.push(scenario.name.clone());
                    format!("FAILED: {}: {error}\n", scenario.name)
                }
                Err(error) => return Err(failure(scenario, error)),
            };
            print(&painted(&told))?;
        }
        if scenarios.len() > 1 {
            print(&tally.text())?;
        }
        let agrees = tally.different.is_empty() && tally.failed.is_empty();
        Ok(if agrees { Exit::Passed } else { Exit::Failed })
    }

    pub(super) fn run(&self, scenario: &Scenario) -> Result<Trace, Failure> {
        self.try_run(scenario)
            .map_err(|error| failure(scenario, error))
    }

    fn try_run(&self, scenario: &Scenario) -> Result<Trace, LiveError> {
        run::run(scenario, &self.options)
    }
}

#[cfg(unix)]
fn failure(scenario: &Scenario, error: LiveError) -> Failure {
    match error {
        LiveError::Lacks(mistakes) => Failure::Input(mistakes.join("\n")),
        LiveError::Command(error) => Failure::Input(error.to_string()),
        LiveError::Process(error) => Failure::Failed(error.to_string()),
        LiveError::Run(error) => Failure::of_run(&scenario.path(), &error),
        LiveError::System { .. } => Failure::Failed(error.to_string()),
    }
}

/// How many scenarios ended alike in both worlds.
#[cfg(unix)]
#[derive(Default)]
struct Tally {
    same: usize,
    /// Those that end alike and give a reason why they would not.
    needless: Vec<String>,
    explained: usize,
    refused: usize,
    different: Vec<String>,
    failed: Vec<String>,
}

#[cfg(unix)]
impl Tally {
    fn count(&mut self, scenario: &Scenario, differs: bool) {
        match (differs, scenario.live.is_some()) {
            (true, true) => self.explained += 1,
            (true, false) => self.different.push(scenario.name.clone()),
            (false, reason) => {
                self.same += 1;
                self.needless.extend(reason.then(|| scenario.name.clone()));
            }
        }
    }

    fn text(&self) -> String {
        let named = |what: &str, some: &[String]| match some {
            [] => format!("0 {what}"),
            some => format!("{} {what} ({})", some.len(), some.join(", ")),
        };
        let mut text = format!(
            "\n{} same, {} explained, {} refused, {}, {}\n",
            self.same,
            self.explained,
            self.refused,
            named("different", &self.different),
            named("failed", &self.failed)
        );
        if !self.needless.is_empty() {
            text += "agree, so the reason can go: ";
            text += &self.needless.join(", ");
            text.push('\n');
        }
        text
    }
}

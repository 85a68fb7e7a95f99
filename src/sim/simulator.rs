//! Runs scenarios with a given server and limit of wall time.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::chooser::Chooser;
use super::disk::DiskOperations;
use super::limit::{Limit, within};
use super::net::SimNet;
use super::react::{reacts, timed};
use super::server::{Builds, Server};
use super::{Mode, SimError, Unjudged, WorldKind, driver, execution, same, simulate};
#[cfg(any(test, feature = "mutants"))]
use crate::node::mistakes::MadeBy;
use crate::scenario::Scenario;
use crate::server::Start;
use crate::trace::Trace;

/// Runs scenarios. Its limits apply to each execution: a run that is executed twice may take twice
/// as long.
///
/// ```
/// use proxy_herd::{scenario::Scenario, sim::Simulator};
///
/// // The shipped server, with a heartbeat that the scenario does not choose.
/// let simulator = Simulator::default().with_server(|net, mut start| {
///     start.config.timing.heartbeat = std::time::Duration::from_millis(500);
///     start.serve(net)
/// });
/// let (scenario, _) = Scenario::load("scenarios/one-update.toml")?;
/// assert_eq!(simulator.run(&scenario)?.verdict().failed, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Simulator {
    /// The limit of wall time for one execution. Time in which the process is suspended does not
    /// count.
    pub wall: Duration,
    /// A flag that cancels runs. A run that does not finish soon after it is set is abandoned.
    pub interrupt: Option<Arc<AtomicBool>>,
    /// What the scenario runs in.
    pub world: WorldKind,
    /// The server that scenarios run.
    pub server: Server,
    /// Other builds of it, by the names that steps call them.
    pub builds: BTreeMap<String, Server>,
}

impl Simulator {
    /// The default limit of wall time: a hundred times what most scenarios take.
    pub const DEFAULT: Duration = Duration::from_mins(1);

    /// Replaces the server: see [`Server::new`].
    #[must_use]
    pub fn with_server<F, S>(self, start: F) -> Self
    where
        F: Fn(SimNet, Start) -> S + Send + Sync + 'static,
        S: Future<Output = io::Result<()>> + Send + 'static,
    {
        Self {
            server: Server::new(start),
            ..self
        }
    }

    /// Adds a build of the server, which steps name: `{ upgrade = "Riley", build = "next" }`. See [`Server::new`].
    #[must_use]
    pub fn with_build<F, S>(mut self, name: &str, start: F) -> Self
    where
        F: Fn(SimNet, Start) -> S + Send + Sync + 'static,
        S: Future<Output = io::Result<()>> + Send + 'static,
    {
        self.builds.insert(name.to_owned(), Server::new(start));
        self
    }

    /// The same, with a mistake that one of its servers makes, or all. A server of somebody's own makes it as far as it
    /// is the shipped one, if it was given before.
    #[cfg(any(test, feature = "mutants"))]
    #[must_use]
    pub(crate) fn with_mistake(mut self, mistake: MadeBy) -> Self {
        self.server.mistake = mistake;
        self
    }

    /// Runs a scenario twice, and gives the trace of both if they are the same to the byte.
    ///
    /// # Errors
    ///
    /// As of [`run`](super::run), or if a run takes too long.
    pub fn run(&self, scenario: &Scenario) -> Result<Trace, SimError> {
        let scenario = self.timed(&scenario.expanded())?;
        Ok(self.twice(&scenario)?.told(&scenario))
    }

    /// Runs a scenario of plain steps once or twice, for its verdict: if nothing fails, the trace may lack the ways of
    /// updates.
    pub(crate) fn judge(&self, scenario: &Scenario, twice: bool) -> Result<Trace, SimError> {
        let scenario = &self.timed(scenario)?;
        let unjudged = if twice {
            self.twice(scenario)?
        } else {
            execution(scenario, None, self)?
        };
        Ok(unjudged.judged(scenario, false))
    }

    /// A scenario of plain steps with the times at which steps react.
    fn timed(&self, scenario: &Scenario) -> Result<Scenario, SimError> {
        timed(scenario, |known| {
            Ok(execution(known, None, self)?.told(known))
        })
    }

    /// Executes a scenario of plain steps twice, and compares both.
    fn twice(&self, scenario: &Scenario) -> Result<Unjudged, SimError> {
        let (first, second) = (
            execution(scenario, None, self)?,
            execution(scenario, None, self)?,
        );
        // What is judged follows from the execution, so two that are equal are judged once.
        if first == second {
            return Ok(first);
        }
        let [first, second] = [first, second].map(|one| one.told(scenario));
        same(&first, &second)?;
        Err(SimError::Failed(
            "two executions differ in what no trace shows".to_owned(),
        ))
    }

    /// Runs a scenario once, for when each operation of a disk took effect, and what it is called. Next to them comes the
    /// scenario as plain steps, each with its time.
    pub(crate) fn disk_operations(
        &self,
        scenario: &Scenario,
    ) -> Result<(Scenario, DiskOperations), SimError> {
        let scenario = self.timed(&scenario.expanded())?;
        let unjudged = execution(&scenario, None, self)?;
        Ok((scenario, unjudged.execution.disk_operations))
    }

    /// Runs a scenario once. This takes half the time, but does not notice nondeterminism.
    ///
    /// # Errors
    ///
    /// If the simulation fails or takes too long.
    pub fn run_once(&self, scenario: &Scenario) -> Result<Trace, SimError> {
        simulate(scenario, || None, self)
    }

    /// All builds of its server.
    pub(super) fn builds(&self) -> Builds {
        Builds::new(&self.server, &self.builds)
    }

    /// What each execution may take.
    pub(super) fn limit(&self) -> Limit {
        Limit {
            wall: self.wall,
            interrupt: self.interrupt.clone(),
        }
    }

    /// Runs a scenario once, by hand: when the herd is up, `chooser` repeatedly decides what
    /// happens next. Returns the chooser and the trace, or no trace if the chooser gave the run up.
    /// The scenario's own `deliver` is ignored.
    ///
    /// The choices are the messages between servers that carry updates, and the steps. A step with
    /// a later time than the step before it is possible only when nothing is in flight.
    ///
    /// # Errors
    ///
    /// If the simulation fails or takes too long.
    pub fn run_by_hand<C: Chooser + Send + 'static>(
        &self,
        scenario: &Scenario,
        mut chooser: C,
    ) -> Result<(C, Option<Trace>), SimError> {
        let (scenario, builds) = (scenario.expanded(), self.builds());
        if scenario.steps.iter().any(reacts) {
            let why = "a step reacts (`when`), which needs a run by time";
            return Err(SimError::Failed(why.to_owned()));
        }
        let world = self.world;
        within(&self.limit(), &scenario.seed.clone(), move |progress| {
            builds.check(&scenario)?;
            let execution = driver::execute(
                &scenario,
                None,
                (world.engine(), Some(&builds)),
                Some(&mut chooser),
                progress,
            )?;
            let unjudged = execution.map(|execution| Unjudged {
                world,
                execution,
                mode: Mode::ByHand(None),
            });
            Ok((chooser, unjudged.map(|unjudged| unjudged.told(&scenario))))
        })
    }
}

impl Default for Simulator {
    fn default() -> Self {
        Self::from(Self::DEFAULT)
    }
}

impl From<Duration> for Simulator {
    /// A simulator of the shipped server with this limit of wall time.
    fn from(wall: Duration) -> Self {
        Self {
            wall,
            interrupt: None,
            world: WorldKind::default(),
            server: Server::default(),
            builds: BTreeMap::new(),
        }
    }
}

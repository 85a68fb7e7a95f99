//! How scenarios are run: with which server, and how long a run may take.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::chooser::Chooser;
use super::limit::within;
use super::net::SimNet;
use super::{Mode, SimError, same, simulate, told, world};
use crate::node::mistakes::MadeBy;
use crate::scenario::Scenario;
use crate::server::Start;
use crate::trace::Trace;

/// Runs scenarios. Its limits apply to each execution: a run that is executed twice may take twice as long.
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
    /// How long an execution may take in wall time, while which the process itself runs: one that is suspended does not
    /// run into it.
    pub wall: Duration,
    /// Whoever sets this wants no more of it. A run that is not over soon afterwards is given up.
    pub interrupt: Option<Arc<AtomicBool>>,
    /// The server that runs.
    pub server: Server,
}

impl Simulator {
    /// The wall time that an execution may take if nothing else is said: a hundred times what most scenarios take.
    pub const DEFAULT: Duration = Duration::from_mins(1);

    /// The same with another server: see [`Server::new`].
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
    /// As of [`run`](super::run), and when it takes too long.
    pub fn run(&self, scenario: &Scenario) -> Result<Trace, SimError> {
        let (trace, again) = (self.run_once(scenario)?, self.run_once(scenario)?);
        same(&trace, &again)?;
        Ok(trace)
    }

    /// Runs a scenario once: half the time, and nobody notices if it can't be repeated.
    ///
    /// # Errors
    ///
    /// When something inside fails, or takes too long.
    pub fn run_once(&self, scenario: &Scenario) -> Result<Trace, SimError> {
        simulate(scenario, None, self)
    }

    /// Runs a scenario once, and by hand: when the herd is up, `chooser` says what happens next, again and again. It
    /// comes back with the trace; none if it gave the run up. What the scenario itself says of the order does not count.
    ///
    /// What can be chosen is each message between servers that carries updates, and each step; a step
    /// whose time is later than that of the one before can only be done when nothing is under way.
    ///
    /// # Errors
    ///
    /// When something inside fails, or takes too long.
    pub fn run_by_hand<C: Chooser + Send + 'static>(
        &self,
        scenario: &Scenario,
        mut chooser: C,
    ) -> Result<(C, Option<Trace>), SimError> {
        let (scenario, server) = (scenario.expanded(), self.server.clone());
        within(self, scenario.seed, move |progress| {
            let execution = world::execute(&scenario, None, &server, Some(&mut chooser), progress)?;
            let told = |execution| told(&scenario, execution, &Mode::ByHand(None));
            Ok((chooser, execution.map(told)))
        })
    }
}

impl Default for Simulator {
    fn default() -> Self {
        Self::from(Self::DEFAULT)
    }
}

impl From<Duration> for Simulator {
    /// With this limit of wall time.
    fn from(wall: Duration) -> Self {
        Self {
            wall,
            interrupt: None,
            server: Server::default(),
        }
    }
}

/// A server while it runs.
type Running = Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;

/// A factory of servers: the shipped one, one that is configured otherwise, or anybody's own.
#[derive(Clone)]
pub struct Server {
    factory: Arc<dyn Fn(SimNet, Start) -> Running + Send + Sync>,
    /// Which of those that it makes is configured to do something wrong.
    mistake: MadeBy,
}

impl Server {
    /// A server that begins as `start` says, each time that the scenario starts one. What it starts besides must run in
    /// [`Net::task`](crate::net::Net::task), or a freeze does not stop it.
    ///
    /// Everything that a server does must follow from what it is given: no clock but the net's, no randomness but the
    /// configuration's, or two runs differ.
    pub fn new<F, S>(start: F) -> Self
    where
        F: Fn(SimNet, Start) -> S + Send + Sync + 'static,
        S: Future<Output = io::Result<()>> + Send + 'static,
    {
        Self {
            factory: Arc::new(move |net, with| Box::pin(start(net, with))),
            mistake: MadeBy::NONE,
        }
    }

    pub(super) fn start(&self, net: SimNet, mut with: Start) -> Running {
        with.config.mistake = self.mistake.at(&with.config.node.name);
        (self.factory)(net, with)
    }

    /// Which server makes which mistake, for what runs them without a network.
    pub(crate) const fn mistake(&self) -> &MadeBy {
        &self.mistake
    }
}

impl Default for Server {
    /// The shipped one.
    fn default() -> Self {
        Self::new(|net, start| start.serve(net))
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Server")
    }
}

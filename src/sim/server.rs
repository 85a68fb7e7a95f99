//! Which server a scenario runs.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use super::SimError;
use super::net::SimNet;
use crate::node::mistakes::MadeBy;
use crate::protocol::peer::OLDEST_VERSION;
use crate::scenario::{Action, Scenario};
use crate::server::Start;

/// A running server.
type Running = Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;

/// The builds of the server that a herd can mix, by name.
#[derive(Clone)]
pub(super) struct Builds(BTreeMap<String, Server>);

impl Builds {
    /// What every server is at first.
    pub(super) const CURRENT: &'static str = "current";

    /// A build that speaks only the oldest version of the protocol between servers.
    const OLDER: &'static str = "v1";

    /// The server itself, what stands for an older build of it, and others.
    pub(super) fn new(current: &Server, others: &BTreeMap<String, Server>) -> Self {
        let mut all = others.clone();
        all.insert(Self::OLDER.to_owned(), current.older());
        all.insert(Self::CURRENT.to_owned(), current.clone());
        Self(all)
    }

    /// # Errors
    ///
    /// If a step of the scenario names a build that is not there.
    pub(super) fn check(&self, scenario: &Scenario) -> Result<(), SimError> {
        let steps = scenario.steps.iter();
        let mut unknown = steps.filter_map(|step| match &step.action {
            Action::Upgrade(upgrade) if self.get(&upgrade.build).is_none() => Some(&upgrade.build),
            _ => None,
        });
        unknown.next().map_or(Ok(()), |build| {
            Err(SimError::NoBuild {
                build: build.clone(),
                known: self.names(),
            })
        })
    }

    pub(super) fn get(&self, name: &str) -> Option<&Server> {
        self.0.get(name)
    }

    /// All of their names, for a message.
    fn names(&self) -> String {
        let names = self.0.keys().map(|name| format!("`{name}`"));
        names.collect::<Vec<_>>().join(", ")
    }
}

/// A factory of servers: of the shipped one, of one with another configuration, or of a user's own.
#[derive(Clone)]
pub struct Server {
    factory: Arc<dyn Fn(SimNet, Start) -> Running + Send + Sync>,
    /// Which of those that it makes is configured to do something wrong.
    pub(super) mistake: MadeBy,
}

impl Server {
    /// A server that `start` starts, each time that the scenario starts one. Futures that it spawns
    /// must run in [`Net::task`](crate::net::Net::task); otherwise a freeze does not stop them.
    ///
    /// A server must be deterministic: it may use no clock but the net's, and no randomness but the
    /// configuration's. Otherwise two runs differ.
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

    /// The same server as a build from before this one, which speaks only the oldest version of the protocol between
    /// servers.
    #[must_use]
    fn older(&self) -> Self {
        let current = Arc::clone(&self.factory);
        let older = move |net, mut start: Start| {
            start.config.node.speaks = OLDEST_VERSION;
            current(net, start)
        };
        Self {
            factory: Arc::new(older),
            mistake: self.mistake.clone(),
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
    /// The shipped server.
    fn default() -> Self {
        Self::new(|net, start| start.serve(net))
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Server")
    }
}

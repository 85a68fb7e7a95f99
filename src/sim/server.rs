//! Which server a scenario runs.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use super::net::SimNet;
use crate::node::mistakes::MadeBy;
use crate::server::Start;

/// A running server.
type Running = Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;

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

//! The arguments for the start of a server.

use std::io;
use std::sync::Arc;

use tokio::sync::watch;

use super::{Config, Listeners, serve};
use crate::herd::{Address, Herd, ServerId};
use crate::journal::{Journal, NullJournal};
use crate::net::Net;
use crate::places::{FixedPlaces, Places};

/// Everything that a server needs to start.
#[derive(Clone)]
pub struct Start {
    /// The server's identity, its neighbours, timers and limits.
    pub config: Config,
    /// The address for clients.
    pub clients: Address,
    /// The address for other servers.
    pub peers: Address,
    /// The source of answers to look-ups.
    pub places: Arc<dyn Places>,
    /// The journal that records the server's events.
    pub journal: Arc<dyn Journal>,
    /// Stops the server when it becomes `true`.
    pub stop: watch::Receiver<bool>,
}

impl Start {
    /// Server `me` of `herd`, with the addresses of the herd file. It sends no requests to Places,
    /// records nothing, and runs until `stop` is `true`. All randomness of its run is derived from
    /// `seed`.
    pub fn new(herd: &Herd, me: ServerId, seed: u64, stop: watch::Receiver<bool>) -> Self {
        let server = herd.server(me);
        Self {
            config: Config::new(herd, me, seed),
            clients: server.client.clone(),
            peers: server.peer.clone(),
            places: Arc::new(FixedPlaces::default()),
            journal: Arc::new(NullJournal),
            stop,
        }
    }

    /// Binds the ports and runs the server on this network until it is stopped.
    ///
    /// # Errors
    ///
    /// When a port can't be bound, or a task panicked.
    pub async fn serve<N: Net>(self, net: N) -> io::Result<()> {
        let bound = Listeners::bind(&net, &self.clients, &self.peers).await;
        let listeners = bound.map_err(|error| io::Error::new(error.error.kind(), error))?;
        let Self {
            config,
            places,
            journal,
            stop,
            ..
        } = self;
        let served = serve(net, listeners, config, places, journal, stop).await;
        served.map(|_| ()).map_err(io::Error::other)
    }
}

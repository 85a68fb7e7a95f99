//! What a server is given when it starts.

use std::io;
use std::sync::Arc;

use tokio::sync::watch;

use super::{Config, Listeners, serve};
use crate::herd::{Address, Herd, ServerId};
use crate::journal::{Journal, NullJournal};
use crate::net::Net;
use crate::places::{FixedPlaces, Places};

/// Everything that a server is given when it starts.
#[derive(Clone)]
pub struct Start {
    /// Who it is, and how it is to do what.
    pub config: Config,
    /// Where it listens for clients.
    pub clients: Address,
    /// Where it listens for servers.
    pub peers: Address,
    /// Who knows what is near a place.
    pub places: Arc<dyn Places>,
    /// Where it records what happens.
    pub journal: Arc<dyn Journal>,
    /// Says `true` when it is to stop.
    pub stop: watch::Receiver<bool>,
}

impl Start {
    /// Server `me` of `herd` as the herd file has it, which asks no Places, records nothing, and runs until `stop` says
    /// `true`. All that is random about this run follows from `seed`.
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

    /// Takes the ports and runs the server on this network until it is stopped.
    ///
    /// # Errors
    ///
    /// When a port can't be had, or something inside panicked.
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

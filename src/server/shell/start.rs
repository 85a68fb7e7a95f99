//! The arguments for the start of a server.

use std::io;
use std::sync::Arc;

use futures_lite::future::or;
use tokio::sync::watch;

use super::{Config, Handle, Limits, Listeners, Timing, Told, begin_told};
use crate::disk::Data;
use crate::herd::{Address, Herd, ServerId};
use crate::journal::{Journal, NullJournal};
use crate::net::Net;
use crate::node::Neighbour;
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
    /// Where its records are on disk; `None` if they are in memory only.
    pub data: Option<Data>,
    /// What its files say while it runs; `None` if they never change.
    pub reloads: Option<watch::Receiver<Reload>>,
}

/// What a running server takes over from its files when they change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reload {
    /// Its timers and deadlines.
    pub timing: Timing,
    /// Its limits.
    pub limits: Limits,
    /// Its neighbours, each with the address at which it listens for servers.
    pub neighbours: Vec<(Neighbour, Address)>,
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
            data: None,
            reloads: None,
        }
    }

    /// Binds the ports and runs the server on this network until it is stopped.
    ///
    /// # Errors
    ///
    /// When the disk can't be read, a port can't be bound, or a task panicked.
    pub async fn serve<N: Net>(self, net: N) -> io::Result<()> {
        let Config { node, mistake, .. } = &self.config;
        let stored = match self.data.clone() {
            None => None,
            Some(data) => {
                let opened = data.open((&node.herd, &node.name), mistake.clone()).await;
                Some(opened.map_err(io::Error::other)?)
            }
        };
        let bound = Listeners::bind(&net, &self.clients, &self.peers).await;
        let listeners = bound.map_err(|error| io::Error::new(error.error.kind(), error))?;
        let Self {
            config,
            places,
            journal,
            stop,
            reloads,
            ..
        } = self;
        let told = if reloads.is_some() {
            Told::Reloads
        } else {
            Told::Nothing
        };
        let parts = (config, places, journal);
        let (serving, handle) = begin_told(net, listeners, parts, stored, stop, told);
        let served = match reloads {
            None => {
                drop(handle);
                serving.await
            }
            Some(reloads) => or(serving, reload(handle, reloads)).await,
        };
        served.map(|_| ()).map_err(io::Error::other)
    }
}

/// Takes over what the files say, whenever they change.
async fn reload<T>(handle: Handle, mut reloads: watch::Receiver<Reload>) -> T {
    while reloads.changed().await.is_ok() {
        let files = reloads.borrow_and_update().clone();
        handle.tune(files.timing, files.limits);
        handle.relink_with(files.neighbours);
    }
    std::future::pending().await
}

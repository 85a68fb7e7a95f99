//! The processes of the herd's servers: how they start each time, and how they are told to stop.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_lite::future::or;
use tokio::sync::watch;

use super::Server;
use super::google::{Causes, SimPlaces};
use super::net::SimNet;
use super::recorder::Recorder;
use crate::herd::{Herd, ServerId};
use crate::journal::Actor;
use crate::net::Net as _;
use crate::places::{FixedPlaces, Places};
use crate::scenario::{Party, Scenario};
use crate::seed::derive;
use crate::server::{Config, Start};
use crate::timing::Timing;

/// What the processes of all servers are told from outside.
pub(super) struct Processes(Vec<watch::Sender<Orders>>);

/// What a server's process is told.
#[derive(Clone, Default)]
pub(super) struct Orders {
    /// Whether it must not run, as after SIGTERM.
    stops: bool,
}

impl Processes {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let all = scenario.herd.ids();
        Self(all.map(|_| watch::Sender::default()).collect())
    }

    /// What a server is told from now on.
    pub(super) fn orders(&self, id: ServerId) -> watch::Receiver<Orders> {
        self.0[id.index()].subscribe()
    }

    /// Tells a server to stop.
    pub(super) fn stop(&self, party: Party) {
        self.tell(party, |orders| orders.stops = true);
    }

    /// Starts a server that was told to stop, as soon as it has ended.
    pub(super) fn start(&self, party: Party) {
        self.tell(party, |orders| orders.stops = false);
    }

    fn tell(&self, party: Party, change: impl FnOnce(&mut Orders)) {
        if let Some(id) = party.server() {
            self.0[id.index()].send_modify(change);
        }
    }
}

/// The process of a server of the herd.
#[derive(Clone)]
pub(super) struct ServerProgram {
    pub(super) seed: u64,
    pub(super) herd: Arc<Herd>,
    pub(super) id: ServerId,
    pub(super) timing: Timing,
    pub(super) net: SimNet,
    pub(super) server: Server,
    pub(super) recorder: Recorder,
    pub(super) causes: Option<Causes>,
    /// How often it was started.
    pub(super) boots: Arc<AtomicU64>,
    pub(super) orders: watch::Receiver<Orders>,
}

impl ServerProgram {
    /// Runs the server. When it was told to stop and has ended, it runs again once it is told to start.
    pub(super) async fn run(mut self) -> Result<(), String> {
        let net = self.net.clone();
        net.task(async move {
            loop {
                let ended = self.boot().await;
                ended.map_err(|error| error.to_string())?;
                // It can't fail: the driver has the other end for as long as the run lasts.
                let _ = self.orders.wait_for(|orders| !orders.stops).await;
            }
        })
        .await
    }

    /// Runs the server once, until it ends.
    async fn boot(&self) -> io::Result<()> {
        let Self {
            seed,
            herd,
            id,
            net,
            ..
        } = self;
        let boot = self.boots.fetch_add(1, Ordering::Relaxed) + 1;
        let own = herd.server(*id);
        let name = &own.name;
        let places = match &self.causes {
            None => Arc::new(FixedPlaces::default()) as Arc<dyn Places>,
            Some(causes) => {
                let seed = derive(*seed, &format!("{name}'s Places"), boot);
                Arc::new(SimPlaces::new(net, name.clone(), seed, causes.clone()))
            }
        };
        let mut config = Config::new(herd, *id, derive(*seed, name, boot));
        // All simulated clients share one host, so the limit for one address must not apply.
        config.limits.clients_per_address = config.limits.client_connections;
        config.timing = self.timing;
        for (address, neighbour) in config.addresses.iter_mut().zip(&config.node.neighbours) {
            address.host = neighbour.name.to_string();
        }
        let (stop, stopping) = watch::channel(false);
        let start = Start {
            config,
            clients: own.client.clone(),
            peers: own.peer.clone(),
            places,
            journal: self.recorder.journal(Actor::Server(name.clone())),
            stop: stopping,
        };
        let mut orders = self.orders.clone();
        let told = async {
            if orders.wait_for(|orders| orders.stops).await.is_ok() {
                stop.send_replace(true);
            }
            std::future::pending().await
        };
        or(self.server.start(net.clone(), start), told).await
    }
}

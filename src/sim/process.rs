//! The processes of the herd's servers: how they start each time, and what they are told while they run, as operators
//! tell it by signals and by the files that a server reads.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use futures_lite::future::or;
use tokio::sync::watch;
use tokio::time::sleep;

use super::census::Counters;
use super::disk::Disks;
use super::google::{Causes, SimPlaces};
use super::net::SimNet;
use super::recorder::Recorder;
use super::server::Builds;
use crate::disk::{Data, LoadError};
use crate::herd::{Address, Herd, ServerId};
use crate::journal::{Actor, EventKind};
use crate::net::Net as _;
use crate::node::Neighbour;
use crate::places::{FixedPlaces, Places};
use crate::scenario::{Action, Condition, Drawn, Operation, Party, Scenario, ServerSettings};
use crate::seed::derive;
use crate::server::{Config, Jitter, Reload, Start, neighbours};

/// How long after its end a process starts again at the earliest. Its ports are free by then.
const STARTS_AFTER: Duration = Duration::from_millis(1);

/// How long after a failed start it is tried again, as the shipped unit does (`RestartSec`).
const TRIES_AGAIN: Duration = Duration::from_secs(1);

/// What the processes of all servers are told from outside.
#[derive(Clone)]
pub(super) struct Processes(Arc<Mutex<Inner>>);

struct Inner {
    herd: Arc<Herd>,
    orders: Vec<watch::Sender<Orders>>,
    /// Links, as indices into the herd's, that are in no herd file.
    unlinked: BTreeSet<usize>,
    /// Servers that are in no herd file.
    left: BTreeSet<ServerId>,
    dice: Dice,
}

/// What servers draw from.
struct Dice {
    seed: u64,
    /// Where each server's jitter comes from since its last start.
    jitters: BTreeMap<ServerId, Jitter>,
    /// Each server's client of Places.
    clients: BTreeMap<ServerId, Weak<SimPlaces>>,
}

impl Dice {
    fn new(seed: u64) -> Self {
        Self {
            seed,
            jitters: BTreeMap::new(),
            clients: BTreeMap::new(),
        }
    }

    /// Draws from another seed from now on, in servers that run as well.
    fn redraw(&mut self, seed: u64) {
        self.seed = seed;
        let number = |id: &ServerId| u64::try_from(id.index()).unwrap_or(u64::MAX);
        for (id, jitter) in &self.jitters {
            jitter.redraw(derive(seed, "jitter", number(id)));
        }
        for (id, client) in &self.clients {
            if let Some(client) = client.upgrade() {
                client.redraw(derive(seed, "jitter of Places", number(id)));
            }
        }
    }
}

/// What a server's process is told.
#[derive(Clone)]
struct Orders {
    /// Whether it must not run, as after SIGTERM.
    stops: bool,
    /// Whether the others forget it when it has stopped.
    leaves: bool,
    /// The build as which it starts next.
    build: String,
    /// How often it was told to stop and to start again at once.
    restarts: u64,
    /// Its settings and neighbours, as its files have them.
    files: Reload,
}

impl Processes {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let herd = Arc::clone(&scenario.herd);
        let mut limits = scenario.limits;
        // All simulated clients share one host, so the limit for one address must not apply.
        limits.clients_per_address = limits.client_connections;
        let orders = herd.ids().map(|id| {
            let files = Reload {
                timing: scenario.timing,
                limits,
                neighbours: simulated(neighbours(&herd, id)),
            };
            let (stops, leaves) = (false, false);
            watch::Sender::new(Orders {
                stops,
                leaves,
                build: Builds::CURRENT.to_owned(),
                restarts: 0,
                files,
            })
        });
        Self(Arc::new(Mutex::new(Inner {
            orders: orders.collect(),
            herd,
            unlinked: BTreeSet::new(),
            left: BTreeSet::new(),
            dice: Dice::new(scenario.seed.first()),
        })))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn orders(&self, id: ServerId) -> watch::Receiver<Orders> {
        self.inner().orders[id.index()].subscribe()
    }

    /// Lets servers draw from another seed from now on.
    pub(super) fn redraw(&self, seed: u64) {
        self.inner().dice.redraw(seed);
    }

    /// Tells a server to stop. If it `leaves`, it is in no herd file when it has stopped.
    pub(super) fn stop(&self, party: Party, leaves: bool) {
        if let Some(id) = party.server() {
            self.inner().orders[id.index()].send_modify(|orders| {
                (orders.stops, orders.leaves) = (true, leaves);
            });
        }
    }

    /// Starts a server that was told to stop, as soon as it has ended, and puts it back into the herd file.
    pub(super) fn start(&self, party: Party) {
        if let Some(id) = party.server() {
            let mut inner = self.inner();
            if inner.left.remove(&id) {
                inner.relink();
            }
            inner.orders[id.index()].send_modify(|orders| {
                (orders.stops, orders.leaves) = (false, false);
            });
        }
    }

    /// A server has ended that was told to stop.
    fn has_ended(&self, id: ServerId) {
        let mut inner = self.inner();
        let leaves = inner.orders[id.index()].borrow().leaves;
        if leaves && inner.left.insert(id) {
            inner.relink();
        }
    }

    /// Tells a server to stop, and to start again as this build as soon as it has ended.
    pub(super) fn upgrade(&self, id: ServerId, build: &str) {
        self.inner().orders[id.index()].send_modify(|orders| {
            build.clone_into(&mut orders.build);
            orders.restarts += 1;
        });
    }

    /// Takes a link, by its index in the herd, out of the herd file.
    pub(super) fn unlink(&self, link: usize) {
        let mut inner = self.inner();
        inner.unlinked.insert(link);
        inner.relink();
    }

    /// Puts a link back into the herd file.
    pub(super) fn relink(&self, link: usize) {
        let mut inner = self.inner();
        inner.unlinked.remove(&link);
        inner.relink();
    }

    /// Gives a server other settings. What they do not say stays.
    pub(super) fn reload(&self, id: ServerId, settings: &ServerSettings) {
        self.inner().orders[id.index()].send_modify(|orders| {
            let Reload { timing, limits, .. } = &mut orders.files;
            settings.apply(timing, limits);
        });
    }
}

impl Inner {
    /// Gives all servers the neighbours that they have now.
    fn relink(&self) {
        for id in self.herd.ids() {
            let own = self.herd.links_of(id).filter(|(at, link)| {
                let is_left = [link.a, link.b].iter().any(|end| self.left.contains(end));
                !is_left && !self.unlinked.contains(at)
            });
            let others: Vec<ServerId> = own.filter_map(|(_, link)| link.other(id)).collect();
            let is_one = |(neighbour, _): &(Neighbour, Address)| {
                let other = self.herd.id(&neighbour.name);
                other.is_some_and(|other| others.contains(&other))
            };
            let neighbours = simulated(neighbours(&self.herd, id).filter(is_one));
            self.orders[id.index()].send_if_modified(|orders| {
                let changes = orders.files.neighbours != neighbours;
                orders.files.neighbours = neighbours;
                changes
            });
        }
    }
}

/// Neighbours, each at the address that it has in the simulation: hosts have their servers' names.
fn simulated(all: impl Iterator<Item = (Neighbour, Address)>) -> Vec<(Neighbour, Address)> {
    let all = all.map(|(neighbour, mut address)| {
        address.host = neighbour.name.to_string();
        (neighbour, address)
    });
    all.collect()
}

/// Whether servers of a scenario may get other settings or neighbours while they run. Of faults at random their kinds
/// count and not which the seed chose, which may change while the scenario goes on.
fn reloads(scenario: &Scenario) -> bool {
    scenario.steps.iter().any(|step| match &step.action {
        Action::Reload(_) => true,
        Action::Begin(fault) => fault.operations().iter().any(|(_, operation)| {
            matches!(
                operation,
                Operation::Unlink(_) | Operation::Set(Condition::Left, _)
            )
        }),
        Action::Drawn(Drawn::Random(random, _)) => {
            (random.faults.iter()).any(|(fault, _)| ["unlink", "leave"].contains(&fault.name))
        }
        _ => false,
    })
}

/// The process of a server of the herd.
#[derive(Clone)]
pub(super) struct ServerProgram {
    herd: Arc<Herd>,
    id: ServerId,
    net: SimNet,
    builds: Builds,
    recorder: Recorder,
    causes: Option<Causes>,
    counters: Counters,
    /// How often it was started.
    boots: Arc<AtomicU64>,
    processes: Processes,
    /// Where its records are on disk, if it has one.
    data: Option<Data>,
    /// Whether it may get other settings or neighbours while it runs.
    reloads: bool,
}

impl ServerProgram {
    pub(super) fn new(
        scenario: &Scenario,
        id: ServerId,
        (net, builds): (SimNet, &Builds),
        (recorder, causes, counters): (&Recorder, Option<&Causes>, &Counters),
        (processes, disks): (&Processes, &Disks),
    ) -> Self {
        Self {
            herd: Arc::clone(&scenario.herd),
            id,
            net,
            builds: builds.clone(),
            recorder: recorder.clone(),
            causes: causes.cloned(),
            counters: counters.clone(),
            boots: Arc::default(),
            processes: processes.clone(),
            data: disks.data(scenario, id),
            reloads: reloads(scenario),
        }
    }

    /// Runs the server. When it was told to stop and has ended, it runs again once it is told to start.
    pub(super) async fn run(self) -> Result<(), String> {
        let net = self.net.clone();
        net.task(async move {
            let mut orders = self.processes.orders(self.id);
            loop {
                if let Err(error) = self.boot(orders.clone()).await {
                    self.not_started(&error)?;
                    sleep(TRIES_AGAIN).await;
                    if !orders.borrow().stops {
                        continue;
                    }
                }
                self.processes.has_ended(self.id);
                // It can't fail: the driver has the other end for as long as the run lasts.
                let _ = orders.wait_for(|orders| !orders.stops).await;
                sleep(STARTS_AFTER).await;
            }
        })
        .await
    }

    /// The server has ended with an error, which ends the run, too, unless it is that of a disk that can't be read.
    fn not_started(&self, error: &io::Error) -> Result<(), String> {
        let cause = error.get_ref().and_then(|cause| cause.downcast_ref());
        let Some(LoadError::Folder(why)) = cause else {
            return Err(error.to_string());
        };
        let name = &self.herd.server(self.id).name;
        let journal = self.recorder.journal(Actor::Server(name.clone()));
        let why = why.to_string().into();
        journal.record(None, EventKind::NotStarted { why });
        Ok(())
    }

    /// Runs the server once, until it ends.
    async fn boot(&self, mut orders: watch::Receiver<Orders>) -> io::Result<()> {
        let Self { herd, id, net, .. } = self;
        let seed = self.processes.inner().dice.seed;
        let boot = self.boots.fetch_add(1, Ordering::Relaxed) + 1;
        let own = herd.server(*id);
        let name = &own.name;
        let places = match &self.causes {
            None => Arc::new(FixedPlaces::default()) as Arc<dyn Places>,
            Some(causes) => {
                let seed = derive(seed, &format!("{name}'s Places"), boot);
                let client = Arc::new(SimPlaces::new(net, name.clone(), seed, causes.clone()));
                let kept = Arc::downgrade(&client);
                self.processes.inner().dice.clients.insert(*id, kept);
                client
            }
        };
        let Orders {
            files,
            build,
            restarts,
            ..
        } = orders.borrow_and_update().clone();
        let mut config = Config::new(herd, *id, derive(seed, name, boot));
        let jitter = config.jitter.clone();
        self.processes.inner().dice.jitters.insert(*id, jitter);
        (config.limits, config.timing) = (files.limits, files.timing);
        (config.node.neighbours, config.addresses) = files.neighbours.iter().cloned().unzip();
        self.counters.begin(*id, config.counter.clone());
        let (stop, stopping) = watch::channel(false);
        let (reload, reloads) = watch::channel(files);
        let start = Start {
            config,
            clients: own.client.clone(),
            peers: own.peer.clone(),
            places,
            journal: self.recorder.journal(Actor::Server(name.clone())),
            stop: stopping,
            data: self.data.clone(),
            reloads: self.reloads.then_some(reloads),
        };
        let told = async {
            loop {
                let now = orders.borrow_and_update().clone();
                let files = now.files;
                if now.stops || now.restarts > restarts {
                    stop.send_replace(true);
                }
                reload.send_if_modified(|before| {
                    let changes = *before != files;
                    *before = files;
                    changes
                });
                if orders.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        let server = self.builds.get(&build);
        let server =
            server.ok_or_else(|| io::Error::other(format!("there is no build `{build}`")))?;
        or(server.start(net.clone(), start), told).await
    }
}

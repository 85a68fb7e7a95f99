//! A herd on a network, whose servers a story can start, kill and stop.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_lite::future::or;
use proxy_herd::herd::{Address, Herd, ServerId};
use proxy_herd::net::{Listener, Net};
use proxy_herd::places::{FixedPlaces, Places};
use proxy_herd::server::{self, Config, Limits, Listeners, Timing};
use tokio::sync::{oneshot, watch};

use super::log::{Log, synchronised};
use super::wire::{PATIENCE, Wire, soon};
use super::world::{STORY, World};

/// The stream of a world's network.
pub(crate) type Stream<W> = <<W as World>::Net as Net>::Stream;

/// A herd that has not started yet.
pub(crate) struct Plan<W: World> {
    world: W,
    herd: Herd,
    pub(crate) timing: Timing,
    pub(crate) limits: Limits,
    places: Arc<dyn Places>,
    /// The servers that the story plays itself, and their addresses.
    fakes: BTreeMap<String, Address>,
    absent: BTreeSet<String>,
    seed: u64,
}

/// A neighbour that the story plays.
pub(crate) struct Fake<W: World> {
    name: String,
    listener: <W::Net as Net>::Listener,
}

/// A herd with some running servers.
pub(crate) struct Running<W: World> {
    plan: Plan<W>,
    servers: BTreeMap<String, Server>,
}

/// A server, and the means to end it while it runs.
struct Server {
    log: Log,
    clients: Address,
    peers: Address,
    runs: u64,
    run: Option<Run>,
}

struct Run {
    stop: watch::Sender<bool>,
    /// Dropping this kills the server.
    life: oneshot::Sender<()>,
    /// Receives whether the server was stopped and not killed, when it ends.
    ended: oneshot::Receiver<bool>,
}

/// A server whose ports are bound, and that has not begun.
struct Bound {
    clients: Address,
    peers: Address,
    begin: oneshot::Sender<Begin>,
    ended: oneshot::Receiver<bool>,
}

/// The arguments with which a bound server begins.
struct Begin {
    config: Config,
    places: Arc<dyn Places>,
    log: Log,
    stop: watch::Receiver<bool>,
    death: oneshot::Receiver<()>,
}

impl<W: World> Plan<W> {
    /// A herd with these links. It redials quickly; its other timers have their defaults.
    pub(crate) fn new(world: &W, links: &[&str]) -> Self {
        let timing = Timing {
            redial_least: Duration::from_millis(10),
            redial_most: Duration::from_millis(100),
            ..Timing::default()
        };
        Self {
            world: world.clone(),
            herd: Herd::from_links("conf", links).expect("a herd"),
            timing,
            limits: Limits::default(),
            places: Arc::new(FixedPlaces::default()),
            fakes: BTreeMap::new(),
            absent: BTreeSet::new(),
            seed: 1,
        }
    }

    /// Sets the seed of all its randomness.
    pub(crate) fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Changes the timers and deadlines of its servers.
    pub(crate) fn timing(mut self, change: impl FnOnce(&mut Timing)) -> Self {
        change(&mut self.timing);
        self
    }

    /// Changes the limits of its servers.
    pub(crate) fn limits(mut self, change: impl FnOnce(&mut Limits)) -> Self {
        change(&mut self.limits);
        self
    }

    /// Sets the source of places for all its servers.
    pub(crate) fn places(mut self, places: Arc<dyn Places>) -> Self {
        self.places = places;
        self
    }

    /// Makes the story play this server.
    pub(crate) async fn fake(&mut self, name: &str) -> Fake<W> {
        let id = self.herd.id(name).expect("a server of the herd");
        let at = self.world.first_bind(&self.herd.server(id).peer);
        let listener = self
            .world
            .net()
            .listen_for_servers(&at)
            .await
            .expect("a free port");
        let bound = listener.local_addr().expect("it is bound");
        let address = self.world.reach(STORY, bound);
        self.fakes.insert(name.to_owned(), address);
        Fake {
            name: name.to_owned(),
            listener,
        }
    }

    /// Makes the story play this server, with its own listener at `address`.
    pub(crate) fn play(&mut self, name: &str, address: Address) {
        self.fakes.insert(name.to_owned(), address);
    }

    /// Leaves this server out. It does not start, and its ports accept nobody.
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.absent.insert(name.to_owned());
        self
    }

    /// Starts all servers that the story does not play, and that are not left out.
    pub(crate) async fn up(self) -> Running<W> {
        let mut running = Running {
            plan: self,
            servers: BTreeMap::new(),
        };
        let mut all_bound = Vec::new();
        for id in running.plan.herd.ids() {
            let name = running.plan.name(id);
            if running.plan.fakes.contains_key(&name) {
                continue;
            }
            let (clients, peers) = running.plan.first_addresses(id);
            let bound = running.plan.bind(&name, clients, peers).await;
            let server = Server {
                log: Log::default(),
                clients: bound.clients.clone(),
                peers: bound.peers.clone(),
                runs: 0,
                run: None,
            };
            running.servers.insert(name.clone(), server);
            all_bound.push((name, bound));
        }
        for (name, bound) in all_bound {
            if !running.plan.absent.contains(&name) {
                running.begin(&name, bound);
            }
        }
        running
    }

    fn name(&self, id: ServerId) -> String {
        self.herd.server(id).name.to_string()
    }

    fn first_addresses(&self, id: ServerId) -> (Address, Address) {
        let server = self.herd.server(id);
        let (clients, peers) = (&server.client, &server.peer);
        (self.world.first_bind(clients), self.world.first_bind(peers))
    }

    /// Binds a server's ports on its machine. It accepts no connection before it begins.
    async fn bind(&self, name: &str, clients: Address, peers: Address) -> Bound {
        let net = self.world.net_of(name);
        let (tell, told) = oneshot::channel();
        let (begin, begun) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        let job = async move {
            let listeners = bind_when_free(&net, &clients, &peers).await?;
            let _ = tell.send([&listeners.clients, &listeners.peers].map(Listener::local_addr));
            if let Ok(begin) = begun.await {
                let by_itself = run(net, listeners, begin).await?;
                let _ = end.send(by_itself);
            }
            Ok(())
        };
        self.world.run_on(name, Box::pin(job));
        let bound = soon(told, || format!("the ports of {name}")).await;
        let [clients, peers] = bound
            .expect("it binds")
            .map(|bound| self.world.reach(name, bound.expect("it is bound")));
        Bound {
            clients,
            peers,
            begin,
            ended,
        }
    }
}

/// Binds both ports. It retries, since those of a killed server may not be free yet.
async fn bind_when_free<N: Net>(
    net: &N,
    clients: &Address,
    peers: &Address,
) -> Result<Listeners<N>, String> {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        match Listeners::bind(net, clients, peers).await {
            Ok(listeners) => return Ok(listeners),
            Err(error) if tokio::time::Instant::now() > deadline => return Err(error.to_string()),
            Err(_) => tokio::time::sleep(Duration::from_millis(1)).await,
        }
    }
}

/// Runs a server until it is stopped, which returns `true`, or killed, which returns `false`.
async fn run<N: Net>(net: N, listeners: Listeners<N>, begin: Begin) -> Result<bool, String> {
    let Begin {
        config,
        places,
        log,
        stop,
        death,
    } = begin;
    let serving = server::serve(net, listeners, config, places, Arc::new(log), stop);
    let serving = async { serving.await.map(|_| true).map_err(|e| e.to_string()) };
    let killed = async {
        // The signal is that the sender was dropped.
        let _ = death.await;
        Ok(false)
    };
    or(serving, killed).await
}

impl<W: World> Running<W> {
    fn begin(&mut self, name: &str, bound: Bound) {
        let id = self.plan.herd.id(name).expect("a server of the herd");
        let server = self.servers.get_mut(name).expect("it was bound");
        let (clients, peers) = (bound.clients, bound.peers);
        (server.clients, server.peers) = (clients, peers);
        server.runs += 1;
        let seed = self.plan.seed * 1_000 + id.index() as u64 * 100 + server.runs;
        let mut config = Config::new(&self.plan.herd, id, seed);
        config.timing = self.plan.timing;
        config.limits = self.plan.limits;
        for (address, neighbour) in config.addresses.iter_mut().zip(&config.node.neighbours) {
            let fake = self.plan.fakes.get(&*neighbour.name);
            *address = match fake {
                Some(fake) => fake.clone(),
                None => self.servers[&*neighbour.name].peers.clone(),
            };
        }
        let (stop, stopped) = watch::channel(false);
        let (life, death) = oneshot::channel();
        let server = self.servers.get_mut(name).expect("it was bound");
        let begin = Begin {
            config,
            places: Arc::clone(&self.plan.places),
            log: server.log.clone(),
            stop: stopped,
            death,
        };
        assert!(bound.begin.send(begin).is_ok(), "it waits for this");
        server.run = Some(Run {
            stop,
            life,
            ended: bound.ended,
        });
    }

    /// Starts a server that was left out, killed or stopped.
    pub(crate) async fn start(&mut self, name: &str) {
        let server = &self.servers[name];
        let (clients, peers) = (server.clients.clone(), server.peers.clone());
        let bound = self.plan.bind(name, clients, peers).await;
        self.begin(name, bound);
    }

    /// Kills a server, which loses all its records.
    pub(crate) async fn kill(&mut self, name: &str) {
        let run = self.take_run(name);
        drop(run.life);
        let ended = soon(run.ended, || format!("the end of {name}")).await;
        assert_eq!(ended, Ok(false), "it should not have ended by itself");
    }

    /// Stops a server gracefully, and waits for its end.
    pub(crate) async fn stop(&mut self, name: &str) {
        let run = self.take_run(name);
        let _ = run.stop.send(true);
        let ended = soon(run.ended, || format!("the end of {name}")).await;
        assert_eq!(ended, Ok(true), "it should have ended by itself");
    }

    fn take_run(&mut self, name: &str) -> Run {
        let server = self.servers.get_mut(name).expect("a server of the herd");
        server.run.take().expect("a server that runs")
    }

    /// The events of a server.
    pub(crate) fn log(&self, name: &str) -> Log {
        self.servers[name].log.clone()
    }

    /// Connects to a server as a client.
    pub(crate) async fn client(&self, name: &str) -> Wire<Stream<W>> {
        Wire::connect(&self.plan.world.net(), &self.servers[name].clients).await
    }

    /// The address at which a server listens for others.
    pub(crate) fn peers(&self, name: &str) -> &Address {
        &self.servers[name].peers
    }

    /// Connects to a server as another server.
    pub(crate) async fn dial(&self, name: &str) -> Wire<Stream<W>> {
        let address = &self.servers[name].peers;
        let dialled = self.plan.world.net().dial(name, address).await;
        Wire::new(dialled.expect("somebody listens"))
    }

    /// Connects to server `name` as its neighbour `me`, and greets.
    pub(crate) async fn dial_as(&self, me: &str, name: &str) -> Wire<Stream<W>> {
        let mut wire = self.dial(name).await;
        wire.say(hello(me)).await;
        wire.expect_start(&format!("HELLO 1 conf {name} ")).await;
        wire
    }

    /// Waits until all links between running servers are synchronised.
    pub(crate) async fn whole(&self) {
        for link in self.plan.herd.links() {
            let (a, b) = (self.plan.name(link.a), self.plan.name(link.b));
            let runs = |name| self.servers.get(name).is_some_and(|s| s.run.is_some());
            if runs(&a) && runs(&b) {
                self.log(&a).wait("synchronising", synchronised(&b)).await;
                self.log(&b).wait("synchronising", synchronised(&a)).await;
            }
        }
    }
}

impl<W: World> Fake<W> {
    /// Accepts the next connection.
    pub(crate) async fn accept(&self) -> Wire<Stream<W>> {
        let accepted = soon(self.listener.accept(), || format!("{} dialled", self.name)).await;
        Wire::new(accepted.expect("a connection"))
    }

    /// Accepts the next connection, and completes the greeting.
    pub(crate) async fn greet(&self, dialler: &str) -> Wire<Stream<W>> {
        let mut wire = self.accept().await;
        wire.expect_start(&format!("HELLO 2 conf {dialler} ")).await;
        wire.say(hello(&self.name)).await;
        wire
    }

    /// Like [`greet`](Self::greet), but with the current version.
    pub(crate) async fn greet_now(&self, dialler: &str) -> Wire<Stream<W>> {
        let mut wire = self.accept().await;
        wire.expect_start(&format!("HELLO 2 conf {dialler} ")).await;
        wire.say(hello_now(&self.name, 0xfa)).await;
        wire
    }
}

/// A greeting of version 2 with its terminator, from run `boot` of a server without records.
pub(crate) fn hello_now(name: &str, boot: u64) -> String {
    format!("HELLO 2 conf {name} {boot:016x} 0\n")
}

/// A greeting of version 1 with its terminator, for stories in which the version does not matter.
pub(crate) fn hello(name: &str) -> String {
    format!("HELLO 1 conf {name} 0123456789abcdef\n")
}

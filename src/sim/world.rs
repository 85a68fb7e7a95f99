//! A scenario in turmoil: one host for each server, one for all clients, and a driver that performs
//! the steps between two ticks.

use std::cell::Cell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use rand::SeedableRng as _;
use rand::rngs::ChaCha8Rng;
use tokio::sync::{mpsc, watch};

use super::SimError;
use super::client::{self, Board, Job, Outcome};
use super::faults::{Breaker, CLIENTS, Touch};
use super::google::{self, Google, Seen};
use super::net::{Faults, SimNet};
use super::random::{Latencies, derive};
use super::recorder::{Recorder, State};
use crate::herd::{Address, Herd, ServerId};
use crate::journal::{Event, Who};
use crate::net::Net as _;
use crate::places::{Api, ApiKey, FixedPlaces, HttpPlaces, Places, PlacesConfig};
use crate::scenario::{Action, ClientStep, Clocked, Fault, Party, Scenario, Skewed, Way};
use crate::server::{self, Config, Listeners};
use crate::units::LatencyRange;

/// A run that has not become quiet so long after its last step never will.
const LONGEST_UNREST: Duration = Duration::from_mins(1);

/// What one execution of a scenario gave.
pub(super) struct Execution {
    pub(super) events: Vec<Event>,
    pub(super) outcomes: Vec<Outcome>,
    /// The run ended because everything was quiet, or when the scenario said.
    pub(super) ended_well: bool,
    /// Steps that were never done.
    pub(super) undone: usize,
    /// Clients that still waited for an answer when the run ended.
    pub(super) still_waiting: usize,
    /// What each fault touched, in the order in which they ended.
    pub(super) touched: Vec<Touch>,
    /// For how long it ran.
    pub(super) lasted: Duration,
    /// What Places got to see, if there was one.
    pub(super) places: Option<Seen>,
}

/// Runs a scenario once, with Places answering by its tables and by `mocks`.
pub(super) fn execute(
    scenario: &Scenario,
    mocks: Option<Vec<wiremock::Mock>>,
) -> Result<Execution, SimError> {
    let is_asked = mocks.is_some() || !scenario.places.is_empty();
    let google = is_asked.then(|| Google::start(scenario, mocks.unwrap_or_default()));
    let google = google.transpose()?;
    let recorder = Recorder::default();
    let board = Board::default();
    let (give, jobs) = mpsc::unbounded_channel();
    let mut sim = build(scenario);
    let names = scenario.herd.server_names().chain([CLIENTS]);
    let faults = Faults::new(names.map(str::to_owned).collect());
    let mut alive = Vec::new();
    for id in scenario.herd.ids() {
        alive.push(add_server(
            &mut sim, scenario, id, &recorder, &faults, is_asked,
        ));
    }
    if let Some(google) = &google {
        let (address, journal) = (google.address(), recorder.journal(Who::Places));
        sim.host(google::HOST, move || {
            google::serve(address, Arc::clone(&journal))
        });
    }
    let clients_net = faults.net(scenario.herd.servers().len());
    let clients = client::run(clients_net, jobs, board.clone(), recorder.clone());
    sim.client(CLIENTS, clients);
    let mut driver = Driver {
        scenario,
        asks_places: is_asked,
        breaker: Breaker::new(scenario, faults, recorder.clone()),
        ranges: scenario.link_latency.clone(),
        latencies: Latencies::new(scenario.seed, scenario.tick),
        alive,
        link_latency: Vec::new(),
        client_latency: Vec::new(),
        todo: timeline(scenario),
        recorder,
        board,
        give,
    };
    driver.draw_latencies(&sim);
    let ended_well = driver.run(&mut sim)?;
    driver.recorder.set_now(sim.elapsed());
    driver.breaker.finish();
    Ok(Execution {
        lasted: sim.elapsed(),
        events: driver.recorder.take(),
        outcomes: driver.board.take(),
        still_waiting: driver.board.pending(),
        undone: driver.todo.len(),
        touched: std::mem::take(&mut driver.breaker.touched),
        ended_well,
        places: google.map(Google::seen),
    })
}

#[expect(
    clippy::disallowed_types,
    reason = "turmoil wants its epoch as a SystemTime; no clock is read"
)]
fn build(scenario: &Scenario) -> turmoil::Sim<'static> {
    let nanos = scenario.epoch_ns;
    let epoch = Duration::new(
        u64::try_from(nanos / 1_000_000_000).unwrap_or(u64::MAX),
        u32::try_from(nanos % 1_000_000_000).unwrap_or_default(),
    );
    let latency = scenario.client_latency.least;
    turmoil::Builder::new()
        .rng_seed(scenario.seed)
        .epoch(std::time::SystemTime::UNIX_EPOCH + epoch)
        .tick_duration(scenario.tick)
        // The driver ends the run itself, and says why.
        .simulation_duration(Duration::from_hours(24 * 365))
        .ip_version(turmoil::IpVersion::V4)
        .min_message_latency(latency)
        .max_message_latency(latency)
        .fail_rate(0.0)
        .repair_rate(0.0)
        // More connections than this pending at one port would panic the simulation.
        .tcp_capacity(1 << 14)
        .udp_capacity(64)
        // Each connection that fails uses one up for good.
        .ephemeral_ports(20_000..=65_535)
        .build()
}

/// Adds a server's host. What comes back says whether the host runs the server the next time that
/// it is started.
fn add_server(
    sim: &mut turmoil::Sim<'static>,
    scenario: &Scenario,
    id: ServerId,
    recorder: &Recorder,
    faults: &Faults,
    asks_places: bool,
) -> Rc<Cell<bool>> {
    let name = scenario.herd.server(id).name.clone();
    let journal = recorder.journal(Who::Server(name.clone()));
    let herd = Arc::clone(&scenario.herd);
    let seed = scenario.seed;
    let timing = scenario.timing;
    let boots = Cell::new(0);
    let alive = Rc::new(Cell::new(true));
    let is_alive = Rc::clone(&alive);
    let net = faults.net(id.index());
    sim.host(name.to_string(), move || {
        let is_alive = is_alive.get();
        if is_alive {
            boots.set(boots.get() + 1);
        }
        let places = places(
            &net,
            asks_places,
            derive(seed, &format!("{name}'s Places"), boots.get()),
        );
        let mut config = Config::new(&herd, id, derive(seed, &name, boots.get()));
        config.timing.heartbeat = timing.heartbeat;
        config.timing.audit = timing.audit;
        config.timing.connect_deadline = timing.connect_deadline;
        config.timing.hello_deadline = timing.hello_deadline;
        config.timing.redial_least = timing.redial_least;
        config.timing.redial_most = timing.redial_most;
        for (address, neighbour) in config.addresses.iter_mut().zip(&config.node.neighbours) {
            address.host = neighbour.name.to_string();
        }
        let (clients, peers) = (herd.server(id).client.clone(), herd.server(id).peer.clone());
        let journal = Arc::clone(&journal);
        let net = net.clone();
        async move {
            if !is_alive {
                // The machine is up and its system refuses connections; only the server is gone.
                std::future::pending::<()>().await;
            }
            // Nobody stops a simulated server in good order: it crashes, or the run ends.
            let (_never, stop) = watch::channel(false);
            let listeners = Listeners::bind(&net, &clients, &peers).await?;
            let running = server::serve(net.clone(), listeners, config, places, journal, stop);
            net.task(running).await?;
            Ok(())
        }
    });
    alive
}

/// Whom a server asks what is near: the faked Google, or somebody who knows of nothing.
fn places(net: &SimNet, asks: bool, seed: u64) -> Arc<dyn Places> {
    if !asks {
        return Arc::new(FixedPlaces::default());
    }
    let address = Address {
        host: google::HOST.to_owned(),
        port: google::PORT,
    };
    let key = ApiKey::new("SIMULATED").ok();
    let config = PlacesConfig::new(Api::Legacy, address, key);
    let rng = ChaCha8Rng::seed_from_u64(seed);
    Arc::new(HttpPlaces::new(net.clone(), config, rng))
}

/// Something that the driver does at some moment.
enum Todo {
    Break(Fault, ServerId),
    Mend(Fault, ServerId),
    Cut(Vec<Way>),
    Heal(Vec<Way>),
    Sever(Vec<(Party, Party)>),
    Slow(Vec<usize>, LatencyRange),
    Skew(Vec<Clocked>, Skewed),
    Send(Job),
}

/// When, by which step (as a byte of the scenario's file), and what.
type Due = (Duration, usize, Todo);

/// Everything that is to be done, in order of time and, at the same time, of the file.
fn timeline(scenario: &Scenario) -> VecDeque<Due> {
    let mut all = Vec::new();
    for (index, step) in scenario.steps.iter().enumerate() {
        let mut add = |todo| all.push((step.at, step.span.start, todo));
        match &step.action {
            Action::Break(fault, servers) => {
                for &id in servers {
                    add(Todo::Break(*fault, id));
                }
            }
            Action::Mend(fault, servers) => {
                for &id in servers {
                    add(Todo::Mend(*fault, id));
                }
            }
            Action::Cut(ways) => add(Todo::Cut(ways.clone())),
            Action::Heal(ways) => add(Todo::Heal(ways.clone())),
            Action::Sever(pairs) => add(Todo::Sever(pairs.clone())),
            Action::Slow(links, latency) => add(Todo::Slow(links.clone(), *latency)),
            Action::Skew(whom, skewed) => add(Todo::Skew(whom.clone(), *skewed)),
            Action::Client(client) => all.extend(jobs(scenario, index, client)),
        }
    }
    all.sort_by_key(|&(at, ..)| at);
    all.into()
}

/// What a client's step has to be done, each at its time.
fn jobs(scenario: &Scenario, index: usize, client: &ClientStep) -> impl Iterator<Item = Due> {
    let step = &scenario.steps[index];
    let what = Arc::new(client.clone());
    client.to.iter().flat_map(move |&to| {
        let what = Arc::clone(&what);
        (1..=client.times).map(move |repetition| {
            let job = Job {
                step: index,
                what: Arc::clone(&what),
                to,
                server: scenario.herd.server(to).name.clone(),
                address: simulated(&scenario.herd, to),
                repetition,
            };
            let at = step.at + client.every * (repetition - 1);
            (at, step.span.start, Todo::Send(job))
        })
    })
}

/// Where a server's clients find it: simulated hosts have their servers' names.
fn simulated(herd: &Herd, server: ServerId) -> Address {
    let server = herd.server(server);
    Address {
        host: server.name.to_string(),
        port: server.client.port,
    }
}

struct Driver<'a> {
    scenario: &'a Scenario,
    latencies: Latencies,
    /// By server: whether its host, when it is started, runs the server or nothing.
    alive: Vec<Rc<Cell<bool>>>,
    /// The latency of each link at this moment.
    link_latency: Vec<Duration>,
    /// The latency between clients and each server at this moment.
    client_latency: Vec<Duration>,
    todo: VecDeque<Due>,
    breaker: Breaker,
    /// Whether there is a host for Places.
    asks_places: bool,
    /// The latency of each link, as the last step that changed it says.
    ranges: Vec<LatencyRange>,
    recorder: Recorder,
    board: Board,
    give: mpsc::UnboundedSender<Job>,
}

impl Driver<'_> {
    /// Ticks until the end; whether that came as it should.
    fn run(&mut self, sim: &mut turmoil::Sim<'static>) -> Result<bool, SimError> {
        let last_step = self.todo.back().map_or(Duration::ZERO, |&(at, ..)| at);
        loop {
            let now = sim.elapsed();
            self.recorder.set_now(now);
            self.perform(sim, now)?;
            self.draw_latencies(sim);
            self.pass(sim, now);
            sim.step()
                .map_err(|error| SimError::Failed(error.to_string()))?;
            let now = sim.elapsed();
            let over = match self.scenario.end {
                Some(end) => now >= end,
                None => self.is_quiet(now),
            };
            if over {
                return Ok(true);
            }
            if self.scenario.end.is_none() && now > last_step + LONGEST_UNREST {
                return Ok(false);
            }
        }
    }

    fn perform(&mut self, sim: &mut turmoil::Sim<'static>, now: Duration) -> Result<(), SimError> {
        while let Some((_, place, todo)) = self.todo.pop_front_if(|&mut (at, ..)| at <= now) {
            match todo {
                Todo::Break(fault, id) => {
                    self.breaker.break_server(fault, id, place);
                    match fault {
                        Fault::Crash => self.kill(sim, id),
                        Fault::PowerOff => self.unplug(sim, id),
                        Fault::Freeze | Fault::Refuse => {}
                    }
                }
                Todo::Mend(fault, id) => {
                    self.breaker.mend_server(fault, id);
                    if matches!(fault, Fault::Crash | Fault::PowerOff) {
                        self.alive[id.index()].set(true);
                        sim.bounce(&*self.scenario.herd.server(id).name);
                    }
                }
                Todo::Cut(ways) => self.breaker.cut(sim, &ways, place),
                Todo::Heal(ways) => self.breaker.heal(sim, &ways),
                Todo::Sever(pairs) => self.breaker.sever(&pairs, place),
                Todo::Slow(links, latency) => {
                    self.breaker.slow(&links, latency.to_string(), place);
                    for link in links {
                        self.ranges[link] = latency;
                        self.link_latency[link] = self.latencies.draw(latency);
                    }
                    self.set_latencies(sim, Duration::ZERO);
                }
                Todo::Skew(whom, skewed) => self.breaker.skew(&whom, skewed, now, place),
                Todo::Send(job) => {
                    self.board.begin();
                    let gone = |_| SimError::Failed("the clients' host is gone".to_owned());
                    self.give.send(job).map_err(gone)?;
                }
            }
        }
        Ok(())
    }

    /// Ends a server as `kill -9` does: its memory is gone, its system closes its sockets and
    /// refuses new connections.
    fn kill(&self, sim: &mut turmoil::Sim<'static>, id: ServerId) {
        self.alive[id.index()].set(false);
        // What is sent between two ticks counts from the end of the tick before, and would
        // arrive a tick early.
        self.set_latencies(sim, self.scenario.tick);
        sim.bounce(&*self.scenario.herd.server(id).name);
        self.set_latencies(sim, Duration::ZERO);
    }

    /// Ends a server as pulling the plug does: what it sent and is sent is lost, nothing is closed.
    fn unplug(&mut self, sim: &mut turmoil::Sim<'static>, id: ServerId) {
        let herd = &self.scenario.herd;
        let me = &herd.server(id).name;
        let places = self.asks_places.then_some(google::HOST);
        let others = herd
            .server_names()
            .chain([CLIENTS])
            .chain(places)
            .filter(|name| *name != &**me);
        for other in others.clone() {
            sim.partition(&**me, other);
        }
        sim.crash(&**me);
        for other in others {
            sim.repair(&**me, other);
        }
        self.breaker.reapply(sim, id.index());
    }

    /// What may pass against a one-way cut arrives when it is due.
    fn pass(&mut self, sim: &turmoil::Sim<'static>, now: Duration) {
        let Self {
            breaker,
            scenario,
            link_latency,
            client_latency,
            ..
        } = self;
        breaker.pass(sim, now, |a, b| {
            let ids: Vec<ServerId> = scenario
                .herd
                .ids()
                .filter(|id| [a, b].contains(&id.index()))
                .collect();
            match ids.as_slice() {
                [server] => client_latency[server.index()],
                [x, y] => {
                    let link = scenario
                        .herd
                        .links()
                        .iter()
                        .position(|link| link.other(*x) == Some(*y));
                    link.map_or(Duration::ZERO, |link| link_latency[link])
                }
                _ => Duration::ZERO,
            }
        });
    }

    /// Draws the latency of every link for the next tick.
    fn draw_latencies(&mut self, sim: &turmoil::Sim<'static>) {
        let Scenario {
            client_latency: clients,
            herd,
            ..
        } = self.scenario;
        let links = &self.ranges;
        let varies = |range: &LatencyRange| range.least != range.most;
        let first = self.client_latency.is_empty();
        if !(first || varies(clients) || links.iter().any(varies)) {
            return;
        }
        self.link_latency = links
            .iter()
            .map(|&range| self.latencies.draw(range))
            .collect();
        let servers = herd.servers().iter();
        self.client_latency = servers.map(|_| self.latencies.draw(*clients)).collect();
        self.set_latencies(sim, Duration::ZERO);
    }

    /// Tells the simulation all latencies, each with something added.
    fn set_latencies(&self, sim: &turmoil::Sim<'static>, added: Duration) {
        let herd = &self.scenario.herd;
        for (link, &latency) in herd.links().iter().zip(&self.link_latency) {
            let (a, b) = (&herd.server(link.a).name, &herd.server(link.b).name);
            sim.set_link_latency(&**a, &**b, latency + added);
        }
        for (server, &latency) in herd.servers().iter().zip(&self.client_latency) {
            sim.set_link_latency(CLIENTS, &*server.name, latency + added);
        }
    }

    /// Whether nothing is left to happen: all steps done, all clients answered, all links between
    /// running servers synchronised, and nothing but signs of life for a while.
    fn is_quiet(&self, now: Duration) -> bool {
        let latencies = self.ranges.iter().map(|range| range.most);
        let most = latencies.chain([self.scenario.client_latency.most]).max();
        // Twice there and back: whatever was under way has arrived and was answered.
        let settle = Duration::from_millis(200).max(most.unwrap_or_default() * 4);
        self.todo.is_empty()
            && self.board.pending() == 0
            && self
                .recorder
                .ask(|state| now > state.last_activity + settle && self.is_whole(state))
    }

    fn is_whole(&self, state: &State) -> bool {
        let herd = &self.scenario.herd;
        herd.links().iter().all(|link| {
            let (a, b) = (&herd.server(link.a).name, &herd.server(link.b).name);
            let (x, y) = (link.a.index(), link.b.index());
            let can_talk = state.is_running(a)
                && state.is_running(b)
                && !self.breaker.is_cut(x, y)
                && !self.breaker.is_cut(y, x)
                && !self.breaker.is_stuck(link.a)
                && !self.breaker.is_stuck(link.b);
            !can_talk || state.is_synchronised(a, b)
        })
    }
}

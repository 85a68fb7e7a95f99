//! A scenario in turmoil: one host for each server, one for all clients, and a driver that performs
//! the steps between two ticks.

mod by_hand;

use std::cell::Cell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use super::client::{self, Board, Job};
use super::faults::Breaker;
use super::google::{self, Causes, Google, PlacesObservation, SimPlaces};
use super::impact::{Impact, Origin};
use super::limit::Progress;
use super::machines::{CLIENTS_HOST, Machines, Routes};
use super::net::{Faults, SimNet};
use super::recorder::{Recorder, State};
use super::timeline::{Due, Todo, timeline};
use super::{Chooser, Server, SimError};
use crate::herd::ServerId;
use crate::journal::{Actor, Event, EventKind, Journal};
use crate::net::Net as _;
use crate::places::{FixedPlaces, Places};
use crate::scenario::{Condition, Operation, Outcome, Party, Scenario};
use crate::seed::derive;
use crate::server::{Config, Start};
use by_hand::ByHand;

/// A run that is not quiet this long after its last step has failed.
const LONGEST_UNREST: Duration = Duration::from_mins(1);

/// The number of events above which a run has failed. A flood that never ends would otherwise fill
/// the memory.
pub(super) const MOST_EVENTS: usize = 2_000_000;

/// The results of one execution of a scenario.
pub(super) struct Execution {
    pub(super) events: Vec<Event>,
    pub(super) outcomes: Vec<Outcome>,
    /// Whether the run ended because everything was quiet, or at the scenario's `end`.
    pub(super) ended_well: bool,
    /// The number of steps that were not performed.
    pub(super) undone: usize,
    /// The number of clients that still waited for an answer at the end.
    pub(super) still_waiting: usize,
    /// The impact of each fault, in the order of the faults' ends.
    pub(super) impacts: Vec<Impact>,
    /// The simulated duration of the run.
    pub(super) lasted: Duration,
    /// What Places observed, if there was one.
    pub(super) places: Option<PlacesObservation>,
}

/// How a run ended.
#[derive(PartialEq, Eq)]
enum RunEnd {
    /// Everything was quiet, or the scenario's `end` was reached.
    Well,
    /// The run did not become quiet in time, or had too many events.
    InUnrest,
    /// The chooser gave the run up.
    GivenUp,
}

/// Executes a scenario once, with Places answering by its tables and by `mocks`. With a `chooser`
/// the run is by hand; the result is `None` if the chooser gives it up.
pub(super) fn execute(
    scenario: &Scenario,
    mocks: Option<Vec<wiremock::Mock>>,
    server: &Server,
    chooser: Option<&mut dyn Chooser>,
    progress: &Arc<Progress>,
) -> Result<Option<Execution>, SimError> {
    let is_asked = mocks.is_some() || scenario.asks_places;
    let google = is_asked.then(|| Google::start(scenario, mocks.unwrap_or_default()));
    let google = google.transpose()?;
    let (recorder, board) = (Recorder::default(), Board::default());
    let (give, jobs) = mpsc::unbounded_channel();
    let mut sim = build(scenario);
    let machines = Machines::new(&scenario.herd, is_asked);
    let faults = Faults::new(machines.hosts().map(str::to_owned).collect(), progress);
    let causes = Causes::default();
    let mut alive = Vec::new();
    for id in scenario.herd.ids() {
        let add = AddServer {
            scenario,
            id,
            server,
            recorder: &recorder,
            faults: &faults,
            causes: is_asked.then(|| causes.clone()),
        };
        alive.push(add.to(&mut sim));
    }
    if let Some(google) = &google {
        let (net, address) = (faults.net(machines.of(Party::Places)), google.address());
        alive.push(add_places(&mut sim, address, &recorder, causes, net));
    }
    let net = faults.net(machines.of(Party::Clients));
    let clients = client::run(net, jobs, board.clone(), recorder.clone());
    sim.client(CLIENTS_HOST, clients);
    let mut driver = Driver {
        scenario,
        breaker: Breaker::new(scenario, machines.clone(), faults, recorder.clone()),
        routes: Routes::new(scenario, machines.clone()),
        todo: timeline(scenario, &machines),
        machines,
        alive,
        recorder,
        board,
        give,
        progress: Arc::clone(progress),
    };
    driver.routes.draw_all(&sim);
    let ended = match chooser {
        None => driver.run(&mut sim)?,
        Some(chooser) => ByHand::new(&mut driver, chooser).run(&mut sim)?,
    };
    if ended == RunEnd::GivenUp {
        return Ok(None);
    }
    driver.recorder.set_now(sim.elapsed());
    driver.breaker.finish();
    Ok(Some(Execution {
        lasted: sim.elapsed(),
        events: driver.recorder.take(),
        outcomes: driver.board.take(),
        still_waiting: driver.board.waiting(),
        undone: driver
            .todo
            .iter()
            .filter(|(.., todo)| todo.is_step())
            .count(),
        impacts: std::mem::take(&mut driver.breaker.impacts),
        ended_well: ended == RunEnd::Well,
        places: google.map(Google::seen),
    }))
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
        // The driver ends the run itself, so that it knows why.
        .simulation_duration(Duration::from_hours(24 * 365))
        .ip_version(turmoil::IpVersion::V4)
        .min_message_latency(latency)
        .max_message_latency(latency)
        .fail_rate(0.0)
        .repair_rate(0.0)
        // More connections than this pending at one port would panic the simulation.
        .tcp_capacity(1 << 14)
        .udp_capacity(64)
        // Each failed connection uses up one port for good.
        .ephemeral_ports(20_000..=65_535)
        .build()
}

/// The inputs for the host of a server.
struct AddServer<'a> {
    scenario: &'a Scenario,
    id: ServerId,
    server: &'a Server,
    recorder: &'a Recorder,
    faults: &'a Faults,
    causes: Option<Causes>,
}

impl AddServer<'_> {
    /// Adds the host. The returned flag decides whether the host runs the server the next time it
    /// is started.
    fn to(self, sim: &mut turmoil::Sim<'static>) -> Rc<Cell<bool>> {
        let Self { id, causes, .. } = self;
        let name = self.scenario.herd.server(id).name.clone();
        let journal = self.recorder.journal(Actor::Server(name.clone()));
        let herd = Arc::clone(&self.scenario.herd);
        let (seed, timing) = (self.scenario.seed, self.scenario.timing);
        let boots = Cell::new(0);
        let alive = Rc::new(Cell::new(true));
        let is_alive = Rc::clone(&alive);
        let net = self.faults.net(id.index());
        let server = self.server.clone();
        sim.host(name.to_string(), move || {
            let is_alive = is_alive.get();
            if is_alive {
                boots.set(boots.get() + 1);
            }
            let places = match &causes {
                None => Arc::new(FixedPlaces::default()) as Arc<dyn Places>,
                Some(causes) => {
                    let seed = derive(seed, &format!("{name}'s Places"), boots.get());
                    Arc::new(SimPlaces::new(&net, name.clone(), seed, causes.clone()))
                }
            };
            let mut config = Config::new(&herd, id, derive(seed, &name, boots.get()));
            // All simulated clients share one host, so the limit for one address must not apply.
            config.limits.clients_per_address = config.limits.client_connections;
            config.timing = timing;
            for (address, neighbour) in config.addresses.iter_mut().zip(&config.node.neighbours) {
                address.host = neighbour.name.to_string();
            }
            // A simulated server is never stopped gracefully: it crashes, or the run ends.
            let (never, stop) = watch::channel(false);
            let own = herd.server(id);
            let start = Start {
                config,
                clients: own.client.clone(),
                peers: own.peer.clone(),
                places,
                journal: Arc::clone(&journal) as Arc<dyn Journal>,
                stop,
            };
            let (server, net) = (server.clone(), net.clone());
            async move {
                if !is_alive {
                    // The machine is up and its system refuses connections, but no server runs.
                    std::future::pending::<()>().await;
                }
                let _never = never;
                net.task(server.start(net.clone(), start)).await?;
                Ok(())
            }
        });
        alive
    }
}

/// Adds the host of Places. The returned flag decides whether it serves the next time it is
/// started.
fn add_places(
    sim: &mut turmoil::Sim<'static>,
    wiremock: std::net::SocketAddr,
    recorder: &Recorder,
    causes: Causes,
    net: SimNet,
) -> Rc<Cell<bool>> {
    let journal = recorder.journal(Actor::Places);
    let alive = Rc::new(Cell::new(true));
    let is_alive = Rc::clone(&alive);
    sim.host(google::HOST, move || {
        let is_alive = is_alive.get();
        let serving = google::serve(net.clone(), wiremock, Arc::clone(&journal), causes.clone());
        let net = net.clone();
        async move {
            if !is_alive {
                std::future::pending::<()>().await;
            }
            net.task(serving).await
        }
    });
    alive
}

struct Driver<'a> {
    scenario: &'a Scenario,
    machines: Machines,
    routes: Routes,
    /// By server, and last for Places: whether its host runs anything the next time it is started.
    alive: Vec<Rc<Cell<bool>>>,
    todo: VecDeque<Due>,
    breaker: Breaker,
    recorder: Recorder,
    board: Board,
    give: mpsc::UnboundedSender<Job>,
    progress: Arc<Progress>,
}

impl Driver<'_> {
    /// Simulates ticks until the run ends.
    fn run(&mut self, sim: &mut turmoil::Sim<'static>) -> Result<RunEnd, SimError> {
        let last_step = self.todo.back().map_or(Duration::ZERO, |&(at, ..)| at);
        loop {
            let now = sim.elapsed();
            self.recorder.set_now(now);
            let routes = &self.routes;
            self.breaker.see(sim, now, |a, b| routes.latency(a, b));
            self.perform(sim, now)?;
            self.routes.draw_all(sim);
            self.breaker.deliver(sim, now);
            self.progress.tick(sim, self.scenario)?;
            let now = sim.elapsed();
            let over = match self.scenario.end {
                Some(end) => now >= end,
                None => self.is_quiet(now),
            };
            if over {
                return Ok(RunEnd::Well);
            }
            let is_late = self.scenario.end.is_none() && now > last_step + LONGEST_UNREST;
            if is_late || self.recorder.count() > MOST_EVENTS {
                return Ok(RunEnd::InUnrest);
            }
        }
    }

    fn perform(&mut self, sim: &mut turmoil::Sim<'static>, now: Duration) -> Result<(), SimError> {
        while let Some((.., todo)) = self.todo.pop_front_if(|&mut (at, ..)| at <= now) {
            self.do_it(sim, now, todo)?;
        }
        Ok(())
    }

    fn do_it(
        &mut self,
        sim: &mut turmoil::Sim<'static>,
        now: Duration,
        todo: Todo,
    ) -> Result<(), SimError> {
        match todo {
            Todo::Compose(origin, words, party) => self.breaker.compose(origin, words, party),
            Todo::Decompose(number) => self.breaker.decompose(number),
            Todo::Do(operation, origin) => self.operate(sim, now, operation, origin),
            Todo::Tell(steps) => {
                let network = self.recorder.journal(Actor::Network);
                for step in steps {
                    network.record(None, EventKind::Chose { step: step.into() });
                }
            }
            Todo::Send(job) => {
                self.board.begin();
                let gone = |_| SimError::Failed("the clients' host is gone".to_owned());
                self.give.send(job).map_err(gone)?;
            }
        }
        Ok(())
    }

    /// Performs an operation, unless the fault that it is part of has ended.
    fn operate(
        &mut self,
        sim: &mut turmoil::Sim<'static>,
        now: Duration,
        operation: Operation,
        origin: Option<Origin>,
    ) {
        let Some(origin) = origin else {
            match operation {
                Operation::Clear(condition, party) => self.clear(sim, condition, party),
                Operation::Heal(ways) => self.breaker.heal(&ways),
                _ => {}
            }
            return;
        };
        if !self.breaker.is_due(&origin) {
            return;
        }
        match operation {
            Operation::Set(condition, party) => {
                self.breaker.set(condition, party, origin);
                match condition {
                    Condition::Dead => self.kill(sim, party),
                    Condition::Unpowered => self.unplug(sim, party),
                    Condition::Frozen | Condition::Refusing => {}
                }
            }
            Operation::Clear(condition, party) => self.clear(sim, condition, party),
            Operation::Cut(ways) => self.breaker.cut(sim, &ways, origin),
            Operation::Heal(ways) => self.breaker.heal(&ways),
            Operation::Sever(pairs) => self.breaker.sever(&pairs, origin),
            Operation::Delay(routes, latency) => {
                self.breaker.slow(&routes, latency, &origin);
                self.routes.slow(sim, &routes, latency);
            }
            Operation::SetClock(clocked, skewed) => {
                self.breaker.skew(&clocked, skewed, now, origin);
            }
            Operation::Jump(clocked, by) => self.breaker.jump(&clocked, by, now, origin),
        }
    }

    fn clear(&mut self, sim: &mut turmoil::Sim<'static>, condition: Condition, party: Party) {
        self.breaker.clear(condition, party);
        if matches!(condition, Condition::Dead | Condition::Unpowered) {
            self.alive(party).set(true);
            sim.bounce(self.machines.host(self.machines.of(party)));
        }
    }

    /// Ends a server as `kill -9` does: its memory is lost, and its system closes its sockets and
    /// refuses new connections.
    fn kill(&self, sim: &mut turmoil::Sim<'static>, party: Party) {
        self.alive(party).set(false);
        // Messages sent between two ticks count from the end of the tick before, and would arrive a
        // tick early.
        self.routes.tell(sim, self.scenario.tick);
        self.breaker.dying(party, true);
        sim.bounce(self.machines.host(self.machines.of(party)));
        self.breaker.dying(party, false);
        self.routes.tell(sim, Duration::ZERO);
    }

    fn alive(&self, party: Party) -> &Cell<bool> {
        match party {
            Party::Server(id) => &self.alive[id.index()],
            // The host of Places was added last.
            Party::Places | Party::Clients => &self.alive[self.alive.len() - 1],
        }
    }

    /// Ends a server as a power failure does: everything in flight from or to it is lost, and
    /// nothing is closed.
    fn unplug(&mut self, sim: &mut turmoil::Sim<'static>, party: Party) {
        let machine = self.machines.of(party);
        let me = self.machines.host(machine);
        let others = || self.machines.hosts().filter(|name| *name != me);
        others().for_each(|other| sim.partition(me, other));
        sim.crash(me);
        others().for_each(|other| sim.repair(me, other));
        self.breaker.reapply(sim, machine);
    }

    /// Whether the run is quiet, so that nothing is left to happen.
    fn is_quiet(&self, now: Duration) -> bool {
        self.todo.is_empty()
            && self.is_settled(now, Duration::from_millis(200))
            && now > self.routes.settled()
    }

    /// Whether all clients are answered, all links between running servers are synchronised, and
    /// only background activity was seen for a while: for `least`, or longer with high latencies.
    fn is_settled(&self, now: Duration, least: Duration) -> bool {
        // Two round trips: everything that was in flight has arrived and was answered.
        let settle = least.max(self.routes.longest() * 4);
        self.board.pending() == 0
            && self
                .recorder
                .ask(|state| now > state.last_activity + settle && self.is_whole(state))
    }

    fn is_whole(&self, state: &State) -> bool {
        let herd = &self.scenario.herd;
        herd.links().iter().all(|link| {
            let (a, b) = (&herd.server(link.a).name, &herd.server(link.b).name);
            let (x, y) = (link.a.index(), link.b.index());
            let either =
                |condition| [link.a, link.b].map(|id| self.breaker.is(condition, id)) != [false; 2];
            let can_talk = state.is_running(a)
                && state.is_running(b)
                && !self.breaker.is_cut(x, y)
                && !self.breaker.is_cut(y, x)
                && !either(Condition::Frozen)
                // A server that refuses connections keeps the links that are up.
                && (!either(Condition::Refusing) || state.is_up(a, b));
            !can_talk || state.is_synchronised(a, b)
        })
    }
}

//! The world of ticks: turmoil 0.7, whose time goes in steps of a scenario's `tick`.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use ::turmoil::net::{TcpListener, TcpStream};
use ::turmoil::{Builder, IpVersion, Protocol, Segment, Sim};

use super::wires::Wires;
use super::{Program, Setup, Wire, World};
use crate::herd::{Address, ServerId};
use crate::journal::EventId;
use crate::scenario::{Held, Impairment, Route, Scenario};
use crate::sim::limit::Progress;
use crate::sim::machines::{Machine, Machines, Routes};
use crate::sim::net::Faults;
use crate::sim::sockets::{Opening, RawConnection, RawListener, RawStream, Sockets};
use crate::sim::time::follow;
use crate::sim::{SimError, failed};
use crate::units::LatencyRange;

/// Identifies a segment in flight that carries updates: sender, receiver, and its number on the
/// connection.
type Key = (SocketAddr, SocketAddr, u64);

/// The machines of a run as hosts of turmoil.
pub(in crate::sim) struct Ticks {
    sim: Sim<'static>,
    scenario: Scenario,
    machines: Machines,
    routes: Routes,
    wires: Wires,
    faults: Faults,
    progress: Arc<Progress>,
    /// By machine: whether its host runs its program the next time it is started.
    alive: Vec<Rc<Cell<bool>>>,
    /// In a run by hand: the segments that wait, each with its rank in the order in which they became possible.
    waiting: BTreeMap<Key, u64>,
    came_up: u64,
    /// The servers' machines by address, as soon as a run by hand needs them.
    servers: BTreeMap<IpAddr, Machine>,
}

impl Ticks {
    pub(in crate::sim) fn new(setup: Setup<'_>) -> Self {
        let Setup {
            scenario,
            machines,
            programs,
            faults,
            progress,
            ..
        } = setup;
        follow(::turmoil::sim_elapsed, 1);
        let mut sim = build(scenario);
        let mut alive = Vec::new();
        // The clients' host comes last, whatever its number: turmoil runs hosts in the order in which they were added.
        let clients = machines.clients();
        let (first, last): (Vec<_>, Vec<_>) =
            (programs.into_iter().enumerate()).partition(|(machine, _)| *machine != clients);
        for (machine, program) in first {
            alive.push((machine, add(&mut sim, machines.host(machine), program)));
        }
        for (machine, program) in last {
            let program = program();
            sim.client(machines.host(machine).to_owned(), async move {
                program.await.map_err(Into::into)
            });
            alive.push((machine, Rc::new(Cell::new(true))));
        }
        alive.sort_by_key(|(machine, _)| *machine);
        let mut world = Self {
            sim,
            scenario: scenario.clone(),
            routes: Routes::new(scenario, machines.clone()),
            wires: Wires::new(scenario, machines.clone()),
            machines,
            faults,
            progress,
            alive: alive.into_iter().map(|(_, alive)| alive).collect(),
            waiting: BTreeMap::new(),
            came_up: 0,
            servers: BTreeMap::new(),
        };
        world.draw();
        world
    }

    /// Draws the latencies of the next tick.
    fn draw(&mut self) {
        if self.routes.draw_all() {
            self.tell(Duration::ZERO);
        }
    }

    /// Sets all latencies in the simulation, each increased by `added`.
    fn tell(&self, added: Duration) {
        self.routes.each(|a, b, latency| {
            let (a, b) = (self.machines.host(a), self.machines.host(b));
            self.sim.set_link_latency(a, b, latency + added);
        });
    }

    fn bounce(&mut self, machine: Machine) {
        self.sim.bounce(self.machines.host(machine));
    }

    fn end_of(&self, address: SocketAddr) -> Option<Machine> {
        self.servers.get(&address.ip()).copied()
    }
}

impl World for Ticks {
    fn now(&self) -> Duration {
        self.sim.elapsed()
    }

    fn go_on(&mut self, _: Duration) -> Result<(), SimError> {
        self.draw();
        let now = self.now();
        let Self {
            wires, sim, faults, ..
        } = self;
        wires.deliver(sim, now, faults);
        self.progress.reaches(now)?;
        let stepped = self.sim.step();
        stepped.map_err(|error| failed(&self.scenario, now, &*error))?;
        let Self {
            wires, sim, routes, ..
        } = self;
        wires.see(sim, sim.elapsed(), |a, b| routes.latency(a, b));
        Ok(())
    }

    fn start(&mut self, machine: Machine) {
        self.alive[machine].set(true);
        self.bounce(machine);
    }

    fn kill(&mut self, machine: Machine) {
        self.alive[machine].set(false);
        // Messages sent between two ticks count from the end of the tick before, and would arrive a
        // tick early.
        self.tell(self.scenario.tick);
        self.faults.dying(machine, true);
        self.bounce(machine);
        self.faults.dying(machine, false);
        self.tell(Duration::ZERO);
    }

    fn unplug(&mut self, machine: Machine) {
        let me = self.machines.host(machine);
        let others = || self.machines.hosts().filter(|name| *name != me);
        others().for_each(|other| self.sim.partition(me, other));
        self.sim.crash(me);
        others().for_each(|other| self.sim.repair(me, other));
        self.wires.hold_again(&self.sim, machine);
    }

    fn delay(&mut self, routes: &[Route], latency: LatencyRange) {
        let now = self.now();
        self.routes.slow(routes, latency, now);
        self.tell(Duration::ZERO);
    }

    fn cut(&mut self, fault: EventId, wires: &[Wire]) {
        self.wires.cut(&self.sim, fault, wires);
    }

    fn heal(&mut self, fault: EventId, wires: &[Wire]) {
        self.wires.heal(fault, wires);
    }

    fn impair(&mut self, _: EventId, _: &[Wire], _: Impairment) {
        // turmoil's TCP sends nothing again. A scenario with an impairment is refused before: see `WorldKind::lacks`.
    }

    fn redraw(&mut self, seed: u64) {
        self.routes.redraw(seed);
    }

    fn longest_latency(&self) -> Duration {
        self.routes.longest()
    }

    fn settled(&self) -> Duration {
        self.routes.settled()
    }

    fn hold(&mut self) {
        if self.servers.is_empty() {
            let all = self.scenario.herd.ids().map(ServerId::index);
            let all = all.map(|machine| (self.sim.lookup(self.machines.host(machine)), machine));
            self.servers = all.collect();
        }
        let herd = &self.scenario.herd;
        for link in herd.links() {
            let [a, b] = [link.a, link.b].map(|id| &*herd.server(id).name);
            self.sim.hold(a, b);
        }
    }

    fn waiting(&mut self, runs: &dyn Fn(Machine) -> bool) -> (bool, Vec<Wire>) {
        let mut before = std::mem::take(&mut self.waiting);
        let mut waiting = BTreeMap::new();
        let mut came_up = self.came_up;
        // Nothing on a connection overtakes a segment that waits on it.
        let mut closed: BTreeSet<(SocketAddr, SocketAddr)> = BTreeSet::new();
        let mut moves = false;
        self.sim.links(|links| {
            for message in links.flatten() {
                let (from, to) = message.pair();
                let (Some(_), Some(receiver)) = (self.end_of(from), self.end_of(to)) else {
                    continue;
                };
                if closed.contains(&(from, to)) {
                    continue;
                }
                match carried(message.protocol(), self.scenario.held) {
                    Some(number) if runs(receiver) => {
                        closed.insert((from, to));
                        let key = (from, to, number);
                        let at = before.remove(&key).unwrap_or_else(|| {
                            came_up += 1;
                            came_up
                        });
                        waiting.insert(key, at);
                    }
                    _ => {
                        moves = true;
                        message.deliver();
                    }
                }
            }
        });
        (self.waiting, self.came_up) = (waiting, came_up);
        let mut by_rank: Vec<(u64, Key)> =
            (self.waiting.iter()).map(|(key, at)| (*at, *key)).collect();
        by_rank.sort_unstable();
        let mut wires: Vec<Wire> = Vec::new();
        for (_, (from, to, _)) in by_rank {
            if let (Some(from), Some(to)) = (self.end_of(from), self.end_of(to)) {
                // If two connections join the same servers, the older one's message comes first.
                if !wires.contains(&(from, to)) {
                    wires.push((from, to));
                }
            }
        }
        (moves, wires)
    }

    fn release(&mut self, (from, to): Wire) {
        let goes = |key: &Key| (self.end_of(key.0), self.end_of(key.1)) == (Some(from), Some(to));
        let all = self.waiting.iter().filter(|(key, _)| goes(key));
        let Some(first) = all.min_by_key(|(_, at)| **at).map(|(key, _)| *key) else {
            return;
        };
        self.sim.links(|links| {
            let mut all = links.flatten();
            let found = all.find(|message| {
                let (from, to) = message.pair();
                carried(message.protocol(), self.scenario.held)
                    .is_some_and(|number| (from, to, number) == first)
            });
            if let Some(message) = found {
                message.deliver();
            }
        });
    }
}

/// The number of a segment that waits; `None` for other segments.
fn carried(protocol: &Protocol, held: Held) -> Option<u64> {
    match protocol {
        Protocol::Tcp(Segment::Data(number, bytes)) => held.waits(bytes).then_some(*number),
        _ => None,
    }
}

#[expect(
    clippy::disallowed_types,
    reason = "turmoil wants its epoch as a SystemTime; no clock is read"
)]
fn build(scenario: &Scenario) -> Sim<'static> {
    let latency = scenario.client_latency.least;
    Builder::new()
        .rng_seed(scenario.seed.first())
        // Servers read a clock of their machine's. turmoil's own default is the wall clock.
        .epoch(std::time::SystemTime::UNIX_EPOCH)
        .tick_duration(scenario.tick)
        // The driver ends the run itself, so that it knows why.
        .simulation_duration(Duration::from_hours(24 * 365))
        .ip_version(IpVersion::V4)
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

/// Adds a host. The returned flag decides whether it runs its program the next time it is started.
fn add(sim: &mut Sim<'static>, name: &str, program: Program) -> Rc<Cell<bool>> {
    let alive = Rc::new(Cell::new(true));
    let is_alive = Rc::clone(&alive);
    sim.host(name.to_owned(), move || {
        let running = is_alive.get().then(&program);
        async move {
            match running {
                Some(running) => running.await.map_err(Into::into),
                // The machine is up and its system refuses connections, but nothing runs.
                None => std::future::pending().await,
            }
        }
    });
    alive
}

/// Sockets of the host that runs the caller.
pub(in crate::sim) struct TurmoilSockets;

impl RawStream for TcpStream {}

impl Sockets for TurmoilSockets {
    fn listen(&self, _: Machine, port: u16) -> Opening<'_, Box<dyn RawListener>> {
        Box::pin(async move {
            // A simulated host has one address, and turmoil's listeners bind the unspecified one.
            let bound = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await?;
            Ok(Box::new(bound) as Box<dyn RawListener>)
        })
    }

    fn connect<'a>(&'a self, _: Machine, to: &'a Address) -> Opening<'a, RawConnection> {
        Box::pin(async move {
            let stream = TcpStream::connect((to.host.as_str(), to.port)).await?;
            describe(stream)
        })
    }

    fn name_of(&self, address: IpAddr) -> Option<String> {
        ::turmoil::reverse_lookup(address)
    }
}

impl RawListener for TcpListener {
    fn accept(&self) -> Opening<'_, RawConnection> {
        Box::pin(async move {
            let (stream, _) = Self::accept(self).await?;
            describe(stream)
        })
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Self::local_addr(self)
    }
}

fn describe(stream: TcpStream) -> io::Result<RawConnection> {
    Ok(RawConnection {
        local: stream.local_addr()?,
        remote: stream.peer_addr()?,
        stream: Box::new(stream),
    })
}

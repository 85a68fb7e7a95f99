//! The world of processes and relays: its servers, and what becomes of their processes.

mod operations;

use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::files::Folder;
use super::journals::Journals;
use super::launch::{Own, Seen, address, clients, launch, until_ready};
use super::network::{Ends, Network, local};
use super::sockets::LiveSockets;
use super::{LiveError, Options, clock};
use crate::herd::{Address, Herd, ServerId};
use crate::journal::{Actor, EventKind};
use crate::live::command::{Command, Ports};
use crate::live::process::{Launch, Process, ProcessError, listening};
use crate::scenario::{Party, Route, Scenario};
use crate::sim::SimError;
use crate::sim::outside::{Machine, Machines, Recorder, Setup, Wire, World};

/// How long a server may take until it listens.
const PATIENCE: Duration = Duration::from_secs(15);

/// How long after it listens a server's first events are fetched for sure.
const FETCHED: Duration = Duration::from_millis(300);

/// How often processes are looked at.
const LOOK: Duration = Duration::from_millis(10);

/// What a server's process is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It was started, and does not listen yet; it is given up at this moment.
    Starting(Instant),
    Running,
    Frozen,
    /// It was told to stop, and perhaps to be started again when it has.
    Stopping(bool),
    /// It has ended, as it was to.
    Down,
    /// It has ended by itself.
    Fallen,
}

/// A server of the herd.
struct Server {
    id: ServerId,
    launch: Launch,
    ports: Ports,
    /// None before it was started for the first time.
    process: Option<Process>,
    state: State,
    /// How often it was started.
    boots: u32,
    /// Where its events are fetched; nowhere of somebody's servers.
    admin: Option<Address>,
    /// The number of its process among those whose events are fetched.
    number: usize,
}

/// Servers as processes, with relays between them.
pub(super) struct LiveWorld {
    // What is dropped first ends first: servers, then what they are connected by.
    servers: Vec<Server>,
    network: Network,
    /// The harness's own programs.
    programs: JoinSet<Result<(), String>>,
    herd: Arc<Herd>,
    machines: Machines,
    guard: PathBuf,
    speed: u32,
    /// The clients that servers are asked for at the end.
    clients: Vec<Vec<u8>>,
    longest: Duration,
    /// When what the last server that came up has done since is known.
    known: Duration,
    /// Machines without power, whose connections are gone when they have it again.
    unpowered: Vec<Machine>,
    recorder: Option<Recorder>,
    journals: Journals,
    /// What ended by itself, and its last lines.
    fallen: Arc<Mutex<Vec<String>>>,
    interrupt: Option<Arc<AtomicBool>>,
    runtime: Runtime,
    _folder: Folder,
}

impl LiveWorld {
    /// Starts all servers, and waits until they listen. The second value is what the harness's own programs use.
    pub(super) fn start(
        scenario: &Scenario,
        options: &Options,
        folder: Folder,
        (fallen, journals): (Arc<Mutex<Vec<String>>>, Journals),
    ) -> Result<(Self, LiveSockets), LiveError> {
        let mut builder = Builder::new_current_thread();
        let runtime = builder.enable_all().build();
        let runtime = runtime.map_err(LiveError::system("start a runtime"))?;
        let places = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
        let places = places.and_then(|places| {
            places.set_nonblocking(true)?;
            Ok((places.local_addr()?, places))
        });
        let (at, listener) = places.map_err(LiveError::system("bind a port for Places"))?;
        let herd = &scenario.herd;
        let machines = Machines::new(herd, true);
        let command = options.command.as_ref();
        let mut own = Own::new(herd, command)?;
        let between = command.is_none_or(Command::takes_ports_of_others);
        let building = Network::new((herd, &machines), &own.ports, at, between);
        let (network, found) = runtime.block_on(building)?;
        let servers = servers(scenario, options, &folder, (&own, &found))?;
        let mut world = Self {
            servers,
            network,
            programs: JoinSet::new(),
            herd: Arc::clone(herd),
            machines,
            guard: options.herd.clone(),
            speed: options.speed,
            clients: clients(scenario),
            longest: Duration::ZERO,
            known: Duration::ZERO,
            unpowered: Vec::new(),
            recorder: None,
            journals,
            fallen,
            interrupt: options.interrupt.clone(),
            runtime,
            _folder: folder,
        };
        for (route, latency) in scenario.usual() {
            world.delay(&[route], latency);
        }
        // From here on they are the servers'.
        own.held.clear();
        world.start_all()?;
        Ok((world, LiveSockets::new(found.clients, listener)))
    }

    /// Starts all servers and waits until each listens.
    fn start_all(&mut self) -> Result<(), LiveError> {
        let Self {
            servers,
            runtime,
            guard,
            journals,
            network,
            ..
        } = self;
        runtime.block_on(async {
            for server in servers.iter_mut() {
                network.refuse(server.id.index(), true);
                server.process = Some(Process::start(guard, &server.launch).await?);
            }
            for server in servers.iter_mut() {
                if let Some(process) = &mut server.process {
                    process.listens(server.ports.peer, PATIENCE).await?;
                    process.listens(server.ports.client, PATIENCE).await?;
                }
                network.refuse(server.id.index(), false);
                server.state = State::Running;
                server.boots = 1;
                server.number = journals.begin(server.launch.name.as_str().into());
            }
            // Steps are written for a herd that is up.
            let ready = servers.iter().filter_map(|server| server.admin.as_ref());
            for admin in ready {
                until_ready(admin, PATIENCE).await;
            }
            Ok::<_, ProcessError>(())
        })?;
        Ok(())
    }

    /// The run begins: the harness's own programs are started.
    pub(super) fn begin(&mut self, setup: Setup<'_>) {
        self.recorder = Some(setup.recorder);
        for machine in 0..self.servers.len() {
            self.follow(machine);
        }
        for program in &setup.programs {
            self.programs.spawn_on(program(), self.runtime.handle());
        }
        for machine in 0..self.servers.len() {
            self.tell_of_start(machine);
        }
    }

    /// Fetches the events of a server's process from now on.
    fn follow(&mut self, machine: Machine) {
        let server = &self.servers[machine];
        if let (Some(admin), Some(recorder)) = (&server.admin, &self.recorder) {
            let journals = self.journals.clone();
            let following = journals.follow(server.number, admin.clone(), recorder.clone());
            self.programs.spawn_on(following, self.runtime.handle());
        }
    }

    /// Fetches what a server's process has recorded, which is about to end.
    fn drain(&self, machine: Machine) {
        let Some(server) = self.servers.get(machine) else {
            return;
        };
        if let (Some(admin), State::Running) = (&server.admin, server.state) {
            let recorder = self.recorder.as_ref();
            let draining = self.journals.drain(server.number, admin, recorder);
            self.runtime.block_on(draining);
        }
    }

    /// Records that a server listens, unless it does that itself.
    fn tell_of_start(&self, machine: Machine) {
        let server = &self.servers[machine];
        if server.admin.is_some() {
            return;
        }
        let boot = format!("process-{}", server.boots).into();
        self.tell(machine, EventKind::Started { boot });
    }

    fn tell(&self, machine: Machine, what: EventKind<'_>) {
        let name = &self.herd.server(self.servers[machine].id).name;
        if let Some(recorder) = &self.recorder {
            let journal = recorder.journal(Actor::Server(name.clone()));
            journal.record(None, what);
        }
    }

    fn server(&mut self, machine: Machine) -> Option<&mut Server> {
        self.servers.get_mut(machine)
    }

    /// Looks at all processes: which listen by now, and which have ended.
    fn look(&mut self) -> Result<(), SimError> {
        for machine in 0..self.servers.len() {
            let server = &mut self.servers[machine];
            let Some(process) = &mut server.process else {
                continue;
            };
            let runs = process.runs();
            let (name, output) = (process.name().to_owned(), process.output());
            match server.state {
                State::Down | State::Fallen => {}
                State::Stopping(again) if !runs => {
                    server.state = State::Down;
                    if server.admin.is_some() {
                        self.journals.end(server.number);
                    } else {
                        self.tell(machine, EventKind::Stopped);
                    }
                    if again {
                        self.boot(machine)?;
                    }
                }
                State::Starting(until) if runs => {
                    let Ports { client, peer } = server.ports;
                    let listens = async { Ok(listening(client).await? && listening(peer).await?) };
                    let listens: std::io::Result<bool> = self.runtime.block_on(listens);
                    if listens.map_err(|error| failed(&error))? {
                        server.state = State::Running;
                        self.known = clock::now() + FETCHED * self.speed;
                        self.network.refuse(machine, false);
                        self.tell_of_start(machine);
                    } else if Instant::now() > until {
                        let why = format!("{name} does not listen{output}");
                        return Err(SimError::Failed(why));
                    }
                }
                _ if !runs => {
                    server.state = State::Fallen;
                    self.network.refuse(machine, true);
                    let at = crate::units::format_duration(clock::now());
                    let words = format!("{name} ended at {at}{output}");
                    let mut fallen = self.fallen.lock().unwrap_or_else(PoisonError::into_inner);
                    fallen.push(words);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Starts a server's process. Nobody gets through to it before it listens.
    fn boot(&mut self, machine: Machine) -> Result<(), SimError> {
        let (guard, runtime) = (&self.guard, &self.runtime);
        let Some(server) = self.servers.get_mut(machine) else {
            return Ok(());
        };
        let started = runtime.block_on(Process::start(guard, &server.launch));
        server.process = Some(started.map_err(|error| failed(&error))?);
        server.state = State::Starting(Instant::now() + PATIENCE);
        server.boots += 1;
        server.number = self.journals.begin(server.launch.name.as_str().into());
        self.follow(machine);
        Ok(())
    }

    /// Starts a server's process, and tells of it if that fails: the driver has no errors here.
    fn boot_or_fall(&mut self, machine: Machine) {
        if let Err(error) = self.boot(machine) {
            let mut fallen = self.fallen.lock().unwrap_or_else(PoisonError::into_inner);
            fallen.push(error.to_string());
        }
    }

    /// Ends a process as SIGKILL does.
    fn end_process(&mut self, machine: Machine) {
        let runtime = &self.runtime;
        if let Some(server) = self.servers.get_mut(machine)
            && let Some(process) = &mut server.process
        {
            let _ = runtime.block_on(process.kill());
            server.state = State::Down;
            if server.admin.is_some() {
                self.journals.end(server.number);
            }
        }
    }

    /// The wires of a route, in both directions.
    fn wires(&self, route: Route) -> Vec<Wire> {
        let pairs = self.machines.pairs(route).into_iter();
        pairs.flat_map(|(a, b)| [(a, b), (b, a)]).collect()
    }

    fn is_places(&self, machine: Machine) -> bool {
        machine == self.machines.of(Party::Places)
    }
}

fn failed(error: &dyn std::error::Error) -> SimError {
    SimError::Failed(error.to_string())
}

/// The servers of a herd that listen at these ports, before any is started.
fn servers(
    scenario: &Scenario,
    options: &Options,
    folder: &Folder,
    (own, found): (&Own, &Ends),
) -> Result<Vec<Server>, LiveError> {
    let is_ours = options.command.is_none();
    let servers = scenario.herd.ids().map(|id| {
        let admin = is_ours.then(|| address(local(own.admin[id.index()])));
        let seen = Seen {
            ports: &found.ports[id.index()],
            places: found.places[id.index()],
            admin: admin.as_ref(),
        };
        Ok(Server {
            id,
            launch: launch(scenario, options, folder, id, &seen)?,
            ports: own.ports[id.index()],
            process: None,
            state: State::Down,
            boots: 0,
            admin,
            number: 0,
        })
    });
    servers.collect()
}

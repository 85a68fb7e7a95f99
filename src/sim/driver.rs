//! Executes a scenario in a world: one machine for each server, one for all clients, and a driver that performs the
//! steps.

mod by_hand;

use std::cell::Cell;
use std::collections::VecDeque;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::census::Counters;
use super::client::{self, Board, Job};
use super::disk::{DiskOperations, Disks};
use super::faults::Breaker;
use super::google::{self, Causes, Google, PlacesObservation};
use super::impact::{Impact, Origin};
use super::limit::Progress;
use super::machines::Machines;
use super::net::{Faults, SimNet};
use super::process::{Processes, ServerProgram};
use super::react::reacts;
use super::recorder::{MOST_EVENTS, Recorder, State};
use super::server::Builds;
use super::timeline::{Due, Todo, timeline};
use super::worlds::{Engine, Program, Running, Setup, World};
use super::{Chooser, SimError};
use crate::journal::{Actor, Event, EventKind};
use crate::net::Net as _;
use crate::scenario::{
    Action, Condition, Direction, Operation, Outcome, Party, Reload, Scenario, Upgrade,
};
use crate::trace::invariants::Census;
use by_hand::ByHand;

/// A run that is not quiet this long after its last step has failed.
const LONGEST_UNREST: Duration = Duration::from_mins(1);

/// How long a herd must be quiet before a run ends.
const CALM: Duration = Duration::from_millis(200);

/// How often to look whether everything is quiet, while it is not.
const LOOKS: Duration = Duration::from_millis(10);

/// The results of one execution of a scenario.
#[derive(PartialEq)]
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
    /// What each running server had under way when the run ended.
    pub(super) census: Vec<Census>,
    /// When each operation of a disk took effect, and what it is called.
    pub(super) disk_operations: DiskOperations,
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
/// the run is by hand; the result is `None` if the chooser gives it up. Without `builds` servers are processes of the
/// world's, so it is given no programs for their machines.
pub(super) fn execute(
    scenario: &Scenario,
    mocks: Option<Vec<wiremock::Mock>>,
    (engine, builds): (Engine, Option<&Builds>),
    chooser: Option<&mut dyn Chooser>,
    progress: &Arc<Progress>,
) -> Result<Option<Execution>, SimError> {
    let is_asked = mocks.is_some() || scenario.asks_places;
    let google = is_asked.then(|| Google::start(scenario, mocks.unwrap_or_default()));
    let google = google.transpose()?;
    let (recorder, board) = (Recorder::default(), Board::default());
    let (give, jobs) = mpsc::unbounded_channel();
    let machines = Machines::new(&scenario.herd, is_asked);
    let names = machines.hosts().map(str::to_owned).collect();
    let (sockets, make) = engine(&machines);
    let faults = Faults::new(names, scenario.epoch_ns, progress, sockets);
    faults.draw_from(scenario.seed.first(), scenario.shuffle);
    let (causes, counters) = (Causes::default(), Counters::default());
    let (processes, disks) = (Processes::new(scenario), Disks::new(scenario));
    let causes_of = is_asked.then_some(&causes);
    let shared = (&recorder, causes_of, &counters);
    let told = (&processes, &disks);
    let builds = builds.into_iter();
    let mut programs: Vec<Program> = builds
        .flat_map(|builds| servers(scenario, (&faults, builds), shared, told))
        .collect();
    let net = faults.net(machines.clients());
    let clients = client::run(net, jobs, board.clone(), recorder.clone());
    programs.push(once(clients));
    if let Some(google) = &google {
        let net = faults.net(machines.of(Party::Places));
        programs.push(places(google.address(), &recorder, causes.clone(), net));
    }
    let world = make(Setup {
        scenario,
        machines: machines.clone(),
        programs,
        faults: faults.clone(),
        progress: Arc::clone(progress),
        recorder: recorder.clone(),
    })?;
    let mut driver = Driver {
        scenario,
        breaker: Breaker::new(
            scenario,
            machines.clone(),
            (faults.clone(), disks.clone()),
            recorder.clone(),
        ),
        todo: timeline(scenario, &machines),
        machines,
        world,
        recorder,
        board,
        give,
        processes,
    };
    // Times mean nothing in a run by hand, and a note is no step that could be chosen.
    let keeps = |todo: &Todo| chooser.is_none() || !matches!(todo, Todo::Redraw(_) | Todo::Note(_));
    driver.todo.retain(|(.., todo)| keeps(todo));
    let ended = match chooser {
        None => driver.run()?,
        Some(chooser) => ByHand::new(&mut driver, chooser).run()?,
    };
    if ended == RunEnd::GivenUp {
        return Ok(None);
    }
    driver.world.end(&driver.recorder)?;
    let lasted = driver.world.now();
    driver.recorder.set_now(lasted);
    driver.breaker.finish();
    Ok(Some(Execution {
        lasted,
        census: counters.census(&driver.machines, &faults),
        events: driver.recorder.take(),
        outcomes: driver.board.take(),
        still_waiting: driver.board.waiting(),
        undone: driver
            .todo
            .iter()
            .filter(|(.., todo)| todo.is_step())
            .count()
            + scenario.steps.iter().filter(|step| reacts(step)).count(),
        impacts: std::mem::take(&mut driver.breaker.impacts),
        ended_well: ended == RunEnd::Well,
        places: google.map(Google::seen),
        disk_operations: disks.operations(),
    }))
}

/// The programs of all servers.
fn servers(
    scenario: &Scenario,
    (faults, builds): (&Faults, &Builds),
    shared: (&Recorder, Option<&Causes>, &Counters),
    told: (&Processes, &Disks),
) -> Vec<Program> {
    let servers = scenario.herd.ids().map(|id| {
        let net = faults.net(id.index());
        let server = ServerProgram::new(scenario, id, (net, builds), shared, told);
        Box::new(move || Box::pin(server.clone().run()) as Running) as Program
    });
    servers.collect()
}

/// A program that is started once only: its machine is never killed.
fn once(running: impl Future<Output = Result<(), String>> + Send + 'static) -> Program {
    let running = Cell::new(Some(Box::pin(running) as Running));
    Box::new(move || {
        let again = || Box::pin(std::future::pending()) as Running;
        running.take().unwrap_or_else(again)
    })
}

/// The program of Places.
fn places(wiremock: SocketAddr, recorder: &Recorder, causes: Causes, net: SimNet) -> Program {
    let journal = recorder.journal(Actor::Places);
    Box::new(move || {
        let serving = google::serve(net.clone(), wiremock, Arc::clone(&journal), causes.clone());
        Box::pin(net.task(serving))
    })
}

struct Driver<'a> {
    scenario: &'a Scenario,
    machines: Machines,
    world: Box<dyn World>,
    todo: VecDeque<Due>,
    breaker: Breaker,
    recorder: Recorder,
    board: Board,
    give: mpsc::UnboundedSender<Job>,
    processes: Processes,
}

impl Driver<'_> {
    /// Goes on until the run ends.
    fn run(&mut self) -> Result<RunEnd, SimError> {
        let last_step = self.last_step();
        loop {
            let now = self.world.now();
            self.recorder.set_now(now);
            self.perform(now)?;
            self.world.go_on(self.next_look(now))?;
            let now = self.world.now();
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

    /// When the last step has happened, with all the pauses of its client.
    fn last_step(&self) -> Duration {
        let pauses = self.scenario.steps.iter().map(|step| match &step.action {
            Action::Client(talk) | Action::Peer(talk) => {
                step.at + talk.lasts() + talk.connection.reads_after
            }
            _ => step.at,
        });
        let last = self.todo.back().map_or(Duration::ZERO, |&(at, ..)| at);
        pauses.fold(last, Duration::max)
    }

    /// When there is something to do again: a step, the end, or a look at whether everything is quiet.
    fn next_look(&self, now: Duration) -> Duration {
        if let Some(&(at, ..)) = self.todo.front() {
            return self.scenario.end.map_or(at, |end| end.min(at));
        }
        self.scenario.end.unwrap_or_else(|| {
            let quiet = self.recorder.ask(|state| state.last_activity) + self.settle(CALM);
            // The next whole millisecond, which a report can show.
            let quiet = quiet.max(self.world.settled()).as_millis() + 1;
            let quiet = Duration::from_millis(u64::try_from(quiet).unwrap_or(u64::MAX));
            if quiet > now { quiet } else { now + LOOKS }
        })
    }

    fn perform(&mut self, now: Duration) -> Result<(), SimError> {
        while let Some((.., todo)) = self.todo.pop_front_if(|&mut (at, ..)| at <= now) {
            self.do_it(now, todo)?;
        }
        Ok(())
    }

    fn do_it(&mut self, now: Duration, todo: Todo) -> Result<(), SimError> {
        match todo {
            Todo::Compose(origin, words, party) => self.breaker.compose(origin, words, party),
            Todo::Decompose(number) => self.breaker.decompose(number),
            Todo::Do(operation, origin) => self.operate(now, operation, origin),
            Todo::Tell(steps) => {
                let network = self.recorder.journal(Actor::Network);
                for step in steps {
                    network.record(None, EventKind::Chose { step: step.into() });
                }
            }
            Todo::Note(text) => {
                let network = self.recorder.journal(Actor::Network);
                network.record(
                    None,
                    EventKind::Noted {
                        text: (*text).into(),
                    },
                );
            }
            Todo::Reload(Reload { servers, settings }) => {
                for server in servers {
                    self.breaker.reload(server, settings.to_string());
                    self.processes.reload(server, &settings);
                }
            }
            Todo::Upgrade(Upgrade { servers, build }) => {
                for server in servers {
                    self.breaker.upgrade(server, &build);
                    self.processes.upgrade(server, &build);
                }
            }
            Todo::Redraw(seed) => {
                self.processes.redraw(seed);
                self.breaker.redraw(seed, self.scenario.shuffle);
                self.world.redraw(seed);
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
    fn operate(&mut self, now: Duration, operation: Operation, origin: Option<Origin>) {
        let Some(origin) = origin else {
            match operation {
                Operation::Clear(condition, party) => self.clear(condition, party),
                Operation::Heal(ways) => self.heal(&ways),
                Operation::Relink(link) => self.relink(link),
                Operation::RepairDisk(server) => self.breaker.repair_disk(server),
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
                    Condition::Dead => self.world.kill(self.machines.of(party)),
                    Condition::Unpowered => {
                        self.world.unplug(self.machines.of(party));
                        // Its process is gone, and writes nothing any more.
                        self.breaker.lose_unsynced(party, now);
                    }
                    Condition::Stopped => {
                        self.processes.stop(party, false);
                        self.world.stop(self.machines.of(party));
                    }
                    Condition::Left => self.processes.stop(party, true),
                    Condition::Frozen => self.world.freeze(self.machines.of(party), true),
                    Condition::Refusing => self.world.refuse(self.machines.of(party), true),
                }
            }
            Operation::Clear(condition, party) => self.clear(condition, party),
            Operation::Cut(ways) => {
                let (fault, wires) = self.breaker.cut(&ways, origin);
                self.world.cut(fault, &wires);
            }
            Operation::Heal(ways) => self.heal(&ways),
            Operation::Sever(pairs) => {
                self.breaker.sever(&pairs, origin);
                for (a, b) in self.machines.existing(&pairs) {
                    self.world.sever(self.machines.of(a), self.machines.of(b));
                }
            }
            Operation::Unlink(link) => {
                let [a, b] = self
                    .machines
                    .ends(link)
                    .map(|id| self.scenario.herd.server(id));
                let was_up = self.recorder.ask(|state| state.is_up(&a.name, &b.name));
                self.breaker.unlink(link, was_up, origin);
                self.processes.unlink(link);
            }
            Operation::Relink(link) => self.relink(link),
            Operation::Delay(routes, latency) => {
                self.breaker.slow(&routes, latency, &origin);
                self.world.delay(&routes, latency);
            }
            Operation::Impair(ways, impairment) => {
                let (fault, wires) = self.breaker.impair(&ways, impairment, origin);
                self.world.impair(fault, &wires, impairment);
            }
            Operation::BreakDisk(server, fault) => {
                self.breaker.break_disk(server, fault, now, origin);
            }
            Operation::RepairDisk(server) => self.breaker.repair_disk(server),
            Operation::SetClock(clocked, skewed) => {
                self.breaker.skew(&clocked, skewed, now, origin);
            }
            Operation::Jump(clocked, by) => self.breaker.jump(&clocked, by, now, origin),
        }
    }

    fn clear(&mut self, condition: Condition, party: Party) {
        self.breaker.clear(condition, party);
        match condition {
            Condition::Dead | Condition::Unpowered => self.world.start(self.machines.of(party)),
            Condition::Stopped | Condition::Left => {
                self.processes.start(party);
                self.world.go_on_again(self.machines.of(party));
            }
            Condition::Frozen => self.world.freeze(self.machines.of(party), false),
            Condition::Refusing => self.world.refuse(self.machines.of(party), false),
        }
    }

    fn relink(&mut self, link: usize) {
        self.breaker.relink(link);
        self.processes.relink(link);
    }

    fn heal(&mut self, ways: &[Direction]) {
        for (fault, wires) in self.breaker.heal(ways) {
            self.world.heal(fault, &wires);
        }
    }

    /// Whether the run is quiet, so that nothing is left to happen.
    fn is_quiet(&self, now: Duration) -> bool {
        self.todo.is_empty() && self.is_settled(now, CALM) && now > self.world.settled()
    }

    /// Whether all clients are answered, all links between running servers are synchronised, and
    /// only background activity was seen for a while: for `least`, or longer with high latencies.
    fn is_settled(&self, now: Duration, least: Duration) -> bool {
        let settle = self.settle(least);
        self.board.pending() == 0
            && self
                .recorder
                .ask(|state| now > state.last_activity + settle && self.is_whole(state))
    }

    /// Two round trips, in which everything that was in flight arrives and is answered, or `least` if that is longer.
    fn settle(&self, least: Duration) -> Duration {
        least.max(self.world.longest_latency() * 4)
    }

    fn is_whole(&self, state: &State) -> bool {
        if !self.world.shows_servers() {
            return true;
        }
        let herd = &self.scenario.herd;
        herd.links().iter().enumerate().all(|(at, link)| {
            let (a, b) = (&herd.server(link.a).name, &herd.server(link.b).name);
            let (x, y) = (link.a.index(), link.b.index());
            let either =
                |condition| [link.a, link.b].map(|id| self.breaker.is(condition, id)) != [false; 2];
            let is_leaving = either(Condition::Stopped) || either(Condition::Left);
            let can_talk = !is_leaving
                && !self.breaker.is_unlinked(at)
                && state.is_running(a)
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

//! A run by hand: every message between servers that carries updates waits until it is chosen, and
//! so does every step.
//!
//! Everything else happens by itself. Clients talk to their servers as usual. Messages between
//! servers without an update (handshakes, heartbeats, queries of a synchronisation, ends of
//! connections) arrive a tick after they were sent, unless a waiting message is before them on
//! their connection. Messages to a server that does not run are lost. Between two choices only as
//! much time passes as these take, unless nothing can be chosen: only then do timers matter.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Driver, Due, LONGEST_UNREST, RunEnd, SimError, Todo};
use crate::herd::ServerId;
use crate::scenario::{Choice, Party};
use crate::sim::Chooser;
use crate::sim::worlds::Wire;

/// The driver of a run by hand.
pub(super) struct ByHand<'d, 's, 'c> {
    driver: &'d mut Driver<'s>,
    chooser: &'c mut dyn Chooser,
    /// The scenario's time of the last performed step.
    done: Option<Duration>,
    /// The servers that the last choice concerns; `None` before the first.
    about: Option<BTreeSet<ServerId>>,
    /// The number of events at the last choice.
    events: usize,
}

impl<'d, 's, 'c> ByHand<'d, 's, 'c> {
    pub(super) fn new(driver: &'d mut Driver<'s>, chooser: &'c mut dyn Chooser) -> Self {
        Self {
            driver,
            chooser,
            done: None,
            about: None,
            events: 0,
        }
    }

    /// Waits until the herd is up, and then performs one choice after the other until nothing is
    /// left.
    pub(super) fn run(&mut self) -> Result<RunEnd, SimError> {
        while !self.is_settled() {
            if self.driver.world.now() > LONGEST_UNREST {
                return Ok(RunEnd::InUnrest);
            }
            self.tick()?;
        }
        self.driver.world.hold();
        let mut since = self.driver.world.now();
        loop {
            let (moves, waiting) = self.waiting();
            if !moves && self.driver.board.pending() == 0 {
                let options = self.options(&waiting);
                if !options.is_empty() {
                    self.tell_who_was_touched();
                    let chosen = self.chooser.choose(&options);
                    let Some(&choice) = chosen.and_then(|at| options.get(at)) else {
                        return Ok(RunEnd::GivenUp);
                    };
                    self.perform(choice)?;
                    since = self.driver.world.now();
                } else if self.driver.todo.is_empty() && self.is_settled() {
                    self.tell_who_was_touched();
                    return Ok(RunEnd::Well);
                }
            }
            if self.driver.world.now() > since + LONGEST_UNREST {
                self.tell_who_was_touched();
                return Ok(RunEnd::InUnrest);
            }
            self.tick()?;
        }
    }

    fn tick(&mut self) -> Result<(), SimError> {
        let world = &mut self.driver.world;
        world.go_on(world.now() + self.driver.scenario.tick)?;
        self.driver.recorder.set_now(self.driver.world.now());
        Ok(())
    }

    fn is_settled(&self) -> bool {
        let now = self.driver.world.now();
        self.driver.is_settled(now, Duration::ZERO)
    }

    /// The directions in which updates wait, after all that needs no choice was delivered; and whether anything was.
    fn waiting(&mut self) -> (bool, Vec<Wire>) {
        let Driver {
            scenario,
            recorder,
            world,
            ..
        } = &mut *self.driver;
        let names: Vec<_> = (scenario.herd.servers().iter())
            .map(|server| &server.name)
            .collect();
        world.waiting(&|machine| {
            let name = names.get(machine);
            name.is_some_and(|name| recorder.ask(|state| state.is_running(name)))
        })
    }

    /// The options: the waiting messages, in the order in which they became possible, then the next
    /// step. The step is an option if its time is that of the step before it, or if nothing else is
    /// left to happen first.
    fn options(&self, waiting: &[Wire]) -> Vec<Choice> {
        let server = |machine| self.driver.machines.party(machine).server();
        let deliveries = waiting.iter().filter_map(|&(from, to)| {
            let (from, to) = (server(from)?, server(to)?);
            Some(Choice::Delivery(from, to))
        });
        let mut options: Vec<Choice> = deliveries.collect();
        if let Some(&(at, ..)) = self.driver.todo.front() {
            let is_free = self.done == Some(at);
            if is_free || options.is_empty() && self.is_settled() {
                options.push(Choice::Step);
            }
        }
        options
    }

    fn perform(&mut self, choice: Choice) -> Result<(), SimError> {
        self.events = self.driver.recorder.count();
        match choice {
            Choice::Delivery(from, to) => {
                self.about = Some(BTreeSet::from([to]));
                let way = (Party::Server(from), Party::Server(to));
                self.driver.world.release(self.driver.machines.wire(way));
            }
            Choice::Step => {
                self.about = Some(BTreeSet::new());
                self.step()?;
                // The links of a restarted server must be held again.
                self.driver.world.hold();
            }
        }
        Ok(())
    }

    /// Performs the next step: all actions of one place in the scenario's file and one time.
    fn step(&mut self) -> Result<(), SimError> {
        let Some(&(at, place, _)) = self.driver.todo.front() else {
            return Ok(());
        };
        self.done = Some(at);
        let is_same = |due: &mut Due| (due.0, due.1) == (at, place);
        while let Some((.., todo)) = self.driver.todo.pop_front_if(is_same) {
            let about = self.about.get_or_insert_default();
            about.extend(concerned(&todo));
            let now = self.driver.world.now();
            self.driver.do_it(now, todo)?;
        }
        Ok(())
    }

    /// Reports the footprint of the last choice: the servers that it concerned, and those that did
    /// anything since.
    fn tell_who_was_touched(&mut self) {
        let Some(mut touched) = self.about.take() else {
            return;
        };
        let herd = &self.driver.scenario.herd;
        let names = self.driver.recorder.servers_since(self.events);
        touched.extend(names.iter().filter_map(|name| herd.id(name)));
        self.chooser.touched(&touched);
    }
}

/// The servers that an action concerns.
fn concerned(todo: &Todo) -> Vec<ServerId> {
    match todo {
        Todo::Do(operation, _) => operation.servers(),
        Todo::Send(job) => vec![job.to],
        Todo::Reload(reload) => reload.servers.clone(),
        Todo::Upgrade(upgrade) => upgrade.servers.clone(),
        Todo::Compose(..)
        | Todo::Decompose(_)
        | Todo::Tell(_)
        | Todo::Note(_)
        | Todo::Redraw(_) => Vec::new(),
    }
}

//! A run by hand: every message between servers that carries updates waits until it is chosen, and
//! so does every step.
//!
//! Everything else happens by itself. Clients talk to their servers as usual. Messages between
//! servers without an update (handshakes, heartbeats, queries of a synchronisation, ends of
//! connections) arrive a tick after they were sent, unless a waiting message is before them on
//! their connection. Messages to a server that does not run are lost. Between two choices only as
//! much time passes as these take, unless nothing can be chosen: only then do timers matter.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use turmoil::{Protocol, Segment};

use super::{Driver, Due, LONGEST_UNREST, RunEnd, SimError, Todo};
use crate::herd::ServerId;
use crate::scenario::Choice;
use crate::sim::Chooser;

/// Identifies a segment in flight that carries updates: sender, receiver, and its number on the
/// connection.
type Key = (SocketAddr, SocketAddr, u64);

/// The driver of a run by hand.
pub(super) struct ByHand<'d, 's, 'c> {
    driver: &'d mut Driver<'s>,
    chooser: &'c mut dyn Chooser,
    addresses: BTreeMap<IpAddr, ServerId>,
    /// Waiting segments, each with its rank in the order in which they became possible.
    waiting: BTreeMap<Key, u64>,
    came_up: u64,
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
            addresses: BTreeMap::new(),
            waiting: BTreeMap::new(),
            came_up: 0,
            done: None,
            about: None,
            events: 0,
        }
    }

    /// Waits until the herd is up, and then performs one choice after the other until nothing is
    /// left.
    pub(super) fn run(&mut self, sim: &mut turmoil::Sim<'static>) -> Result<RunEnd, SimError> {
        let servers = self.driver.scenario.herd.ids();
        let address = |id: ServerId| sim.lookup(&*self.driver.scenario.herd.server(id).name);
        self.addresses = servers.map(|id| (address(id), id)).collect();
        while !self.is_settled(sim) {
            if sim.elapsed() > LONGEST_UNREST {
                return Ok(RunEnd::InUnrest);
            }
            self.tick(sim)?;
        }
        self.hold(sim);
        let mut since = sim.elapsed();
        loop {
            let moves = self.deliver_the_rest(sim);
            if !moves && self.driver.board.pending() == 0 {
                let options = self.options(sim);
                if !options.is_empty() {
                    self.tell_who_was_touched();
                    let chosen = self.chooser.choose(&options);
                    let Some(&choice) = chosen.and_then(|at| options.get(at)) else {
                        return Ok(RunEnd::GivenUp);
                    };
                    self.perform(sim, choice)?;
                    since = sim.elapsed();
                } else if self.driver.todo.is_empty() && self.is_settled(sim) {
                    self.tell_who_was_touched();
                    return Ok(RunEnd::Well);
                }
            }
            if sim.elapsed() > since + LONGEST_UNREST {
                self.tell_who_was_touched();
                return Ok(RunEnd::InUnrest);
            }
            self.tick(sim)?;
        }
    }

    fn tick(&mut self, sim: &mut turmoil::Sim<'static>) -> Result<(), SimError> {
        self.driver.routes.draw_all(sim);
        self.driver.progress.tick(sim, self.driver.scenario)?;
        self.driver.recorder.set_now(sim.elapsed());
        Ok(())
    }

    fn is_settled(&self, sim: &turmoil::Sim<'static>) -> bool {
        self.driver.is_settled(sim.elapsed(), Duration::ZERO)
    }

    /// Holds all links: from now on messages between servers are delivered by hand.
    fn hold(&self, sim: &turmoil::Sim<'static>) {
        let herd = &self.driver.scenario.herd;
        for link in herd.links() {
            let [a, b] = [link.a, link.b].map(|id| &*herd.server(id).name);
            sim.hold(a, b);
        }
    }

    /// The options: the waiting messages, in the order in which they became possible, then the next
    /// step. The step is an option if its time is that of the step before it, or if nothing else is
    /// left to happen first.
    fn options(&self, sim: &turmoil::Sim<'static>) -> Vec<Choice> {
        let mut waiting: Vec<(u64, Key)> =
            self.waiting.iter().map(|(key, at)| (*at, *key)).collect();
        waiting.sort_unstable();
        let mut options = Vec::new();
        for (_, (from, to, _)) in waiting {
            let ends = [from, to].map(|at| self.addresses.get(&at.ip()).copied());
            if let [Some(from), Some(to)] = ends {
                let delivery = Choice::Delivery(from, to);
                // If two connections join the same servers, the older one's message comes first.
                if !options.contains(&delivery) {
                    options.push(delivery);
                }
            }
        }
        if let Some(&(at, ..)) = self.driver.todo.front() {
            let is_free = self.done == Some(at);
            if is_free || options.is_empty() && self.is_settled(sim) {
                options.push(Choice::Step);
            }
        }
        options
    }

    /// Delivers all segments that need no choice, and notes the others as waiting. Returns whether
    /// it delivered any.
    fn deliver_the_rest(&mut self, sim: &turmoil::Sim<'static>) -> bool {
        let mut before = std::mem::take(&mut self.waiting);
        let mut closed: BTreeSet<(SocketAddr, SocketAddr)> = BTreeSet::new();
        let mut moves = false;
        let herd = &self.driver.scenario.herd;
        let runs = |id: ServerId| {
            let name = &herd.server(id).name;
            self.driver.recorder.ask(|state| state.is_running(name))
        };
        sim.links(|links| {
            for message in links.flatten() {
                let (from, to) = message.pair();
                let ends = [from, to].map(|at| self.addresses.get(&at.ip()).copied());
                let [Some(_), Some(receiver)] = ends else {
                    continue;
                };
                if closed.contains(&(from, to)) {
                    continue;
                }
                match carried(message.protocol()) {
                    Some(number) if runs(receiver) => {
                        closed.insert((from, to));
                        let key = (from, to, number);
                        let at = before.remove(&key).unwrap_or_else(|| {
                            self.came_up += 1;
                            self.came_up
                        });
                        self.waiting.insert(key, at);
                    }
                    _ => {
                        moves = true;
                        message.deliver();
                    }
                }
            }
        });
        moves
    }

    fn perform(&mut self, sim: &mut turmoil::Sim<'static>, choice: Choice) -> Result<(), SimError> {
        self.events = self.driver.recorder.count();
        match choice {
            Choice::Delivery(from, to) => {
                self.about = Some(BTreeSet::from([to]));
                self.deliver(sim, (from, to));
            }
            Choice::Step => {
                self.about = Some(BTreeSet::new());
                self.step(sim)?;
                // The links of a restarted server must be held again.
                self.hold(sim);
            }
        }
        Ok(())
    }

    /// Delivers the message that has waited longest in this direction.
    fn deliver(&mut self, sim: &turmoil::Sim<'static>, way: (ServerId, ServerId)) {
        let goes = |key: &Key| {
            let ends = [key.0, key.1].map(|at| self.addresses.get(&at.ip()).copied());
            ends == [Some(way.0), Some(way.1)]
        };
        let all = self.waiting.iter().filter(|(key, _)| goes(key));
        let Some(first) = all.min_by_key(|(_, at)| **at).map(|(key, _)| *key) else {
            return;
        };
        sim.links(|links| {
            let mut all = links.flatten();
            let found = all.find(|message| {
                let (from, to) = message.pair();
                carried(message.protocol()).is_some_and(|number| (from, to, number) == first)
            });
            if let Some(message) = found {
                message.deliver();
            }
        });
    }

    /// Performs the next step: all actions of one place in the scenario's file and one time.
    fn step(&mut self, sim: &mut turmoil::Sim<'static>) -> Result<(), SimError> {
        let Some(&(at, place, _)) = self.driver.todo.front() else {
            return Ok(());
        };
        self.done = Some(at);
        let is_same = |due: &mut Due| (due.0, due.1) == (at, place);
        while let Some((.., todo)) = self.driver.todo.pop_front_if(is_same) {
            let about = self.about.get_or_insert_default();
            about.extend(concerned(&todo));
            self.driver.do_it(sim, sim.elapsed(), todo)?;
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

/// The number of a segment that carries updates; `None` for other segments.
fn carried(protocol: &Protocol) -> Option<u64> {
    match protocol {
        Protocol::Tcp(Segment::Data(number, bytes)) => {
            let mut lines = bytes.split(|byte| *byte == b'\n');
            lines
                .any(|line| line.starts_with(b"AT "))
                .then_some(*number)
        }
        _ => None,
    }
}

/// The servers that an action concerns.
fn concerned(todo: &Todo) -> Vec<ServerId> {
    match todo {
        Todo::Do(operation, _) => operation.servers(),
        Todo::Send(job) => vec![job.to],
        Todo::Compose(..) | Todo::Decompose(_) | Todo::Tell(_) => Vec::new(),
    }
}

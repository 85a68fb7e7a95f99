//! What is done to servers, to the network between them, and to time.

use std::future::pending;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_lite::future::or;
use tokio::time::{Instant, sleep_until};

use super::{LOOK, LiveWorld, Server, State};
use crate::journal::EventId;
use crate::live::relay::Bandwidth;
use crate::live::run::clock;
use crate::live::run::network::local;
use crate::live::run::survey::{Asked, survey};
use crate::scenario::{Impairment, Limit, Party, Route};
use crate::sim::SimError;
use crate::sim::outside::{Machine, Recorder, Wire, World};
use crate::units::LatencyRange;

impl World for LiveWorld {
    fn now(&self) -> Duration {
        clock::now()
    }

    fn go_on(&mut self, until: Duration) -> Result<(), SimError> {
        let until = clock::moment(until);
        loop {
            let programs = &mut self.programs;
            let next = until.min(Instant::now() + LOOK);
            let going = async {
                let ended = async {
                    match programs.join_next().await {
                        Some(Ok(Ok(()))) | None => pending().await,
                        Some(Ok(Err(why))) => why,
                        Some(Err(error)) => error.to_string(),
                    }
                };
                or(async { Some(ended.await) }, async {
                    sleep_until(next).await;
                    None
                })
                .await
            };
            if let Some(why) = self.runtime.block_on(going) {
                return Err(SimError::Failed(why));
            }
            self.look()?;
            if self
                .interrupt
                .as_ref()
                .is_some_and(|set| set.load(Ordering::Relaxed))
            {
                return Err(SimError::Interrupted);
            }
            if Instant::now() >= until {
                return Ok(());
            }
        }
    }

    fn start(&mut self, machine: Machine) {
        if self.is_places(machine) {
            self.network.refuse(machine, false);
        }
        let without = self.unpowered.iter().position(|off| *off == machine);
        if let Some(at) = without {
            self.unpowered.remove(at);
            // Its system knows nothing of the connections that others still have.
            self.network.refuse(machine, true);
            self.network.forget(machine);
            self.network.isolate(machine, false);
        }
        if machine < self.servers.len() {
            self.boot_or_fall(machine);
        }
    }

    fn kill(&mut self, machine: Machine) {
        // What it would do between the last fetch and its end, nobody would know of.
        self.network.isolate(machine, true);
        self.drain(machine);
        self.network.refuse(machine, true);
        if self.is_places(machine) {
            self.network.forget(machine);
        }
        self.end_process(machine);
        self.network.isolate(machine, false);
    }

    fn unplug(&mut self, machine: Machine) {
        // First nothing comes through, so that nobody hears of the end of the process.
        self.network.isolate(machine, true);
        self.unpowered.push(machine);
        self.drain(machine);
        self.end_process(machine);
    }

    fn delay(&mut self, routes: &[Route], latency: LatencyRange) {
        // A relay knows one latency: the middle of a range.
        let middle = (latency.least + latency.most) / 2 / self.speed;
        self.longest = self.longest.max(latency.most);
        for &route in routes {
            self.network.slow(&self.wires(route), middle);
        }
    }

    fn cut(&mut self, _: EventId, wires: &[Wire]) {
        self.network.cut(wires);
    }

    fn heal(&mut self, _: EventId, wires: &[Wire]) {
        self.network.heal(wires);
    }

    fn impair(&mut self, _: EventId, wires: &[Wire], impairment: Impairment) {
        if let Impairment::Limit(Limit { bandwidth, queue }) = impairment {
            let rate = bandwidth * u64::from(self.speed);
            let limit = (bandwidth > 0).then_some(Bandwidth { rate, queue });
            self.network.limit(wires, limit);
        }
    }

    fn longest_latency(&self) -> Duration {
        self.longest
    }

    fn settled(&self) -> Duration {
        let comes =
            |server: &Server| matches!(server.state, State::Starting(_) | State::Stopping(_));
        if self.servers.iter().any(comes) {
            return clock::now() + LOOK * self.speed;
        }
        self.known
    }

    // Nobody chooses the order of real messages: such scenarios are refused.
    fn hold(&mut self) {}

    fn waiting(&mut self, _: &dyn Fn(Machine) -> bool) -> (bool, Vec<Wire>) {
        (false, Vec::new())
    }

    fn redraw(&mut self, _: u64) {}

    fn release(&mut self, _: Wire) {}

    fn freeze(&mut self, machine: Machine, is_frozen: bool) {
        let Some(server) = self.server(machine) else {
            return self.network.isolate(machine, is_frozen);
        };
        if let Some(process) = &mut server.process {
            let state = if is_frozen {
                let _ = process.freeze();
                State::Frozen
            } else {
                let _ = process.thaw();
                State::Running
            };
            if matches!(server.state, State::Running | State::Frozen) {
                server.state = state;
            }
        }
    }

    fn refuse(&mut self, machine: Machine, refuses: bool) {
        self.network.refuse(machine, refuses);
    }

    fn stop(&mut self, machine: Machine) {
        self.network.refuse(machine, true);
        let is_gone = |state| matches!(state, State::Down | State::Fallen);
        if let Some(server) = self.server(machine).filter(|server| !is_gone(server.state))
            && let Some(process) = &mut server.process
        {
            let _ = process.stop();
            server.state = State::Stopping(false);
        }
    }

    fn go_on_again(&mut self, machine: Machine) {
        match self.server(machine).map(|server| &mut server.state) {
            Some(State::Stopping(again)) => *again = true,
            Some(State::Down) => self.boot_or_fall(machine),
            _ => {}
        }
    }

    fn sever(&mut self, a: Machine, b: Machine) {
        self.network.sever(a, b);
    }

    fn shows_servers(&self) -> bool {
        self.servers.iter().all(|server| server.admin.is_some())
    }

    fn end(&mut self, recorder: &Recorder) -> Result<(), SimError> {
        self.look()?;
        if !self.shows_servers() {
            self.survey(recorder);
        }
        for machine in 0..self.servers.len() {
            self.drain(machine);
        }
        let mut fetched = self.journals.inner();
        fetched.dialled = recorder.dialled();
        fetched.pairs = self.network.pairs();
        drop(fetched);
        self.look()
    }
}

impl LiveWorld {
    /// Asks servers for what they hold.
    fn survey(&self, recorder: &Recorder) {
        // A WHATSAT of the harness is no question to Places.
        let places = self.machines.of(Party::Places);
        self.network.refuse(places, true);
        self.network.forget(places);
        let running = self.servers.iter();
        let running = running.filter(|server| server.state == State::Running);
        let asked: Vec<Asked> = running
            .map(|server| Asked {
                name: self.herd.server(server.id).name.clone(),
                at: local(server.ports.client),
            })
            .collect();
        let surveying = survey(&asked, &self.clients, recorder);
        self.runtime.block_on(surveying);
    }
}

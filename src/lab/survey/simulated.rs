//! Runs one failure set on the real server in the simulator.

use std::sync::Arc;
use std::time::Duration;

use super::graph::{Graph, link_name, names};
use super::seen::{Observation, Update};
use crate::herd::{Herd, ServerId};
use crate::journal::EventKind;
use crate::model::{Arrival, Without};
use crate::scenario::{Builder, Scenario};
use crate::sim::{self, Simulator};
use crate::trace::propagation::{Propagation, Use};
use crate::trace::{Judgement, Trace};

/// Ticks until the first update. Links are synchronised after six latencies of one tick each; the
/// rest is margin.
const TICKS_TO_BEGIN: u32 = 20;

/// What the simulations of a herd's failure sets share.
pub(super) struct Simulation {
    pub(super) herd: Arc<Herd>,
    /// The latency of every link, and the simulator's tick.
    pub(super) latency: Duration,
    /// The servers that send an update, if they live.
    pub(super) origins: Vec<ServerId>,
    pub(super) simulator: Simulator,
}

impl Simulation {
    /// The scenario of a failure set. All failures happen before any link is up. Then each live
    /// server receives one update, each after the one before has spread as far as it can.
    pub(super) fn scenario(&self, without: &Without) -> Builder {
        let herd = &self.herd;
        let (dead, cut) = names(herd, without);
        let mut builder = Scenario::builder(herd)
            .title(&title(&dead, &cut))
            .with("tick", self.latency)
            .with("link_latency", self.latency)
            .with("client_latency", self.latency);
        let own = herd.links().iter().enumerate();
        let own: Vec<String> = (own.filter(|(_, link)| link.latency.is_some()))
            .map(|(at, _)| link_name(herd, at))
            .collect();
        if !own.is_empty() {
            let own: Vec<_> = own
                .iter()
                .map(|name| (name.as_str(), self.latency))
                .collect();
            builder = builder.with("latency", own);
        }
        for server in dead {
            builder = builder.at("0s").crash(server);
        }
        for link in cut {
            builder = builder.at("0s").partition(link);
        }
        for (at, id) in self.origins(without) {
            let (name, client) = (&*herd.server(id).name, client(id));
            builder = builder
                .at(at)
                .client(&client)
                .to(name)
                .send(format!("IAMAT {client} +34.068930-118.445127 {{now}}"))
                .reply(format!("AT {name} *"));
        }
        builder
    }

    /// When each live server receives its update from a client.
    fn origins(&self, without: &Without) -> impl Iterator<Item = (Duration, ServerId)> {
        let live = self.origins.iter().copied();
        let live = live.filter(|id| without.is_alive(*id));
        // The longest route has a hop for each other server; the rest is the client's latency and a
        // margin.
        let servers = u32::try_from(self.herd.servers().len()).unwrap_or(u32::MAX);
        let each = self.latency * servers.saturating_add(2);
        let begin = self.latency * TICKS_TO_BEGIN;
        live.scan(begin, move |at, id| {
            let now = *at;
            *at += each;
            Some((now, id))
        })
    }

    /// Simulates a failure set. A run that fails as a whole becomes an observation with the error
    /// and no updates.
    pub(super) fn run(&self, without: &Without) -> Observation {
        let nothing = |why: String| Observation {
            broken: vec![why],
            ..Observation::default()
        };
        let scenario = match self.scenario(without).build() {
            Ok(scenario) => scenario,
            Err(problems) => return nothing(format!("no scenario: {}", problems.render(false))),
        };
        let trace = match self.simulator.run_once(&scenario) {
            Ok(trace) => trace,
            Err(error) => return nothing(error.to_string()),
        };
        let judged = trace
            .judgements
            .iter()
            .filter(|judgement| is_broken(judgement));
        let mut broken: Vec<String> = judged.map(told).collect();
        broken.extend(self.unready(&trace, without));
        let origins = self.origins(without).map(|(_, id)| id);
        let updates = origins.zip(&trace.updates).map(|(origin, update)| {
            let sends = u64::try_from(update.sends.len()).unwrap_or(u64::MAX);
            Update {
                origin,
                arrivals: self.arrivals(update),
                costs: (sends, update.count(Use::Duplicate)),
            }
        });
        Observation {
            updates: updates.collect(),
            broken,
            memory: None,
        }
    }

    fn arrivals(&self, update: &Propagation) -> Vec<Option<Arrival>> {
        let arrival = |id: ServerId| {
            let arrival = update.arrival(&self.herd.server(id).name)?;
            Some(Arrival {
                hops: arrival.hops,
                delay: arrival.delay,
                from: arrival.via.as_ref().and_then(|via| self.herd.id(via)),
            })
        };
        self.herd.ids().map(arrival).collect()
    }

    /// Returns an error unless all working links were synchronised at both ends when the first
    /// update was sent. Otherwise the measured floods would say nothing about the herd at rest.
    fn unready(&self, trace: &Trace, without: &Without) -> Option<String> {
        let begin = u64::try_from((self.latency * TICKS_TO_BEGIN).as_nanos()).ok()?;
        let ends = trace.events.iter().take_while(|event| event.at <= begin);
        let ends = ends.filter(|event| matches!(event.what, EventKind::Synchronised { .. }));
        let ends = ends.count();
        let graph = Graph::new(&self.herd, without, Vec::new());
        let wanted = 2 * graph.working_links().count();
        (ends != wanted).then(|| {
            format!("the herd was not ready: {ends} of {wanted} ends of links were synchronised")
        })
    }
}

/// Whether a failed judgement counts. A fault without effect does not: a set may cut links of a
/// server that is dead anyway.
fn is_broken(judgement: &Judgement) -> bool {
    !judgement.passed && !judgement.about.ends_with(sim::HAS_EFFECT)
}

fn told(judgement: &Judgement) -> String {
    let Judgement {
        about,
        actual,
        expected,
        ..
    } = judgement;
    format!("{about}: {actual} (expected: {expected})")
}

fn client(id: ServerId) -> String {
    format!("client{}", id.index() + 1)
}

/// A failure set in words: the dead servers, then the cut links.
pub(super) fn title(dead: &[String], cut: &[String]) -> String {
    let dead = dead.iter().map(|server| format!("{server} dead"));
    let all: Vec<String> = dead
        .chain(cut.iter().map(|link| format!("{link} cut")))
        .collect();
    if all.is_empty() {
        return "nothing missing".to_owned();
    }
    all.join(", ")
}

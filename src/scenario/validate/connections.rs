//! How many connections clients open: the simulated network has a limited number of them.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Context;
use crate::diag::Problem;
use crate::document::{Located, Section};
use crate::herd::{Herd, ServerId};
use crate::scenario::server::RawServer;
use crate::scenario::{Action, Step};
use crate::timing::Timing;
use crate::units::DurationText;

/// All clients share the ports of one simulated host, some 45,000, and none is used twice.
const MOST_CONNECTIONS: u64 = 40_000;

/// The maximum number of connections that wait until a simulated server accepts them. All connections to one server
/// may have to wait together, behind a cut.
const MOST_TO_ONE: u64 = 16_384;

/// How long a run goes on, at most, after its last step.
const QUIET_PATIENCE: Duration = Duration::from_mins(1);

impl Context<'_> {
    /// None if there are more than the network has.
    pub(in crate::scenario) fn check_connections(
        &mut self,
        steps: &[Step],
        herd: &Herd,
    ) -> Option<()> {
        let mut all: u64 = 0;
        let mut to_one: BTreeMap<ServerId, u64> = BTreeMap::new();
        for step in steps {
            let (to, to_each) = match &step.action {
                Action::Client(client) | Action::Peer(client) => {
                    let clients = client.clients.unwrap_or(1);
                    (&client.to, u64::from(client.opens()) * u64::from(clients))
                }
                Action::Workload(load) => (&load.to, load.lines().div_ceil(load.to.len() as u64)),
                _ => continue,
            };
            all += to_each * to.len() as u64;
            let message = if all > MOST_CONNECTIONS {
                format!(
                    "with earlier steps these are {all} connections, but a run can have up to {MOST_CONNECTIONS}"
                )
            } else {
                let most = to.iter().map(|&id| {
                    let so_far = to_one.entry(id).or_default();
                    *so_far += to_each;
                    (*so_far, id)
                });
                let Some((many, id)) = most.max().filter(|(many, _)| *many > MOST_TO_ONE) else {
                    continue;
                };
                let name = &herd.server(id).name;
                format!(
                    "with earlier steps these are {many} connections to `{name}`, but one server can have up to {MOST_TO_ONE}"
                )
            };
            let problem = Problem::error(self.source, step.span.clone(), message);
            self.report(problem.help(FEWER));
            return None;
        }
        Some(())
    }
}

impl Context<'_> {
    /// Checks how often a server whose neighbours are all unreachable dials each of them.
    pub(super) fn check_dials(
        &mut self,
        raw: Option<&Section<RawServer>>,
        timing: &Timing,
        steps: &[Step],
        end: Option<Duration>,
    ) {
        let written = raw.and_then(|raw| {
            let timer = |name| raw.value::<Located<DurationText>>(name);
            timer("redial_most").or_else(|| timer("redial_least"))
        });
        let (Some(written), Some(herd)) = (written, self.herd.clone()) else {
            return;
        };
        let links = herd.ids().map(|id| herd.neighbours(id).count()).max();
        let last = steps.last().map_or(Duration::ZERO, |step| step.at);
        let until = end.unwrap_or(last + QUIET_PATIENCE);
        let each = until.as_nanos() / timing.redial_most.as_nanos().max(1);
        let dials = each * links.unwrap_or_default() as u128;
        if dials > u128::from(MOST_CONNECTIONS) {
            let message = format!(
                "a server could dial {dials} times in this run, but {MOST_CONNECTIONS} are the most"
            );
            let problem = Problem::error(self.source, written.span(), message);
            self.report(problem.help("raise `redial_most`, or give an earlier `end`"));
        }
    }
}

/// What to do about too many connections.
const FEWER: &str = "take fewer `clients` or `times`, or several lines on one connection";

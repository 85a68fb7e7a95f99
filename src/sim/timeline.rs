//! What the driver has to do, and when: a scenario's plain steps, taken apart.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::client::Job;
use crate::herd::{Address, Herd, ServerId};
use crate::scenario::{
    Action, ClientStep, Clocked, Drawn, Fault, Party, Scenario, Skewed, Step, Way,
};
use crate::units::LatencyRange;

/// Something that the driver does at some moment.
pub(super) enum Todo {
    Break(Fault, ServerId),
    Mend(Fault, ServerId),
    Cut(Vec<Way>),
    Heal(Vec<Way>),
    Sever(Vec<(Party, Party)>),
    Slow(Vec<usize>, LatencyRange),
    Skew(Vec<Clocked>, Skewed),
    Send(Job),
    /// Tells of steps that the seed chose.
    Tell(Vec<String>),
}

/// When, by which step (as a byte of the scenario's file), and what.
pub(super) type Due = (Duration, usize, Todo);

/// Everything that is to be done, in order of time and, at the same time, of the file.
pub(super) fn timeline(scenario: &Scenario) -> VecDeque<Due> {
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
            Action::Drawn(Drawn::Random(..)) => add(Todo::Tell(chosen(scenario, step))),
            Action::Drawn(Drawn::Workload(_)) | Action::Workload(_) | Action::Random(_) => {}
        }
    }
    all.sort_by_key(|&(at, ..)| at);
    all.into()
}

/// The steps that a random step came to, as a scenario's file would write them.
fn chosen(scenario: &Scenario, random: &Step) -> Vec<String> {
    let chosen = scenario
        .steps
        .iter()
        .filter(|step| step.span == random.span && !matches!(step.action, Action::Drawn(_)));
    chosen.map(|step| step.to_toml(&scenario.herd)).collect()
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

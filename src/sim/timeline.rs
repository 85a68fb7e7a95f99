//! Everything that a scenario has its driver do, in order of time.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::client::Job;
use super::impact::Origin;
use super::machines::Machines;
use crate::herd::{Address, Herd, ServerId};
use crate::scenario::{Action, ClientStep, Drawn, Fault, Operation, Party, Scenario, Step, Target};

/// Something that the driver does at some moment.
pub(super) enum Todo {
    /// A fault that is more than one operation begins, and what it is in words.
    Compose(Origin, String, Option<Party>),
    /// The fault of this number is over.
    Decompose(usize),
    /// Something is done to the world: by a fault that begins, or by what ends one.
    Do(Operation, Option<Origin>),
    Send(Job),
    /// Tells of steps that the seed chose.
    Tell(Vec<String>),
}

impl Todo {
    /// Whether a step begins with it. What a fault goes on to do is none: as with one that lasts, a run may end before.
    pub(super) fn is_step(&self) -> bool {
        match self {
            Self::Decompose(_) => false,
            Self::Do(_, origin) => (origin.as_ref()).is_none_or(|origin| origin.part_of.is_none()),
            Self::Compose(..) | Self::Send(_) | Self::Tell(_) => true,
        }
    }
}

/// When, by which step (as a byte of the scenario's file), and what.
pub(super) type Due = (Duration, usize, Todo);

/// Everything that is to be done, in order of time and, at the same time, of the file.
pub(super) fn timeline(scenario: &Scenario, machines: &Machines) -> VecDeque<Due> {
    let (mut all, mut begun) = (Vec::new(), 0);
    for (index, step) in scenario.steps.iter().enumerate() {
        let mut add = |todo| all.push((step.at, step.span.start, todo));
        match &step.action {
            Action::Begin(fault) => {
                for fault in fault.each() {
                    begun += 1;
                    all.extend(begin(step, &fault, begun, machines));
                }
            }
            Action::End(kind, targets) => {
                let operations = kind.operations_to_end(targets).into_iter();
                operations.for_each(|operation| add(Todo::Do(operation, None)));
            }
            Action::Client(client) => all.extend(jobs(scenario, index, client)),
            Action::Drawn(Drawn::Random(..)) => add(Todo::Tell(chosen(scenario, step))),
            Action::Drawn(Drawn::Workload(_)) | Action::Workload(_) | Action::Random(_) => {}
        }
    }
    all.sort_by_key(|&(at, ..)| at);
    all.into()
}

/// What is done for a fault: one operation, or several with a beginning and an end.
fn begin(step: &Step, fault: &Fault, number: usize, machines: &Machines) -> Vec<Due> {
    let mut origin = Origin::new(step.span.start, fault, machines);
    let place = origin.place;
    let words = fault.announced();
    origin.part_of = words.is_some().then_some(number);
    let party = fault.targets.first().and_then(Target::party);
    let begins = words.map(|words| (step.at, place, Todo::Compose(origin.clone(), words, party)));
    let lasts = origin.part_of.and(fault.lasts());
    let ends = lasts.map(|lasts| (step.at + lasts, place, Todo::Decompose(number)));
    let operations = fault.operations().into_iter().map(|(after, operation)| {
        let todo = Todo::Do(operation, Some(origin.clone()));
        (step.at + after, place, todo)
    });
    begins.into_iter().chain(operations).chain(ends).collect()
}

/// The steps that a random step was expanded to, as a scenario's file would write them.
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

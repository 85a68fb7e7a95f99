//! Everything that the driver of a scenario does, in order of time.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::client::{Job, Speaker};
use super::impact::Origin;
use super::machines::Machines;
use super::react::reacts;
use crate::herd::{Address, Herd, ServerId};
use crate::scenario::{
    Action, ClientStep, Drawn, Fault, Operation, Party, Reload, Scenario, Step, Target, Upgrade,
};

/// An action of the driver.
pub(super) enum Todo {
    /// Begins a fault of several operations, which the text describes.
    Compose(Origin, String, Option<Party>),
    /// Ends the fault with this number.
    Decompose(usize),
    /// Performs an operation on the world. It has an origin if it belongs to a fault; the end of a
    /// fault has none.
    Do(Operation, Option<Origin>),
    Send(Job),
    /// Gives running servers new settings.
    Reload(Reload),
    /// Starts servers again as another build.
    Upgrade(Upgrade),
    /// Records the steps that the seed chose.
    Tell(Vec<String>),
    /// Records what the author says of the step that follows.
    Note(Arc<str>),
    /// Draws everything from another seed from now on.
    Redraw(u64),
}

impl Todo {
    /// Whether a step begins with this action. Later operations of a fault do not count, since a
    /// run may end while a fault lasts.
    pub(super) fn is_step(&self) -> bool {
        match self {
            Self::Decompose(_) | Self::Note(_) | Self::Redraw(_) => false,
            Self::Do(_, origin) => (origin.as_ref()).is_none_or(|origin| origin.part_of.is_none()),
            Self::Compose(..)
            | Self::Send(_)
            | Self::Reload(_)
            | Self::Upgrade(_)
            | Self::Tell(_) => true,
        }
    }
}

/// The time of an action, its step as a byte offset in the scenario's file, and the action.
pub(super) type Due = (Duration, usize, Todo);

/// All actions of a scenario, in order of time and, at the same time, of the file.
pub(super) fn timeline(scenario: &Scenario, machines: &Machines) -> VecDeque<Due> {
    // The seed changes before anything else happens at its moment.
    let changes = scenario.seed.later().iter();
    let mut all: Vec<Due> = changes
        .map(|&(since, seed)| (since, 0, Todo::Redraw(seed)))
        .collect();
    let mut begun = 0;
    for (index, step) in scenario.steps.iter().enumerate() {
        // Nothing came to pass to which it reacts.
        if reacts(step) {
            continue;
        }
        let mut add = |todo| all.push((step.at, step.span.start, todo));
        if let Some(note) = &step.note {
            add(Todo::Note(Arc::clone(note)));
        }
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
            Action::Client(client) => all.extend(jobs(scenario, index, client, Speaker::Client)),
            Action::Peer(peer) => all.extend(jobs(scenario, index, peer, Speaker::Peer)),
            Action::Reload(reload) => add(Todo::Reload(reload.clone())),
            Action::Upgrade(upgrade) => add(Todo::Upgrade(upgrade.clone())),
            Action::Drawn(Drawn::Random(..)) if is_redrawn(scenario, step) => {}
            Action::Drawn(Drawn::Random(..)) => add(Todo::Tell(chosen(scenario, step))),
            Action::Drawn(Drawn::Chosen(steps)) => add(Todo::Tell(steps.clone())),
            Action::Drawn(Drawn::Workload(_)) | Action::Workload(_) | Action::Random(_) => {}
        }
    }
    all.sort_by_key(|&(at, ..)| at);
    all.into()
}

/// The actions of a fault: one operation, or several between a beginning and an end.
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

/// Whether the seed changes while a random step goes on, so that steps of their own say what was chosen.
fn is_redrawn(scenario: &Scenario, random: &Step) -> bool {
    let is_chosen = |step: &Step| matches!(step.action, Action::Drawn(Drawn::Chosen(_)));
    let mut steps = scenario.steps.iter();
    steps.any(|step| step.span == random.span && is_chosen(step))
}

/// The steps that a random step was expanded into, as a scenario file would have them.
fn chosen(scenario: &Scenario, random: &Step) -> Vec<String> {
    let chosen = scenario
        .steps
        .iter()
        .filter(|step| step.span == random.span && !matches!(step.action, Action::Drawn(_)));
    chosen.map(|step| step.to_toml(&scenario.herd)).collect()
}

/// The jobs of a client's step, each at its time.
fn jobs(
    scenario: &Scenario,
    index: usize,
    client: &ClientStep,
    speaker: Speaker,
) -> impl Iterator<Item = Due> {
    let step = &scenario.steps[index];
    let what = Arc::new(client.clone());
    client.to.iter().flat_map(move |&to| {
        let what = Arc::clone(&what);
        (1..=client.times).map(move |repetition| {
            let job = Job {
                step: index,
                what: Arc::clone(&what),
                speaker,
                to,
                server: scenario.herd.server(to).name.clone(),
                address: simulated(&scenario.herd, to, speaker),
                repetition,
            };
            let at = step.at + client.every * (repetition - 1);
            (at, step.span.start, Todo::Send(job))
        })
    })
}

/// A server's address for clients, or for other servers. Simulated hosts have their servers' names.
fn simulated(herd: &Herd, server: ServerId, speaker: Speaker) -> Address {
    let server = herd.server(server);
    Address {
        host: server.name.to_string(),
        port: match speaker {
            Speaker::Client => server.client.port,
            Speaker::Peer => server.peer.port,
        },
    }
}

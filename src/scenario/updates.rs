//! Which updates a scenario sends, in which order.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{Action, ClientStep, Scenario, Step};
use crate::herd::{Name, ServerId};

/// An IAMAT that the scenario sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedUpdate {
    /// The id in the IAMAT.
    pub client_id: Vec<u8>,
    /// Which of that id's updates this is, in order of sending, from 1.
    pub nth: usize,
    /// When it is sent.
    pub at: Duration,
    /// The step that sends it, as an index into the steps of [`Scenario::expanded`].
    pub step: usize,
    /// Which of the step's lines it is, from 0.
    pub line: usize,
    /// Whom it is sent to.
    pub to: ServerId,
    /// In which repetition of the step, from 1.
    pub repetition: u32,
}

impl Scenario {
    /// All updates in order of sending: by time, then step, then server in the order of `to`,
    /// then repetition, then line.
    pub fn updates(&self) -> Vec<PlannedUpdate> {
        planned(&self.expanded().steps)
    }
}

/// The updates of plain steps.
pub(crate) fn planned(steps: &[Step]) -> Vec<PlannedUpdate> {
    let mut updates = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        if let Action::Client(client) = &step.action {
            add_step(&mut updates, index, step.at, client);
        }
    }
    // The sort is stable, and a step's updates were added in the order wanted for equal times.
    updates.sort_by_key(|update| update.at);
    number(&mut updates);
    updates
}

/// The clients of these steps, by name, and the peers.
pub(crate) fn clients_of(steps: &[Step]) -> BTreeSet<Name> {
    let mut names = BTreeSet::new();
    for step in steps {
        match &step.action {
            Action::Client(talk) | Action::Peer(talk) => {
                names.extend([talk.client.clone()]);
            }
            Action::Workload(load) => {
                names.extend((1..=load.clients).map(|number| load.client(number)));
            }
            _ => {}
        }
    }
    names
}

fn add_step(updates: &mut Vec<PlannedUpdate>, step: usize, at: Duration, client: &ClientStep) {
    for to in &client.to {
        for repetition in 1..=client.times {
            let delay = client.every.saturating_mul(repetition - 1);
            for (line, sent) in client.lines.iter().enumerate() {
                let Some(client_id) = sent.send.update_id(repetition) else {
                    continue;
                };
                updates.push(PlannedUpdate {
                    client_id,
                    nth: 0,
                    at: at.saturating_add(delay),
                    step,
                    line,
                    to: *to,
                    repetition,
                });
            }
        }
    }
}

fn number(updates: &mut [PlannedUpdate]) {
    let mut seen: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
    for update in updates {
        let count = seen.entry(update.client_id.clone()).or_default();
        *count += 1;
        update.nth = *count;
    }
}

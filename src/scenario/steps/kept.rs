//! Connections that stay open after a step: what can follow on them.

use std::collections::BTreeMap;

use super::{Action, ClientStep, Step, plain};
use crate::diag::{Problem, Span};
use crate::herd::{Herd, Name, ServerId};
use crate::scenario::validate::Context;

impl Context<'_> {
    /// A connection leads to the servers that its first step names, and nothing follows half a line.
    pub(super) fn check_kept(&mut self, steps: &[Step], herd: &Herd) {
        let mut open: BTreeMap<(Name, Name), Kept> = BTreeMap::new();
        let mut reported = None;
        let has_name = |step: &&Step| {
            step.action
                .talk()
                .is_some_and(|talk| talk.connection.name.is_some())
        };
        let named: Vec<Step> = steps.iter().filter(has_name).cloned().collect();
        for step in by_time(plain(&named)) {
            let (Action::Client(client) | Action::Peer(client)) = step.action else {
                continue;
            };
            let Some(name) = client.connection.name.clone() else {
                continue;
            };
            let key = (client.client.clone(), name);
            let problem = open
                .get(&key)
                .and_then(|kept| kept.against(&key, &client, herd));
            // Many clients share what is written as one step.
            if let (Some((message, first)), true) = (problem, reported != Some(step.span.start)) {
                reported = Some(step.span.start);
                let problem = Problem::error(self.source, step.span.clone(), message);
                self.report(problem.also(first, "the step before on it is here"));
            }
            if client.connection.close.is_some() {
                open.remove(&key);
            } else {
                let kept = Kept {
                    to: client.to.clone(),
                    is_half: client.connection.unfinished,
                    place: step.span,
                };
                open.insert(key, kept);
            }
        }
    }
}

/// The steps in the order in which they happen.
fn by_time(mut steps: Vec<Step>) -> Vec<Step> {
    steps.sort_by_key(|step| (step.at, step.span.start));
    steps
}

/// A connection that stays open after a step.
struct Kept {
    to: Vec<ServerId>,
    /// Whether half a line was written last.
    is_half: bool,
    place: Span,
}

impl Kept {
    /// What is wrong with a later step on it, and where the earlier one is.
    fn against(
        &self,
        (who, name): &(Name, Name),
        step: &ClientStep,
        herd: &Herd,
    ) -> Option<(String, Span)> {
        let message = if self.to != step.to {
            let names: Vec<&str> = (self.to.iter())
                .map(|&server| &*herd.server(server).name)
                .collect();
            let to = names.join(", ");
            format!(
                "the connection `{name}` of `{who}` is open to {to}: another server needs another `connection`"
            )
        } else if self.is_half && !step.lines.is_empty() {
            format!(
                "the last line on the connection `{name}` of `{who}` has no end, so no other can follow"
            )
        } else {
            return None;
        };
        Some((message, self.place.clone()))
    }
}

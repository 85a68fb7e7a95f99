//! Updates that nobody expects anything of: a run holds, whatever becomes of them.

use std::collections::{BTreeMap, BTreeSet};

use super::Context;
use crate::diag::Problem;
use crate::protocol::escape;
use crate::scenario::expects::Known;
use crate::scenario::write::quoted;
use crate::scenario::{Action, ClientStep, Expect, Expected, Line, Step};

impl Context<'_> {
    /// Warns of each step that sends updates of which no expectation names one, and for which no
    /// answer is given. While there are errors, nothing is known of what was meant.
    pub(in crate::scenario) fn warn_of_unexpected(
        &mut self,
        known: &Known<'_>,
        expects: &[Expect],
    ) {
        let (Some(steps), Some(updates)) = (&known.steps, &known.updates) else {
            return;
        };
        let is_about_invariants = |expect: &Expect| matches!(expect.what, Expected::Invariants(_));
        if self.problems.has_errors() || expects.iter().any(is_about_invariants) {
            return;
        }
        let named: BTreeSet<(&[u8], usize)> =
            (expects.iter().flat_map(|expect| expect.what.updates()))
                .map(|update| (update.client_id.as_slice(), update.nth))
                .collect();
        // Many clients share what is written as one step.
        let place = |index: usize| steps[index].span.start;
        let told: BTreeSet<usize> = (updates.iter())
            .filter(|update| named.contains(&(update.client_id.as_slice(), update.nth)))
            .map(|update| place(update.step))
            .collect();
        let mut firsts = BTreeMap::new();
        for update in updates {
            firsts.entry(place(update.step)).or_insert(update);
        }
        self.warn_of_any_answer(known, expects);
        for (place, first) in firsts {
            let step = &steps[first.step];
            if !told.contains(&place) && !has_reply(step) {
                let message = "nothing is expected of the update that this step sends";
                let id = escape(&first.client_id);
                let many = updates
                    .iter()
                    .filter(|update| update.client_id == first.client_id);
                let update = match many.count() {
                    1 => id,
                    _ => format!("{id}#{}", first.nth),
                };
                let update = as_toml(&update);
                let help = format!(
                    "give the step a `reply`, or name its update in an `[[expect]]`: `update = {update}`"
                );
                let problem = Problem::warning(self.source, step.span.clone(), message);
                self.report(problem.help(help));
            }
        }
    }
}

impl Context<'_> {
    /// Warns of each step that sends a WHATSAT of whose answer no expectation speaks: that no server knows the client
    /// is an answer, too.
    fn warn_of_any_answer(&mut self, known: &Known<'_>, expects: &[Expect]) {
        if self.has_bodies || expects.iter().any(|expect| expect.what.is_about_answers()) {
            return;
        }
        let asks = |line: &Line| {
            line.reply.is_none() && line.send.text().split_whitespace().next() == Some("WHATSAT")
        };
        for step in known.written.unwrap_or_default() {
            let Action::Client(client) = &step.action else {
                continue;
            };
            let is_open = !client.no_reply && !client.maybe && client.fails.is_none();
            if is_open && client.lines.iter().any(asks) {
                let message = "any answer to this WHATSAT will do, even that the client is unknown";
                let problem = Problem::warning(self.source, step.span.clone(), message);
                self.report(problem.help(
                    "give the step a `reply`: `\"AT *\"` if the client must be known, `\"*\"` if it need not be",
                ));
            }
        }
    }
}

/// A text as TOML reads it: in quotes between which a backslash is no more than that, if it has one.
fn as_toml(text: &str) -> String {
    if text.contains(['\\', '"']) && !text.contains('\'') {
        format!("'{text}'")
    } else {
        quoted(text)
    }
}

/// Whether a step says how one of its updates is answered, or that it is not.
fn has_reply(step: &Step) -> bool {
    let Action::Client(ClientStep {
        lines,
        no_reply,
        fails,
        ..
    }) = &step.action
    else {
        return false;
    };
    let answered = |line: &Line| line.reply.is_some() && line.send.update_id(1).is_some();
    *no_reply || fails.is_some() || lines.iter().any(answered)
}

//! The answers of lines that wait, for Places or for the disk.

use super::Shared;
use crate::journal::{EventId, EventKind, Journal};
use crate::net::Net;
use crate::node::ToBeSaved;
use crate::protocol::client::{Refusal, write_refusal};

/// The complete answers of lines that waited together, each with its terminator.
pub(super) struct Answer {
    /// The event that caused each, and its length.
    pub(super) lines: Vec<(EventId, usize)>,
    pub(super) text: Vec<u8>,
}

impl Answer {
    /// The answer of one line.
    pub(super) fn one(cause: EventId, text: Vec<u8>) -> Self {
        let lines = vec![(cause, text.len())];
        Self { lines, text }
    }
}

/// IAMATs of one connection that wait together: those that were handled in one go, with no other
/// line between them. They have one wait, since a wait for each would cost more than all else that
/// is done for them.
#[derive(Default)]
pub(super) struct Saves {
    /// Up to where everything must be saved before, as
    /// [`Node::take_unsaved`](crate::node::Node::take_unsaved) counts.
    saved: u64,
    answers: Vec<u8>,
    refusals: Vec<u8>,
    /// The event of each line, and how long its answer and its refusal are.
    lines: Vec<(EventId, usize, usize)>,
}

impl Saves {
    /// Adds a line with its answer.
    pub(super) fn add(&mut self, line: &[u8], answer: &[u8], to_be: ToBeSaved) {
        let before = self.refusals.len();
        write_refusal(&mut self.refusals, line);
        let refusal = self.refusals.len() - before;
        self.answers.extend_from_slice(answer);
        self.lines.push((to_be.heard, answer.len(), refusal));
        self.saved = self.saved.max(to_be.saved);
    }

    /// The number of bytes that wait.
    pub(super) fn bytes(&self) -> usize {
        self.answers.len()
            + self.refusals.len()
            + self.lines.len() * size_of::<(EventId, usize, usize)>()
    }

    /// Their answers once all their records are on the disk; refusals if the disk fails.
    pub(super) async fn answered<N: Net>(self, shared: &Shared<N>) -> Answer {
        if shared.saving.reached(self.saved).await {
            self.all_answered()
        } else {
            self.all_refused(&*shared.journal)
        }
    }

    pub(super) fn all_answered(self) -> Answer {
        let lines = self.lines.into_iter();
        Answer {
            text: self.answers,
            lines: lines.map(|(heard, answer, _)| (heard, answer)).collect(),
        }
    }

    pub(super) fn all_refused(self, journal: &dyn Journal) -> Answer {
        let why = Refusal::NotSaved;
        let refuse = |(heard, _, refusal)| {
            let cause = journal.record(Some(heard), EventKind::Refused { why });
            (cause, refusal)
        };
        Answer {
            text: self.refusals,
            lines: self.lines.into_iter().map(refuse).collect(),
        }
    }
}

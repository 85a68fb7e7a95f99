//! A run that goes on by hand: what happens next is chosen, not a matter of time.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Action, Target};
use crate::diag::Span;
use crate::herd::{Herd, ServerId};

/// The word for the next step.
pub(crate) const STEP: &str = "step";

/// What can happen next in a run that goes on by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Choice {
    /// What has waited longest from the first server to the second arrives: a segment that carries
    /// updates.
    Delivery(ServerId, ServerId),
    /// The next step is done.
    Step,
}

impl Choice {
    /// As a scenario file has it: `Riley>Jaquez`, or `step`.
    pub fn text(self, herd: &Herd) -> String {
        match self {
            Self::Delivery(from, to) => {
                let [from, to] = [from, to].map(|id| &herd.server(id).name);
                format!("{from}>{to}")
            }
            Self::Step => STEP.to_owned(),
        }
    }
}

/// Which messages between servers wait until they are chosen, in a run that goes on by hand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Held {
    /// Those that flood updates.
    #[default]
    Updates,
    /// Those by which links synchronise, too.
    Synchronisation,
}

impl Held {
    /// As a scenario file has it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Updates => "updates",
            Self::Synchronisation => "synchronisation",
        }
    }

    /// Whether these bytes of a connection between servers wait: whether a line of them does.
    pub(crate) fn waits(self, bytes: &[u8]) -> bool {
        const SYNCHRONISING: [&[u8]; 7] = [
            b"HAVE ", b"ROOT ", b"DIGEST ", b"DONE ", b"LIST ", b"WANT ", b"SYNCED ",
        ];
        let mut lines = bytes.split(|byte| *byte == b'\n');
        lines.any(|line| {
            line.starts_with(b"AT ")
                || self == Self::Synchronisation
                    && SYNCHRONISING.iter().any(|verb| line.starts_with(verb))
        })
    }
}

/// In which order everything is to happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Where the file says so.
    pub span: Span,
    /// What happens, one after the other. What is left then happens in the order in which it came
    /// up.
    pub choices: Vec<Choice>,
}

impl Action {
    /// Why this can't be a step of a run that goes on by hand, if it can't.
    pub(crate) fn needs_time(&self) -> Option<&'static str> {
        let kind = match self {
            Self::Client(client) if !client.every.is_zero() => {
                return Some("repetitions some time apart");
            }
            Self::Client(client) if client.takes_time() => return Some("a client that waits"),
            Self::Client(_) | Self::Reload(_) => return None,
            Self::Peer(_) => return Some("a peer that speaks by hand"),
            Self::Workload(_) | Self::Drawn(_) => return Some("a workload"),
            Self::Random(_) => return Some("faults at random"),
            Self::Upgrade(_) => return Some("a graceful stop"),
            Self::Begin(fault) => fault.kind,
            Self::End(kind, _) => *kind,
        };
        let is_servers = |target: &Target| match target {
            Target::Party(party) => party.server().is_some(),
            Target::Pair(a, b) => a.server().is_some() && b.server().is_some(),
            _ => true,
        };
        let others =
            (!self.targets().iter().all(is_servers)).then_some("a fault of clients or of Places");
        kind.needs_time.or(others)
    }
}

//! A run that goes on by hand: what happens next is chosen, not a matter of time.

use super::{Action, Fault, Party};
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
        let whom = match self {
            Self::Client(client) if client.every.is_zero() => return None,
            Self::Client(_) => return Some("repetitions some time apart"),
            Self::Sever(pairs) => pairs.iter().flat_map(|&(a, b)| [a, b]).collect(),
            Self::Break(Fault::Crash | Fault::Freeze | Fault::Refuse, whom)
            | Self::Mend(Fault::Crash | Fault::Freeze | Fault::Refuse, whom) => whom.clone(),
            Self::Skew(..) => return None,
            Self::Break(Fault::PowerOff, _) | Self::Mend(Fault::PowerOff, _) => {
                return Some("a plug that is pulled, which only silence tells of");
            }
            Self::Cut(_) | Self::Heal(_) => return Some("a cut, which is but a late delivery"),
            Self::Slow(..) => return Some("a latency"),
            Self::Workload(_) | Self::Drawn(_) => return Some("a workload"),
            Self::Random(_) => return Some("faults at random"),
        };
        let is_server = |party: &Party| matches!(party, Party::Server(_));
        (!whom.iter().all(is_server)).then_some("a fault of clients or of Places")
    }
}

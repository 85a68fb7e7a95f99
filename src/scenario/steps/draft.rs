//! Steps that are read, but not yet checked against the faults before them.

use std::sync::Arc;
use std::time::Duration;

use super::{Action, When};
use crate::diag::Span;
use crate::scenario::{FaultKind, Target, Values};

/// A step whose servers are not yet known to be up or down.
pub(super) struct Draft {
    pub(super) at: Duration,
    /// Where its time is written.
    pub(super) placed: Span,
    /// What it reacts to.
    pub(super) when: Option<When>,
    /// What its author says of it.
    pub(super) note: Option<Arc<str>>,
    /// The whole step.
    pub(super) span: Span,
    pub(super) action: DraftAction,
}

/// What happens.
pub(super) enum DraftAction {
    /// A fault begins, with these values, which are written there.
    Begin(FaultKind, DraftTargets, Values, Span),
    /// It ends for those who are named there.
    End(FaultKind, DraftTargets, Span),
    /// What does not depend on earlier faults.
    Ready(Action),
}

/// Whom a fault begins or ends for.
pub(super) enum DraftTargets {
    /// Everybody that it can begin or end for at that time.
    All(Span),
    /// These, each with its place.
    Named(Vec<(Target, Span)>),
    /// The clocks of those who are called so.
    Clocks(Vec<(String, Span)>),
}

//! What happens in a scenario: a file for each kind of step that is no fault.
//!
//! A file declares the fields of its kind, reads them, writes them and expands them into plain steps.

use std::sync::Arc;
use std::time::Duration;

use super::{Fault, FaultKind, Target};
use crate::diag::Span;
use crate::document::{Located, OneOrMany, Section};
use crate::herd::{Name, ServerId};
use crate::scenario::fields::{Field, reference};
use crate::scenario::validate::Context;
use crate::units::DurationText;

mod client;
mod connection;
mod draft;
mod expand;
mod failure;
mod faults;
mod kept;
mod lines;
mod peer;
mod random;
mod raw;
mod read;
mod reload;
mod replies;
mod state;
mod swarm;
mod upgrade;
mod when;
mod workload;
mod write;

pub use client::{ClientStep, Line};
pub use connection::{Close, ConnectionUse};
use draft::DraftAction;
pub(super) use expand::plain;
pub use failure::Failure;
pub(super) use random::Means;
pub use random::Random;
pub(super) use raw::RawStep;
pub use reload::Reload;
pub(super) use replies::Replies;
pub use upgrade::Upgrade;
pub use when::When;
pub use workload::{LoadShape, Workload};
pub(crate) use workload::{judge_workloads, workloads_in};
pub(super) use write::InlineTable;

/// One thing that happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// When, counted from the beginning of the run; if it reacts, not before then.
    pub at: Duration,
    /// What it reacts to. A step that runs has none any more: see [`Simulator`](crate::sim::Simulator).
    pub when: Option<When>,
    /// What its author says of it.
    pub note: Option<Arc<str>>,
    /// Where the file says so.
    pub span: Span,
    /// What happens.
    pub action: Action,
}

impl Step {
    /// What happens at a moment, with nothing else said of it.
    pub(crate) fn plain(at: Duration, span: Span, action: Action) -> Self {
        Self {
            at,
            when: None,
            note: None,
            span,
            action,
        }
    }

    /// What comes of it this much later.
    fn later(&self, by: Duration, action: Action) -> Self {
        Self {
            when: self.when.as_ref().map(|when| when.later(by)),
            ..Self::plain(self.at + by, self.span.clone(), action)
        }
    }

    /// What it is if it needs time, and so cannot happen in a run without; none if it can.
    pub(crate) fn needs_time(&self) -> Option<&'static str> {
        let reacts = self.when.is_some().then_some("a step that reacts");
        reacts.or_else(|| self.action.needs_time())
    }
}

/// What happens in a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// A fault begins.
    Begin(Fault),
    /// A fault of this kind, or of its family, ends for these.
    End(FaultKind, Vec<Target>),
    /// A client sends something, or many do.
    Client(ClientStep),
    /// A neighbour speaks the protocol between servers by hand.
    Peer(ClientStep),
    /// Many clients send what the seed draws.
    Workload(Workload),
    /// Faults come and go as the seed draws.
    Random(Random),
    /// Running servers get new settings.
    Reload(Reload),
    /// Servers go on as another build.
    Upgrade(Upgrade),
    /// What was drawn for such a step follows, as plain steps with its place.
    Drawn(Drawn),
}

impl Action {
    /// Whom a fault begins or ends for.
    pub fn targets(&self) -> &[Target] {
        match self {
            Self::Begin(Fault { targets, .. }) | Self::End(_, targets) => targets,
            Self::Client(_)
            | Self::Peer(_)
            | Self::Workload(_)
            | Self::Random(_)
            | Self::Reload(_)
            | Self::Upgrade(_)
            | Self::Drawn(_) => &[],
        }
    }

    /// What is written on a connection by hand, by a client or by a peer.
    pub fn talk(&self) -> Option<&ClientStep> {
        match self {
            Self::Client(talk) | Self::Peer(talk) => Some(talk),
            _ => None,
        }
    }

    /// The same, to be changed.
    pub fn targets_mut(&mut self) -> Option<&mut Vec<Target>> {
        match self {
            Self::Begin(Fault { targets, .. }) | Self::End(_, targets) => Some(targets),
            Self::Client(_)
            | Self::Peer(_)
            | Self::Workload(_)
            | Self::Random(_)
            | Self::Reload(_)
            | Self::Upgrade(_)
            | Self::Drawn(_) => None,
        }
    }
}

/// A step that stood for many and was drawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Drawn {
    /// A workload.
    Workload(Workload),
    /// Faults at random, and how many of each kind were chosen.
    Random(Random, Vec<u32>),
    /// Where the seed changes while faults come at random: what was chosen at this moment, as a file would have it. At a
    /// later one, something else may have been.
    Chosen(Vec<String>),
}

/// What a file can say of a kind of step.
struct Declaration {
    /// The field that says what happens. No other kind has it.
    subject: Field,
    /// The fields that say more of it. Other kinds may have the same.
    fields: &'static [Field],
    /// Reads a step whose subject is given; none if it is wrong, which is reported.
    read: fn(&mut Context<'_>, &Section<RawStep>) -> Option<DraftAction>,
}

/// All kinds but the faults, which have declarations of their own.
fn declarations() -> impl Iterator<Item = &'static Declaration> {
    const ALL: &[Declaration] = &[
        client::DECLARATION,
        peer::DECLARATION,
        workload::DECLARATION,
        random::DECLARATION,
        reload::DECLARATION,
        upgrade::DECLARATION,
    ];
    ALL.iter()
}

/// A table in Markdown of what a kind of step says besides its subject; none if there is no such kind.
pub(super) fn table(subject: &str) -> Option<String> {
    let kind = declarations().find(|kind| kind.subject.name == subject)?;
    Some(reference(kind.fields))
}

/// Each repetition is a connection of its own, and a simulated host has a limited number of ports.
const MOST_CONNECTIONS: u32 = 10_000;

/// The name of one of many clients.
fn numbered(name: &str, number: u32) -> Name {
    Name::from(format!("{name}-{number}"))
}

impl Context<'_> {
    /// A number of connections, or of those who have them.
    pub(super) fn count(&mut self, number: &Located<u32>, field: &str) -> Option<u32> {
        self.one_up_to(MOST_CONNECTIONS, number, field)
    }

    /// A number of what there is at least one of.
    fn one_up_to(&mut self, most: u32, number: &Located<u32>, field: &str) -> Option<u32> {
        if (1..=most).contains(&**number) {
            return Some(**number);
        }
        let message = format!("`{field}` is {}, but must be 1 to {most}", **number);
        self.error(number.span(), message);
        None
    }

    /// The servers of a list, or all where it is not given.
    fn servers_or_all(&mut self, list: Option<&OneOrMany>) -> Option<Vec<ServerId>> {
        match list {
            Some(list) => self.servers(list),
            None => self.herd.as_ref().map(|herd| herd.ids().collect()),
        }
    }

    /// How long something goes on that takes time.
    fn lasts(&mut self, step: &Section<RawStep>, message: &str) -> Option<Duration> {
        let lasts = self.required(
            step.value::<Located<DurationText>>("lasts"),
            &step.span(),
            message,
        )?;
        self.check_on_tick(lasts.0, &lasts.span(), "`lasts`");
        let duration = self.moment(lasts, "`lasts`");
        if duration.is_zero() {
            self.error(lasts.span(), "nothing can happen in no time");
            return None;
        }
        Some(duration)
    }
}

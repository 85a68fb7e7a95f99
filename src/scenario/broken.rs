//! What is wrong at some moment of a scenario, and what may begin or end then. Steps that are written and steps that
//! the seed draws go by the same rules.

use std::collections::BTreeMap;
use std::time::Duration;

use super::target::{Direction, Target, Usual};
use super::{Action, Fault, FaultKind, Step, Values};
use crate::diag::Span;

/// Which faults are in force, and for which targets.
#[derive(Default)]
pub(super) struct Broken {
    /// Faults in force, by their family and their target.
    active: BTreeMap<(FaultKind, Target), Active>,
    /// Faults that another fault of the same target ended, and where that other one is written.
    ended: BTreeMap<(FaultKind, Target), Span>,
}

/// A fault in force, for one target.
struct Active {
    kind: FaultKind,
    /// Where it is written.
    since: Span,
    /// How many are. Cuts add up.
    count: usize,
    values: Values,
    /// When it ends by itself.
    until: Option<Duration>,
}

impl Broken {
    /// It is that moment now: what ends by itself is over.
    pub(super) fn pass(&mut self, now: Duration) {
        self.active
            .retain(|_, active| active.until.is_none_or(|until| until > now));
    }

    /// What stands against a fault of this kind beginning now, and what that is called.
    pub(super) fn against(&self, kind: FaultKind, target: &Target) -> Option<(Span, &'static str)> {
        FaultKind::all()
            .filter(|other| other.excludes(kind))
            .find_map(|other| {
                let active = self.active.get(&(other, target.clone()))?;
                Some((active.since.clone(), active.kind.state))
            })
    }

    /// A fault begins, at this moment.
    pub(super) fn begin(&mut self, fault: &Fault, at: Duration, span: &Span, usual: &Usual) {
        let family = fault.kind.family();
        let until = fault.lasts().map(|lasts| at + lasts);
        for target in &fault.targets {
            for over in FaultKind::all().filter(|other| fault.kind.ends(*other)) {
                let it = (over, target.clone());
                if self.active.remove(&it).is_some() {
                    self.ended.insert(it, span.clone());
                }
            }
            let it = (family, target.clone());
            self.ended.remove(&it);
            if fault.clears(target, usual) {
                self.active.remove(&it);
                continue;
            }
            let before = self.active.get(&it).map_or(0, |active| active.count);
            let active = Active {
                kind: fault.kind,
                since: span.clone(),
                count: before + 1,
                values: fault.values.clone(),
                until,
            };
            // What takes no time is not in force behind it.
            if !matches!(fault.kind.end, super::End::AtOnce) {
                self.active.insert(it, active);
            }
        }
    }

    /// A fault in force that ends by itself and stands against one of this kind.
    pub(super) fn passing(&self, kind: FaultKind, target: &Target) -> Option<FaultKind> {
        let mut all = FaultKind::all().filter(|other| other.excludes(kind));
        all.find(|other| {
            let active = self.active.get(&(*other, target.clone()));
            active.is_some_and(|active| active.until.is_some())
        })
    }

    /// Where another fault is written that ended this one.
    pub(super) fn ended(&self, kind: FaultKind, target: &Target) -> Option<&Span> {
        self.ended.get(&(kind.family(), target.clone()))
    }

    /// Whether a fault of this family is in force.
    pub(super) fn has(&self, kind: FaultKind, target: &Target) -> bool {
        self.active.contains_key(&(kind.family(), target.clone()))
    }

    /// With what values; none if there is no such fault.
    pub(super) fn values(&self, kind: FaultKind, target: &Target) -> Option<&Values> {
        let active = self.active.get(&(kind.family(), target.clone()));
        active
            .filter(|active| active.kind == kind)
            .map(|active| &active.values)
    }

    /// Every target for which such a fault is in force, in order: once for each such fault.
    pub(super) fn all(&self, kind: FaultKind) -> impl Iterator<Item = &Target> {
        let family = kind.family();
        let all = self.active.iter();
        all.filter(move |((other, _), _)| *other == family)
            .flat_map(|((_, target), active)| std::iter::repeat_n(target, active.count))
    }

    /// One fault less of the family; whether there was one.
    pub(super) fn end(&mut self, kind: FaultKind, target: &Target) -> bool {
        let it = (kind.family(), target.clone());
        let Some(active) = self.active.get_mut(&it) else {
            return false;
        };
        active.count -= 1;
        if active.count == 0 {
            self.active.remove(&it);
        }
        true
    }

    /// Whether a direction or its opposite is cut.
    pub(super) fn is_cut_at_all(&self, kind: FaultKind, (a, b): Direction) -> bool {
        let ways = [(a, b), (b, a)].map(Target::Direction);
        ways.iter().any(|way| self.has(kind, way))
    }

    /// Whether nothing is wrong.
    #[cfg(test)]
    pub(super) fn is_whole(&self) -> bool {
        self.active.is_empty()
    }

    /// Takes in what a step does that was found right.
    pub(super) fn learn(&mut self, step: &Step, usual: &Usual) {
        self.pass(step.at);
        match &step.action {
            Action::Begin(fault) => self.begin(fault, step.at, &step.span, usual),
            Action::End(kind, targets) => {
                for target in targets {
                    self.end(*kind, target);
                }
            }
            Action::Client(_)
            | Action::Peer(_)
            | Action::Workload(_)
            | Action::Random(_)
            | Action::Reload(_)
            | Action::Upgrade(_)
            | Action::Drawn(_) => {}
        }
    }
}

//! The invariants that a run is about.

use super::read::{Declaration, Reading};
use crate::scenario::fields::{Holds, field};
use super::{Expectation, Expected, Fields, Observed};
use crate::trace::Judgement;
use crate::trace::invariants::Invariant;

/// The invariants that a run is about; they are checked against every run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvariantExpectation(pub Vec<Invariant>);

pub(super) const DECLARATIONS: &[Declaration] = &[Declaration {
    subject: field("invariant", Holds::Names, "Invariants that this run is about: a name or a list. They are checked anyway; naming them says that nothing else need be expected."),
    fields: &[],
    read,
}];

fn read(reading: &mut Reading<'_, '_, '_>) -> Option<Expected> {
    let named = reading.cx.invariants(reading.get("invariant"));
    (!named.is_empty()).then(|| InvariantExpectation(named).into())
}

impl Expectation for InvariantExpectation {
    fn write(&self, fields: &mut Fields<'_>) {
        let names: Vec<&str> = self.0.iter().map(|invariant| invariant.name()).collect();
        fields.list("invariant", &names);
    }

    /// All invariants are judged of every run, so there is no judgement beside that.
    fn judge(&self, _: &Observed<'_>) -> Vec<Judgement> {
        Vec::new()
    }

    fn in_any_order(&self) -> (Option<Expected>, Vec<&'static str>) {
        (Some(self.clone().into()), Vec::new())
    }

    fn is_about_answers(&self) -> bool {
        true
    }

    fn is_about_all(&self) -> bool {
        true
    }
}

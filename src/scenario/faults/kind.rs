//! A kind of fault, as a value.

use std::fmt;
use std::ops::Deref;

use super::{ALL, Declaration, End, Operation, Shape, Target};

/// A kind of fault, in the order of the list.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct FaultKind(usize);

impl FaultKind {
    /// All of them, in their order.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..ALL.len()).map(Self)
    }

    /// Those that the seed can draw, in their order.
    pub fn drawn() -> impl Iterator<Item = Self> {
        Self::all().filter(|kind| kind.drawn.is_some())
    }

    /// The kind that a step of this word begins.
    pub fn of(word: &str) -> Option<Self> {
        Self::all().find(|kind| kind.name == word)
    }

    /// The kind that a step of this word ends: of a family, the first.
    pub fn ended_by(word: &str) -> Option<Self> {
        Self::all().find(|kind| kind.end_word() == Some(word))
    }

    /// The word of the step that ends it, if it has one of its own.
    pub fn end_word(self) -> Option<&'static str> {
        match self.end {
            End::Step { word, .. } => Some(word),
            _ => None,
        }
    }

    /// The words of the steps that begin and end it.
    pub fn words(self) -> impl Iterator<Item = &'static str> {
        [Some(self.name), self.end_word()].into_iter().flatten()
    }

    /// What ends it for these, where a step of its own does.
    pub fn operations_to_end(self, targets: &[Target]) -> Vec<Operation> {
        match self.end {
            End::Step { end, .. } => end(targets),
            _ => Vec::new(),
        }
    }

    /// The kind that stands for all of the same effect.
    #[must_use]
    pub fn family(self) -> Self {
        Self::of(self.family).unwrap_or(self)
    }

    /// Whether it happens to a link between two servers.
    pub fn needs_link(self) -> bool {
        matches!(self.targets, Shape::Pairs | Shape::Routes | Shape::Links)
    }

    /// Whether it happens to disks, which servers need not have.
    pub fn needs_disks(self) -> bool {
        self.targets == Shape::Disks
    }

    /// Whether it stands against `other` beginning at the same target.
    pub(in crate::scenario) fn excludes(self, other: Self) -> bool {
        if self.needs_disks() && other.needs_disks() {
            // A disk has one fault at a time, and what ends it need not say which.
            return self.family() == other.family();
        }
        if self.targets != Shape::Parties || other.targets != Shape::Parties {
            return false;
        }
        let named = self.excludes.contains(&other.name) || other.excludes.contains(&self.name);
        // Whatever else is wrong with a process, it can be killed all the same.
        self.kills || named || !other.kills && self == other
    }

    /// Whether its beginning ends `other` at the same target: what comes back from a crash knows nothing of having
    /// been frozen.
    pub(in crate::scenario) fn ends(self, other: Self) -> bool {
        self.kills && other.targets == Shape::Parties && !other.kills
    }
}

impl Deref for FaultKind {
    type Target = Declaration;

    fn deref(&self) -> &Declaration {
        &ALL[self.0]
    }
}

impl fmt::Debug for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

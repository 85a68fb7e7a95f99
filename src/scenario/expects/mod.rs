//! What is expected of a run: a file for each kind of expectation.
//!
//! A file declares the fields of its kind, reads them, writes them and judges a run by them. Schema, reading, writing,
//! warnings and the judge go through the list below and know no kind by name.

mod observed;
mod outside;
mod read;
mod update_ref;
mod window;
mod write;

use crate::diag::Span;
use crate::trace::Judgement;

pub(crate) use observed::{
    LineId, MOST_LISTED, Observed, Outcome, compare, failed, first_and_more, nanos, sent_updates,
};
pub(crate) use outside::{SURVEYOR, Told};
pub(super) use read::{Known, RawExpect, table};
pub use update_ref::UpdateRef;
pub use window::{Moments, Quantifier, Window};
pub(super) use write::fields;

use read::Declaration;
use write::Fields;

/// Lists the kinds: the file of each, its variant of [`Expected`], and its type.
macro_rules! kinds {
    ($($file:ident: $(#[$doc:meta])* $kind:ident($type:ident),)*) => {
        $(mod $file;)*
        $(pub use $file::$type;)*

        /// What is expected, by its kind.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum Expected {
            $($(#[$doc])* $kind($type),)*
        }

        impl Expected {
            /// What a kind has to say of itself.
            fn kind(&self) -> &dyn Expectation {
                match self {
                    $(Self::$kind(expected) => expected,)*
                }
            }
        }

        $(impl From<$type> for Expected {
            fn from(expected: $type) -> Self {
                Self::$kind(expected)
            }
        })*

        /// What can be said of each kind in a file, in the order of the list.
        fn declarations() -> impl Iterator<Item = &'static Declaration> {
            [$($file::DECLARATIONS,)*].into_iter().flatten()
        }
    };
}

kinds! {
    update: /// Of an update.
        Update(UpdateExpectation),
    server: /// Of servers.
        Server(ServerExpectation),
    link: /// Of links.
        Link(LinkExpectation),
    log: /// Of the events of the run.
        Log(LogExpectation),
    no_lost_updates: /// Of the last updates of clients.
        NoLostUpdates(ClientSet),
    invariant: /// Of the invariants that the run is about.
        Invariants(InvariantExpectation),
}

pub use link::LinkCheck;
pub use server::{ServerCheck, StateCheck};
pub use update::Check;

/// Something that is expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expect {
    /// Where the file says so.
    pub span: Span,
    /// What it is about, and what must be true of it.
    pub what: Expected,
    /// Whether it need not be so in each run, but in one run of a sweep at least.
    pub sometimes: bool,
    /// What its author says of it.
    pub note: Option<String>,
}

/// What each kind of expectation can say of itself.
trait Expectation {
    /// Writes its fields as a file says them.
    fn write(&self, fields: &mut Fields<'_>);

    /// Judges a run by it: a judgement for each thing that must be true, without the place in the file.
    fn judge(&self, run: &Observed<'_>) -> Vec<Judgement>;

    /// What of it can be true whatever the order of deliveries, and the words for the rest.
    fn in_any_order(&self) -> (Option<Expected>, Vec<&'static str>);

    /// The updates that it names.
    fn updates(&self) -> Vec<&UpdateRef> {
        Vec::new()
    }

    /// Whether it speaks of what clients are answered, so that no warning is due where a reply is not given.
    fn is_about_answers(&self) -> bool {
        false
    }

    /// Whether it means the whole herd, so that it can be judged of a herd with a server less.
    fn is_about_all(&self) -> bool {
        false
    }
}

impl Expected {
    /// Judges a run by it.
    pub(crate) fn judge(&self, run: &Observed<'_>) -> Vec<Judgement> {
        self.kind().judge(run)
    }

    /// What of it can be true whatever the order of deliveries, and the words for the rest.
    pub(crate) fn in_any_order(&self) -> (Option<Self>, Vec<&'static str>) {
        self.kind().in_any_order()
    }

    /// Whether it means the whole herd, and not single servers or links.
    pub(crate) fn is_about_all(&self) -> bool {
        self.kind().is_about_all()
    }

    /// Whether it names this invariant.
    pub(crate) fn names(&self, invariant: crate::trace::invariants::Invariant) -> bool {
        matches!(self, Self::Invariants(named) if named.0.contains(&invariant))
    }

    /// The updates that it names.
    pub(super) fn updates(&self) -> Vec<&UpdateRef> {
        self.kind().updates()
    }

    /// Whether the ways of updates through the herd count for it, or stand in its words.
    pub(crate) fn is_about_ways(&self) -> bool {
        matches!(self, Self::Update(_) | Self::Server(_))
    }

    /// Whether it speaks of what clients are answered.
    pub(super) fn is_about_answers(&self) -> bool {
        self.kind().is_about_answers()
    }
}

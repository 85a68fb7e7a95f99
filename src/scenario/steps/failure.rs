//! How a client's step must fail, where it must.

use super::raw::RawStep;
use crate::diag::Problem;
use crate::document::Located;
use crate::scenario::fields::{Field, Holds, field};
use crate::scenario::validate::Context;

/// How a client must fail to talk to a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The server's system refuses the connection.
    Refused,
    /// Nobody answers, neither the attempt to connect nor the lines: the client gives up.
    Unheard,
}

impl Failure {
    /// The field that says so.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Unheard => "unheard",
        }
    }
}

pub(super) const REFUSED: Field = field(
    Failure::Refused.name(),
    Holds::Flag,
    "The server must refuse the connection, so that no line is answered.",
)
.written("refused = true");

pub(super) const UNHEARD: Field = field(
    Failure::Unheard.name(),
    Holds::Flag,
    "Nobody may answer within 5 s, neither the attempt to connect nor the lines; a refusal or a reset is an answer.",
)
.written("unheard = true");

impl Context<'_> {
    /// How the step must fail, which leaves nothing to say of its answers.
    pub(super) fn fails(&mut self, step: &RawStep) -> Option<Failure> {
        let all = [Failure::Refused, Failure::Unheard];
        let mut given = all.into_iter().filter_map(|failure| {
            let flag = step.value::<Located<bool>>(failure.name());
            Some((failure, flag.filter(|flag| ***flag)?.span()))
        });
        let (failure, place) = given.next()?;
        let others = ["reply", "no_reply", "maybe"].into_iter();
        let others = others.filter_map(|name| Some((name, step.get(name)?.place()?)));
        let second = given.map(|(failure, place)| (failure.name(), place));
        if let Some((name, other)) = second.chain(others).next() {
            let message = format!("`{}` excludes `{name}`", failure.name());
            let problem = Problem::error(self.source, place, message);
            self.report(problem.also(other, format!("`{name}` is here")));
        }
        Some(failure)
    }
}

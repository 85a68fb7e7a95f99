//! What an expectation is about, and which fields go with that.

use super::Context;
use crate::diag::{Problem, Span};
use crate::document::{Entries, Located, OneOrMany, Section};
use crate::scenario::raw::RawExpect;

impl Context<'_> {
    /// The one thing that an expectation is about.
    pub(super) fn kind(&mut self, raw: &Section<RawExpect>) -> Option<Kind> {
        let mut kinds = raw.kinds();
        let first = kinds.next();
        for (kind, span) in kinds {
            let message = format!(
                "an expectation is about one thing, and `{}` is a second one",
                kind.word()
            );
            let mut problem = Problem::error(self.source, span, message);
            if let Some((first, place)) = &first {
                problem = problem.also(place.clone(), format!("the first is `{}`", first.word()));
            }
            self.report(problem.help("make two `[[expect]]` of it"));
        }
        if first.is_none() && !self.damage.is_at(&raw.span()) {
            let message = "an expectation needs to be about something: `update`, `server`, `link`, `log`, `workload`, `client` or `invariant`";
            self.error(raw.span(), message);
        }
        first.map(|(kind, _)| kind)
    }

    /// Fields that belong to another kind of expectation than this one.
    pub(super) fn check_fields_fit(&mut self, raw: &Section<RawExpect>, kind: Kind) {
        for (field, owners, span) in raw.fields() {
            if !owners.contains(&kind) {
                let words: Vec<_> = owners.iter().map(|owner| owner.word()).collect();
                let (owners, kind) = (words.join("` and `"), kind.word());
                let message = format!(
                    "`{field}` goes with `{owners}`, and this expectation is about `{kind}`"
                );
                self.error(span, message);
            }
        }
    }
}

/// What an expectation can be about.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Update,
    Server,
    Link,
    Log,
    Workload,
    Client,
    Invariant,
}

impl Kind {
    /// The field that says so.
    const fn word(self) -> &'static str {
        match self {
            Self::Update => "update",
            Self::Server => "server",
            Self::Link => "link",
            Self::Log => "log",
            Self::Workload => "workload",
            Self::Client => "client",
            Self::Invariant => "invariant",
        }
    }
}

impl RawExpect {
    /// What it says it is about, each with its place: there must be exactly one.
    fn kinds(&self) -> impl Iterator<Item = (Kind, Span)> {
        let kinds = [
            (Kind::Update, self.update.as_ref().map(Located::span)),
            (Kind::Server, self.server.as_ref().map(OneOrMany::span)),
            (Kind::Link, self.link.as_ref().map(OneOrMany::span)),
            (Kind::Log, self.log.as_ref().map(Located::span)),
            (Kind::Workload, self.workload.as_ref().map(Located::span)),
            (Kind::Client, self.client.as_ref().map(OneOrMany::span)),
            (
                Kind::Invariant,
                self.invariant.as_ref().map(OneOrMany::span),
            ),
        ];
        let given = kinds.into_iter();
        given.filter_map(|(kind, span)| Some((kind, span?)))
    }

    /// The other fields that are given, each with what it goes with.
    fn fields(&self) -> Vec<(&'static str, &'static [Kind], Span)> {
        fn at<T>(value: Option<&Located<T>>) -> Option<Span> {
            value.map(Located::span)
        }
        fn list(value: Option<&OneOrMany>) -> Option<Span> {
            value.map(OneOrMany::span)
        }
        fn table<T>(value: Option<&Entries<T>>) -> Option<Span> {
            let first = value?.first();
            first.map(|(name, _)| name.span())
        }
        let update = &[Kind::Update][..];
        let (server, link, log) = (&[Kind::Server][..], &[Kind::Link][..], &[Kind::Log][..]);
        let fields = [
            ("reaches", update, list(self.reaches.as_ref())),
            ("misses", update, list(self.misses.as_ref())),
            ("hops", update, table(self.hops.as_ref())),
            ("path", update, table(self.path.as_ref())),
            ("within", update, at(self.within.as_ref())),
            ("sends", update, at(self.sends.as_ref())),
            ("useful", update, at(self.useful.as_ref())),
            ("duplicates", update, at(self.duplicates.as_ref())),
            ("ignored", update, at(self.ignored.as_ref())),
            ("refused", update, at(self.refused.as_ref())),
            ("unheard", update, at(self.unheard.as_ref())),
            ("at", &[Kind::Server, Kind::Link], at(self.at.as_ref())),
            ("holds", server, list(self.holds.as_ref())),
            ("lacks", server, list(self.lacks.as_ref())),
            ("records", server, at(self.records.as_ref())),
            ("lookups", server, at(self.lookups.as_ref())),
            ("requests", server, at(self.requests.as_ref())),
            ("is", link, at(self.is.as_ref())),
            ("since", link, at(self.since.as_ref())),
            (
                "synchronises_within",
                link,
                at(self.synchronises_within.as_ref()),
            ),
            ("brings", link, at(self.brings.as_ref())),
            ("by", log, at(self.by.as_ref())),
            ("from", log, at(self.from.as_ref())),
            ("until", log, at(self.until.as_ref())),
            ("times", log, at(self.times.as_ref())),
            (
                "no_lost_updates",
                &[Kind::Workload, Kind::Client],
                at(self.no_lost_updates.as_ref()),
            ),
        ];
        let given = fields.into_iter();
        given
            .filter_map(|(name, owners, span)| Some((name, owners, span?)))
            .collect()
    }
}

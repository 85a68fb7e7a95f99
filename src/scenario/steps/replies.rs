//! What must be answered to a line, as a file says it.

use crate::document::{Located, OneOrMany, OneOrManyOf, Table, TextOr};
use crate::scenario::fields::{Holds, RawValue, field, fields};
use crate::scenario::validate::Context;
use crate::scenario::write::quoted;
use crate::scenario::{Pattern, Reply};

/// The words of a table that says what must be answered.
const ANY: &str = "any";
pub(super) const NOT: &str = "not";
pub(super) const RESULTS: &str = "results";

/// The most results that an answer can have: a WHATSAT asks for up to 20.
const MOST_RESULTS: u32 = 20;

fields! {
    /// What an answer is, where one pattern can't say it.
    ReplyFields,
    "Reply",
    "What must be answered: one of `any`, `not` and `results`, or none of them for any answer, as without a `reply`.",
    || {
        vec![
            field(ANY, Holds::Names, "The answer looks like one of these patterns."),
            field(NOT, Holds::Text, "There is an answer, and it does not look like this pattern."),
            field(RESULTS, Holds::Number, "The answer to a WHATSAT has this number of results.")
                .from(0, MOST_RESULTS),
        ]
    }
}

/// What must be answered to each line, as written.
pub(in crate::scenario) type Replies = OneOrManyOf<Table<ReplyFields>>;

impl Context<'_> {
    /// Whether a file leaves one answer open, with a table of nothing.
    pub(super) fn is_open(&self, written: &Located<TextOr<Table<ReplyFields>>>) -> bool {
        let is_empty = matches!(&**written, TextOr::Table(table) if said(table).next().is_none());
        is_empty && !self.damage.is_at(&written.span())
    }

    /// What a file says of one answer; none if it is wrong, which is reported.
    pub(super) fn reply(&mut self, written: &Located<TextOr<Table<ReplyFields>>>) -> Option<Reply> {
        let table = match &**written {
            TextOr::Text(text) => {
                let text = Located::new(written.span(), text.clone());
                return self.pattern(&text).map(Reply::Pattern);
            }
            TextOr::Table(table) => table,
        };
        if said(table).count() > 1 {
            let message = "a reply has one of `any`, `not` and `results`";
            self.error(written.span(), message);
            return None;
        }
        if let Some(any) = table.value::<OneOrMany>(ANY) {
            let patterns = any.items().iter().map(|text| self.pattern(text));
            let patterns: Vec<Option<Pattern>> = patterns.collect();
            if patterns.is_empty() {
                self.error(any.span(), "no answer can be one of none");
                return None;
            }
            return patterns.into_iter().collect::<Option<_>>().map(Reply::Any);
        }
        if let Some(not) = table.value::<Located<String>>(NOT) {
            return self.pattern(not).map(Reply::Not);
        }
        let results = table.value::<Located<u32>>(RESULTS)?;
        if **results > MOST_RESULTS {
            let message = format!("an answer has up to {MOST_RESULTS} results");
            self.error(results.span(), message);
        }
        Some(Reply::Results(**results))
    }

    fn pattern(&mut self, text: &Located<String>) -> Option<Pattern> {
        let parsed = Pattern::parse(text);
        parsed
            .map_err(|error| self.error(text.span(), error.to_string()))
            .ok()
    }
}

/// What a table says: one thing, if it is right.
fn said(table: &Table<ReplyFields>) -> impl Iterator<Item = &RawValue> {
    [ANY, NOT, RESULTS]
        .into_iter()
        .filter_map(|name| table.get(name))
}

/// A reply as a file has it in a list, in which each line has one.
pub(super) fn written(reply: Option<&Reply>) -> String {
    let Some(reply) = reply else {
        return "{}".to_owned();
    };
    let text = |pattern: &Pattern| quoted(pattern.text());
    match reply {
        Reply::Pattern(pattern) => text(pattern),
        Reply::Any(patterns) => {
            let all: Vec<String> = patterns.iter().map(text).collect();
            format!("{{ {ANY} = [{}] }}", all.join(", "))
        }
        Reply::Not(pattern) => format!("{{ {NOT} = {} }}", text(pattern)),
        Reply::Results(number) => format!("{{ {RESULTS} = {number} }}"),
    }
}

//! Reads a TOML or JSON file into a type, and finds every problem and its place at once.
//!
//! Both formats become the same tree with places, so both give the same diagnostics. Serde stops at
//! the first error; here the offending node is cut out of the tree and the rest is read again,
//! until nothing is wrong. What was cut is remembered as damage, so that a validator does not
//! report a field as missing that was cut here.

use std::path::Path;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::diag::{Problem, Problems, Source, Span};
use crate::files;

mod brackets;
#[cfg(feature = "sim")]
mod json;
mod located;
#[cfg(feature = "sim")]
mod schema;
#[cfg(feature = "sim")]
mod table;
mod wording;

pub use located::{Entries, Located, OneOrMany, OneOrManyOf, Section, TextOr};
#[cfg(feature = "sim")]
pub(crate) use schema::{property, schema_of, table_of};
#[cfg(feature = "sim")]
pub(crate) use table::{Fields, Table};

/// More syntax errors than this are one misunderstanding rather than many mistakes.
const MOST_SYNTAX_ERRORS: usize = 10;

/// Each round of reading finds one problem, so this bounds the work on a hopeless file.
const MOST_ROUNDS: usize = 100;

/// The top level of a file has no place of its own; problems with it point at the file's start.
pub const ROOT: Span = 0..0;

/// A value, and what was cut from it because it was wrong.
#[derive(Debug)]
pub struct Parsed<T> {
    /// The value, without the parts that were wrong.
    pub value: T,
    /// The tables and lists from which something was cut.
    pub damage: Damage,
}

/// The places of tables and lists from which something wrong was cut.
#[derive(Debug, Clone, Default)]
pub struct Damage(Vec<Span>);

impl Damage {
    /// Whether something was cut from the table or list at this place ([`ROOT`] for the top level),
    /// so that a field which it lacks may have been cut.
    pub fn is_at(&self, span: &Span) -> bool {
        self.0.contains(span)
    }

    /// What was cut from one table or list was cut from another, too, which it is part of.
    #[cfg(feature = "sim")]
    pub(crate) fn spread(&mut self, from: &Span, to: Span) {
        if self.is_at(from) {
            self.0.push(to);
        }
    }

    /// Whether anything was cut.
    pub fn is_any(&self) -> bool {
        !self.0.is_empty()
    }
}

/// Reads a file as JSON if its name ends in `.json`, or if the name has no ending and the text
/// begins as JSON does; else as TOML 1.1. All problems are added to `problems`. The value is `None`
/// if the file is neither TOML nor JSON.
pub fn parse<T: DeserializeOwned>(
    source: &Arc<Source>,
    problems: &mut Problems,
) -> Option<Parsed<T>> {
    let mut damage = Damage::default();
    let tree = if is_json(source) {
        read_json(source, problems, &mut damage)?
    } else {
        read_toml(source, problems)?
    };
    let value = deserialize(tree, source, problems, &mut damage)?;
    Some(Parsed { value, damage })
}

fn is_json(source: &Source) -> bool {
    let name = Path::new(&source.name);
    // A pipe's name has no ending. No TOML file begins with this bracket.
    files::ends_in(name, "json")
        || name.extension().is_none() && source.text.trim_start().starts_with('{')
}

#[cfg(feature = "sim")]
use json::read as read_json;

#[cfg(not(feature = "sim"))]
fn read_json<'a>(
    source: &'a Arc<Source>,
    problems: &mut Problems,
    _: &mut Damage,
) -> Option<DeTable<'a>> {
    let problem = Problem::error(source, ROOT, "this build can't read JSON");
    problems.push(problem.help("write the file in TOML, or build with the feature `sim`"));
    None
}

fn read_toml<'a>(source: &'a Arc<Source>, problems: &mut Problems) -> Option<DeTable<'a>> {
    let (tree, errors) = DeTable::parse_recoverable(&source.text);
    if errors.is_empty() {
        return Some(tree.into_inner());
    }
    problems.extend(syntax_problems(source, &errors));
    None
}

/// The parser goes on after an error, and often fails again by the same mistake. One error is kept
/// for each line; if a bracket was never closed, only the first error and that one.
fn syntax_problems(source: &Arc<Source>, errors: &[toml::de::Error]) -> Vec<Problem> {
    let mut found: Vec<_> = errors
        .iter()
        .map(|error| (error.span().unwrap_or(ROOT), error.message()))
        .collect();
    found.sort_by_key(|(span, _)| span.start);
    if let Some(problem) = brackets::unclosed(source) {
        // An error before the bracket may be another mistake; what follows was read as part of the
        // list.
        found.retain(|(span, _)| Some(span.start) < problem.span.as_ref().map(|span| span.start));
        let before = found
            .into_iter()
            .map(|(span, message)| syntax_problem(source, span, message));
        return before.chain([problem]).collect();
    }
    let unclosed = found.iter().position(|(_, text)| text.contains("unclosed"));
    if let Some(unclosed) = unclosed.filter(|at| *at > 0) {
        found.truncate(unclosed + 1);
        found.drain(1..unclosed);
    }
    found.dedup_by_key(|(span, _)| source.line_column(span.start).0);
    found.truncate(MOST_SYNTAX_ERRORS);
    let problem = |(span, message)| syntax_problem(source, span, message);
    found.into_iter().map(problem).collect()
}

fn syntax_problem(source: &Arc<Source>, span: Span, message: &str) -> Problem {
    const CURLY: [char; 8] = ['“', '”', '„', '‟', '‘', '’', '«', '»'];
    let written = source
        .text
        .get(span.start..)
        .and_then(|rest| rest.chars().next());
    match written.filter(|written| CURLY.contains(written)) {
        Some(quote) => Problem::error(source, span, format!("`{quote}` begins no text"))
            .help("write straight quotes: `\"`"),
        None => Problem::error(source, point_at(source, span, message), message),
    }
}

/// Where to report an error. The parser finds a missing comma where the next token begins, often a
/// line after its place.
fn point_at(source: &Source, span: Span, message: &str) -> Span {
    let before = source.text[..span.start].trim_end();
    let line = before.rfind('\n').map_or(0, |newline| newline + 1);
    let has_comment = before[line..].contains('#');
    if message.starts_with("missing comma") && !has_comment {
        return before.len()..before.len();
    }
    span
}

/// Reads the tree again and again, each time without the part that failed last.
fn deserialize<T: DeserializeOwned>(
    mut tree: DeTable<'_>,
    source: &Arc<Source>,
    problems: &mut Problems,
    damage: &mut Damage,
) -> Option<T> {
    let mut found: Vec<Problem> = Vec::new();
    let mut value = None;
    for _ in 0..MOST_ROUNDS {
        let spanned = Spanned::new(ROOT, tree.clone());
        let error = match T::deserialize(toml::de::Deserializer::from(spanned)) {
            Ok(read) => {
                value = Some(read);
                break;
            }
            Err(error) => error,
        };
        let span = error.span().unwrap_or(ROOT);
        let problem = wording::problem(source, span.clone(), error.message());
        // A table and the only list that it is in can have the same place, so that one mistake is
        // found twice.
        if !found.contains(&problem) {
            found.push(problem);
        }
        match cut_from_table(&mut tree, &ROOT, &span) {
            Some(cut) => damage.0.extend(cut.damaged),
            None => break,
        }
    }
    problems.extend(found);
    value
}

/// The effect of cutting something out of a tree.
struct Cut {
    /// The tables and lists that are incomplete now.
    damaged: Vec<Span>,
    /// Whether the innermost table or list is empty now, so that it looks to the one around it as
    /// if it had never been written.
    emptied: bool,
}

impl Cut {
    /// Continues with the table or list around the cut.
    fn within(mut self, around: &Span) -> Self {
        if self.emptied {
            self.damaged.push(around.clone());
            self.emptied = false;
        }
        self
    }
}

/// Cuts the entry whose key or value is at `target`, the innermost if there are several.
fn cut_from_table(table: &mut DeTable<'_>, own: &Span, target: &Span) -> Option<Cut> {
    for (_, value) in table.iter_mut() {
        if let Some(cut) = cut_from_value(value, target) {
            return Some(cut.within(own));
        }
    }
    let is_target = |key: &Span, value: &Span| key == target || value == target;
    let (key, _) = table
        .iter()
        .find(|(key, value)| is_target(&key.span(), &value.span()))?;
    let key = key.get_ref().to_string();
    table.remove(key.as_str());
    Some(Cut {
        damaged: vec![own.clone()],
        emptied: table.is_empty(),
    })
}

fn cut_from_value(value: &mut Spanned<DeValue<'_>>, target: &Span) -> Option<Cut> {
    let own = value.span();
    match value.get_mut() {
        DeValue::Table(table) => cut_from_table(table, &own, target),
        DeValue::Array(array) => {
            let inner = array
                .iter_mut()
                .find_map(|element| cut_from_value(element, target));
            if let Some(cut) = inner {
                return Some(cut.within(&own));
            }
            let index = array.iter().position(|element| element.span() == *target)?;
            *array = without(array, index);
            Some(Cut {
                damaged: vec![own],
                emptied: array.is_empty(),
            })
        }
        _ => None,
    }
}

/// The array without one element, since `DeArray` has no method to remove one.
fn without<'i>(array: &toml::de::DeArray<'i>, index: usize) -> toml::de::DeArray<'i> {
    let kept = array.iter().enumerate().filter(|(i, _)| *i != index);
    kept.map(|(_, element)| element.clone()).collect()
}

#[cfg(test)]
mod tests;

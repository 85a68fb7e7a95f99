//! Puts serde's messages into plain words.

use std::sync::Arc;

use crate::diag::{Problem, Source, Span, did_you_mean, suggest};

/// Names of fields in earlier versions, and what these fields are called now.
const RENAMED: [(&str, &str); 3] = [
    ("kept", "no_lost_updates"),
    ("asks", "requests"),
    ("audit", "anti_entropy"),
];

/// The problem that a message of serde describes.
pub(super) fn problem(source: &Arc<Source>, span: Span, message: &str) -> Problem {
    if let Some(rest) = message.strip_prefix("unknown field `") {
        return unknown_field(source, span, rest);
    }
    if let Some(rest) = message.strip_prefix("unknown variant `") {
        return unknown_word(source, span, rest);
    }
    let mistyped = message
        .strip_prefix("invalid type: ")
        .or_else(|| message.strip_prefix("invalid value: "))
        .and_then(|rest| rest.rsplit_once(", expected "));
    let text = match mistyped {
        Some((found, expected)) => {
            let found = match date(source, &span) {
                Some(date) if found == "map" => format!("the date {date}"),
                _ => met(found),
            };
            format!("expected {}, found {found}", wanted(expected))
        }
        None => message.to_owned(),
    };
    let help = header_help(
        source,
        &span,
        mistyped.map(|(_, expected)| wanted(expected)),
    );
    let needs_quotes = mistyped.is_some_and(|(found, expected)| {
        let is_number = found.starts_with("integer") || found.starts_with("floating");
        expected == "a string" && (is_number || date(source, &span).is_some())
    });
    let help = help.or(needs_quotes.then_some("write it in quotes"));
    let mut problem = Problem::error(source, span, text);
    problem.help = help.map(str::to_owned);
    problem
}

/// A date or a time that is written without quotes, which serde takes for a table.
fn date<'a>(source: &'a Source, span: &Span) -> Option<&'a str> {
    let written = source.text.get(span.clone())?;
    let mut beginning = written.bytes().take_while(|byte| !byte.is_ascii_digit());
    let is_date = beginning.next().is_none() && written.contains(['-', ':']);
    is_date.then_some(written)
}

/// Help for a table's header with the wrong number of brackets.
fn header_help(source: &Source, span: &Span, wanted: Option<&str>) -> Option<&'static str> {
    let written = source.text.get(span.clone())?;
    let header = source.text[..span.start].ends_with(['\n', '\r']) || span.start == 0;
    match wanted? {
        "a list" if header && written.starts_with('[') => {
            Some("a header in double brackets, `[[…]]`, begins one element of a list")
        }
        "a table" if header && written.starts_with("[[") => {
            Some("there is only one such table: write its header in single brackets, `[…]`")
        }
        _ => None,
    }
}

/// `rest` is what follows the opening backquote in ``unknown field `x`, expected one of `a`, `b`
/// ``.
fn unknown_field(source: &Arc<Source>, span: Span, rest: &str) -> Problem {
    let (name, expected) = rest
        .split_once("`, expected ")
        .or_else(|| rest.split_once("`, there are "))
        .unwrap_or((rest, ""));
    let fields = expected.split('`').skip(1).step_by(2);
    let problem = Problem::error(source, span, format!("unknown field `{name}`"));
    let renamed = RENAMED.iter().find(|(old, _)| *old == name);
    if let Some((_, new)) = renamed.filter(|(_, new)| fields.clone().any(|field| field == *new)) {
        return problem.help(format!("it is called `{new}` now"));
    }
    problem.help(did_you_mean(name, "fields here", fields))
}

/// `rest` is what follows the opening backquote in ``unknown variant `x`, expected one of `a`, `b`
/// ``.
fn unknown_word(source: &Arc<Source>, span: Span, rest: &str) -> Problem {
    let (word, expected) = rest.split_once("`, expected ").unwrap_or((rest, ""));
    let words = expected.split('`').skip(1).step_by(2);
    let all: Vec<_> = words.clone().map(|word| format!("`{word}`")).collect();
    let message = format!("unknown `{word}`: one of {}", all.join(", "));
    let problem = Problem::error(source, span, message);
    match suggest(word, words) {
        Some(close) => problem.help(format!("did you mean `{close}`?")),
        None => problem,
    }
}

/// What a file should have, without Rust's names.
fn wanted(expected: &str) -> &str {
    match expected {
        "a sequence" | "sequence" => "a list",
        "a map" | "map" => "a table",
        "a boolean" => "`true` or `false`",
        "u64" | "u32" | "u16" => "a whole number, not negative and not too large",
        "i64" => "a whole number",
        other if other.starts_with("struct ") => "a table",
        other => other,
    }
}

/// What a file has, without Rust's names.
fn met(found: &str) -> String {
    match found.split_once(' ') {
        None if found == "sequence" => "a list".to_owned(),
        None if found == "map" => "a table".to_owned(),
        Some(("floating", rest)) => format!("the number {}", rest.trim_start_matches("point ")),
        Some(_) => format!("the {found}"),
        None => found.to_owned(),
    }
}

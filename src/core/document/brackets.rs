//! Finds the bracket of a TOML file that was never closed. The parser takes what follows for a part
//! of the list, and reports that instead.

use std::sync::Arc;

use crate::diag::{Problem, Source};

/// The first list or inline table within which a line begins as only a new table or field does.
pub(super) fn unclosed(source: &Arc<Source>) -> Option<Problem> {
    let text = source.text.as_str();
    let mut open: Vec<usize> = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        if at == 0 || text[..at].ends_with('\n') {
            let line = rest.lines().next().unwrap_or_default();
            let in_list = open.iter().all(|&at| text[at..].starts_with('['));
            if let Some(&bracket) = open.last()
                && (is_table(line) || in_list && is_field(line))
            {
                return Some(problem(source, bracket, at));
            }
        }
        match rest.as_bytes()[0] {
            b'[' | b'{' => open.push(at),
            b']' | b'}' => drop(open.pop()),
            _ => {}
        }
        at += token(rest)?;
    }
    None
}

/// The length of the first token of a text: a string, a comment, or else one character. `None` for
/// a string that does not end.
fn token(text: &str) -> Option<usize> {
    let first = text.chars().next()?;
    match first {
        '#' => Some(text.find('\n').unwrap_or(text.len())),
        '"' | '\'' => {
            let long = first.to_string().repeat(3);
            let (end, lines) = if text.starts_with(&long) {
                (long.as_str(), true)
            } else {
                (&long[..1], false)
            };
            let mut at = end.len();
            while !text.get(at..)?.starts_with(end) {
                let next = text[at..].chars().next()?;
                if next == '\n' && !lines {
                    return None;
                }
                at += next.len_utf8();
                if next == '\\' && first == '"' {
                    at += text[at..].chars().next()?.len_utf8();
                }
            }
            Some(at + end.len())
        }
        _ => Some(first.len_utf8()),
    }
}

fn problem(source: &Arc<Source>, bracket: usize, before: usize) -> Problem {
    let (what, end) = if source.text[bracket..].starts_with('[') {
        ("list", ']')
    } else {
        ("table", '}')
    };
    let line = source.line_column(before).0;
    let message = format!("this {what} is not closed before line {line}");
    Problem::error(source, bracket..bracket + 1, message)
        .help(format!("write `{end}` where it ends"))
}

/// Whether a line is the header of a table. A header has its line for itself; a list within a list
/// is indented, or continues after its brackets.
fn is_table(line: &str) -> bool {
    let code = line.split('#').next().unwrap_or_default().trim_end();
    let name = code
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    name.is_some_and(|name| is_name(name.trim_matches(['[', ']']).trim()))
}

fn is_field(line: &str) -> bool {
    let name = line.split_once('=').map(|(name, _)| name.trim());
    name.is_some_and(is_name)
}

fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c))
}

#[cfg(test)]
mod tests {
    use super::unclosed;
    use crate::diag::Source;

    #[test]
    fn what_was_never_closed_is_found_by_what_cannot_be_in_it() {
        let told = |text: &str| {
            unclosed(&Source::new("a.toml", text)).map(|problem| {
                let (line, column) = problem.line_column().expect("a place");
                format!("{line}:{column} {}", problem.message)
            })
        };
        let list =
            |at: &str, line: u32| Some(format!("{at} this list is not closed before line {line}"));
        assert_eq!(told("a = [1, 2\nb = 3\n"), list("1:5", 2));
        assert_eq!(told("a = [\n  [1, 2],\n\n[[b]]\nc = 1\n"), list("1:5", 4));
        assert_eq!(
            told("a = [ # ]\n  \"]\", ']', { b = 1 },\n[c] # d\n"),
            list("1:5", 3)
        );
        assert_eq!(
            told("a = { b = 1,\n[c]\n").as_deref(),
            Some("1:5 this table is not closed before line 2")
        );
        for whole in [
            "a = [\n  [1],\n[2],\n]\nb = { c = 1,\nd = 2 }\n[e]\n",
            "a = \"\"\"\n[\n\\\"\"\"\"\n[b]\nc = \"[\\\"\"\n[d]\n",
            "a = [1\n",
            "",
        ] {
            assert_eq!(told(whole), None, "{whole}");
        }
    }
}

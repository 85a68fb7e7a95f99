//! Problems with what a user wrote, each reported with its file, line, column and text.
//!
//! Everything that reads a file collects [`Problems`] instead of stopping at the first one, so that
//! a user fixes them in one go. Nothing here reads a file but [`Source::read`].

use std::fmt;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use crate::files;

/// A place in a [`Source`], in bytes.
pub type Span = Range<usize>;

/// A file's text, and the name that the user gave the file.
#[derive(Debug, PartialEq, Eq)]
pub struct Source {
    /// The path as the user typed it, or another name to show.
    pub name: String,
    /// The text, without a byte-order mark, its lines ended by LF alone.
    pub text: String,
}

impl Source {
    /// A source of the given name and text. A byte-order mark is dropped here, so that it counts
    /// in no column.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Arc<Self> {
        let mut text = text.into();
        if text.starts_with('\u{feff}') {
            text.drain(..'\u{feff}'.len_utf8());
        }
        // A file means the same wherever it was checked out, so line endings become LF even in a
        // text of several lines. Only an escape puts CR LF into a text.
        if text.contains("\r\n") {
            text = text.replace("\r\n", "\n");
        }
        let name = name.into();
        Arc::new(Self { name, text })
    }

    /// Reads a file, or standard input (`-`). The error names the path, and has no place.
    pub fn read(path: &Path) -> Result<Arc<Self>, Box<Problem>> {
        let name = path.display().to_string();
        let bytes = files::read(path).map_err(|e| Box::new(Problem::unreadable(&name, &e)))?;
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Self::new(name, text)),
            Err(e) => {
                let good = e.utf8_error().valid_up_to();
                let message = format!("`{name}` is not UTF-8 text (at byte {good})");
                Err(Box::new(Problem::without_place(message)))
            }
        }
    }

    /// The line and column of a byte, both counted from 1, columns in characters as rustc does.
    pub fn line_column(&self, byte: usize) -> (usize, usize) {
        let before = &self.text[..self.text.floor_char_boundary(byte)];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = before.matches('\n').count() + 1;
        (line, before[line_start..].chars().count() + 1)
    }

    /// The nearest span that lies within the text and cuts no character.
    fn fit(&self, span: &Span) -> Span {
        let start = self.text.floor_char_boundary(span.start);
        let end = self.text.ceil_char_boundary(span.end).max(start);
        start..end
    }
}

/// The severity of a [`Problem`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The file can't be used.
    Error,
    /// The file can be used, but probably says something that its author didn't mean.
    Warning,
}

/// One mistake in what a user wrote, and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Whether the problem is an error or a warning.
    pub severity: Severity,
    /// What is wrong: one line, in lower case, without a full stop.
    pub message: String,
    /// The file that it is in; `None` outside files.
    pub source: Option<Arc<Source>>,
    /// The offending text within the source.
    pub span: Option<Span>,
    /// A few words beside the offending text.
    pub label: Option<String>,
    /// Another place in the same source that the problem is about, with a few words.
    pub also: Option<(Span, String)>,
    /// How to solve the problem.
    pub help: Option<String>,
}

impl Problem {
    /// An error at a place.
    pub fn error(source: &Arc<Source>, span: Span, message: impl Into<String>) -> Self {
        Self {
            source: Some(Arc::clone(source)),
            span: Some(span),
            ..Self::without_place(message)
        }
    }

    /// A warning at a place.
    pub fn warning(source: &Arc<Source>, span: Span, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(source, span, message)
        }
    }

    /// An error outside files: a bad name on the command line, or a file that can't be read.
    pub fn without_place(message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            message: message.into(),
            source: None,
            span: None,
            label: None,
            also: None,
            help: None,
        }
    }

    /// The file `name` can't be read.
    fn unreadable(name: &str, error: &io::Error) -> Self {
        let reason = match error.kind() {
            io::ErrorKind::NotFound => "no such file".to_owned(),
            io::ErrorKind::IsADirectory => "it is a directory".to_owned(),
            _ => error.to_string(),
        };
        Self::without_place(format!("can't read `{name}`: {reason}"))
    }

    /// Adds a few words beside the offending text.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Adds another place in the same source, with a few words.
    #[must_use]
    pub fn also(mut self, span: Span, label: impl Into<String>) -> Self {
        self.also = Some((span, label.into()));
        self
    }

    /// Adds how to solve the problem.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The line and column of the offending text, both from 1.
    pub fn line_column(&self) -> Option<(usize, usize)> {
        let (source, span) = (self.source.as_ref()?, self.span.as_ref()?);
        Some(source.line_column(span.start))
    }

    /// Sorts by file, then by place; a problem without a place comes first.
    fn order(&self) -> (Option<&str>, Option<usize>) {
        let name = self.source.as_ref().map(|source| source.name.as_str());
        (name, self.span.as_ref().map(|span| span.start))
    }

    fn group(&self) -> Group<'_> {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let mut group = Group::with_title(level.primary_title(&self.message));
        if let (Some(source), Some(span)) = (&self.source, &self.span) {
            group = group.element(self.snippet(source, span));
        }
        if let Some(help) = &self.help {
            group = group.element(Level::HELP.message(help));
        }
        group
    }

    fn snippet<'a>(
        &'a self,
        source: &'a Source,
        span: &Span,
    ) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
        let here = AnnotationKind::Primary
            .span(source.fit(span))
            .label(self.label.as_deref());
        let there = self.also.as_ref().map(|(span, label)| {
            AnnotationKind::Context
                .span(source.fit(span))
                .label(label.as_str())
        });
        Snippet::source(&source.text)
            .path(&source.name)
            .annotation(here)
            .annotations(there)
    }
}

/// All problems found, in any order; they are sorted by file and place when they are printed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// An empty list of problems.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a problem.
    pub fn push(&mut self, problem: Problem) {
        self.0.push(problem);
    }

    /// Whether there is no problem at all, not even a warning.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The number of problems, warnings included.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether any problem is an error.
    pub fn has_errors(&self) -> bool {
        self.0.iter().any(|p| p.severity == Severity::Error)
    }

    /// The problems by file and place.
    pub fn sorted(&self) -> Vec<&Problem> {
        let mut sorted: Vec<_> = self.0.iter().collect();
        sorted.sort_by_key(|problem| problem.order());
        sorted
    }

    /// The value and the warnings, or all problems if one is an error or there is no value.
    pub fn accept<T>(self, value: Option<T>) -> Result<(T, Problems), Problems> {
        match value {
            Some(value) if !self.has_errors() => Ok((value, self)),
            _ => Err(self),
        }
    }

    /// All problems as text in the form of rustc: message, place, the offending text underlined,
    /// help. The text ends in a line feed unless it is empty.
    pub fn render(&self, color: bool) -> String {
        let renderer = if color {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        let blocks: Vec<_> = self
            .sorted()
            .iter()
            .map(|problem| renderer.render(&[problem.group()]) + "\n")
            .collect();
        blocks.join("\n")
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

impl Extend<Problem> for Problems {
    fn extend<I: IntoIterator<Item = Problem>>(&mut self, problems: I) {
        self.0.extend(problems);
    }
}

impl IntoIterator for Problems {
    type Item = Problem;
    type IntoIter = std::vec::IntoIter<Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.render(false).trim_end())
    }
}

/// Shows the same as `Display`: a failed `unwrap` should show the problems of a file, and not the
/// whole file.
impl fmt::Debug for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The panic message of `unwrap` has begun a line.
        write!(f, "\n{self}")
    }
}

impl std::error::Error for Problems {}

/// The candidate that was probably meant, if one is close: equal but for case, or with at most one
/// letter in three wrong (two swapped letters count as one). Of equally close candidates, the first
/// one wins.
pub fn suggest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = name.to_lowercase();
    let allowed = name.chars().count() / 3;
    candidates
        .into_iter()
        .map(|candidate| {
            let distance = strsim::osa_distance(&wanted, &candidate.to_lowercase());
            (distance, candidate)
        })
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Help for an unknown name: the close candidate, or else all candidates. `what` is a plural, such
/// as `servers`.
pub fn did_you_mean<'a, I>(name: &str, what: &str, candidates: I) -> String
where
    I: IntoIterator<Item = &'a str>,
    I::IntoIter: Clone,
{
    let candidates = candidates.into_iter();
    if let Some(close) = suggest(name, candidates.clone()) {
        return format!("did you mean `{close}`?");
    }
    let all: Vec<_> = candidates.map(|name| format!("`{name}`")).collect();
    match all.as_slice() {
        [] => format!("there are no {what}"),
        all => format!("the {what} are {}", all.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source() -> Arc<Source> {
        Source::new(
            "dir/a.toml",
            "\u{feff}title = \"é\" # ü\r\nherd = \"rily\"\r\n",
        )
    }

    #[test]
    fn a_problem_shows_its_place_text_and_help() {
        let span = source().text.find("\"rily\"").unwrap();
        let problem = Problem::error(&source(), span..span + 6, "unknown herd `rily`")
            .label("no such herd")
            .help("did you mean `riley`?");
        let text = Problems::from(problem).render(false);
        let wanted = "\
error: unknown herd `rily`
 --> dir/a.toml:2:8
  |
2 | herd = \"rily\"
  |        ^^^^^^ no such herd
  |
  = help: did you mean `riley`?
";
        assert_eq!(text, wanted);
    }

    #[test]
    fn columns_count_characters_and_neither_bytes_nor_the_byte_order_mark() {
        let at = source().text.find('#').unwrap();
        assert_eq!(source().line_column(at), (1, 13));
        let text = Problems::from(Problem::error(&source(), at..at + 4, "x")).to_string();
        assert!(text.contains("--> dir/a.toml:1:13"), "{text}");
    }

    #[test]
    fn problems_are_sorted_by_file_and_place() {
        let mut problems = Problems::new();
        let other = Source::new("b.toml", "x");
        problems.push(Problem::error(&source(), 5..6, "third"));
        problems.push(Problem::warning(&other, 0..1, "first"));
        problems.push(Problem::error(&source(), 2..3, "second"));
        problems.push(Problem::without_place("zeroth"));
        let messages: Vec<_> = problems
            .sorted()
            .iter()
            .map(|p| p.message.clone())
            .collect();
        assert_eq!(messages, ["zeroth", "first", "second", "third"]);
        assert!(problems.has_errors());
    }

    #[test]
    fn a_span_outside_the_text_or_inside_a_character_does_no_harm() {
        let inside = source().text.find('é').unwrap() + 1;
        for span in [inside..inside, 1000..2000, inside..1] {
            let _ = Problems::from(Problem::error(&source(), span, "x")).render(true);
        }
    }

    #[test]
    fn a_missing_file_is_named() {
        let problem = Source::read(Path::new("no/such.toml")).unwrap_err();
        assert_eq!(problem.message, "can't read `no/such.toml`: no such file");
        assert_eq!(problem.line_column(), None);
    }

    #[test]
    fn only_close_names_are_suggested() {
        let servers = ["Riley", "Jaquez", "Juzang", "Campbell", "Bernard"];
        assert_eq!(suggest("Jaqeuz", servers), Some("Jaquez"));
        assert_eq!(suggest("CAMPBELL", servers), Some("Campbell"));
        assert_eq!(suggest("Rily", servers), Some("Riley"));
        assert_eq!(suggest("Smith", servers), None);
        assert_eq!(suggest("", servers), None);
        assert_eq!(
            did_you_mean("X", "servers", ["A", "B"]),
            "the servers are `A`, `B`"
        );
    }
}

//! Annotations for builds on GitHub: failures in the form that GitHub's runner reads from a step's
//! output, to show them beside the lines of a file
//! (<https://docs.github.com/actions/reference/workflow-commands-for-github-actions>).

use std::fmt::Write as _;
use std::path::Path;

use super::stderr;
use crate::diag::{Problem, Problems, Severity};
use crate::report::Failed;

/// Whether this process runs in a build on GitHub.
pub(super) fn are_wanted() -> bool {
    std::env::var_os("GITHUB_ACTIONS").is_some_and(|value| value == "true")
}

/// Reports the failed expectations of a scenario file, each at its line.
pub(super) fn tell(file: &Path, failed: &[Failed<'_>]) {
    for failed in failed {
        stderr::warning(&annotation(file, failed));
    }
}

/// Reports problems of files, each at its line.
pub(super) fn tell_problems(problems: &Problems) {
    for problem in problems.sorted() {
        if let Some(text) = of_problem(problem) {
            stderr::warning(&text);
        }
    }
}

fn of_problem(problem: &Problem) -> Option<String> {
    let kind = match problem.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let (line, column) = problem.line_column()?;
    let file = property(&problem.source.as_ref()?.name);
    let message = data(&problem.message);
    Some(format!(
        "::{kind} file={file},line={line},col={column}::{message}"
    ))
}

fn annotation(file: &Path, failed: &Failed<'_>) -> String {
    let judgement = failed.judgement;
    let mut properties = format!("file={}", property(&file.display().to_string()));
    let place = judgement
        .place
        .as_deref()
        .and_then(|place| place.split_once(':'));
    if let Some((line, column)) = place {
        let _ = write!(properties, ",line={line},col={column}");
    }
    let _ = write!(properties, ",title={}", property(&judgement.about));
    let (expected, actual) = (&judgement.expected, &failed.actual);
    let message = data(&format!("expected {expected}, got {actual}"));
    format!("::error {properties}::{message}")
}

/// Escapes the message of a workflow command: a line break would end the command, and `%` begins an
/// escape.
fn data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

/// Escapes a property of a workflow command, which a comma or a colon would end, too.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::Judgement;

    #[test]
    fn an_annotation_is_one_line_and_its_properties_end_where_they_end() {
        let judgement = Judgement {
            note: None,
            about: "kiwi: hops to Bernard, 100%".to_owned(),
            passed: false,
            expected: "1".to_owned(),
            actual: "2".to_owned(),
            place: Some("7:3".to_owned()),
            invariant: None,
            events: Vec::new(),
        };
        let failed = Failed {
            judgement: &judgement,
            actual: "2\nbecause".to_owned(),
            lines: Vec::new(),
        };
        assert_eq!(
            annotation(Path::new("a,b.toml"), &failed),
            "::error file=a%2Cb.toml,line=7,col=3,title=kiwi%3A hops to Bernard%2C 100%25::expected 1, got 2%0Abecause"
        );
    }
}

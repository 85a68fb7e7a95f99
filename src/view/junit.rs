//! Runs as a JUnit file, which most build servers read: a suite for each run, a test case for each
//! expectation.
//!
//! JUnit has no official schema; this keeps to what build servers agree on
//! (<https://github.com/testmoapp/junitxml>). It contains no wall time, so the same runs give the
//! same file.

use std::fmt::Write as _;

use super::markup::text;
use crate::report;
use crate::seed::Recipe;
use crate::trace::Trace;

/// One run in a JUnit file.
#[derive(Clone, Debug)]
pub struct Suite {
    name: String,
    file: String,
    seed: Recipe,
    cases: Vec<Case>,
}

#[derive(Clone, Debug)]
struct Case {
    about: String,
    line: Option<String>,
    /// The short message and the full lines of a failure; `None` if the expectation passed.
    failure: Option<(String, String)>,
}

impl Suite {
    /// The suite of a run of the scenario file `file`.
    pub fn of(trace: &Trace, file: &str) -> Self {
        Self {
            name: trace.header.scenario.clone(),
            file: file.to_owned(),
            seed: trace.header.seed.clone(),
            cases: cases(trace),
        }
    }

    fn failures(&self) -> usize {
        self.cases
            .iter()
            .filter(|case| case.failure.is_some())
            .count()
    }
}

fn cases(trace: &Trace) -> Vec<Case> {
    let mut failed = report::failed(trace).into_iter();
    let cases = trace.judgements.iter().map(|judgement| {
        let failure = (!judgement.passed).then(|| failed.next()).flatten();
        let line = judgement.place.as_deref();
        let line = line.and_then(|place| place.split(':').next());
        Case {
            about: judgement.about.clone(),
            line: line.map(str::to_owned),
            failure: failure.map(|failed| {
                let message = format!("expected {}, got {}", judgement.expected, failed.actual);
                (message, failed.lines.join("\n"))
            }),
        }
    });
    cases.collect()
}

/// A JUnit file of these runs, in this order.
pub fn junit(suites: &[Suite]) -> String {
    let tests: usize = suites.iter().map(|suite| suite.cases.len()).sum();
    let failures: usize = suites.iter().map(Suite::failures).sum();
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(
        xml,
        "<testsuites tests=\"{tests}\" failures=\"{failures}\">"
    );
    for suite in suites {
        let (name, file) = (text(&suite.name), text(&suite.file));
        let (tests, failures) = (suite.cases.len(), suite.failures());
        let _ = writeln!(
            xml,
            "  <testsuite name=\"{name}\" file=\"{file}\" tests=\"{tests}\" failures=\"{failures}\">\n    <properties><property \
             name=\"seed\" value=\"{}\"/></properties>",
            suite.seed
        );
        for case in &suite.cases {
            let about = text(&case.about);
            let line = case.line.as_ref();
            let line = line.map_or_else(String::new, |line| format!(" line=\"{line}\""));
            let begin =
                format!("<testcase classname=\"{name}\" name=\"{about}\" file=\"{file}\"{line}");
            match &case.failure {
                None => {
                    let _ = writeln!(xml, "    {begin}/>");
                }
                Some((message, at_length)) => {
                    let lines: Vec<String> = at_length.lines().map(text).collect();
                    let _ = writeln!(
                        xml,
                        "    {begin}>\n      <failure message=\"{}\">{}</failure>\n    </testcase>",
                        text(message),
                        lines.join("\n")
                    );
                }
            }
        }
        xml.push_str("  </testsuite>\n");
    }
    xml.push_str("</testsuites>\n");
    xml
}

//! The report card: what was judged, and how.

use std::fmt;

use serde::Serialize;

/// The part of the protocol that a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Group {
    /// The fields of lines and answers.
    Formats,
    /// What separates fields and lines.
    WhiteSpace,
    /// Ranges of numbers, and lengths.
    Limits,
    /// What is no command.
    UnknownLines,
    /// Queries about places.
    Whatsat,
    /// Lines on connections.
    Streams,
    /// What servers tell each other.
    Herd,
    /// Bad clients, and bad days.
    Robustness,
    /// Whole scenarios, each as one rule.
    Scenarios,
}

impl Group {
    /// All groups, in the order of the card.
    pub const ALL: [Self; 9] = [
        Self::Formats,
        Self::WhiteSpace,
        Self::Limits,
        Self::UnknownLines,
        Self::Whatsat,
        Self::Streams,
        Self::Herd,
        Self::Robustness,
        Self::Scenarios,
    ];
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Formats => "formats",
            Self::WhiteSpace => "white space",
            Self::Limits => "limits",
            Self::UnknownLines => "unknown lines",
            Self::Whatsat => "WHATSAT",
            Self::Streams => "streams",
            Self::Herd => "the herd",
            Self::Robustness => "robustness",
            Self::Scenarios => "scenarios",
        })
    }
}

/// Whether a rule counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Weight {
    /// The statement of the project says so.
    Must,
    /// The statement is silent, and this protocol decides: shown, and not counted.
    Taste,
}

/// A rule of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Rule {
    /// Its name, in words joined by hyphens.
    pub id: &'static str,
    /// The part of the protocol that it is about.
    pub group: Group,
    /// Whether it counts.
    pub weight: Weight,
    /// What a server must do.
    pub rule: &'static str,
    /// What usually causes a failure.
    pub hint: &'static str,
}

/// What shows that a server does not follow a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// The server that was spoken to; empty if there was none in particular.
    pub server: String,
    /// What was sent. Bytes that are no text are written as `\xNN`, a line feed as `\n`.
    pub sent: String,
    /// What came, written likewise.
    pub came: String,
    /// What was wanted instead.
    pub wanted: String,
}

/// The outcome of a case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", rename_all = "kebab-case")]
pub enum Verdict {
    /// The servers follow the rule, as far as this case can see.
    Passed,
    /// They do not.
    Failed(Failure),
    /// Nothing can be said.
    NotEvaluated {
        /// Why not.
        reason: String,
    },
}

/// A rule and its verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Result {
    /// The rule.
    #[serde(flatten)]
    pub rule: Rule,
    /// What came out.
    #[serde(flatten)]
    pub verdict: Verdict,
}

/// Counts of verdicts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Counts {
    pub(super) passed: usize,
    pub(super) failed: usize,
    pub(super) not_evaluated: usize,
}

/// The report card of a herd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Card {
    /// The herd's name.
    pub herd: String,
    /// What was checked, in words.
    pub subject: String,
    /// All verdicts, in the order of the rules.
    pub results: Vec<Result>,
}

/// The JSON of a card.
#[derive(Serialize)]
struct Json<'a> {
    herd: &'a str,
    subject: &'a str,
    passed: bool,
    must: Counts,
    taste: Counts,
    rules: &'a [Result],
}

impl Card {
    pub(super) fn counts(&self, weight: Weight) -> Counts {
        let mut counts = Counts::default();
        let results = self.results.iter();
        for result in results.filter(|result| result.rule.weight == weight) {
            match result.verdict {
                Verdict::Passed => counts.passed += 1,
                Verdict::Failed(_) => counts.failed += 1,
                Verdict::NotEvaluated { .. } => counts.not_evaluated += 1,
            }
        }
        counts
    }

    /// Whether no rule that counts has failed.
    pub fn passed(&self) -> bool {
        self.counts(Weight::Must).failed == 0
    }

    /// The score in words: `41 of 44 rules, 2 not evaluated`.
    pub fn score(&self) -> String {
        let counts = self.counts(Weight::Must);
        let judged = counts.passed + counts.failed;
        let text = format!("{} of {judged} rules", counts.passed);
        match counts.not_evaluated {
            0 => text,
            number => format!("{text}, {number} not evaluated"),
        }
    }

    /// The ids of the rules that failed, those of taste, too.
    pub fn failed(&self) -> impl Iterator<Item = &'static str> {
        let failed = self.results.iter();
        failed
            .filter(|result| matches!(result.verdict, Verdict::Failed(_)))
            .map(|result| result.rule.id)
    }

    /// The card as JSON, with a line feed at its end.
    pub fn json(&self) -> String {
        let json = Json {
            herd: &self.herd,
            subject: &self.subject,
            passed: self.passed(),
            must: self.counts(Weight::Must),
            taste: self.counts(Weight::Taste),
            rules: &self.results,
        };
        // These types have no map with other keys than texts, so this cannot fail.
        serde_json::to_string_pretty(&json).unwrap_or_default() + "\n"
    }
}

//! What must be answered to a line: a pattern, one of several, anything but one, or so many results.

use super::pattern::{Mismatch, Pattern};
use crate::protocol::{escape, visible};

/// What must be answered to a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// What looks like this.
    Pattern(Pattern),
    /// What looks like one of these.
    Any(Vec<Pattern>),
    /// Anything that does not look like this.
    Not(Pattern),
    /// The answer to a WHATSAT with this number of results.
    Results(u32),
}

impl From<Pattern> for Reply {
    fn from(pattern: Pattern) -> Self {
        Self::Pattern(pattern)
    }
}

impl Reply {
    fn patterns(&self) -> &[Pattern] {
        match self {
            Self::Pattern(pattern) | Self::Not(pattern) => std::slice::from_ref(pattern),
            Self::Any(patterns) => patterns,
            Self::Results(_) => &[],
        }
    }

    /// The reply to this client: with its name for `{client}`.
    #[must_use]
    pub fn for_client(&self, name: &str) -> Self {
        match self {
            Self::Pattern(pattern) => Self::Pattern(pattern.for_client(name)),
            Self::Any(patterns) => {
                Self::Any(patterns.iter().map(|one| one.for_client(name)).collect())
            }
            Self::Not(pattern) => Self::Not(pattern.for_client(name)),
            Self::Results(number) => Self::Results(*number),
        }
    }

    /// Whether it names the client by a placeholder.
    pub fn names_client(&self) -> bool {
        self.patterns().iter().any(Pattern::names_client)
    }

    /// Whether it speaks of the time that the line told.
    pub fn uses_sent(&self) -> bool {
        self.patterns().iter().any(Pattern::uses_sent)
    }

    /// Whether an answer is as expected; see [`Pattern::matches`].
    pub fn matches(&self, answer: &[u8], i: u32, sent: Option<&str>) -> bool {
        match self {
            Self::Pattern(pattern) => pattern.matches(answer, i, sent),
            Self::Any(patterns) => patterns.iter().any(|one| one.matches(answer, i, sent)),
            // Without a time, a pattern that speaks of it matches nothing, so nothing would be ruled out.
            Self::Not(pattern) if pattern.uses_sent() && sent.is_none() => false,
            Self::Not(pattern) => !pattern.matches(answer, i, sent),
            Self::Results(number) => results(answer) == Some(*number as usize),
        }
    }

    /// What is expected, in words.
    pub(crate) fn show(&self, i: u32, sent: Option<&str>) -> String {
        let show = |pattern: &Pattern| visible(&pattern.show(i, sent));
        match self {
            Self::Pattern(pattern) => show(pattern),
            Self::Any(patterns) => {
                let all: Vec<String> = patterns.iter().map(show).collect();
                format!("one of: {}", all.join("; "))
            }
            Self::Not(pattern) => format!("anything but: {}", show(pattern)),
            Self::Results(1) => "an answer with 1 result".to_owned(),
            Self::Results(number) => format!("an answer with {number} results"),
        }
    }

    /// Where an answer that is not as expected differs first, if there is one such place; see [`Pattern::difference`].
    pub(crate) fn difference(
        &self,
        answer: &[u8],
        i: u32,
        sent: Option<&str>,
    ) -> Option<(usize, Mismatch)> {
        match self {
            Self::Pattern(pattern) => Some(pattern.difference(answer, i, sent)),
            _ => None,
        }
    }

    /// What came in place of the expected, in words.
    pub(crate) fn show_answer(&self, answer: &[u8]) -> String {
        match (self, results(answer)) {
            (Self::Results(_), Some(1)) => "1 result".to_owned(),
            (Self::Results(_), Some(number)) => format!("{number} results"),
            _ => escape(answer),
        }
    }
}

/// How many results the answer to a WHATSAT has, if it has a body that says so.
fn results(answer: &[u8]) -> Option<usize> {
    let at = memchr::memchr(b'\n', answer)?;
    let body: serde_json::Value = serde_json::from_slice(&answer[at..]).ok()?;
    Some(body.get("results")?.as_array()?.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::parse(text).unwrap()
    }

    #[test]
    fn one_of_several_patterns_is_enough() {
        let reply = Reply::Any(vec![pattern("AT *"), pattern("? {client}")]).for_client("kiwi");
        assert!(reply.matches(b"AT Riley", 1, None));
        assert!(reply.matches(b"? kiwi", 1, None));
        assert!(!reply.matches(b"? plum", 1, None));
        assert_eq!(reply.show(1, None), "one of: AT *; ? kiwi");
    }

    #[test]
    fn anything_else_than_a_pattern_is_right_where_it_is_ruled_out() {
        let reply = Reply::Not(pattern("AT * {sent}"));
        assert!(reply.matches(b"AT Riley 6", 1, Some("5")));
        assert!(!reply.matches(b"AT Riley 5", 1, Some("5")));
        assert!(!reply.matches(b"AT Riley 5", 1, None), "no time is known");
    }

    #[test]
    fn results_are_counted_in_the_body_alone() {
        let reply = Reply::Results(2);
        assert!(reply.matches(b"AT Riley\n{\"results\": [1, {}]}", 1, None));
        assert!(!reply.matches(b"AT Riley\n{\"results\": [1]}", 1, None));
        assert!(!reply.matches(b"? WHATSAT kiwi 10 2", 1, None));
        assert_eq!(reply.show_answer(b"AT\n{\"results\": [1]}"), "1 result");
        assert_eq!(reply.show_answer(b"? x"), "? x");
    }
}

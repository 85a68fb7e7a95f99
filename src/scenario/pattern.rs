//! What a reply must look like.

use crate::protocol::escape;

use super::template::{CLIENT, Piece, TextError, hex_bytes, pieces, push_char, with_client};

/// What should have come where a reply is not as expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mismatch {
    /// These bytes, right there.
    Next(Vec<u8>),
    /// These bytes, there or later.
    Somewhere(Vec<u8>),
    /// Nothing more.
    End,
}

/// A pattern for a reply, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Bytes(Vec<u8>),
    /// Any bytes, even none.
    Any,
    /// The time that the line told.
    Sent,
    /// The number of the repetition.
    Index,
    /// The client's name, while nobody knows who is answered.
    Client,
}

impl Pattern {
    /// Reads a pattern: `*`, `\*`, `\\` and placeholders.
    pub fn parse(text: &str) -> Result<Self, TextError> {
        Self::of_pieces(text, pieces(text)?.into_iter())
    }

    /// Reads a pattern without placeholders: `*`, `\*` and `\\`; braces stand for themselves.
    pub fn plain(text: &str) -> Result<Self, TextError> {
        Self::of_pieces(text, text.chars().map(Piece::Char))
    }

    fn of_pieces<'t>(
        text: &str,
        mut pieces: impl Iterator<Item = Piece<'t>>,
    ) -> Result<Self, TextError> {
        let mut parts = Vec::new();
        let mut bytes = Vec::new();
        while let Some(piece) = pieces.next() {
            let part = match piece {
                Piece::Char('*') => Part::Any,
                Piece::Char('\\') => match pieces.next() {
                    Some(Piece::Char(c @ ('*' | '\\'))) => {
                        push_char(&mut bytes, c);
                        continue;
                    }
                    _ => return Err(TextError::BadEscape),
                },
                Piece::Char(c) => {
                    push_char(&mut bytes, c);
                    continue;
                }
                Piece::Placeholder(name) => placeholder(name)?,
            };
            parts.extend([Part::Bytes(std::mem::take(&mut bytes)), part]);
        }
        parts.push(Part::Bytes(bytes));
        Ok(Self {
            text: text.to_owned(),
            parts,
        })
    }

    /// The pattern as the file writes it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The pattern for what this client is answered: with its name for `{client}`.
    #[must_use]
    pub fn for_client(&self, name: &str) -> Self {
        Self::parse(&with_client(&self.text, name, r"*\")).unwrap_or_else(|_| self.clone())
    }

    /// Whether the pattern names the client by a placeholder.
    pub fn names_client(&self) -> bool {
        self.parts.contains(&Part::Client)
    }

    /// Whether the pattern speaks of the time that the line told.
    pub fn uses_sent(&self) -> bool {
        self.parts.contains(&Part::Sent)
    }

    /// Whether a reply is as expected, to the last byte: a final line feed counts. `i` is the
    /// number of the repetition, `sent` the time that the line told; without one, a pattern that
    /// speaks of it matches nothing.
    pub fn matches(&self, reply: &[u8], i: u32, sent: Option<&str>) -> bool {
        if self.uses_sent() && sent.is_none() {
            return false;
        }
        let stretches = self.between_stars(i, sent.unwrap_or_default());
        let Some((last, others)) = stretches.split_last() else {
            return reply.is_empty();
        };
        let Some((first, middle)) = others.split_first() else {
            return reply == last;
        };
        let Some(mut rest) = reply.strip_prefix(first.as_slice()) else {
            return false;
        };
        // The leftmost place is always good enough, as it leaves the most for what follows.
        for stretch in middle {
            match find(rest, stretch) {
                Some(at) => rest = &rest[at + stretch.len()..],
                None => return false,
            }
        }
        rest.ends_with(last)
    }

    /// Where a reply that does not match first is not as expected: how many bytes of it may be right, and what should have
    /// come behind them, or behind any more bytes where a star stands before it.
    pub fn difference(&self, reply: &[u8], i: u32, sent: Option<&str>) -> (usize, Mismatch) {
        let stretches = self.between_stars(i, sent.unwrap_or_default());
        let mut right = 0;
        for (number, stretch) in stretches.iter().enumerate() {
            let rest = &reply[right..];
            if number == 0 {
                let same = rest
                    .iter()
                    .zip(stretch)
                    .take_while(|(one, other)| one == other);
                let same = same.count();
                if same < stretch.len() {
                    return (same, Mismatch::Next(stretch[same..].to_vec()));
                }
                right = same;
            } else if let Some(at) = find(rest, stretch) {
                right += at + stretch.len();
            } else {
                return (right, Mismatch::Somewhere(stretch.clone()));
            }
        }
        (right, Mismatch::End)
    }

    /// The pattern with its placeholders filled in, to show beside what came instead.
    pub fn show(&self, i: u32, sent: Option<&str>) -> String {
        let sent = sent.unwrap_or("{sent}");
        let stretches = self.between_stars(i, sent);
        let shown: Vec<_> = stretches
            .iter()
            .map(|stretch| escape(stretch).replace("\\\\", "\\"))
            .collect();
        shown.join("*")
    }

    /// The bytes of a pattern without placeholders, with nothing for a star.
    pub(super) fn elements(&self) -> Vec<Option<u8>> {
        let stretches = self.between_stars(1, "");
        let stretches = stretches.into_iter().enumerate().flat_map(|(at, bytes)| {
            let star = (at > 0).then_some(None);
            star.into_iter().chain(bytes.into_iter().map(Some))
        });
        stretches.collect()
    }

    /// The bytes before, between and after the stars.
    fn between_stars(&self, i: u32, sent: &str) -> Vec<Vec<u8>> {
        let mut stretches = Vec::new();
        let mut bytes = Vec::new();
        for part in &self.parts {
            match part {
                Part::Bytes(text) => bytes.extend_from_slice(text),
                Part::Sent => bytes.extend_from_slice(sent.as_bytes()),
                Part::Client => bytes.extend_from_slice(CLIENT.as_bytes()),
                Part::Index => bytes.extend_from_slice(i.to_string().as_bytes()),
                Part::Any => stretches.push(std::mem::take(&mut bytes)),
            }
        }
        stretches.push(bytes);
        stretches
    }
}

fn placeholder(name: &str) -> Result<Part, TextError> {
    if let Some(digits) = name.strip_prefix("hex:") {
        return hex_bytes(name, digits).map(Part::Bytes);
    }
    match name {
        "sent" => Ok(Part::Sent),
        "i" => Ok(Part::Index),
        CLIENT => Ok(Part::Client),
        _ => Err(TextError::Unknown(
            name.to_owned(),
            "`{sent}`, `{i}`, `{client}` or `{hex:00ff}`",
        )),
    }
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    if wanted.is_empty() {
        return Some(0);
    }
    text.windows(wanted.len())
        .position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(pattern: &str, reply: &[u8]) -> bool {
        let pattern = Pattern::parse(pattern).unwrap();
        pattern.matches(reply, 2, Some("7.5"))
    }

    #[test]
    fn stars_match_any_bytes_even_none() {
        assert!(matches("AT Riley +* kiwi", b"AT Riley +0.5 kiwi"));
        assert!(matches("a*b*c", b"abc"));
        assert!(matches("a*bc", b"a\n\xffbc bc"));
        assert!(matches("*", b""));
        assert!(matches("**", b"x"));
        assert!(!matches("a*b", b"ab "));
        assert!(!matches("ab*ba", b"aba"));
        assert!(!matches("", b"x"));
    }

    #[test]
    fn stars_and_backslashes_can_be_meant() {
        assert!(matches(r"? a\*b\\", br"? a*b\"));
        assert!(!matches(r"a\*b", b"axb"));
        assert_eq!(Pattern::parse(r"a\n"), Err(TextError::BadEscape));
        assert_eq!(Pattern::parse(r"a\"), Err(TextError::BadEscape));
    }

    #[test]
    fn placeholders_are_filled_in() {
        assert!(matches("{i} {sent} {{}} {hex:ff}", b"2 7.5 {} \xff"));
        let pattern = Pattern::parse(r"{sent} * {i} \*").unwrap();
        assert_eq!(pattern.show(2, Some("7.5")), "7.5 * 2 *");
        assert!(!pattern.matches(b"{sent} x 2 *", 2, None));
        let unknown = Pattern::parse("{now}").unwrap_err().to_string();
        assert!(unknown.contains("use `{sent}`, `{i}`"), "{unknown}");
        let named = Pattern::parse(r"\* {client} *")
            .unwrap()
            .for_client(r"a*\{");
        assert!(named.matches(br"* a*\{ x", 1, None));
        assert!(!named.matches(br"* ab\{ x", 1, None));
    }

    #[test]
    fn bytes_that_are_no_text_are_shown_as_such() {
        let pattern = Pattern::parse(r"? {hex:00ff80c3} é\\ *").unwrap();
        assert_eq!(pattern.show(1, None), r"? \x00\xff\x80\xc3 é\ *");
    }

    #[test]
    fn the_first_difference_has_a_place() {
        let difference = |pattern: &str, reply: &[u8]| {
            Pattern::parse(pattern).unwrap().difference(reply, 1, None)
        };
        let next = |text: &str| Mismatch::Next(text.as_bytes().to_vec());
        let somewhere = |text: &str| Mismatch::Somewhere(text.as_bytes().to_vec());
        assert_eq!(difference("abcd", b"abxd"), (2, next("cd")));
        assert_eq!(difference("abcd", b"ab"), (2, next("cd")));
        assert_eq!(difference("ab", b"abc"), (2, Mismatch::End));
        assert_eq!(difference("a*b*c", b"a..b..d"), (4, somewhere("c")));
        assert_eq!(difference("a*bc", b"a.bc."), (4, Mismatch::End));
    }

    #[test]
    fn a_plain_pattern_takes_braces_as_they_are() {
        let pattern = Pattern::plain(r"? {now} *\*").unwrap();
        assert!(pattern.matches(b"? {now} or *", 1, None));
        assert!(!pattern.matches(b"? 7.5 *", 1, None));
        assert_eq!(Pattern::plain(r"\x"), Err(TextError::BadEscape));
    }

    /// The plainest way to match, in exponential time.
    fn naive(pattern: &[u8], text: &[u8]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some((b'*', rest)) => (0..=text.len()).any(|n| naive(rest, &text[n..])),
            Some((c, rest)) => text.first() == Some(c) && naive(rest, &text[1..]),
        }
    }

    proptest! {
        #[test]
        fn stars_mean_what_the_plainest_matcher_says(
            pattern in "[ab*]{0,8}", text in "[ab]{0,10}",
        ) {
            let wanted = naive(pattern.as_bytes(), text.as_bytes());
            prop_assert_eq!(matches(&pattern, text.as_bytes()), wanted);
        }

        #[test]
        fn no_pattern_panics(pattern in ".*", reply: Vec<u8>) {
            if let Ok(pattern) = Pattern::parse(&pattern) {
                let _ = pattern.matches(&reply, 1, None);
            }
        }
    }
}

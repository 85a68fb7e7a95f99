//! The lines that clients send, with placeholders, and what placeholders look like.

use std::time::Duration;

use thiserror::Error;

use crate::units::{DurationError, parse_duration};

/// A clock: nanoseconds since the POSIX epoch.
pub type EpochNs = u128;

const NANOS_PER_SECOND: u128 = 1_000_000_000;

/// The most letters that one `{fill:…}` stands for.
const MOST_FILL: usize = 1_000_000;

/// The placeholder for the client's name.
pub(super) const CLIENT: &str = "client";

/// Why a text with placeholders can't be used. The text of the placeholder is in the message.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TextError {
    /// There is no such placeholder; the second field lists those that there are.
    #[error("unknown placeholder `{{{0}}}`: use {1}, or `{{{{` for a brace")]
    Unknown(String, &'static str),
    /// A `{` without its `}`.
    #[error("`{{{0}` is never closed: write `{{{{` for a brace")]
    Unclosed(String),
    /// A `}` without its `{`.
    #[error("a `}}` without `{{`: write `}}}}` for a brace")]
    Unopened,
    /// The offset of a clock is no duration.
    #[error("bad placeholder `{{{0}}}`: {1}")]
    BadOffset(String, DurationError),
    /// The time between two pieces is no duration.
    #[error("bad placeholder `{{{0}}}`: {1}")]
    BadWait(String, DurationError),
    /// Raw bytes that are not written in pairs of hexadecimal digits.
    #[error(
        "bad placeholder `{{{0}}}`: bytes are pairs of hexadecimal digits, as in `{{hex:00ff}}`"
    )]
    BadHex(String),
    /// A run of letters that has no length, or too great a one.
    #[error(
        "bad placeholder `{{{0}}}`: it stands for 1 to {MOST_FILL} letters, as in `{{fill:5000}}`"
    )]
    BadFill(String),
    /// A line with a line feed in it, written or as `{hex:0a}`.
    #[error("a line can't hold a line feed: give a list of lines")]
    LineFeed,
    /// A backslash before anything but a star or a backslash.
    #[error(r"a backslash must stand before `*` or `\`: write `\\` for a backslash")]
    BadEscape,
}

/// A piece of a text with placeholders.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// A character that stands for itself.
    Char(char),
    /// What stands between braces.
    Placeholder(&'a str),
}

/// Takes a text apart. Braces may stand within a placeholder, as in `{now+{i}ms}`.
pub(super) fn pieces(text: &str) -> Result<Vec<Piece<'_>>, TextError> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("{{").or_else(|| rest.strip_prefix("}}")) {
            found.push(Piece::Char(next));
            rest = after;
        } else if next == '{' {
            let length = placeholder_length(&rest[1..])
                .ok_or_else(|| TextError::Unclosed(rest[1..].chars().take(16).collect()))?;
            found.push(Piece::Placeholder(&rest[1..=length]));
            rest = &rest[length + 2..];
        } else if next == '}' {
            return Err(TextError::Unopened);
        } else {
            found.push(Piece::Char(next));
            rest = &rest[next.len_utf8()..];
        }
    }
    Ok(found)
}

/// A text with `name` for each `{client}`, written so that it stands for itself; characters of
/// `special` get a backslash.
pub(super) fn with_client(text: &str, name: &str, special: &str) -> String {
    let mut filled = String::new();
    let push = |filled: &mut String, c: char| match c {
        '{' | '}' => filled.extend([c, c]),
        c => filled.push(c),
    };
    let Ok(pieces) = pieces(text) else {
        return text.to_owned();
    };
    for piece in pieces {
        match piece {
            Piece::Char(c) => push(&mut filled, c),
            Piece::Placeholder(CLIENT) => {
                for c in name.chars() {
                    if special.contains(c) {
                        push(&mut filled, '\\');
                    }
                    push(&mut filled, c);
                }
            }
            Piece::Placeholder(other) => {
                filled.push('{');
                filled.push_str(other);
                filled.push('}');
            }
        }
    }
    filled
}

/// How long the placeholder is whose opening brace stands before `text`.
fn placeholder_length(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => return Some(at),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// The bytes that `{hex:…}` stands for.
pub(super) fn hex_bytes(placeholder: &str, digits: &str) -> Result<Vec<u8>, TextError> {
    let bad = || TextError::BadHex(placeholder.to_owned());
    let pairs = digits.as_bytes().chunks(2);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(bad());
    }
    pairs
        .map(|pair| match std::str::from_utf8(pair) {
            Ok(pair) if pair.len() == 2 => u8::from_str_radix(pair, 16).map_err(|_| bad()),
            _ => Err(bad()),
        })
        .collect()
}

/// Adds a character in UTF-8.
pub(super) fn push_char(bytes: &mut Vec<u8>, c: char) {
    bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

/// A line to send, checked: it can be rendered for any repetition at any time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    text: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Bytes(Vec<u8>),
    /// The clock, which may be wrong.
    Now(Offset),
    /// The number of the repetition.
    Index,
    /// The client's name, while it is not known which client sends the line.
    Client,
    /// What follows is written this much later.
    Wait(Duration),
}

/// How wrong a clock is, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Offset {
    slow: bool,
    fixed: u128,
    /// This much more for each repetition.
    each: u128,
}

/// A line as sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The line, without a line feed at its end.
    pub bytes: Vec<u8>,
    /// The text of the first clock in it, if it has one.
    pub sent: Option<String>,
    /// Before which of its bytes the client waits, and for how long. The byte behind the last one is the line feed.
    pub waits: Vec<(usize, Duration)>,
}

impl Template {
    /// Reads a line with placeholders.
    pub fn parse(text: &str) -> Result<Self, TextError> {
        if text.contains('\n') {
            return Err(TextError::LineFeed);
        }
        let mut parts = Vec::new();
        let mut bytes = Vec::new();
        for piece in pieces(text)? {
            match piece {
                Piece::Char(c) => push_char(&mut bytes, c),
                Piece::Placeholder(name) => match placeholder(name)? {
                    Part::Bytes(raw) if raw.contains(&b'\n') => return Err(TextError::LineFeed),
                    Part::Bytes(raw) => bytes.extend(raw),
                    part => parts.extend([Part::Bytes(std::mem::take(&mut bytes)), part]),
                },
            }
        }
        parts.push(Part::Bytes(bytes));
        Ok(Self {
            text: text.to_owned(),
            parts,
        })
    }

    /// The line as the file writes it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The line as this client sends it: with its name for `{client}`.
    #[must_use]
    pub fn for_client(&self, name: &str) -> Self {
        Self::parse(&with_client(&self.text, name, "")).unwrap_or_else(|_| self.clone())
    }

    /// The line for the `i`-th repetition (from 1), sent when the client's clock shows `now`. A
    /// clock before the epoch shows the epoch.
    pub fn render(&self, i: u32, now: EpochNs) -> Rendered {
        let (mut bytes, mut waits) = (Vec::new(), Vec::new());
        let mut sent = None;
        for part in &self.parts {
            match part {
                Part::Bytes(text) => bytes.extend_from_slice(text),
                Part::Client => bytes.extend_from_slice(CLIENT.as_bytes()),
                Part::Index => bytes.extend_from_slice(i.to_string().as_bytes()),
                Part::Now(offset) => {
                    let time = posix_text(offset.applied(i, now));
                    bytes.extend_from_slice(time.as_bytes());
                    sent.get_or_insert(time);
                }
                Part::Wait(time) => waits.push((bytes.len(), *time)),
            }
        }
        Rendered { bytes, sent, waits }
    }

    /// How long the client waits before each further piece of the line.
    pub fn waits(&self) -> impl Iterator<Item = Duration> {
        self.parts.iter().filter_map(|part| match part {
            Part::Wait(time) => Some(*time),
            _ => None,
        })
    }

    /// Whether the line names its client by a placeholder.
    pub fn names_client(&self) -> bool {
        self.parts.contains(&Part::Client)
    }

    /// Whether the line tells a time.
    pub fn has_clock(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Now(_)))
    }

    /// The client's id, if the line in its `i`-th repetition is an IAMAT: four words, of
    /// which that is the first.
    pub fn update_id(&self, i: u32) -> Option<Vec<u8>> {
        let line = self.render(i, 0).bytes;
        let mut words = crate::protocol::fields(&line);
        let (command, id) = (words.next()?, words.next()?);
        (command == b"IAMAT" && words.count() == 2).then(|| id.to_vec())
    }
}

impl Offset {
    fn applied(self, i: u32, now: EpochNs) -> EpochNs {
        let amount = self
            .each
            .saturating_mul(i.into())
            .saturating_add(self.fixed);
        if self.slow {
            now.saturating_sub(amount)
        } else {
            now.saturating_add(amount)
        }
    }
}

/// POSIX seconds with nine decimals.
fn posix_text(time: EpochNs) -> String {
    format!("{}.{:09}", time / NANOS_PER_SECOND, time % NANOS_PER_SECOND)
}

fn placeholder(name: &str) -> Result<Part, TextError> {
    let no_offset = Offset {
        slow: false,
        fixed: 0,
        each: 0,
    };
    if name == "i" {
        Ok(Part::Index)
    } else if name == CLIENT {
        Ok(Part::Client)
    } else if name == "now" {
        Ok(Part::Now(no_offset))
    } else if let Some(digits) = name.strip_prefix("hex:") {
        hex_bytes(name, digits).map(Part::Bytes)
    } else if let Some(length) = name.strip_prefix("fill:") {
        let length = length
            .parse()
            .ok()
            .filter(|length| (1..=MOST_FILL).contains(length));
        let length = length.ok_or_else(|| TextError::BadFill(name.to_owned()))?;
        Ok(Part::Bytes(vec![b'x'; length]))
    } else if let Some(time) = name.strip_prefix("wait:") {
        let bad = |why| TextError::BadWait(name.to_owned(), why);
        parse_duration(time).map(Part::Wait).map_err(bad)
    } else if let Some(amount) = name.strip_prefix("now+") {
        offset(name, amount, false).map(Part::Now)
    } else if let Some(amount) = name.strip_prefix("now-") {
        offset(name, amount, true).map(Part::Now)
    } else {
        const KNOWN: &str = "`{now}`, `{now+1.5s}`, `{now-10s}`, `{i}`, `{client}`, `{hex:00ff}`, `{fill:5000}` or `{wait:30ms}`";
        Err(TextError::Unknown(name.to_owned(), KNOWN))
    }
}

/// A duration, or `{i}` and a unit.
fn offset(name: &str, amount: &str, slow: bool) -> Result<Offset, TextError> {
    let nanos = |text: &str| {
        let duration = parse_duration(text).map_err(|e| TextError::BadOffset(name.to_owned(), e));
        duration.map(|duration| duration.as_nanos())
    };
    let (fixed, each) = match amount.strip_prefix("{i}") {
        Some(unit) => (0, nanos(&format!("1{unit}"))?),
        None => (nanos(amount)?, 0),
    };
    Ok(Offset { slow, fixed, each })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: EpochNs = 1_621_464_827_959_498_503;

    fn render(text: &str) -> String {
        let rendered = Template::parse(text).unwrap().render(3, NOW);
        String::from_utf8(rendered.bytes).unwrap()
    }

    #[test]
    fn clocks_are_exact_to_the_nanosecond() {
        assert_eq!(render("{now}"), "1621464827.959498503");
        assert_eq!(render("{now+1.5s}"), "1621464829.459498503");
        assert_eq!(render("{now-10s}"), "1621464817.959498503");
        assert_eq!(render("{now+{i}ms}"), "1621464827.962498503");
        assert_eq!(render("{now-1000000h}"), "0.000000000");
    }

    #[test]
    fn the_first_clock_is_the_one_that_was_sent() {
        let template = Template::parse("IAMAT a +1+1 {now-1s} {now}").unwrap();
        let sent = template.render(1, NOW).sent;
        assert_eq!(sent.as_deref(), Some("1621464826.959498503"));
        assert!(template.has_clock());
        assert_eq!(Template::parse("x").unwrap().render(1, NOW).sent, None);
    }

    #[test]
    fn braces_and_raw_bytes_can_be_sent() {
        assert_eq!(render("{{{i}}} é"), "{3} é");
        let raw = Template::parse("a{hex:00Ff}b").unwrap().render(1, 0);
        assert_eq!(raw.bytes, b"a\x00\xffb");
    }

    #[test]
    fn a_line_can_be_sent_in_pieces_with_time_between_them() {
        let template = Template::parse("IAMAT ki{wait:30ms}wi{wait:1s}").unwrap();
        let rendered = template.render(1, 0);
        assert_eq!(rendered.bytes, b"IAMAT kiwi");
        let [short, long] = [Duration::from_millis(30), Duration::from_secs(1)];
        assert_eq!(rendered.waits, [(8, short), (10, long)]);
        assert_eq!(template.waits().sum::<Duration>(), short + long);
        let wrong = Template::parse("a{wait:30}").unwrap_err().to_string();
        assert!(
            wrong.contains("`{wait:30}`") && wrong.contains("unit"),
            "{wrong}"
        );
    }

    #[test]
    fn a_client_s_name_stands_for_itself() {
        let template = Template::parse("IAMAT {client} {{client}} {i}").unwrap();
        let mine = template.for_client("a{i}*");
        assert_eq!(mine.text(), "IAMAT a{{i}}* {{client}} {i}");
        assert_eq!(mine.render(2, 0).bytes, b"IAMAT a{i}* {client} 2");
        assert_eq!(mine.for_client("b"), mine);
    }

    #[test]
    fn what_is_no_placeholder_is_named() {
        let error = |text| Template::parse(text).unwrap_err().to_string();
        assert!(error("{nwo}").starts_with("unknown placeholder `{nwo}`"));
        assert!(error("x {now").contains("`{now` is never closed"));
        assert!(error("a } b").contains("without `{`"));
        assert!(error("{now+1}").contains("needs a unit"));
        assert!(error("{now+{i}}").contains("needs a unit"));
        assert!(error("{hex:0}").contains("pairs of hexadecimal digits"));
        assert!(error("{hex:+1}").contains("pairs of hexadecimal digits"));
        assert!(error("a\nb").contains("a list of lines"));
    }

    #[test]
    fn an_update_is_known_by_its_four_words() {
        let id = |text| Template::parse(text).unwrap().update_id(7);
        assert_eq!(id(" IAMAT  kiwi{i}\t+1+1 {now}"), Some(b"kiwi7".to_vec()));
        assert_eq!(id("IAMAT kiwi +1+1"), None);
        assert_eq!(id("IAMAT kiwi +1+1 2 3"), None);
        assert_eq!(id("WHATSAT kiwi 10 5"), None);
    }
}

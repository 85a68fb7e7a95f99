//! The lines of clients and the answers to them, read independently.
//!
//! The servers read lines with `crate::protocol`, and so do the invariants of their events. A mistake
//! there would be in the server and in its judge alike, so nothing here imports it: this is written
//! from the protocol's description alone.

use std::cmp::Ordering;

/// A line of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// `IAMAT id location time`.
    Report(Place<'a>),
    /// `WHATSAT id radius bound`, with the id.
    Query(&'a [u8]),
    /// Anything else.
    Invalid,
}

/// Where a client is, and when, as it wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place<'a> {
    pub(super) id: &'a [u8],
    pub(super) location: &'a [u8],
    pub(super) time: &'a [u8],
}

/// An answer `AT server skew id location time`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Told<'a> {
    pub(super) server: &'a [u8],
    pub(super) skew: &'a [u8],
    pub(super) place: Place<'a>,
    /// What follows the line: the places nearby.
    pub(super) body: &'a [u8],
    /// The line alone.
    pub(super) line: &'a [u8],
}

impl<'a> Line<'a> {
    pub(super) fn read(line: &'a [u8]) -> Self {
        let words: Vec<&[u8]> = (line.split(|byte| is_space(*byte)))
            .filter(|word| !word.is_empty())
            .collect();
        match *words.as_slice() {
            [b"IAMAT", id, location, time] if is_location(location) && is_time(time) => {
                Self::Report(Place { id, location, time })
            }
            [b"WHATSAT", id, radius, bound] if is_radius(radius) && is_bound(bound) => {
                Self::Query(id)
            }
            _ => Self::Invalid,
        }
    }
}

impl<'a> Told<'a> {
    pub(super) fn read(answer: &'a [u8]) -> Option<Self> {
        let end = answer.iter().position(|byte| *byte == b'\n');
        let (line, body) = answer.split_at(end.unwrap_or(answer.len()));
        let words: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
        let [b"AT", server, skew, id, location, time] = *words.as_slice() else {
            return None;
        };
        let is_valid = is_skew(skew) && is_location(location) && is_time(time);
        (is_valid && !server.is_empty() && !id.is_empty()).then_some(Self {
            server,
            skew,
            place: Place { id, location, time },
            body,
            line,
        })
    }

    /// The record in a line between servers, which has other white space, and the hops behind it.
    pub(super) fn between_servers(line: &'a [u8]) -> Option<Self> {
        let words: Vec<&[u8]> = (line.split(|byte| is_space(*byte)))
            .filter(|word| !word.is_empty())
            .collect();
        let [b"AT" | b"HAVE", server, skew, id, location, time, _, ..] = *words.as_slice() else {
            return None;
        };
        let is_valid = is_skew(skew) && is_location(location) && is_time(time);
        is_valid.then_some(Self {
            server,
            skew,
            place: Place { id, location, time },
            body: &[],
            line,
        })
    }

    /// Which of two answers about a client is newer (greater), if nobody had the client forgotten
    /// in between: the later time; then the greater bytes of location and of time; then the smaller
    /// skew; then the greater server.
    pub(super) fn order(&self, other: &Self) -> Ordering {
        (number(self.place.time).cmp(&number(other.place.time)))
            .then_with(|| self.place.location.cmp(other.place.location))
            .then_with(|| self.place.time.cmp(other.place.time))
            .then_with(|| number(other.skew).cmp(&number(self.skew)))
            .then_with(|| self.server.cmp(other.server))
    }
}

/// The client whose record in a line between servers is of a later generation.
pub(super) fn forgets(line: &[u8]) -> Option<&[u8]> {
    let words: Vec<&[u8]> = (line.split(|byte| is_space(*byte)))
        .filter(|word| !word.is_empty())
        .collect();
    match *words.as_slice() {
        [b"AT" | b"HAVE", _, _, id, _, _, _, _] => Some(id),
        _ => None,
    }
}

/// The least that a server may be configured to read of a line. A longer line may be refused, and
/// only its beginning be copied.
const SHORT: usize = 64;

/// Whether an answer refuses `line`: `? ` and a copy.
pub(super) fn is_refusal(line: &[u8], answer: &[u8]) -> bool {
    is_whole_refusal(line, answer)
        || answer
            .strip_prefix(b"? ")
            .is_some_and(|copy| copy.len() >= SHORT && line.starts_with(copy))
}

/// Whether an answer refuses `line`, which was read to its end.
pub(super) fn is_whole_refusal(line: &[u8], answer: &[u8]) -> bool {
    answer.strip_prefix(b"? ") == Some(line)
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | 0x0b | 0x0c)
}

/// `digits` or `digits.digits`.
fn is_decimal(text: &[u8]) -> bool {
    let mut parts = text.splitn(2, |byte| *byte == b'.');
    parts.all(|part| !part.is_empty() && part.iter().all(u8::is_ascii_digit))
}

/// Two signed decimals, without anything in between, of which the first is at most 90 and the second at most 180.
fn is_location(text: &[u8]) -> bool {
    let sign = |byte: &u8| matches!(byte, b'+' | b'-');
    let Some(([first, rest @ ..], true)) = text.first().map(|first| (text, sign(first))) else {
        return false;
    };
    let Some(second) = rest.iter().position(sign).filter(|_| sign(first)) else {
        return false;
    };
    let (latitude, longitude) = (&rest[..second], &rest[second + 1..]);
    is_up_to(latitude, 90) && is_up_to(longitude, 180)
}

fn is_up_to(text: &[u8], limit: i128) -> bool {
    // A fraction of any length: only whether there is more than the limit matters.
    let mut parts = text.splitn(2, |byte| *byte == b'.');
    let whole = number(parts.next().unwrap_or_default()) / BILLION;
    let fraction = parts.next().unwrap_or_default();
    let is_more = fraction.iter().any(|digit| *digit != b'0');
    is_decimal(text) && (whole < limit || whole == limit && !is_more)
}

fn is_time(text: &[u8]) -> bool {
    let fraction = text.iter().position(|byte| *byte == b'.');
    let fraction = fraction.map_or(0, |point| text.len() - point - 1);
    is_decimal(text) && fraction <= 9 && number(text) / BILLION <= i128::from(u64::MAX)
}

/// A sign, digits, a point and nine digits.
fn is_skew(text: &[u8]) -> bool {
    match text {
        [b'+' | b'-', rest @ ..] => {
            let point = rest.iter().position(|byte| *byte == b'.');
            is_decimal(rest) && point.is_some_and(|point| rest.len() - point == 10)
        }
        _ => false,
    }
}

fn is_radius(text: &[u8]) -> bool {
    is_up_to(text, 50)
}

fn is_bound(text: &[u8]) -> bool {
    is_up_to(text, 20) && !text.contains(&b'.')
}

const BILLION: i128 = 1_000_000_000;

/// A decimal number in billionths, with or without a sign. What is too large for any number here stays so.
fn number(text: &[u8]) -> i128 {
    let (is_negative, text) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] | rest => (false, rest),
    };
    let mut number: i128 = 0;
    let mut missing: Option<u32> = None;
    for byte in text {
        match (byte, &mut missing) {
            (b'.', _) => missing = Some(9),
            (_, Some(0)) => break,
            (digit, missing) => {
                let digit = i128::from(digit.saturating_sub(b'0'));
                number = number.saturating_mul(10).saturating_add(digit);
                *missing = missing.map(|missing| missing - 1);
            }
        }
    }
    let number = number.saturating_mul(10_i128.pow(missing.unwrap_or(9)));
    if is_negative { -number } else { number }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_what_the_protocol_says() {
        let report = Line::Report(Place {
            id: b"kiwi",
            location: b"+34-118.5",
            time: b"5.25",
        });
        for line in [
            "IAMAT kiwi +34-118.5 5.25",
            " IAMAT\tkiwi \x0b+34-118.5 5.25\r",
        ] {
            assert_eq!(Line::read(line.as_bytes()), report, "{line}");
        }
        assert_eq!(Line::read(b"WHATSAT kiwi 50.0 20"), Line::Query(b"kiwi"));
        for line in [
            "",
            "iamat kiwi +34-118 5",
            "IAMAT kiwi +34-118",
            "IAMAT kiwi +34-118 5 6",
            "IAMAT kiwi 34-118 5",
            "IAMAT kiwi +34118 5",
            "IAMAT kiwi +34.-118 5",
            "IAMAT kiwi +90.1-118 5",
            "IAMAT kiwi +34-180.01 5",
            "IAMAT kiwi +34-118 -5",
            "IAMAT kiwi +34-118 5.",
            "IAMAT kiwi +34-118 5.0123456789",
            "IAMAT kiwi +34-118 nan",
            "WHATSAT kiwi 50.01 20",
            "WHATSAT kiwi 50 21",
            "WHATSAT kiwi 50 2.0",
            "WHATSAT kiwi -1 2",
            "AT Riley +0.000000000 kiwi +34-118 5",
        ] {
            assert_eq!(Line::read(line.as_bytes()), Line::Invalid, "{line}");
        }
    }

    #[test]
    fn an_answer_is_six_words_and_what_follows() {
        let told = Told::read(b"AT Riley -0.000000001 kiwi +34-118 5\n{}").expect("one");
        let shown = |text: &[u8]| String::from_utf8(text.to_vec()).expect("UTF-8");
        assert_eq!(shown(told.server), "Riley");
        assert_eq!(shown(told.body), "\n{}");
        assert_eq!(shown(told.line), "AT Riley -0.000000001 kiwi +34-118 5");
        for answer in [
            "? x",
            "AT Riley 0.000000000 kiwi +34-118 5",
            "AT Riley +0.0 kiwi +34-118 5",
            "AT Riley  +0.000000000 kiwi +34-118 5",
            "AT Riley +0.000000000 kiwi +34-118 5 6",
        ] {
            assert_eq!(Told::read(answer.as_bytes()), None, "{answer}");
        }
    }

    #[test]
    fn the_newer_answer_is_the_greater() {
        let ordered = [
            "AT Riley +9.000000000 kiwi +34-118 5",
            "AT Riley +9.000000000 kiwi +34-118 5.000000001",
            "AT Riley +9.000000000 kiwi +34-119 5.000000001",
            "AT Riley +9.000000000 kiwi +34-119 5.0000000010",
            "AT Riley +9.000000000 kiwi +34-119 10",
            "AT Riley -1.000000000 kiwi +34-119 10",
            "AT Riley -1.500000000 kiwi +34-119 10",
            "AT Suda -1.500000000 kiwi +34-119 10",
        ];
        // The fourth time has ten digits of fraction, so no server would take it.
        let told: Vec<Told<'_>> = (ordered.iter())
            .filter_map(|answer| Told::read(answer.as_bytes()))
            .collect();
        assert_eq!(told.len(), ordered.len() - 1);
        for (a, b) in told.iter().zip(&told[1..]) {
            assert_eq!(a.order(b), Ordering::Less, "{a:?} {b:?}");
            assert_eq!(b.order(a), Ordering::Greater);
        }
        assert_eq!(number(b"18446744073709551615.5") % BILLION, 500_000_000);
        assert_eq!(number(b"-0.25"), -250_000_000);
    }

    #[test]
    fn a_refusal_copies_the_line_or_the_beginning_of_a_long_one() {
        assert!(is_refusal(b"hello", b"? hello"));
        assert!(is_refusal(b"", b"? "));
        assert!(!is_refusal(b"hello", b"? hell"));
        assert!(!is_refusal(b"hello", b"?hello"));
        let long = [b'x'; 100];
        assert!(is_refusal(&long, &[b"? ", &long[..64]].concat()));
        assert!(!is_whole_refusal(&long, &[b"? ", &long[..64]].concat()));
        assert!(!is_refusal(&long, &[b"? ", &long[..63]].concat()));
    }
}

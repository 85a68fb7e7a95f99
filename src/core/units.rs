//! Durations as people write them: `20ms`, `1.5s`, `10ms..30ms`. Exact: no binary float is
//! involved.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Visitor};
use thiserror::Error;

/// The units with their lengths in nanoseconds, longest first.
const UNITS: [(&str, u64); 7] = [
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("µs", 1_000),
    ("ns", 1),
];

const NANOS_PER_SECOND: u128 = 1_000_000_000;

/// Why a text is no duration.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DurationError {
    /// The text does not begin with digits, or has no digits after the point.
    #[error("a duration is a number without a sign and a unit, such as `20ms` or `1.5s`")]
    NoNumber,
    /// The text ends after the number.
    #[error("a duration needs a unit: one of ns, us, ms, s, m, h")]
    NoUnit,
    /// The text ends in an unknown unit.
    #[error("`{0}` is no unit of time: use ns, us, ms, s, m or h")]
    UnknownUnit(String),
    /// The duration has a fraction of a nanosecond.
    #[error("a duration can't be finer than a nanosecond")]
    TooFine,
    /// The duration is longer than a [`Duration`] can be.
    #[error("this duration is too long")]
    TooLong,
    /// The second duration of a range is the shorter one.
    #[error("a range is written with the least latency first")]
    Backwards,
}

/// Reads a duration: digits with an optional fraction, then one of `ns`, `us`, `µs`, `ms`, `s`,
/// `m`, `h`.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let number_end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(number_end);
    let (whole, fraction) = match number.split_once('.') {
        Some((whole, fraction)) if is_digits(fraction) => (whole, fraction),
        Some(_) => return Err(DurationError::NoNumber),
        None => (number, ""),
    };
    if !is_digits(whole) {
        return Err(DurationError::NoNumber);
    }
    nanoseconds(whole, fraction, unit_length(unit)?)
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

fn unit_length(unit: &str) -> Result<u128, DurationError> {
    if unit.is_empty() {
        return Err(DurationError::NoUnit);
    }
    let known = UNITS.iter().find(|(name, _)| *name == unit);
    known
        .map(|(_, length)| u128::from(*length))
        .ok_or_else(|| DurationError::UnknownUnit(unit.to_owned()))
}

/// `whole.fraction` times `unit`.
fn nanoseconds(whole: &str, fraction: &str, unit: u128) -> Result<Duration, DurationError> {
    let whole: u128 = whole.parse().map_err(|_| DurationError::TooLong)?;
    let fraction = fraction.trim_end_matches('0');
    let part = match fraction {
        "" => 0,
        digits => part_of(digits, unit).ok_or(DurationError::TooFine)?,
    };
    let total = whole.checked_mul(unit).and_then(|n| n.checked_add(part));
    total
        .and_then(from_nanoseconds)
        .ok_or(DurationError::TooLong)
}

/// `0.digits` times `unit`, if it is whole. No unit has enough factors for more than 20 digits to
/// come out whole.
fn part_of(digits: &str, unit: u128) -> Option<u128> {
    if digits.len() > 20 {
        return None;
    }
    let scale = 10_u128.pow(u32::try_from(digits.len()).ok()?);
    let scaled = digits.parse::<u128>().ok()?.checked_mul(unit)?;
    (scaled % scale == 0).then_some(scaled / scale)
}

fn from_nanoseconds(total: u128) -> Option<Duration> {
    let seconds = u64::try_from(total / NANOS_PER_SECOND).ok()?;
    let rest = u32::try_from(total % NANOS_PER_SECOND).ok()?;
    Some(Duration::new(seconds, rest))
}

/// Writes a duration exactly and short: in hours or minutes if it is whole ones, else in the
/// longest of `s`, `ms`, `us`, `ns` of which it holds at least one, with as many decimals as it
/// takes.
pub fn format_duration(duration: Duration) -> String {
    let total = duration.as_nanos();
    if total == 0 {
        return "0s".to_owned();
    }
    let fits = |name: &str, length: u128| match name {
        "h" | "m" => total.is_multiple_of(length),
        "µs" => false,
        _ => total >= length,
    };
    let chosen = UNITS
        .iter()
        .map(|(name, length)| (*name, u128::from(*length)))
        .find(|(name, length)| fits(name, *length));
    let (name, length) = chosen.unwrap_or(("ns", 1));
    format!("{}{name}", decimal(total, length))
}

/// `total / length` for a length that divides a power of ten, or divides `total`.
fn decimal(total: u128, length: u128) -> String {
    let (whole, rest) = (total / length, total % length);
    if rest == 0 {
        return whole.to_string();
    }
    let digits = length.ilog10() as usize;
    let fraction = format!("{rest:0digits$}");
    format!("{whole}.{}", fraction.trim_end_matches('0'))
}

/// A duration as it stands in a file, such as `"20ms"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct DurationText(pub Duration);

impl FromStr for DurationText {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, DurationError> {
        parse_duration(text).map(Self)
    }
}

/// A latency: always the same, or anything between two durations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LatencyRange {
    /// The shortest latency.
    pub least: Duration,
    /// The longest latency, not less than `least`.
    pub most: Duration,
}

impl LatencyRange {
    /// A latency that is always the same.
    pub const fn constant(latency: Duration) -> Self {
        Self {
            least: latency,
            most: latency,
        }
    }
}

impl FromStr for LatencyRange {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, DurationError> {
        let Some((least, most)) = text.split_once("..") else {
            return parse_duration(text).map(Self::constant);
        };
        let least = parse_duration(least.trim())?;
        let most = parse_duration(most.trim())?;
        if least > most {
            return Err(DurationError::Backwards);
        }
        Ok(Self { least, most })
    }
}

impl fmt::Display for LatencyRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format_duration(self.least))?;
        if self.least != self.most {
            write!(f, "..{}", format_duration(self.most))?;
        }
        Ok(())
    }
}

/// Reads a string by `FromStr`, so that an error in a file keeps the words of the parser.
struct TextVisitor<T> {
    expected: &'static str,
    parsed: std::marker::PhantomData<T>,
}

impl<T: FromStr<Err = DurationError>> Visitor<'_> for TextVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
        text.parse()
            .map_err(|e| E::custom(format!("bad duration `{text}`: {e}")))
    }
}

impl<'de> Deserialize<'de> for DurationText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor {
            expected: "a duration such as \"20ms\"",
            parsed: std::marker::PhantomData,
        })
    }
}

impl<'de> Deserialize<'de> for LatencyRange {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor {
            expected: "a latency such as \"20ms\" or \"10ms..30ms\"",
            parsed: std::marker::PhantomData,
        })
    }
}

#[cfg(feature = "sim")]
mod schema {
    use std::borrow::Cow;

    use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

    use super::{DurationText, LatencyRange};

    const DURATION: &str = r"\d+(\.\d+)?(ns|us|µs|ms|s|m|h)";

    impl JsonSchema for DurationText {
        fn schema_name() -> Cow<'static, str> {
            "Duration".into()
        }

        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            json_schema!({
                "description": "A number, with a fraction or without, and one of the units \
                    ns, us, ms, s, m, h.",
                "type": "string",
                "pattern": format!("^{DURATION}$"),
                "examples": ["20ms", "1.5s"],
            })
        }
    }

    impl JsonSchema for LatencyRange {
        fn schema_name() -> Cow<'static, str> {
            "Latency".into()
        }

        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            json_schema!({
                "description": "A duration that is always the same, or the least and the most \
                    between which it is drawn.",
                "type": "string",
                "pattern": format!(r"^{DURATION}(\s*\.\.\s*{DURATION})?$"),
                "examples": ["20ms", "10ms..30ms"],
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_are_read_exactly() {
        let nanos = |text| parse_duration(text).map(|d| d.as_nanos());
        assert_eq!(nanos("20ms"), Ok(20_000_000));
        assert_eq!(nanos("1.5s"), Ok(1_500_000_000));
        assert_eq!(nanos("0.1us"), Ok(100));
        assert_eq!(nanos("1.000µs"), Ok(1_000));
        assert_eq!(nanos("1.5m"), Ok(90_000_000_000));
        assert_eq!(nanos("2h"), Ok(7_200_000_000_000));
    }

    #[test]
    fn what_is_no_duration_says_why() {
        for text in ["", "ms", ".5s", "1.s", "-1s", "1.2.3s", " 1s"] {
            assert_eq!(parse_duration(text), Err(DurationError::NoNumber), "{text}");
        }
        assert_eq!(parse_duration("20"), Err(DurationError::NoUnit));
        let unit = DurationError::UnknownUnit(" ms".to_owned());
        assert_eq!(parse_duration("20 ms"), Err(unit));
        assert_eq!(parse_duration("0.5ns"), Err(DurationError::TooFine));
        assert_eq!(parse_duration("0.0000000001s"), Err(DurationError::TooFine));
        let long = "9".repeat(60) + "s";
        assert_eq!(parse_duration(&long), Err(DurationError::TooLong));
        assert_eq!(
            parse_duration("18446744073709551616s"),
            Err(DurationError::TooLong)
        );
    }

    #[test]
    fn durations_are_written_short() {
        let written = |nanos| format_duration(Duration::from_nanos(nanos));
        assert_eq!(written(0), "0s");
        assert_eq!(written(20_000_000), "20ms");
        assert_eq!(written(1_500_000_000), "1.5s");
        assert_eq!(written(60_000_000_000), "1m");
        assert_eq!(written(90_000_000_000), "90s");
        assert_eq!(written(7_200_000_000_000), "2h");
        assert_eq!(written(1_000_000_001), "1.000000001s");
    }

    #[test]
    fn a_latency_is_one_duration_or_two() {
        let range: LatencyRange = "10ms..30ms".parse().unwrap();
        assert_eq!(range.to_string(), "10ms..30ms");
        assert_eq!("20ms".parse::<LatencyRange>().unwrap().to_string(), "20ms");
        let backwards = "30ms..10ms".parse::<LatencyRange>();
        assert_eq!(backwards, Err(DurationError::Backwards));
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(seconds: u64, nanos in 0..1_000_000_000_u32) {
            let duration = Duration::new(seconds, nanos);
            prop_assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
        }

        #[test]
        fn short_durations_read_back(nanos in 0..5_000_000_u64) {
            let duration = Duration::from_nanos(nanos);
            prop_assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
        }

        #[test]
        fn no_text_panics(text in ".*") {
            let _ = parse_duration(&text);
            let _ = text.parse::<LatencyRange>();
        }
    }
}

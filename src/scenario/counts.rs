//! Numbers as people write what they expect: `3`, `2..5`, `at most 4`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Visitor};
use thiserror::Error;

/// A number, or a range of numbers: `3`, `2..5`, `at least 2`, `at most 5`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CountRange {
    /// The smallest number.
    pub least: u64,
    /// The largest number, not less than `least`; `u64::MAX` where none is said.
    pub most: u64,
}

/// Why a text is no range of numbers.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CountError {
    /// The text is none of the forms.
    #[error("write a number such as 3, or `2..5`, `at least 2` or `at most 5`")]
    NoRange,
    /// A number is larger than a [`u64`] can be.
    #[error("this number is too large")]
    TooLarge,
    /// The second number of a range is the smaller one.
    #[error("a range is written with the smaller number first")]
    Backwards,
    /// Every number is in the range.
    #[error("this is true of every number")]
    Any,
}

impl CountRange {
    /// This number and no other.
    pub const fn exactly(number: u64) -> Self {
        Self {
            least: number,
            most: number,
        }
    }

    /// Whether a number is in the range.
    pub const fn contains(self, number: u64) -> bool {
        self.least <= number && number <= self.most
    }
}

impl FromStr for CountRange {
    type Err = CountError;

    fn from_str(text: &str) -> Result<Self, CountError> {
        let number = |text: &str| match text.trim() {
            digits if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                Err(CountError::NoRange)
            }
            digits => digits.parse().map_err(|_| CountError::TooLarge),
        };
        let (least, most) = if let Some(least) = text.strip_prefix("at least ") {
            (number(least)?, u64::MAX)
        } else if let Some(most) = text.strip_prefix("at most ") {
            (0, number(most)?)
        } else if let Some((least, most)) = text.split_once("..") {
            (number(least)?, number(most)?)
        } else {
            return number(text).map(Self::exactly);
        };
        match (least, most) {
            (0, u64::MAX) => Err(CountError::Any),
            (least, most) if least > most => Err(CountError::Backwards),
            _ => Ok(Self { least, most }),
        }
    }
}

impl fmt::Display for CountRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.least, self.most) {
            (least, most) if least == most => write!(f, "{least}"),
            (least, u64::MAX) => write!(f, "at least {least}"),
            (0, most) => write!(f, "at most {most}"),
            (least, most) => write!(f, "{least}..{most}"),
        }
    }
}

impl<'de> Deserialize<'de> for CountRange {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumberOrText;

        impl Visitor<'_> for NumberOrText {
            type Value = CountRange;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number such as 3, or \"2..5\", \"at least 2\" or \"at most 5\"")
            }

            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<CountRange, E> {
                Ok(CountRange::exactly(number))
            }

            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<CountRange, E> {
                let below = |_| E::invalid_value(serde::de::Unexpected::Signed(number), &self);
                u64::try_from(number)
                    .map(CountRange::exactly)
                    .map_err(below)
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<CountRange, E> {
                text.parse()
                    .map_err(|e| E::custom(format!("bad number `{text}`: {e}")))
            }
        }

        deserializer.deserialize_any(NumberOrText)
    }
}

impl JsonSchema for CountRange {
    fn schema_name() -> Cow<'static, str> {
        "Number".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A number, or the least and the most that it may be.",
            "anyOf": [
                { "type": "integer", "minimum": 0 },
                {
                    "type": "string",
                    "pattern": r"^(\d+|\d+\s*\.\.\s*\d+|at least \d+|at most \d+)$",
                },
            ],
            "examples": [3, "2..5", "at least 2", "at most 5"],
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_number_is_one_or_a_range() {
        let read = |text: &str| text.parse::<CountRange>();
        for text in ["3", "2..5", "at least 2", "at most 5"] {
            assert_eq!(read(text).unwrap().to_string(), text);
        }
        let range = read("2 .. 5").unwrap();
        let inside: Vec<u64> = (0..10).filter(|number| range.contains(*number)).collect();
        assert_eq!(inside, [2, 3, 4, 5]);
        assert_eq!(read("5..2"), Err(CountError::Backwards));
        assert_eq!(read("at least 0"), Err(CountError::Any));
        assert_eq!(read("99999999999999999999"), Err(CountError::TooLarge));
        for text in ["", "-1", "..5", "2..", "at least", "at most x", "few"] {
            assert_eq!(read(text), Err(CountError::NoRange), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(least in 0..9_u64, more: u64) {
            let most = least.saturating_add(more);
            prop_assume!((least, most) != (0, u64::MAX));
            let range = CountRange { least, most };
            prop_assert_eq!(range.to_string().parse(), Ok(range));
        }

        #[test]
        fn no_text_panics(text in ".*") {
            let _ = text.parse::<CountRange>();
        }
    }
}

//! All randomness of a run follows from the scenario's seed, by generators that give the same
//! numbers on every machine.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use rand::SeedableRng as _;
use rand::rngs::ChaCha8Rng;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use siphasher::sip::SipHasher13;

use crate::units::{DurationError, format_duration, parse_duration};

/// The seed for one purpose, such as the third run of one server. Each purpose has a seed of its
/// own, so that a draw for one does not change those for others.
pub(crate) fn derive(seed: u64, purpose: &str, number: u64) -> u64 {
    SipHasher13::new_with_keys(seed, number).hash(purpose.as_bytes())
}

/// The random generator for one purpose.
pub(crate) fn stream(seed: u64, purpose: &str, number: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(derive(seed, purpose, number))
}

/// The last moment from which on a recipe can draw from another seed. It is longer than any run.
const LAST: Duration = Duration::from_hours(24);

/// What a run draws from: a seed, and perhaps others from given moments on.
///
/// Whatever is drawn before a moment is drawn as if the recipe ended there, so that two runs of one scenario are the
/// same up to the first moment at which their recipes differ.
///
/// ```
/// use proxy_herd::scenario::Recipe;
///
/// let recipe: Recipe = "7,1250ms:99".parse()?;
/// assert_eq!(recipe.first(), 7);
/// assert_eq!(recipe.to_string(), "7,1.25s:99");
/// # Ok::<(), proxy_herd::scenario::RecipeError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Recipe {
    first: u64,
    /// The moments, in order and none of them 0, each with the seed that is drawn from since.
    later: Vec<(Duration, u64)>,
}

/// Why a text is no recipe.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecipeError {
    /// A seed is no number.
    #[error("`{0}` is no seed; a seed is a number, such as 7, and others can follow: 7,1250ms:99")]
    Seed(String),
    /// A later seed has no moment.
    #[error("`{0}` has no moment from which on it counts, as `1250ms:99` has")]
    NoMoment(String),
    /// A moment is no duration.
    #[error("`{0}` is no moment: {1}")]
    Moment(String, DurationError),
    /// The moments are not in order.
    #[error("{0} is not after the moment before it")]
    Order(String),
    /// No run takes so long.
    #[error("{0} is later than any run lasts")]
    Late(String),
}

impl Recipe {
    /// The seed from which a run draws in the beginning.
    pub const fn first(&self) -> u64 {
        self.first
    }

    /// The moments from which on other seeds are drawn from, in order.
    pub fn later(&self) -> &[(Duration, u64)] {
        &self.later
    }

    /// The seed that is drawn from at a moment.
    pub fn at(&self, moment: Duration) -> u64 {
        self.parts_until(moment)
            .checked_sub(1)
            .map_or(self.first, |last| self.later[last].1)
    }

    /// How many of the later seeds are drawn from up to a moment.
    pub(crate) fn parts_until(&self, moment: Duration) -> usize {
        self.later.partition_point(|&(since, _)| since <= moment)
    }

    /// The same up to a moment, and another seed from then on.
    #[must_use]
    pub fn then(&self, moment: Duration, seed: u64) -> Self {
        if moment.is_zero() {
            return seed.into();
        }
        let before = self.later.iter().filter(|&&(since, _)| since < moment);
        Self {
            first: self.first,
            later: before.copied().chain([(moment, seed)]).collect(),
        }
    }

    /// The first `parts` of its later seeds.
    pub(crate) fn cut_to(&self, parts: usize) -> Self {
        Self {
            first: self.first,
            later: self.later[..parts.min(self.later.len())].to_vec(),
        }
    }
}

impl From<u64> for Recipe {
    fn from(seed: u64) -> Self {
        Self {
            first: seed,
            later: Vec::new(),
        }
    }
}

impl fmt::Display for Recipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.first)?;
        let mut later = self.later.iter();
        later.try_for_each(|(since, seed)| write!(f, ",{}:{seed}", format_duration(*since)))
    }
}

impl FromStr for Recipe {
    type Err = RecipeError;

    fn from_str(text: &str) -> Result<Self, RecipeError> {
        let number = |text: &str| {
            let seed = text.trim().parse();
            seed.map_err(|_| RecipeError::Seed(text.trim().to_owned()))
        };
        let mut parts = text.split(',');
        let mut recipe = Self::from(number(parts.next().unwrap_or_default())?);
        let mut last = Duration::ZERO;
        for part in parts {
            let no_moment = || RecipeError::NoMoment(part.trim().to_owned());
            let (since, seed) = part.split_once(':').ok_or_else(no_moment)?;
            let since = since.trim();
            let moment = parse_duration(since)
                .map_err(|error| RecipeError::Moment(since.to_owned(), error))?;
            if moment <= last {
                return Err(RecipeError::Order(since.to_owned()));
            }
            if moment > LAST {
                return Err(RecipeError::Late(since.to_owned()));
            }
            recipe.later.push((moment, number(seed)?));
            last = moment;
        }
        Ok(recipe)
    }
}

/// A seed alone is a number, as it was before there were recipes.
impl Serialize for Recipe {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.later.is_empty() {
            serializer.serialize_u64(self.first)
        } else {
            serializer.collect_str(self)
        }
    }
}

impl<'de> Deserialize<'de> for Recipe {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumberOrText;

        impl Visitor<'_> for NumberOrText {
            type Value = Recipe;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a seed, such as 7, or seeds in a row, such as \"7,1250ms:99\"")
            }

            fn visit_u64<E: Error>(self, seed: u64) -> Result<Recipe, E> {
                Ok(seed.into())
            }

            fn visit_i64<E: Error>(self, seed: i64) -> Result<Recipe, E> {
                let seed = u64::try_from(seed);
                seed.map(Recipe::from)
                    .map_err(|_| E::custom("a seed is not negative"))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Recipe, E> {
                text.parse().map_err(E::custom)
            }
        }

        deserializer.deserialize_any(NumberOrText)
    }
}

impl JsonSchema for Recipe {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Recipe".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [
                { "type": "integer", "format": "uint64", "minimum": 0 },
                { "type": "string" },
            ],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Recipe {
        text.parse().expect(text)
    }

    #[test]
    fn a_recipe_reads_back_as_it_is_written() {
        for text in ["0", "7,1.25s:99", "7,1ms:99,2h:0"] {
            assert_eq!(read(text).to_string(), text);
            let json = serde_json::to_string(&read(text)).expect("it is written");
            let back: Recipe = serde_json::from_str(&json).expect(&json);
            assert_eq!(back, read(text));
        }
        assert_eq!(serde_json::to_string(&read("7")).expect("a number"), "7");
    }

    #[test]
    fn a_moment_belongs_to_the_seed_from_then_on() {
        let recipe = read("7,1250ms:99,2s:5");
        let at = |millis| recipe.at(Duration::from_millis(millis));
        assert_eq!([0, 1249, 1250, 1999, 2000].map(at), [7, 7, 99, 99, 5]);
    }

    #[test]
    fn what_comes_behind_a_moment_is_replaced() {
        let recipe = read("7,1s:8,2s:9");
        let then = |millis| recipe.then(Duration::from_millis(millis), 3).to_string();
        assert_eq!(
            [0, 500, 1000, 1500, 3000].map(then),
            [
                "3",
                "7,500ms:3",
                "7,1s:3",
                "7,1s:8,1.5s:3",
                "7,1s:8,2s:9,3s:3"
            ]
        );
    }

    #[test]
    fn what_is_no_recipe_is_refused_with_the_reason() {
        let refused = |text: &str| text.parse::<Recipe>().expect_err(text).to_string();
        for (text, said) in [
            ("", "`` is no seed"),
            ("x", "`x` is no seed"),
            ("-1", "`-1` is no seed"),
            ("7,99", "`99` has no moment"),
            ("7,99:soon", "`99` is no moment"),
            ("7,1s:x", "`x` is no seed"),
            ("7,0s:1", "0s is not after"),
            ("7,2s:1,2s:3", "2s is not after"),
            ("7,25h:1", "25h is later"),
        ] {
            assert!(refused(text).starts_with(said), "{text}: {}", refused(text));
        }
    }
}

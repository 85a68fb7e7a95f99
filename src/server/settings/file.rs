//! Reads settings from a file.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, Visitor};

use super::kinds::{Kind, Setting};
use super::table::SETTINGS;
use super::{Origin, Resolved, Settings};
use crate::diag::{Problems, Source, Span};
use crate::document::{self, Located};

/// All keys, for serde's message about an unknown one.
static KEYS: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    let keys = SETTINGS.iter().map(Setting::key);
    keys.map(|key| &*String::leak(key)).collect()
});

/// Applies a file's settings to `resolved`. Mistakes go to `problems`, with their places.
pub(super) fn apply(
    source: &Arc<Source>,
    base: &Path,
    resolved: &mut Resolved,
    problems: &mut Problems,
) {
    let Some(parsed) = document::parse::<File>(source, problems) else {
        return;
    };
    for given in parsed.value.0 {
        let (line, _) = source.line_column(given.key.start);
        let origin = Origin::File(source.name.clone(), line);
        // The value was checked while the file was parsed, which gives each mistake its place.
        let set = resolved.set(given.position, &given.text, base, origin);
        debug_assert!(set.is_ok(), "a value is right or wrong everywhere");
    }
}

/// The settings in a file.
struct File(Vec<Entry>);

/// A setting in a file.
struct Entry {
    /// The position of the setting in the table.
    position: usize,
    /// The place of its key in the file.
    key: Span,
    text: String,
}

impl<'de> Deserialize<'de> for File {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keys;

        impl<'de> Visitor<'de> for Keys {
            type Value = File;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<File, A::Error> {
                let mut all = Vec::new();
                while let Some((position, key)) = map.next_key_seed(Key)? {
                    let text = map.next_value_seed(Value(&SETTINGS[position]))?;
                    all.push(Entry {
                        position,
                        key,
                        text,
                    });
                }
                Ok(File(all))
            }
        }

        deserializer.deserialize_map(Keys)
    }
}

/// Deserializes a key into the setting's position.
struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = (usize, Span);

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        let key = Located::<String>::deserialize(deserializer)?;
        let position = KEYS.iter().position(|known| *known == *key);
        let position = position.ok_or_else(|| D::Error::unknown_field(&key, &KEYS))?;
        Ok((position, key.span()))
    }
}

/// Deserializes a setting's value into the text that a flag would have.
struct Value(&'static Setting);

impl Value {
    fn checked<E: Error>(&self, text: String) -> Result<String, E> {
        let checked = self.0.set(&mut Settings::default(), &text, Path::new(""));
        checked.map_err(E::custom)?;
        Ok(text)
    }
}

impl<'de> DeserializeSeed<'de> for Value {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Visitor<'_> for Value {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0.kind {
            Kind::Count(..) => "a whole number",
            Kind::Switch(_) => "`true` or `false`",
            _ => "a string",
        })
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<String, E> {
        match self.0.kind {
            Kind::Count(..) | Kind::Switch(_) => {
                Err(E::invalid_type(serde::de::Unexpected::Str(text), &self))
            }
            _ => self.checked(text.to_owned()),
        }
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<String, E> {
        match self.0.kind {
            Kind::Count(..) => self.checked(number.to_string()),
            _ => Err(E::invalid_type(
                serde::de::Unexpected::Signed(number),
                &self,
            )),
        }
    }

    fn visit_bool<E: Error>(self, yes: bool) -> Result<String, E> {
        match self.0.kind {
            Kind::Switch(_) => self.checked(yes.to_string()),
            _ => Err(E::invalid_type(serde::de::Unexpected::Bool(yes), &self)),
        }
    }
}

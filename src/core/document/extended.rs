//! A table, some of whose fields are declared elsewhere as values, and not as fields of a struct.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error as _, IntoDeserializer, MapAccess, Visitor,
};
use serde::forward_to_deserialize_any;

/// The value of a declared field.
pub trait Declared: Sized {
    /// The names of all declared fields.
    fn names() -> &'static [&'static str];

    /// Reads the value of the declared field `name`.
    fn read<'de, A: MapAccess<'de>>(name: &str, map: &mut A) -> Result<Self, A::Error>;
}

/// A table that has the fields of `T` and declared fields.
#[derive(Debug)]
pub struct Extended<T, V> {
    plain: T,
    declared: Vec<(&'static str, V)>,
}

impl<T, V> Extended<T, V> {
    /// The declared field of this name, if the file has it.
    pub fn get(&self, name: &str) -> Option<&V> {
        let mut all = self.declared.iter();
        all.find_map(|(other, value)| (*other == name).then_some(value))
    }

    /// The declared fields that the file has, in its order.
    pub fn declared(&self) -> impl Iterator<Item = (&'static str, &V)> {
        self.declared.iter().map(|(name, value)| (*name, value))
    }
}

impl<T, V> std::ops::Deref for Extended<T, V> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.plain
    }
}

impl<'de, T: Deserialize<'de>, V: Declared> Deserialize<'de> for Extended<T, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Table<T, V>(PhantomData<(T, V)>);

        impl<'de, T: Deserialize<'de>, V: Declared> Visitor<'de> for Table<T, V> {
            type Value = Extended<T, V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                let mut declared = Vec::new();
                let found = &mut declared;
                let plain = T::deserialize(Splitting { map, found })?;
                Ok(Extended { plain, declared })
            }
        }

        deserializer.deserialize_map(Table(PhantomData))
    }
}

/// Deserializes a map: it collects the declared fields, and passes all others to a reader.
struct Splitting<'f, A, V> {
    map: A,
    found: &'f mut Vec<(&'static str, V)>,
}

impl<'de, A: MapAccess<'de>, V: Declared> Deserializer<'de> for Splitting<'_, A, V> {
    type Error = A::Error;

    fn deserialize_any<R: Visitor<'de>>(self, reader: R) -> Result<R::Value, A::Error> {
        self.deserialize_struct("", &[], reader)
    }

    fn deserialize_struct<R: Visitor<'de>>(
        self,
        _: &'static str,
        own: &'static [&'static str],
        reader: R,
    ) -> Result<R::Value, A::Error> {
        let Self { map, found } = self;
        let split = Split { map, found, own };
        reader.visit_map(split)
    }

    forward_to_deserialize_any! {
        <R: Visitor<'de>>
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

struct Split<'f, A, V> {
    map: A,
    found: &'f mut Vec<(&'static str, V)>,
    /// The fields of the reader.
    own: &'static [&'static str],
}

impl<'de, A: MapAccess<'de>, V: Declared> MapAccess<'de> for Split<'_, A, V> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, A::Error> {
        let mut seed = Some(seed);
        loop {
            // The key is checked where it is read, so that a mistake in it has its place.
            let key = Key {
                own: self.own,
                declared: V::names(),
                seed: &mut seed,
            };
            match self.map.next_key_seed(key)? {
                None => return Ok(None),
                Some(Found::Own(key)) => return Ok(Some(key)),
                Some(Found::Declared(name)) => {
                    let value = V::read(name, &mut self.map)?;
                    self.found.push((name, value));
                }
            }
        }
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.map.next_value_seed(seed)
    }
}

struct Key<'s, K> {
    own: &'static [&'static str],
    declared: &'static [&'static str],
    seed: &'s mut Option<K>,
}

enum Found<K> {
    Own(K),
    Declared(&'static str),
}

impl<'de, K: DeserializeSeed<'de>> DeserializeSeed<'de> for Key<'_, K> {
    type Value = Found<K::Value>;

    fn deserialize<D: Deserializer<'de>>(self, key: D) -> Result<Self::Value, D::Error> {
        let text = String::deserialize(key)?;
        if let Some(name) = self.declared.iter().find(|name| **name == text) {
            return Ok(Found::Declared(name));
        }
        if !self.own.contains(&text.as_str()) {
            let known = [self.own, self.declared].concat();
            return Err(D::Error::custom(unknown(&text, &known)));
        }
        let seed = self.seed.take();
        let seed = seed.ok_or_else(|| D::Error::custom("a field is read once"))?;
        seed.deserialize(text.into_deserializer()).map(Found::Own)
    }
}

/// The message as serde words it, which is later put into plain words.
fn unknown(name: &str, known: &[&str]) -> String {
    format!(
        "unknown field `{name}`, expected one of `{}`",
        known.join("`, `")
    )
}

//! A table whose fields are declared as values, and not as fields of a struct.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error as _, MapAccess, Visitor};

/// The fields that a kind of table can have.
pub(crate) trait Fields {
    /// What a field holds.
    type Value;

    /// The names of all fields.
    fn names() -> &'static [&'static str];

    /// Reads the value of the field `name`, which is one of them.
    fn read<'de, A: MapAccess<'de>>(name: &str, map: &mut A) -> Result<Self::Value, A::Error>;
}

/// A table with the fields of `K`.
pub(crate) struct Table<K: Fields> {
    fields: Vec<(&'static str, K::Value)>,
}

impl<K: Fields> Table<K> {
    /// The same, with the fields of another that it does not have.
    pub(crate) fn or(mut self, other: Self) -> Self {
        let own: Vec<&str> = self.fields.iter().map(|(name, _)| *name).collect();
        let others = other.fields.into_iter();
        let others: Vec<_> = others.filter(|(name, _)| !own.contains(name)).collect();
        self.fields.extend(others);
        self
    }

    /// The field of this name, if it is given.
    pub(crate) fn get(&self, name: &str) -> Option<&K::Value> {
        let mut all = self.fields.iter();
        all.find_map(|(other, value)| (*other == name).then_some(value))
    }
}

impl<K: Fields> fmt::Debug for Table<K>
where
    K::Value: fmt::Debug,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.fields.iter().map(|(name, value)| (name, value)))
            .finish()
    }
}

impl<'de, K: Fields> Deserialize<'de> for Table<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Reader(PhantomData))
    }
}

struct Reader<K>(PhantomData<K>);

impl<'de, K: Fields> Visitor<'de> for Reader<K> {
    type Value = Table<K>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Table<K>, A::Error> {
        let mut fields = Vec::new();
        while let Some(name) = map.next_key_seed(Name(K::names()))? {
            fields.push((name, K::read(name, &mut map)?));
        }
        Ok(Table { fields })
    }
}

/// Reads a field's name, which is looked up where it is read, so that what is wrong with it has its place.
struct Name(&'static [&'static str]);

impl<'de> DeserializeSeed<'de> for Name {
    type Value = &'static str;

    fn deserialize<D: Deserializer<'de>>(self, key: D) -> Result<&'static str, D::Error> {
        let text = String::deserialize(key)?;
        let known = self.0.iter().find(|name| **name == text);
        let unknown = || D::Error::unknown_field(&text, self.0);
        known.copied().ok_or_else(unknown)
    }
}

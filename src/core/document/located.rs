//! Values that know their place in a file, and the few shapes that files use.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, Range};

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use toml::Spanned;

use crate::diag::{Source, Span};

/// A value and its place in the file.
#[derive(Debug, Clone, PartialEq)]
pub struct Located<T>(Spanned<T>);

impl<T> Located<T> {
    /// A value at this place.
    pub fn new(span: Span, value: T) -> Self {
        Self(Spanned::new(span, value))
    }

    /// The value, without its place.
    pub fn into_inner(self) -> T {
        self.0.into_inner()
    }

    /// The place of the value, with the quotes of a string.
    pub fn span(&self) -> Span {
        self.0.span()
    }
}

impl Located<String> {
    /// The place of a part of a string. If the string is written with escapes, the part can't be
    /// found, and the place is that of the whole string.
    pub fn part(&self, source: &Source, part: Range<usize>) -> Span {
        let whole = self.span();
        let written = source.text.get(whole.clone()).unwrap_or_default();
        let text: &str = self;
        // A bare key has no quotes.
        let quote = usize::from(written != text);
        let plain = quote..quote + text.len();
        if written.get(plain) != Some(text) || written.len() != text.len() + 2 * quote {
            return whole;
        }
        let start = whole.start + quote;
        start + part.start..start + part.end
    }
}

impl<T> Deref for Located<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.get_ref()
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Located<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Spanned::deserialize(deserializer).map(Self)
    }
}

/// A table and its place. Serde would also take a list for a struct, field by field in order; a
/// file must name the fields.
#[derive(Debug, Clone, PartialEq)]
pub struct Section<T>(Located<T>);

impl<T> Section<T> {
    /// A table at this place.
    pub fn new(span: Span, value: T) -> Self {
        Self(Located::new(span, value))
    }

    /// The table, without its place.
    pub fn into_inner(self) -> T {
        self.0.into_inner()
    }
}

impl<T> Deref for Section<T> {
    type Target = Located<T>;

    fn deref(&self) -> &Located<T> {
        &self.0
    }
}

/// A value that can be read from a table only.
struct OnlyTable<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OnlyTable<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
            type Value = OnlyTable<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<OnlyTable<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(OnlyTable)
            }
        }

        deserializer.deserialize_map(Fields(PhantomData))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Section<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let table = Spanned::<OnlyTable<T>>::deserialize(deserializer)?;
        let span = table.span();
        Ok(Self(Located::new(span, table.into_inner().0)))
    }
}

/// One string, or a list of strings.
///
/// The visitor is written by hand because an untagged enum loses both the message and the place of
/// a mistake in a string.
#[derive(Debug, Clone, PartialEq)]
pub struct OneOrMany {
    span: Span,
    is_list: bool,
    items: Vec<Located<String>>,
}

impl OneOrMany {
    /// The strings, in order.
    pub fn items(&self) -> &[Located<String>] {
        &self.items
    }

    /// The string, if it is written as one and not as a list.
    pub fn single(&self) -> Option<&Located<String>> {
        if self.is_list {
            None
        } else {
            self.items.first()
        }
    }

    /// The place of the string or the list.
    pub fn span(&self) -> Span {
        self.span.clone()
    }
}

/// A [`OneOrMany`] before the place of a lone string is known.
enum Unplaced {
    One(String),
    Many(Vec<Located<String>>),
}

impl<'de> Deserialize<'de> for Unplaced {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Unquoted;

        impl<'de> Visitor<'de> for Unquoted {
            type Value = Unplaced;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or a list of strings")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Unplaced, E> {
                Ok(Unplaced::One(text.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Unplaced, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = list.next_element()? {
                    items.push(item);
                }
                Ok(Unplaced::Many(items))
            }
        }

        deserializer.deserialize_any(Unquoted)
    }
}

impl<'de> Deserialize<'de> for OneOrMany {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Unplaced>::deserialize(deserializer)?;
        let span = spanned.span();
        let (is_list, items) = match spanned.into_inner() {
            Unplaced::One(text) => (false, vec![Located::new(span.clone(), text)]),
            Unplaced::Many(items) => (true, items),
        };
        Ok(Self {
            span,
            is_list,
            items,
        })
    }
}

/// A table, or a string as its short form.
#[derive(Debug, Clone, PartialEq)]
pub enum TextOr<T> {
    /// The string, as the short form.
    Text(String),
    /// The table, written out.
    Table(T),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for TextOr<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrTable<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for TextOrTable<T> {
            type Value = TextOr<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or a table")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<TextOr<T>, E> {
                Ok(TextOr::Text(text.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<TextOr<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(TextOr::Table)
            }
        }

        deserializer.deserialize_any(TextOrTable(PhantomData))
    }
}

/// One string or table, or a list of them.
#[derive(Debug, Clone, PartialEq)]
pub struct OneOrManyOf<T> {
    span: Span,
    items: Vec<Located<TextOr<T>>>,
}

impl<T> OneOrManyOf<T> {
    /// The strings and tables, in order.
    pub fn items(&self) -> &[Located<TextOr<T>>] {
        &self.items
    }

    /// The place of the only one, or of the list.
    pub fn span(&self) -> Span {
        self.span.clone()
    }
}

/// A [`OneOrManyOf`] before the place of the only one is known.
enum UnplacedOf<T> {
    One(TextOr<T>),
    Many(Vec<Located<TextOr<T>>>),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for UnplacedOf<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Each<T> {
            type Value = UnplacedOf<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string, a table or a list of them")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<UnplacedOf<T>, E> {
                Ok(UnplacedOf::One(TextOr::Text(text.to_owned())))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<UnplacedOf<T>, A::Error> {
                let table = T::deserialize(MapAccessDeserializer::new(map));
                table.map(|table| UnplacedOf::One(TextOr::Table(table)))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<UnplacedOf<T>, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = list.next_element()? {
                    items.push(item);
                }
                Ok(UnplacedOf::Many(items))
            }
        }

        deserializer.deserialize_any(Each(PhantomData))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrManyOf<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<UnplacedOf<T>>::deserialize(deserializer)?;
        let span = spanned.span();
        let items = match spanned.into_inner() {
            UnplacedOf::One(item) => vec![Located::new(span.clone(), item)],
            UnplacedOf::Many(items) => items,
        };
        Ok(Self { span, items })
    }
}

/// A table whose keys are names that the user chose, in the order of the file.
#[derive(Debug, Clone, PartialEq)]
pub struct Entries<V>(Vec<(Located<String>, V)>);

impl<V> Deref for Entries<V> {
    type Target = [(Located<String>, V)];

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Entries<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder<V>(PhantomData<V>);

        impl<'de, V: Deserialize<'de>> Visitor<'de> for InOrder<V> {
            type Value = Entries<V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries<V>, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }

        deserializer.deserialize_map(InOrder(PhantomData))
    }
}

//! Reads JSON into the tree that TOML gives.

use std::borrow::Cow;
use std::sync::Arc;

use jsonc_parser::ast::{Object, Value};
use jsonc_parser::common::{Range, Ranged};
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Damage, ROOT};
use crate::diag::{Problem, Problems, Source, Span};

/// Plain JSON, without the extensions that the parser allows by default.
const STRICT: ParseOptions = ParseOptions {
    allow_comments: false,
    allow_loose_object_property_names: false,
    allow_trailing_commas: false,
    allow_missing_commas: false,
    allow_single_quoted_strings: false,
    allow_hexadecimal_numbers: false,
    allow_unary_plus_numbers: false,
    allow_bare_decimal_point_numbers: false,
    allow_non_finite_numbers: false,
    allow_extended_string_escapes: false,
};

/// Reads the text of a JSON file, whose top level must be an object.
pub(super) fn read<'a>(
    source: &'a Arc<Source>,
    problems: &mut Problems,
    damage: &mut Damage,
) -> Option<DeTable<'a>> {
    let error = |span, message: String| Problem::error(source, span, message);
    match parse_to_ast(&source.text, &CollectOptions::default(), &STRICT) {
        Err(e) => problems.push(error(
            place(e.range()),
            decapitalised(&e.kind().to_string()),
        )),
        Ok(result) => match result.value {
            Some(Value::Object(mut root)) => {
                // Editors look for the schema there; the program ignores it.
                let _ = root.take("$schema");
                let mut converter = Converter {
                    source,
                    problems,
                    damage,
                };
                return Some(converter.object(root, &ROOT));
            }
            Some(other) => problems.push(error(
                place(other.range()),
                "the file must hold one JSON object".to_owned(),
            )),
            None => problems.push(error(ROOT, "the file is empty".to_owned())),
        },
    }
    None
}

fn place(range: Range) -> Span {
    range.start..range.end
}

fn decapitalised(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|c| c.to_ascii_lowercase());
    first.into_iter().chain(chars).collect()
}

struct Converter<'a, 'p> {
    source: &'a Arc<Source>,
    problems: &'p mut Problems,
    damage: &'p mut Damage,
}

impl<'a> Converter<'a, '_> {
    /// An object as a table. Duplicate keys, and values that TOML does not have, are reported and
    /// left out.
    fn object(&mut self, object: Object<'a>, own: &Span) -> DeTable<'a> {
        let mut table = DeTable::new();
        for property in object.properties {
            let key_span = place(property.name.range());
            let name = property.name.into_string();
            let Some(value) = self.value(property.value, own) else {
                continue;
            };
            if table.contains_key(name.as_str()) {
                self.refuse(key_span, &format!("duplicate key `{name}`"), own);
            } else {
                table.insert(Spanned::new(key_span, Cow::Owned(name)), value);
            }
        }
        table
    }

    /// A value, unless TOML has none of its kind. `container` is the place of the table or list
    /// around it.
    fn value(&mut self, value: Value<'a>, container: &Span) -> Option<Spanned<DeValue<'a>>> {
        let span = place(value.range());
        let converted = match value {
            Value::StringLit(text) => DeValue::String(text.value),
            Value::BooleanLit(literal) => DeValue::Boolean(literal.value),
            Value::NumberLit(number) => {
                let Ok(number) = DeValue::parse(number.value) else {
                    self.refuse(span, "this number can't be read", container);
                    return None;
                };
                number.into_inner()
            }
            Value::Object(object) => DeValue::Table(self.object(object, &span)),
            Value::Array(array) => {
                let elements = array.elements.into_iter();
                DeValue::Array(
                    elements
                        .filter_map(|element| self.value(element, &span))
                        .collect(),
                )
            }
            Value::NullKeyword(_) => {
                self.refuse(span, "`null` has no meaning here: leave it out", container);
                return None;
            }
        };
        Some(Spanned::new(span, converted))
    }

    /// Reports an entry that is left out.
    fn refuse(&mut self, span: Span, message: &str, container: &Span) {
        self.problems
            .push(Problem::error(self.source, span, message));
        self.damage.0.push(container.clone());
    }
}

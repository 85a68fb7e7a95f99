//! Faults as a file says them, and what its schema says of that.

use std::borrow::Cow;
use std::sync::LazyLock;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::MapAccess;

use super::{End, FaultKind, Field, Holds};
use crate::diag::Span;
use crate::document::{Declared, Located, OneOrMany, property, with_properties};
use crate::scenario::raw::{NoMeans, PlainStep, RawRandom, RawStep};
use crate::units::{DurationText, LatencyRange};

/// What a step says of a fault, by the field.
#[derive(Debug)]
pub(in crate::scenario) enum RawFault {
    /// Whom it begins or ends for.
    Targets(OneOrMany),
    Latency(Located<LatencyRange>),
    Difference(Located<String>),
    Duration(Located<DurationText>),
    Count(Located<u32>),
}

impl RawFault {
    /// Where it stands.
    pub(in crate::scenario) fn span(&self) -> Span {
        match self {
            Self::Targets(list) => list.span(),
            Self::Latency(latency) => latency.span(),
            Self::Difference(text) => text.span(),
            Self::Duration(duration) => duration.span(),
            Self::Count(count) => count.span(),
        }
    }
}

/// The fields of all kinds, each once.
fn fields() -> Vec<&'static Field> {
    let all = super::ALL.iter().flat_map(|kind| kind.fields);
    let mut found: Vec<&Field> = Vec::new();
    for field in all {
        if found.iter().all(|other| other.name != field.name) {
            found.push(field);
        }
    }
    found
}

impl Declared for RawFault {
    fn names() -> &'static [&'static str] {
        static NAMES: LazyLock<Vec<&str>> = LazyLock::new(|| {
            let fields = fields().into_iter();
            FaultKind::all()
                .flat_map(FaultKind::words)
                .chain(fields.map(|field| field.name))
                .collect()
        });
        &NAMES
    }

    fn read<'de, A: MapAccess<'de>>(name: &str, map: &mut A) -> Result<Self, A::Error> {
        let field = fields().into_iter().find(|field| field.name == name);
        Ok(match field.map(|field| field.holds) {
            None => Self::Targets(map.next_value()?),
            Some(Holds::Latency) => Self::Latency(map.next_value()?),
            Some(Holds::Difference) => Self::Difference(map.next_value()?),
            Some(Holds::Duration) => Self::Duration(map.next_value()?),
            Some(Holds::Count) => Self::Count(map.next_value()?),
        })
    }
}

/// The mean time from one fault to the next.
#[derive(Debug)]
pub(in crate::scenario) struct RawMean(pub(in crate::scenario) Located<DurationText>);

impl Declared for RawMean {
    fn names() -> &'static [&'static str] {
        static NAMES: LazyLock<Vec<&str>> =
            LazyLock::new(|| FaultKind::drawn().map(|kind| kind.name).collect());
        &NAMES
    }

    fn read<'de, A: MapAccess<'de>>(_: &str, map: &mut A) -> Result<Self, A::Error> {
        map.next_value().map(Self)
    }
}

impl JsonSchema for RawStep {
    fn schema_name() -> Cow<'static, str> {
        PlainStep::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut more = Vec::new();
        for kind in FaultKind::all() {
            let about = format!("{} {}", kind.effect, kind.targets.names());
            more.push(property::<OneOrMany>(generator, kind.name, &about));
            if let End::Step { word, effect, .. } = kind.end {
                more.push(property::<OneOrMany>(generator, word, effect));
            }
        }
        for field in fields() {
            let Field { name, about, .. } = field;
            more.push(match field.holds {
                Holds::Latency => property::<LatencyRange>(generator, name, about),
                Holds::Difference => property::<String>(generator, name, about),
                Holds::Duration => property::<DurationText>(generator, name, about),
                Holds::Count => property::<u32>(generator, name, about),
            });
        }
        with_properties(PlainStep::json_schema(generator), more)
    }
}

impl JsonSchema for RawRandom {
    fn schema_name() -> Cow<'static, str> {
        NoMeans::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let kinds = FaultKind::drawn().filter_map(|kind| {
            let about = format!("Happens to {}.", kind.drawn.as_ref()?.about);
            Some(property::<DurationText>(generator, kind.name, &about))
        });
        let kinds: Vec<_> = kinds.collect();
        with_properties(NoMeans::json_schema(generator), kinds)
    }
}

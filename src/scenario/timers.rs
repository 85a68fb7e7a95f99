//! The servers' own timers in a scenario's file.

use std::borrow::Cow;
use std::sync::LazyLock;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::MapAccess;

use super::raw::{NoTimers, RawTiming};
use crate::document::{Declared, Located, property, with_properties};
use crate::timing::LINK_TIMERS;
use crate::units::DurationText;

/// What a file gives a timer.
#[derive(Debug)]
pub(super) struct RawTimer(pub(super) Located<DurationText>);

impl Declared for RawTimer {
    fn names() -> &'static [&'static str] {
        static NAMES: LazyLock<Vec<&str>> =
            LazyLock::new(|| LINK_TIMERS.iter().map(|timer| timer.name).collect());
        &NAMES
    }

    fn read<'de, A: MapAccess<'de>>(_: &str, map: &mut A) -> Result<Self, A::Error> {
        map.next_value().map(Self)
    }
}

impl JsonSchema for RawTiming {
    fn schema_name() -> Cow<'static, str> {
        NoTimers::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let timers = LINK_TIMERS.iter();
        let timers: Vec<_> = timers
            .map(|timer| property::<DurationText>(generator, timer.name, timer.about))
            .collect();
        with_properties(NoTimers::json_schema(generator), timers)
    }
}

//! What a step says of its fault beside the targets.

use std::fmt;
use std::time::Duration;

use crate::scenario::ExtraDelay;
use crate::units::{LatencyRange, format_duration};

/// The values of a fault's fields, in the order of its declaration. A difference that is zero is there, too.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Values(Vec<(&'static str, Value)>);

/// What a field says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value {
    /// A latency.
    Latency(LatencyRange),
    /// Nanoseconds, with a sign.
    Difference(i64),
    /// A duration.
    Duration(Duration),
    /// A number.
    Count(u32),
    /// A time that is added to a packet's.
    ExtraDelay(ExtraDelay),
    /// One of the words that a field knows.
    Word(&'static str),
}

impl Values {
    /// These.
    pub fn new(values: impl IntoIterator<Item = (&'static str, Value)>) -> Self {
        Self(values.into_iter().collect())
    }

    /// What the field of this name says.
    pub fn get(&self, name: &str) -> Option<Value> {
        let mut all = self.0.iter();
        all.find_map(|(other, value)| (*other == name).then_some(*value))
    }

    /// The latency of this field.
    pub fn latency(&self, name: &str) -> LatencyRange {
        match self.get(name) {
            Some(Value::Latency(latency)) => latency,
            _ => LatencyRange::constant(Duration::ZERO),
        }
    }

    /// The nanoseconds of this field; none is zero.
    pub fn difference(&self, name: &str) -> i64 {
        match self.get(name) {
            Some(Value::Difference(nanos)) => nanos,
            _ => 0,
        }
    }

    /// The duration of this field.
    pub fn duration(&self, name: &str) -> Duration {
        match self.get(name) {
            Some(Value::Duration(duration)) => duration,
            _ => Duration::ZERO,
        }
    }

    /// The time that this field adds to a packet's; none is none.
    pub fn extra_delay(&self, name: &str) -> ExtraDelay {
        match self.get(name) {
            Some(Value::ExtraDelay(delay)) => delay,
            _ => ExtraDelay::NONE,
        }
    }

    /// The word of this field, if it is given.
    pub fn word(&self, name: &str) -> Option<&'static str> {
        match self.get(name) {
            Some(Value::Word(word)) => Some(word),
            _ => None,
        }
    }

    /// The number of this field; none is zero.
    pub fn count(&self, name: &str) -> u32 {
        match self.get(name) {
            Some(Value::Count(count)) => count,
            _ => 0,
        }
    }

    /// The fields that a file needs to say the same: differences of zero are left out, unless nothing else is there.
    pub fn written(&self) -> impl Iterator<Item = (&'static str, Value)> {
        let is_zero = |value: Value| value == Value::Difference(0);
        let all_zero = self.0.iter().all(|(_, value)| is_zero(*value));
        let all = self.0.iter().enumerate();
        all.filter(move |(at, (_, value))| !is_zero(*value) || all_zero && *at == 0)
            .map(|(_, field)| *field)
    }
}

impl fmt::Display for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said: Vec<String> = (self.written())
            .map(|(name, value)| format!("{name} {value}"))
            .collect();
        f.write_str(&said.join(", "))
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latency(latency) => latency.fmt(f),
            Self::Duration(duration) => f.write_str(&format_duration(*duration)),
            Self::Count(count) => count.fmt(f),
            Self::ExtraDelay(delay) => delay.fmt(f),
            Self::Word(word) => f.write_str(word),
            Self::Difference(nanos) => {
                let sign = match nanos {
                    ..0 => "-",
                    0 => "",
                    1.. => "+",
                };
                let amount = Duration::from_nanos(nanos.unsigned_abs());
                write!(f, "{sign}{}", format_duration(amount))
            }
        }
    }
}

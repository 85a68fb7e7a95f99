//! Moments and differences, exact to the nanosecond. Never a binary float: `1621464827.959498503`
//! does not fit into one.

use std::fmt;
use std::time::Duration;

use super::{decimal, digits};

const NANOS_PER_SECOND: i128 = 1_000_000_000;

/// A POSIX time: whole seconds since 1970 and nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    seconds: u64,
    nanos: u32,
}

impl Timestamp {
    /// A time of `seconds` and `nanos` (less than a second's worth; more carries over).
    pub fn new(seconds: u64, nanos: u32) -> Self {
        Self {
            seconds: seconds.saturating_add(u64::from(nanos / 1_000_000_000)),
            nanos: nanos % 1_000_000_000,
        }
    }

    /// Parses digits with an optional fraction of 1 to 9 digits. No sign, no exponent, no `nan`.
    ///
    /// Seconds past [`u64::MAX`] are no time.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let (whole, fraction) = decimal(text)?;
        if fraction.len() > 9 {
            return None;
        }
        let missing = 9 - u32::try_from(fraction.len()).ok()?;
        let nanos = match fraction {
            [] => 0,
            some => digits::<u32>(some)? * 10u32.pow(missing),
        };
        Some(Self {
            seconds: digits(whole)?,
            nanos,
        })
    }

    /// This time plus `duration`, held at the largest time there is.
    #[must_use]
    pub fn saturating_add(self, duration: Duration) -> Self {
        Self {
            seconds: self.seconds.saturating_add(duration.as_secs()),
            nanos: 0,
        }
        .plus_nanos(self.nanos + duration.subsec_nanos())
    }

    fn plus_nanos(self, nanos: u32) -> Self {
        Self::new(self.seconds, nanos)
    }

    /// Nanoseconds since 1970.
    pub fn as_nanos(self) -> i128 {
        i128::from(self.seconds) * NANOS_PER_SECOND + i128::from(self.nanos)
    }

    /// The time that is `nanos` after 1970.
    pub fn from_nanos(nanos: u128) -> Self {
        let seconds = u64::try_from(nanos / 1_000_000_000).unwrap_or(u64::MAX);
        // A remainder below a thousand million fits.
        let below = u32::try_from(nanos % 1_000_000_000).unwrap_or_default();
        Self {
            seconds,
            nanos: below,
        }
    }
}

/// Seconds, a point, nine digits.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:09}", self.seconds, self.nanos)
    }
}

/// How far a server's clock was ahead of the time that a client gave, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Skew(i128);

impl Skew {
    /// The server's `clock` less the client's `time`.
    pub fn between(clock: Timestamp, time: Timestamp) -> Self {
        Self(clock.as_nanos() - time.as_nanos())
    }

    /// The difference in nanoseconds.
    pub fn as_nanos(self) -> i128 {
        self.0
    }

    /// Parses what [`Display`](fmt::Display) prints and nothing else, so that a skew has one
    /// spelling and two servers can't hold one record in two forms.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let (&sign, rest) = text.split_first()?;
        let (whole, fraction) = decimal(rest)?;
        if fraction.len() != 9 || (whole.len() > 1 && whole[0] == b'0') {
            return None;
        }
        let nanos = i128::from(digits::<u64>(whole)?) * NANOS_PER_SECOND
            + i128::from(digits::<u32>(fraction)?);
        match sign {
            b'+' => Some(Self(nanos)),
            b'-' if nanos != 0 => Some(Self(-nanos)),
            _ => None,
        }
    }
}

/// Always with sign, seconds, a point and nine digits: `+0.263873386`, `-3600.000000001`.
impl fmt::Display for Skew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { '-' } else { '+' };
        let nanos = self.0.unsigned_abs();
        write!(
            f,
            "{sign}{}.{:09}",
            nanos / NANOS_PER_SECOND.unsigned_abs(),
            nanos % NANOS_PER_SECOND.unsigned_abs()
        )
    }
}

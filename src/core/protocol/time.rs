//! Times and differences, exact to the nanosecond. Binary floats are never used:
//! `1621464827.959498503` does not fit into one.

use std::fmt::{self, Write as _};
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
    /// The beginning of 1970.
    pub const EPOCH: Self = Self {
        seconds: 0,
        nanos: 0,
    };

    /// A time of `seconds` and `nanos`, of which a second or more carries over.
    pub fn new(seconds: u64, nanos: u32) -> Self {
        Self {
            seconds: seconds.saturating_add(u64::from(nanos / 1_000_000_000)),
            nanos: nanos % 1_000_000_000,
        }
    }

    /// Parses digits with an optional fraction of 1 to 9 digits. No sign, no exponent, no `nan`.
    ///
    /// Seconds past [`u64::MAX`] are an error.
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

    /// This time plus `duration`, at most the largest time there is.
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
        // A remainder below a billion fits into 32 bits.
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

impl Skew {
    /// The text that [`Display`](fmt::Display) prints.
    pub fn text(self) -> SkewText {
        let (mut seconds, mut nanos) = self.split();
        let mut text = SkewText {
            bytes: [0; SkewText::LONGEST],
            from: SkewText::LONGEST,
        };
        for _ in 0..9 {
            nanos = text.push_digit(nanos);
        }
        text.push_front(b'.');
        seconds = text.push_digit(seconds);
        while seconds > 0 {
            seconds = text.push_digit(seconds);
        }
        text.push_front(if self.0 < 0 { b'-' } else { b'+' });
        text
    }

    /// Seconds and nanoseconds, without sign. Only the skew of a clock that is wrong by centuries
    /// needs a division of 128 bits, which is slow.
    fn split(self) -> (u64, u64) {
        const SECOND: u64 = 1_000_000_000;
        let nanos = self.0.unsigned_abs();
        if let Ok(nanos) = u64::try_from(nanos) {
            return (nanos / SECOND, nanos % SECOND);
        }
        let fits = |part: u128| u64::try_from(part).unwrap_or(u64::MAX);
        let second = u128::from(SECOND);
        (fits(nanos / second), fits(nanos % second))
    }
}

/// Always with sign, seconds, a point and nine digits: `+0.263873386`, `-3600.000000001`.
impl fmt::Display for Skew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text().fmt(f)
    }
}

/// A skew as text, on the stack: each IAMAT needs one.
#[derive(Clone, Copy, Debug)]
pub struct SkewText {
    bytes: [u8; Self::LONGEST],
    from: usize,
}

impl SkewText {
    /// A sign, the digits of the largest `u64`, a point and nine digits.
    const LONGEST: usize = 1 + 20 + 1 + 9;

    /// The text of the skew, in ASCII.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[self.from..]
    }

    fn push_front(&mut self, byte: u8) {
        self.from -= 1;
        self.bytes[self.from] = byte;
    }

    /// Puts the last digit of `number` in front, and returns the digits before it.
    fn push_digit(&mut self, number: u64) -> u64 {
        // A remainder below ten fits into 8 bits.
        self.push_front(b'0' + u8::try_from(number % 10).unwrap_or_default());
        number / 10
    }
}

impl fmt::Display for SkewText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_bytes()
            .iter()
            .try_for_each(|&byte| f.write_char(char::from(byte)))
    }
}

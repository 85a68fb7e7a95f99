//! Sets of clients, as servers call them when they compare what they know.

use std::fmt;

/// A set of clients: those whose hash begins with these hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix {
    /// The digits, in the highest bits; the rest is zero.
    bits: u64,
    digits: u8,
}

impl Prefix {
    /// All clients.
    pub const ROOT: Self = Self { bits: 0, digits: 0 };

    /// How many digits a hash has, and so how long a prefix can be.
    pub const MOST_DIGITS: u8 = 16;

    /// How many digits there are to go on with.
    pub const FAN_OUT: u8 = 16;

    /// How many digits this prefix has.
    pub fn len(self) -> u8 {
        self.digits
    }

    /// Whether this is [`ROOT`](Self::ROOT).
    pub fn is_empty(self) -> bool {
        self.digits == 0
    }

    /// The smallest hash that begins so.
    pub fn first(self) -> u64 {
        self.bits
    }

    /// Whether `hash` begins so.
    pub fn contains(self, hash: u64) -> bool {
        self.digits == 0 || (hash ^ self.bits) >> (64 - 4 * u32::from(self.digits)) == 0
    }

    /// The sixteen prefixes that are one digit longer; none where there is no longer one.
    pub fn children(self) -> impl DoubleEndedIterator<Item = Self> {
        (0..Self::FAN_OUT).filter_map(move |digit| self.child(digit))
    }

    /// The prefix that is longer by this digit, if there is one.
    pub fn child(self, digit: u8) -> Option<Self> {
        if self.digits == Self::MOST_DIGITS || digit >= Self::FAN_OUT {
            return None;
        }
        let shift = 4 * u32::from(Self::MOST_DIGITS - self.digits - 1);
        Some(Self {
            bits: self.bits | u64::from(digit) << shift,
            digits: self.digits + 1,
        })
    }

    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        if text == b"-" {
            return Some(Self::ROOT);
        }
        if text.is_empty() || text.len() > usize::from(Self::MOST_DIGITS) {
            return None;
        }
        let digits = u8::try_from(text.len()).ok()?;
        let bits = hex(text)? << (4 * u32::from(Self::MOST_DIGITS - digits));
        Some(Self { bits, digits })
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.digits == 0 {
            return f.write_str("-");
        }
        let shift = 4 * u32::from(Self::MOST_DIGITS - self.digits);
        write!(
            f,
            "{:0width$x}",
            self.bits >> shift,
            width = usize::from(self.digits)
        )
    }
}

/// Lower-case hexadecimal digits alone: one spelling for each number.
pub(super) fn hex(text: &[u8]) -> Option<u64> {
    let plain = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if !text.iter().all(plain) {
        return None;
    }
    u64::from_str_radix(std::str::from_utf8(text).ok()?, 16).ok()
}

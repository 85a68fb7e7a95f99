//! Sets of clients, as set reconciliation names them.

use std::fmt;

/// The set of clients whose hash begins with these hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix {
    /// The digits, in the highest bits; the rest is zero.
    bits: u64,
    digits: u8,
}

impl Prefix {
    /// The set of all clients.
    pub const ROOT: Self = Self { bits: 0, digits: 0 };

    /// How many digits a hash has, which is the length of the longest prefix.
    pub const MOST_DIGITS: u8 = 16;

    /// How many prefixes are one digit longer than a given one.
    pub const FAN_OUT: u8 = 16;

    /// How many digits this prefix has.
    pub fn len(self) -> u8 {
        self.digits
    }

    /// Whether this is [`ROOT`](Self::ROOT).
    pub fn is_empty(self) -> bool {
        self.digits == 0
    }

    /// The smallest hash that begins with this prefix.
    pub fn first(self) -> u64 {
        self.bits
    }

    /// Whether `hash` begins with this prefix.
    pub fn contains(self, hash: u64) -> bool {
        self.digits == 0 || (hash ^ self.bits) >> (64 - 4 * u32::from(self.digits)) == 0
    }

    /// The sixteen prefixes that are one digit longer; none if this one is as long as a hash.
    pub fn children(self) -> impl DoubleEndedIterator<Item = Self> {
        (0..Self::FAN_OUT).filter_map(move |digit| self.child(digit))
    }

    /// The prefix that is longer by this digit; `None` if that would exceed a hash.
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

/// Parses lower-case hexadecimal digits alone, so that a number of a given length has one spelling.
pub(super) fn hex(text: &[u8]) -> Option<u64> {
    let plain = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if !text.iter().all(plain) {
        return None;
    }
    u64::from_str_radix(std::str::from_utf8(text).ok()?, 16).ok()
}

//! A location on Earth as a client writes it (ISO 6709, decimal degrees), and the radius of a
//! search around it.

use super::{at_most, decimal};

/// Latitude and longitude as written: `+34.068930-118.445127`. Each has an explicit sign, and is in
/// range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Location<'a> {
    text: &'a [u8],
    longitude_from: usize,
}

impl<'a> Location<'a> {
    /// Parses sign, digits, optional fraction, twice; |latitude| <= 90, |longitude| <= 180.
    pub fn parse(text: &'a [u8]) -> Option<Self> {
        let longitude_from = 1 + text
            .get(1..)?
            .iter()
            .position(|byte| matches!(byte, b'+' | b'-'))?;
        let (latitude, longitude) = text.split_at(longitude_from);
        (degrees(latitude, 90) && degrees(longitude, 180)).then_some(Self {
            text,
            longitude_from,
        })
    }

    /// Latitude and longitude, as written.
    pub fn text(self) -> &'a [u8] {
        self.text
    }

    /// The latitude with its sign, as written.
    pub fn latitude(self) -> &'a [u8] {
        &self.text[..self.longitude_from]
    }

    /// The longitude with its sign, as written.
    pub fn longitude(self) -> &'a [u8] {
        &self.text[self.longitude_from..]
    }
}

/// Whether the text is a sign and a decimal of at most `limit`.
fn degrees(text: &[u8], limit: u64) -> bool {
    let Some((b'+' | b'-', rest)) = text.split_first() else {
        return false;
    };
    decimal(rest).is_some_and(|(whole, fraction)| at_most(whole, fraction, limit))
}

/// A radius in kilometres, 0 to 50, decimals allowed, as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Radius<'a> {
    text: &'a [u8],
    whole: &'a [u8],
    fraction: &'a [u8],
}

impl<'a> Radius<'a> {
    /// The largest radius that a client may request, in kilometres.
    pub const MOST_KILOMETRES: u64 = 50;

    /// Parses an unsigned decimal of at most 50.
    pub fn parse(text: &'a [u8]) -> Option<Self> {
        let (whole, fraction) = decimal(text)?;
        at_most(whole, fraction, Self::MOST_KILOMETRES).then_some(Self {
            text,
            whole,
            fraction,
        })
    }

    /// The kilometres, as written.
    pub fn text(self) -> &'a [u8] {
        self.text
    }

    /// The metres, exactly: the decimal point moved by three, without needless zeros.
    pub fn metres(self) -> String {
        let mut digits: Vec<u8> = [self.whole, self.fraction].concat();
        let point = self.whole.len() + 3;
        while digits.len() < point {
            digits.push(b'0');
        }
        let (whole, fraction) = digits.split_at(point);
        let whole = String::from_utf8_lossy(whole);
        let fraction = String::from_utf8_lossy(fraction);
        let (whole, fraction) = (
            whole.trim_start_matches('0'),
            fraction.trim_end_matches('0'),
        );
        let whole = if whole.is_empty() { "0" } else { whole };
        if fraction.is_empty() {
            whole.to_owned()
        } else {
            format!("{whole}.{fraction}")
        }
    }
}

//! The two line languages: that of clients ([`client`]) and that between servers ([`peer`]).
//!
//! Everything here is pure: bytes in, values out, and back. Nothing need be UTF-8. Text that is
//! echoed is kept as it was written; only its meaning is parsed.

pub mod answers;
pub mod client;
pub mod location;
pub mod peer;
mod prefix;
pub mod record;
pub mod time;

#[cfg(test)]
mod tests;

/// Whether `byte` separates fields: space, tab, CR, LF, FF or VT.
pub const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | 0x0c | 0x0b)
}

/// The fields of a line: its longest runs of bytes that are not white space.
pub fn fields(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = line;
    std::iter::from_fn(move || {
        let begin = rest.iter().position(|&byte| !is_space(byte))?;
        rest = &rest[begin..];
        let (field, behind) = rest.split_at(until_space(rest));
        rest = behind;
        Some(field)
    })
}

/// The number of bytes before the first white space, or the end. Each line is searched for it,
/// eight bytes at a time: byte by byte it was a tenth of what an update costs outside the system.
fn until_space(text: &[u8]) -> usize {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let mut at = 0;
    while let Some(eight) = text[at..].first_chunk() {
        let eight = u64::from_le_bytes(*eight);
        // The high bit of each byte below 0x21 is set; behind the first such byte, other high bits
        // may be set, too (Bit Twiddling Hacks, "Determine if a word has a byte less than n").
        let low = eight.wrapping_sub(EACH * 0x21) & !eight & (EACH * 0x80);
        if low == 0 {
            at += 8;
            continue;
        }
        at += (low.trailing_zeros() / 8) as usize;
        if is_space(text[at]) {
            return at;
        }
        // Another control character is not white space.
        at += 1;
    }
    let rest = text[at..].iter().position(|&byte| is_space(byte));
    rest.map_or(text.len(), |rest| at + rest)
}

/// Exactly `N` fields, or `None` when there are more or fewer.
pub(crate) fn exactly<'a, const N: usize>(
    mut fields: impl Iterator<Item = &'a [u8]>,
) -> Option<[&'a [u8]; N]> {
    let mut taken = [&b""[..]; N];
    for slot in &mut taken {
        *slot = fields.next()?;
    }
    fields.next().is_none().then_some(taken)
}

/// A whole number written in decimal digits alone: no sign, no blank, no overflow.
pub(crate) fn digits<T: TryFrom<u64>>(text: &[u8]) -> Option<T> {
    if text.is_empty() {
        return None;
    }
    let mut value = 0_u64;
    for byte in text {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value.checked_mul(10)?.checked_add(u64::from(digit))?;
    }
    T::try_from(value).ok()
}

/// Splits an unsigned decimal into its whole part and its fraction, both digits alone.
///
/// The fraction is empty without a point; a point with nothing before or behind it is no decimal.
pub(crate) fn decimal(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (whole, rest) = text.split_at(digits(text));
    let is_decimal = match rest {
        [] => !whole.is_empty(),
        [b'.', fraction @ ..] => {
            !whole.is_empty() && !fraction.is_empty() && digits(fraction) == fraction.len()
        }
        _ => false,
    };
    is_decimal.then(|| (whole, rest.get(1..).unwrap_or_default()))
}

/// Whether the decimal `whole.fraction` (digits, from [`decimal`]) is at most `limit`, exactly.
pub(crate) fn at_most(whole: &[u8], fraction: &[u8], limit: u64) -> bool {
    let zeros = whole.iter().take_while(|&&digit| digit == b'0').count();
    let significant = &whole[zeros..];
    // A number that overflows is above any limit that callers pass.
    let value: u64 = match significant {
        [] => 0,
        some => match digits(some) {
            Some(value) => value,
            None => return false,
        },
    };
    value < limit || (value == limit && fraction.iter().all(|&digit| digit == b'0'))
}

/// Bytes as text for people and for JSON, without loss.
///
/// Printable UTF-8 stays; a backslash is doubled; everything else is `\n`, `\r`, `\t` or `\xNN`.
pub fn escape(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        let mut rest = chunk.valid();
        loop {
            // Most text needs no escape, and a log may have a megabyte of it, so such text is
            // copied at once.
            let is_plain = |byte: &u8| matches!(byte, b' '..=b'~') && *byte != b'\\';
            let plain = rest.bytes().take_while(is_plain).count();
            text.push_str(&rest[..plain]);
            let mut behind = rest[plain..].chars();
            let Some(character) = behind.next() else {
                break;
            };
            rest = behind.as_str();
            match character {
                '\\' => text.push_str("\\\\"),
                '\n' => text.push_str("\\n"),
                '\r' => text.push_str("\\r"),
                '\t' => text.push_str("\\t"),
                _ if character.is_control() || is_invisible(character) => {
                    let mut utf8 = [0; 4];
                    for byte in character.encode_utf8(&mut utf8).bytes() {
                        let _ = write!(text, "\\x{byte:02x}");
                    }
                }
                _ => text.push(character),
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

/// Text for people, on one line: control and invisible characters as [`escape`] writes them, and
/// everything else, backslashes too, as it is.
pub fn visible(text: &str) -> String {
    escape(text.as_bytes()).replace("\\\\", "\\")
}

/// Characters that would change how the rest of a line looks (bidirectional controls, line and
/// paragraph separators, zero-width characters), so that a hostile name can't fake a report.
fn is_invisible(character: char) -> bool {
    matches!(character,
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// The bytes that [`escape`] was given, or `None` if `text` has an escape that it never writes.
pub fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        bytes.push(match rest.next()? {
            b'\\' => b'\\',
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'x' => {
                let high = char::from(rest.next()?).to_digit(16)?;
                let low = char::from(rest.next()?).to_digit(16)?;
                u8::try_from(high * 16 + low).ok()?
            }
            _ => return None,
        });
    }
    Some(bytes)
}

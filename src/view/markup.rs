//! Text of a trace in an SVG: escaped, shortened and measured.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::html::escape;
use crate::protocol::visible;

/// Escapes text for the inside of an XML element or of a quoted attribute. Control and invisible
/// characters are written as in stories; characters that XML cannot contain become U+FFFD.
pub(crate) fn text(text: &str) -> String {
    escape(&visible(text)).replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}")
}

/// The text, shortened to `most` columns with `…` at its end if it is wider.
pub(super) fn cut(text: &str, most: usize) -> String {
    if text.width() <= most {
        return text.to_owned();
    }
    let mut taken = 0;
    let kept = text.chars().take_while(|sign| {
        taken += sign.width().unwrap_or(0);
        taken < most
    });
    kept.chain(['…']).collect()
}

/// An upper estimate of a text's width in pixels. The reader's font is not known, so it is rather
/// too wide.
pub(super) fn pixels(text: &str) -> i64 {
    let one = |sign: char| match sign {
        'W' | 'M' | 'm' | 'w' | '@' | '%' => 11,
        'i' | 'j' | 'l' | 't' | 'f' | 'I' | '.' | ',' | ':' | '-' | ' ' => 4,
        sign if sign.is_uppercase() => 9,
        sign => 7 * i64::try_from(sign.width().unwrap_or(0)).unwrap_or(0),
    };
    let by_count = 7 * i64::try_from(text.width()).unwrap_or(i64::MAX / 16);
    text.chars().map(one).sum::<i64>().max(by_count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_client_is_called_stays_text() {
        assert_eq!(
            text("</script>&<b a=\"1\" b='2'>"),
            "&lt;/script&gt;&amp;&lt;b a=&quot;1&quot; b=&#39;2&#39;&gt;"
        );
        assert_eq!(text("a\u{0}b\u{202e}c"), "a\\x00b\\xe2\\x80\\xaec");
    }

    #[test]
    fn long_text_is_cut_by_what_it_takes() {
        assert_eq!(cut("žluťoučký", 9), "žluťoučký");
        assert_eq!(cut("žluťoučký", 5), "žluť…");
        assert_eq!(cut("日本語", 6), "日本語");
        assert_eq!(cut("日本語", 5), "日本…");
        assert_eq!(cut("日本語", 4), "日…");
    }

    #[test]
    fn a_text_has_room_for_its_widest_signs() {
        assert_eq!(pixels("Campbell"), 56);
        assert_eq!(pixels("日本語"), 42);
        assert_eq!(pixels("WWWW"), 44);
    }
}

//! Text of a trace in an SVG: it stays text, whatever is in it.

use super::html::escape;
use crate::protocol::visible;

/// Text as the inside of an element or of a quoted attribute of XML. Control and invisible characters are written as they
/// are in stories; what no XML can hold is a sign for something that can't be shown.
pub(super) fn text(text: &str) -> String {
    escape(&visible(text)).replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}")
}

/// The beginning of a text that is longer than so many characters, with `…` at its end.
pub(super) fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let kept = text.chars().take(most.saturating_sub(1));
    kept.chain(['…']).collect()
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
    fn long_text_is_cut_by_characters() {
        assert_eq!(cut("žluťoučký", 9), "žluťoučký");
        assert_eq!(cut("žluťoučký", 5), "žluť…");
    }
}

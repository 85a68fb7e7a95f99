//! Escapes text of a trace for HTML, so that it stays text.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{SHA256, digest};

/// Escapes text for the inside of an element or of a quoted attribute.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            // HTML has no way to write these control characters.
            '\0'..='\u{8}' | '\u{b}'..='\u{1f}' | '\u{7f}' => escaped.push('\u{fffd}'),
            _ => escaped.push(character),
        }
    }
    escaped
}

/// The value as JSON for a script element: nothing in it can end the element or begin a comment.
pub(super) fn json(value: &impl serde::Serialize) -> String {
    // These types have no map with non-string keys and no failing Serialize, so this cannot fail.
    let json = serde_json::to_string(value).unwrap_or_default();
    let mut escaped = String::with_capacity(json.len());
    for character in json.chars() {
        match character {
            // Outside strings JSON does not contain these characters, so escaping them keeps it
            // valid.
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                let _ = write!(escaped, "\\u{:04x}", u32::from(character));
            }
            _ => escaped.push(character),
        }
    }
    escaped
}

/// The source expression by which a Content-Security-Policy allows a script or style element with
/// exactly this text.
pub(super) fn policy_hash(text: &str) -> String {
    format!(
        "'sha256-{}'",
        STANDARD.encode(digest(&SHA256, text.as_bytes()))
    )
}

/// A page without code. `title` is escaped, `body` is HTML.
pub(super) fn framed(title: &str, style: &str, body: &str) -> String {
    let title = escape(title);
    let policy = format!("default-src 'none'; style-src {}", policy_hash(style));
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}</title>\n<style>{style}</style>\n</head>\n<body>\n\
         <h1>{title}</h1>\n{body}</body>\n</html>\n"
    )
}

/// Replaces each `{{name}}` of a template in one pass: inserted text is not searched again.
pub(super) fn fill(template: &str, parts: &[(&str, &str)]) -> String {
    let room: usize = parts.iter().map(|(_, part)| part.len()).sum();
    let mut text = String::with_capacity(template.len() + room);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        text.push_str(before);
        let Some((name, behind)) = after.split_once("}}") else {
            break;
        };
        let part = parts.iter().find(|(known, _)| *known == name);
        text.push_str(part.map_or("", |(_, part)| part));
        rest = behind;
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_text_is_a_tag_or_ends_an_attribute() {
        let hostile = "</script><img src=x onerror='a()'>\"&\0";
        let escaped = escape(hostile);
        assert!(!escaped.contains(['<', '>', '"', '\'', '\0']), "{escaped}");
        assert_eq!(escape("a & b"), "a &amp; b");
    }

    #[test]
    fn json_ends_no_script_and_reads_back_as_it_was() {
        let hostile = "</script><!--<script>\u{2028}&";
        let escaped = json(&hostile);
        assert!(!escaped.contains(['<', '>', '&', '\u{2028}']), "{escaped}");
        assert_eq!(serde_json::from_str::<String>(&escaped).unwrap(), hostile);
    }

    #[test]
    fn what_is_put_in_is_not_looked_at_again() {
        let filled = fill("{{a}}-{{b}}", &[("a", "{{b}}"), ("b", "2")]);
        assert_eq!(filled, "{{b}}-2");
    }

    #[test]
    fn a_hash_is_what_browsers_compute() {
        // The example of the specification of Content Security Policy.
        assert_eq!(
            policy_hash("alert('Hello, world.');"),
            "'sha256-qznLcsROx4GACP2dm0UCKCzCG+HiZ1guq6ZZDob/Tng='"
        );
    }
}

//! Finds the end of the body after an AT line by its own content, since herds send different
//! numbers of line feeds after it, or none.

/// The deepest nesting of brackets. No answer of Places exceeds it, and `serde_json` has the same
/// limit.
const DEEPEST: usize = 128;

/// A body that arrives in parts. Each byte is examined once.
#[derive(Default)]
pub(super) struct Body {
    /// All bytes before this position were examined.
    at: usize,
    /// The closing brackets that are still missing.
    open: Vec<u8>,
    inside: Inside,
    /// The end of the first blank line. A body that is not JSON ends there.
    blank: Option<usize>,
}

/// The context of the next byte.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Inside {
    #[default]
    Structure,
    Text,
    /// After a backslash in a text.
    Escape,
    /// In a body that is not JSON.
    Nonsense,
}

impl Body {
    /// The body's length, once it is complete. `bytes` must begin with the body and only grow
    /// between calls.
    pub(super) fn length(&mut self, bytes: &[u8]) -> Option<usize> {
        while let Some(&byte) = bytes.get(self.at) {
            if self.blank.is_none() && byte == b'\n' && bytes[..self.at].ends_with(b"\n") {
                self.blank = Some(self.at + 1);
            }
            if self.inside == Inside::Nonsense && self.blank.is_some() {
                break;
            }
            self.at += 1;
            self.inside = self.behind(byte);
            if self.inside == Inside::Structure && self.open.is_empty() {
                return Some(self.at);
            }
        }
        self.blank.filter(|_| self.inside == Inside::Nonsense)
    }

    /// The context after `byte`.
    fn behind(&mut self, byte: u8) -> Inside {
        let is_first = self.at == 1;
        match self.inside {
            Inside::Nonsense => Inside::Nonsense,
            Inside::Escape => Inside::Text,
            Inside::Text => match byte {
                b'"' => Inside::Structure,
                b'\\' => Inside::Escape,
                b' '.. => Inside::Text,
                // Control characters must be escaped in a JSON string.
                _ => Inside::Nonsense,
            },
            Inside::Structure => match byte {
                b'{' | b'[' if self.open.len() < DEEPEST => {
                    // In ASCII a closing bracket's code is that of the opening one plus two.
                    self.open.push(byte + 2);
                    Inside::Structure
                }
                _ if is_first => Inside::Nonsense,
                b'}' | b']' if self.open.last() == Some(&byte) => {
                    self.open.pop();
                    Inside::Structure
                }
                b'"' => Inside::Text,
                b',' | b':' | b'+' | b'-' | b'.' | b'E' | b' ' | b'\t' | b'\r' | b'\n' => {
                    Inside::Structure
                }
                byte if byte.is_ascii_digit() || byte.is_ascii_lowercase() => Inside::Structure,
                _ => Inside::Nonsense,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Body;

    /// The length of the body at the beginning of `text`, for several ways of splitting the text.
    fn length(text: &str) -> Option<usize> {
        let all = [1, 3, text.len().max(1)].map(|cut| {
            let mut body = Body::default();
            let ends = (cut..text.len() + cut).step_by(cut);
            ends.map(|end| end.min(text.len()))
                .find_map(|end| body.length(&text.as_bytes()[..end]))
        });
        assert!(all.iter().all(|one| *one == all[0]), "{text}: {all:?}");
        all[0]
    }

    #[test]
    fn json_ends_where_its_brackets_do() {
        for body in [
            "{}",
            "{\"a\" : [1, -2.5e+3, true, null]}",
            "{\"}\\\"]\": \"\\\\\"}",
            "[{\"a\":[]}]",
            "{\n\n \"blank lines\":\n\n []\n}",
        ] {
            for behind in ["", "\n", "\n\n", "\r\n\r\n", "AT Riley", "}", "{}"] {
                assert_eq!(length(&format!("{body}{behind}")), Some(body.len()));
            }
            assert_eq!(length(&body[..body.len() - 1]), None, "{body}");
        }
    }

    #[test]
    fn what_is_no_json_ends_with_a_blank_line() {
        for body in [
            "Internal error\n\n",
            "{\"results\":[}\n\n",
            "{\"results\":\n\n",
            "{\"a\": \"line\n\n",
            "]\n\n",
        ] {
            assert_eq!(
                length(&format!("{body}AT Riley")),
                Some(body.len()),
                "{body}"
            );
        }
        assert_eq!(length("Internal error\nAT Riley"), None);
        assert_eq!(length(&"[".repeat(1000)), None);
    }
}

//! Cuts an answer of Places to a number of places, byte for byte.
//!
//! The functions are pure. Printing parsed JSON would change indentation, order, escapes and
//! numbers, so the text is only measured: `serde_json` checks that it is JSON, and a scanner finds
//! where the places begin and end.

use std::ops::Range;

use serde::de::IgnoredAny;

/// Why an answer can't be cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrimError {
    /// It is not a JSON object in UTF-8.
    NotAnObject,
    /// Its list of places is not an array.
    NotAList,
}

/// An answer after the cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trimmed {
    /// The text that remains.
    pub text: Vec<u8>,
    /// Whether the answer contains a list of places.
    pub has_list: bool,
}

/// Keeps up to `bound` elements of the array `list` at the top of the object `body`. It also
/// reduces LFs in a row to one and removes those at the end. All other bytes stay.
///
/// An object that contains `list` repeatedly is read differently by different parsers, so each of
/// them is cut.
pub fn trim(body: &[u8], list: &str, bound: usize) -> Result<Trimmed, TrimError> {
    let text = std::str::from_utf8(body).map_err(|_| TrimError::NotAnObject)?;
    // The scanner relies on valid JSON, and so needs only a part of its grammar.
    serde_json::from_str::<IgnoredAny>(text).map_err(|_| TrimError::NotAnObject)?;
    let mut scanner = Scanner { body, at: 0 };
    if scanner.peek() != Some(b'{') {
        return Err(TrimError::NotAnObject);
    }
    let mut kept = Vec::with_capacity(body.len());
    let (mut from, mut has_list) = (0, false);
    for member in scanner.members() {
        if !is_key(&text[member.key], list) {
            continue;
        }
        has_list = true;
        if body.get(member.value.start) != Some(&b'[') {
            return Err(TrimError::NotAList);
        }
        if let Some(cut) = surplus(body, member.value, bound) {
            kept.extend_from_slice(&body[from..cut.start]);
            from = cut.end;
        }
    }
    kept.extend_from_slice(&body[from..]);
    let text = without_blank_lines(&kept);
    Ok(Trimmed { text, has_list })
}

/// The same bytes without two LFs in a row and without LFs at the end.
pub(super) fn without_blank_lines(body: &[u8]) -> Vec<u8> {
    let mut kept: Vec<u8> = Vec::with_capacity(body.len());
    for &byte in body {
        if byte != b'\n' || kept.last() != Some(&b'\n') {
            kept.push(byte);
        }
    }
    if kept.last() == Some(&b'\n') {
        kept.pop();
    }
    kept
}

/// The range to cut from the array at `array` so that `bound` elements remain, if there are more.
/// White space after the last element stays, so the closing bracket keeps its place.
fn surplus(body: &[u8], array: Range<usize>, bound: usize) -> Option<Range<usize>> {
    let inside = &body[..array.end];
    let elements = Scanner {
        body: inside,
        at: array.start,
    }
    .elements();
    let last = elements.last().filter(|_| elements.len() > bound)?;
    Some(match bound.checked_sub(1) {
        Some(kept) => elements[kept].end..last.end,
        None => array.start + 1..array.end - 1,
    })
}

/// Whether the JSON string `text` means `key`, with or without escapes.
fn is_key(text: &str, key: &str) -> bool {
    serde_json::from_str::<String>(text).is_ok_and(|spelled| spelled == key)
}

/// The positions of a member of an object.
struct Member {
    key: Range<usize>,
    value: Range<usize>,
}

/// Finds where values begin and end in text that is valid JSON. On other text it finds wrong
/// positions, but it always ends.
struct Scanner<'a> {
    body: &'a [u8],
    at: usize,
}

impl Scanner<'_> {
    /// The next byte that is not white space.
    fn peek(&mut self) -> Option<u8> {
        loop {
            match self.body.get(self.at)? {
                b' ' | b'\t' | b'\r' | b'\n' => self.at += 1,
                &byte => return Some(byte),
            }
        }
    }

    /// The members of the object that begins here.
    fn members(&mut self) -> Vec<Member> {
        let mut members = Vec::new();
        self.at += 1;
        while let Some(byte) = self.peek() {
            match byte {
                b'}' => break,
                b',' => self.at += 1,
                _ => {
                    let key = self.value();
                    if self.peek() == Some(b':') {
                        self.at += 1;
                    }
                    self.peek();
                    let value = self.value();
                    members.push(Member { key, value });
                }
            }
        }
        members
    }

    /// The elements of the array that begins here.
    fn elements(&mut self) -> Vec<Range<usize>> {
        let mut elements = Vec::new();
        self.at += 1;
        while let Some(byte) = self.peek() {
            match byte {
                b']' => break,
                b',' => self.at += 1,
                _ => elements.push(self.value()),
            }
        }
        elements
    }

    /// Skips the value that begins here. It needs no stack for nested values.
    fn value(&mut self) -> Range<usize> {
        let start = self.at;
        let mut depth = 0_usize;
        while let Some(&byte) = self.body.get(self.at) {
            match byte {
                b'"' => self.string(),
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                }
                b'}' | b']' => {
                    depth = depth.saturating_sub(1);
                    self.at += 1;
                }
                _ if depth > 0 => self.at += 1,
                _ => self.scalar(),
            }
            if depth == 0 {
                break;
            }
        }
        start..self.at
    }

    /// Skips a string.
    fn string(&mut self) {
        self.at += 1;
        while let Some(&byte) = self.body.get(self.at) {
            self.at += if byte == b'\\' { 2 } else { 1 };
            if byte == b'"' {
                break;
            }
        }
        self.at = self.at.min(self.body.len());
    }

    /// Skips a number or a word.
    fn scalar(&mut self) {
        // At least one byte is skipped, so the scan always makes progress.
        self.at += 1;
        while let Some(byte) = self.body.get(self.at) {
            if b" \t\r\n,]}:".contains(byte) {
                break;
            }
            self.at += 1;
        }
    }
}

#[cfg(test)]
mod tests;

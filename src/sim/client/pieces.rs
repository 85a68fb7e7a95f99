//! The writes of which a client's lines consist.

use std::time::Duration;

use crate::scenario::Rendered;

/// What is written at once.
pub(super) struct Piece {
    /// How long after the piece before.
    pub(super) after: Duration,
    pub(super) text: Vec<u8>,
    /// How many lines end in it.
    pub(super) lines: usize,
}

/// What is written at once: all lines, but for the pauses in them.
pub(super) fn pieces(lines: &[Rendered], is_unfinished: bool) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut piece = Piece {
        after: Duration::ZERO,
        text: Vec::new(),
        lines: 0,
    };
    for (number, line) in lines.iter().enumerate() {
        let mut written = 0;
        for &(at, after) in &line.waits {
            piece.text.extend_from_slice(&line.bytes[written..at]);
            written = at;
            let next = Piece {
                after,
                text: Vec::new(),
                lines: 0,
            };
            pieces.push(std::mem::replace(&mut piece, next));
        }
        piece.text.extend_from_slice(&line.bytes[written..]);
        if number + 1 < lines.len() || !is_unfinished {
            piece.text.push(b'\n');
        }
        piece.lines += 1;
    }
    pieces.push(piece);
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Template;

    /// The pieces of lines: how many milliseconds after the one before, what, and how many lines end in it.
    fn pieces_of(lines: &[&str], is_unfinished: bool) -> Vec<(u128, String, usize)> {
        let lines = lines
            .iter()
            .map(|line| Template::parse(line).unwrap().render(1, 0));
        let lines: Vec<Rendered> = lines.collect();
        let each = pieces(&lines, is_unfinished).into_iter().map(|piece| {
            let text = String::from_utf8(piece.text).unwrap();
            (piece.after.as_millis(), text, piece.lines)
        });
        each.collect()
    }

    #[test]
    fn lines_are_written_at_once_but_for_their_pauses() {
        assert_eq!(
            pieces_of(&["one", "two"], false),
            [(0, "one\ntwo\n".to_owned(), 2)]
        );
        assert_eq!(
            pieces_of(&["one", "t{wait:5ms}w{wait:7ms}o", "{wait:9ms}three"], true),
            [
                (0, "one\nt".to_owned(), 1),
                (5, "w".to_owned(), 0),
                (7, "o\n".to_owned(), 1),
                (9, "three".to_owned(), 1),
            ]
        );
        assert_eq!(
            pieces_of(&["one{wait:5ms}"], false),
            [(0, "one".to_owned(), 0), (5, "\n".to_owned(), 1)]
        );
        assert_eq!(pieces_of(&[], false), [(0, String::new(), 0)]);
    }
}

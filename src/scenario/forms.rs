//! Whether any event could ever look like a pattern. One that never can makes `times = 0` hold for nothing.

use std::sync::OnceLock;

use super::template::{Piece, pieces};
use super::{Pattern, Step};
use crate::journal::forms::{self, NUMBER, TEXT, WORD};
use crate::protocol::escape;

/// Stands for the blanks between two columns.
const BLANKS: char = '\u{e003}';

/// What `--all` prints before an event's words, from the time, from the name, from the number, or nothing.
fn beginnings() -> Vec<String> {
    let number = [format!("[{NUMBER}] "), format!("[{NUMBER} by {NUMBER}] ")];
    let mut all = vec![String::new()];
    for number in number {
        all.extend([
            format!("{NUMBER}{BLANKS}{WORD}{BLANKS}{number}"),
            format!("{WORD}{BLANKS}{number}"),
            number,
        ]);
    }
    all
}

/// The forms of all events, as they are and as `--all` prints them, which knows the other end of a connection.
fn all() -> &'static [String] {
    static ALL: OnceLock<Vec<String>> = OnceLock::new();
    ALL.get_or_init(|| {
        let mut all = forms::forms();
        let printed = all.iter().filter_map(|form| {
            if form.starts_with("affected ") {
                return Some(format!("{form}: {TEXT}"));
            }
            let (arrow, line) = form.split_once("  ")?;
            ["→", "←"]
                .contains(&arrow)
                .then(|| format!("{arrow} {WORD}  {line}"))
        });
        let printed: Vec<String> = printed.collect();
        all.extend(printed);
        all
    })
}

/// Whether some event in a run of these steps can match the pattern. `has_bodies` says that Places can answer with anything.
pub(super) fn can_match(pattern: &Pattern, steps: &[Step], has_bodies: bool) -> bool {
    let pattern = Positions::new(pattern);
    let mut begun = pattern.none();
    for beginning in beginnings() {
        let states = pattern.through(pattern.beginning(), &beginning);
        begun
            .iter_mut()
            .zip(states)
            .for_each(|(state, other)| *state |= other);
    }
    let ends = |form: &str| is_end(&pattern.through(begun.clone(), form));
    has_bodies && pattern.can_be_within("AT ")
        || all().iter().any(|form| ends(form))
        || lines(steps).iter().any(|line| {
            ["→  ", "←  ", "→  ? ", "←  ? "]
                .iter()
                .any(|arrow| ends(&format!("{arrow}{line}")))
                || ends(&format!("has no answer from {WORD} to: {line}"))
        })
}

/// What clients say, word by word.
fn lines(steps: &[Step]) -> Vec<String> {
    let clients = steps.iter().filter_map(|step| step.action.talk());
    let texts = clients.flat_map(|client| client.lines.iter().map(|line| line.send.text()));
    let mut lines: Vec<String> = texts.map(line).collect();
    lines.sort_unstable();
    lines.dedup();
    lines
}

fn line(text: &str) -> String {
    let pieces = pieces(text).unwrap_or_default().into_iter();
    let shown = pieces.map(|piece| match piece {
        Piece::Char(c) => escape(c.encode_utf8(&mut [0; 4]).as_bytes()),
        Piece::Placeholder("client") => WORD.to_string(),
        Piece::Placeholder(raw) if raw.starts_with("hex:") || raw.starts_with("fill:") => {
            TEXT.to_string()
        }
        Piece::Placeholder(_) => NUMBER.to_string(),
    });
    shown.collect()
}

/// The form that has most in common with the pattern, written as a pattern; none if it has no word in common worth speaking of.
pub(super) fn nearest(pattern: &Pattern) -> Option<String> {
    let text = pattern.text().to_lowercase();
    let wanted: Vec<&str> = words(&text);
    let likenesses = |form: &String| -> Vec<usize> {
        let form = form.to_lowercase();
        let known = words(&form);
        let best = |word: &&str| known.iter().map(|known| likeness(word, known)).max();
        wanted.iter().map(|word| best(word).unwrap_or(0)).collect()
    };
    let found = all().iter().map(|form| (likenesses(form), form));
    // Of two that have as much in common, the shorter one says less that was not meant.
    let key = |likenesses: &Vec<usize>, form: &String| {
        (
            likenesses.iter().sum::<usize>(),
            std::cmp::Reverse(form.len()),
        )
    };
    let (likenesses, form) = found.max_by_key(|(likenesses, form)| key(likenesses, form))?;
    let mut common = wanted.iter().zip(likenesses);
    let is_near = common.any(|(word, likeness)| word.len() >= 4 && likeness >= LEAST_LIKENESS);
    is_near.then(|| form.replace([WORD, NUMBER, TEXT], "*"))
}

/// How many per cent a word must have in common with another of which it is a misspelling.
const LEAST_LIKENESS: usize = 80;

/// How many per cent two words have in common.
fn likeness(a: &str, b: &str) -> usize {
    let longest = a.chars().count().max(b.chars().count()).max(1);
    100 - 100 * strsim::osa_distance(a, b).min(longest) / longest
}

fn words(text: &str) -> Vec<&str> {
    let words = text.split(|c: char| !c.is_alphanumeric());
    words.filter(|word| word.len() > 1).collect()
}

/// A pattern, as positions in it: which of them can be reached by some text of a form.
struct Positions {
    elements: Vec<Option<u8>>,
    /// Where its first byte is.
    first: usize,
}

impl Positions {
    fn new(pattern: &Pattern) -> Self {
        let elements = pattern.elements();
        let first = elements.iter().position(Option::is_some);
        Self {
            first: first.unwrap_or(elements.len()),
            elements,
        }
    }

    fn none(&self) -> Vec<bool> {
        vec![false; self.elements.len() + 1]
    }

    fn beginning(&self) -> Vec<bool> {
        let mut states = self.none();
        states[0] = true;
        self.skip_stars(&mut states);
        states
    }

    /// A star can stand for nothing.
    fn skip_stars(&self, states: &mut [bool]) {
        for (at, element) in self.elements.iter().enumerate() {
            states[at + 1] |= states[at] && element.is_none();
        }
    }

    /// Where one of the bytes that `takes` allows leads to; `takes` gets a byte's position, too.
    fn step(&self, states: &[bool], takes: impl Fn(usize, u8) -> bool) -> Vec<bool> {
        let mut next = self.none();
        for (at, element) in self
            .elements
            .iter()
            .enumerate()
            .filter(|(at, _)| states[*at])
        {
            match element {
                None => next[at] = true,
                Some(byte) if takes(at, *byte) => next[at + 1] = true,
                Some(_) => {}
            }
        }
        self.skip_stars(&mut next);
        next
    }

    /// Where any number of such bytes leads to.
    fn run(&self, mut states: Vec<bool>, takes: impl Fn(usize, u8) -> bool) -> Vec<bool> {
        loop {
            let mut more = self.step(&states, &takes);
            more.iter_mut()
                .zip(&states)
                .for_each(|(state, before)| *state |= before);
            if more == states {
                return states;
            }
            states = more;
        }
    }

    /// Where the texts of a form lead to. What is free can't hold the pattern's first word: every word could stand there, so
    /// that nothing would be misspelt.
    fn through(&self, mut states: Vec<bool>, form: &str) -> Vec<bool> {
        for c in form.chars() {
            states = match c {
                WORD => self.run(states, |_, byte| byte != b' '),
                NUMBER => self.run(states, |_, byte| {
                    byte.is_ascii_hexdigit() || b"+-.".contains(&byte)
                }),
                BLANKS => self.run(states, |_, byte| byte == b' '),
                TEXT => self.run(states, |at, _| at > self.first),
                c => {
                    let mut utf8 = [0; 4];
                    for wanted in c.encode_utf8(&mut utf8).bytes() {
                        states = self.step(&states, |_, byte| byte == wanted);
                    }
                    states
                }
            };
        }
        states
    }

    /// Whether a text that begins with an arrow and these words and goes on with anything at all can match.
    fn can_be_within(&self, words: &str) -> bool {
        ["→  ", "←  "].iter().any(|arrow| {
            let states = self.through(self.beginning(), &format!("{arrow}{words}"));
            is_end(&self.run(states, |_, _| true))
        })
    }
}

/// Whether the last position is reached.
fn is_end(states: &[bool]) -> bool {
    states.last().is_some_and(|last| *last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn can(pattern: &str) -> bool {
        can_match(&Pattern::plain(pattern).unwrap(), &[], false)
    }

    #[test]
    fn what_all_prints_fits_from_each_column_on() {
        let line = "2.010  S1    [27 by 25] → S2  AT S1 +0.005000000 kiwi +34.0-118.0 1621464829.005000000 1";
        for from in ["2.010", "S1  ", "[27", "→"] {
            let copied = &line[line.find(from).unwrap()..];
            assert!(can(copied), "{copied}");
        }
        assert!(can("affected 1 connection: CRASHES"));
        assert!(can("accepts kiwi from its client, 0 hops"));
        for seldom in [
            "ignores kiwi from *: equal time*",
            "*from 192.0.2.7: too many are connected",
            "does not take a connection of a server from 2001:db8::7: *",
            "affected 1 wake-up and 3 connections and 1 message*",
            "*wake-ups and 1 connection",
            "→  HAVE A +0.000000000 kiwi - 9 1 1",
        ] {
            assert!(can(seldom), "{seldom}");
        }
        assert!(can("*"));
    }

    #[test]
    fn a_word_that_no_event_has_fits_nothing() {
        for never in [
            "*acepts kiwi*",
            "link to Juzang is lost*",
            "this never can be the words of any event",
            "link to Juzang is down",
            "CRASHED",
            "[27 of 25] → S2  AT *",
            "→  HAVEN *",
        ] {
            let fits = can(never);
            // A line of a client can say anything, behind its arrow.
            assert_eq!(fits, never.starts_with('→'), "{never}");
        }
    }

    #[test]
    fn the_nearest_form_is_a_pattern_to_copy() {
        let nearest = |text: &str| nearest(&Pattern::plain(text).unwrap());
        let told = |text: &str| nearest(text).unwrap();
        assert_eq!(
            told("*acepts kiwi from*"),
            "accepts * from its client, 1 hop"
        );
        assert_eq!(told("CRASHED"), "CRASHES");
        assert_eq!(nearest("nothing of the kind was ever heard"), None);
    }
}

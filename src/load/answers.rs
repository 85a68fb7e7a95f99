//! Matches answers with requests, and checks them.
//!
//! A server answers the lines of a connection in order. The text after the skew of an AT line, its
//! *tail*, distinguishes each IAMAT from all others. So a missing, duplicate or wrong answer is
//! recognised, and the answers after it still match their requests.
//!
//! Herds differ in how they print a skew, in white space, and in whether a line feed ends an
//! answer; the protocol guarantees none of these. So an answer ends where its required content
//! ends.

use std::collections::VecDeque;

use serde::Deserialize;
use serde::de::IgnoredAny;
use tokio::time::Instant;

use super::body::Body;
use super::script::RequestKind;
use super::totals::Totals;
use crate::protocol::{decimal, escape, is_space};

/// The number of answered requests that are kept to recognise duplicate answers.
const REMEMBERED: usize = 32;

/// The limit on an answer, in bytes. No server sends a longer one.
const LONGEST: usize = 4 << 20;

/// The number of bytes of a wrong answer that are shown.
const SHOWN: usize = 200;

/// An answer exceeds the limit without an end.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Endless;

/// The requests of one connection that wait for answers, and the bytes that arrived.
pub(super) struct Answers {
    /// The name of the server that must answer, if it is known.
    server: Option<Vec<u8>>,
    /// Requests in order: first the ones answered last, then those that wait.
    requests: VecDeque<Request>,
    /// The number of answered requests at the front of `requests`.
    answered: usize,
    /// The length of their tails, in bytes.
    answered_tails: usize,
    /// The tails of all `requests`, concatenated.
    tails: VecDeque<u8>,
    unread: Vec<u8>,
    /// All bytes before this position were handled.
    start: usize,
    inside: Inside,
    /// The body that begins at `start`, if one does.
    body: Body,
    /// The number of requests with a right answer.
    good: u64,
}

struct Request {
    asked: RequestKind,
    tail: usize,
    since: Instant,
}

/// A request without an answer, to be repeated on another connection.
pub(super) struct Again {
    pub(super) asked: RequestKind,
    /// The text that its answer must have after the skew.
    pub(super) tail: Vec<u8>,
    pub(super) since: Instant,
}

/// The context of the next byte.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Inside {
    /// A new answer begins.
    Nothing,
    /// An answer has ended, but its line feed may follow.
    Line,
    /// The AT line for the oldest request has ended, which needs a body, too.
    Body,
    /// A wrong answer has begun. Bytes that can't begin an answer belong to it.
    Nonsense,
}

/// The request that an AT line answers.
enum Fits {
    /// The waiting request at this position.
    Waiting(usize),
    Answered,
}

impl Answers {
    /// The state of a new connection. If `server` is known, answers must come from it.
    pub(super) fn new(server: Option<&str>) -> Self {
        Self {
            server: server.map(|name| name.as_bytes().to_vec()),
            requests: VecDeque::new(),
            answered: 0,
            answered_tails: 0,
            tails: VecDeque::new(),
            unread: Vec::new(),
            start: 0,
            inside: Inside::Nothing,
            body: Body::default(),
            good: 0,
        }
    }

    /// The number of requests that wait.
    pub(super) fn waiting(&self) -> usize {
        self.requests.len() - self.answered
    }

    /// The number of requests with a right answer.
    pub(super) fn good(&self) -> u64 {
        self.good
    }

    /// Since when the oldest request waits.
    pub(super) fn oldest(&self) -> Option<Instant> {
        self.requests
            .get(self.answered)
            .map(|request| request.since)
    }

    /// Adds a request that was sent, or was due, at `since`. Its answer must end with `tail`.
    pub(super) fn expect(&mut self, asked: RequestKind, tail: &[u8], since: Instant) {
        if self.waiting() == 0 && self.start == self.unread.len() {
            // What arrives next must be the answer to this request, even after garbage.
            self.inside = Inside::Nothing;
        }
        self.tails.extend(tail);
        let tail = tail.len();
        self.requests.push_back(Request { asked, tail, since });
    }

    /// Removes all waiting requests, so that they can be repeated on another connection.
    pub(super) fn take_waiting(&mut self) -> VecDeque<Again> {
        let mut from = self.answered_tails;
        let waiting = self.requests.drain(self.answered..);
        let again = waiting.map(|request| {
            let tail = self.tails.range(from..from + request.tail);
            from += request.tail;
            Again {
                asked: request.asked,
                tail: tail.copied().collect(),
                since: request.since,
            }
        });
        let again = again.collect();
        self.tails.truncate(self.answered_tails);
        again
    }

    /// The buffer for bytes that arrive, to be appended at its end.
    pub(super) fn unread(&mut self) -> &mut Vec<u8> {
        self.unread.drain(..self.start);
        self.start = 0;
        &mut self.unread
    }

    /// Handles what has arrived at the time `now`, and counts it.
    pub(super) fn settle(&mut self, now: Instant, totals: &mut Totals) -> Result<(), Endless> {
        loop {
            // The buffer is moved out while its lines change all other fields.
            let unread = std::mem::take(&mut self.unread);
            let understood = self.understand(&unread[self.start..], now, totals);
            self.unread = unread;
            match understood {
                Some(length) => self.start += length,
                None if self.unread.len() - self.start > LONGEST => {
                    self.give_up(totals);
                    return Err(Endless);
                }
                None => return Ok(()),
            }
        }
    }

    /// Handles the rest, after which nothing arrives, or not in time.
    pub(super) fn end(&mut self, now: Instant, totals: &mut Totals) {
        // An unterminated rest counts as a line.
        self.unread.push(b'\n');
        if self.settle(now, totals).is_ok() {
            self.give_up(totals);
        }
    }

    /// Counts the rest as a wrong answer.
    fn give_up(&mut self, totals: &mut Totals) {
        let mut rest = self.unread.split_off(self.start);
        rest.truncate(rest.trim_ascii_end().len());
        if self.inside == Inside::Body && rest.is_empty() {
            rest = b"an AT line without a body".to_vec();
        }
        if !rest.is_empty() && self.inside != Inside::Nonsense {
            self.wrong(&rest, totals);
        }
        self.inside = Inside::Nonsense;
    }

    /// Handles an answer, or a part that can stand alone, and returns its length.
    fn understand(&mut self, bytes: &[u8], now: Instant, totals: &mut Totals) -> Option<usize> {
        let first = *bytes.first()?;
        let begins_another = matches!(first, b'A' | b'?');
        if is_space(first) {
            if self.inside == Inside::Line && first == b'\n' {
                self.inside = Inside::Nothing;
            }
            return Some(1);
        }
        match self.inside {
            Inside::Body if begins_another => {
                // The AT line belongs to an earlier IAMAT with the same tail, so it is a duplicate.
                totals.duplicate += 1;
                self.inside = Inside::Nothing;
            }
            Inside::Body => return self.body(bytes, now, totals),
            Inside::Line if !begins_another => {
                totals.wrong += 1;
                let length = memchr::memchr(b'\n', bytes).unwrap_or(bytes.len());
                totals.show(|| format!("behind an answer came {}", excerpt(&bytes[..length])));
                self.inside = Inside::Nonsense;
            }
            _ => {}
        }
        if let Some((fits, length)) = self.find(bytes) {
            return Some(length + self.at_line(&fits, bytes.get(length), now, totals));
        }
        let length = memchr::memchr(b'\n', bytes)?;
        let line = &bytes[..length];
        if self.inside != Inside::Nonsense || begins_answer(line) {
            self.wrong(line, totals);
            self.inside = Inside::Nonsense;
        }
        Some(length + 1)
    }

    /// Handles an AT line that answers a request. Returns the length of its line feed.
    fn at_line(
        &mut self,
        fits: &Fits,
        next: Option<&u8>,
        now: Instant,
        totals: &mut Totals,
    ) -> usize {
        match *fits {
            Fits::Waiting(at) => {
                totals.lost += self.skip(at - self.answered);
                match self.requests[self.answered].asked {
                    RequestKind::Iamat | RequestKind::Introduction => self.good_one(now, totals),
                    RequestKind::Whatsat { .. } => {
                        self.inside = Inside::Body;
                        self.body = Body::default();
                    }
                }
            }
            Fits::Answered => {
                totals.duplicate += 1;
                self.inside = Inside::Nonsense;
            }
        }
        // This handles the common line feed early, for speed.
        let ends = next == Some(&b'\n');
        if ends && self.inside == Inside::Line {
            self.inside = Inside::Nothing;
        }
        usize::from(ends)
    }

    /// Handles the body after an AT line, and returns its length.
    fn body(&mut self, bytes: &[u8], now: Instant, totals: &mut Totals) -> Option<usize> {
        let length = self.body.length(bytes)?;
        let body = &bytes[..length];
        match self.requests[self.answered].asked {
            RequestKind::Whatsat { bound }
                if places(body).is_some_and(|found| found <= bound.into()) =>
            {
                self.good_one(now, totals);
            }
            _ => {
                self.wrong(body.trim_ascii_end(), totals);
                self.inside = Inside::Nothing;
            }
        }
        Some(length)
    }

    /// Finds the request that the beginning of `bytes` answers, and the end of that answer.
    fn find(&self, bytes: &[u8]) -> Option<(Fits, usize)> {
        let said = self.head(bytes)?;
        let ends = |from, length| {
            let end = said + self.ends(from, length, &bytes[said..])?;
            may_end(&bytes[end..]).then_some(end)
        };
        if let Some(oldest) = self.requests.get(self.answered)
            && let Some(end) = ends(self.answered_tails, oldest.tail)
        {
            return Some((Fits::Waiting(self.answered), end));
        }
        // All other requests are compared only if something went wrong.
        let mut from = 0;
        self.requests.iter().enumerate().find_map(|(at, request)| {
            let end = ends(from, request.tail);
            from += request.tail;
            let fits = if at < self.answered {
                Fits::Answered
            } else {
                Fits::Waiting(at)
            };
            Some((fits, end?))
        })
    }

    /// The length of an AT line up to its tail.
    fn head(&self, bytes: &[u8]) -> Option<usize> {
        let mut fields = Fields { bytes, at: 0 };
        let is_at = fields.next()? == b"AT";
        let server = fields.next()?;
        let skew = fields.next()?;
        let is_server = self.server.as_ref().is_none_or(|known| known == server);
        (is_at && is_server && is_skew(skew)).then_some(fields.at)
    }

    /// The end of the tail at `from` with `length` bytes, if `bytes` begin with it.
    fn ends(&self, from: usize, length: usize, bytes: &[u8]) -> Option<usize> {
        let (front, back) = self.tails.as_slices();
        let (first, second) = match from.checked_sub(front.len()) {
            Some(from) => (&back[from..from + length], &[][..]),
            None if from + length <= front.len() => (&front[from..from + length], &[][..]),
            None => (&front[from..], &back[..from + length - front.len()]),
        };
        if let Some(rest) = bytes.strip_prefix(first)
            && rest.starts_with(second)
        {
            return Some(length);
        }
        let mut at = 0;
        for &byte in first.iter().chain(second) {
            if byte == b' ' {
                let rest = &bytes[at..];
                let blanks = rest.iter().take_while(|&&byte| is_blank(byte)).count();
                at += blanks;
                if blanks == 0 {
                    return None;
                }
            } else if bytes.get(at) == Some(&byte) {
                at += 1;
            } else {
                return None;
            }
        }
        Some(at)
    }

    /// Counts a right answer to the oldest request.
    fn good_one(&mut self, now: Instant, totals: &mut Totals) {
        let Request { asked, since, .. } = self.requests[self.answered];
        totals.answered(asked, now.saturating_duration_since(since), now);
        self.good += 1;
        self.inside = Inside::Line;
        self.skip(1);
    }

    /// Counts a wrong answer, to the oldest request if one waits.
    fn wrong(&mut self, answer: &[u8], totals: &mut Totals) {
        totals.wrong += 1;
        totals.show(|| {
            let asked = self.requests.get(self.answered).map(|request| {
                let from = self.answered_tails;
                let tail = self.tails.range(from..from + request.tail);
                let tail: Vec<u8> = tail.copied().collect();
                let word = match request.asked {
                    RequestKind::Iamat | RequestKind::Introduction => "IAMAT",
                    RequestKind::Whatsat { .. } => "WHATSAT, of a client that said",
                };
                format!("{word} {}", excerpt(&tail))
            });
            let asked = asked.unwrap_or_else(|| "nothing".to_owned());
            format!("asked {asked}; answered {}", excerpt(answer))
        });
        if self.waiting() > 0 {
            self.skip(1);
        }
    }

    /// Marks `count` requests as answered, and returns `count`.
    fn skip(&mut self, count: usize) -> u64 {
        for _ in 0..count {
            self.answered_tails += self.requests[self.answered].tail;
            self.answered += 1;
        }
        while self.answered > REMEMBERED {
            self.answered -= 1;
            if let Some(request) = self.requests.pop_front() {
                self.answered_tails -= request.tail;
                self.tails.drain(..request.tail);
            }
        }
        count as u64
    }
}

/// The fields at the beginning of a line, each with the blanks after it.
struct Fields<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Fields<'a> {
    /// The next field, or `None` if no blank ends it yet.
    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().position(|&byte| is_space(byte))?;
        let behind = &rest[length..];
        let blanks = behind.iter().take_while(|&&byte| is_blank(byte)).count();
        self.at += length + blanks;
        (blanks > 0).then_some(&rest[..length])
    }
}

/// White space within a line.
fn is_blank(byte: u8) -> bool {
    is_space(byte) && byte != b'\n'
}

/// Whether an AT line can end before `rest`: before white space, a body, another answer, or the
/// end.
fn may_end(rest: &[u8]) -> bool {
    match rest {
        [] | [b'{' | b'[' | b'A' | b'?', ..] => true,
        [byte, ..] => is_space(*byte),
    }
}

/// Whether a text is a number in any spelling: with up to two signs, and with or without fraction
/// and exponent.
fn is_skew(text: &[u8]) -> bool {
    let signs = text.iter().take_while(|byte| matches!(byte, b'+' | b'-'));
    let mut parts = text[signs.count().min(2)..].splitn(2, |byte| matches!(byte, b'e' | b'E'));
    let number = parts.next().is_some_and(|number| {
        let bare = number.strip_suffix(b".").unwrap_or(number);
        decimal(bare).is_some() || bare.strip_prefix(b".").is_some_and(is_digits)
    });
    let exponent = parts.next().is_none_or(|exponent| {
        let bare = exponent.strip_prefix(b"-").or(exponent.strip_prefix(b"+"));
        is_digits(bare.unwrap_or(exponent))
    });
    number && exponent
}

fn is_digits(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(u8::is_ascii_digit)
}

fn begins_answer(line: &[u8]) -> bool {
    line.starts_with(b"AT ") || line.starts_with(b"?")
}

/// The first bytes of an answer, escaped for people.
fn excerpt(bytes: &[u8]) -> String {
    let shown = escape(&bytes[..bytes.len().min(SHOWN)]);
    match bytes.len().checked_sub(SHOWN) {
        None | Some(0) => shown,
        Some(more) => format!("{shown}… and {more} bytes more"),
    }
}

/// The number of places in a body, in the form of either API.
fn places(body: &[u8]) -> Option<usize> {
    #[derive(Deserialize)]
    struct Body {
        results: Option<Vec<IgnoredAny>>,
        places: Option<Vec<IgnoredAny>>,
    }
    let body: Body = serde_json::from_slice(body).ok()?;
    let places = body.results.or(body.places);
    Some(places.map_or(0, |places| places.len()))
}

#[cfg(test)]
mod tests;

//! Which answer belongs to which request, and whether it is right.
//!
//! A server answers the lines of a connection in their order, and what stands behind the skew of an
//! AT line tells each IAMAT from all others, so an answer that is missing, comes twice or fits nothing is
//! seen as that, and those behind it still find their requests.
//!
//! Herds differ in what the protocol lets nobody rely on: how a skew is spelled, how much white space
//! there is, whether a line feed ends an answer. So an answer ends where what it must say ends.

use std::collections::VecDeque;

use serde::Deserialize;
use serde::de::IgnoredAny;
use tokio::time::Instant;

use super::body::Body;
use super::totals::Totals;
use crate::protocol::{decimal, escape, is_space};

/// The kinds of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RequestKind {
    Iamat,
    /// An IAMAT without which a WHATSAT could not be sent. It is no part of what is measured.
    Introduction,
    Whatsat {
        bound: u8,
    },
}

/// The number of answered requests that are remembered, so that a duplicate answer is recognised.
const REMEMBERED: usize = 32;

/// Nothing that a server says is longer than this.
const LONGEST: usize = 4 << 20;

/// The number of bytes that are shown of what is not understood.
const SHOWN: usize = 200;

/// An answer that is longer than any.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Endless;

/// The requests of one connection that wait for their answers, and what arrived.
pub(super) struct Answers {
    /// The server that answers, where that is known.
    server: Option<Vec<u8>>,
    /// Oldest first: those that were answered not long ago, then those that wait.
    requests: VecDeque<Request>,
    /// How many of them are answered,
    answered: usize,
    /// and how long their tails are.
    answered_tails: usize,
    /// What must be behind the skews, one after the other.
    tails: VecDeque<u8>,
    unread: Vec<u8>,
    /// Everything before was understood.
    start: usize,
    inside: Inside,
    /// The body that begins at `start`, where one does.
    body: Body,
    /// How many requests had their answers.
    good: u64,
}

struct Request {
    asked: RequestKind,
    tail: usize,
    since: Instant,
}

/// A request that waits, to be made once more.
pub(super) struct Again {
    pub(super) asked: RequestKind,
    /// What must be behind the skew.
    pub(super) tail: Vec<u8>,
    pub(super) since: Instant,
}

/// Where the next byte belongs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Inside {
    /// To a new answer.
    Nothing,
    /// Behind an answer that may or may not have a line feed.
    Line,
    /// Behind the AT line that the oldest request waits for, which asks for a body, too.
    Body,
    /// Behind an answer that fits nothing: what is no beginning of an answer belongs to it.
    Nonsense,
}

/// What an AT line answers.
enum Fits {
    /// The request at this place.
    Waiting(usize),
    Answered,
}

impl Answers {
    /// No request sent yet. Answers must be those of `server`, where it is known.
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

    /// How many requests wait.
    pub(super) fn waiting(&self) -> usize {
        self.requests.len() - self.answered
    }

    /// How many requests had their answers.
    pub(super) fn good(&self) -> u64 {
        self.good
    }

    /// Since when the oldest one waits.
    pub(super) fn oldest(&self) -> Option<Instant> {
        self.requests
            .get(self.answered)
            .map(|request| request.since)
    }

    /// A request is sent, or was due, `since` then. Its answer must end in `tail`.
    pub(super) fn expect(&mut self, asked: RequestKind, tail: &[u8], since: Instant) {
        if self.waiting() == 0 && self.start == self.unread.len() {
            // What comes next is the answer to this, whatever came before.
            self.inside = Inside::Nothing;
        }
        self.tails.extend(tail);
        let tail = tail.len();
        self.requests.push_back(Request { asked, tail, since });
    }

    /// Gives up all requests that wait, so that they can be made elsewhere.
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

    /// Where bytes that arrive are put, at its end.
    pub(super) fn unread(&mut self) -> &mut Vec<u8> {
        self.unread.drain(..self.start);
        self.start = 0;
        &mut self.unread
    }

    /// Understands what has arrived, `now`, and counts it.
    pub(super) fn settle(&mut self, now: Instant, totals: &mut Totals) -> Result<(), Endless> {
        loop {
            // The buffer is lent out while its lines change everything else.
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

    /// Nothing more arrives, or not in time: what is there is all there is of it.
    pub(super) fn end(&mut self, now: Instant, totals: &mut Totals) {
        // An unterminated rest is a line, too.
        self.unread.push(b'\n');
        if self.settle(now, totals).is_ok() {
            self.give_up(totals);
        }
    }

    /// What is left is no answer.
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

    /// Understands one answer, or the part of one that can stand alone, and says how long it is.
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
                // So the AT line was the same as that of the request, but another's.
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

    /// An AT line came that fits. Says how long the end is that it has.
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
        // The common end, here for speed.
        let ends = next == Some(&b'\n');
        if ends && self.inside == Inside::Line {
            self.inside = Inside::Nothing;
        }
        usize::from(ends)
    }

    /// The body behind an AT line.
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

    /// The request whose answer is at the beginning of `bytes`, and where what it had to say ends.
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
        // Only where something went wrong must all others be looked at.
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

    /// How long an AT line is up to what is behind its skew.
    fn head(&self, bytes: &[u8]) -> Option<usize> {
        let mut fields = Fields { bytes, at: 0 };
        let is_at = fields.next()? == b"AT";
        let server = fields.next()?;
        let skew = fields.next()?;
        let is_server = self.server.as_ref().is_none_or(|known| known == server);
        (is_at && is_server && is_skew(skew)).then_some(fields.at)
    }

    /// Where the tail of `length` at `from` ends at the beginning of `bytes`, if that is what they say.
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

    /// The oldest request has its answer.
    fn good_one(&mut self, now: Instant, totals: &mut Totals) {
        let Request { asked, since, .. } = self.requests[self.answered];
        totals.answered(asked, now.saturating_duration_since(since), now);
        self.good += 1;
        self.inside = Inside::Line;
        self.skip(1);
    }

    /// Something came that the oldest request, if there is one, did not ask for.
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

    /// `count` requests wait no longer.
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

/// The fields at the beginning of a line, each with the blanks behind it.
struct Fields<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Fields<'a> {
    /// The next one; `None` while no blank ends it.
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

/// Whether an AT line can end before `rest`: white space is behind it, a body, another answer, or nothing.
fn may_end(rest: &[u8]) -> bool {
    match rest {
        [] | [b'{' | b'[' | b'A' | b'?', ..] => true,
        [byte, ..] => is_space(*byte),
    }
}

/// Whether that is a number, however it is spelled: with a sign, two or none, with a fraction, an exponent, or neither.
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

/// What came, as it came, for people: escaped, and only the first part of it.
fn excerpt(bytes: &[u8]) -> String {
    let shown = escape(&bytes[..bytes.len().min(SHOWN)]);
    match bytes.len().checked_sub(SHOWN) {
        None | Some(0) => shown,
        Some(more) => format!("{shown}… and {more} bytes more"),
    }
}

/// How many places a body names, in either form of the API.
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

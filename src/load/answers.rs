//! Which answer belongs to which request, and whether it is right.
//!
//! A server answers the lines of a connection in their order, and what stands behind the skew of an
//! AT line tells each IAMAT from all others, so an answer that is missing, comes twice or fits nothing is
//! seen as that, and those behind it still find their requests.

use std::collections::VecDeque;

use serde::Deserialize;
use serde::de::IgnoredAny;
use tokio::time::Instant;

use super::totals::Totals;
use crate::protocol::escape;
use crate::protocol::record::is_name;
use crate::protocol::time::Skew;

/// What a request asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Iamat,
    Whatsat { bound: u8 },
}

/// So many answered requests are remembered, so that an answer that comes twice is known as that.
const REMEMBERED: usize = 32;

/// Nothing that a server says is longer than this.
const LONGEST: usize = 4 << 20;

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
}

struct Request {
    asked: Asked,
    tail: usize,
    since: Instant,
}

/// Where the next byte belongs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Inside {
    /// To a new answer.
    Nothing,
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
    None,
}

impl Answers {
    /// Nothing asked. Answers must be those of `server`, where it is known.
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
        }
    }

    /// How many requests wait.
    pub(super) fn waiting(&self) -> usize {
        self.requests.len() - self.answered
    }

    /// Since when the oldest one waits.
    pub(super) fn oldest(&self) -> Option<Instant> {
        self.requests
            .get(self.answered)
            .map(|request| request.since)
    }

    /// A request is asked, or was due, `since` then. Its answer must end in `tail`.
    pub(super) fn expect(&mut self, asked: Asked, tail: &[u8], since: Instant) {
        self.tails.extend(tail);
        let tail = tail.len();
        self.requests.push_back(Request { asked, tail, since });
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
                None if self.unread.len() - self.start > LONGEST => return Err(Endless),
                None => return Ok(()),
            }
        }
    }

    /// Understands one answer, or the part of one that can stand alone, and says how long it is.
    fn understand(&mut self, bytes: &[u8], now: Instant, totals: &mut Totals) -> Option<usize> {
        if self.inside == Inside::Body {
            let begins_another = matches!(bytes.first()?, b'A' | b'?');
            if !begins_another {
                return self.body(bytes, now, totals);
            }
            // So the AT line was the same as that of the request, but another's.
            totals.duplicate += 1;
            self.inside = Inside::Nothing;
        }
        let length = memchr::memchr(b'\n', bytes)?;
        let line = &bytes[..length];
        match self.tail(line).map(|tail| self.find(tail)) {
            Some(Fits::Waiting(at)) => {
                totals.lost += self.skip(at - self.answered);
                match self.requests[self.answered].asked {
                    Asked::Iamat => self.good(now, totals),
                    Asked::Whatsat { .. } => self.inside = Inside::Body,
                }
            }
            Some(Fits::Answered) => {
                totals.duplicate += 1;
                self.inside = Inside::Nonsense;
            }
            _ if self.inside == Inside::Nonsense && !begins_answer(line) => {}
            _ => {
                self.wrong(line, totals);
                self.inside = Inside::Nonsense;
            }
        }
        Some(length + 1)
    }

    /// The body behind an AT line, up to the blank line that ends it.
    fn body(&mut self, bytes: &[u8], now: Instant, totals: &mut Totals) -> Option<usize> {
        let length = memchr::memmem::find(bytes, b"\n\n")?;
        let body = &bytes[..length];
        self.inside = Inside::Nothing;
        match self.requests[self.answered].asked {
            Asked::Whatsat { bound } if places(body).is_some_and(|found| found <= bound.into()) => {
                self.good(now, totals);
            }
            _ => self.wrong(body, totals),
        }
        Some(length + 2)
    }

    /// What is behind the skew of an AT line.
    fn tail<'a>(&self, line: &'a [u8]) -> Option<&'a [u8]> {
        let rest = line.strip_prefix(b"AT ")?;
        let (server, rest) = rest.split_at(memchr::memchr(b' ', rest)?);
        let (skew, rest) = rest[1..].split_at(memchr::memchr(b' ', &rest[1..])?);
        let is_server = match &self.server {
            Some(known) => server == known,
            None => is_name(server),
        };
        (is_server && Skew::parse(skew).is_some()).then_some(&rest[1..])
    }

    fn find(&self, tail: &[u8]) -> Fits {
        if let Some(oldest) = self.requests.get(self.answered)
            && self.is_tail(self.answered_tails, oldest.tail, tail)
        {
            return Fits::Waiting(self.answered);
        }
        // Only where something went wrong must all others be looked at.
        let mut from = 0;
        let found = self.requests.iter().position(|request| {
            let is_it = self.is_tail(from, request.tail, tail);
            from += request.tail;
            is_it
        });
        match found {
            Some(at) if at < self.answered => Fits::Answered,
            Some(at) => Fits::Waiting(at),
            None => Fits::None,
        }
    }

    fn is_tail(&self, from: usize, length: usize, tail: &[u8]) -> bool {
        if length != tail.len() {
            return false;
        }
        let (front, back) = self.tails.as_slices();
        match from.checked_sub(front.len()) {
            Some(from) => &back[from..from + length] == tail,
            None if from + length <= front.len() => &front[from..from + length] == tail,
            None => {
                let (first, second) = tail.split_at(front.len() - from);
                &front[from..] == first && &back[..second.len()] == second
            }
        }
    }

    /// The oldest request has its answer.
    fn good(&mut self, now: Instant, totals: &mut Totals) {
        let Request { asked, since, .. } = self.requests[self.answered];
        totals.answered(asked, now.saturating_duration_since(since), now);
        self.inside = Inside::Nothing;
        self.skip(1);
    }

    /// Something came that the oldest request, if there is one, did not ask for.
    fn wrong(&mut self, answer: &[u8], totals: &mut Totals) {
        totals.wrong += 1;
        if totals.example.is_none() {
            let shown = |text: &[u8]| escape(&text[..text.len().min(200)]);
            let asked = self.requests.get(self.answered).map(|request| {
                let from = self.answered_tails;
                let tail = self.tails.range(from..from + request.tail);
                let tail: Vec<u8> = tail.copied().collect();
                let word = match request.asked {
                    Asked::Iamat => "IAMAT",
                    Asked::Whatsat { .. } => "WHATSAT, of a client that said",
                };
                format!("{word} {}", shown(&tail))
            });
            let asked = asked.unwrap_or_else(|| "nothing".to_owned());
            totals.example = Some(format!("asked {asked}; answered {}", shown(answer)));
        }
        if self.waiting() > 0 {
            self.skip(1);
        }
    }

    /// So many requests wait no longer.
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

fn begins_answer(line: &[u8]) -> bool {
    line.starts_with(b"AT ") || line.starts_with(b"?")
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
mod tests {
    use super::*;

    const BODY: &str = "{\n \"results\" : [],\n \"status\" : \"ZERO_RESULTS\"\n}\n\n";

    fn at(tail: &str) -> String {
        format!("AT Riley +0.000000001 {tail}\n")
    }

    /// Good, wrong, lost, duplicate and still waiting, after the requests `asked` (in capitals: WHATSAT) and these bytes,
    /// however they are cut.
    fn counted(asked: &[&str], bytes: &str) -> [u64; 5] {
        let all = [bytes.len().max(1), 1, 7].map(|cut| {
            let mut answers = Answers::new(Some("Riley"));
            let mut totals = Totals::default();
            for tail in asked {
                let kind = if tail.to_lowercase() == **tail {
                    Asked::Iamat
                } else {
                    Asked::Whatsat { bound: 1 }
                };
                answers.expect(kind, tail.to_lowercase().as_bytes(), Instant::now());
            }
            for chunk in bytes.as_bytes().chunks(cut) {
                answers.unread().extend_from_slice(chunk);
                assert_eq!(answers.settle(Instant::now(), &mut totals), Ok(()));
            }
            let good = totals.iamat.len() + totals.whatsat.len();
            let waiting = answers.waiting() as u64;
            [good, totals.wrong, totals.lost, totals.duplicate, waiting]
        });
        assert!(all.iter().all(|one| *one == all[0]), "{bytes}: {all:?}");
        all[0]
    }

    #[test]
    fn answers_in_order_are_good() {
        let bytes = at("a 1") + &at("a 1") + BODY + &at("b 2");
        assert_eq!(counted(&["a 1", "A 1", "b 2"], &bytes), [3, 0, 0, 0, 0]);
        assert_eq!(counted(&["a 1", "b 2"], &at("a 1")), [1, 0, 0, 0, 1]);
    }

    #[test]
    fn an_answer_that_does_not_fit_is_wrong() {
        for bytes in [
            "? IAMAT a 1\n",
            "AT Riley +0.000000001 a 2\n",
            "AT Campbell +0.000000001 a 1\n",
            "AT Riley 0.1 a 1\n",
            "AT Riley +0.000000001 a 1 \n",
            "nonsense\nand more\n\n",
        ] {
            assert_eq!(counted(&["a 1"], bytes), [0, 1, 0, 0, 0], "{bytes}");
            let then = bytes.to_owned() + &at("b 2");
            assert_eq!(counted(&["a 1", "b 2"], &then), [1, 1, 0, 0, 0], "{then}");
        }
    }

    #[test]
    fn what_nobody_asked_for_is_wrong() {
        assert_eq!(counted(&[], &at("a 1")), [0, 1, 0, 0, 0]);
    }

    #[test]
    fn an_answer_that_is_missing_is_lost_and_those_behind_it_are_good() {
        let bytes = at("b 2") + &at("c 3");
        assert_eq!(counted(&["a 1", "b 2", "c 3"], &bytes), [2, 0, 1, 0, 0]);
    }

    #[test]
    fn an_answer_that_comes_twice_is_a_duplicate() {
        let bytes = at("a 1") + &at("a 1") + &at("b 2") + &at("a 1");
        assert_eq!(counted(&["a 1", "b 2"], &bytes), [2, 0, 0, 2, 0]);
        let both = at("a 1") + &at("a 1") + &at("a 1") + BODY + &at("a 1") + BODY;
        assert_eq!(counted(&["a 1", "A 1"], &both), [2, 0, 0, 2, 0]);
    }

    #[test]
    fn a_body_must_be_json_of_no_more_places_than_were_asked_for() {
        let with = |body: &str| at("a 1") + body + "\n\n";
        let of = |body: &str| counted(&["A 1"], &with(body));
        assert_eq!(of("{\"results\":[{}]}"), [1, 0, 0, 0, 0]);
        assert_eq!(of("{\"places\":[{}]}"), [1, 0, 0, 0, 0]);
        assert_eq!(of("{\"results\":[{},{}]}"), [0, 1, 0, 0, 0]);
        assert_eq!(of("{\"results\":[}"), [0, 1, 0, 0, 0]);
    }

    #[test]
    fn what_is_remembered_has_a_bound() {
        let mut answers = Answers::new(None);
        let mut totals = Totals::default();
        for number in 0..1000 {
            let tail = format!("client {number}");
            answers.expect(Asked::Iamat, tail.as_bytes(), Instant::now());
            answers.unread().extend_from_slice(at(&tail).as_bytes());
            answers.settle(Instant::now(), &mut totals).unwrap();
        }
        assert_eq!(totals.iamat.len(), 1000);
        assert_eq!(answers.requests.len(), REMEMBERED);
        assert!(answers.tails.len() < REMEMBERED * 20);
        answers.unread().resize(LONGEST + 1, b'x');
        assert_eq!(answers.settle(Instant::now(), &mut totals), Err(Endless));
    }
}

//! Whether every line of a client is answered once, in order, by an answer that fits it and the
//! moment at which the server received it.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::stores::Stores;
use super::versions::order;
use super::{Finding, Run, shown};
use crate::journal::{
    Actor, CloseReason, ConnId, Event, EventId, EventKind, Ignored, PeerRole, RecordText, Source,
};
use crate::protocol::client::{ClientLine, Refusal};
use crate::protocol::record::Record;
use crate::protocol::time::Skew;

/// A line that a server received from a client.
struct OpenLine<'a> {
    event: &'a Event,
    line: &'a [u8],
    /// For a WHATSAT, what the server held of the queried client when the line arrived.
    known: Option<&'a Event>,
}

struct Answers<'a> {
    run: &'a Run<'a>,
    stores: Stores<'a>,
    /// The lines without an answer, by server and open connection of a client.
    open: BTreeMap<(&'a str, ConnId), VecDeque<OpenLine<'a>>>,
    /// The lines whose update was not stored because it had expired.
    too_old: BTreeSet<EventId>,
    /// By the event of an IAMAT, whether its update was accepted or ignored, until the line is
    /// answered.
    made: BTreeMap<EventId, &'a Event>,
    found: Vec<Finding>,
    /// Answers that do not reflect what the server held when it received their line.
    found_of_another_time: Vec<Finding>,
}

pub(super) fn answered_once_in_order(run: &Run<'_>) -> Vec<Finding> {
    look(run).found
}

pub(super) fn answers_as_of_their_line(run: &Run<'_>) -> Vec<Finding> {
    look(run).found_of_another_time
}

fn look<'a>(run: &'a Run<'a>) -> Answers<'a> {
    let mut answers = Answers {
        run,
        stores: Stores::default(),
        open: BTreeMap::new(),
        too_old: BTreeSet::new(),
        made: BTreeMap::new(),
        found: Vec::new(),
        found_of_another_time: Vec::new(),
    };
    for event in run.events {
        match &event.who {
            Actor::Server(server) => answers.at_server(server, event),
            Actor::Client(_) => answers.at_client(event),
            Actor::Peer(_) | Actor::Network | Actor::Places => {}
        }
    }
    for ((server, _), asked) in std::mem::take(&mut answers.open) {
        for asked in asked {
            answers.unanswered(server, &asked, None);
        }
    }
    answers
}

impl<'a> Answers<'a> {
    fn at_server(&mut self, server: &'a str, event: &'a Event) {
        self.stores.learn(event);
        match &event.what {
            EventKind::Opened {
                conn,
                with: PeerRole::Client,
                ..
            } => {
                self.open.insert((server, *conn), VecDeque::new());
            }
            EventKind::LineIn { conn, line } => {
                let known = self.known(server, &line.0);
                if let Some(open) = self.open.get_mut(&(server, *conn)) {
                    let line = &*line.0;
                    open.push_back(OpenLine { event, line, known });
                }
            }
            EventKind::LineOut { conn, line } => {
                if let Some(open) = self.open.get_mut(&(server, *conn)) {
                    let asked = open.pop_front();
                    self.answered(server, asked, event, &line.0);
                }
            }
            EventKind::Closed { conn, why } => {
                let open = self.open.remove(&(server, *conn)).unwrap_or_default();
                if !was_cut(why) {
                    for asked in open {
                        self.unanswered(server, &asked, Some(event));
                    }
                }
            }
            EventKind::Accepted {
                from: Source::Client,
                ..
            } => self.makes(event),
            EventKind::Ignored {
                why,
                from: Source::Client,
                ..
            } => {
                self.makes(event);
                if *why == Ignored::Expired {
                    self.too_old.extend(event.cause);
                }
            }
            EventKind::Crashed | EventKind::PoweredOff | EventKind::Stopped => {
                self.open.retain(|&(of, _), _| of != server);
            }
            _ => {}
        }
    }

    /// Notes what a server did with the update in a client's line.
    fn makes(&mut self, event: &'a Event) {
        if let Some(line) = event.cause {
            self.made.insert(line, event);
        }
    }

    /// The record that the server must use for its answer, if the line that arrives is a WHATSAT.
    fn known(&self, server: &str, line: &[u8]) -> Option<&'a Event> {
        match ClientLine::parse(line) {
            Ok(ClientLine::Whatsat { id, .. }) => self.stores.get(server, id),
            _ => None,
        }
    }

    fn answered(
        &mut self,
        server: &str,
        asked: Option<OpenLine<'a>>,
        event: &'a Event,
        answer: &[u8],
    ) {
        let Some(asked) = asked else {
            let answer_shown = shown(answer);
            let what = format!("{server} sends an answer without a request: {answer_shown}");
            self.found.push(Finding::new(what, [event]));
            return;
        };
        self.as_of_its_line(server, &asked, event, answer);
        let refused = match self.run.cause_of(event).map(|cause| &cause.what) {
            Some(EventKind::Refused { why }) => Some(*why),
            _ => None,
        };
        let may_be_refused = match refused {
            // The line is recorded by its beginning, which may look like a valid command.
            Some(Refusal::TooLong) => true,
            // Whether limits, clocks and disks say so is checked by itself.
            Some(Refusal::FutureTime | Refusal::Full | Refusal::NotSaved) => is_iamat(asked.line),
            _ => false,
        };
        if !(is_answer(server, &asked, answer) || may_be_refused && is_copy(asked.line, answer)) {
            let (line, answer) = (shown(asked.line), shown(answer));
            let what = format!("{server} answers `{line}` with `{answer}`");
            self.found.push(Finding::new(what, [asked.event, event]));
        } else if !self.is_stored(server, &asked, answer) {
            let line = shown(asked.line);
            let what = format!("{server} answers `{line}` and has not stored it");
            self.found.push(Finding::new(what, [asked.event, event]));
        }
    }

    /// Compares an answer with what the server held when it received the line.
    fn as_of_its_line(
        &mut self,
        server: &str,
        asked: &OpenLine<'a>,
        event: &'a Event,
        answer: &[u8],
    ) {
        let made = self.made.remove(&asked.event.id);
        let tells = answer.strip_prefix(b"AT ");
        let tells = tells.and_then(|record| record.split(|&byte| byte == b'\n').next());
        let (wrong, by) = match (ClientLine::parse(asked.line), tells) {
            (Ok(ClientLine::Iamat { .. }), Some(tells)) => match made {
                None => ("what it made nothing of before".to_owned(), None),
                Some(made) if made.at != asked.event.at => {
                    ("what it made of that only later".to_owned(), Some(made))
                }
                Some(made) => match record(made).map(RecordText::text) {
                    Some(record) if record == tells => return,
                    record => (other(record, "made of that"), Some(made)),
                },
            },
            (Ok(ClientLine::Whatsat { .. }), tells) => {
                let known = asked.known.and_then(record).map(RecordText::text);
                // A line that is too long is recorded by its beginning, which may look like a
                // query.
                if known.as_deref() == tells || tells.is_none() && self.is_refused_unread(event) {
                    return;
                }
                (other(known, "knew then"), asked.known)
            }
            _ => return,
        };
        let (line, told) = (shown(asked.line), shown(answer));
        let what = format!("{server} answers `{line}` with `{told}`, {wrong}");
        let events = by.into_iter().chain([asked.event, event]);
        let mut found = Finding::new(what, events);
        found.events.sort_unstable();
        self.found_of_another_time.push(found);
    }

    fn is_refused_unread(&self, answer: &Event) -> bool {
        let cause = self.run.cause_of(answer).map(|cause| &cause.what);
        let why = Refusal::TooLong;
        matches!(cause, Some(EventKind::Refused { why: told }) if *told == why)
    }

    /// Whether the server holds the record with which it answers an IAMAT, or a newer one.
    fn is_stored(&self, server: &str, asked: &OpenLine<'_>, answer: &[u8]) -> bool {
        let record = answer.strip_prefix(b"AT ").and_then(Record::parse);
        let Some(record) = record.filter(|_| is_iamat(asked.line)) else {
            return true;
        };
        let held = self.stores.get(server, record.id());
        let held = held.and_then(|event| event.what.held());
        let holds = held.is_some_and(|held| order(held, &(&record).into()) != Ordering::Less);
        holds || self.too_old.contains(&asked.event.id)
    }

    fn unanswered(&mut self, server: &str, asked: &OpenLine<'a>, closed: Option<&Event>) {
        let line = shown(asked.line);
        let what = match closed {
            Some(_) => format!("{server} closes the connection and leaves `{line}` unanswered"),
            None => format!("{server} never answers `{line}`"),
        };
        let events = [asked.event].into_iter().chain(closed);
        self.found.push(Finding::new(what, events));
    }

    /// A client receives what its server wrote, or the beginning of it if the connection was cut. A
    /// client that gave up receives all that still arrives as one line.
    fn at_client(&mut self, event: &'a Event) {
        let EventKind::LineIn { line, .. } = &event.what else {
            return;
        };
        let heard = without_line_feeds(&line.0);
        let written = self.run.cause_of(event);
        let is_true = written.is_some_and(|written| match &written.what {
            EventKind::LineOut { line, .. } => {
                line.0.starts_with(heard) || heard.starts_with(&line.0)
            }
            _ => false,
        });
        if !is_true {
            let (client, heard) = (event.who.name(), shown(heard));
            let what = format!("{client} hears what no server wrote so: {heard}");
            let events = written.into_iter().chain([event]);
            self.found.push(Finding::new(what, events));
        }
    }
}

/// Whether the connection was closed from outside, so that an answer could not be written any more.
/// In all other cases the answers come before the end.
fn was_cut(why: &CloseReason) -> bool {
    matches!(why, CloseReason::Failed(_) | CloseReason::Slow)
}

fn is_answer(server: &str, asked: &OpenLine<'_>, answer: &[u8]) -> bool {
    match ClientLine::parse(asked.line) {
        Ok(ClientLine::Iamat { id, location, time }) => {
            is_echo(server, [id, location.text(), time.text], answer)
        }
        Ok(ClientLine::Whatsat { id, .. }) => is_told_of(id, answer) || is_copy(asked.line, answer),
        Err(_) => is_copy(asked.line, answer),
    }
}

/// Whether an answer is `AT server skew id location time` of this client, with something behind it.
fn is_told_of(id: &[u8], answer: &[u8]) -> bool {
    let mut lines = answer.splitn(2, |&byte| byte == b'\n');
    let record = lines.next().and_then(|line| line.strip_prefix(b"AT "));
    let record = record.and_then(Record::parse);
    record.is_some_and(|record| record.id() == id) && lines.next().is_some()
}

/// What an answer should have contained, for a report.
fn other(record: Option<Vec<u8>>, verb: &str) -> String {
    match record {
        Some(record) => format!("and {verb} {}", shown(&record)),
        None => format!("and {verb} nothing"),
    }
}

/// The record that a server holds by an event, or ignored.
fn record(event: &Event) -> Option<&RecordText<'static>> {
    match &event.what {
        EventKind::Ignored { record, .. } => Some(record),
        what => what.held(),
    }
}

/// Whether an answer is `AT server skew id location time`, with any skew, since only the server
/// knows it.
fn is_echo(server: &str, fields: [&[u8]; 3], answer: &[u8]) -> bool {
    let before = format!("AT {server} ");
    let behind = [b" ", fields.join(&b' ').as_slice()].concat();
    let skew = answer.strip_prefix(before.as_bytes());
    let skew = skew.and_then(|rest| rest.strip_suffix(behind.as_slice()));
    skew.is_some_and(|skew| Skew::parse(skew).is_some())
}

fn is_iamat(line: &[u8]) -> bool {
    matches!(ClientLine::parse(line), Ok(ClientLine::Iamat { .. }))
}

fn is_copy(line: &[u8], answer: &[u8]) -> bool {
    answer.strip_prefix(b"? ") == Some(line)
}

fn without_line_feeds(mut text: &[u8]) -> &[u8] {
    while let [rest @ .., b'\n'] = text {
        text = rest;
    }
    text
}

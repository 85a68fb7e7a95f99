//! Whether every line of a client is answered once, in order, by what belongs to it.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::records::order;
use super::stores::{Stores, accepted};
use super::{Found, Run, shown};
use crate::journal::{ConnId, Event, EventId, Ignored, Other, What, Who, Why};
use crate::protocol::client::{ClientLine, Refusal};
use crate::protocol::record::Record;
use crate::protocol::time::Skew;

/// A line that a server heard from a client.
struct Asked<'a> {
    event: &'a Event,
    line: &'a [u8],
    /// What the server held then of the client that a WHATSAT asks about: `server skew id …`.
    known: Option<Vec<u8>>,
}

struct Answers<'a> {
    run: &'a Run<'a>,
    stores: Stores<'a>,
    /// The lines without an answer, by server and open connection with a client.
    open: BTreeMap<(&'a str, ConnId), VecDeque<Asked<'a>>>,
    /// The lines that told of what was too old to be stored.
    too_old: BTreeSet<EventId>,
    found: Vec<Found>,
}

pub(super) fn answered_once_in_order(run: &Run<'_>) -> Vec<Found> {
    let mut answers = Answers {
        run,
        stores: Stores::default(),
        open: BTreeMap::new(),
        too_old: BTreeSet::new(),
        found: Vec::new(),
    };
    for event in run.events {
        match &event.who {
            Who::Server(server) => answers.at_server(server, event),
            Who::Client(_) => answers.at_client(event),
            Who::Network | Who::Places => {}
        }
    }
    for ((server, _), asked) in std::mem::take(&mut answers.open) {
        for asked in asked {
            answers.unanswered(server, &asked, None);
        }
    }
    answers.found
}

impl<'a> Answers<'a> {
    fn at_server(&mut self, server: &'a str, event: &'a Event) {
        self.stores.learn(event);
        match &event.what {
            What::Opened {
                conn,
                with: Other::Client,
                ..
            } => {
                self.open.insert((server, *conn), VecDeque::new());
            }
            What::LineIn { conn, line } => {
                let known = self.known(server, &line.0);
                if let Some(open) = self.open.get_mut(&(server, *conn)) {
                    let line = &*line.0;
                    open.push_back(Asked { event, line, known });
                }
            }
            What::LineOut { conn, line } => {
                if let Some(open) = self.open.get_mut(&(server, *conn)) {
                    let asked = open.pop_front();
                    self.answered(server, asked, event, &line.0);
                }
            }
            What::Closed { conn, why } => {
                let open = self.open.remove(&(server, *conn)).unwrap_or_default();
                if !was_cut(why) {
                    for asked in open {
                        self.unanswered(server, &asked, Some(event));
                    }
                }
            }
            What::Ignored {
                why: Ignored::Expired,
                ..
            } => self.too_old.extend(event.cause),
            What::Crashed | What::PoweredOff | What::Stopped => {
                self.open.retain(|&(of, _), _| of != server);
            }
            _ => {}
        }
    }

    /// What the server can say to a WHATSAT that it hears now.
    fn known(&self, server: &str, line: &[u8]) -> Option<Vec<u8>> {
        let Ok(ClientLine::Whatsat { id, .. }) = ClientLine::parse(line) else {
            return None;
        };
        let held = self.stores.get(server, id)?;
        accepted(held).map(|accepted| accepted.record.text())
    }

    fn answered(&mut self, server: &str, asked: Option<Asked<'a>>, event: &Event, answer: &[u8]) {
        let answer_shown = shown(answer);
        let Some(asked) = asked else {
            let what = format!("{server} answers what nobody asked: {answer_shown}");
            self.found.push(Found::new(what, [event]));
            return;
        };
        let refused = match self.run.cause_of(event).map(|cause| &cause.what) {
            Some(What::Refused { why }) => Some(*why),
            _ => None,
        };
        let may_be_refused = match refused {
            // It is told by its beginning, which may look like a right command.
            Some(Refusal::TooLong) => true,
            // The server's clock decides, which no trace tells.
            Some(Refusal::FutureTime) => is_iamat(asked.line),
            _ => false,
        };
        if !(is_answer(server, &asked, answer) || may_be_refused && is_copy(asked.line, answer)) {
            let line = shown(asked.line);
            let what = format!("{server} answers `{line}` with `{answer_shown}`");
            self.found.push(Found::new(what, [asked.event, event]));
        } else if !self.is_stored(server, &asked, answer) {
            let line = shown(asked.line);
            let what = format!("{server} answers `{line}` and has not stored it");
            self.found.push(Found::new(what, [asked.event, event]));
        }
    }

    /// Whether the server holds what it answers an IAMAT with, or something newer.
    fn is_stored(&self, server: &str, asked: &Asked<'_>, answer: &[u8]) -> bool {
        let record = answer.strip_prefix(b"AT ").and_then(Record::parse);
        let Some(record) = record.filter(|_| is_iamat(asked.line)) else {
            return true;
        };
        let held = self.stores.get(server, record.id()).and_then(accepted);
        let holds =
            held.is_some_and(|held| order(held.record, &(&record).into()) != Ordering::Less);
        holds || self.too_old.contains(&asked.event.id)
    }

    fn unanswered(&mut self, server: &str, asked: &Asked<'a>, closed: Option<&Event>) {
        let line = shown(asked.line);
        let what = match closed {
            Some(_) => format!("{server} closes the connection and leaves `{line}` unanswered"),
            None => format!("{server} never answers `{line}`"),
        };
        let events = [asked.event].into_iter().chain(closed);
        self.found.push(Found::new(what, events));
    }

    /// What a client hears is what its server wrote, or its beginning where the connection was cut.
    /// A client that gave up hears all that still comes as one.
    fn at_client(&mut self, event: &'a Event) {
        let What::LineIn { line, .. } = &event.what else {
            return;
        };
        let heard = without_line_feeds(&line.0);
        let written = self.run.cause_of(event);
        let is_true = written.is_some_and(|written| match &written.what {
            What::LineOut { line, .. } => line.0.starts_with(heard) || heard.starts_with(&line.0),
            _ => false,
        });
        if !is_true {
            let (client, heard) = (event.who.name(), shown(heard));
            let what = format!("{client} hears what no server wrote so: {heard}");
            let events = written.into_iter().chain([event]);
            self.found.push(Found::new(what, events));
        }
    }
}

/// Whether a connection's end came from outside, so that an answer could not be written any more.
/// All other ends come behind the answers.
fn was_cut(why: &Why) -> bool {
    matches!(why, Why::Failed(_) | Why::Slow)
}

fn is_answer(server: &str, asked: &Asked<'_>, answer: &[u8]) -> bool {
    match ClientLine::parse(asked.line) {
        Ok(ClientLine::Iamat { id, location, time }) => {
            is_echo(server, [id, location.text(), time.text], answer)
        }
        Ok(ClientLine::Whatsat { .. }) => match &asked.known {
            Some(known) => {
                let behind = answer.strip_prefix(b"AT ");
                let behind = behind.and_then(|rest| rest.strip_prefix(known.as_slice()));
                behind.is_some_and(|body| body.starts_with(b"\n"))
            }
            None => is_copy(asked.line, answer),
        },
        Err(_) => is_copy(asked.line, answer),
    }
}

/// `AT server skew id location time`, with a skew that only the server can know.
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

//! What clients sent, to whom, and what they were answered, in the order in which it happened.

use std::collections::{BTreeMap, VecDeque};

use super::lines::{Line, Told, forgets};
use crate::journal::{Actor, ConnId, Event, EventId, EventKind, Ignored, PeerRole};

/// A line of a client, and the answer to it if one came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Exchange<'a> {
    pub(super) client: &'a str,
    pub(super) server: &'a str,
    /// Which run of the server, from 1. A connection is with one run: it does not outlive that.
    pub(super) run: u32,
    /// Which memory of the server, from 1: a run without a disk has one of its own, and so has the
    /// first run after a disk may have forgotten something.
    pub(super) memory: u32,
    /// Whether the server answers an update when its disk has it. One that it refuses then may be known
    /// all the same: it refuses to promise that it stays.
    pub(super) waits_for_disk: bool,
    pub(super) conn: ConnId,
    pub(super) sent: &'a Event,
    pub(super) text: &'a [u8],
    pub(super) line: Line<'a>,
    pub(super) answer: Option<Answer<'a>>,
}

/// An answer, as its client received it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer<'a> {
    pub(super) event: &'a Event,
    pub(super) text: &'a [u8],
    /// The record in it, unless it is a refusal.
    pub(super) told: Option<Told<'a>>,
}

/// Something that happened to an exchange, by its index, or to a client's record.
#[derive(Clone, Copy, Debug)]
pub(super) enum Moment<'a> {
    Sent(usize),
    Answered(usize),
    /// A server no longer holds what it was told of this client: an operator had it forgotten, or
    /// its time to live was over. From then on nothing is claimed of the order of its records, as
    /// only servers know which of them are from before.
    Lost(&'a [u8]),
    /// A scenario had a neighbour say this by hand, so that it may be told, and no client sent it.
    ByHand(Told<'a>),
}

/// All exchanges of a run, and in which order they happened.
#[derive(Debug, Default)]
pub(super) struct Exchanges<'a> {
    pub(super) all: Vec<Exchange<'a>>,
    pub(super) moments: Vec<Moment<'a>>,
}

/// A client's connection that is open.
struct Open<'a> {
    server: &'a str,
    run: u32,
    memory: u32,
    waits_for_disk: bool,
    /// The exchanges without an answer, in the order of their lines.
    waiting: VecDeque<usize>,
    /// Whether the next answer belongs to the first of them. Not so once the client gave a line up,
    /// as what still arrives is not divided into answers then.
    in_step: bool,
}

/// The runs of a server so far.
#[derive(Clone, Copy, Default)]
struct Runs {
    run: u32,
    memory: u32,
    /// The memory of the run before.
    before: u32,
    /// How many memories there were.
    memories: u32,
    /// Whether its disk may have forgotten something.
    forgets: bool,
    /// Whether answers wait for its disk.
    waits_for_disk: bool,
}

impl Runs {
    fn begin(&mut self) {
        self.run += 1;
        self.waits_for_disk = false;
        self.memories += 1;
        self.before = std::mem::replace(&mut self.memory, self.memories);
    }

    /// The run that has just begun knows from its disk what the one before it answered.
    fn remember(&mut self) {
        self.waits_for_disk = true;
        if self.before > 0 && !self.forgets {
            self.memory = self.before;
        }
    }
}

#[derive(Default)]
struct Reader<'a> {
    found: Exchanges<'a>,
    open: BTreeMap<ConnId, Open<'a>>,
    runs: BTreeMap<&'a str, Runs>,
    /// The connection of each line.
    conns: BTreeMap<EventId, ConnId>,
}

impl<'a> Exchanges<'a> {
    pub(super) fn of(events: &'a [Event]) -> Self {
        let mut reader = Reader::default();
        for event in events {
            match &event.who {
                Actor::Client(client) => reader.at_client(client, event),
                Actor::Server(server) => reader.at_server(server, event),
                Actor::Peer(_) => reader.at_peer(event),
                Actor::Network | Actor::Places => {}
            }
        }
        reader.found
    }

    /// All exchanges that were answered, with their answers.
    pub(super) fn answered(&self) -> impl Iterator<Item = (&Exchange<'a>, Answer<'a>)> {
        (self.all.iter()).filter_map(|exchange| Some((exchange, exchange.answer?)))
    }
}

impl<'a> Reader<'a> {
    fn at_server(&mut self, server: &'a str, event: &'a Event) {
        match &event.what {
            EventKind::Started { .. } => self.runs.entry(server).or_default().begin(),
            EventKind::Loaded {
                answers_wait: true, ..
            } => self.runs.entry(server).or_default().remember(),
            EventKind::DiskFaulty { forgets: true, .. } => {
                self.runs.entry(server).or_default().forgets = true;
            }
            EventKind::Forgotten { record, .. }
            | EventKind::Expired { record }
            | EventKind::Ignored {
                record,
                why: Ignored::Expired,
                ..
            } => self.found.moments.push(Moment::Lost(&record.client.0)),
            _ => {}
        }
    }

    fn at_peer(&mut self, event: &'a Event) {
        let EventKind::LineOut { line, .. } = &event.what else {
            return;
        };
        // Whoever gives a record a later generation claims that its client was forgotten before.
        self.found
            .moments
            .extend(forgets(&line.0).map(Moment::Lost));
        let told = Told::between_servers(&line.0);
        self.found.moments.extend(told.map(Moment::ByHand));
    }

    fn at_client(&mut self, client: &'a str, event: &'a Event) {
        match &event.what {
            EventKind::Opened {
                conn,
                with: PeerRole::Server(server),
                ..
            } => {
                let runs = self.runs.get(&**server).copied().unwrap_or_default();
                let open = Open {
                    server,
                    run: runs.run,
                    memory: runs.memory,
                    waits_for_disk: runs.waits_for_disk,
                    waiting: VecDeque::new(),
                    in_step: true,
                };
                self.open.insert(*conn, open);
            }
            EventKind::LineOut { conn, line } => self.sends(client, *conn, event, &line.0),
            EventKind::LineIn { conn, line } => self.receives(*conn, event, &line.0),
            EventKind::Unanswered { .. } => {
                let conn = event.cause.and_then(|line| self.conns.get(&line));
                if let Some(open) = conn.and_then(|conn| self.open.get_mut(conn)) {
                    open.in_step = false;
                }
            }
            EventKind::Closed { conn, .. } => {
                self.open.remove(conn);
            }
            _ => {}
        }
    }

    fn sends(&mut self, client: &'a str, conn: ConnId, sent: &'a Event, text: &'a [u8]) {
        let Some(open) = self.open.get_mut(&conn) else {
            return;
        };
        // What a scenario writes as one line may be several.
        open.in_step &= !text.contains(&b'\n');
        let number = self.found.all.len();
        open.waiting.push_back(number);
        self.conns.insert(sent.id, conn);
        self.found.moments.push(Moment::Sent(number));
        self.found.all.push(Exchange {
            client,
            server: open.server,
            run: open.run,
            memory: open.memory,
            waits_for_disk: open.waits_for_disk,
            conn,
            sent,
            text,
            line: Line::read(text),
            answer: None,
        });
    }

    fn receives(&mut self, conn: ConnId, event: &'a Event, text: &'a [u8]) {
        let open = self.open.get_mut(&conn).filter(|open| open.in_step);
        let Some(number) = open.and_then(|open| open.waiting.pop_front()) else {
            return;
        };
        let told = Told::read(text);
        self.found.all[number].answer = Some(Answer { event, text, told });
        self.found.moments.push(Moment::Answered(number));
    }
}

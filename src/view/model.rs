//! The input of all pictures of a run, in the form that the page's JavaScript reads: columns of
//! numbers, and each text once.

use std::collections::BTreeMap;

use indexmap::IndexSet;
use serde::Serialize;

use super::messages::{Class, Message, messages};
use crate::journal::{Event, EventKind, RecordText};
use crate::report::faults::{Fault, faults};
use crate::report::lanes::{Lane, LaneKind, Lanes};
use crate::report::{self, Detail, Reasons, StoryFilter, fate, sentences};
use crate::trace::Trace;
use crate::trace::propagation::Use;

/// The maximum length of a shown text, in characters: answers of Places are long.
const MOST_TEXT: usize = 2_000;

/// A placeholder for the name of a record in an event's words, so that equal words are stored once.
/// Other texts cannot contain it, because events' texts are escaped.
const NAME_OF_UPDATE: &str = "\u{1}";

/// One run, as pictures show it.
#[derive(Clone, Debug, Serialize)]
pub struct Run {
    /// The file that it came from.
    pub source: String,
    /// The command that repeats the run.
    pub command: String,
    /// The scenario's name.
    pub scenario: String,
    /// The scenario's title.
    pub title: String,
    /// The scenario's description, as one paragraph.
    pub about: Option<String>,
    /// The herd's name.
    pub herd: String,
    /// The run's seed. It is a text because it can exceed what JavaScript represents exactly.
    pub seed: String,
    /// The line that `herd run` ends with.
    pub verdict: String,
    /// The number of expectations that failed.
    pub broken: usize,
    /// The number of messages of a flood without faults; `None` if the herd is not connected.
    pub flood: Option<usize>,
    /// The last event of the herd's start (0 if there is none), and the herd's state then, in
    /// words. Readers who step through the run see the start as one step.
    pub came_up: (u64, String),
    /// All participants.
    pub lanes: Vec<Lane>,
    /// The herd's links: the lanes of their ends, and the latency.
    pub links: Vec<(usize, usize, String)>,
    /// The events.
    pub events: Events,
    /// The messages, each with its sender and its receiver.
    pub messages: Messages,
    /// The records that events refer to.
    pub records: Vec<Record>,
    /// The faults.
    pub faults: Vec<Fault>,
    /// Changes of clocks: the event's number, nanoseconds ahead, and additional nanoseconds per
    /// second.
    pub clocks: Vec<(u64, i64, i64)>,
    /// How each update spread.
    pub updates: Vec<Update>,
    /// The expectations and their results.
    pub judgements: Vec<JudgementRow>,
    /// The invariants that the scenario switches off.
    pub without: Vec<&'static str>,
    /// Every text, stored once. Other columns refer to texts by their index.
    pub texts: IndexSet<String>,
}

/// Events, a column for each property. The event of number N is in row N − 1.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Events {
    /// Nanoseconds since the event before.
    pub at: Vec<u64>,
    /// The index of the lane.
    pub who: Vec<usize>,
    /// The distance back to the event's cause, in events; 0 without a cause.
    pub cause: Vec<u64>,
    /// The event's kind, as an index into `kinds`.
    pub kind: Vec<usize>,
    /// The event's words, as an index into the texts. U+0001 in a text stands for the name of the
    /// event's record.
    pub text: Vec<usize>,
    /// The subject, by kind: the lane of a neighbour, or the index of a record. -1 without one.
    pub about: Vec<i64>,
    /// The kinds of events.
    pub kinds: IndexSet<&'static str>,
}

/// Messages, a column for each property, in the order of sending.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Messages {
    /// The number of the event of sending.
    pub sent: Vec<u64>,
    /// The number of events from sending to arrival; 0 if the message never arrived.
    pub heard: Vec<u64>,
    /// The sender's lane.
    pub from: Vec<usize>,
    /// The receiver's lane; -1 if it is not known.
    pub to: Vec<i64>,
    /// The message's kind, as an index into `classes`.
    pub class: Vec<usize>,
    /// The index of the update that it carries; -1 for none.
    pub update: Vec<i64>,
    /// The update's hops on arrival.
    pub hops: Vec<u32>,
    /// The indices of the messages that synchronisation sent.
    pub by_sync: Vec<usize>,
    /// The kinds of messages.
    pub classes: Vec<Class>,
}

/// A record: its fields as indices into the texts, and its update.
#[derive(Clone, Debug, Serialize)]
pub struct Record(
    /// Client, location, time, origin, skew.
    pub [usize; 5],
    /// The index of the update; -1 for one that the trace does not follow.
    pub i64,
);

/// How an update spread.
#[derive(Clone, Debug, Serialize)]
pub struct Update {
    /// The update's name.
    pub name: String,
    /// The lane of the server that it was sent to; -1 if there is none.
    pub to: i64,
    /// The event in which the client sent it; 0 if it was never sent.
    pub sent: u64,
    /// Whether that server accepted it, in words.
    pub fate: String,
    /// Sentences about its spread, as indices into the texts.
    pub sentences: Vec<usize>,
    /// The arrivals at servers that accepted it.
    pub arrivals: Vec<ArrivalRow>,
    /// The lanes of the servers that never had it, each with the reason as an index into the texts.
    pub missing: Vec<(usize, usize)>,
    /// The numbers of messages between servers that were useful, that were duplicates, and that
    /// were lost.
    pub sends: [usize; 3],
}

/// An arrival at a server that accepts the update. To keep pages small, JSON has the fields as
/// lists without names: the first five in a list of their own, then the others.
#[derive(Clone, Debug)]
pub struct ArrivalRow {
    /// The server's lane.
    pub lane: i64,
    /// The number of the event.
    pub event: u64,
    /// The number of links that the update crossed.
    pub hops: u32,
    /// The lane of the server that sent it; -1 at the origin.
    pub via: i64,
    /// Whether it arrived by synchronisation.
    pub sync: bool,
    /// Nanoseconds since the origin accepted it.
    pub delay: u64,
    /// The number of links on the shortest route that was possible.
    pub shortest: Option<u32>,
    /// Nanoseconds on the fastest route that was possible.
    pub fastest: Option<u64>,
}

impl Serialize for ArrivalRow {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fields = (self.lane, self.event, self.hops, self.via, self.sync);
        (fields, self.delay, self.shortest, self.fastest).serialize(serializer)
    }
}

/// An expectation and its result.
#[derive(Clone, Debug, Serialize)]
pub struct JudgementRow {
    /// What was expected of whom, as a short title.
    pub about: String,
    /// Whether it passed.
    pub held: bool,
    /// What was expected.
    pub expected: String,
    /// The actual result, with its reason.
    pub actual: String,
    /// The expectation's place in the scenario's file, as line and column.
    pub place: Option<String>,
    /// Whether it is one of the named invariants.
    pub invariant: bool,
    /// The events that show it.
    pub events: Vec<u64>,
    /// The index of the update that it is about, if any.
    pub update: Option<usize>,
}

impl Run {
    /// The input of pictures of `trace`. `source` is the file that it came from, `command` repeats
    /// the run.
    pub fn of(trace: &Trace, source: &str, command: &str) -> Self {
        let lanes = Lanes::of(trace);
        let header = &trace.header;
        let faults = faults(trace, &lanes);
        let mut columns = Columns::new(trace, &lanes);
        for event in &trace.events {
            columns.add(event);
        }
        let link = |link: &crate::trace::LinkShape| {
            let ends = (lanes.server(&link.a)?, lanes.server(&link.b)?);
            Some((ends.0, ends.1, link.latency.clone()))
        };
        let updates = updates(trace, &lanes, &faults, &mut columns);
        let connected = trace.herd.is_connected();
        Self {
            source: source.to_owned(),
            command: command.to_owned(),
            scenario: header.scenario.clone(),
            title: header.title.clone(),
            about: header.about.as_deref().map(joined),
            herd: header.herd.clone(),
            seed: header.seed.to_string(),
            verdict: report::verdict_line(trace),
            broken: trace.verdict().failed,
            came_up: came_up(trace),
            flood: connected.then(|| trace.herd.fault_free_sends()),
            links: header.links.iter().filter_map(link).collect(),
            messages: Messages::of(&messages(trace, &lanes)),
            updates,
            judgements: judged(trace, &Reasons::new(trace, &lanes, &faults)),
            without: header.without.iter().map(|one| one.name()).collect(),
            faults,
            events: columns.events,
            records: columns.records,
            clocks: columns.clocks,
            texts: columns.texts,
            lanes: lanes.list,
        }
    }

    /// The servers' lanes.
    pub fn servers(&self) -> impl Iterator<Item = &Lane> {
        let lanes = self.lanes.iter();
        lanes.filter(|lane| lane.kind == LaneKind::Server)
    }
}

impl Messages {
    fn of(messages: &[Message]) -> Self {
        let mut columns = Self {
            classes: vec![
                Class::Request,
                Class::Answer,
                Class::Useful,
                Class::Duplicate,
                Class::Lost,
                Class::Sync,
                Class::Heartbeat,
                Class::Places,
            ],
            ..Self::default()
        };
        for (index, message) in messages.iter().enumerate() {
            let class = columns
                .classes
                .iter()
                .position(|&class| class == message.class);
            columns.sent.push(message.sent);
            let later = message
                .heard
                .map_or(0, |heard| heard.saturating_sub(message.sent));
            columns.heard.push(later);
            columns.from.push(message.from);
            columns.to.push(signed(message.to));
            columns.class.push(class.unwrap_or_default());
            columns.update.push(signed(message.update));
            columns.hops.push(message.hops);
            if message.by_sync {
                columns.by_sync.push(index);
            }
        }
        columns
    }
}

/// Fills the columns of events, from the first event to the last.
struct Columns<'a> {
    lanes: &'a Lanes<'a>,
    /// The updates of the trace, by their records' texts.
    known: BTreeMap<Vec<u8>, usize>,
    seen: BTreeMap<Vec<u8>, usize>,
    last: u64,
    events: Events,
    records: Vec<Record>,
    clocks: Vec<(u64, i64, i64)>,
    texts: IndexSet<String>,
}

impl<'a> Columns<'a> {
    fn new(trace: &'a Trace, lanes: &'a Lanes<'a>) -> Self {
        let mut known = BTreeMap::new();
        for (index, update) in trace.updates.iter().enumerate() {
            let first = update.arrivals.first();
            let first = first.and_then(|arrival| trace.event(arrival.event));
            if let Some(EventKind::Accepted { record, .. }) = first.map(|event| &event.what) {
                known.entry(record.text()).or_insert(index);
            }
        }
        Self {
            lanes,
            known,
            seen: BTreeMap::new(),
            last: 0,
            events: Events::default(),
            records: Vec::new(),
            clocks: Vec::new(),
            texts: IndexSet::new(),
        }
    }

    fn add(&mut self, event: &Event) {
        let number = event.id.0.get();
        // A trace file may be damaged, but the page relies on times that never decrease.
        let at = event.at.max(self.last);
        let cause = event.cause.map_or(0, |cause| cause.0.get());
        let back = if cause == 0 {
            0
        } else {
            number.saturating_sub(cause)
        };
        let words = match &event.what {
            EventKind::LineIn { line, .. } | EventKind::LineOut { line, .. } => line.to_string(),
            what => what.words(&|_| NAME_OF_UPDATE.to_owned()),
        };
        if let EventKind::Skewed { by, drift } = event.what {
            self.clocks.push((number, by, drift));
        }
        let about = self.about(event);
        let text = self.text(&words);
        let (kind, _) = self.events.kinds.insert_full(event.what.kind());
        self.events.at.push(at - self.last);
        self.events
            .who
            .push(self.lanes.of_event(event).unwrap_or_default());
        self.events.cause.push(back);
        self.events.kind.push(kind);
        self.events.text.push(text);
        self.events.about.push(about);
        self.last = at;
    }

    fn about(&mut self, event: &Event) -> i64 {
        match &event.what {
            EventKind::Accepted { record, .. }
            | EventKind::Ignored { record, .. }
            | EventKind::Restored { record, .. }
            | EventKind::Expired { record } => signed(Some(self.record(record))),
            EventKind::LinkUp { peer, .. }
            | EventKind::LinkDown { peer, .. }
            | EventKind::Synchronised { peer, .. } => signed(self.lanes.server(peer)),
            EventKind::ConnectFailed { to, .. } | EventKind::Unanswered { to, .. } => {
                signed(self.lanes.server(to))
            }
            _ => -1,
        }
    }

    fn record(&mut self, record: &RecordText<'_>) -> usize {
        let key = record.text();
        if let Some(index) = self.seen.get(&key) {
            return *index;
        }
        let fields = [
            &record.client,
            &record.location,
            &record.time,
            &record.origin,
            &record.skew,
        ];
        let fields = fields.map(|field| self.text(&field.to_string()));
        let update = self.known.get(&key).copied();
        let index = self.records.len();
        self.records.push(Record(fields, signed(update)));
        self.seen.insert(key, index);
        index
    }

    fn text(&mut self, text: &str) -> usize {
        let clipped = match text.char_indices().nth(MOST_TEXT) {
            Some((end, _)) => {
                format!("{} … and {} bytes more", &text[..end], text.len() - end)
            }
            None => text.to_owned(),
        };
        self.texts.insert_full(clipped).0
    }
}

fn came_up(trace: &Trace) -> (u64, String) {
    let (last, words) = StoryFilter::new(trace, Detail::Story).came_up();
    (last.map_or(0, |event| event.id.0.get()), words)
}

fn updates(
    trace: &Trace,
    lanes: &Lanes<'_>,
    faults: &[Fault],
    columns: &mut Columns<'_>,
) -> Vec<Update> {
    let lane = |name: &str| signed(lanes.server(name));
    let reasons = Reasons::new(trace, lanes, faults);
    let updates = trace.updates.iter().map(|update| Update {
        name: update.name.clone(),
        to: lane(&update.to),
        sent: update.sent.map_or(0, |sent| sent.0.get()),
        fate: fate(update),
        sentences: (sentences(&reasons, update).iter())
            .map(|sentence| columns.text(sentence))
            .collect(),
        arrivals: (update.arrivals.iter())
            .map(|arrival| ArrivalRow {
                lane: lane(&arrival.server),
                event: arrival.event.0.get(),
                hops: arrival.hops,
                via: arrival.via.as_deref().map_or(-1, lane),
                sync: arrival.sync,
                delay: arrival.delay,
                shortest: arrival.shortest,
                fastest: arrival.fastest,
            })
            .collect(),
        missing: (trace.herd.server_names())
            .filter(|name| update.arrival(name).is_none())
            .filter_map(|name| {
                let words = columns.text(&report::missing(&reasons, update, name));
                Some((lanes.server(name)?, words))
            })
            .collect(),
        sends: [Use::Useful, Use::Duplicate, Use::Lost].map(|result| update.count(result)),
    });
    updates.collect()
}

fn judged(trace: &Trace, reasons: &Reasons<'_>) -> Vec<JudgementRow> {
    let by_name: BTreeMap<&str, usize> = (trace.updates.iter().enumerate())
        .map(|(index, update)| (&*update.name, index))
        .collect();
    let judged = trace.judgements.iter().map(|judgement| {
        // An expectation about an update begins with its name and a colon. Client ids contain no
        // white space, so ": " ends the name.
        let name = judgement.about.split(": ").next().unwrap_or_default();
        JudgementRow {
            about: judgement.about.clone(),
            held: judgement.passed,
            expected: judgement.expected.clone(),
            actual: report::actual(reasons, judgement),
            place: judgement.place.clone(),
            invariant: judgement.invariant.is_some(),
            events: judgement.events.iter().map(|event| event.0.get()).collect(),
            update: by_name.get(name).copied(),
        }
    });
    judged.collect()
}

/// The text as one paragraph, without line breaks.
fn joined(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn signed(index: Option<usize>) -> i64 {
    index
        .and_then(|index| i64::try_from(index).ok())
        .unwrap_or(-1)
}

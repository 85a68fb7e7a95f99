//! All that a picture of a run needs, in the form in which the page's JavaScript reads it: columns of numbers, and
//! each text once.

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

/// A text of a trace is shown up to this many characters: answers of Places are long.
const MOST_TEXT: usize = 2_000;

/// Stands in an event's words for what its record is called, so that words are few. No other text has it: events'
/// texts are escaped.
const NAME_OF_UPDATE: &str = "\u{1}";

/// One run, as a picture shows it.
#[derive(Clone, Debug, Serialize)]
pub struct Run {
    /// The file that it came from.
    pub source: String,
    /// The command that runs it again.
    pub command: String,
    /// The scenario's name.
    pub scenario: String,
    /// Its title.
    pub title: String,
    /// What there is to see in it.
    pub about: Option<String>,
    /// The herd's name.
    pub herd: String,
    /// What everything random follows from. A text: it may be more than JavaScript counts exactly.
    pub seed: String,
    /// The line that `herd run` ends with.
    pub verdict: String,
    /// How many expectations failed.
    pub broken: usize,
    /// How many messages a flood costs when nothing is wrong; none if the herd is not connected.
    pub flood: Option<usize>,
    /// The last event of the herd coming up (0 if it never did), and how it was then, in words: one
    /// step for who goes through the run.
    pub came_up: (u64, String),
    /// Everybody.
    pub lanes: Vec<Lane>,
    /// The herd's links: the lanes of their ends, and the latency.
    pub links: Vec<(usize, usize, String)>,
    /// What happened.
    pub events: Events,
    /// The messages, each with its sender and its receiver.
    pub messages: Messages,
    /// The records that events tell of.
    pub records: Vec<Record>,
    /// What the harness did.
    pub faults: Vec<Fault>,
    /// Clocks that were set wrong: the event, nanoseconds ahead, nanoseconds more each second.
    pub clocks: Vec<(u64, i64, i64)>,
    /// The way of each update.
    pub updates: Vec<Update>,
    /// What was expected, and what came.
    pub judgements: Vec<JudgementRow>,
    /// The invariants that were not evaluated.
    pub without: Vec<&'static str>,
    /// Every text, once.
    pub texts: IndexSet<String>,
}

/// Events, a column for each property. The event of number N is in row N − 1.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Events {
    /// Nanoseconds since the event before.
    pub at: Vec<u64>,
    /// The lane.
    pub who: Vec<usize>,
    /// How many events before this one its cause is; 0 for none.
    pub cause: Vec<u64>,
    /// What it was: a place in `kinds`.
    pub kind: Vec<usize>,
    /// Its words: a place in the texts. There U+0001 stands for what its record is called.
    pub text: Vec<usize>,
    /// What it is about: the lane of a neighbour, or a record; -1 for nothing.
    pub about: Vec<i64>,
    /// What events there are.
    pub kinds: IndexSet<&'static str>,
}

/// Messages, a column for each property, in the order in which they were sent.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Messages {
    /// The number of the event of sending.
    pub sent: Vec<u64>,
    /// How many events later it arrived; 0 if it never did.
    pub heard: Vec<u64>,
    /// From which lane.
    pub from: Vec<usize>,
    /// To which lane; -1 if nobody knows.
    pub to: Vec<i64>,
    /// What it is: a place in `classes`.
    pub class: Vec<usize>,
    /// Which update it carries; -1 for none.
    pub update: Vec<i64>,
    /// The update's hops on arrival.
    pub hops: Vec<u32>,
    /// Those that synchronisation sent, by their place among the messages.
    pub by_sync: Vec<usize>,
    /// What messages there are.
    pub classes: Vec<Class>,
}

/// A record: places in the texts, and which update it is (-1 for one that the trace does not follow).
#[derive(Clone, Debug, Serialize)]
pub struct Record(
    /// Client, location, time, origin, skew.
    pub [usize; 5],
    /// The update.
    pub i64,
);

/// The way of an update.
#[derive(Clone, Debug, Serialize)]
pub struct Update {
    /// What it is called.
    pub name: String,
    /// The lane of the server that it was sent to; -1 if there is none.
    pub to: i64,
    /// The event of sending it; 0 if it never was.
    pub sent: u64,
    /// What the server made of it.
    pub fate: String,
    /// What became of it, in sentences: places in the texts.
    pub sentences: Vec<usize>,
    /// Who took it in.
    pub arrivals: Vec<ArrivalRow>,
    /// The lanes of those that never had it, and why, in a few words: a place in the texts.
    pub missing: Vec<(usize, usize)>,
    /// How many messages between servers were new, were duplicates, never arrived.
    pub sends: [usize; 3],
}

/// A server takes an update in. There are many of these: in JSON the fields stand in a list, in this order.
#[derive(Clone, Debug)]
pub struct ArrivalRow {
    /// The server's lane.
    pub lane: i64,
    /// The event.
    pub event: u64,
    /// Over how many links it came.
    pub hops: u32,
    /// The lane of the server that sent it; -1 at the origin.
    pub via: i64,
    /// It came by synchronisation.
    pub sync: bool,
    /// Nanoseconds since the origin had it.
    pub delay: u64,
    /// The fewest links, and the least time, that were possible.
    pub shortest: Option<u32>,
    /// See `shortest`.
    pub fastest: Option<u64>,
}

impl Serialize for ArrivalRow {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fields = (self.lane, self.event, self.hops, self.via, self.sync);
        (fields, self.delay, self.shortest, self.fastest).serialize(serializer)
    }
}

/// An expectation, and what came.
#[derive(Clone, Debug, Serialize)]
pub struct JudgementRow {
    /// What it is about.
    pub about: String,
    /// Whether it passed.
    pub held: bool,
    /// What was expected.
    pub expected: String,
    /// What came.
    pub actual: String,
    /// Where the scenario says so.
    pub place: Option<String>,
    /// Whether it is one of the named invariants.
    pub invariant: bool,
    /// The events that show it.
    pub events: Vec<u64>,
    /// The update that it is about, where it is about one.
    pub update: Option<usize>,
}

impl Run {
    /// What a picture of `trace` needs. `source` is the file that it came from, `command` what runs it again.
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
        // Time does not run backwards, whatever a file says.
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
        // What is expected of an update begins with its name. A client's id has no white space.
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

/// Lines of a file's text as one paragraph.
fn joined(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn signed(index: Option<usize>) -> i64 {
    index
        .and_then(|index| i64::try_from(index).ok())
        .unwrap_or(-1)
}

//! A run as a trace for Perfetto and for Chrome's own viewer: a process for each participant, a
//! slice for each event, a flow for each message, and a track of the faults.
//!
//! The format counts microseconds and does not order simultaneous events. An event therefore takes
//! a microsecond here, and begins no earlier than the one before it ends. The exact time is among
//! its arguments.

use serde_json::{Value, json};

use super::messages::{Message, messages};
use crate::journal::{Event, EventId};
use crate::protocol::visible;
use crate::report::faults::{Fault, FaultClass, faults};
use crate::report::lanes::Lanes;
use crate::report::{Detail, StoryFilter, show};
use crate::trace::Trace;

/// The duration of an event in the file, in nanoseconds.
const WIDTH: u64 = 1_000;

/// The ids of a participant's two tracks: its events and its faults.
const EVENTS: u64 = 1;
const WRONG: u64 = 2;

/// The shown events of a run, and the arrivals of shown messages, as JSON text.
pub fn perfetto(trace: &Trace, detail: Detail) -> String {
    let told = StoryFilter::new(trace, detail);
    let lanes = Lanes::of(trace);
    let is_told =
        |message: &Message| event(trace, message.sent).is_some_and(|sent| told.is_told(sent));
    let messages: Vec<Message> = messages(trace, &lanes)
        .into_iter()
        .filter(is_told)
        .collect();
    let heard = messages.iter().filter_map(|message| message.heard);
    let sent = (trace.events.iter()).filter(|event| told.is_told(event));
    let mut shown: Vec<u64> = heard.chain(sent.map(|event| event.id.0.get())).collect();
    shown.sort_unstable();
    shown.dedup();
    let mut file = File::new(trace, &lanes);
    for event in shown.into_iter().filter_map(|number| event(trace, number)) {
        file.slice(event, &told.what(event));
    }
    for (message, number) in messages.iter().zip(1_u64..) {
        file.flow(message, number);
    }
    for fault in &faults(trace, &lanes) {
        file.span(fault);
    }
    file.text()
}

struct File<'a> {
    trace: &'a Trace,
    lanes: &'a Lanes<'a>,
    /// When each event begins in the file, in nanoseconds.
    begins: Vec<u64>,
    rows: Vec<Value>,
}

impl<'a> File<'a> {
    fn new(trace: &'a Trace, lanes: &'a Lanes<'a>) -> Self {
        let mut free = 0;
        let begins = trace.events.iter().map(|event| {
            let begin = event.at.max(free);
            free = begin.saturating_add(WIDTH);
            begin
        });
        let mut file = Self {
            trace,
            lanes,
            begins: begins.collect(),
            rows: Vec::new(),
        };
        for (lane, index) in lanes.list.iter().zip(1_u64..) {
            file.name(index, &visible(&lane.name));
        }
        file
    }

    fn name(&mut self, process: u64, name: &str) {
        let mut says = |what: &str, track: u64, args: Value| {
            self.rows.push(
                json!({ "ph": "M", "pid": process, "tid": track, "name": what, "args": args }),
            );
        };
        says("process_name", EVENTS, json!({ "name": name }));
        says(
            "process_sort_index",
            EVENTS,
            json!({ "sort_index": process }),
        );
        says("thread_name", EVENTS, json!({ "name": "events" }));
        says("thread_name", WRONG, json!({ "name": "faults" }));
    }

    /// The process of an event, and when the event begins there, in nanoseconds.
    fn place(&self, event: &Event) -> Option<(usize, u64)> {
        let index = usize::try_from(event.id.0.get() - 1).ok()?;
        Some((self.lanes.of_event(event)? + 1, *self.begins.get(index)?))
    }

    fn slice(&mut self, event: &Event, words: &str) {
        let Some((process, begin)) = self.place(event) else {
            return;
        };
        self.rows.push(json!({
            "ph": "X", "pid": process, "tid": EVENTS, "ts": microseconds(begin), "dur": microseconds(WIDTH),
            "name": words,
            "args": {
                "event": event.id.0.get(),
                "cause": event.cause.map(|cause| cause.0.get()),
                "at": show::moment(event.at),
            },
        }));
    }

    /// Adds a message as a flow, which binds to the slices that it begins and ends in.
    fn flow(&mut self, message: &Message, number: u64) {
        let heard = message.heard.and_then(|heard| event(self.trace, heard));
        let events = (event(self.trace, message.sent), heard);
        let (Some(sent), Some(heard)) = events else {
            return;
        };
        let (Some(from), Some(to)) = (self.place(sent), self.place(heard)) else {
            return;
        };
        self.rows.push(json!({
            "ph": "s", "id": number, "cat": "message", "name": "message",
            "pid": from.0, "tid": EVENTS, "ts": microseconds(from.1),
        }));
        self.rows.push(json!({
            "ph": "f", "bp": "e", "id": number, "cat": "message", "name": "message",
            "pid": to.0, "tid": EVENTS, "ts": microseconds(to.1),
        }));
    }

    /// Adds a fault. Faults of one server can overlap without nesting, so they are asynchronous
    /// events. Their ids are local to the process; otherwise Perfetto would show them outside it. A
    /// fault of several servers is shown with the first.
    fn span(&mut self, fault: &Fault) {
        let process = fault.lanes.first().map_or(0, |lane| lane + 1);
        let end = self
            .trace
            .events
            .last()
            .map_or(fault.from, |event| event.at);
        let severed = fault.kind == FaultClass::Severed;
        let until = if severed {
            fault.from + WIDTH
        } else {
            fault.to.unwrap_or(end)
        };
        for (phase, at) in [("b", fault.from), ("e", until)] {
            self.rows.push(json!({
                "ph": phase, "id2": { "local": format!("{:#x}", fault.event) }, "cat": "fault", "name": fault.label,
                "pid": process, "tid": WRONG, "ts": microseconds(at),
            }));
        }
    }

    fn text(&self) -> String {
        let header = &self.trace.header;
        let rows: Vec<String> = self.rows.iter().map(Value::to_string).collect();
        let about = json!({ "title": header.title, "herd": header.herd, "seed": header.seed });
        let rows = rows.join(",\n");
        format!(
            "{{\"displayTimeUnit\":\"ms\",\"otherData\":{about},\"traceEvents\":[\n{rows}\n]}}\n"
        )
    }
}

/// The event with this number.
fn event(trace: &Trace, number: u64) -> Option<&Event> {
    trace.event(EventId(number.try_into().ok()?))
}

/// Nanoseconds as microseconds, the unit of the format, with three decimals.
fn microseconds(nanos: u64) -> Value {
    let text = format!("{}.{:03}", nanos / 1_000, nanos % 1_000);
    (text.parse::<serde_json::Number>()).map_or(Value::Null, Value::Number)
}

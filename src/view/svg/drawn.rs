//! Selects what is drawn of a run: messages, marks and notes.

use std::collections::BTreeMap;

use super::Window;
use crate::journal::{Actor, Event, EventId, EventKind};
use crate::report::lanes::Lanes;
use crate::report::{Detail, StoryFilter, show};
use crate::trace::Trace;
use crate::view::messages::{Class, Message, messages};

/// The maximum number of lines of notes beside a moment.
const MOST_NOTES: usize = 6;

/// The messages, marks and notes that are drawn of a run.
pub(super) struct Drawn<'a> {
    pub(super) trace: &'a Trace,
    pub(super) told: StoryFilter<'a>,
    pub(super) messages: Vec<Message>,
    /// Events that are marked on their lifeline.
    pub(super) marks: Vec<&'a Event>,
    /// The lines of notes beside each moment, by nanoseconds since the run began.
    pub(super) notes: BTreeMap<u64, Vec<String>>,
}

impl<'a> Drawn<'a> {
    pub(super) fn new(trace: &'a Trace, lanes: &Lanes<'_>, detail: Detail, window: Window) -> Self {
        let mut drawn = Self {
            trace,
            told: StoryFilter::new(trace, detail),
            messages: Vec::new(),
            marks: Vec::new(),
            notes: BTreeMap::new(),
        };
        let mut messages = messages(trace, lanes);
        messages.retain(|message| {
            let ends = [drawn.event(message.sent), drawn.heard(message)];
            let mut ends = ends.into_iter().flatten();
            ends.any(|event| window.has(event.at))
                && (detail == Detail::Everything || drawn.is_shown(message))
        });
        drawn.messages = messages;
        let told: Vec<&Event> = (trace.events.iter())
            .filter(|event| window.has(event.at) && drawn.told.is_told(event))
            .collect();
        let (up, words) = drawn.told.coming_up();
        if window.has(up) && detail == Detail::Story && !trace.events.is_empty() {
            drawn.notes.insert(up, vec![words]);
        }
        drawn.note(told.iter().filter(|event| is_noted(event)));
        drawn.marks = told
            .into_iter()
            .filter(|event| is_marked(&event.what))
            .collect();
        drawn
    }

    /// The event with this number.
    pub(super) fn event(&self, number: u64) -> Option<&'a Event> {
        self.trace.event(EventId(number.try_into().ok()?))
    }

    pub(super) fn heard(&self, message: &Message) -> Option<&'a Event> {
        message.heard.and_then(|heard| self.event(heard))
    }

    /// Whether a message belongs to the story.
    fn is_shown(&self, message: &Message) -> bool {
        let Some(sent) = self.event(message.sent) else {
            return false;
        };
        let cause = |event: &Event| event.cause.and_then(|cause| self.trace.event(cause));
        match (message.class, self.heard(message)) {
            (Class::Sync | Class::Heartbeat, _) => false,
            (Class::Answer, Some(heard)) => self.told.is_told(heard),
            (Class::Answer, None) => {
                let asked = cause(sent).and_then(cause);
                asked.is_some_and(|asked| self.told.is_told(asked))
            }
            _ => self.told.is_told(sent),
        }
    }

    /// Adds notes. Equal simultaneous events share a note, and so do the simultaneous lines of one
    /// client.
    fn note<'b>(&mut self, events: impl Iterator<Item = &'b &'a Event>)
    where
        'a: 'b,
    {
        let mut all: Vec<Note<'_>> = Vec::new();
        for event in events {
            let what = self.told.what(event).replace("  ", " ");
            let is_line = matches!(event.what, EventKind::LineOut { .. });
            let mut now = (all.iter_mut().rev()).take_while(|note| note.at == event.at);
            let same = now.find(|note| {
                let is_its = is_line && note.is_line && note.who == [event.who.name()];
                is_its || note.what == what
            });
            match same {
                Some(note) if note.is_line => note.more += 1,
                Some(note) => note.who.push(event.who.name()),
                None => all.push(Note {
                    at: event.at,
                    who: vec![event.who.name()],
                    what,
                    is_line,
                    more: 0,
                }),
            }
        }
        for note in all {
            let notes = self.notes.entry(note.at).or_default();
            if notes.len() < MOST_NOTES {
                notes.push(note.words());
            } else if notes.len() == MOST_NOTES {
                notes.push("… and more".to_owned());
            }
        }
    }
}

struct Note<'a> {
    at: u64,
    who: Vec<&'a str>,
    what: String,
    is_line: bool,
    /// The number of further lines of the same client at this moment.
    more: usize,
}

impl Note<'_> {
    fn words(&self) -> String {
        let (who, what) = (self.who.join(", "), &self.what);
        match self.more {
            0 => format!("{who} {what}"),
            more => format!("+ {}: {who} {what}", show::count(more, "line")),
        }
    }
}

fn is_marked(what: &EventKind<'_>) -> bool {
    matches!(what, EventKind::Accepted { .. } | EventKind::Ignored { .. })
}

/// Whether an event is described in words, since no arrow and no mark shows it.
fn is_noted(event: &Event) -> bool {
    match &event.what {
        EventKind::LineOut { .. } => matches!(event.who, Actor::Client(_) | Actor::Peer(_)),
        EventKind::LineIn { .. }
        | EventKind::Opened { .. }
        | EventKind::Closed { .. }
        | EventKind::Accepted { .. }
        | EventKind::Ignored { .. }
        | EventKind::LookUp { .. }
        | EventKind::Restored { .. }
        | EventKind::Saved { .. }
        | EventKind::Compacted { .. }
        | EventKind::PlacesAsked { .. }
        | EventKind::LinkUp { .. }
        | EventKind::Started { .. }
        | EventKind::Affected { .. } => false,
        EventKind::Synchronised { sent, received, .. } => sent + received > 0,
        EventKind::PlacesTold { status, fault } => *status != 200 || fault.is_some(),
        EventKind::Stopped
        | EventKind::NotAccepted { .. }
        | EventKind::HeldBack { .. }
        | EventKind::ConnectFailed { .. }
        | EventKind::Refused { .. }
        | EventKind::Expired { .. }
        | EventKind::Loaded { .. }
        | EventKind::Damaged { .. }
        | EventKind::NotStarted { .. }
        | EventKind::NotCompacted { .. }
        | EventKind::SaveFailed { .. }
        | EventKind::SavesAgain
        | EventKind::Forgotten { .. }
        | EventKind::LinkDown { .. }
        | EventKind::Namesakes { .. }
        | EventKind::Unconfirmed { .. }
        | EventKind::Composed { .. }
        | EventKind::Stopping
        | EventKind::Reloaded { .. }
        | EventKind::Upgraded { .. }
        | EventKind::LinkRemoved { .. }
        | EventKind::LinkRestored { .. }
        | EventKind::Crashed
        | EventKind::Restarted
        | EventKind::PoweredOff
        | EventKind::PoweredOn
        | EventKind::Frozen
        | EventKind::Thawed
        | EventKind::Refusing
        | EventKind::Accepting
        | EventKind::Cut { .. }
        | EventKind::Healed { .. }
        | EventKind::Severed { .. }
        | EventKind::Slowed { .. }
        | EventKind::Impaired { .. }
        | EventKind::Repaired { .. }
        | EventKind::DiskFaulty { .. }
        | EventKind::DiskWorks
        | EventKind::Skewed { .. }
        | EventKind::Chose { .. }
        | EventKind::Noted { .. }
        | EventKind::Linked { .. }
        | EventKind::Unlinked { .. }
        | EventKind::Unanswered { .. } => true,
    }
}

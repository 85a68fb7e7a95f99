//! The events of a run, one line each, in three columns: time, who, what.

use std::collections::BTreeMap;

use crate::journal::{Actor, ConnId, Event, EventKind, PeerRole, RecordText};
use crate::protocol::escape;
use crate::protocol::peer::PeerLine;
use crate::trace::Trace;

use super::show;

/// How much of a run is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// What a person wants to know: the clients' lines and answers, the servers' reactions to
    /// updates, and the faults.
    Story,
    /// Every event.
    Everything,
}

/// The story's lines, without colour.
pub fn story(trace: &Trace, detail: Detail) -> Vec<String> {
    let told = StoryFilter::new(trace, detail);
    let is_told = |event: &&Event| told.is_told(event);
    let (times, names) = widths(trace.events.iter().filter(is_told));
    let mut lines = vec![format!("{:>times$}  {:<names$}  what", "time", "who")];
    lines.extend(told.beginning(times, names));
    for event in trace.events.iter().filter(is_told) {
        let (time, who, what) = (show::moment(event.at), event.who.name(), told.line(event));
        let fill = show::fill(who, names);
        lines.push(format!("{time:>times$}  {who}{fill}  {what}"));
    }
    lines
}

/// The widths of the columns of times and names.
fn widths<'e>(events: impl Iterator<Item = &'e Event>) -> (usize, usize) {
    events.fold((4, 3), |(times, names), event| {
        (
            times.max(show::moment(event.at).len()),
            names.max(show::width(event.who.name())),
        )
    })
}

/// Prints single events as in the full story, so that an expectation can search them.
pub struct Printed<'a> {
    told: StoryFilter<'a>,
    names: usize,
}

impl<'a> Printed<'a> {
    /// Computes the column widths of the whole run.
    pub fn new(trace: &'a Trace) -> Self {
        Self {
            told: StoryFilter::new(trace, Detail::Everything),
            names: widths(trace.events.iter()).1,
        }
    }

    /// The printed line of an event from each of its columns on: from the words, from the event's
    /// number, from the name, and from the time.
    pub fn from_each_column(&self, event: &Event) -> [String; 4] {
        let (what, numbered) = (self.told.what(event), self.told.line(event));
        let who = event.who.name();
        let named = format!("{who}{}  {numbered}", show::fill(who, self.names));
        let timed = format!("{}  {named}", show::moment(event.at));
        [what, numbered, named, timed]
    }
}

/// Selects the events that the story shows, and puts them into words.
pub struct StoryFilter<'a> {
    trace: &'a Trace,
    detail: Detail,
    /// The time of the first event that is not part of the herd's start, in nanoseconds.
    begins: u64,
    /// The name of each accepted update, by its record's text.
    names: BTreeMap<Vec<u8>, &'a str>,
    /// The two ends of each connection: whose end it is, and the peer that it expected.
    ends: BTreeMap<ConnId, Vec<(&'a Actor, &'a PeerRole)>>,
}

impl<'a> StoryFilter<'a> {
    /// Prepares the names and connections of a whole run.
    pub fn new(trace: &'a Trace, detail: Detail) -> Self {
        let is_step =
            |event: &&Event| !matches!(event.who, Actor::Server(_)) || is_fault(&event.what);
        let first = trace.events.iter().find(is_step);
        let mut ends: BTreeMap<ConnId, Vec<(&Actor, &PeerRole)>> = BTreeMap::new();
        for event in &trace.events {
            if let EventKind::Opened { conn, with, .. } = &event.what {
                ends.entry(*conn).or_default().push((&event.who, with));
            }
        }
        Self {
            ends,
            names: names(trace),
            trace,
            detail,
            begins: first.map_or(u64::MAX, |event| event.at),
        }
    }

    /// One line about the start of the herd; `None` where all events are shown.
    fn beginning(&self, times: usize, names: usize) -> Option<String> {
        if self.detail == Detail::Everything {
            return None;
        }
        let (time, words) = self.coming_up();
        let time = show::moment(time);
        Some(format!("{time:>times$}  {:<names$}  {words}", "all"))
    }

    /// When the herd's start was complete, in nanoseconds, and its state then, in words.
    pub fn coming_up(&self) -> (u64, String) {
        let (last, words) = self.came_up();
        (last.map_or(0, |event| event.at), words)
    }

    /// The last synchronisation of the herd's start, if there was one, and the herd's state then,
    /// in words.
    pub fn came_up(&self) -> (Option<&'a Event>, String) {
        let before = self
            .trace
            .events
            .iter()
            .filter(|event| event.at < self.begins);
        let mut running = 0;
        let mut synchronised = 0;
        let mut last = None;
        for event in before {
            match event.what {
                EventKind::Started { .. } => running += 1,
                EventKind::Synchronised { .. } => {
                    synchronised += 1;
                    last = Some(event);
                }
                _ => {}
            }
        }
        let servers = show::count(running, "server");
        // Both ends of a link record the event.
        let links = show::count(synchronised / 2, "link");
        (last, format!("{servers} up, {links} synchronised"))
    }

    /// Whether an event is shown.
    pub fn is_told(&self, event: &Event) -> bool {
        if self.detail == Detail::Everything {
            return true;
        }
        let by_client = matches!(event.who, Actor::Client(_) | Actor::Peer(_));
        if self.is_of_workload(event) {
            return false;
        }
        match &event.what {
            EventKind::Started { .. }
            | EventKind::LinkUp { .. }
            | EventKind::Opened { .. }
            | EventKind::Closed { .. }
            | EventKind::Saved { .. } => false,
            EventKind::LineOut { line, .. } => by_client || is_update(&line.0),
            EventKind::LineIn { .. } | EventKind::ConnectFailed { .. } => by_client,
            EventKind::Synchronised { .. }
            | EventKind::LinkDown { .. }
            | EventKind::Restored { .. }
            | EventKind::Loaded { .. } => event.at >= self.begins,
            EventKind::Stopped
            | EventKind::Linked { .. }
            | EventKind::Namesakes { .. }
            | EventKind::Unconfirmed { .. }
            | EventKind::Unlinked { .. }
            | EventKind::NotAccepted { .. }
            | EventKind::HeldBack { .. }
            | EventKind::Expired { .. }
            | EventKind::Damaged { .. }
            | EventKind::Compacted { .. }
            | EventKind::NotStarted { .. }
            | EventKind::NotCompacted { .. }
            | EventKind::SaveFailed { .. }
            | EventKind::SavesAgain
            | EventKind::Forgotten { .. }
            | EventKind::Refused { .. }
            | EventKind::Accepted { .. }
            | EventKind::Ignored { .. }
            | EventKind::LookUp { .. }
            | EventKind::PlacesAsked { .. }
            | EventKind::PlacesTold { .. }
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
            | EventKind::Affected { .. }
            | EventKind::Unanswered { .. } => true,
        }
    }

    /// Whether an event belongs to a workload: a client's own, or a server's for such a client. The
    /// report summarises these together.
    fn is_of_workload(&self, event: &Event) -> bool {
        let has = |client: &[u8]| {
            let client = String::from_utf8_lossy(client);
            let mut workloads = self.trace.header.workloads.iter();
            workloads.any(|workload| workload.has_client(&client))
        };
        match (&event.who, &event.what) {
            (Actor::Client(name), _) => has(name.as_bytes()),
            (
                _,
                EventKind::Accepted { record, .. }
                | EventKind::Ignored { record, .. }
                | EventKind::Restored { record, .. },
            ) => has(&record.client.0),
            (_, EventKind::LookUp { client }) => has(&client.0),
            (_, EventKind::Refused { .. }) => {
                let line = event.cause.and_then(|id| self.trace.event(id));
                let from = line.and_then(|line| self.other_end(line));
                from.is_some_and(|from| has(from.as_bytes()))
            }
            (_, EventKind::LineOut { line, .. }) => match PeerLine::parse(&line.0) {
                Ok(PeerLine::At(update)) => has(update.record.id()),
                _ => false,
            },
            _ => false,
        }
    }

    /// The event in words. If all events are shown, after its number and its cause's.
    pub(super) fn line(&self, event: &Event) -> String {
        let what = self.what(event);
        match (self.detail, event.cause) {
            (Detail::Story, _) => what,
            (Detail::Everything, None) => format!("[{}] {what}", event.id.0),
            (Detail::Everything, Some(cause)) => format!("[{} by {}] {what}", event.id.0, cause.0),
        }
    }

    /// The event's words, extended by what only the whole run can say: the names of updates, the
    /// other end of a connection, the fault behind an effect.
    pub fn what(&self, event: &Event) -> String {
        let words = event.what.words(&|record| self.update(record));
        match &event.what {
            EventKind::LineIn { line, .. } => match self.other_end(event) {
                Some(from) => format!("← {from}  {}", self.shown(&line.0)),
                None => words,
            },
            EventKind::LineOut { line, .. } => self.line_out(event, &line.0),
            EventKind::Affected { .. } => match event.cause.and_then(|id| self.trace.event(id)) {
                Some(fault) => format!("{words}: {}", self.what(fault)),
                None => words,
            },
            _ => words,
        }
    }

    fn update(&self, record: &RecordText<'_>) -> String {
        match self.names.get(&record.text()) {
            Some(name) => (*name).to_owned(),
            None => format!("{} of {}", record.client, record.time),
        }
    }

    fn line_out(&self, event: &Event, line: &[u8]) -> String {
        let to = self.other_end(event).unwrap_or_default();
        match (&event.who, self.detail, PeerLine::parse(line)) {
            (Actor::Server(_), Detail::Story, Ok(PeerLine::At(sent))) => {
                let hops = show::count(sent.hops as usize, "hop");
                let update = self.update(&(&sent.record).into());
                format!("→ {to}  {update}, {hops}")
            }
            _ => format!("→ {to}  {}", self.shown(line)),
        }
    }

    /// A line, escaped. In the story, a line with a body is shortened to its first line.
    fn shown(&self, line: &[u8]) -> String {
        let rest = line.split(|&byte| byte == b'\n').count() - 1;
        let first = line.split(|&byte| byte == b'\n').next();
        match (self.detail, first) {
            (Detail::Story, Some(first)) if rest > 0 => {
                format!("{} … and {}", escape(first), show::count(rest, "line"))
            }
            _ => escape(line),
        }
    }

    /// The name of the other end of the connection that a line was sent on.
    fn other_end(&self, event: &Event) -> Option<String> {
        let (EventKind::LineIn { conn, .. } | EventKind::LineOut { conn, .. }) = event.what else {
            return None;
        };
        let ends = self.ends.get(&conn)?;
        let seen = ends.iter().find(|(who, _)| **who != event.who);
        // If the other end has not opened the connection yet, its name is known from the dialler.
        let meant = ends.iter().find_map(|(_, with)| match with {
            PeerRole::Server(name) => Some(name.to_string()),
            PeerRole::Client | PeerRole::Peer => None,
        });
        seen.map(|(who, _)| who.name().to_owned()).or(meant)
    }
}

fn is_update(line: &[u8]) -> bool {
    matches!(PeerLine::parse(line), Ok(PeerLine::At(_)))
}

/// Whether an event of a server is a scenario's doing, so that the story begins with it.
fn is_fault(what: &EventKind<'_>) -> bool {
    matches!(
        what,
        EventKind::Composed { .. }
            | EventKind::Stopping
            | EventKind::Crashed
            | EventKind::PoweredOff
            | EventKind::Frozen
            | EventKind::Refusing
            | EventKind::DiskFaulty { .. }
            | EventKind::Skewed { .. }
    )
}

/// The names that expectations give to the updates that were accepted.
fn names(trace: &Trace) -> BTreeMap<Vec<u8>, &str> {
    let mut names = BTreeMap::new();
    for update in &trace.updates {
        let accepted = update
            .arrivals
            .first()
            .and_then(|arrival| trace.event(arrival.event));
        if let Some(Event {
            what: EventKind::Accepted { record, .. },
            ..
        }) = accepted
        {
            names.insert(record.text(), update.name.as_str());
        }
    }
    names
}

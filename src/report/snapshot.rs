//! The order in which updates spread, for snapshot tests.
//!
//! [`snapshot`] contains causes and order, but no times. It therefore survives a change of
//! latencies and clocks, and changes when the code decides differently. [`snapshot_with_times`]
//! adds the times, for reading.

use std::fmt::Write as _;

use super::sentences::fate;
use super::show;
use super::ways::{told_singly, tree};
use crate::journal::{Actor, Event, EventKind};
use crate::protocol::record::Record;
use crate::protocol::{escape, fields};
use crate::trace::Trace;
use crate::trace::propagation::{Propagation, Use, alike};

/// The maximum number of lines in each section about clients and servers. The updates are always
/// complete.
const MOST_LINES: usize = 100;

/// The causes and order of a run's events, without times.
pub fn snapshot(trace: &Trace) -> String {
    write(trace, false)
}

/// The causes and order of a run's events, with times.
pub fn snapshot_with_times(trace: &Trace) -> String {
    write(trace, true)
}

fn write(trace: &Trace, times: bool) -> String {
    let mut text = format!("{} (herd {})\n", trace.header.title, trace.header.herd);
    for (title, update) in alike(&told_singly(trace), times, |_| ()) {
        let _ = writeln!(text, "\n{title} at {}", update.to);
        for line in spread(trace, update, times) {
            let _ = writeln!(text, "  {line}");
        }
    }
    // The seed draws a workload's lines, but the scenario fixes the number of its updates.
    for workload in &trace.header.workloads {
        let (name, clients) = (
            &workload.name,
            show::count(workload.clients as usize, "client"),
        );
        let updates = trace.updates.iter();
        let updates = updates.filter(|update| workload.has_update(update)).count();
        let updates = show::count(updates, "update");
        let _ = writeln!(text, "\nworkload {name} of {clients}: {updates}");
    }
    let is_told = |event: &&Event| match &event.who {
        Actor::Peer(_) => true,
        Actor::Client(name) => !(trace.header.workloads.iter()).any(|load| load.has_client(name)),
        _ => false,
    };
    let clients = trace.events.iter().filter(is_told);
    section(
        &mut text,
        "clients",
        clients.filter_map(|event| client_line(event, times)),
    );
    let servers = trace.events.iter();
    section(
        &mut text,
        "servers",
        servers.filter_map(|event| server_line(event, times)),
    );
    text
}

/// Writes a title and its lines, or nothing if there are no lines. Equal consecutive lines are
/// counted.
fn section(text: &mut String, title: &str, lines: impl Iterator<Item = String>) {
    let mut counted: Vec<(String, usize)> = Vec::new();
    for line in lines {
        match counted.last_mut() {
            Some((last, count)) if *last == line => *count += 1,
            _ => counted.push((line, 1)),
        }
    }
    if !counted.is_empty() {
        let _ = writeln!(text, "\n{title}");
    }
    let more = counted.len().saturating_sub(MOST_LINES);
    for (line, count) in counted.into_iter().take(MOST_LINES) {
        let times = if count > 1 {
            format!(" ({count} times)")
        } else {
            String::new()
        };
        let _ = writeln!(text, "  {line}{times}");
    }
    if more > 0 {
        let _ = writeln!(text, "  and {more} lines more");
    }
}

fn at(event: &Event, times: bool) -> String {
    if times {
        format!("{} ", show::moment(event.at))
    } else {
        String::new()
    }
}

/// How an update spread: the tree, then every message in the order of sending.
fn spread(trace: &Trace, update: &Propagation, times: bool) -> Vec<String> {
    if update.arrivals.is_empty() {
        return vec![fate(update)];
    }
    let mut lines = tree(update);
    for send in &update.sends {
        let result = match send.result {
            Use::Useful => "useful",
            Use::Duplicate => "duplicate",
            Use::Lost => "lost",
        };
        let sync = if send.sync { ", synchronised" } else { "" };
        let time = trace
            .event(send.event)
            .map_or(String::new(), |event| at(event, times));
        lines.push(format!("{time}{} → {}: {result}{sync}", send.from, send.to));
    }
    lines
}

fn client_line(event: &Event, times: bool) -> Option<String> {
    let time = at(event, times);
    let who = event.who.name();
    let without_clock = |line| match event.who {
        Actor::Peer(_) => between_servers(line),
        _ => without_clock(line),
    };
    match &event.what {
        EventKind::LineOut { line, .. } => {
            Some(format!("{time}{who} sends {}", without_clock(&line.0)))
        }
        EventKind::LineIn { line, .. } => {
            Some(format!("{time}{who} hears {}", without_clock(&line.0)))
        }
        EventKind::ConnectFailed { to, why } => {
            Some(format!("{time}{who} can't connect to {to}: {why}"))
        }
        EventKind::Unanswered { to, .. } => Some(format!("{time}{who} has no answer from {to}")),
        _ => None,
    }
}

/// A line that is longer has only its beginning in a snapshot: nobody reads the rest.
const LONGEST: usize = 2_000;

/// The line with `<time>` and `<skew>` in place of values that depend on clocks.
fn without_clock(line: &[u8]) -> String {
    let first = line.split(|&byte| byte == b'\n').next().unwrap_or_default();
    if first.len() > LONGEST {
        return format!("{}… of {} bytes", escape(&line[..40]), line.len());
    }
    let rest = escape(&line[first.len()..]);
    let words: Vec<&[u8]> = fields(first).collect();
    match words.as_slice() {
        [b"AT", fields @ ..] if Record::parse(&fields.join(&b' ')).is_some() => {
            let [server, _, id, location, _] = fields else {
                return escape(line);
            };
            let (server, id, location) = (escape(server), escape(id), escape(location));
            format!("AT {server} <skew> {id} {location} <time>{rest}")
        }
        [b"IAMAT", id, location, time]
            if crate::protocol::time::Timestamp::parse(time).is_some() =>
        {
            format!("IAMAT {} {} <time>", escape(id), escape(location))
        }
        _ => escape(line),
    }
}

/// The same of a line between servers: an AT has its hops behind it, and heartbeats have clocks.
fn between_servers(line: &[u8]) -> String {
    if line.len() > LONGEST {
        return without_clock(line);
    }
    let words: Vec<&[u8]> = fields(line).collect();
    match words.as_slice() {
        [
            verb @ (b"AT" | b"HAVE"),
            server,
            skew,
            id,
            location,
            time,
            hops,
        ] if Record::parse(&[*server, *skew, *id, *location, *time].join(&b' ')).is_some() => {
            let shown = [*verb, *server, *id, *location, *hops].map(escape);
            let [verb, server, id, location, hops] = shown;
            format!("{verb} {server} <skew> {id} {location} <time> {hops}")
        }
        [verb @ (b"PING" | b"PONG"), clocks @ ..] => {
            let clocks = " <clock>".repeat(clocks.len());
            format!("{}{clocks}", escape(verb))
        }
        _ => escape(line),
    }
}

/// The line for a fault of a server, a lost link or a synchronisation that transferred records;
/// `None` for other events.
fn server_line(event: &Event, times: bool) -> Option<String> {
    let time = at(event, times);
    let who = event.who.name();
    match &event.what {
        EventKind::Stopping => Some(format!("{time}{who} is told to stop")),
        EventKind::Upgraded { build } => Some(format!("{time}{who} is upgraded to {build}")),
        EventKind::Reloaded { settings } => Some(format!("{time}{who} reloads {settings}")),
        EventKind::Unlinked { peer } => {
            Some(format!("{time}{who} has no link with {peer} any more"))
        }
        EventKind::Linked { peer } => Some(format!("{time}{who} has a link with {peer} again")),
        EventKind::Stopped => Some(format!("{time}{who} has stopped")),
        EventKind::Crashed => Some(format!("{time}{who} crashes")),
        EventKind::Restarted => Some(format!("{time}{who} starts again")),
        EventKind::PoweredOff => Some(format!("{time}{who} loses its power")),
        EventKind::PoweredOn => Some(format!("{time}{who} has power again")),
        EventKind::Frozen => Some(format!("{time}{who} freezes")),
        EventKind::Thawed => Some(format!("{time}{who} thaws")),
        EventKind::Refusing => Some(format!("{time}{who} refuses connections")),
        EventKind::Accepting => Some(format!("{time}{who} accepts connections again")),
        EventKind::Loaded { .. }
        | EventKind::Damaged { .. }
        | EventKind::Compacted { .. }
        | EventKind::NotStarted { .. }
        | EventKind::NotCompacted { .. }
        | EventKind::SaveFailed { .. }
        | EventKind::SavesAgain => Some(format!("{time}{who} {}", event.what)),
        EventKind::LinkDown { peer, why } => {
            Some(format!("{time}{who} loses the link to {peer}: {why}"))
        }
        EventKind::Synchronised {
            peer,
            sent,
            received,
        } if sent + received > 0 => Some(format!(
            "{time}{who} is synchronised with {peer}: {sent} sent, {received} received"
        )),
        _ => None,
    }
}

//! Events in plain words, which stories, logs and expectations of a log share.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::{EventKind, Ignored, PeerRole, RecordText, Source};
use crate::units::format_duration;

/// Describes an event in words that need no other event: an update is named by its client and time,
/// and a line without the other end of its connection.
impl fmt::Display for EventKind<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words(&|record| format!("{} of {}", record.client, record.time)))
    }
}

impl EventKind<'_> {
    /// The same words, with updates named as `update` says.
    #[expect(
        clippy::too_many_lines,
        reason = "an arm for each event, and nothing else"
    )]
    pub fn words(&self, update: &dyn Fn(&RecordText<'_>) -> String) -> String {
        match self {
            Self::Started { boot } => format!("starts, boot {boot}"),
            Self::Stopped => "stops".to_owned(),
            Self::Opened { conn, with, .. } => {
                format!("connection {} with {with}", conn.0)
            }
            Self::Closed { conn, why } => format!("connection {} closed: {why}", conn.0),
            Self::NotAccepted { with, why, from } => {
                let from = from.map_or_else(String::new, |from| format!(" from {from}"));
                format!("does not take a connection of {with}{from}: {why}")
            }
            Self::ConnectFailed { to, why } => format!("can't connect to {to}: {why}"),
            Self::HeldBack { conn, limit } => {
                format!("lets connection {} wait: it meets `{limit}`", conn.0)
            }
            Self::LineIn { line, .. } => format!("←  {line}"),
            Self::LineOut { line, .. } => format!("→  {line}"),
            Self::Refused { why } => format!("refuses the line: {why}"),
            Self::Accepted { record, hops, from } => {
                let plural = if *hops == 1 { "" } else { "s" };
                let (update, from) = (update(record), source(from));
                format!("accepts {update} from {from}, {hops} hop{plural}")
            }
            Self::Ignored { record, why, from } => {
                let why = match why {
                    Ignored::Known => "known",
                    Ignored::Older => "older than what is known",
                    Ignored::Tied => "equal time, the tie goes to what is known",
                    Ignored::Expired => "its time is over",
                };
                format!("ignores {} from {}: {why}", update(record), source(from))
            }
            Self::Forgotten { record, from: None } => {
                format!("forgets {}: an operator wants that", record.client)
            }
            Self::Forgotten {
                record,
                from: Some(from),
            } => {
                let RecordText { client, origin, .. } = record;
                format!("forgets {client}: {from} relays an operator's request at {origin}")
            }
            Self::Expired { record } => format!("forgets {}: its time is over", update(record)),
            Self::Restored { record, .. } => format!("has {} from its disk", update(record)),
            Self::Loaded {
                records,
                bytes,
                damaged,
                ..
            } => loaded(*records, *bytes, *damaged),
            Self::Damaged { place } => format!("finds damage: {place}"),
            Self::Saved { records, bytes } => {
                let plural = if *records == 1 { "" } else { "s" };
                format!("has {records} record{plural} more on its disk ({bytes} bytes)")
            }
            Self::Compacted { records, bytes } => {
                let plural = if *records == 1 { "" } else { "s" };
                format!(
                    "has a snapshot of {records} record{plural} on its disk ({bytes} bytes in all)"
                )
            }
            Self::NotStarted { why } => format!("can't start: {why}"),
            Self::NotCompacted { why } => format!("can't write a snapshot: {why}"),
            Self::SaveFailed { why, unsaved } => {
                let plural = if *unsaved == 1 { "" } else { "s" };
                format!("can't write to its disk: {why}; {unsaved} record{plural} wait")
            }
            Self::SavesAgain => "writes to its disk again".to_owned(),
            Self::LookUp { client } => format!("asks Places what is near {client}"),
            Self::Linked { peer } => format!("has a link with {peer} from now on"),
            Self::Unlinked { peer } => format!("has no link with {peer} any more"),
            Self::LinkUp { peer, .. } => format!("link to {peer} is up"),
            Self::LinkDown { peer, why } => format!("link to {peer} is down: {why}"),
            Self::Namesakes {
                name,
                linked,
                refused,
                ..
            } => format!(
                "two servers are called {name}: boot {linked} has the link, boot {refused} is refused"
            ),
            Self::Unconfirmed { peer, records } => {
                let plural = if *records == 1 { "" } else { "s" };
                format!(
                    "{peer} did not confirm that it has everything: up to {records} record{plural} may be unknown to it"
                )
            }
            Self::Synchronised {
                peer,
                sent,
                received,
            } => format!("synchronised with {peer}: {sent} sent, {received} received"),
            Self::PlacesAsked { request } => format!("is asked {request}"),
            Self::PlacesTold {
                status,
                fault: None,
            } => format!("answers with status {status}"),
            Self::PlacesTold {
                status,
                fault: Some(fault),
            } => format!("has an answer with status {status}, and {fault}"),
            Self::Unanswered { to, line } => format!("has no answer from {to} to: {line}"),
            Self::Composed { fault } => fault.to_string(),
            Self::Stopping => "IS TOLD TO STOP".to_owned(),
            Self::Reloaded { settings } => format!("RELOADS {settings}"),
            Self::Upgraded { build } => format!("IS UPGRADED to the build {build}"),
            Self::LinkRemoved { ways } => format!("UNLINKED: {}", arrows(ways)),
            Self::LinkRestored { ways } => format!("LINKED AGAIN: {}", arrows(ways)),
            Self::Crashed => "CRASHES".to_owned(),
            Self::Restarted => "STARTS AGAIN".to_owned(),
            Self::PoweredOff => "LOSES ITS POWER".to_owned(),
            Self::PoweredOn => "HAS POWER AGAIN".to_owned(),
            Self::Frozen => "FREEZES".to_owned(),
            Self::Thawed => "THAWS".to_owned(),
            Self::Refusing => "REFUSES new connections".to_owned(),
            Self::Accepting => "TAKES new connections again".to_owned(),
            Self::Cut { ways } => format!("CUT: {}", arrows(ways)),
            Self::Healed { ways } => format!("HEALED: {}", arrows(ways)),
            Self::Severed { pairs } => format!("SEVERED: {}", between(pairs)),
            Self::Slowed { links, latency } => format!("takes {latency} now: {}", between(links)),
            Self::Impaired { ways, how, .. } => format!("{how} now: {}", arrows(ways)),
            Self::Repaired { ways, fault } => format!("REPAIRED ({fault}): {}", arrows(ways)),
            Self::DiskFaulty { how, .. } => format!("ITS DISK {how}"),
            Self::DiskWorks => "ITS DISK WORKS again".to_owned(),
            Self::Skewed { by, drift } => skewed(*by, *drift),
            Self::Chose { step } => format!("chooses {step}"),
            Self::Noted { text } => format!("note: {text}"),
            Self::Affected { count, of, .. } => affected(*count, of),
        }
    }
}

/// What was read from the disk.
fn loaded(records: u64, bytes: u64, damaged: u64) -> String {
    let plural = if records == 1 { "" } else { "s" };
    let found = format!("reads {records} record{plural} from its disk ({bytes} bytes)");
    match damaged {
        0 => found,
        1 => format!("{found}, with 1 damaged place"),
        _ => format!("{found}, with {damaged} damaged places"),
    }
}

/// The impact of a fault: a number and what it counts.
fn affected(count: u64, of: &str) -> String {
    let (thing, more) = of.split_at(of.find(" and ").unwrap_or(of.len()));
    let one = thing.strip_suffix('s').filter(|_| count == 1);
    format!("affected {count} {}{more}", one.unwrap_or(thing))
}

/// `A ↔ B, C ↔ D`.
fn between(pairs: &[(Arc<str>, Arc<str>)]) -> String {
    let pairs = pairs.iter().map(|(a, b)| format!("{a} ↔ {b}"));
    pairs.collect::<Vec<_>>().join(", ")
}

/// `A ↔ B, C → D`: a double arrow if both directions are listed.
pub(crate) fn arrows(ways: &[(Arc<str>, Arc<str>)]) -> String {
    let back = |a: &Arc<str>, b: &Arc<str>| ways.iter().position(|(from, to)| from == b && to == a);
    let arrows = ways
        .iter()
        .enumerate()
        .filter_map(|(at, (a, b))| match back(a, b) {
            None => Some(format!("{a} → {b}")),
            Some(other) if other > at => Some(format!("{a} ↔ {b}")),
            Some(_) => None,
        });
    arrows.collect::<Vec<_>>().join(", ")
}

fn skewed(by: i64, drift: i64) -> String {
    let signed = |nanos: i64| {
        let sign = if nanos < 0 { '-' } else { '+' };
        format!(
            "{sign}{}",
            format_duration(Duration::from_nanos(nanos.unsigned_abs()))
        )
    };
    match (by, drift) {
        (0, 0) => "its clock is right again".to_owned(),
        (by, 0) => format!("its clock is wrong by {}", signed(by)),
        (by, drift) => format!(
            "its clock is wrong by {} and {} a second",
            signed(by),
            signed(drift)
        ),
    }
}

/// The other end of a connection, in words.
impl fmt::Display for PeerRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client => f.write_str("a client"),
            Self::Peer => f.write_str("a server"),
            Self::Server(name) => f.write_str(name),
        }
    }
}

fn source(from: &Source) -> String {
    match from {
        Source::Client => "its client".to_owned(),
        Source::Server(name) => name.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{CloseReason, ConnId};

    #[test]
    fn an_event_says_what_happened_without_any_other() {
        let down = EventKind::LinkDown {
            peer: "Juzang".into(),
            why: CloseReason::Silent,
        };
        assert_eq!(
            down.to_string(),
            "link to Juzang is down: silent for too long"
        );
        let line = EventKind::LineIn {
            conn: ConnId(3),
            line: b"IAMAT \xff"[..].into(),
        };
        assert_eq!(line.to_string(), r"←  IAMAT \xff");
        let touched = EventKind::Affected {
            count: 1,
            of: "messages".into(),
            lasts: false,
        };
        assert_eq!(touched.to_string(), "affected 1 message");
    }
}

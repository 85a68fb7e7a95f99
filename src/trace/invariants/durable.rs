//! Whether a server knows again, from its disk, what it answered where answers wait for the disk.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use super::versions::{Version, Versions};
use super::{Finding, Run};
use crate::journal::{Actor, Event, EventId, EventKind};
use crate::protocol::client::{ClientLine, Refusal};

/// What each server has promised by its answers.
struct Promises<'a> {
    versions: Versions<'a>,
    /// What a server held of a client once it had heard a line of that client's.
    heard: BTreeMap<EventId, Version<'a>>,
    /// By server and client.
    made: BTreeMap<(&'a str, &'a [u8]), Version<'a>>,
    /// Servers whose disks do not keep what they say, since an event.
    excused: BTreeSet<&'a str>,
    /// Servers that have told that their disk takes nothing.
    failing: BTreeSet<&'a str>,
    /// Servers with whose disk something was wrong once.
    broken: BTreeSet<&'a str>,
    /// Servers that lost their power once, and with it parts of what was not synced.
    lost_power: BTreeSet<&'a str>,
}

/// A server that answers an IAMAT when its record is on its disk has that record when it runs again,
/// or a newer one. A record that expired is none that it must have; and nobody can answer for a disk
/// that lies, or changes what it holds.
pub(super) fn durable(run: &Run<'_>) -> Vec<Finding> {
    let mut promises = Promises {
        versions: Versions::new(run),
        heard: BTreeMap::new(),
        made: BTreeMap::new(),
        excused: BTreeSet::new(),
        failing: BTreeSet::new(),
        broken: BTreeSet::new(),
        lost_power: BTreeSet::new(),
    };
    let mut found = Vec::new();
    for event in run.events {
        promises.learn(run, event, &mut found);
    }
    found
}

impl<'a> Promises<'a> {
    fn learn(&mut self, run: &'a Run<'a>, event: &'a Event, found: &mut Vec<Finding>) {
        let Actor::Server(server) = &event.who else {
            return;
        };
        self.versions.learn(event);
        match &event.what {
            EventKind::Accepted { record, .. } | EventKind::Ignored { record, .. } => {
                let held = self.versions.get(server, &record.client.0);
                if let (Some(held), Some(cause)) = (held, event.cause) {
                    self.heard.insert(cause, held);
                }
            }
            EventKind::LineOut { line, .. } if line.0.starts_with(b"AT ") => {
                let heard = event.cause.and_then(|cause| run.event(cause));
                let Some((heard, line)) = heard.and_then(|heard| match &heard.what {
                    EventKind::LineIn { line, .. } => Some((heard, line)),
                    _ => None,
                }) else {
                    return;
                };
                let is_iamat = matches!(ClientLine::parse(&line.0), Ok(ClientLine::Iamat { .. }));
                if let Some(held) = self.heard.remove(&heard.id).filter(|_| is_iamat) {
                    self.promise(server, held);
                }
            }
            EventKind::Started { .. } | EventKind::SavesAgain => {
                self.failing.remove(&**server);
            }
            EventKind::SaveFailed { why, .. } => {
                self.failing.insert(server);
                found.extend(self.fails(server, event, why));
            }
            EventKind::NotCompacted { why } | EventKind::NotStarted { why } => {
                found.extend(self.fails(server, event, why));
            }
            EventKind::Damaged { place } if !self.may_be_damaged(server, place) => {
                let what =
                    format!("{server} finds damage on a disk that keeps everything: {place}");
                found.push(Finding::new(what, [event]));
            }
            &EventKind::DiskFaulty { forgets, .. } => {
                self.broken.insert(server);
                if forgets {
                    self.excused.insert(server);
                }
            }
            EventKind::PoweredOff => {
                self.lost_power.insert(server);
            }
            EventKind::Refused {
                why: Refusal::NotSaved,
            } if !self.failing.contains(&**server) => {
                let what = format!("{server} refuses an update although its disk takes records");
                found.push(Finding::new(what, [event]));
            }
            // What is forgotten or expired need not come back.
            EventKind::Expired { record } => {
                self.made.remove(&(&**server, &*record.client.0));
            }
            EventKind::Forgotten { record, .. } => {
                if let Some(held) = self.versions.get(server, &record.client.0) {
                    self.promise(server, held);
                }
            }
            EventKind::Loaded {
                answers_wait: true, ..
            } => self.loaded(run, event, server, found),
            _ => {}
        }
    }

    /// Whether something explains a damaged place. Half a line is left of a write that was killed.
    fn may_be_damaged(&self, server: &str, place: &str) -> bool {
        place.contains("in the midst of a line")
            || self.excused.contains(server)
            || self.lost_power.contains(server)
    }

    /// What is wrong with a server that can't write to its disk: nothing ever was with the disk.
    fn fails(&self, server: &str, event: &Event, why: &str) -> Option<Finding> {
        let what = format!("{server} can't write to a disk with which nothing is wrong: {why}");
        (!self.broken.contains(server)).then(|| Finding::new(what, [event]))
    }

    fn promise(&mut self, server: &'a str, held: Version<'a>) {
        let made = self.made.entry((server, &held.record.client.0));
        let made = made.or_insert(held);
        if held.order(made) == Ordering::Greater {
            *made = held;
        }
    }

    /// Compares what a server has read from its disk with what it promised.
    fn loaded(&mut self, run: &Run<'_>, loaded: &Event, server: &str, found: &mut Vec<Finding>) {
        // Whether a record had expired when it was read is not in the trace.
        let expires = run
            .rules
            .is_some_and(|rules| rules.limits.keep.time_to_live.is_some());
        let is_excused = self.excused.contains(server) || expires;
        let own = |(of, _): &&(&str, &[u8])| *of == server;
        let clients: Vec<(&str, &[u8])> = self.made.keys().filter(own).copied().collect();
        for key in clients {
            let promised = self.made[&key];
            let held = self.versions.get(server, key.1);
            let is_kept = held.is_some_and(|held| held.order(&promised) != Ordering::Less);
            if is_kept {
                continue;
            }
            self.made.remove(&key);
            if is_excused {
                continue;
            }
            let has = held.map_or_else(|| "nothing".to_owned(), |held| held.shown());
            let what = format!(
                "{server} answered when it had {} on its disk, and has {has} of that client after its start",
                promised.shown()
            );
            found.push(Finding::new(what, [promised.event, loaded]));
        }
    }
}

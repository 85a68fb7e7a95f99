//! Whether records only ever get newer, and whether each one is what its client sent.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::sync::Arc;

use super::stores::Stores;
use super::versions::{Version, Versions, in_generation, number};
use super::{Finding, Run, shown};
use crate::journal::{Actor, Event, EventKind, Ignored, RecordText, Source};
use crate::protocol::client::ClientLine;
use crate::protocol::peer::{PeerLine, Update};

pub(super) fn never_back_in_time(run: &Run<'_>) -> Vec<Finding> {
    let mut versions = Versions::new(run);
    let mut found = Vec::new();
    for event in run.events {
        let new = versions.of(event);
        if let Some(new) = new {
            let held = versions.get(event.who.name(), &new.record.client.0);
            found.extend(match &event.what {
                EventKind::Ignored { why, .. } => turned_away(held, new, *why),
                _ => gone_back(held, new),
            });
        }
        versions.learn_of(event, new);
    }
    found
}

/// What is wrong with replacing a record: the new one is older.
fn gone_back(held: Option<Version<'_>>, new: Version<'_>) -> Option<Finding> {
    let held = held.filter(|held| new.order(held) == Ordering::Less)?;
    let (server, old) = (new.event.who.name(), held.shown());
    let what = format!("{server} goes back from {old} to {}", new.shown());
    Some(Finding::new(what, [held.event, new.event]))
}

/// What is wrong with ignoring an update: the record that is held does not justify the server's
/// reason.
fn turned_away(held: Option<Version<'_>>, new: Version<'_>, why: Ignored) -> Option<Finding> {
    let is_older = |held: &Version<'_>| new.order(held) == Ordering::Less;
    let is_tied = |held: &Version<'_>| new.ties(held, |record| number(&record.time.0));
    let is_right = match (why, &held) {
        (Ignored::Expired, _) => true,
        (Ignored::Known, Some(held)) => held.is(&new),
        (Ignored::Older, Some(held)) => is_older(held),
        (Ignored::Tied, Some(held)) => is_tied(held) && is_older(held),
        (Ignored::Known | Ignored::Older | Ignored::Tied, None) => false,
    };
    // Words are made for what is wrong alone: they take longer than the check.
    if is_right {
        return None;
    }
    let (server, shown) = (new.event.who.name(), new.shown());
    let what = match held {
        Some(held) => format!("{server} has {} and turns away {shown}", held.shown()),
        None => format!("{server} has nothing of the client and turns away {shown}"),
    };
    let before = held.map(|held| held.event).into_iter();
    Some(Finding::new(what, before.chain([new.event])))
}

/// Checks each step of a record's path by itself. A server that accepts a record has it from its
/// own client or word for word from a neighbour's line, and a server writes only what it accepted
/// before: so each record leads back to its client, cause by cause.
pub(super) fn nothing_invented(run: &Run<'_>) -> Vec<Finding> {
    let mut stores = Stores::default();
    let mut versions = Versions::new(run);
    let mut earlier = Earlier::new(run);
    let mut found = Vec::new();
    for event in run.events {
        let from = match &event.what {
            EventKind::Accepted { from, .. } => Some(from.clone()),
            EventKind::Forgotten { from, .. } => from.clone().map(Source::Server),
            _ => None,
        };
        // What was ignored comes from nowhere, and changes nothing.
        let is_taken = !matches!(event.what, EventKind::Ignored { .. });
        let taken = is_taken.then(|| versions.of(event)).flatten();
        if let (Some(from), Some(taken)) = (from, taken) {
            found.extend(Step { run, event }.taken_in(&stores, &taken, &from));
        }
        if let Some((to, update)) = stores.sent(event) {
            let held = versions.get(event.who.name(), update.record.id());
            found.extend(Step { run, event }.passed_on(held, to, &update));
        }
        if let EventKind::Restored { .. } = event.what {
            found.extend(earlier.restored(event));
        }
        stores.learn(event);
        versions.learn_of(event, taken);
        earlier.learn(event, taken);
    }
    found
}

/// What each server has held in any of its runs, where servers have disks.
struct Earlier<'a> {
    has_disks: bool,
    held: BTreeSet<(&'a str, Vec<u8>, u32, u32)>,
}

impl<'a> Earlier<'a> {
    fn new(run: &Run<'_>) -> Self {
        let reads = |event: &Event| matches!(event.what, EventKind::Loaded { .. });
        Self {
            has_disks: run.events.iter().any(reads),
            held: BTreeSet::new(),
        }
    }

    fn learn(&mut self, event: &'a Event, taken: Option<Version<'a>>) {
        if let Some(taken) = taken.filter(|_| self.has_disks) {
            let text = taken.record.text();
            let held = (event.who.name(), text, taken.generation, taken.hops);
            self.held.insert(held);
        }
    }

    /// What is wrong with what a server has from its disk: it never held that.
    fn restored(&self, event: &'a Event) -> Option<Finding> {
        let EventKind::Restored {
            record,
            hops,
            generation,
        } = &event.what
        else {
            return None;
        };
        let server = event.who.name();
        let held = (server, record.text(), *generation, *hops);
        if self.held.contains(&held) {
            return None;
        }
        let record = in_generation(shown(&record.text()), *generation);
        let what =
            format!("{server} has {record} with hops {hops} from its disk, and never held it");
        Some(Finding::new(what, [event]))
    }
}

/// The step of a record to a server, or from it to a neighbour.
struct Step<'a> {
    run: &'a Run<'a>,
    event: &'a Event,
}

impl Step<'_> {
    fn server(&self) -> &str {
        self.event.who.name()
    }

    fn taken_in(&self, stores: &Stores<'_>, taken: &Version<'_>, from: &Source) -> Option<Finding> {
        let cause = self.run.cause_of(self.event);
        let heard = cause.filter(|cause| cause.who == self.event.who);
        let wrong = match from {
            Source::Client => self.heard_from_client(stores, taken, heard),
            Source::Server(from) => self.heard_from_neighbour(stores, taken, from, heard),
        }?;
        let (server, record) = (self.server(), shown(&taken.record.text()));
        let events = cause.into_iter().chain([self.event]);
        Some(Finding::new(
            format!("{server} takes in {record}, {wrong}"),
            events,
        ))
    }

    fn heard_from_client(
        &self,
        stores: &Stores<'_>,
        taken: &Version<'_>,
        heard: Option<&Event>,
    ) -> Option<String> {
        let said = heard.is_some_and(|heard| match &heard.what {
            EventKind::LineIn { conn, line } => {
                stores.peer(self.server(), *conn).is_none() && is_iamat(&line.0, taken.record)
            }
            _ => false,
        });
        let is_origin = *taken.record.origin.0 == *self.server().as_bytes();
        match (said, is_origin, taken.hops) {
            (false, ..) => Some("which no client sent".to_owned()),
            (_, false, _) => Some("as if another server had heard it".to_owned()),
            (_, _, 1..) => Some(format!("{} hops away from its origin", taken.hops)),
            (true, true, 0) => None,
        }
    }

    fn heard_from_neighbour(
        &self,
        stores: &Stores<'_>,
        taken: &Version<'_>,
        from: &Arc<str>,
        heard: Option<&Event>,
    ) -> Option<String> {
        let Some((heard, EventKind::LineIn { conn, line })) =
            heard.map(|heard| (heard, &heard.what))
        else {
            return Some("which nobody sent to it".to_owned());
        };
        if stores.peer(self.server(), *conn) != Some(from) {
            return Some(format!("which {from} did not tell it"));
        }
        let says_so = match PeerLine::parse(&line.0) {
            Ok(PeerLine::At(said)) => {
                said.record.text() == taken.record.text() && said.hops == taken.hops
            }
            _ => false,
        };
        if !says_so {
            return Some(format!("but {from} sent `{}`", shown(&line.0)));
        }
        let was_sent = self.run.cause_of(heard).is_some_and(|sent| {
            // Somebody that a scenario speaks for by hand may have the neighbour's name, and say what it likes.
            let is_sender = match &sent.who {
                Actor::Server(sender) => sender == from,
                Actor::Peer(_) => true,
                _ => false,
            };
            is_sender && matches!(&sent.what, EventKind::LineOut { conn: by, line: out } if by == conn && out == line)
        });
        (!was_sent).then(|| format!("which {from} never sent"))
    }

    fn passed_on(&self, held: Option<Version<'_>>, to: &str, sent: &Update) -> Option<Finding> {
        let server = self.server();
        let record = &sent.record;
        let said = || in_generation(shown(record.text()), record.generation());
        let Some(held) = held else {
            let what = format!("{server} sends {} to {to} without holding it", said());
            return Some(Finding::new(what, [self.event]));
        };
        let is_it = held.record.text() == record.text() && held.generation == record.generation();
        let what = if !is_it {
            format!(
                "{server} holds {} and sends {} to {to}",
                held.shown(),
                said()
            )
        } else if held.hops.saturating_add(1) != sent.hops {
            let (said, had, told) = (said(), held.hops, sent.hops);
            format!("{server} holds {said} with hops {had} and sends it to {to} with hops {told}")
        } else {
            return None;
        };
        Some(Finding::new(what, [held.event, self.event]))
    }
}

fn is_iamat(line: &[u8], record: &RecordText<'_>) -> bool {
    match ClientLine::parse(line) {
        Ok(ClientLine::Iamat { id, location, time }) => {
            *id == *record.client.0
                && *location.text() == *record.location.0
                && *time.text == *record.time.0
        }
        _ => false,
    }
}

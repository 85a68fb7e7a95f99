//! What each server holds of each client, with the generation of each record.
//!
//! No event names a generation: it is in the lines between servers, or follows from what the server
//! held before. Forgotten clients count as held, since their tombstones are passed on and compared
//! like any other record.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::{Run, shown};
use crate::journal::{Actor, Event, EventKind, RecordText, Source};
use crate::protocol::peer::{PeerLine, Update};

/// A record or a tombstone, as an event names it.
#[derive(Clone, Copy)]
pub(super) struct Version<'a> {
    pub(super) event: &'a Event,
    pub(super) record: &'a RecordText<'static>,
    pub(super) generation: u32,
    /// How many links it crossed.
    pub(super) hops: u32,
}

impl Version<'_> {
    fn is_tombstone(&self) -> bool {
        *self.record.location.0 == *b"-"
    }

    /// Which of two versions of a client's record is newer (greater): the later generation; within
    /// one, any record before its tombstone; then by [`order`].
    pub(super) fn order(&self, other: &Self) -> Ordering {
        (self.generation.cmp(&other.generation))
            .then_with(|| other.is_tombstone().cmp(&self.is_tombstone()))
            .then_with(|| order(self.record, other.record))
    }

    /// Whether both are the same record.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.generation == other.generation && self.record == other.record
    }

    /// Whether neither generation nor `time` decides which of both is newer.
    pub(super) fn ties(&self, other: &Self, time: impl Fn(&RecordText<'_>) -> i128) -> bool {
        self.generation == other.generation
            && self.is_tombstone() == other.is_tombstone()
            && time(self.record) == time(other.record)
    }

    /// The record for a report.
    pub(super) fn shown(&self) -> String {
        in_generation(shown(&self.record.text()), self.generation)
    }
}

/// A record for a report. Nearly all are of generation 0, which is not named.
pub(super) fn in_generation(record: String, generation: u32) -> String {
    match generation {
        0 => record,
        generation => format!("{record} of generation {generation}"),
    }
}

/// What each running server holds, according to the events so far.
pub(super) struct Versions<'a> {
    run: &'a Run<'a>,
    held: BTreeMap<&'a str, BTreeMap<&'a [u8], Version<'a>>>,
}

impl<'a> Versions<'a> {
    pub(super) fn new(run: &'a Run<'a>) -> Self {
        let held = BTreeMap::new();
        Self { run, held }
    }

    /// What `server` holds of `client`.
    pub(super) fn get(&self, server: &str, client: &[u8]) -> Option<Version<'a>> {
        self.held.get(server)?.get(client).copied()
    }

    /// The version that a server accepts, ignores or makes in an event, before
    /// [`learn`](Self::learn) applies it.
    pub(super) fn of(&self, event: &'a Event) -> Option<Version<'a>> {
        let (record, from_neighbour) = match &event.what {
            EventKind::Accepted { record, from, .. } | EventKind::Ignored { record, from, .. } => {
                (record, matches!(from, Source::Server(_)))
            }
            EventKind::Forgotten { record, from } => (record, from.is_some()),
            EventKind::Restored { record, .. } => (record, false),
            _ => return None,
        };
        let told = if from_neighbour {
            self.told(event)
        } else {
            None
        };
        let held = self.get(event.who.name(), &record.client.0);
        let held = held.map_or(0, |held| held.generation);
        let generation = match (&told, &event.what) {
            (Some(told), _) => told.record.generation(),
            (None, EventKind::Restored { generation, .. }) => *generation,
            // An operator's request begins the next generation, and a client's update belongs to
            // the one that its server holds.
            (None, EventKind::Forgotten { .. }) => held.saturating_add(1),
            (None, _) if from_neighbour => 0,
            (None, _) => held,
        };
        let hops = match &event.what {
            EventKind::Accepted { hops, .. } | EventKind::Restored { hops, .. } => *hops,
            _ => told.map_or(0, |told| told.hops),
        };
        Some(Version {
            event,
            record,
            generation,
            hops,
        })
    }

    /// The update in the line that caused an event.
    fn told(&self, event: &Event) -> Option<Update> {
        let cause = self.run.cause_of(event)?;
        let EventKind::LineIn { line, .. } = &cause.what else {
            return None;
        };
        match PeerLine::parse(&line.0) {
            Ok(PeerLine::At(update)) if cause.who == event.who => Some(update),
            _ => None,
        }
    }

    /// Applies an event.
    pub(super) fn learn(&mut self, event: &'a Event) {
        self.learn_of(event, self.of(event));
    }

    /// Applies an event of which the version is known. A server holds nothing when it starts, and nothing after it ended.
    pub(super) fn learn_of(&mut self, event: &'a Event, version: Option<Version<'a>>) {
        let Actor::Server(server) = &event.who else {
            return;
        };
        match &event.what {
            EventKind::Started { .. }
            | EventKind::Crashed
            | EventKind::PoweredOff
            | EventKind::Stopped => {
                self.held.remove(&**server);
            }
            EventKind::Accepted { record, .. }
            | EventKind::Restored { record, .. }
            | EventKind::Forgotten { record, .. } => {
                if let Some(version) = version {
                    let held = self.held.entry(server).or_default();
                    held.insert(&record.client.0, version);
                }
            }
            EventKind::Expired { record } => {
                if let Some(held) = self.held.get_mut(&**server) {
                    held.remove(&*record.client.0);
                }
            }
            _ => {}
        }
    }
}

/// Which of two records of a client and a generation is newer (greater). This does not use the servers' own code,
/// which may be wrong: the later time; then the greater bytes of location and of time; then the
/// smaller skew; then the greater origin.
pub(super) fn order(a: &RecordText<'_>, b: &RecordText<'_>) -> Ordering {
    (number(&a.time.0).cmp(&number(&b.time.0)))
        .then_with(|| a.location.0.cmp(&b.location.0))
        .then_with(|| a.time.0.cmp(&b.time.0))
        .then_with(|| number(&b.skew.0).cmp(&number(&a.skew.0)))
        .then_with(|| a.origin.0.cmp(&b.origin.0))
}

/// A decimal number with up to nine digits of fraction, in billionths.
pub(super) fn number(text: &[u8]) -> i128 {
    let (is_negative, text) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    let mut parts = text.split(|&byte| byte == b'.');
    let whole = parts.next().unwrap_or_default().iter();
    let fraction = parts.next().unwrap_or_default().iter();
    let digits = whole.chain(fraction.chain(&[b'0'; 9]).take(9));
    let number = digits.fold(0_i128, |number, digit| {
        (number.saturating_mul(10)).saturating_add(i128::from(digit.saturating_sub(b'0')))
    });
    if is_negative { -number } else { number }
}

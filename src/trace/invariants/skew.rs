//! Whether the skews that servers report are those of their clocks when they received the lines.

use std::collections::BTreeMap;

use super::versions::number;
use super::{Finding, Run, shown};
use crate::journal::{Actor, Event, EventId, EventKind, Source};
use crate::protocol::client::ClientLine;
use crate::protocol::time::Skew;

/// The last setting of a server's clock: nanoseconds ahead, nanoseconds gained each second, and
/// when it was set.
type Set = (i64, i64, u64);

/// A server's clock shows what the harness set, and a line arrives at one moment, so a skew is
/// right to the nanosecond or wrong: in the record that the server makes of the line, and in its
/// answer.
pub(super) fn skew_is_right(run: &Run<'_>) -> Vec<Finding> {
    // If a trace lacks what clocks showed at the beginning, no skew can be called wrong.
    let Ok(epoch) = run.header.epoch.parse::<i128>() else {
        return Vec::new();
    };
    let mut clocks: BTreeMap<&str, Set> = BTreeMap::new();
    let mut right: BTreeMap<EventId, Right<'_>> = BTreeMap::new();
    let mut found = Vec::new();
    for event in run.events {
        let Actor::Server(server) = &event.who else {
            continue;
        };
        if let EventKind::Skewed { by, drift } = event.what {
            clocks.insert(server, (by, drift, event.at));
        } else if let Some(time) = time_of(event) {
            let set = clocks.get(&**server).copied().unwrap_or_default();
            let skew = shows(epoch, set, event.at) - number(time);
            let heard = event;
            right.insert(event.id, Right { heard, time, skew });
        } else if let Some(told) = skew_of(event)
            && let Some(right) = event.cause.and_then(|cause| right.get(&cause))
            && number(told) != right.skew
        {
            let (time, told, skew) = (shown(right.time), shown(told), in_words(right.skew));
            let what =
                format!("{server} makes {told} of {time}, which was {skew} when it heard that");
            found.push(Finding::new(what, [right.heard, event]));
        }
    }
    found
}

/// The right skew of a line.
struct Right<'a> {
    heard: &'a Event,
    /// The client's time.
    time: &'a [u8],
    skew: i128,
}

/// The clocks of all servers, as the harness has set them so far.
pub(super) struct Clocks<'a> {
    epoch: Option<i128>,
    set: BTreeMap<&'a str, Set>,
}

impl<'a> Clocks<'a> {
    /// The clocks at the beginning of a run.
    pub(super) fn of(run: &Run<'_>) -> Self {
        Self {
            epoch: run.header.epoch.parse().ok(),
            set: BTreeMap::new(),
        }
    }

    pub(super) fn learn(&mut self, event: &'a Event) {
        if let (Actor::Server(server), EventKind::Skewed { by, drift }) = (&event.who, &event.what)
        {
            self.set.insert(server, (*by, *drift, event.at));
        }
    }

    /// What a server's clock shows, in nanoseconds since 1970; `None` if the trace does not say what it showed at the
    /// beginning.
    pub(super) fn at(&self, server: &str, at: u64) -> Option<i128> {
        let set = self.set.get(server).copied().unwrap_or_default();
        Some(shows(self.epoch?, set, at))
    }
}

/// What a clock shows, in nanoseconds since 1970. No clock goes back before 1970.
fn shows(epoch: i128, (by, drift, since): Set, at: u64) -> i128 {
    let run = i128::from(at.saturating_sub(since));
    let drifted = run * i128::from(drift) / 1_000_000_000;
    (epoch + i128::from(at) + i128::from(by) + drifted).max(0)
}

/// The client's time in an IAMAT that arrives.
fn time_of(event: &Event) -> Option<&[u8]> {
    let EventKind::LineIn { line, .. } = &event.what else {
        return None;
    };
    match ClientLine::parse(&line.0) {
        Ok(ClientLine::Iamat { time, .. }) => Some(time.text),
        _ => None,
    }
}

/// The skew in the record that is made of a client's line, or in an answer.
fn skew_of(event: &Event) -> Option<&[u8]> {
    match &event.what {
        EventKind::Accepted { record, from, .. } | EventKind::Ignored { record, from, .. } => {
            (*from == Source::Client).then_some(&record.skew.0)
        }
        EventKind::LineOut { line, .. } => {
            let mut fields = line.0.strip_prefix(b"AT ")?.split(|&byte| byte == b' ');
            // An answer without a skew violates another invariant.
            fields.nth(1).filter(|skew| Skew::parse(skew).is_some())
        }
        _ => None,
    }
}

fn in_words(nanoseconds: i128) -> String {
    let size = nanoseconds.unsigned_abs();
    let sign = if nanoseconds < 0 { '-' } else { '+' };
    format!("{sign}{}.{:09}", size / 1_000_000_000, size % 1_000_000_000)
}

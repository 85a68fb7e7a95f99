//! One trace of what the harness and all servers recorded.
//!
//! All are processes of one machine, so its clock orders their events. A line that arrives was caused by the line that
//! was sent, which is found as in the simulator: both ends count the lines of a connection, and TCP keeps their order.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::num::NonZeroU64;

use super::journals::Fetched;
use crate::admin::JournalLine;
use crate::herd::Name;
use crate::journal::{Actor, ConnId, End, Event, EventId, EventKind};
use crate::sim::outside::Merged;

/// When the run began by the machine's clock, and how fast it went.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    pub(super) epoch_ns: u128,
    pub(super) speed: u32,
}

impl Pace {
    /// A moment of the machine's clock as time since the beginning of the run, which may be before that.
    fn at(self, nanos: u64) -> i128 {
        let epoch = i128::try_from(self.epoch_ns).unwrap_or(i128::MAX);
        (i128::from(nanos) - epoch) * i128::from(self.speed)
    }
}

/// An event, and who recorded it: 0 for the harness, else the number of the process from 1.
struct Item {
    by: usize,
    /// Nanoseconds since the beginning of the run. Servers come up before it.
    at: i128,
    event: Event,
}

/// All events in order, renumbered.
pub(super) fn merge(harness: Vec<Event>, fetched: Fetched, pace: Pace) -> Merged {
    let mut conns = Conns::new(&harness, &fetched);
    let mut items: Vec<Item> = Vec::new();
    let mut last: BTreeMap<usize, i128> = BTreeMap::new();
    let mut processes: BTreeMap<Name, VecDeque<usize>> = BTreeMap::new();
    for (index, process) in fetched.processes.into_iter().enumerate() {
        let by = index + 1;
        let numbers = processes.entry(process.server).or_default();
        numbers.push_back(by);
        for line in process.lines {
            match line {
                JournalLine::Connection {
                    conn,
                    end,
                    local,
                    remote,
                } => conns.open(by, conn, end, (local, remote)),
                JournalLine::Event(event) => {
                    let at = pace.at(event.at);
                    last.insert(by, at);
                    let event = conns.renamed(by, event);
                    items.push(Item { by, at, event });
                }
                JournalLine::Next { .. } => {}
            }
        }
    }
    for event in harness {
        let mut at = i128::from(event.at);
        if let (Actor::Server(name), EventKind::Crashed | EventKind::PoweredOff) =
            (&event.who, &event.what)
        {
            // The signal takes a moment: what a process did in that was before its end.
            let process = processes.get_mut(name).and_then(VecDeque::pop_front);
            let until = process.and_then(|by| last.get(&by));
            at = at.max(until.copied().unwrap_or(0));
        } else if let (Actor::Server(name), EventKind::Stopping) = (&event.who, &event.what) {
            processes.get_mut(name).and_then(VecDeque::pop_front);
        }
        items.push(Item { by: 0, at, event });
    }
    // It is stable: what one process recorded stays in its order.
    items.sort_by_key(|item| item.at);
    renumbered(items, &conns.ends)
}

/// A connection as a system sees it: from where it was dialled, and to where. One port has several of them.
type Half = (SocketAddr, SocketAddr);

/// The connections of all processes by one number each.
struct Conns {
    /// By the addresses of the dialler and of what it dialled.
    by_dialler: BTreeMap<Half, ConnId>,
    /// What was dialled, by that by which a relay connected on.
    diallers: BTreeMap<Half, Half>,
    /// By process and its own number.
    names: BTreeMap<(usize, ConnId), ConnId>,
    taken: BTreeSet<(ConnId, End)>,
    /// Which end a process has, by its number and the connection's. A line may be recorded before the opening is.
    ends: BTreeMap<(usize, ConnId), End>,
    count: u64,
}

impl Conns {
    fn new(harness: &[Event], fetched: &Fetched) -> Self {
        let own = harness.iter().filter_map(|event| match event.what {
            EventKind::Opened { conn, end, .. } => Some(((0, conn), end)),
            _ => None,
        });
        let ends: BTreeMap<(usize, ConnId), End> = own.collect();
        let count = ends.keys().map(|(_, ConnId(number))| *number).max();
        let pairs = fetched.pairs.iter();
        Self {
            by_dialler: fetched.dialled.clone(),
            diallers: pairs.map(|pair| (pair.onward, pair.dialled)).collect(),
            names: BTreeMap::new(),
            taken: fetched
                .dialled
                .values()
                .map(|conn| (*conn, End::Dialler))
                .collect(),
            ends,
            count: count.unwrap_or(0),
        }
    }

    fn open(
        &mut self,
        by: usize,
        conn: ConnId,
        end: End,
        (local, remote): (SocketAddr, SocketAddr),
    ) {
        let dialler = match end {
            End::Dialler => (local, remote),
            End::Acceptor => {
                let half = (remote, local);
                self.diallers.get(&half).copied().unwrap_or(half)
            }
        };
        let known = self.by_dialler.get(&dialler).copied();
        // A system uses an address again.
        let known = known.filter(|known| !self.taken.contains(&(*known, end)));
        let shared = known.unwrap_or_else(|| {
            self.count += 1;
            ConnId(self.count)
        });
        self.by_dialler.insert(dialler, shared);
        self.taken.insert((shared, end));
        self.names.insert((by, conn), shared);
        self.ends.insert((by, shared), end);
    }

    /// The event with the number that all have for its connection.
    fn renamed(&self, by: usize, event: Event) -> Event {
        let Ok(mut json) = serde_json::to_value(&event) else {
            return event;
        };
        let Some(number) = json.get("conn").and_then(serde_json::Value::as_u64) else {
            return event;
        };
        if let Some(ConnId(shared)) = self.names.get(&(by, ConnId(number))) {
            json["conn"] = (*shared).into();
        }
        serde_json::from_value(json).unwrap_or(event)
    }
}

/// Numbers events in their order, and pairs the lines of connections.
fn renumbered(items: Vec<Item>, ends: &BTreeMap<(usize, ConnId), End>) -> Merged {
    let mut ids: BTreeMap<(usize, EventId), EventId> = BTreeMap::new();
    for (index, item) in items.iter().enumerate() {
        let number = NonZeroU64::new(index as u64 + 1).unwrap_or(NonZeroU64::MIN);
        ids.insert((item.by, item.event.id), EventId(number));
    }
    let mut under_way: BTreeMap<(ConnId, End), VecDeque<EventId>> = BTreeMap::new();
    let mut events = Vec::with_capacity(items.len());
    for Item { by, at, event } in items {
        let id = ids[&(by, event.id)];
        let cause = event.cause.and_then(|cause| ids.get(&(by, cause)));
        let mut event = Event {
            id,
            at: u64::try_from(at.max(0)).unwrap_or(u64::MAX),
            cause: cause.copied(),
            ..event
        };
        match event.what {
            EventKind::LineOut { conn, .. } => {
                if let Some(end) = ends.get(&(by, conn)) {
                    under_way.entry((conn, *end)).or_default().push_back(id);
                }
            }
            EventKind::LineIn { conn, .. } if event.cause.is_none() => {
                let sender = ends.get(&(by, conn)).map(|end| match end {
                    End::Dialler => End::Acceptor,
                    End::Acceptor => End::Dialler,
                });
                let sent = sender.and_then(|end| under_way.get_mut(&(conn, end))?.pop_front());
                event.cause = sent;
            }
            _ => {}
        }
        events.push(event);
    }
    let own = ids.into_iter().filter(|((by, _), _)| *by == 0);
    Merged {
        events,
        ids: own.map(|((_, old), new)| (old, new)).collect(),
    }
}

#[cfg(test)]
mod tests;

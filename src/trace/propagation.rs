//! The propagation of each update through the herd, by the events alone: which server received it
//! from which, after how many hops and how long, and which messages were useful.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::names::title;
use super::possible::{History, Least};
use crate::herd::Herd;
use crate::journal::{Actor, ConnId, Event, EventId, EventKind, Ignored, RecordText, Source};
use crate::protocol::client::Refusal;
use crate::protocol::peer::PeerLine;
use crate::protocol::record::Record;

/// An update, and how it spread.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Propagation {
    /// The update's name in expectations and reports: the client's id, with `#2` and so on if the
    /// client sent several.
    pub name: String,
    /// The server that the client sent the update to.
    pub to: Arc<str>,
    /// The event of the client sending the update; `None` if the client had no connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent: Option<EventId>,
    /// What the server `to` did with the update.
    pub fate: Fate,
    /// The servers that accepted the update, in order; the first one is its origin. A server that
    /// was restarted and received the update again is listed again.
    pub arrivals: Vec<Arrival>,
    /// Servers that never accepted the update because a newer one of the same client came first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overtaken: Vec<Arc<str>>,
    /// Servers that never accepted the update because another one of the same client and time came
    /// first, which wins the tie.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tied: Vec<Tied>,
    /// The messages between servers that carried the update, in order of sending.
    pub sends: Vec<Send>,
}

/// What the server that a client sent an update to did with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// The server accepted it.
    Accepted,
    /// The server answered it and changed nothing.
    Ignored(Ignored),
    /// The server refused it.
    Refused(Refusal),
    /// The server never received it.
    Unheard,
}

/// The arrival of an update at a server that accepts it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arrival {
    /// The server that accepted the update.
    pub server: Arc<str>,
    /// The event of accepting the update.
    pub event: EventId,
    /// How many links the update crossed.
    pub hops: u32,
    /// The neighbour that sent the update; `None` at the origin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<Arc<str>>,
    /// Whether set reconciliation brought the update, and not the flood.
    pub sync: bool,
    /// Nanoseconds since the origin accepted the update.
    pub delay: u64,
    /// The fewest links that the update could have crossed, given the network's state meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shortest: Option<u32>,
    /// The least time in nanoseconds in which the update could have arrived, given the network's
    /// state meanwhile. It is never more than `delay`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fastest: Option<u64>,
}

/// A server holds another update of the same time, which wins the tie.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tied {
    /// The server that holds the other update.
    pub server: Arc<str>,
    /// The name of the other update.
    pub to: String,
}

/// A message that carries an update from one server to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Send {
    /// The server that sent the message.
    pub from: Arc<str>,
    /// The neighbour that the message was sent to.
    pub to: Arc<str>,
    /// The event of sending the message.
    pub event: EventId,
    /// Whether set reconciliation sent the message, and not the flood.
    pub sync: bool,
    /// The outcome of the message.
    pub result: Use,
}

/// The outcome of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Use {
    /// The update was new to the receiver.
    Useful,
    /// The receiver held the update, or one that takes precedence.
    Duplicate,
    /// The message did not arrive.
    Lost,
}

impl Propagation {
    /// The first arrival at `server`, if there was one.
    pub fn arrival(&self, server: &str) -> Option<&Arrival> {
        self.arrivals
            .iter()
            .find(|arrival| &*arrival.server == server)
    }

    /// Over how many links the update first reached `server`, if it did.
    pub fn hops(&self, server: &str) -> Option<u32> {
        self.arrival(server).map(|arrival| arrival.hops)
    }

    /// How long after its origin `server` first accepted the update, if it did.
    pub fn delay(&self, server: &str) -> Option<Duration> {
        let arrival = self.arrival(server)?;
        Some(Duration::from_nanos(arrival.delay))
    }

    /// The first arrivals at servers other than the origin.
    pub fn spread(&self) -> impl Iterator<Item = &Arrival> {
        let is_first = |at: usize, server: &str| {
            self.arrivals[..at]
                .iter()
                .all(|earlier| *earlier.server != *server)
        };
        let arrivals = self.arrivals.iter().enumerate().skip(1);
        arrivals
            .filter(move |(at, arrival)| is_first(*at, &arrival.server))
            .map(|(_, arrival)| arrival)
    }

    /// The path on which the update first reached `server`, from the origin on.
    pub fn path(&self, server: &str) -> Vec<Arc<str>> {
        let path = self.path_of(server).into_iter();
        path.map(|arrival| Arc::clone(&arrival.server)).collect()
    }

    /// The path on which the update first reached `server`, as arrivals.
    pub fn path_of(&self, server: &str) -> Vec<&Arrival> {
        let mut path = Vec::new();
        let mut next = self.arrival(server);
        while let Some(arrival) = next {
            path.push(arrival);
            // The sender may have lost the update and accepted it again: the latest time counts.
            next = arrival.via.as_deref().and_then(|via| {
                let mut earlier = self.arrivals.iter().rev();
                earlier.find(|other| other.event < arrival.event && *other.server == *via)
            });
        }
        path.reverse();
        path
    }

    /// The propagation without the update's name, the numbers of events and, if `times` is false,
    /// the times: it is equal for two updates that spread alike.
    fn shape(&self, times: bool) -> Self {
        let mut shape = self.clone();
        let none = EventId(std::num::NonZeroU64::MIN);
        (shape.name, shape.sent) = (String::new(), None);
        for arrival in &mut shape.arrivals {
            arrival.event = none;
            if !times {
                (arrival.delay, arrival.fastest) = (0, None);
            }
        }
        for send in &mut shape.sends {
            send.event = none;
        }
        shape
    }

    /// How many messages had this outcome.
    pub fn count(&self, result: Use) -> usize {
        self.sends
            .iter()
            .filter(|send| send.result == result)
            .count()
    }
}

/// Groups updates that spread alike and have the same `also`: a common title, and the first update
/// of each group. Groups are in order of their first updates.
pub(crate) fn alike<T: PartialEq>(
    updates: &[Propagation],
    times: bool,
    also: impl Fn(&Propagation) -> T,
) -> Vec<(String, &Propagation)> {
    let mut groups: Vec<((Propagation, T), Vec<&Propagation>)> = Vec::new();
    for update in updates {
        let shape = (update.shape(times), also(update));
        match groups.iter_mut().find(|(known, _)| *known == shape) {
            Some((_, group)) => group.push(update),
            None => groups.push((shape, vec![update])),
        }
    }
    let named = groups
        .into_iter()
        .map(|(_, group)| (title(group.iter().map(|update| &*update.name)), group[0]));
    named.collect()
}

/// An update that a client sent, or was to send.
pub struct Sent {
    /// The update's name.
    pub name: String,
    /// The server that the client sent the update to.
    pub to: Arc<str>,
    /// The event of sending the update; `None` if the client had no connection.
    pub event: Option<EventId>,
}

/// Follows each of `updates` through the events of one run.
pub fn follow(
    herd: &Herd,
    latency: &[Duration],
    events: &[Event],
    updates: Vec<Sent>,
) -> Vec<Propagation> {
    let index = Index::new(herd, latency, events);
    let mut updates: Vec<Propagation> =
        updates.into_iter().map(|sent| index.follow(sent)).collect();
    let key = |update: &Propagation| {
        let origin = index.event(update.arrivals.first()?.event)?;
        record_of(origin).map(RecordText::text)
    };
    // Which update wins a tie can be named once all updates were followed.
    let names: BTreeMap<Vec<u8>, String> = (updates.iter())
        .filter_map(|update| Some((key(update)?, update.name.clone())))
        .collect();
    for update in &mut updates {
        let key = key(update).unwrap_or_default();
        update.tied = index.tied(&key, &names);
    }
    updates
}

/// The events, indexed for following updates.
struct Index<'a> {
    herd: &'a Herd,
    /// The states of the network.
    history: History<'a>,
    events: &'a [Event],
    /// The events that each event caused.
    effects: BTreeMap<EventId, Vec<&'a Event>>,
    /// The server at the other end of a link, by a server and its connection.
    peers: BTreeMap<(&'a Actor, ConnId), &'a Arc<str>>,
    /// The arrivals and messages of each update, by the text of its record.
    arrivals: BTreeMap<Vec<u8>, Vec<&'a Event>>,
    sends: BTreeMap<Vec<u8>, Vec<&'a Event>>,
    /// The newest record of each client that each server ever accepted.
    newest: BTreeMap<&'a [u8], BTreeMap<&'a str, Record>>,
}

impl<'a> Index<'a> {
    fn new(herd: &'a Herd, latency: &[Duration], events: &'a [Event]) -> Self {
        let mut index = Self {
            herd,
            history: History::new(herd, latency, events),
            events,
            effects: BTreeMap::new(),
            peers: BTreeMap::new(),
            arrivals: BTreeMap::new(),
            sends: BTreeMap::new(),
            newest: BTreeMap::new(),
        };
        for event in events {
            index.add(event);
        }
        index
    }

    fn add(&mut self, event: &'a Event) {
        self.history.learn(event);
        if let Some(cause) = event.cause {
            self.effects.entry(cause).or_default().push(event);
        }
        match &event.what {
            EventKind::LinkUp { peer, conn } => {
                self.peers.insert((&event.who, *conn), peer);
            }
            EventKind::Accepted { record, .. } => {
                let text = record.text();
                if let Some(parsed) = Record::parse(&text) {
                    let newest = self.newest.entry(&record.client.0).or_default();
                    let known = newest.get(event.who.name());
                    if known.is_none_or(|known| parsed.supersedes(known)) {
                        newest.insert(event.who.name(), parsed);
                    }
                }
                self.arrivals.entry(text).or_default().push(event);
            }
            EventKind::LineOut { conn, line } if self.peers.contains_key(&(&event.who, *conn)) => {
                if let Ok(PeerLine::At(update)) = PeerLine::parse(&line.0) {
                    let key = update.record.text().to_vec();
                    self.sends.entry(key).or_default().push(event);
                }
            }
            _ => {}
        }
    }

    fn effects(&self, of: EventId) -> impl Iterator<Item = &'a Event> {
        self.effects.get(&of).into_iter().flatten().copied()
    }

    fn follow(&self, sent: Sent) -> Propagation {
        let heard = sent.event.and_then(|event| {
            let mut arrived = self.effects(event);
            arrived.find(|event| matches!(event.what, EventKind::LineIn { .. }))
        });
        let mut fate = Fate::Unheard;
        let mut key_of_it = None;
        for event in heard.into_iter().flat_map(|heard| self.effects(heard.id)) {
            match &event.what {
                EventKind::Accepted { record, .. } => {
                    fate = Fate::Accepted;
                    key_of_it = Some(record.text());
                }
                EventKind::Ignored { why, .. } => fate = Fate::Ignored(*why),
                EventKind::Refused { why } => fate = Fate::Refused(*why),
                _ => {}
            }
        }
        let key_of_it = key_of_it.unwrap_or_default();
        Propagation {
            name: sent.name,
            to: sent.to,
            sent: sent.event,
            fate,
            overtaken: self.overtaken(&key_of_it),
            tied: Vec::new(),
            arrivals: self.arrivals_of(&key_of_it),
            sends: self.sends_of(&key_of_it),
        }
    }

    fn arrivals_of(&self, key: &[u8]) -> Vec<Arrival> {
        let Some(events) = self.arrivals.get(key) else {
            return Vec::new();
        };
        // The origin accepts an update before any other server can receive it.
        let origin = events[0];
        events
            .iter()
            .filter_map(|event| self.arrival(origin, event))
            .collect()
    }

    /// The servers that accepted a newer update of the same client and never this one.
    fn overtaken(&self, key: &[u8]) -> Vec<Arc<str>> {
        let newer = self.instead(key).into_iter();
        let newer = newer.filter(|(_, record, instead)| !instead.ties(record));
        newer.map(|(server, ..)| server).collect()
    }

    /// The servers that accepted another update of the same client and time, and its name.
    fn tied(&self, key: &[u8], names: &BTreeMap<Vec<u8>, String>) -> Vec<Tied> {
        let tied = self.instead(key).into_iter();
        let tied = tied.filter(|(_, record, instead)| instead.ties(record));
        let name = |record: &Record| {
            let known = names.get(record.text());
            known.map_or_else(|| "another".to_owned(), Clone::clone)
        };
        tied.map(|(server, _, instead)| Tied {
            server,
            to: name(instead),
        })
        .collect()
    }

    /// The servers that accepted an update that takes precedence over this one, and never this one:
    /// with the record of this one, and that of the other.
    fn instead(&self, key: &[u8]) -> Vec<(Arc<str>, Record, &Record)> {
        let (Some(record), Some(arrivals)) = (Record::parse(key), self.arrivals.get(key)) else {
            return Vec::new();
        };
        let Some(newest) = self.newest.get(record.id()) else {
            return Vec::new();
        };
        let has_it = |name: &str| arrivals.iter().any(|event| event.who.name() == name);
        let servers = self.herd.servers().iter().map(|server| &server.name);
        let instead = servers.filter_map(|name| {
            let newest = newest.get(&**name)?;
            let instead = newest.supersedes(&record) && !has_it(name);
            instead.then(|| (Arc::clone(name), record.clone(), newest))
        });
        instead.collect()
    }

    fn arrival(&self, origin: &Event, event: &Event) -> Option<Arrival> {
        let EventKind::Accepted { hops, from, .. } = &event.what else {
            return None;
        };
        let via = match from {
            Source::Client => None,
            Source::Server(name) => Some(Arc::clone(name)),
        };
        let (shortest, fastest) = self.possible(origin, event);
        Some(Arrival {
            server: event.who.name().into(),
            event: event.id,
            hops: *hops,
            via,
            sync: self.came_by_sync(event),
            delay: event.at - origin.at,
            shortest,
            fastest,
        })
    }

    /// Whether the message that brought the update was sent for another reason than that it was
    /// new.
    fn came_by_sync(&self, arrival: &Event) -> bool {
        let heard = arrival.cause.and_then(|cause| self.event(cause));
        let sent = heard
            .and_then(|heard| heard.cause)
            .and_then(|cause| self.event(cause));
        sent.is_some_and(|sent| self.is_sync(sent))
    }

    fn event(&self, id: EventId) -> Option<&'a Event> {
        self.events.get(usize::try_from(id.0.get()).ok()? - 1)
    }

    fn is_sync(&self, sent: &Event) -> bool {
        let Actor::Server(_) = sent.who else {
            return false;
        };
        let cause = sent.cause.and_then(|cause| self.event(cause));
        !cause.is_some_and(|cause| matches!(cause.what, EventKind::Accepted { .. }))
    }

    /// The fewest links and the least time in which the update could have reached the server of
    /// `arrival`, given the state of the network.
    fn possible(&self, origin: &Event, arrival: &Event) -> Least {
        if origin.who == arrival.who && origin.id != arrival.id {
            // If an origin lost the update, the least depends on which servers still held it.
            return (None, None);
        }
        self.history.least(origin, arrival)
    }

    fn sends_of(&self, key: &[u8]) -> Vec<Send> {
        let events = self.sends.get(key).into_iter().flatten();
        events.filter_map(|event| self.send(event)).collect()
    }

    fn send(&self, event: &Event) -> Option<Send> {
        let EventKind::LineOut { conn, .. } = event.what else {
            return None;
        };
        let heard = self.effects(event.id).next();
        let effect = heard.and_then(|heard| self.effects(heard.id).next());
        let result = match effect.map(|effect| &effect.what) {
            Some(EventKind::Accepted { .. }) => Use::Useful,
            Some(EventKind::Ignored { .. }) => Use::Duplicate,
            _ => Use::Lost,
        };
        Some(Send {
            from: event.who.name().into(),
            to: Arc::clone(self.peers.get(&(&event.who, conn))?),
            event: event.id,
            sync: self.is_sync(event),
            result,
        })
    }
}

fn record_of(accepted: &Event) -> Option<&RecordText<'static>> {
    match &accepted.what {
        EventKind::Accepted { record, .. } => Some(record),
        _ => None,
    }
}

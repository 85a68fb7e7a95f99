//! The way of each update through the herd, from the events alone: which server had it from which, after how many
//! hops and how long, and which messages were of use.

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

/// An update, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Propagation {
    /// How expectations and reports call it: the client's id, with `#2` and so on where it sent several.
    pub name: String,
    /// The server that it was sent to.
    pub to: Arc<str>,
    /// The event of the client sending it; none if the client had no connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent: Option<EventId>,
    /// What the server made of it.
    pub fate: Fate,
    /// The servers that took it in, in the order in which they did. The first one is its origin. A server that was
    /// restarted and received it again is here again.
    pub arrivals: Vec<Arrival>,
    /// Servers that never had it because something newer of the same client came first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overtaken: Vec<Arc<str>>,
    /// Servers that never had it because another of the same client and time came first, to which
    /// the tie goes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tied: Vec<Tied>,
    /// The messages between servers that carried it, in order of sending.
    pub sends: Vec<Send>,
}

/// What the server that a client spoke to made of an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// It took it in.
    Accepted,
    /// It answered and changed nothing.
    Ignored(Ignored),
    /// It did not understand it.
    Refused(Refusal),
    /// It never heard it.
    Unheard,
}

/// A server takes an update in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arrival {
    /// The server.
    pub server: Arc<str>,
    /// The event of taking it in.
    pub event: EventId,
    /// How many links it came over.
    pub hops: u32,
    /// The server that sent it; none at the origin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<Arc<str>>,
    /// It came by synchronisation and not by the flood.
    pub sync: bool,
    /// Nanoseconds since the origin took it in.
    pub delay: u64,
    /// The fewest links that it could have come over, as the network was while it was on its way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shortest: Option<u32>,
    /// The shortest time in nanoseconds in which links alone could have brought it, likewise. It is
    /// never more than `delay`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fastest: Option<u64>,
}

/// A server holds another update of the same time, to which the tie goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tied {
    /// The server.
    pub server: Arc<str>,
    /// What the other update is called.
    pub to: String,
}

/// A message that carries an update from one server to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Send {
    /// Who sent it.
    pub from: Arc<str>,
    /// The receiver.
    pub to: Arc<str>,
    /// The event of sending it.
    pub event: EventId,
    /// It was sent by synchronisation and not by the flood.
    pub sync: bool,
    /// The outcome of the message.
    pub result: Use,
}

/// The outcome of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Use {
    /// It was new.
    Useful,
    /// It was known, or something that takes precedence was.
    Duplicate,
    /// It did not arrive.
    Lost,
}

impl Propagation {
    /// When `server` first took it in, if it did.
    pub fn arrival(&self, server: &str) -> Option<&Arrival> {
        self.arrivals
            .iter()
            .find(|arrival| &*arrival.server == server)
    }

    /// Over how many links it first reached `server`, if it did.
    pub fn hops(&self, server: &str) -> Option<u32> {
        self.arrival(server).map(|arrival| arrival.hops)
    }

    /// How long after its origin `server` had it, if it did.
    pub fn delay(&self, server: &str) -> Option<Duration> {
        let arrival = self.arrival(server)?;
        Some(Duration::from_nanos(arrival.delay))
    }

    /// Its first arrivals at servers other than its origin.
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

    /// The way on which it first reached `server`: from the origin to it.
    pub fn path(&self, server: &str) -> Vec<Arc<str>> {
        let path = self.path_of(server).into_iter();
        path.map(|arrival| Arc::clone(&arrival.server)).collect()
    }

    /// The same, as arrivals.
    pub fn path_of(&self, server: &str) -> Vec<&Arrival> {
        let mut path = Vec::new();
        let mut next = self.arrival(server);
        while let Some(arrival) = next {
            path.push(arrival);
            // Its teller may have had it, forgotten it, and had it again.
            next = arrival.via.as_deref().and_then(|via| {
                let mut earlier = self.arrivals.iter().rev();
                earlier.find(|other| other.event < arrival.event && *other.server == *via)
            });
        }
        path.reverse();
        path
    }

    /// What a report of it says, but for its name and the numbers of events: two updates that
    /// spread alike have the same.
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

    /// How many messages had this result.
    pub fn count(&self, result: Use) -> usize {
        self.sends
            .iter()
            .filter(|send| send.result == result)
            .count()
    }
}

/// Updates that spread alike, together with how to call them all, in order of the first of each.
/// Only such are together that `also` says the same of.
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
    /// How it is called.
    pub name: String,
    /// The server that it was sent to.
    pub to: Arc<str>,
    /// The event of sending it.
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
    // Which update a tie goes to is known when all were followed.
    let names: BTreeMap<Vec<u8>, String> = (updates.iter())
        .filter_map(|update| Some((key(update)?, update.name.clone())))
        .collect();
    for update in &mut updates {
        let key = key(update).unwrap_or_default();
        update.tied = index.tied(&key, &names);
    }
    updates
}

/// The events, with the questions that following asks answered quickly.
struct Index<'a> {
    herd: &'a Herd,
    /// How the network was.
    history: History<'a>,
    events: &'a [Event],
    /// The events that an event caused.
    effects: BTreeMap<EventId, Vec<&'a Event>>,
    /// Who is at the other end of a server's link.
    peers: BTreeMap<(&'a Actor, ConnId), &'a Arc<str>>,
    /// The arrivals and messages of each update, by its record's text.
    arrivals: BTreeMap<Vec<u8>, Vec<&'a Event>>,
    sends: BTreeMap<Vec<u8>, Vec<&'a Event>>,
    /// The newest that each server ever took in of each client.
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
        // An update is taken in by its origin before anybody else can hear of it.
        let origin = events[0];
        events
            .iter()
            .filter_map(|event| self.arrival(origin, event))
            .collect()
    }

    /// The servers that took in something newer of the same client and never this.
    fn overtaken(&self, key: &[u8]) -> Vec<Arc<str>> {
        let newer = self.instead(key).into_iter();
        let newer = newer.filter(|(_, record, instead)| !instead.ties(record));
        newer.map(|(server, ..)| server).collect()
    }

    /// Those that took in another of the same client and time, and what that is called.
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

    /// The servers that took in what takes precedence over this and never this; this, and that.
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

    /// Whether the message that brought it was sent for another reason than that it was new.
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

    /// The fewest links and the shortest time in which it could have come to where `arrival`
    /// happened, as the network was.
    fn possible(&self, origin: &Event, arrival: &Event) -> Least {
        if origin.who == arrival.who && origin.id != arrival.id {
            // An origin that forgot: what was possible depends on who still had it.
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

//! Every message of a run: its sender and receiver, whether it arrived, and whether it was useful.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::journal::{Actor, ConnId, Event, EventKind, PeerRole};
use crate::protocol::peer::PeerLine;
use crate::report::lanes::{LaneKind, Lanes};
use crate::trace::Trace;

/// The kind of a message, as pictures distinguish them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// A client's line.
    Request,
    /// A server's answer to a client.
    Answer,
    /// An update that was new to its receiver.
    Useful,
    /// An update whose receiver had it already, or had a newer one.
    Duplicate,
    /// An update that never arrived.
    Lost,
    /// Handshakes and synchronisation.
    Sync,
    /// Heartbeats, and the roots that begin an anti-entropy round.
    Heartbeat,
    /// A request to Places, or its answer.
    Places,
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The number of the event of sending it.
    pub sent: u64,
    /// The number of the event of its arrival; `None` if it never arrived.
    pub heard: Option<u64>,
    /// The lane that sent it.
    pub from: usize,
    /// The receiver's lane; `None` if it is not known.
    pub to: Option<usize>,
    /// The message's kind.
    pub class: Class,
    /// The index of the trace's update that it carries between servers or that a client sends by
    /// it.
    pub update: Option<usize>,
    /// The number of links that the update has crossed on arrival.
    pub hops: u32,
    /// Whether synchronisation sent it.
    pub by_sync: bool,
}

/// All messages, in the order of sending.
pub(super) fn messages(trace: &Trace, lanes: &Lanes<'_>) -> Vec<Message> {
    let index = Index::of(trace, lanes);
    let events = trace.events.iter();
    let mut messages: Vec<Message> = events
        .filter_map(|event| index.message(event).or_else(|| index.of_places(event)))
        .collect();
    // A repeated request to Places counts as sent at its look-up, since nothing else is recorded,
    // so it is out of order.
    messages.sort_by_key(|message| message.sent);
    messages
}

struct Index<'a> {
    trace: &'a Trace,
    lanes: &'a Lanes<'a>,
    /// By the number of a sent line: the event of its arrival.
    heard: BTreeMap<u64, &'a Event>,
    effect: BTreeMap<u64, &'a Event>,
    /// By the number of a look-up: the last request to Places for it.
    asked: BTreeMap<u64, u64>,
    /// The two ends of each connection: whose end it is, and the peer that it expected.
    ends: BTreeMap<ConnId, Vec<(&'a Actor, &'a PeerRole)>>,
    /// By the number of a sending event: the update that it sends, and whether by synchronisation.
    updates: BTreeMap<u64, (usize, bool)>,
}

impl<'a> Index<'a> {
    fn of(trace: &'a Trace, lanes: &'a Lanes<'a>) -> Self {
        let mut index = Self {
            trace,
            lanes,
            heard: BTreeMap::new(),
            effect: BTreeMap::new(),
            asked: BTreeMap::new(),
            ends: BTreeMap::new(),
            updates: BTreeMap::new(),
        };
        for event in &trace.events {
            index.add(event);
        }
        for (number, update) in trace.updates.iter().enumerate() {
            if let Some(sent) = update.sent {
                index.updates.insert(sent.0.get(), (number, false));
            }
            for send in &update.sends {
                index
                    .updates
                    .insert(send.event.0.get(), (number, send.sync));
            }
        }
        index
    }

    fn add(&mut self, event: &'a Event) {
        if let EventKind::Opened { conn, with, .. } = &event.what {
            self.ends.entry(*conn).or_default().push((&event.who, with));
        }
        let Some(cause) = event.cause.and_then(|id| self.trace.event(id)) else {
            return;
        };
        let number = cause.id.0.get();
        match (&cause.what, &event.what) {
            (EventKind::LineOut { .. }, EventKind::LineIn { .. })
            | (EventKind::LookUp { .. }, EventKind::LineOut { .. }) => {
                self.heard.entry(number).or_insert(event);
            }
            (EventKind::LookUp { .. }, EventKind::PlacesAsked { .. }) => {
                self.asked.insert(number, event.id.0.get());
            }
            _ => {}
        }
        self.effect.entry(number).or_insert(event);
    }

    fn message(&self, event: &Event) -> Option<Message> {
        let number = event.id.0.get();
        let from = self.lanes.of_event(event)?;
        let EventKind::LineOut { conn, line } = &event.what else {
            return None;
        };
        let heard = self.heard.get(&number).copied();
        let to = heard.and_then(|heard| self.lanes.of_event(heard));
        let to = to.or_else(|| self.other_end(event, *conn));
        let (class, hops) = self.class(event, from, to, *conn, &line.0);
        let update = self.updates.get(&number);
        Some(Message {
            sent: number,
            heard: heard.map(|heard| heard.id.0.get()),
            from,
            to,
            class,
            update: update.map(|(update, _)| *update),
            hops,
            by_sync: update.is_some_and(|(_, by_sync)| *by_sync),
        })
    }

    /// The message that an event of Places belongs to: a request that arrives there, or an answer
    /// that it sends. An answer arrives when the client is answered. An answer after which the
    /// server asked again is left out, since its arrival is not recorded.
    fn of_places(&self, event: &Event) -> Option<Message> {
        let (number, places) = (event.id.0.get(), self.lanes.of_event(event)?);
        let cause = self.trace.event(event.cause?)?;
        let question = |look_up: &Event| {
            Some(Message {
                sent: look_up.id.0.get(),
                heard: Some(number),
                from: self.lanes.of_event(look_up)?,
                to: Some(places),
                class: Class::Places,
                update: None,
                hops: 0,
                by_sync: false,
            })
        };
        match &event.what {
            EventKind::PlacesAsked { .. } if cause.id < event.id => question(cause),
            EventKind::PlacesTold { fault, .. } => {
                let look_up = self.trace.event(cause.cause?)?;
                let id = look_up.id.0.get();
                let last = self.asked.get(&id) == Some(&cause.id.0.get());
                let heard = self.heard.get(&id).map(|answer| answer.id.0.get());
                let heard = heard.filter(|heard| fault.is_none() && *heard > number);
                (last || fault.is_some()).then_some(())?;
                Some(Message {
                    sent: number,
                    heard,
                    from: places,
                    to: self.lanes.of_event(look_up),
                    class: Class::Places,
                    update: None,
                    hops: 0,
                    by_sync: false,
                })
            }
            _ => None,
        }
    }

    fn class(
        &self,
        event: &Event,
        from: usize,
        to: Option<usize>,
        conn: ConnId,
        line: &[u8],
    ) -> (Class, u32) {
        let ends = self.ends.get(&conn).into_iter().flatten();
        // Whoever is spoken for by hand has a lane among the clients, and speaks as servers do.
        let by_hand = { ends }.any(|(who, _)| matches!(who, Actor::Peer(_)));
        let is_client = |lane| !by_hand && self.lanes.kind(lane) == Some(LaneKind::Client);
        if is_client(from) {
            return (Class::Request, 0);
        }
        let to_client = match to {
            Some(to) => is_client(to),
            None => self.expects_client(event, conn),
        };
        if to_client {
            return (Class::Answer, 0);
        }
        match PeerLine::parse(line) {
            Ok(PeerLine::At(update)) => (self.use_of(event), update.hops),
            Ok(PeerLine::Ping { .. } | PeerLine::Pong { .. } | PeerLine::Root(_)) => {
                (Class::Heartbeat, 0)
            }
            _ => (Class::Sync, 0),
        }
    }

    fn use_of(&self, event: &Event) -> Class {
        let heard = self.heard.get(&event.id.0.get());
        let effect = heard.and_then(|heard| self.effect.get(&heard.id.0.get()));
        match effect.map(|effect| &effect.what) {
            Some(EventKind::Accepted { .. }) => Class::Useful,
            Some(EventKind::Ignored { .. }) => Class::Duplicate,
            _ => Class::Lost,
        }
    }

    fn expects_client(&self, event: &Event, conn: ConnId) -> bool {
        let ends = self.ends.get(&conn).into_iter().flatten();
        ends.into_iter()
            .any(|(who, with)| **who == event.who && matches!(with, PeerRole::Client))
    }

    /// The lane at the other end of the connection of a line that did not arrive.
    fn other_end(&self, event: &Event, conn: ConnId) -> Option<usize> {
        let ends = self.ends.get(&conn)?;
        let seen = ends.iter().find(|(who, _)| **who != event.who);
        let seen = seen.and_then(|(who, _)| match who {
            Actor::Server(name) => self.lanes.server(name),
            Actor::Client(name) | Actor::Peer(name) => self.lanes.client(name),
            Actor::Network | Actor::Places => None,
        });
        seen.or_else(|| {
            ends.iter().find_map(|(_, with)| match with {
                PeerRole::Server(name) => self.lanes.server(name),
                PeerRole::Client | PeerRole::Peer => None,
            })
        })
    }
}

//! The lanes of a picture: the servers, clients and others that have a lifeline.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::journal::{Actor, Event};
use crate::trace::Trace;

/// A participant of a run that events belong to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lane {
    /// The participant's kind.
    pub kind: LaneKind,
    /// The participant's name.
    pub name: String,
}

/// The kind of a participant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LaneKind {
    /// A server of the herd.
    Server,
    /// A client.
    Client,
    /// The Places API.
    Places,
    /// The network itself, to which partitions and the like belong.
    Network,
}

/// All lanes: the herd's servers in its order, then all other participants in the order of their
/// first events.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lanes<'a> {
    pub(crate) list: Vec<Lane>,
    index: BTreeMap<(LaneKind, &'a str), usize>,
}

impl<'a> Lanes<'a> {
    pub(crate) fn of(trace: &'a Trace) -> Self {
        let mut lanes = Self::default();
        for name in trace.herd.server_names() {
            lanes.add(LaneKind::Server, name);
        }
        for event in &trace.events {
            let (kind, name) = key(event);
            lanes.add(kind, name);
        }
        lanes
    }

    fn add(&mut self, kind: LaneKind, name: &'a str) {
        let list = &mut self.list;
        self.index.entry((kind, name)).or_insert_with(|| {
            let name = name.to_owned();
            list.push(Lane { kind, name });
            list.len() - 1
        });
    }

    /// The lane to which an event belongs.
    pub(crate) fn of_event(&self, event: &Event) -> Option<usize> {
        self.index.get(&key(event)).copied()
    }

    /// The lane of the server with this name.
    pub(crate) fn server(&self, name: &str) -> Option<usize> {
        self.index.get(&(LaneKind::Server, name)).copied()
    }

    /// The lane of the client with this name.
    pub(crate) fn client(&self, name: &str) -> Option<usize> {
        self.index.get(&(LaneKind::Client, name)).copied()
    }

    pub(crate) fn kind(&self, lane: usize) -> Option<LaneKind> {
        self.list.get(lane).map(|lane| lane.kind)
    }
}

fn key(event: &Event) -> (LaneKind, &str) {
    let kind = match event.who {
        Actor::Server(_) => LaneKind::Server,
        Actor::Client(_) | Actor::Peer(_) => LaneKind::Client,
        Actor::Network => LaneKind::Network,
        Actor::Places => LaneKind::Places,
    };
    (kind, event.who.name())
}

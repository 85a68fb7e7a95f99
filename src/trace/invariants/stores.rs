//! What each server holds and with which servers it is linked, according to the events so far.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::journal::{Actor, ConnId, Event, EventKind, RecordText, Source};
use crate::protocol::peer::{PeerLine, Update};
use crate::trace::state::{Held, LinkState, State};

/// What each running server holds, and the peer of each connection between servers.
#[derive(Default)]
pub(super) struct Stores<'a> {
    state: State<'a>,
    links: BTreeMap<(&'a str, ConnId), &'a Arc<str>>,
}

/// The fields of an `Accepted`.
pub(super) struct Accepted<'a> {
    pub(super) record: &'a RecordText<'static>,
    pub(super) from: &'a Source,
}

impl<'a> Stores<'a> {
    /// Applies an event.
    pub(super) fn learn(&mut self, event: &'a Event) {
        self.state.learn(event);
        if let (Actor::Server(server), EventKind::LinkUp { peer, conn }) = (&event.who, &event.what)
        {
            self.links.insert((server, *conn), peer);
        }
    }

    /// The event that accepted the record which `server` holds of `client`.
    pub(super) fn get(&self, server: &str, client: &[u8]) -> Option<&'a Event> {
        self.of(server)?.get(client).copied()
    }

    /// What a running server holds.
    pub(super) fn of(&self, server: &str) -> Option<&Held<'a>> {
        Some(&self.state.server(server)?.held)
    }

    /// The state of a running server's end of its link with a neighbour.
    pub(super) fn link_state(&self, server: &str, peer: &str) -> Option<LinkState> {
        Some(self.state.server(server)?.link(peer)?.state)
    }

    /// The neighbour at the other end of a link's connection.
    pub(super) fn peer(&self, server: &str, conn: ConnId) -> Option<&'a Arc<str>> {
        self.links.get(&(server, conn)).copied()
    }

    /// If `event` is a server writing an update to a neighbour: the neighbour and the update.
    pub(super) fn sent(&self, event: &'a Event) -> Option<(&'a Arc<str>, Update)> {
        let (Actor::Server(server), EventKind::LineOut { conn, line }) = (&event.who, &event.what)
        else {
            return None;
        };
        let to = self.peer(server, *conn)?;
        match PeerLine::parse(&line.0) {
            Ok(PeerLine::At(update)) => Some((to, update)),
            _ => None,
        }
    }
}

/// The fields of an `Accepted`.
pub(super) fn accepted(event: &Event) -> Option<Accepted<'_>> {
    match &event.what {
        EventKind::Accepted { record, from, .. } => Some(Accepted { record, from }),
        _ => None,
    }
}

//! The neighbours of a server, and how they change when the herd file changes.

use std::sync::Arc;

use super::saving::Saving;
use crate::herd::{Address, Name};
use crate::journal::{CloseReason, Journal};
use crate::node::{Neighbour, NeighbourId, Node};
use crate::sync::{Notify, OnceLock};

/// A neighbour. A change of its entry in the herd file creates a new value.
pub(super) struct Peer {
    pub(super) name: Name,
    /// The address at which it listens for servers.
    pub(super) address: Address,
    /// Why it is no longer a neighbour, once it is none.
    left: OnceLock<String>,
    leaving: Notify,
    wants_to_be_dialled: Notify,
    refused: Notify,
}

impl Peer {
    fn new(name: Name, address: Address) -> Arc<Self> {
        Arc::new(Self {
            name,
            address,
            left: OnceLock::new(),
            leaving: Notify::new(),
            wants_to_be_dialled: Notify::new(),
            refused: Notify::new(),
        })
    }

    /// Why it is no longer a neighbour, or `None` if it still is.
    pub(super) fn why_left(&self) -> Option<String> {
        self.left.get().cloned()
    }

    /// Completes when it is no longer a neighbour.
    pub(super) async fn left(&self) {
        // The future exists before the check, so a notification between the two is not lost.
        let leaving = self.leaving.notified();
        if self.left.get().is_none() {
            leaving.await;
        }
    }

    /// A neighbour that has just started requests to be dialled. The request is stored while a dial
    /// or the link of its previous run lasts. Then the next pause is skipped.
    pub(super) fn dial_now(&self) {
        self.wants_to_be_dialled.notify_one();
    }

    /// Completes when the neighbour has requested to be dialled.
    pub(super) async fn wants_to_be_dialled(&self) {
        self.wants_to_be_dialled.notified().await;
    }

    /// A connection was refused whose other end proved nothing, so it may have been this neighbour.
    pub(super) fn was_perhaps_refused(&self) {
        self.refused.notify_one();
    }

    /// Completes when a connection was refused that may have been this neighbour's.
    pub(super) async fn may_be_refused(&self) {
        self.refused.notified().await;
    }

    fn leave(&self, why: String) {
        // This happens once for each neighbour.
        let _ = self.left.set(why);
        self.leaving.notify_waiters();
    }
}

/// A neighbour for which a task must start: it dials the neighbour, or requests to be dialled by
/// it.
pub(super) struct NewPeer {
    pub(super) neighbour: NeighbourId,
    pub(super) peer: Arc<Peer>,
    pub(super) dialled: bool,
}

/// The Node, and the sessions to wake when it has lines for them.
pub(super) struct State {
    pub(super) node: Node,
    /// The neighbour that has each id, or had it last.
    pub(super) peers: Vec<Arc<Peer>>,
    /// The session that owns the link of each neighbour, while it is up.
    pub(super) sessions: Vec<Option<Arc<Notify>>>,
    /// Who saves what changes.
    saving: Arc<Saving>,
    /// The neighbours for which no task has started yet.
    new: Vec<NewPeer>,
}

impl State {
    /// The state of a server that starts. Its neighbours listen at these `addresses`.
    pub(super) fn new(node: Node, addresses: &[Address], saving: Arc<Saving>) -> Self {
        let peers = node.neighbours().zip(addresses);
        let peers = peers.map(|((_, neighbour), at)| Peer::new(neighbour.name.clone(), at.clone()));
        let peers: Vec<Arc<Peer>> = peers.collect();
        let new = node.neighbours().map(|(id, neighbour)| NewPeer {
            neighbour: id,
            peer: Arc::clone(&peers[id.0]),
            dialled: neighbour.dialled,
        });
        Self {
            new: new.collect(),
            sessions: peers.iter().map(|_| None).collect(),
            peers,
            saving,
            node,
        }
    }

    /// Wakes the sessions of all links that have something to write.
    pub(super) fn wake(&mut self) {
        let Self { node, sessions, .. } = self;
        node.take_ready(|NeighbourId(position)| {
            if let Some(session) = &sessions[position] {
                session.notify_one();
            }
        });
        if node.unsaved() > 0 {
            self.saving.wake();
        }
    }

    /// The neighbours for which a task must start. Each is returned once.
    pub(super) fn take_new(&mut self) -> Vec<NewPeer> {
        std::mem::take(&mut self.new)
    }

    /// Replaces the neighbours by those `wanted`. Links with unchanged neighbours stay up.
    pub(super) fn relink(&mut self, wanted: Vec<(Neighbour, Address)>, journal: &dyn Journal) {
        let known: Vec<(NeighbourId, Neighbour)> = (self.node.neighbours())
            .map(|(id, neighbour)| (id, neighbour.clone()))
            .collect();
        let mut stay = Vec::new();
        for (id, neighbour) in known {
            let same = wanted.iter().find(|(new, _)| new.name == neighbour.name);
            match same {
                None => self.lose(
                    id,
                    format!("no link with {} any more", neighbour.name),
                    journal,
                ),
                // The end that is dialled does not need the other's address, so a change of it does
                // not matter.
                Some((new, address))
                    if *new == neighbour
                        && (!new.dialled || *address == self.peers[id.0].address) =>
                {
                    stay.push(neighbour.name);
                }
                Some(_) => {
                    let why = format!("the herd file describes {} differently now", neighbour.name);
                    self.lose(id, why, journal);
                }
            }
        }
        for (neighbour, address) in wanted {
            if !stay.contains(&neighbour.name) {
                self.gain(neighbour, address, journal);
            }
        }
    }

    fn lose(&mut self, id: NeighbourId, why: String, journal: &dyn Journal) {
        (self.node).lose(id, CloseReason::Refused(why.clone().into()), journal);
        self.sessions[id.0] = None;
        self.new.retain(|new| new.neighbour != id);
        self.peers[id.0].leave(why);
    }

    fn gain(&mut self, neighbour: Neighbour, address: Address, journal: &dyn Journal) {
        let peer = Peer::new(Arc::clone(&neighbour.name), address);
        let dialled = neighbour.dialled;
        let id = self.node.gain(neighbour, journal);
        if id.0 < self.peers.len() {
            self.peers[id.0] = Arc::clone(&peer);
        } else {
            self.peers.push(Arc::clone(&peer));
            self.sessions.push(None);
        }
        self.new.push(NewPeer {
            neighbour: id,
            peer,
            dialled,
        });
    }
}

#[cfg(all(test, feature = "threads"))]
mod threads;

//! Whom this server has links with, and what a herd that changed makes of that while it runs.

use std::sync::{Arc, OnceLock};

use tokio::sync::Notify;

use crate::herd::{Address, Name};
use crate::journal::{CloseReason, Journal};
use crate::node::{Neighbour, NeighbourId, Node};

/// A neighbour, as long as the herd says the same of it.
pub(super) struct Peer {
    pub(super) name: Name,
    /// Where it listens for servers.
    pub(super) address: Address,
    /// Why it is no neighbour any more.
    left: OnceLock<String>,
    leaving: Notify,
    wants_to_be_dialled: Notify,
}

impl Peer {
    fn new(name: Name, address: Address) -> Arc<Self> {
        Arc::new(Self {
            name,
            address,
            left: OnceLock::new(),
            leaving: Notify::new(),
            wants_to_be_dialled: Notify::new(),
        })
    }

    /// Why it is no neighbour any more, if it is not.
    pub(super) fn why_left(&self) -> Option<String> {
        self.left.get().cloned()
    }

    /// Completes when it is no neighbour any more.
    pub(super) async fn left(&self) {
        // Whoever asks to be told before looking misses nothing.
        let leaving = self.leaving.notified();
        if self.left.get().is_none() {
            leaving.await;
        }
    }

    /// It has just started and wants to be dialled. If that is being tried, or there is a link still of the run before, it is
    /// remembered: the next pause is none.
    pub(super) fn dial_now(&self) {
        self.wants_to_be_dialled.notify_one();
    }

    /// Completes when it said that it wants to be dialled.
    pub(super) async fn wants_to_be_dialled(&self) {
        self.wants_to_be_dialled.notified().await;
    }

    fn leave(&self, why: String) {
        // It leaves once.
        let _ = self.left.set(why);
        self.leaving.notify_waiters();
    }
}

/// A neighbour that is to be dialled, or to be sent a request to dial.
pub(super) struct NewPeer {
    pub(super) neighbour: NeighbourId,
    pub(super) peer: Arc<Peer>,
    pub(super) dialled: bool,
}

/// The Node, and who is to be woken when it has something to write.
pub(super) struct State {
    pub(super) node: Node,
    /// By neighbour: who has that id now, or had it last.
    pub(super) peers: Vec<Arc<Peer>>,
    /// By neighbour: the session that the link belongs to, while it is up.
    pub(super) sessions: Vec<Option<Arc<Notify>>>,
    /// Neighbours for which nothing is done yet.
    new: Vec<NewPeer>,
}

impl State {
    /// The state of a server that begins, whose neighbours listen at these `addresses`.
    pub(super) fn new(node: Node, addresses: &[Address]) -> Self {
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
            node,
        }
    }

    /// Wakes the sessions of all links that got something to write.
    pub(super) fn wake(&mut self) {
        let Self { node, sessions, .. } = self;
        node.take_ready(|NeighbourId(position)| {
            if let Some(session) = &sessions[position] {
                session.notify_one();
            }
        });
    }

    /// Those for which something is to be done from now on, each given once.
    pub(super) fn take_new(&mut self) -> Vec<NewPeer> {
        std::mem::take(&mut self.new)
    }

    /// Makes its neighbours those that are `wanted`. Links with those that did not change go on.
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
                // Where a server that dials listens is nothing to the one that is dialled.
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

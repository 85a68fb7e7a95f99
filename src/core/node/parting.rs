//! A graceful end: what is answered here and not sent to any neighbour yet is sent before the server goes.
//!
//! A server that leaves sends its neighbours what is live, then `BYE`, and goes on reading until they say `BYE`, too:
//! only then do they have everything. A neighbour with which it has not compared all it knows is sent what clients
//! sent this server, so that no comparison need be completed first. In version 1 the end of the stream, both ways,
//! says the same.

use std::sync::Arc;

use crate::journal::{EventId, EventKind, Journal};
use crate::protocol::peer::BootId;
use crate::protocol::time::Timestamp;

use super::dirty::Reason;
use super::link::{Link, Parting, Word};
use super::store::ClientIndex;
use super::{NeighbourId, Node};

/// The runs of a neighbour that had a link with this one.
#[derive(Debug, Default)]
pub(super) struct Runs {
    /// One of them and this server have compared all they knew.
    pub(super) was_synchronised: bool,
    last: Option<BootId>,
    /// Those before it, the oldest first.
    former: Vec<BootId>,
}

impl Runs {
    /// How many are remembered. Two servers of one name show it by the second.
    const MOST: usize = 16;

    pub(super) fn began(&mut self, boot: BootId) {
        if let Some(before) = self.last.replace(boot).filter(|before| *before != boot) {
            self.former.retain(|known| *known != before);
            if self.former.len() == Self::MOST {
                self.former.remove(0);
            }
            self.former.push(before);
        }
    }

    /// The run that came after `boot`, if another did: a run that is over can't come back.
    pub(super) fn successor_of(&self, boot: BootId) -> Option<BootId> {
        self.last.filter(|_| self.former.contains(&boot))
    }
}

/// What a neighbour had when its link was last up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Parted {
    /// There was no link yet, or it was lost: the neighbour may have received anything or nothing.
    #[default]
    Unknown,
    /// It left by itself, when this number of updates had been accepted here.
    Left(u64),
    /// This server left, and it confirmed to have everything.
    Confirmed,
    /// This server left, and it may lack up to this number of records.
    Unconfirmed(usize),
}

/// How a neighbour parted with a server that has stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unconfirmed {
    /// The neighbour.
    pub peer: Arc<str>,
    /// Up to this number of the records that this server held may be unknown to it.
    pub records: usize,
    /// There was a link with it at some time in this run. A neighbour without one is not expected to confirm
    /// anything.
    pub was_linked: bool,
}

impl Node {
    /// Whether every neighbour has sent it what it knew, at some time since it began.
    pub fn has_heard_all(&self) -> bool {
        self.neighbours()
            .all(|(id, _)| self.runs[id.0].was_synchronised)
    }

    /// This server stops, and `neighbour` is sent what it must still know, then `BYE`.
    pub fn leave(&mut self, neighbour: NeighbourId) {
        let Some(link) = &mut self.links[neighbour.0] else {
            return;
        };
        if link.parting != Parting::None {
            return;
        }
        let was_synchronised = link.was_synchronised;
        link.leave();
        if !was_synchronised {
            let name = self.config.name.as_bytes();
            let clients = self.store.indices();
            let own = |client: &ClientIndex| self.store.entry(*client).record.origin() == name;
            let own: Vec<ClientIndex> = clients.filter(own).collect();
            for client in own {
                link.dirty.mark(client, Reason::Flood);
            }
        }
        self.ready.insert(neighbour);
    }

    /// From now on this server sends no neighbour what others send it. Whoever said it knows it, so nothing is lost,
    /// and what waits for a slow neighbour comes to an end.
    pub fn relay_no_more(&mut self) {
        self.relays = false;
    }

    /// Whether all is said to a neighbour that this server leaves, so that nothing but its confirmation is waited for.
    pub fn has_left(&self, neighbour: NeighbourId) -> bool {
        let link = self.links[neighbour.0].as_ref();
        link.is_some_and(|link| matches!(link.parting, Parting::Said | Parting::Confirmed))
    }

    /// Whether a neighbour that this server leaves has everything.
    pub fn is_confirmed(&self, neighbour: NeighbourId) -> bool {
        let link = self.links[neighbour.0].as_ref();
        link.is_some_and(|link| link.parting == Parting::Confirmed)
    }

    /// Whether a neighbour said that it leaves.
    pub fn is_left_by(&self, neighbour: NeighbourId) -> bool {
        let link = self.links[neighbour.0].as_ref();
        link.is_some_and(|link| matches!(link.parting, Parting::Left(_)))
    }

    /// A neighbour to which everything was said has ended the stream without an error. In version 1 that confirms it.
    pub fn hear_end(&mut self, neighbour: NeighbourId) {
        if let Some(link) = &mut self.links[neighbour.0]
            && link.version == 1
            && link.parting == Parting::Said
        {
            link.parting = Parting::Confirmed;
        }
    }

    pub(super) fn hear_bye(&mut self, neighbour: NeighbourId, heard: EventId) {
        let Some(link) = &mut self.links[neighbour.0] else {
            return;
        };
        match link.parting {
            Parting::Said => link.parting = Parting::Confirmed,
            Parting::None | Parting::Leaving => {
                link.let_go(heard);
                self.ready.insert(neighbour);
            }
            Parting::Confirmed | Parting::Left(_) => {}
        }
        self.filled(neighbour);
    }

    /// Says `BYE` once nothing else waits. Version 1 has no such word: the stream ends.
    pub(super) fn write_bye(
        &mut self,
        neighbour: NeighbourId,
        _: Timestamp,
        out: &mut Vec<u8>,
    ) -> Option<super::peer::Written> {
        let link = self.links[neighbour.0].as_mut()?;
        if link.parting != Parting::Leaving || link.has_waiting() {
            return None;
        }
        link.parting = Parting::Said;
        let conn = link.conn;
        if link.version == 1 {
            return None;
        }
        self.write_word(neighbour, Word::Bye, out);
        Some((conn, None))
    }

    /// A link is over: what its neighbour has of what this server holds.
    pub(super) fn note_parting(&mut self, neighbour: NeighbourId, link: &Link) {
        self.parted[neighbour.0] = match link.parting {
            Parting::None => Parted::Unknown,
            Parting::Left(_) => Parted::Left(self.accepted),
            Parting::Confirmed => Parted::Confirmed,
            Parting::Leaving | Parting::Said => Parted::Unconfirmed(self.unconfirmed(link)),
        };
    }

    /// Up to how many records may be unknown to the neighbour of this link.
    fn unconfirmed(&self, link: &Link) -> usize {
        if !link.was_synchronised {
            return self.store.len();
        }
        let since = self.accepted - link.pings.confirmed;
        usize::try_from(since)
            .unwrap_or(usize::MAX)
            .min(self.store.len())
    }

    /// This server has stopped: tells the journal of each neighbour that may lack something, and gives them back.
    ///
    /// A neighbour that was out of reach is named only if nobody else confirmed to have everything: then what this server
    /// alone knew is gone with it.
    pub fn farewell(&self, journal: &dyn Journal) -> Vec<Unconfirmed> {
        let parted = || {
            let neighbours = self.neighbours();
            neighbours.map(|(id, known)| (id, known, self.parted[id.0]))
        };
        // Whoever left when nothing had come since had all, as well as whoever confirmed it.
        let has_all = [Parted::Confirmed, Parted::Left(self.accepted)];
        let anybody_has_all = parted().any(|(_, _, parted)| has_all.contains(&parted));
        let unconfirmed = parted().filter_map(|(id, known, parted)| {
            let records = match parted {
                Parted::Confirmed => return None,
                Parted::Unconfirmed(records) => records,
                _ if anybody_has_all => return None,
                Parted::Unknown => self.store.len(),
                Parted::Left(accepted) => {
                    let since = usize::try_from(self.accepted - accepted).unwrap_or(usize::MAX);
                    since.min(self.store.len())
                }
            };
            (records > 0).then(|| Unconfirmed {
                peer: Arc::clone(&known.name),
                records,
                was_linked: self.runs[id.0].last.is_some(),
            })
        });
        let unconfirmed: Vec<Unconfirmed> = unconfirmed.collect();
        for Unconfirmed { peer, records, .. } in &unconfirmed {
            let (peer, records) = (Arc::clone(peer), *records as u64);
            journal.record(None, EventKind::Unconfirmed { peer, records });
        }
        unconfirmed
    }
}

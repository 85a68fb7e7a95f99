//! Graceful stop: updates that were answered here and not sent to any neighbour yet are sent before
//! the server ends.
//!
//! A server that stops sends its neighbours what is live, then `BYE`, and reads on until each of
//! them answers `BYE`: only then does that neighbour hold everything. A neighbour with which no
//! round of set reconciliation has completed is sent the records of this server's own clients, so
//! that no round need complete first. In version 1 the end of the stream, in both directions, takes
//! the place of `BYE`.

use std::sync::Arc;

use crate::journal::{EventId, EventKind, Journal};
use crate::protocol::peer::BootId;
use crate::protocol::time::Timestamp;

use super::dirty::Reason;
use super::link::{Link, Parting, Word};
use super::store::ClientIndex;
use super::{NeighbourId, Node};

/// The runs of a neighbour that had a link with this server and said something on it.
#[derive(Debug, Default)]
pub(super) struct Runs {
    /// Whether one of the runs has completed a round of set reconciliation with this server.
    pub(super) was_synchronised: bool,
    last: Option<BootId>,
    /// The runs before the last, oldest first.
    former: Vec<BootId>,
}

impl Runs {
    /// How many former runs are remembered. The second run is enough to expose two servers with one
    /// name.
    const MOST: usize = 16;

    /// Notes a run that has said something on its link.
    pub(super) fn is_alive(&mut self, boot: BootId) {
        if let Some(before) = self.last.replace(boot).filter(|before| *before != boot) {
            self.former.retain(|known| *known != before);
            if self.former.len() == Self::MOST {
                self.former.remove(0);
            }
            self.former.push(before);
        }
    }

    /// The last run, if `boot` is an earlier one. A restarted server has a new boot id, so an
    /// earlier run that greets again is another server of the same name.
    pub(super) fn successor_of(&self, boot: BootId) -> Option<BootId> {
        self.last.filter(|_| self.former.contains(&boot))
    }
}

/// What a neighbour held when its link last ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Parted {
    /// There was no link yet, or it was lost: the neighbour may have received anything or nothing.
    #[default]
    Unknown,
    /// The neighbour stopped when this number of updates had been accepted here.
    Left(u64),
    /// This server stopped, and the neighbour confirmed that it holds everything.
    Confirmed,
    /// This server stopped, and the neighbour may lack up to this number of records.
    Unconfirmed(usize),
}

/// A neighbour that has not confirmed everything to a server that has stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unconfirmed {
    /// The neighbour's name.
    pub peer: Arc<str>,
    /// The neighbour may lack up to this number of the records that this server held.
    pub records: usize,
    /// Whether the neighbour had a link with this run and said something on it. Otherwise it is not
    /// expected to confirm anything.
    pub was_linked: bool,
}

impl Node {
    /// Whether a round of set reconciliation with every neighbour has completed since the start.
    pub fn has_heard_all(&self) -> bool {
        self.neighbours()
            .all(|(id, _)| self.runs[id.0].was_synchronised)
    }

    /// Stops gracefully towards `neighbour`: sends what it must still get, then `BYE`.
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

    /// Stops forwarding neighbours' updates. The servers that sent them hold them, so nothing is
    /// lost, and the queue of a slow neighbour comes to an end.
    pub fn relay_no_more(&mut self) {
        self.relays = false;
    }

    /// Whether everything is sent to a neighbour that this server leaves, so that only a
    /// confirmation is waited for.
    pub fn has_left(&self, neighbour: NeighbourId) -> bool {
        let link = self.links[neighbour.0].as_ref();
        link.is_some_and(|link| matches!(link.parting, Parting::Said | Parting::Confirmed))
    }

    /// Whether a neighbour that this server leaves has confirmed that it holds everything.
    pub fn is_confirmed(&self, neighbour: NeighbourId) -> bool {
        let link = self.links[neighbour.0].as_ref();
        link.is_some_and(|link| link.parting == Parting::Confirmed)
    }

    /// Whether the neighbour has announced by `BYE` that it stops.
    pub fn is_left_by(&self, neighbour: NeighbourId) -> bool {
        let link = self.links[neighbour.0].as_ref();
        link.is_some_and(|link| matches!(link.parting, Parting::Left(_)))
    }

    /// A neighbour ended its stream without an error. In version 1 that confirms everything, once
    /// it was sent.
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

    /// Appends `BYE` once nothing else waits. In version 1 the stream ends instead.
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

    /// Notes, when a link ends, how much its neighbour holds of what this server does.
    pub(super) fn note_parting(&mut self, neighbour: NeighbourId, link: &Link) {
        self.parted[neighbour.0] = match link.parting {
            Parting::None => Parted::Unknown,
            Parting::Left(_) => Parted::Left(self.accepted),
            Parting::Confirmed => Parted::Confirmed,
            Parting::Leaving | Parting::Said => Parted::Unconfirmed(self.unconfirmed(link)),
        };
    }

    /// Up to how many records the neighbour of this link may lack.
    fn unconfirmed(&self, link: &Link) -> usize {
        if !link.was_synchronised {
            return self.store.len();
        }
        let since = self.accepted - link.pings.confirmed;
        usize::try_from(since)
            .unwrap_or(usize::MAX)
            .min(self.store.len())
    }

    /// Records in the journal, once this server has stopped, each neighbour that may lack records,
    /// and returns them.
    ///
    /// A neighbour that was unreachable is included only if no other confirmed everything: then
    /// what this server alone held is lost.
    pub fn farewell(&self, journal: &dyn Journal) -> Vec<Unconfirmed> {
        let parted = || {
            let neighbours = self.neighbours();
            neighbours.map(|(id, known)| (id, known, self.parted[id.0]))
        };
        // A neighbour holds everything if it confirmed that, or if nothing was accepted since it
        // stopped.
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

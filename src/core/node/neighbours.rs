//! Who the neighbours are. A herd that changes gives a Node some and takes others away.

use std::sync::Arc;

use super::link::{Link, LinkStatus};
use super::parting::{Parted, Runs};
use super::{Neighbour, NeighbourId, Node};
use crate::journal::{CloseReason, EventKind, Journal};

impl Node {
    /// There is a link with this server from now on; it is down. Whoever left makes room, so there are never more ids
    /// than there were neighbours at a time.
    pub fn gain(&mut self, neighbour: Neighbour, journal: &dyn Journal) -> NeighbourId {
        let peer = Arc::clone(&neighbour.name);
        journal.record(None, EventKind::Linked { peer });
        let neighbours = &mut self.config.neighbours;
        if let Some(free) = self.left.pop_first() {
            neighbours[free.0] = neighbour;
            self.runs[free.0] = Runs::default();
            self.parted[free.0] = Parted::default();
            return free;
        }
        neighbours.push(neighbour);
        self.links.push(None);
        self.runs.push(Runs::default());
        self.parted.push(Parted::default());
        NeighbourId(neighbours.len() - 1)
    }

    /// There is no link with `neighbour` any more: it is sent nothing, and greeted by no name. What it sent before
    /// stays valid.
    pub fn lose(&mut self, neighbour: NeighbourId, why: CloseReason, journal: &dyn Journal) {
        if !self.left.insert(neighbour) {
            return;
        }
        let peer = self.name_of(neighbour);
        let unlinked = journal.record(None, EventKind::Unlinked { peer });
        self.link_down(neighbour, why, Some(unlinked), journal);
        self.ready.remove(&neighbour);
    }

    /// The neighbours that there are.
    pub fn neighbours(&self) -> impl Iterator<Item = (NeighbourId, &Neighbour)> {
        let all = self.config.neighbours.iter().enumerate();
        all.map(|(position, neighbour)| (NeighbourId(position), neighbour))
            .filter(|(id, _)| !self.left.contains(id))
    }

    /// Whether there is a link with `neighbour`.
    pub fn is_up(&self, neighbour: NeighbourId) -> bool {
        self.links[neighbour.0].is_some()
    }

    /// How the link with each neighbour is.
    pub fn links(&self) -> impl Iterator<Item = (Arc<str>, Option<LinkStatus>)> {
        self.neighbours().map(|(id, neighbour)| {
            let link = self.links[id.0].as_ref();
            (Arc::clone(&neighbour.name), link.map(Link::status))
        })
    }

    /// Who the neighbour is, or was before it left.
    pub fn name_of(&self, neighbour: NeighbourId) -> Arc<str> {
        Arc::clone(&self.config.neighbours[neighbour.0].name)
    }
}

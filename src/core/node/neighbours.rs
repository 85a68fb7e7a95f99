//! Which servers are the neighbours. A changed herd file adds some to a running Node and removes
//! others.

use std::sync::Arc;

use super::link::{Link, LinkStatus};
use super::parting::{Parted, Runs};
use super::{Neighbour, NeighbourId, Node};
use crate::journal::{CloseReason, EventKind, Journal};

impl Node {
    /// Adds a neighbour, whose link is down. It gets the id of a neighbour that left, if there is
    /// one, so there are never more ids than there were neighbours at one time.
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

    /// Removes `neighbour`: its link closes, nothing more is sent to it, and its greetings are
    /// refused. Records that it sent before stay valid.
    pub fn lose(&mut self, neighbour: NeighbourId, why: CloseReason, journal: &dyn Journal) {
        if !self.left.insert(neighbour) {
            return;
        }
        let peer = self.name_of(neighbour);
        let unlinked = journal.record(None, EventKind::Unlinked { peer });
        self.link_down(neighbour, why, Some(unlinked), journal);
        self.ready.remove(&neighbour);
    }

    /// The current neighbours, without those that left.
    pub fn neighbours(&self) -> impl Iterator<Item = (NeighbourId, &Neighbour)> {
        let all = self.config.neighbours.iter().enumerate();
        all.map(|(position, neighbour)| (NeighbourId(position), neighbour))
            .filter(|(id, _)| !self.left.contains(id))
    }

    /// Whether the link with `neighbour` is up.
    pub fn is_up(&self, neighbour: NeighbourId) -> bool {
        self.links[neighbour.0].is_some()
    }

    /// Each neighbour's name, and the status of its link unless that is down.
    pub fn links(&self) -> impl Iterator<Item = (Arc<str>, Option<LinkStatus>)> {
        self.neighbours().map(|(id, neighbour)| {
            let link = self.links[id.0].as_ref();
            (Arc::clone(&neighbour.name), link.map(Link::status))
        })
    }

    /// The neighbour's name. After it left, the name stays until the id is reused.
    pub fn name_of(&self, neighbour: NeighbourId) -> Arc<str> {
        Arc::clone(&self.config.neighbours[neighbour.0].name)
    }
}

//! What an operator does to a herd that runs: by its herd file, by settings, by another build.

use super::{Breaker, Kind};
use crate::herd::{Name, ServerId};
use crate::journal::{Actor, EventKind};
use crate::scenario::Party;
use crate::sim::impact::{Measure, Origin};

impl Breaker {
    /// Takes a link out of the herd file. `was_up` says whether it was up.
    pub(in crate::sim) fn unlink(&mut self, link: usize, was_up: bool, origin: Origin) {
        let ways = self.ends(link);
        let event = self.tell(Actor::Network, None, EventKind::LinkRemoved { ways });
        self.begin(
            origin,
            event,
            Kind::Unlinked(link),
            Measure::Links(u64::from(was_up)),
        );
    }

    /// Puts a link back into the herd file.
    pub(in crate::sim) fn relink(&mut self, link: usize) {
        let begun = self.begun(|kind| *kind == Kind::Unlinked(link));
        let ways = self.ends(link);
        self.tell(Actor::Network, begun, EventKind::LinkRestored { ways });
        self.end(|kind| *kind == Kind::Unlinked(link));
    }

    /// Whether a link is in no herd file.
    pub(in crate::sim) fn is_unlinked(&self, link: usize) -> bool {
        self.active
            .iter()
            .any(|active| active.kind == Kind::Unlinked(link))
    }

    /// The two ends of a link, in both orders.
    fn ends(&self, link: usize) -> Vec<(Name, Name)> {
        let ends = self
            .machines
            .ends(link)
            .map(|id| self.name(Party::Server(id)));
        let [a, b] = ends;
        vec![(a.clone(), b.clone()), (b, a)]
    }

    /// Tells that a server gets new settings.
    pub(in crate::sim) fn reload(&self, server: ServerId, settings: String) {
        let settings = settings.into();
        self.tell(
            self.who(Party::Server(server)),
            None,
            EventKind::Reloaded { settings },
        );
    }

    /// Tells that a server becomes another build.
    pub(in crate::sim) fn upgrade(&self, server: ServerId, build: &str) {
        let build = build.to_owned().into();
        self.tell(
            self.who(Party::Server(server)),
            None,
            EventKind::Upgraded { build },
        );
    }
}

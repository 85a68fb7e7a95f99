//! The faults that keep servers from reaching each other, at one moment of a run.

use std::collections::BTreeSet;

use super::faults::{Faults, Kind, Pair};
use super::state::{LinkState, State};
use crate::herd::{Herd, Link, ServerId};
use crate::journal::{Event, EventId};

/// What is cut, frozen, refused or no link at one moment.
pub(crate) struct Network<'a> {
    /// Directions that are cut.
    cuts: BTreeSet<Pair<'a>>,
    /// Links that are in no herd file, in both orders of their ends.
    unlinked: BTreeSet<Pair<'a>>,
    frozen: BTreeSet<&'a str>,
    refusing: BTreeSet<&'a str>,
}

impl<'a> Network<'a> {
    /// The faults in force at the end of a run.
    pub(crate) fn at_the_end(events: &'a [Event]) -> Self {
        Self::behind(&Faults::of(events), None)
    }

    /// The faults in force after the event `last`; without one, at the end.
    pub(crate) fn behind(faults: &Faults<'a>, last: Option<EventId>) -> Self {
        let owners = |kind| {
            let faults = faults.iter().filter(move |fault| fault.kind == kind);
            let faults = faults.filter(|fault| holds(fault.begin, fault.end, last));
            faults.map(|fault| fault.begin.who.name()).collect()
        };
        let pairs = |kind| {
            let cuts = faults.iter().filter(move |fault| fault.kind == kind);
            let cuts = cuts.flat_map(|cut| {
                let parts = cut.parts.iter();
                parts.filter(|part| holds(cut.begin, part.end, last))
            });
            cuts.map(|part| part.pair).collect()
        };
        Self {
            cuts: pairs(Kind::Cut),
            unlinked: pairs(Kind::Unlink),
            frozen: owners(Kind::Freeze),
            refusing: owners(Kind::Refuse),
        }
    }

    /// Whether a server is frozen.
    pub(crate) fn is_frozen(&self, server: &str) -> bool {
        self.frozen.contains(server)
    }

    /// Whether messages between the two servers of a link arrive and are handled. A server that
    /// refuses connections keeps those that it has.
    pub(crate) fn can_talk(&self, herd: &Herd, state: &State<'_>, link: &Link) -> bool {
        let [a, b] = [link.a, link.b].map(|id| &*herd.server(id).name);
        let is_cut = self.cuts.contains(&(a, b)) || self.cuts.contains(&(b, a));
        let is_frozen = self.frozen.contains(a) || self.frozen.contains(b);
        let refuses = self.refusing.contains(a) || self.refusing.contains(b);
        let is_down = || state.link_state(herd, link) == LinkState::Down;
        !(is_cut || self.unlinked.contains(&(a, b)) || is_frozen || refuses && is_down())
    }

    /// The servers that `from` can reach over other servers that run.
    pub(crate) fn reach(
        &self,
        herd: &Herd,
        state: &State<'_>,
        from: ServerId,
    ) -> BTreeSet<ServerId> {
        let runs = |id: ServerId| state.server(&herd.server(id).name).is_some();
        let mut reached = BTreeSet::from([from]);
        let mut next = vec![from];
        while let Some(at) = next.pop() {
            for (_, link) in herd.links_of(at) {
                let Some(other) = link.other(at).filter(|other| !reached.contains(other)) else {
                    continue;
                };
                if runs(other) && self.can_talk(herd, state, link) {
                    reached.insert(other);
                    next.push(other);
                }
            }
        }
        reached
    }

    /// The faults in force, in words; `None` if there are none.
    pub(crate) fn words(&self) -> Option<String> {
        let mut words: Vec<String> = Vec::new();
        for &(a, b) in &self.cuts {
            match self.cuts.contains(&(b, a)) {
                true if a < b => words.push(format!("{a} ↔ {b} is cut")),
                true => {}
                false => words.push(format!("{a} → {b} is cut")),
            }
        }
        let unlinked = self.unlinked.iter().filter(|(a, b)| a < b);
        words.extend(unlinked.map(|(a, b)| format!("{a} ↔ {b} is no link")));
        words.extend(self.frozen.iter().map(|who| format!("{who} is frozen")));
        words.extend(self.refusing.iter().map(|who| format!("{who} refuses")));
        (!words.is_empty()).then(|| words.join(", "))
    }
}

/// Whether a fault that began and ended with these events was in force after the event `last`.
fn holds(begin: &Event, end: Option<&Event>, last: Option<EventId>) -> bool {
    match last {
        None => end.is_none(),
        Some(last) => begin.id <= last && end.is_none_or(|end| end.id > last),
    }
}

//! What stands between servers, as the harness put it there.

use std::collections::BTreeSet;

use super::state::{LinkState, State};
use crate::herd::{Herd, Link, ServerId};
use crate::journal::{Event, What};

/// What is cut, frozen or refused at some moment.
#[derive(Default)]
pub(crate) struct Network<'a> {
    /// Ways that are cut, once for each time.
    cuts: Vec<(&'a str, &'a str)>,
    frozen: BTreeSet<&'a str>,
    refusing: BTreeSet<&'a str>,
}

impl<'a> Network<'a> {
    /// How it was after all of these.
    pub(crate) fn after(events: &'a [Event]) -> Self {
        let mut network = Self::default();
        for event in events {
            network.learn(event);
        }
        network
    }

    /// Whether a server stands still.
    pub(crate) fn is_frozen(&self, server: &str) -> bool {
        self.frozen.contains(server)
    }

    /// Takes in the next event.
    pub(crate) fn learn(&mut self, event: &'a Event) {
        let who = event.who.name();
        match &event.what {
            What::Cut { ways } => self.cuts.extend(ways.iter().map(|(a, b)| (&**a, &**b))),
            What::Healed { ways } => {
                for (a, b) in ways {
                    let cut = self.cuts.iter().position(|cut| *cut == (&**a, &**b));
                    cut.map(|at| self.cuts.swap_remove(at));
                }
            }
            What::Frozen => {
                self.frozen.insert(who);
            }
            What::Thawed => {
                self.frozen.remove(who);
            }
            What::Refusing => {
                self.refusing.insert(who);
            }
            What::Accepting => {
                self.refusing.remove(who);
            }
            What::Crashed | What::PoweredOff => {
                self.frozen.remove(who);
                self.refusing.remove(who);
            }
            _ => {}
        }
    }

    /// Whether what the two servers of a link send each other arrives, and is heard. Who refuses
    /// connections keeps those that are there.
    pub(crate) fn can_talk(&self, herd: &Herd, state: &State<'_>, link: &Link) -> bool {
        let [a, b] = [link.a, link.b].map(|id| &*herd.server(id).name);
        let is_cut = self.cuts.iter().any(|&cut| cut == (a, b) || cut == (b, a));
        let is_frozen = self.frozen.contains(a) || self.frozen.contains(b);
        let refuses = self.refusing.contains(a) || self.refusing.contains(b);
        let is_down = || state.link_state(herd, link) == LinkState::Down;
        !(is_cut || is_frozen || refuses && is_down())
    }

    /// The servers that `from` can reach over others that run.
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
            for link in herd.links() {
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

    /// What is still in force, in words; nothing if all is well.
    pub(crate) fn words(&self) -> Option<String> {
        let cuts: BTreeSet<(&str, &str)> = self.cuts.iter().copied().collect();
        let mut words: Vec<String> = Vec::new();
        for &(a, b) in &cuts {
            match cuts.contains(&(b, a)) {
                true if a < b => words.push(format!("{a} ↔ {b} is cut")),
                true => {}
                false => words.push(format!("{a} → {b} is cut")),
            }
        }
        words.extend(self.frozen.iter().map(|who| format!("{who} stands still")));
        words.extend(self.refusing.iter().map(|who| format!("{who} refuses")));
        (!words.is_empty()).then(|| words.join(", "))
    }
}

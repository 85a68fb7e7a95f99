//! What begins and ends faults, in the language of the file.

use super::{ARROW, pairs};
use crate::herd::{ServerId, split_all};
use crate::scenario::steps::InlineTable;
use crate::scenario::{
    CLIENTS, ClockOwner, Direction, Fault, FaultKind, PLACES, Party, Route, Shape, Target, Value,
};

impl InlineTable<'_> {
    fn parties(&self, parties: &[Party]) -> Vec<String> {
        let name = |party: &Party| party.name(self.herd).to_string();
        parties.iter().map(name).collect()
    }

    pub(in crate::scenario) fn fault(&mut self, fault: &Fault) {
        let (field, ways) = (fault.kind.name, pairs(&fault.targets));
        match fault.kind.targets {
            Shape::BothWays => {
                let (here, there) = sides(ways.into_iter().step_by(2));
                self.between(field, &here, &there);
            }
            Shape::Pairs => {
                let (here, there) = sides(ways.into_iter());
                self.between(field, &here, &there);
            }
            Shape::OneWay => {
                let (here, there) = sides(ways.into_iter().map(|(a, b)| (b, a)));
                match self.link(&there, &here) {
                    Some(link) => self.text(field, &link),
                    None => self.from(field, &here, &there),
                }
            }
            Shape::Ways => self.ways(field, &ways),
            Shape::Parties | Shape::Routes | Shape::Links | Shape::Clocks | Shape::Disks => {
                let names: Vec<String> = (fault.targets.iter())
                    .filter_map(|target| self.name(target))
                    .collect();
                self.list(field, &names);
            }
        }
        for (name, value) in fault.values.written() {
            match value {
                Value::Count(count) => self.field(name, count),
                Value::Latency(_)
                | Value::Difference(_)
                | Value::Duration(_)
                | Value::ExtraDelay(_)
                | Value::Word(_) => {
                    self.text(name, &value.to_string());
                }
            }
        }
    }

    pub(in crate::scenario) fn end(&mut self, kind: FaultKind, targets: &[Target]) {
        let word = kind.end_word().unwrap_or_default();
        if kind.targets == Shape::BothWays {
            self.heal(word, &pairs(targets));
            return;
        }
        let names: Vec<String> = targets.iter().filter_map(|one| self.name(one)).collect();
        self.list(word, &names);
    }

    /// What one target is called, if it has a name of its own.
    fn name(&self, target: &Target) -> Option<String> {
        let name = |id: ServerId| &self.herd.server(id).name;
        Some(match target {
            Target::Party(party) => party.name(self.herd).to_string(),
            Target::Route(Route::Link(at)) => {
                let link = &self.herd.links()[*at];
                format!("{}-{}", name(link.a), name(link.b))
            }
            Target::Route(Route::Clients) => CLIENTS.to_owned(),
            Target::Route(Route::Places) => PLACES.to_owned(),
            Target::Clock(ClockOwner::Server(id)) => name(*id).to_string(),
            Target::Clock(ClockOwner::Client(name)) => name.to_string(),
            Target::Direction(_) | Target::Pair(..) => return None,
        })
    }

    fn heal(&mut self, field: &str, ways: &[Direction]) {
        let (here, there) = sides(ways.iter().step_by(2).copied());
        if both_ways(&here, &there).eq(ways.iter().copied()) {
            self.between(field, &here, &there);
            return;
        }
        // Ways that were cut alone are healed by naming both ends, and those that were cut twice by all.
        let (here, there) = sides(ways.iter().copied());
        let twice = |(at, way): (usize, &Direction)| ways[..at].contains(way);
        if here.iter().any(|party| there.contains(party)) || ways.iter().enumerate().any(twice) {
            self.text(field, "all");
        } else {
            self.between(field, &here, &there);
        }
    }

    /// Directions: as two sides, if all of them have their opposite, and otherwise each by itself.
    fn ways(&mut self, field: &str, ways: &[Direction]) {
        let (here, there) = sides(ways.iter().step_by(2).copied());
        if both_ways(&here, &there).eq(ways.iter().copied()) {
            self.between(field, &here, &there);
            return;
        }
        let name = |party: Party| party.name(self.herd);
        let ways = ways.iter();
        let ways: Vec<String> = ways
            .map(|&(a, b)| format!("{}{ARROW}{}", name(a), name(b)))
            .collect();
        self.list(field, &ways);
    }

    /// Two sides: as one link, if they are one and it can be read in one way only.
    fn between(&mut self, field: &str, here: &[Party], there: &[Party]) {
        match self.link(here, there) {
            Some(link) => self.text(field, &link),
            None => self.from(field, here, there),
        }
    }

    fn from(&mut self, field: &str, here: &[Party], there: &[Party]) {
        let (here, there) = (self.parties(here), self.parties(there));
        self.list(field, &here);
        self.list("from", &there);
    }

    fn link(&self, here: &[Party], there: &[Party]) -> Option<String> {
        let (&[Party::Server(a)], &[Party::Server(b)]) = (here, there) else {
            return None;
        };
        let (a, b) = (&self.herd.server(a).name, &self.herd.server(b).name);
        let link = format!("{a}-{b}");
        let is_plain = self.herd.id(&link).is_none() && split_all(&link, self.herd).len() == 1;
        is_plain.then_some(link)
    }
}

/// Everybody who is first in a pair, and everybody who is second, each once.
fn sides(pairs: impl Iterator<Item = (Party, Party)>) -> (Vec<Party>, Vec<Party>) {
    let (mut here, mut there) = (Vec::new(), Vec::new());
    for (a, b) in pairs {
        for (side, party) in [(&mut here, a), (&mut there, b)] {
            if !side.contains(&party) {
                side.push(party);
            }
        }
    }
    (here, there)
}

/// What a cut of everybody here from everybody there cuts.
fn both_ways(here: &[Party], there: &[Party]) -> impl Iterator<Item = Direction> {
    let pairs = here
        .iter()
        .flat_map(|&a| there.iter().map(move |&b| (a, b)));
    pairs.flat_map(|(a, b)| [(a, b), (b, a)])
}

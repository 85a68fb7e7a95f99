//! What is broken at some moment of a scenario, and what may break or be mended then. Steps that
//! are written and steps that the seed draws go by the same rules.

use std::collections::{BTreeMap, BTreeSet};

use super::{Action, Clocked, Direction, Fault, Party, Route, Scenario, Skewed, Step};
use crate::diag::Span;
use crate::units::LatencyRange;

/// What is broken at some moment of the scenario.
#[derive(Default)]
pub(super) struct Broken {
    /// What is wrong with a server or with Places, and where that is written.
    parties: BTreeMap<(Fault, Party), Span>,
    /// What another fault ended that came to somebody meanwhile, and where that is written.
    ended: BTreeMap<(Fault, Party), Span>,
    /// Which ways are cut, and by how many steps.
    ways: BTreeMap<Direction, usize>,
    /// What routes take that do not take what they took in the beginning.
    slow: BTreeMap<Route, LatencyRange>,
    /// Whose clocks are wrong.
    skewed: BTreeSet<Clocked>,
}

impl Broken {
    /// What stands against `fault` beginning now, and what that is called.
    pub(super) fn against(&self, fault: Fault, id: Party) -> Option<(Span, &'static str)> {
        let reasons = [
            (Fault::Crash, "is down"),
            (Fault::PowerOff, "is without power"),
            (Fault::Freeze, "stands still"),
            (Fault::Refuse, "refuses connections"),
        ];
        let mut reasons = reasons.into_iter().filter(|(other, _)| match fault {
            // A server that stands still, or refuses connections, can be killed all the same.
            Fault::Crash | Fault::PowerOff => matches!(other, Fault::Crash | Fault::PowerOff),
            Fault::Freeze => *other != Fault::Refuse,
            Fault::Refuse => *other != Fault::Freeze,
        });
        reasons.find_map(|(other, why)| {
            let since = self.parties.get(&(other, id))?;
            Some((since.clone(), why))
        })
    }

    pub(super) fn begin(&mut self, fault: Fault, id: Party, span: Span) {
        for over in ended_by(fault) {
            if self.parties.remove(&(*over, id)).is_some() {
                self.ended.insert((*over, id), span.clone());
            }
        }
        self.ended.remove(&(fault, id));
        self.parties.insert((fault, id), span);
    }

    /// Where another fault is written that ended this one.
    pub(super) fn ended(&self, fault: Fault, id: Party) -> Option<&Span> {
        self.ended.get(&(fault, id))
    }

    /// Whether this is wrong with somebody.
    pub(super) fn has(&self, fault: Fault, id: Party) -> bool {
        self.parties.contains_key(&(fault, id))
    }

    /// Mends somebody; whether there was something to mend.
    pub(super) fn mend(&mut self, fault: Fault, id: Party) -> bool {
        self.parties.remove(&(fault, id)).is_some()
    }

    pub(super) fn servers_with(&self, fault: Fault) -> impl Iterator<Item = Party> {
        let all = self.parties.keys();
        all.filter(move |(other, party)| *other == fault && matches!(party, Party::Server(_)))
            .map(|&(_, id)| id)
    }

    pub(super) fn cut(&mut self, ways: &[Direction]) {
        for way in ways {
            *self.ways.entry(*way).or_default() += 1;
        }
    }

    /// Whether what is sent this way waits.
    pub(super) fn is_cut(&self, way: Direction) -> bool {
        self.ways.contains_key(&way)
    }

    /// What healing these ways heals: as far as they are cut; or everything that is, as often as it is.
    pub(super) fn healed(&self, ways: Option<Vec<Direction>>) -> Vec<Direction> {
        match ways {
            None => (self.ways.iter())
                .flat_map(|(way, count)| std::iter::repeat_n(*way, *count))
                .collect(),
            Some(mut ways) => {
                ways.retain(|way| self.is_cut(*way));
                ways
            }
        }
    }

    /// Takes one cut from each of the ways.
    pub(super) fn heal(&mut self, ways: &[Direction]) {
        for way in ways {
            if let Some(count) = self.ways.get_mut(way) {
                *count -= 1;
            }
            self.ways.retain(|_, count| *count > 0);
        }
    }

    /// Whether a step has changed what messages take.
    pub(super) fn is_slow(&self, route: Route) -> bool {
        self.slow.contains_key(&route)
    }

    /// What messages take on a route that takes `usual` in the beginning.
    pub(super) fn latency(&self, route: Route, usual: LatencyRange) -> LatencyRange {
        self.slow.get(&route).copied().unwrap_or(usual)
    }

    /// Messages take so long from now on on a route that takes `usual` in the beginning.
    pub(super) fn slow(&mut self, route: Route, latency: LatencyRange, usual: LatencyRange) {
        if latency == usual {
            self.slow.remove(&route);
        } else {
            self.slow.insert(route, latency);
        }
    }

    /// Whether somebody's clock is wrong.
    pub(super) fn is_skewed(&self, whose: &Clocked) -> bool {
        self.skewed.contains(whose)
    }

    /// Somebody's clock is so wrong from now on.
    pub(super) fn skew(&mut self, whose: &Clocked, skewed: Skewed) {
        if skewed == Skewed::default() {
            self.skewed.remove(whose);
        } else {
            self.skewed.insert(whose.clone());
        }
    }

    /// The ways that are cut, each once.
    pub(super) fn cut_ways(&self) -> impl Iterator<Item = Direction> {
        self.ways.keys().copied()
    }

    /// Whether nothing is broken.
    #[cfg(test)]
    pub(super) fn is_whole(&self) -> bool {
        let broken = self.parties.is_empty() && self.ways.is_empty();
        broken && self.slow.is_empty() && self.skewed.is_empty()
    }

    /// Takes in what a step does that was found right. The scenario says what
    /// is usual.
    pub(super) fn learn(&mut self, step: &Step, scenario: &Scenario) {
        let usual = |route| {
            let mut all = scenario.usual_latencies();
            all.find_map(|(other, latency)| (other == route).then_some(latency))
        };
        match &step.action {
            Action::Break(fault, servers) => {
                for &id in servers {
                    self.begin(*fault, id, step.span.clone());
                }
            }
            Action::Mend(fault, servers) => {
                for &id in servers {
                    self.mend(*fault, id);
                }
            }
            Action::Cut(ways) => self.cut(ways),
            Action::Heal(ways) => self.heal(ways),
            Action::Slow(slowed, latency) => {
                for &route in slowed {
                    self.slow(route, *latency, usual(route).unwrap_or(*latency));
                }
            }
            Action::Skew(whom, skewed) => {
                for clocked in whom {
                    self.skew(clocked, *skewed);
                }
            }
            Action::Sever(_)
            | Action::Client(_)
            | Action::Workload(_)
            | Action::Random(_)
            | Action::Drawn(_) => {}
        }
    }
}

/// What else is over when `fault` begins: what comes back from a crash knows nothing of having
/// stood still or refused.
pub(super) fn ended_by(fault: Fault) -> &'static [Fault] {
    match fault {
        Fault::Crash | Fault::PowerOff => &[Fault::Freeze, Fault::Refuse],
        Fault::Freeze | Fault::Refuse => &[],
    }
}

//! What faults did to anybody, and how that is counted.

use super::machines::{Machine, Machines};
use super::net::Faults;
use crate::herd::Name;
use crate::journal::EventId;
use crate::scenario::{Fault, FaultKind};

/// What a fault did to anybody.
#[derive(Clone, Debug)]
pub(super) struct Impact {
    pub(super) origin: Origin,
    pub(super) event: EventId,
    pub(super) count: u64,
    /// What is counted.
    pub(super) what: &'static str,
    /// What else is, of a fault whose parts affect different things.
    pub(super) others: Vec<(u64, &'static str)>,
}

impl Impact {
    /// Adds what a part of this fault has affected.
    pub(super) fn add(&mut self, part: &Self) {
        if self.what.is_empty() {
            (self.count, self.what) = (part.count, part.what);
        } else if self.what == part.what {
            self.count += part.count;
        } else if let Some((count, _)) = self.others.iter_mut().find(|(_, what)| *what == part.what)
        {
            *count += part.count;
        } else {
            self.others.push((part.count, part.what));
        }
    }

    /// Whether it affected anything.
    pub(super) fn is_any(&self) -> bool {
        self.count > 0 || self.others.iter().any(|(count, _)| *count > 0)
    }

    /// How many of what, as an event says it: what comes to nothing is left out, if anything came to more.
    pub(super) fn told(&self) -> (u64, String) {
        let all = [(self.count, self.what)]
            .into_iter()
            .chain(self.others.iter().copied());
        let mut some = all.filter(|(count, _)| *count > 0);
        let Some((first, what)) = some.next() else {
            return (0, self.what.to_owned());
        };
        let more = some.map(|(count, what)| match count {
            1 => format!(" and 1 {}", what.trim_end_matches('s')),
            _ => format!(" and {count} {what}"),
        });
        (first, what.to_owned() + &more.collect::<String>())
    }
}

/// Where something that is done comes from.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    /// Where the scenario's file says so, as a byte.
    pub(super) place: usize,
    pub(super) kind: FaultKind,
    /// The fault, such as `crash of Juzang`.
    pub(super) about: String,
    /// The number of the fault among those that are more than one operation, if it is one of them.
    pub(super) part_of: Option<usize>,
}

impl Origin {
    /// Of a fault that is written at `place`, whose single target these machines know by name.
    pub(super) fn new(place: usize, fault: &Fault, machines: &Machines) -> Self {
        let name = match fault.each().as_slice() {
            [one] => one
                .targets
                .first()
                .and_then(|target| machines.called(target)),
            _ => None,
        };
        let word = fault.kind.name;
        Self {
            place,
            kind: fault.kind,
            about: name.map_or_else(|| format!("`{word}`"), |name| format!("`{word}` of {name}")),
            part_of: None,
        }
    }
}

/// How to see what a fault affects. Every measure only grows.
pub(super) enum Measure {
    /// Connections that this machine's system refuses. The number is that of the connections that it had; they count,
    /// too.
    Refused(Machine, u64),
    /// Connections to this machine that are lost. The number is that of the connections that it had; they count, too.
    Lost(Machine, u64),
    Stopped(Machine),
    /// What the fault counts itself as it goes.
    Messages,
    /// What the fault's parts count.
    Parts,
    ServerClock(Machine),
    ClientClock(Name),
    Once(u64),
}

impl Measure {
    /// What is counted.
    pub(super) fn unit(&self) -> &'static str {
        match self {
            Self::Refused(..) | Self::Lost(..) | Self::Once(_) => "connections",
            Self::Stopped(_) => "wake-ups",
            Self::Messages => "messages",
            Self::Parts => "",
            Self::ServerClock(_) | Self::ClientClock(_) => "readings",
        }
    }

    /// How many it affects by its beginning.
    pub(super) fn at_once(&self) -> u64 {
        match self {
            Self::Refused(_, at_once) | Self::Lost(_, at_once) | Self::Once(at_once) => *at_once,
            _ => 0,
        }
    }

    /// What it shows now.
    pub(super) fn read(&self, faults: &Faults) -> u64 {
        match self {
            Self::Refused(machine, _) => faults.counts(*machine).refused,
            Self::Lost(machine, _) => {
                let counts = faults.counts(*machine);
                counts.refused + counts.given_up
            }
            Self::Stopped(machine) => faults.counts(*machine).stopped,
            Self::ServerClock(machine) => faults.counts(*machine).clock_reads,
            Self::ClientClock(name) => faults.client_reads(name),
            Self::Once(_) | Self::Messages | Self::Parts => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn impact(count: u64, what: &'static str) -> Impact {
        let kind = FaultKind::of("crash").expect("it is one");
        Impact {
            origin: Origin {
                place: 0,
                kind,
                about: String::new(),
                part_of: None,
            },
            event: EventId(std::num::NonZeroU64::MIN),
            count,
            what,
            others: Vec::new(),
        }
    }

    #[test]
    fn each_unit_is_counted_by_itself() {
        let mut whole = impact(0, "");
        for (count, what) in [(2, "wake-ups"), (0, "connections"), (1, "wake-ups")] {
            whole.add(&impact(count, what));
        }
        assert_eq!(whole.told(), (3, "wake-ups".to_owned()));
        whole.add(&impact(1, "connections"));
        assert_eq!(whole.told(), (3, "wake-ups and 1 connection".to_owned()));
        assert!(whole.is_any());
        let mut none = impact(0, "");
        none.add(&impact(0, "messages"));
        assert!(!none.is_any());
        assert_eq!(none.told(), (0, "messages".to_owned()));
    }
}

//! The impact of faults, and how it is counted.

use super::disk::SimDisk;
use super::machines::{Machine, Machines};
use super::net::Faults;
use crate::herd::Name;
use crate::journal::EventId;
use crate::scenario::{Fault, FaultKind};

/// The impact of a fault: what it affected, and how often.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Impact {
    pub(super) origin: Origin,
    pub(super) event: EventId,
    pub(super) count: u64,
    /// The unit of `count`, in the plural.
    pub(super) what: &'static str,
    /// Further counts and units, for a fault whose parts affect different things.
    pub(super) others: Vec<(u64, &'static str)>,
}

impl Impact {
    /// Adds the impact of a part of this fault.
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

    /// Whether the fault had an effect.
    pub(super) fn is_any(&self) -> bool {
        self.count > 0 || self.others.iter().any(|(count, _)| *count > 0)
    }

    /// The first count above zero, and its unit followed by the other counts, as an event has them.
    /// If all are zero, zero of the first unit.
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

/// The fault that an operation belongs to.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Origin {
    /// The place of the fault's step in the scenario's file, as a byte offset.
    pub(super) place: usize,
    pub(super) kind: FaultKind,
    /// The fault in words: `crash of Juzang`.
    pub(super) about: String,
    /// The number of the fault, if it is one of several operations.
    pub(super) part_of: Option<usize>,
}

impl Origin {
    /// The origin of operations of `fault`, which is at `place` in the file. Its words contain the
    /// target's name if there is a single target with a name.
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

/// How the impact of a fault is measured. A measure's value never decreases.
pub(super) enum Measure {
    /// Connections that this machine's system refuses, and the given number of connections that it
    /// had at the fault's beginning.
    Refused(Machine, u64),
    /// Connections to this machine that fail, and the given number of connections that it had at
    /// the fault's beginning.
    Lost(Machine, u64),
    Stopped(Machine),
    /// Messages that the fault with this event holds up.
    HeldUp(EventId),
    /// Packets to which the impairment with this event does something.
    Packets(EventId),
    /// Messages, which are counted as they are held back or sent.
    Messages,
    /// The impact of the fault's parts.
    Parts,
    ServerClock(Machine),
    ClientClock(Name),
    Once(u64),
    /// So many links, which were up.
    Links(u64),
    /// Operations of this disk, and what the fault does to them is said in these words.
    Disk(SimDisk, &'static str),
    /// So many bits.
    Bits(u64),
}

impl Measure {
    /// The unit, in the plural.
    pub(super) fn unit(&self) -> &'static str {
        match self {
            Self::Refused(..) | Self::Lost(..) | Self::Once(_) => "connections",
            Self::Links(_) => "links",
            Self::Stopped(_) => "wake-ups",
            Self::Messages | Self::HeldUp(_) => "messages",
            Self::Packets(_) => "packets",
            Self::Disk(_, unit) => unit,
            Self::Bits(_) => "bits",
            Self::Parts => "",
            Self::ServerClock(_) | Self::ClientClock(_) => "readings",
        }
    }

    /// The impact of the fault's beginning itself.
    pub(super) fn at_once(&self) -> u64 {
        match self {
            Self::Refused(_, at_once)
            | Self::Lost(_, at_once)
            | Self::Once(at_once)
            | Self::Links(at_once)
            | Self::Bits(at_once) => *at_once,
            _ => 0,
        }
    }

    /// The measure's current value.
    pub(super) fn read(&self, faults: &Faults) -> u64 {
        match self {
            Self::Refused(machine, _) => faults.counts(*machine).refused,
            Self::Lost(machine, _) => {
                let counts = faults.counts(*machine);
                counts.refused + counts.given_up
            }
            Self::Stopped(machine) => faults.counts(*machine).stopped,
            Self::HeldUp(fault) | Self::Packets(fault) => faults.held_up(*fault),
            Self::ServerClock(machine) => faults.counts(*machine).clock_reads,
            Self::ClientClock(name) => faults.client_reads(name),
            Self::Disk(disk, _) => disk.affected(),
            Self::Once(_) | Self::Links(_) | Self::Bits(_) | Self::Messages | Self::Parts => 0,
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

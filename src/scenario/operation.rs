//! What is done to a world. A world carries out operations, and knows no faults.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::target::{ClockError, ClockOwner, Direction, Party, Route};
use crate::herd::ServerId;
use crate::units::{DurationError, LatencyRange, format_duration};

/// Something that is done to the world in which a scenario runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// This gets into a condition.
    Set(Condition, Party),
    /// It is in that condition no more.
    Clear(Condition, Party),
    /// What is sent these ways waits.
    Cut(Vec<Direction>),
    /// One cut less of each of these ways: what waited flows on when it was the last.
    Heal(Vec<Direction>),
    /// This link, as an index into the herd's, is in no herd file any more.
    Unlink(usize),
    /// It is again.
    Relink(usize),
    /// Connections between these are reset.
    Sever(Vec<(Party, Party)>),
    /// Messages have this latency on these routes from now on.
    Delay(Vec<Route>, LatencyRange),
    /// Packets these ways are impaired so from now on; each has at most one impairment of a name.
    Impair(Vec<Direction>, Impairment),
    /// The disk of a server has this fault from now on, and no other.
    BreakDisk(ServerId, DiskFault),
    /// It has none any more.
    RepairDisk(ServerId),
    /// A clock is so wrong from now on.
    SetClock(ClockOwner, ClockError),
    /// A clock jumps by this number of nanoseconds, and goes on as before.
    Jump(ClockOwner, i64),
}

impl Operation {
    /// The servers that it acts on; none for operations on the network's routes and latencies.
    pub fn servers(&self) -> Vec<ServerId> {
        match self {
            Self::Set(_, party) | Self::Clear(_, party) => party.server().into_iter().collect(),
            Self::Sever(pairs) => {
                let ends = pairs.iter().flat_map(|&(a, b)| [a, b]);
                ends.filter_map(Party::server).collect()
            }
            Self::SetClock(ClockOwner::Server(id), _)
            | Self::Jump(ClockOwner::Server(id), _)
            | Self::BreakDisk(id, _)
            | Self::RepairDisk(id) => vec![*id],
            Self::SetClock(ClockOwner::Client(_), _)
            | Self::Jump(ClockOwner::Client(_), _)
            | Self::Cut(_)
            | Self::Heal(_)
            | Self::Unlink(_)
            | Self::Relink(_)
            | Self::Delay(..)
            | Self::Impair(..) => Vec::new(),
        }
    }
}

/// What a server can be, or Places.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Condition {
    /// Told to stop, as by SIGTERM: it ends when its clients and neighbours have what it owes them.
    Stopped,
    /// The same, and taken out of the herd file of all others when it has ended.
    Left,
    /// Killed, as by `kill -9`: its memory is gone, its system closes its sockets.
    Dead,
    /// Without power: its memory is gone, and nobody closes anything.
    Unpowered,
    /// Frozen, as by SIGSTOP: everything stays, and nothing happens.
    Frozen,
    /// Refusing new connections.
    Refusing,
}

/// What a network does to packets, beside cutting them off and taking its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Impairment {
    /// It loses some of them, in percent.
    Lose(u32),
    /// It delivers some of them twice, in percent.
    Duplicate(u32),
    /// Some of them, in percent, take longer by this, and those behind overtake them.
    Reorder(u32, Duration),
    /// Each takes longer by a time that is drawn.
    Delay(ExtraDelay),
    /// It carries no more than this.
    Limit(Limit),
}

/// What is wrong with a server's disk. A disk has one of these at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskFault {
    /// It is full: of what is appended, a part is written.
    Full,
    /// No operation ends.
    Stalls,
    /// Operations of this kind fail.
    Fails(DiskOperation),
    /// What it says is synced is not.
    Lies,
    /// What is appended is written elsewhere, over something else.
    Misdirects,
    /// This number of bits of what is on it flip, at once.
    Rot(u32),
}

impl DiskFault {
    /// What the kind of fault is called that does it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Full => "disk_full",
            Self::Stalls => "disk_stalls",
            Self::Fails(_) => "disk_fails",
            Self::Lies => "disk_lies",
            Self::Misdirects => "disk_misdirects",
            Self::Rot(_) => "rot",
        }
    }

    /// Whether it is over as soon as it has happened.
    pub const fn is_moment(self) -> bool {
        matches!(self, Self::Rot(_))
    }

    /// Whether the disk may not have any more what it said it would keep: it lies, changes it or does
    /// not give it back.
    pub const fn makes_it_forget(self) -> bool {
        match self {
            Self::Lies | Self::Misdirects | Self::Rot(_) | Self::Fails(DiskOperation::Read) => true,
            Self::Full | Self::Stalls | Self::Fails(DiskOperation::Write | DiskOperation::Sync) => {
                false
            }
        }
    }
}

impl fmt::Display for DiskFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("is full"),
            Self::Stalls => f.write_str("stalls"),
            Self::Fails(operation) => write!(f, "fails to {operation}"),
            Self::Lies => f.write_str("does not sync what it says is synced"),
            Self::Misdirects => f.write_str("writes into wrong places"),
            Self::Rot(1) => f.write_str("has 1 bit flipped"),
            Self::Rot(bits) => write!(f, "has {bits} bits flipped"),
        }
    }
}

/// A kind of operations of a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskOperation {
    /// Whatever changes what is on it, without being sure to last.
    Write,
    /// What makes it last.
    Sync,
    /// Reading files, and what there is of them.
    Read,
}

impl DiskOperation {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Write, Self::Sync, Self::Read];

    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Write => "write",
            Self::Sync => "sync",
            Self::Read => "read",
        }
    }
}

impl fmt::Display for DiskOperation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A time that is drawn for each packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExtraDelay {
    /// From the least to the most.
    pub range: LatencyRange,
    /// Whether most of the times are close to the least: half of them within a 1,024th of the range, a quarter in what
    /// follows up to three 1,024ths, and so on, with one in 1,024 in the upper half. Otherwise all are as likely.
    pub has_tail: bool,
}

impl ExtraDelay {
    /// No time at all.
    pub const NONE: Self = Self {
        range: LatencyRange::constant(Duration::ZERO),
        has_tail: false,
    };
}

/// What stands behind the range of times that have a tail.
const TAIL: &str = " tail";

impl FromStr for ExtraDelay {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, DurationError> {
        let range = text.strip_suffix(TAIL);
        Ok(Self {
            range: range.unwrap_or(text).parse()?,
            has_tail: range.is_some(),
        })
    }
}

impl fmt::Display for ExtraDelay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tail = if self.has_tail { TAIL } else { "" };
        write!(f, "{}{tail}", self.range)
    }
}

/// A bandwidth, and the queue in front of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// Bytes a second; 0 is no limit.
    pub bandwidth: u64,
    /// How many bytes wait at most. What does not find room is lost.
    pub queue: u64,
}

impl Limit {
    /// How long this number of bytes takes to pass.
    pub fn time_for(self, bytes: u64) -> Duration {
        let nanos = u128::from(bytes) * 1_000_000_000;
        let nanos = nanos.checked_div(u128::from(self.bandwidth));
        Duration::from_nanos(nanos.unwrap_or(0).try_into().unwrap_or(u64::MAX))
    }
}

impl Impairment {
    /// What the kind of fault is called that does it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lose(_) => "lose",
            Self::Duplicate(_) => "duplicate",
            Self::Reorder(..) => "reorder",
            Self::Delay(_) => "delay",
            Self::Limit(_) => "limit",
        }
    }

    /// Whether nothing happens to a packet by it.
    pub fn is_none(self) -> bool {
        match self {
            Self::Lose(percent) | Self::Duplicate(percent) | Self::Reorder(percent, _) => {
                percent == 0
            }
            Self::Delay(delay) => delay.range.most.is_zero(),
            Self::Limit(limit) => limit.bandwidth == 0,
        }
    }

    /// By how much a packet that arrives can be late.
    pub fn adds(self) -> Duration {
        match self {
            Self::Lose(_) | Self::Duplicate(_) => Duration::ZERO,
            Self::Reorder(_, late) => late,
            Self::Delay(delay) => delay.range.most,
            Self::Limit(limit) => limit.time_for(limit.queue),
        }
    }

    /// Whether packets get lost by it.
    pub const fn loses(self) -> bool {
        matches!(self, Self::Lose(_) | Self::Limit(_))
    }
}

impl fmt::Display for Impairment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lose(percent) => write!(f, "loses {percent} % of packets"),
            Self::Duplicate(percent) => write!(f, "duplicates {percent} % of packets"),
            Self::Reorder(percent, late) => {
                let late = format_duration(*late);
                write!(f, "delays {percent} % of packets by {late}")
            }
            Self::Delay(ExtraDelay { range, has_tail }) => {
                let tail = if *has_tail { " with a long tail" } else { "" };
                write!(f, "delays packets by {range}{tail}")
            }
            Self::Limit(Limit { bandwidth, queue }) => {
                let (bandwidth, queue) = (bandwidth / 1000, queue / 1000);
                write!(f, "carries {bandwidth} kB/s and queues {queue} kB")
            }
        }
    }
}

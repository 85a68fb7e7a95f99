//! The kinds of faults, each in a file of its own, and what all of them are made of.
//!
//! A kind is a declaration: what a step says of it, which targets it can have, what else it goes with, how a sweep
//! draws it, and which [operations](Operation) begin and end it. Reading, checking, writing, drawing, the JSON Schema
//! and the tables of the reference are made from declarations alone. The simulated world carries out operations, and
//! knows no faults.

use std::time::Duration;

use super::builder::{Builder, FieldValue};
use super::operation::{
    Condition, DiskFault, DiskOperation, ExtraDelay, Impairment, Limit, Operation,
};
use super::target::{ClockError, ClockOwner, Party, Route, Target, Usual};
use crate::units::LatencyRange;

mod draw;
mod kind;

mod values;
mod write;

pub(super) use draw::Draw;
pub use kind::FaultKind;
pub use values::{Value, Values};

/// Lists the kinds. A new one is a line here and the file that it names, with a declaration `KIND` in it; behind the
/// arrow stands the word of the step that ends it, if it has one of its own.
macro_rules! kinds {
    ($($name:ident $(=> $end:ident)?;)*) => {
        $(mod $name;)*

        /// All kinds, in the order in which documents and reports have them.
        static ALL: &[Declaration] = &[$($name::KIND),*];

        /// Steps that begin and end faults. What each does, `docs/scenarios.md` says.
        impl Builder {
            $(
                #[doc = concat!("The step begins `", stringify!($name), "` for these.")]
                #[must_use]
                pub fn $name(self, targets: impl Into<FieldValue>) -> Self {
                    self.with(stringify!($name), targets)
                }

                $(
                    #[doc = concat!("The step ends `", stringify!($name), "` for these.")]
                    #[must_use]
                    pub fn $end(self, targets: impl Into<FieldValue>) -> Self {
                        self.with(stringify!($end), targets)
                    }
                )?
            )*
        }

        /// The words that end kinds, as the list has them.
        #[cfg(test)]
        const ENDS: &[Option<&str>] = &[$(kinds!(@end $($end)?)),*];
    };
    (@end $end:ident) => { Some(stringify!($end)) };
    (@end) => { None };
}

kinds! {
    stop => start;
    leave => join;
    unlink => relink;
    crash => restart;
    power_off => power_on;
    freeze => thaw;
    refuse => accept;
    partition => heal;
    partition_oneway;
    sever;
    slow;
    skew;
    clock_jump;
    pause_gc;
    lose;
    duplicate;
    reorder;
    delay;
    limit;
    disk_full => disk_works;
    disk_stalls;
    disk_fails;
    disk_lies;
    disk_misdirects;
    rot;
}

/// Everything that there is to say of a kind of fault.
pub struct Declaration {
    /// The word of the step that begins it.
    pub name: &'static str,
    /// What a step says that begins it, and ends it: `crash = "Juzang"`.
    pub example: &'static str,
    /// What it stands for in the world.
    pub models: &'static str,
    /// What it does, in a sentence.
    pub effect: &'static str,
    /// What is counted as its impact.
    pub impact: &'static str,
    /// Whom it happens to.
    pub targets: Shape,
    /// What else a step says of it.
    pub fields: &'static [Field],
    /// What the fields say together, as the end of a sentence.
    pub fields_say: &'static str,
    /// Whether a step may say none of them.
    pub bare: bool,
    /// The kind that has the same effect and is ended by the same steps; this kind itself if not given.
    pub family: &'static str,
    /// What a target is while it lasts: `is down`.
    pub state: &'static str,
    /// Whether the process of a server is gone by it. That ends what only a process can have, and nothing of that
    /// kind can begin meanwhile.
    pub kills: bool,
    /// Other kinds that can't be at the same target at the same time.
    pub excludes: &'static [&'static str],
    /// Why it can't be a step of a run that goes on by hand; nothing if it can.
    pub needs_time: Option<&'static str>,
    /// How the seed draws it; nothing if it doesn't.
    pub drawn: Option<RandomDraw>,
    /// The kinds of events by which a sweep knows that it came and went.
    pub events: &'static [&'static str],
    /// What begins it: at once, or after some time.
    pub begin: fn(&Fault) -> Vec<(Duration, Operation)>,
    /// What ends it.
    pub end: End,
}

/// What a declaration says unless it says otherwise.
const PLAIN: Declaration = Declaration {
    name: "",
    example: "",
    models: "",
    effect: "",
    impact: "",
    targets: Shape::Parties,
    fields: &[],
    fields_say: "",
    bare: false,
    family: "",
    state: "",
    kills: false,
    excludes: &[],
    needs_time: None,
    drawn: None,
    events: &[],
    begin: |_| Vec::new(),
    end: End::AtOnce,
};

/// By what a kind of fault ends.
pub enum End {
    /// By a step of its own.
    Step {
        /// The step's word.
        word: &'static str,
        /// What that does, in a sentence.
        effect: &'static str,
        /// What ends it for these.
        end: fn(&[Target]) -> Vec<Operation>,
    },
    /// By the same step with values under which nothing is wrong, which these are.
    Same(fn(&Target, &Usual) -> Values),
    /// It takes no time.
    AtOnce,
    /// By itself, when it has lasted this long.
    After(fn(&Values) -> Duration),
    /// Only by what ends another kind of its family.
    Family,
}

/// Whom a kind of fault happens to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Servers, or Places, each by itself.
    Parties,
    /// What is sent between two sides, both ways.
    BothWays,
    /// What one side sends to the other.
    OneWay,
    /// Connections between two sides.
    Pairs,
    /// What is sent between two sides both ways, or directions, each by itself.
    Ways,
    /// Links, and the routes of clients and of Places.
    Routes,
    /// Links between servers, each by itself.
    Links,
    /// Clocks of servers and of clients, each by itself.
    Clocks,
    /// Disks of servers, each by itself. Where servers have no disks, nothing of that kind can happen.
    Disks,
}

impl Shape {
    /// What a step can name, in a sentence.
    pub const fn names(self) -> &'static str {
        match self {
            Self::Parties => {
                "A server's name, a list, or `\"all\"` that it can happen to; `places` is the Places API."
            }
            Self::BothWays | Self::OneWay | Self::Pairs => {
                "A link (`\"Riley-Juzang\"`), or the servers of one side, with the other side in `from`: everybody else if not given. `clients` are all clients, `places` is the Places API."
            }
            Self::Ways => {
                "A link (`\"Riley-Juzang\"`), a list of links, or `\"all\"` links, for both directions; single directions, `\"Riley>Juzang\"` or `\"clients>Riley\"`; or two sides as of a `partition`: servers, `clients` or `places`, with the others in `from`."
            }
            Self::Routes => {
                "Links (`\"Riley-Juzang\"`), servers for all their links, `clients` and `places` for the ways between them and all servers."
            }
            Self::Disks => {
                "A server's name, a list, or `\"all\"` that it can happen to; servers have disks if `durability` is given under `[server]`."
            }
            Self::Links => "Links (`\"Riley-Juzang\"`), or servers for all their links.",
            Self::Clocks => {
                "Servers and clients; `\"all\"` are all servers, and the name of a group of clients is all of the group."
            }
        }
    }

    /// Whether it is said of two sides.
    pub const fn has_sides(self) -> bool {
        matches!(
            self,
            Self::BothWays | Self::OneWay | Self::Pairs | Self::Ways
        )
    }

    /// Whether each target has a fault of its own.
    const fn is_single(self) -> bool {
        matches!(
            self,
            Self::Parties | Self::Links | Self::Clocks | Self::Disks
        )
    }
}

/// Something that a step says of a fault.
pub struct Field {
    /// The field.
    pub name: &'static str,
    /// What it holds.
    pub holds: Holds,
    /// Whether it must be given. Where no field must, at least one of them is, unless the kind may say none.
    pub required: bool,
    /// What it says, in a sentence.
    pub about: &'static str,
}

/// What a field of a fault holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// A latency, or a range of them, longer than none.
    Latency,
    /// A difference of times, with a sign; zero where it is not given.
    Difference,
    /// A duration longer than none.
    Duration,
    /// A number, at least 1.
    Count,
    /// A share in percent, not all; 0 for none.
    Percent,
    /// A number of kilobytes of 1,000 bytes; 0 for none.
    Kilobytes,
    /// A duration or a range of durations, with `tail` behind it if most are close to the least; 0 for none.
    ExtraDelay,
    /// One of these words.
    Word(&'static [&'static str]),
}

/// How a kind of fault is drawn.
pub struct RandomDraw {
    /// What it happens to then.
    pub about: &'static str,
    /// Draws a fault, if it has any possible target.
    pub draw: fn(&mut Draw<'_>) -> Option<Outcome>,
}

/// What stands between the two ends of one direction.
pub(super) const ARROW: char = '>';

/// Whom a drawn fault happens to, and what its step would say of it.
pub type Outcome = (Vec<Target>, Values);

/// A fault that a step says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What kind of fault it is.
    pub kind: FaultKind,
    /// Whom it happens to. Never empty.
    pub targets: Vec<Target>,
    /// What the step says of it.
    pub values: Values,
}

impl Fault {
    /// The same as single faults, each with what begins, ends and is judged by itself.
    pub fn each(&self) -> Vec<Self> {
        if !self.kind.targets.is_single() {
            return vec![self.clone()];
        }
        let each = self.targets.iter().map(|target| Self {
            targets: vec![target.clone()],
            ..self.clone()
        });
        each.collect()
    }

    /// Whether nothing is wrong with a target by it: it has what it had in the beginning.
    pub fn clears(&self, target: &Target, usual: &Usual) -> bool {
        match self.kind.end {
            End::Same(values) => values(target, usual) == self.values || self.leaves_all(),
            _ => false,
        }
    }

    /// Whether it does nothing to any packet, whatever else the step says of that.
    fn leaves_all(&self) -> bool {
        match self.operations().as_slice() {
            [(_, Operation::Impair(_, impairment))] => impairment.is_none(),
            _ => false,
        }
    }

    /// Whether it is none: all targets have what they had in the beginning.
    pub fn is_none(&self, usual: &Usual) -> bool {
        self.targets.iter().all(|target| self.clears(target, usual))
    }

    /// How long it lasts, where it ends by itself.
    pub fn lasts(&self) -> Option<Duration> {
        match self.kind.end {
            End::After(lasts) => Some(lasts(&self.values)),
            _ => None,
        }
    }

    /// What begins it.
    pub fn operations(&self) -> Vec<(Duration, Operation)> {
        (self.kind.begin)(self)
    }

    /// What begins it, if it is more than one operation, in words: `PAUSE_GC (pauses 3, pause 50ms)`.
    pub fn announced(&self) -> Option<String> {
        let name = self.kind.name.to_uppercase();
        (self.operations().len() > 1).then(|| match self.values.to_string() {
            values if values.is_empty() => name,
            values => format!("{name} ({values})"),
        })
    }

    /// The parties that it happens to.
    fn parties(&self) -> impl Iterator<Item = Party> {
        self.targets.iter().filter_map(Target::party)
    }

    /// The routes.
    fn routes(&self) -> Vec<Route> {
        let routes = self.targets.iter();
        routes.filter_map(Target::route).collect()
    }

    /// The owners of clocks.
    fn clocks(&self) -> impl Iterator<Item = &ClockOwner> {
        self.targets.iter().filter_map(Target::clock)
    }

    /// From which party to which, or between which two.
    fn pairs(&self) -> Vec<(Party, Party)> {
        pairs(&self.targets)
    }
}

/// From whom to whom, or between whom, of all targets that are such.
pub(super) fn pairs(targets: &[Target]) -> Vec<(Party, Party)> {
    targets.iter().filter_map(Target::pair).collect()
}

/// These, at once.
fn now(operations: impl IntoIterator<Item = Operation>) -> Vec<(Duration, Operation)> {
    let all = operations.into_iter();
    all.map(|operation| (Duration::ZERO, operation)).collect()
}

/// The share of packets that something happens to.
const PERCENT: Field = Field {
    name: "percent",
    holds: Holds::Percent,
    required: true,
    about: "The share of packets that this happens to, from 0 to 99 percent.",
};

/// This share.
fn share(percent: u32) -> Values {
    Values::new([(PERCENT.name, Value::Count(percent))])
}

/// This happens to packets in all directions of a fault, at once.
fn impaired(fault: &Fault, impairment: Impairment) -> Vec<(Duration, Operation)> {
    now([Operation::Impair(fault.pairs(), impairment)])
}

/// The disks of these servers have this fault, at once.
fn break_disk(fault: &Fault, what: DiskFault) -> Vec<(Duration, Operation)> {
    let servers = fault.parties().filter_map(Party::server);
    now(servers.map(|server| Operation::BreakDisk(server, what)))
}

/// These parties get into a condition, at once.
fn set(fault: &Fault, condition: Condition) -> Vec<(Duration, Operation)> {
    now(fault
        .parties()
        .map(|party| Operation::Set(condition, party)))
}

/// These parties are in it no more.
fn clear(condition: Condition, targets: &[Target]) -> Vec<Operation> {
    let parties = targets.iter().filter_map(Target::party);
    parties
        .map(|party| Operation::Clear(condition, party))
        .collect()
}

#[cfg(test)]
mod tests;

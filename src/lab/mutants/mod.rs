//! Servers with deliberate mistakes, to prove that the searches for bugs find some.
//!
//! A [`Mutant`] is the real server with one mistake, made by one server of a simulation or by all.
//! Each stands for a plausible bug, and most for one that was really written. Only builds with the
//! feature `mutants` contain them.

pub mod hunt;
mod small;
mod table;

use std::fmt;
use std::str::FromStr;

use crate::node::mistakes::{Mistake, Rare};
use crate::sim::Simulator;

pub use small::Small;
pub use table::{Row, text, to_json};

/// A server that makes one mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mutant {
    mistake: Mistake,
    name: &'static str,
    sentence: &'static str,
}

/// No mutant has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown mutant `{0}`; there are {all}", all = names())]
pub struct UnknownMutant(pub String);

fn names() -> String {
    let names: Vec<&str> = Mutant::ALL.iter().map(Mutant::name).collect();
    names.join(", ")
}

const fn mutant(mistake: Mistake, name: &'static str, sentence: &'static str) -> Mutant {
    Mutant {
        mistake,
        name,
        sentence,
    }
}

impl Mutant {
    /// All mutants, in the order of the table.
    pub const ALL: &[Self] = &[
        mutant(
            Mistake::BreaksNoTie,
            "no-tie-break",
            "of two records with the same time, the first to arrive wins",
        ),
        mutant(
            Mistake::TellsBack,
            "forward-to-sender",
            "an update is sent back to the neighbour that it came from",
        ),
        mutant(
            Mistake::SubscribesLate,
            "subscribe-after-digest",
            "a link receives no new updates until both stores are compared",
        ),
        mutant(
            Mistake::KeepsToItself,
            "no-reflood",
            "synchronised records are not forwarded",
        ),
        mutant(
            Mistake::ComparesFloats,
            "float-times",
            "times are compared as binary floating-point numbers",
        ),
        mutant(
            Mistake::ComparesNothing,
            "no-resync",
            "records queued for a link are dropped with it, and not sent when the link is back",
        ),
        mutant(
            Mistake::TakesOlder,
            "accept-older",
            "a client's update replaces the stored one even if it is older",
        ),
        mutant(
            Mistake::RaisesNoHops,
            "hops-not-raised",
            "an update is forwarded without raising its hops",
        ),
        mutant(
            Mistake::CountsHopsTwice,
            "hops-twice",
            "an update is forwarded with one hop too many",
        ),
        mutant(
            Mistake::WaitsForEver,
            "deaf-heartbeat",
            "a silent link is never closed",
        ),
        mutant(
            Mistake::GivesUpEarly,
            "early-heartbeat",
            "a link is closed after half a heartbeat of silence",
        ),
        mutant(
            Mistake::MissesABucket,
            "missing-bucket",
            "the digest leaves out one sixteenth of all clients",
        ),
        mutant(
            Mistake::AnswersFirst,
            "answer-first",
            "an IAMAT is answered before its record is stored",
        ),
        mutant(
            Mistake::AsksItsClock,
            "clock-in-merge",
            "an update in the future of the server's own clock is rejected",
        ),
        mutant(
            Mistake::ReadsFloats,
            "float-clock",
            "the clock is read as a binary floating-point number",
        ),
        mutant(
            Mistake::AnswersWithTheLatest,
            "answer-latest",
            "a WHATSAT is answered with the record at the time of Places' answer",
        ),
        mutant(
            Mistake::AnswersTwice,
            "answer-twice",
            "an IAMAT is answered twice",
        ),
        mutant(
            Mistake::RefusesInSilence,
            "silent-refusal",
            "a line that is no command is not answered",
        ),
        mutant(
            Mistake::IgnoresNeighbours,
            "ignore-neighbours",
            "neighbours' updates are ignored",
        ),
        mutant(
            Mistake::DropsTheLock,
            "drops-the-lock",
            "an update is compared with what was stored before other tasks had a turn",
        ),
        mutant(
            Mistake::NeverSynced,
            "never-synced",
            "the end of a synchronisation is never announced",
        ),
        mutant(
            Mistake::ComparesCounts,
            "counts-only",
            "below the root, digests of equally many records count as equal",
        ),
        mutant(
            Mistake::AnswersFewWants,
            "few-wants",
            "of the records that a neighbour asks for, only the first eight are sent",
        ),
        mutant(
            Mistake::CountsNothingSent,
            "uncounted-sync",
            "a synchronisation does not count the records that it sends",
        ),
        mutant(
            Mistake::DropsZeros,
            "short-hashes",
            "hashes are written without their leading zeros",
        ),
        mutant(
            Mistake::UnmarksNewer,
            "older-unmarks",
            "a newer record is not sent to a neighbour that sends an older one",
        ),
        mutant(
            Mistake::TiesByValue,
            "two-spellings",
            "of two spellings of one time, the first to arrive wins",
        ),
        mutant(
            Mistake::PrefersGreaterSkew,
            "retry-wins",
            "a repeated update replaces the first by its greater skew",
        ),
        mutant(
            Mistake::RestampsSkew,
            "own-skew",
            "the skew of a neighbour's record is computed by the own clock",
        ),
        mutant(
            Mistake::CutsMicros,
            "micro-clock",
            "the clock is cut to microseconds",
        ),
        mutant(
            Mistake::TakesAnyTime,
            "any-time",
            "a time far in the future is accepted",
        ),
        mutant(
            Mistake::IgnoresTheBound,
            "no-bound",
            "a WHATSAT is answered with up to 20 places, whatever its bound",
        ),
        mutant(
            Mistake::TrimsLines,
            "trimmed-lines",
            "a carriage return at the end of a line is dropped",
        ),
        mutant(
            Mistake::AnswersOvertake,
            "answers-overtake",
            "answers do not wait for a look-up before them",
        ),
        mutant(
            Mistake::PingsLate,
            "late-heartbeat",
            "a heartbeat leaves a twentieth of its interval before the neighbour gives up",
        ),
        mutant(
            Mistake::KeepsBackingOff,
            "stuck-back-off",
            "the pause before redialling stays long after a link that lasted",
        ),
        mutant(
            Mistake::BacksOffForEver,
            "endless-back-off",
            "the pause before redialling doubles without a limit",
        ),
        mutant(
            Mistake::NeverAsksToBeDialled,
            "no-dial-request",
            "a server that has started does not ask to be dialled",
        ),
        mutant(
            Mistake::EndsItsSuccessor,
            "superseded-ends-link",
            "a superseded connection takes down the link of its successor",
        ),
        mutant(
            Mistake::BelievesGreetings,
            "believed-greeting",
            "a run counts as alive by its greeting alone",
        ),
        mutant(
            Mistake::KeepsTasks,
            "immortal-tasks",
            "the task of a client's connection never ends",
        ),
        mutant(
            Mistake::KeepsLookUps,
            "immortal-look-ups",
            "a look-up that is over still counts as one under way",
        ),
        mutant(
            Mistake::ComparesTheSame,
            "needless-rounds",
            "set reconciliation begins although both ends hold the same",
        ),
        mutant(
            Mistake::NeverSyncs,
            "no-disk-sync",
            "what is written to the disk is not synced",
        ),
        mutant(
            Mistake::AnswersBeforeSync,
            "answer-before-sync",
            "an IAMAT is answered when its record is written, before that is synced",
        ),
        mutant(
            Mistake::RenamesBeforeSync,
            "rename-before-sync",
            "a snapshot gets its name before it is synced",
        ),
        mutant(
            Mistake::SyncsNoNames,
            "names-not-synced",
            "the names of files on the disk are not synced",
        ),
        mutant(
            Mistake::IgnoresChecksums,
            "no-checksums",
            "the checksums of lines on the disk are not compared",
        ),
        mutant(
            Mistake::SnapshotForgets,
            "forgetful-snapshot",
            "a snapshot replaces the segment that is written meanwhile",
        ),
        mutant(
            Mistake::RemovesTooEarly,
            "early-removal",
            "segments are removed before the snapshot that replaces them has its name",
        ),
        mutant(
            Mistake::ReplaysBackwards,
            "replays-backwards",
            "files on the disk are read backwards, and what is read last wins",
        ),
    ];

    /// Mutants that fail after three rare things in a row. They are no part of the table: a search for them takes
    /// thousands of runs.
    pub const DEEP: &[Self] = &[
        mutant(
            Mistake::FailsAfter([Rare::Silence, Rare::BothWays, Rare::Older]),
            "deep-silence",
            "nothing is forwarded after a silent link, records both ways and an older update of a client",
        ),
        mutant(
            Mistake::FailsAfter([Rare::Older, Rare::Silence, Rare::Overtaken]),
            "deep-older",
            "nothing is forwarded after an older update of a client, a silent link and one of a neighbour",
        ),
        mutant(
            Mistake::FailsAfter([Rare::BothWays, Rare::Older, Rare::Silence]),
            "deep-both-ways",
            "nothing is forwarded after records both ways, an older update of a client and a silent link",
        ),
    ];

    /// The mutant's name on the command line and in tables.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The mutant's mistake, in words.
    pub const fn sentence(&self) -> &'static str {
        self.sentence
    }

    /// A simulator in which `server` is this mutant.
    #[must_use]
    pub fn in_place_of(self, server: &str, simulator: Simulator) -> Simulator {
        simulator.with_mistake(self.mistake.made_by(server))
    }

    /// A simulator in which all servers are this mutant.
    #[must_use]
    pub fn in_place_of_all(self, simulator: Simulator) -> Simulator {
        simulator.with_mistake(self.mistake.made_by_all())
    }
}

impl fmt::Display for Mutant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name)
    }
}

impl FromStr for Mutant {
    type Err = UnknownMutant;

    fn from_str(name: &str) -> Result<Self, UnknownMutant> {
        let mut all = Self::ALL.iter().chain(Self::DEEP);
        let found = all.find(|known| known.name == name);
        found.copied().ok_or_else(|| UnknownMutant(name.to_owned()))
    }
}

//! Mistakes that a server makes on demand, so that it is seen whether anything notices: by the crate's own tests, and
//! with the feature `mutants` by a command. In every other build no server makes any and nothing of this is left.
//!
//! A mistake is a part of a server's configuration ([`Made`]), so servers with a mistake and servers without one run
//! side by side, in one herd or on several threads. What a Node must remember to make one is in the Node ([`Mistakes`]).

mod wrong;

use crate::journal::CloseReason;

pub(super) use wrong::*;

/// A wrong behaviour of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mistake {
    /// An IAMAT is answered twice.
    AnswersTwice,
    /// An invalid line is not answered.
    RefusesInSilence,
    /// An IAMAT is answered before its record is stored.
    AnswersFirst,
    /// A client's update replaces the stored record even if it is older. (If neighbours' updates
    /// did so, too, two records would replace each other for ever.)
    TakesOlder,
    /// Of two records with the same time, neither is newer.
    BreaksNoTie,
    /// Times are compared as binary floating-point numbers.
    ComparesFloats,
    /// A record whose time is ahead of the server's own clock is ignored.
    AsksItsClock,
    /// An update is forwarded with one hop too many.
    CountsHopsTwice,
    /// An update is forwarded with the hops that it arrived with.
    RaisesNoHops,
    /// A new update is also sent back to the neighbour that sent it.
    TellsBack,
    /// Neighbours' updates are ignored.
    IgnoresNeighbours,
    /// Records that arrive during set reconciliation are not forwarded.
    KeepsToItself,
    /// A link gets no new updates before set reconciliation has completed.
    SubscribesLate,
    /// Two servers that both hold records do not reconcile them when their link comes up again.
    ComparesNothing,
    /// The digest leaves out one sixteenth of all clients.
    MissesABucket,
    /// `SYNCED` is never sent.
    NeverSynced,
    /// A silent link is never closed.
    WaitsForEver,
    /// A server that loses a link hangs.
    SpinsWithoutLink,
    /// A link is closed after half a heartbeat of silence.
    GivesUpEarly,
    /// The clock is read as a binary floating-point number.
    ReadsFloats,
    /// A WHATSAT is answered with the record that is held when Places has answered.
    AnswersWithTheLatest,
    /// A client's update is compared with what was held before its connection let other tasks run.
    DropsTheLock,
    /// Below the root, digests of equally many records count as equal.
    ComparesCounts,
    /// Of the records that a `WANT` asks for, only the first few are sent.
    AnswersFewWants,
    /// `SYNCED` reports no sent record.
    CountsNothingSent,
    /// Hashes are written without their leading zeros.
    DropsZeros,
    /// A newer record that waits for a neighbour is dropped when that neighbour sends an older one.
    UnmarksNewer,
    /// Of two records whose times are equal and spelled differently, neither is newer.
    TiesByValue,
    /// Of two records that differ in skew alone, the one with the greater skew is newer.
    PrefersGreaterSkew,
    /// The skew of a neighbour's record is computed anew, by the server's own clock.
    RestampsSkew,
    /// The clock's nanoseconds are cut to microseconds.
    CutsMicros,
    /// A time that is far in the future is accepted.
    TakesAnyTime,
    /// A WHATSAT is answered with up to 20 places, whatever its bound.
    IgnoresTheBound,
    /// A carriage return at the end of a client's line is dropped.
    TrimsLines,
    /// The answers to lines behind a WHATSAT do not wait for its answer.
    AnswersOvertake,
    /// A heartbeat is sent shortly before the neighbour gives up.
    PingsLate,
    /// The pause before a neighbour is dialled again stays long after a link that lasted.
    KeepsBackingOff,
    /// The pause before a neighbour is dialled again doubles without a limit.
    BacksOffForEver,
    /// A server that has started does not ask its neighbours to dial it.
    NeverAsksToBeDialled,
    /// A superseded connection takes the link of its successor down.
    EndsItsSuccessor,
    /// A neighbour's run counts as alive by its greeting alone.
    BelievesGreetings,
    /// The task of a client's connection goes on for ever after the connection is closed.
    KeepsTasks,
    /// A look-up that is over still counts as one under way.
    KeepsLookUps,
    /// Set reconciliation begins although both ends hold the same.
    ComparesTheSame,
    /// What is written to the disk is not synced.
    NeverSyncs,
    /// An IAMAT is answered when its record is written, before that is synced.
    AnswersBeforeSync,
    /// A snapshot gets its name before it is synced.
    RenamesBeforeSync,
    /// The names of files are not synced.
    SyncsNoNames,
    /// The checksums of lines on the disk are not compared.
    IgnoresChecksums,
    /// A snapshot replaces the segment that is written while it is.
    SnapshotForgets,
    /// Segments are removed before the snapshot that replaces them has its name.
    RemovesTooEarly,
    /// What is in the log when the server starts counts as synced.
    BelievesItsLog,
    /// The files on the disk are read from the last to the first, and what is read last wins.
    ReplaysBackwards,
    /// Nothing is forwarded once these have happened at the server, one after the other.
    #[cfg(all(feature = "sim", any(test, feature = "mutants")))]
    FailsAfter([Rare; 3]),
}

/// Something that seldom happens at a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rare {
    /// A link is closed because nothing was heard on it.
    Silence,
    /// A synchronisation brings records in both directions.
    BothWays,
    /// A client sends an update that is not newer than the stored one.
    Older,
    /// A neighbour sends an update that is not newer than the stored one.
    Overtaken,
    /// A link is replaced by a newer connection of the same neighbour.
    Superseded,
}

impl Rare {
    /// What it is that a link is closed for this reason, if it is rare.
    pub(super) const fn of(why: &CloseReason) -> Option<Self> {
        match why {
            CloseReason::Silent => Some(Self::Silence),
            CloseReason::Superseded => Some(Self::Superseded),
            _ => None,
        }
    }
}

#[cfg(not(all(feature = "sim", any(test, feature = "mutants"))))]
pub(crate) use never::*;
#[cfg(all(feature = "sim", any(test, feature = "mutants")))]
pub(crate) use on_demand::*;

/// What is left of all this where no server can be configured to make a mistake: types without a size, and answers
/// that are known at compile time.
#[cfg(not(all(feature = "sim", any(test, feature = "mutants"))))]
mod never {
    use super::{Mistake, Rare};
    use crate::journal::{ConnId, EventId};
    use crate::protocol::record::Record;
    use crate::protocol::time::Timestamp;

    /// The mistake that a server is configured to make: none.
    #[derive(Clone, Debug)]
    pub(crate) struct Made;

    impl Made {
        pub(crate) const NONE: Self = Self;

        pub(crate) const fn makes(&self, _: Mistake) -> bool {
            let Self = self;
            false
        }
    }

    /// Which server of a herd makes a mistake: none.
    #[cfg(feature = "sim")]
    #[derive(Clone, Debug)]
    pub(crate) struct MadeBy;

    #[cfg(feature = "sim")]
    impl MadeBy {
        pub(crate) const NONE: Self = Self;

        pub(crate) const fn at(&self, _: &str) -> Made {
            let Self = self;
            Made
        }
    }

    /// What a Node remembers to make a mistake: nothing.
    pub(crate) struct Mistakes;

    impl From<Made> for Mistakes {
        fn from(Made: Made) -> Self {
            Self
        }
    }

    impl Mistakes {
        pub(crate) const fn makes(&self, _: Mistake) -> bool {
            let Self = self;
            false
        }

        pub(crate) fn put_off(&mut self, _: Record, _: EventId) {
            let Self = self;
        }

        pub(crate) const fn take_late(&mut self) -> Option<(Record, EventId)> {
            let Self = self;
            None
        }

        pub(crate) fn note_time(&mut self, _: impl FnOnce() -> Timestamp) {
            let Self = self;
        }

        pub(crate) const fn time(&self) -> Timestamp {
            let Self = self;
            Timestamp::EPOCH
        }

        pub(crate) fn look_up(&mut self, _: ConnId, _: impl FnOnce() -> Vec<Record>) {
            let Self = self;
        }

        pub(crate) const fn serve(&mut self, _: ConnId) {
            let Self = self;
        }

        pub(crate) const fn looked_up(&self, _: &Record) -> Option<&Record> {
            let Self = self;
            None
        }

        pub(crate) const fn spin(&self) {
            let Self = self;
        }

        pub(crate) fn note(&mut self, _: impl FnOnce() -> Option<Rare>) {
            let Self = self;
        }

        pub(crate) const fn is_failed(&self) -> bool {
            let Self = self;
            false
        }
    }
}

#[cfg(all(feature = "sim", any(test, feature = "mutants")))]
mod on_demand {
    use std::collections::{BTreeMap, VecDeque};
    use std::sync::{Arc, Weak};

    use super::{Mistake, Rare};
    use crate::journal::{ConnId, EventId};
    use crate::protocol::record::Record;
    use crate::protocol::time::Timestamp;

    /// The mistake that a server is configured to make, if any.
    #[derive(Clone, Debug)]
    pub(crate) struct Made {
        mistake: Option<Mistake>,
        /// A server that spins comes back when nobody holds this any more, so that a test can end it.
        held: Weak<()>,
    }

    impl Made {
        /// A true server's.
        pub(crate) const NONE: Self = Self {
            mistake: None,
            held: Weak::new(),
        };

        pub(crate) fn makes(&self, mistake: Mistake) -> bool {
            self.mistake == Some(mistake)
        }
    }

    /// Which server of a herd makes a mistake, if any.
    #[derive(Clone, Debug)]
    pub(crate) struct MadeBy {
        made: Made,
        /// The only one that makes it; all do, if there is none.
        server: Option<Arc<str>>,
    }

    impl MadeBy {
        /// A true herd's.
        pub(crate) const NONE: Self = Self {
            made: Made::NONE,
            server: None,
        };

        /// The mistake that `server` is to be configured to make.
        pub(crate) fn at(&self, server: &str) -> Made {
            let only = self.server.as_deref();
            if only.is_none_or(|only| only == server) {
                self.made.clone()
            } else {
                Made::NONE
            }
        }

        /// The same; a server that spins does so as long as `held` is held.
        #[cfg(test)]
        pub(crate) fn while_held(mut self, held: &Arc<()>) -> Self {
            self.made.held = Arc::downgrade(held);
            self
        }
    }

    impl Mistake {
        /// Made by one server.
        pub(crate) fn made_by(self, server: &str) -> MadeBy {
            MadeBy {
                server: Some(server.into()),
                ..self.made_by_all()
            }
        }

        /// Made by all servers.
        pub(crate) fn made_by_all(self) -> MadeBy {
            MadeBy {
                made: Made {
                    mistake: Some(self),
                    ..Made::NONE
                },
                server: None,
            }
        }
    }

    /// The mistake that a Node makes, and what it remembers for that.
    pub(crate) struct Mistakes {
        made: Made,
        /// What was answered and is not stored yet.
        late: VecDeque<(Record, EventId)>,
        /// What the server's clock showed last.
        clock: Timestamp,
        /// What was held when each connection last looked.
        looked_up: BTreeMap<ConnId, Vec<Record>>,
        /// The connection whose line is handled.
        served: ConnId,
        /// How much has happened of what makes the server fail.
        happened: usize,
    }

    impl From<Made> for Mistakes {
        fn from(made: Made) -> Self {
            Self {
                made,
                late: VecDeque::new(),
                clock: Timestamp::EPOCH,
                looked_up: BTreeMap::new(),
                served: ConnId(0),
                happened: 0,
            }
        }
    }

    impl Mistakes {
        pub(crate) fn makes(&self, mistake: Mistake) -> bool {
            self.made.makes(mistake)
        }

        /// A record that is answered now and stored later.
        pub(crate) fn put_off(&mut self, record: Record, heard: EventId) {
            self.late.push_back((record, heard));
        }

        /// The next one of them.
        pub(crate) fn take_late(&mut self) -> Option<(Record, EventId)> {
            self.late.pop_front()
        }

        /// Remembers what the clock shows, for a server that asks it.
        pub(crate) fn note_time(&mut self, clock: impl FnOnce() -> Timestamp) {
            self.clock = clock();
        }

        pub(crate) fn time(&self) -> Timestamp {
            self.clock
        }

        /// Remembers what is held now, for a connection that looks before it has the lock.
        pub(crate) fn look_up(&mut self, conn: ConnId, held: impl FnOnce() -> Vec<Record>) {
            self.looked_up.insert(conn, held());
        }

        /// A line of this connection is handled now.
        pub(crate) const fn serve(&mut self, conn: ConnId) {
            self.served = conn;
        }

        /// What was held of the client of `record` when the connection last looked that is served.
        pub(crate) fn looked_up(&self, record: &Record) -> Option<&Record> {
            let held = self.looked_up.get(&self.served)?;
            held.iter().find(|held| held.id() == record.id())
        }

        /// Something rare happened, perhaps.
        pub(crate) fn note(&mut self, rare: impl FnOnce() -> Option<Rare>) {
            if let Some(Mistake::FailsAfter(all)) = self.made.mistake
                && let Some(next) = all.get(self.happened)
                && rare() == Some(*next)
            {
                self.happened += 1;
            }
        }

        /// Whether everything has happened after which the server fails.
        pub(crate) fn is_failed(&self) -> bool {
            matches!(self.made.mistake, Some(Mistake::FailsAfter(all)) if self.happened == all.len())
        }

        /// Does not come back as long as somebody holds the other end of the mistake.
        pub(crate) fn spin(&self) {
            while self.made.held.strong_count() > 0 {
                std::hint::spin_loop();
            }
        }
    }
}

#[cfg(all(test, feature = "sim"))]
mod tests;

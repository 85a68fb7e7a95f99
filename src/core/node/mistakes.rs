//! Mistakes that a server makes on demand, to test whether anything notices them. They exist in the
//! crate's own tests and with the feature `mutants`; in every other build no server makes any, and
//! no code of them is left.

use std::cmp::Ordering;

use crate::protocol::record::Record;
use crate::protocol::time::Timestamp;

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
}

/// The clock's reading, rounded to a binary floating-point number of seconds.
pub(super) fn as_float(clock: Timestamp) -> Timestamp {
    let seconds: f64 = clock.to_string().parse().unwrap_or_default();
    Timestamp::parse(format!("{seconds:.9}").as_bytes()).unwrap_or(clock)
}

/// Whether `record` is newer than `held` by times as binary floating-point numbers; place and time
/// break a tie.
pub(super) fn is_newer_as_float(record: &Record, held: &Record) -> bool {
    let time = |record: &Record| -> f64 {
        let text = str::from_utf8(record.time_text()).unwrap_or_default();
        text.parse().unwrap_or_default()
    };
    let tie = |record: &Record| [record.location(), record.time_text()].concat();
    match time(record).total_cmp(&time(held)) {
        Ordering::Equal => tie(record) > tie(held),
        order => order == Ordering::Greater,
    }
}

#[cfg(not(all(feature = "sim", any(test, feature = "mutants"))))]
pub(crate) use nobody::*;
#[cfg(all(feature = "sim", any(test, feature = "mutants")))]
pub(crate) use told::*;

/// Stubs for builds in which no server can make a mistake.
#[cfg(not(all(feature = "sim", any(test, feature = "mutants"))))]
mod nobody {
    use super::Mistake;
    use crate::journal::EventId;
    use crate::protocol::record::Record;
    use crate::protocol::time::Timestamp;

    /// Whether `server` makes `mistake`.
    pub(crate) const fn makes(_server: &str, _mistake: Mistake) -> bool {
        false
    }

    pub(crate) fn put_off(_: &str, _: Record, _: EventId) {}

    pub(crate) fn take_late(_: &str) -> Option<(Record, EventId)> {
        None
    }

    pub(crate) fn tell_time(_: impl FnOnce() -> Timestamp) {}

    pub(crate) fn time() -> Timestamp {
        Timestamp::default()
    }

    pub(crate) const fn spin() {}

    /// The mistake of this thread, for another thread that works for it.
    #[cfg(feature = "sim")]
    pub(crate) const fn made() -> Carried {
        Carried
    }

    #[cfg(feature = "sim")]
    pub(crate) struct Carried;

    #[cfg(feature = "sim")]
    impl Carried {
        /// Runs `work`; there is no mistake to carry over.
        pub(crate) fn here<T>(self, work: impl FnOnce() -> T) -> T {
            let Self = self;
            work()
        }
    }
}

#[cfg(all(feature = "sim", any(test, feature = "mutants")))]
mod told {
    use std::cell::{Cell, RefCell};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::Mistake;
    use crate::journal::EventId;
    use crate::protocol::record::Record;
    use crate::protocol::time::Timestamp;

    /// A mistake in force.
    #[derive(Clone)]
    struct Made {
        /// The server that makes it; `None` for all servers.
        who: Option<String>,
        mistake: Mistake,
        /// Set when the mistake ends.
        is_over: Arc<AtomicBool>,
    }

    thread_local! {
        /// The mistake in force on this thread. A simulation's thread takes over that of the thread
        /// which waits for it.
        static HERE: RefCell<Option<Made>> = const { RefCell::new(None) };
        /// Records that servers with `AnswersFirst` have answered but not stored yet.
        static LATE: RefCell<Vec<(String, Record, EventId)>> = const { RefCell::new(Vec::new()) };
        /// What the clock of the running server shows, for `AsksItsClock`.
        static CLOCK: Cell<Timestamp> = Cell::new(Timestamp::default());
    }

    /// Whether `server` makes `mistake`.
    pub(crate) fn makes(server: &str, mistake: Mistake) -> bool {
        let is_it = |made: &Made| {
            made.mistake == mistake && made.who.as_deref().is_none_or(|who| who == server)
        };
        HERE.with_borrow(|made| made.as_ref().is_some_and(is_it))
    }

    impl Mistake {
        /// Runs `work` while `server` makes this mistake, on this thread.
        pub(crate) fn made_by<T>(self, server: &str, work: impl FnOnce() -> T) -> T {
            self.made_here(Some(server.to_owned()), work)
        }

        /// Runs `work` while all servers make this mistake, on this thread.
        #[cfg(feature = "mutants")]
        pub(crate) fn made_by_all<T>(self, work: impl FnOnce() -> T) -> T {
            self.made_here(None, work)
        }

        fn made_here<T>(self, who: Option<String>, work: impl FnOnce() -> T) -> T {
            let is_over = Arc::new(AtomicBool::new(false));
            let made = Made {
                who,
                mistake: self,
                is_over: Arc::clone(&is_over),
            };
            let _until_done = Guard {
                before: HERE.replace(Some(made)),
                is_over: Some(is_over),
            };
            work()
        }
    }

    /// Restores the mistake that was in force before, even if the work panics.
    struct Guard {
        before: Option<Made>,
        /// The flag of the mistake that ends here.
        is_over: Option<Arc<AtomicBool>>,
    }

    impl Drop for Guard {
        fn drop(&mut self) {
            if let Some(is_over) = &self.is_over {
                is_over.store(true, Ordering::Relaxed);
            }
            HERE.set(self.before.take());
        }
    }

    /// The mistake of this thread, for another thread that works for it.
    pub(crate) fn made() -> Carried {
        Carried(HERE.with_borrow(Clone::clone))
    }

    /// A mistake to be carried over to another thread.
    pub(crate) struct Carried(Option<Made>);

    impl Carried {
        /// Runs `work` while this thread makes the carried mistake, too.
        pub(crate) fn here<T>(self, work: impl FnOnce() -> T) -> T {
            let _until_done = Guard {
                before: HERE.replace(self.0),
                is_over: None,
            };
            work()
        }
    }

    /// Loops until the mistake ends on the thread that it was carried from.
    pub(crate) fn spin() {
        let is_over = HERE.with_borrow(|made| made.as_ref().map(|made| Arc::clone(&made.is_over)));
        while is_over
            .as_ref()
            .is_some_and(|is_over| !is_over.load(Ordering::Relaxed))
        {
            std::hint::spin_loop();
        }
    }

    /// Holds back a record that `server` has answered.
    pub(crate) fn put_off(server: &str, record: Record, heard: EventId) {
        LATE.with_borrow_mut(|late| late.push((server.to_owned(), record, heard)));
    }

    /// Takes the oldest record that `server` holds back.
    pub(crate) fn take_late(server: &str) -> Option<(Record, EventId)> {
        LATE.with_borrow_mut(|late| {
            let at = late.iter().position(|(who, ..)| who == server)?;
            let (_, record, heard) = late.remove(at);
            Some((record, heard))
        })
    }

    /// Notes what the clock of the running server shows.
    pub(crate) fn tell_time(clock: impl FnOnce() -> Timestamp) {
        CLOCK.set(clock());
    }

    pub(crate) fn time() -> Timestamp {
        CLOCK.get()
    }
}

//! Mistakes that a server makes on demand, so that it is seen whether anything notices: by the crate's own tests, and
//! with the feature `mutants` by a command. In every other build no server makes any and nothing of this is left.

use std::cmp::Ordering;

use crate::protocol::record::Record;
use crate::protocol::time::Timestamp;

/// Something that a server does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mistake {
    /// An IAMAT is answered twice.
    AnswersTwice,
    /// What is no command is not answered.
    RefusesInSilence,
    /// An IAMAT is answered before its record is stored.
    AnswersFirst,
    /// What a client says replaces what is known, even if it is older. (If what neighbours say did, too, two
    /// records would chase each other for ever.)
    TakesOlder,
    /// Of two records with the same time, neither is newer.
    BreaksNoTie,
    /// Times are compared as binary floating-point numbers.
    ComparesFloats,
    /// What is in the future by the server's own clock is not taken in.
    AsksItsClock,
    /// An update is passed on with one link too many.
    CountsHopsTwice,
    /// An update is passed on with the hops that it came with.
    RaisesNoHops,
    /// A new update is sent back to the neighbour that brought it, too.
    TellsBack,
    /// What neighbours say is not taken in.
    IgnoresNeighbours,
    /// What synchronisation brought is not passed on.
    KeepsToItself,
    /// A link is sent no new updates before the comparison of both stores is over.
    SubscribesLate,
    /// Two servers that both know something do not compare what they know when their link comes up again.
    ComparesNothing,
    /// The digest leaves out one sixteenth of all clients.
    MissesABucket,
    /// The end of a synchronisation is never said.
    NeverSynced,
    /// A link on which nothing is heard is never closed.
    WaitsForEver,
    /// A server that has lost a link never comes back from what it does then.
    SpinsWithoutLink,
    /// A link is closed after half a heartbeat of silence.
    GivesUpEarly,
    /// The clock is read as a binary floating-point number.
    ReadsFloats,
    /// A WHATSAT is answered with what is known when Places has answered.
    AnswersWithTheLatest,
}

/// What a clock shows to who reads it as a binary floating-point number of seconds.
pub(super) fn as_float(clock: Timestamp) -> Timestamp {
    let seconds: f64 = clock.to_string().parse().unwrap_or_default();
    Timestamp::parse(format!("{seconds:.9}").as_bytes()).unwrap_or(clock)
}

/// Which of two records is newer for who compares times as binary floating-point numbers, and breaks ties as
/// everybody does.
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

/// What is left of all this where nobody can be told to make a mistake.
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

    /// The mistake that this thread makes, for one that works for it.
    #[cfg(feature = "sim")]
    pub(crate) const fn made() -> Carried {
        Carried
    }

    #[cfg(feature = "sim")]
    pub(crate) struct Carried;

    #[cfg(feature = "sim")]
    impl Carried {
        /// What `work` gives while this thread makes the mistake, too.
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

    /// A mistake that is made.
    #[derive(Clone)]
    struct Made {
        /// The server that makes it; all servers if none is named.
        who: Option<String>,
        mistake: Mistake,
        /// Set when it is made no more.
        is_over: Arc<AtomicBool>,
    }

    thread_local! {
        /// The mistake that is made on this thread. A simulation runs on one, which makes what the one makes that waits for it.
        static HERE: RefCell<Option<Made>> = const { RefCell::new(None) };
        /// What servers that answer first have not stored yet.
        static LATE: RefCell<Vec<(String, Record, EventId)>> = const { RefCell::new(Vec::new()) };
        /// The clock of the server that is at work, for one that asks it.
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
        /// What `work` gives while `server` makes this mistake, on this thread.
        pub(crate) fn made_by<T>(self, server: &str, work: impl FnOnce() -> T) -> T {
            self.made_here(Some(server.to_owned()), work)
        }

        /// What `work` gives while all servers make this mistake, on this thread.
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

    /// Makes the mistake again that was made before, even when work ends by a panic.
    struct Guard {
        before: Option<Made>,
        /// Of the mistake that ends here.
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

    /// The mistake that this thread makes, for one that works for it.
    pub(crate) fn made() -> Carried {
        Carried(HERE.with_borrow(Clone::clone))
    }

    /// A mistake on its way to another thread.
    pub(crate) struct Carried(Option<Made>);

    impl Carried {
        /// What `work` gives while this thread makes the mistake, too.
        pub(crate) fn here<T>(self, work: impl FnOnce() -> T) -> T {
            let _until_done = Guard {
                before: HERE.replace(self.0),
                is_over: None,
            };
            work()
        }
    }

    /// Does not come back while the mistake is made on the thread that it was carried from.
    pub(crate) fn spin() {
        let is_over = HERE.with_borrow(|made| made.as_ref().map(|made| Arc::clone(&made.is_over)));
        while is_over
            .as_ref()
            .is_some_and(|is_over| !is_over.load(Ordering::Relaxed))
        {
            std::hint::spin_loop();
        }
    }

    /// A record that `server` has answered and not stored.
    pub(crate) fn put_off(server: &str, record: Record, heard: EventId) {
        LATE.with_borrow_mut(|late| late.push((server.to_owned(), record, heard)));
    }

    /// The next one of them. A server that starts has none.
    pub(crate) fn take_late(server: &str) -> Option<(Record, EventId)> {
        LATE.with_borrow_mut(|late| {
            let at = late.iter().position(|(who, ..)| who == server)?;
            let (_, record, heard) = late.remove(at);
            Some((record, heard))
        })
    }

    /// Shows the server that is at work from here on what its clock says.
    pub(crate) fn tell_time(clock: impl FnOnce() -> Timestamp) {
        CLOCK.set(clock());
    }

    pub(crate) fn time() -> Timestamp {
        CLOCK.get()
    }
}

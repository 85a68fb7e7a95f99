//! Mistakes that a server makes when a test tells it to, so that it is seen whether anything
//! notices. In every other build, no server makes any and nothing of this is left.

/// Something that a server does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mistake {
    /// An IAMAT is answered twice.
    AnswersTwice,
    /// What is no command is not answered.
    RefusesInSilence,
    /// An update that is older than what is known replaces it.
    TakesOlder,
    /// An update is passed on with one link too many.
    CountsHopsTwice,
    /// News is told to the one that brought it, too.
    TellsBack,
    /// What neighbours say is not taken in.
    IgnoresNeighbours,
    /// The end of a synchronisation is never said.
    NeverSynced,
}

/// Whether `server` makes `mistake`.
#[cfg(not(all(test, feature = "sim")))]
pub(super) const fn makes(_server: &str, _mistake: Mistake) -> bool {
    false
}

#[cfg(all(test, feature = "sim"))]
pub(crate) use told::makes;

#[cfg(all(test, feature = "sim"))]
mod told {
    use std::cell::RefCell;

    use super::Mistake;

    thread_local! {
        /// The server that makes one, and which. A simulation runs on one thread.
        static MADE: RefCell<Option<(String, Mistake)>> = const { RefCell::new(None) };
    }

    pub(crate) fn makes(server: &str, mistake: Mistake) -> bool {
        let is_it = |(who, what): &(String, Mistake)| who == server && *what == mistake;
        MADE.with_borrow(|made| made.as_ref().is_some_and(is_it))
    }

    impl Mistake {
        /// What `work` gives while `server` makes this mistake.
        pub(crate) fn made_by<T>(self, server: &str, work: impl FnOnce() -> T) -> T {
            MADE.set(Some((server.to_owned(), self)));
            let done = work();
            MADE.set(None);
            done
        }
    }
}

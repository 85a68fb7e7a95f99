//! What the threads of a server synchronise by, from one place.
//!
//! These are the primitives of the standard library, of `parking_lot` and of tokio. Only the
//! library's own tests with the feature `threads` have others in their place: there one thread runs
//! at a time, and at each use of a primitive a seed chooses which thread goes on
//! (`cargo test --features threads --lib threads`).

#[cfg(not(all(test, feature = "threads")))]
mod primitives {
    pub(crate) use std::sync::{Mutex, MutexGuard, OnceLock, atomic, mpsc};
    pub(crate) use std::thread;

    pub(crate) use parking_lot::{Mutex as FairMutex, MutexGuard as FairMutexGuard};
    pub(crate) use tokio::sync::Notify;
}

#[cfg(all(test, feature = "threads"))]
mod threads;

#[cfg(not(all(test, feature = "threads")))]
pub(crate) use primitives::*;
#[cfg(all(test, feature = "threads"))]
pub(crate) use threads::*;

//! The handle by which the process of a running server reads its state and controls it.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::neighbours::State;
use super::saving::{DiskStatus, Saving};
use super::{Limits, Timing, config};
use crate::herd::{Address, Herd, Name, ServerId};
use crate::journal::{CloseReason, Journal};
use crate::node::{ForgetError, Forgotten, LinkStatus, Neighbour};
use crate::protocol::time::Timestamp;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{FairMutex, FairMutexGuard, Mutex, Notify};

/// The settings that can change while a server runs.
#[derive(Clone, Copy)]
pub(super) struct Tuning {
    pub(super) timing: Timing,
    pub(super) limits: Limits,
}

/// Counters that grow while a server makes progress. Each listener has one, since each can get
/// stuck alone.
pub(super) struct Pulse {
    beats: [AtomicU64; 2],
    /// The time in milliseconds after which a listener that waits counts.
    every: AtomicU64,
    /// Why a listener accepts no connections, for each listener that does not.
    shut: [Mutex<Option<CloseReason>>; 2],
}

impl Default for Pulse {
    fn default() -> Self {
        Self {
            beats: Default::default(),
            every: AtomicU64::new(1000),
            shut: Default::default(),
        }
    }
}

/// A listener, as an index into the arrays of [`Pulse`].
#[derive(Clone, Copy)]
pub(super) enum Beat {
    Clients = 0,
    Peers = 1,
}

impl Pulse {
    pub(super) fn beat(&self, beat: Beat) {
        self.beats[beat as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Sets or clears the reason why this listener accepts no connections.
    pub(super) fn shut(&self, beat: Beat, why: Option<CloseReason>) {
        let shut = self.shut[beat as usize].lock();
        *shut.unwrap_or_else(PoisonError::into_inner) = why;
    }

    pub(super) fn every(&self) -> Duration {
        Duration::from_millis(self.every.load(Ordering::Relaxed))
    }
}

/// A handle to a running server.
#[derive(Clone)]
pub struct Handle {
    pub(super) state: Arc<FairMutex<State>>,
    pub(super) tune: watch::Sender<Tuning>,
    pub(super) pulse: Arc<Pulse>,
    pub(super) relinked: Arc<Notify>,
    pub(super) journal: Arc<dyn Journal>,
    pub(super) saving: Arc<Saving>,
    pub(super) stop: watch::Receiver<bool>,
}

impl Handle {
    fn state(&self) -> FairMutexGuard<'_, State> {
        self.state.lock()
    }

    fn ask<T>(&self, ask: impl FnOnce(&State) -> T) -> T {
        ask(&self.state())
    }

    /// The number of clients whose record it holds.
    pub fn clients(&self) -> usize {
        self.ask(|state| state.node.clients())
    }

    /// The number of clients whose tombstone it holds.
    pub fn forgotten(&self) -> usize {
        self.ask(|state| state.node.forgotten())
    }

    /// Makes the whole herd forget a client, see [`Node::forget`](crate::node::Node::forget).
    /// `clock` is this server's.
    pub fn forget(&self, id: &[u8], clock: Timestamp) -> Result<Forgotten, ForgetError> {
        let mut state = self.state();
        let forgotten = state.node.forget(id, clock, &*self.journal);
        state.wake();
        forgotten
    }

    /// How far its disk is behind its memory; `None` if it has none.
    pub fn disk(&self) -> Option<DiskStatus> {
        let unsaved = self.ask(|state| state.node.unsaved());
        self.saving.status(unsaved)
    }

    /// The status of the link with each neighbour, or `None` if the link is down.
    pub fn links(&self) -> Vec<(Name, Option<LinkStatus>)> {
        self.ask(|state| state.node.links().collect())
    }

    /// A client's record, as `server skew id location time`, and the number of links that it has
    /// crossed.
    pub fn record(&self, id: &[u8]) -> Option<(crate::protocol::record::Record, u32)> {
        self.ask(|state| {
            let (record, hops) = state.node.record(id)?;
            Some((record.clone(), hops))
        })
    }

    /// Whether the server is stopping.
    pub fn is_stopping(&self) -> bool {
        *self.stop.borrow()
    }

    /// Changes timers and limits from now on. A wait under way keeps the deadline with which it
    /// began.
    pub fn tune(&self, timing: Timing, limits: Limits) {
        self.state().node.keep(limits.keep);
        self.tune.send_replace(Tuning { timing, limits });
    }

    /// Replaces the neighbours by those of `me` in `herd`. A link stays up if the same end dials
    /// the same neighbour at the same address. Other links end at once, and new ones are dialled or
    /// awaited.
    pub fn relink(&self, herd: &Herd, me: ServerId) {
        self.relink_with(config::neighbours(herd, me).collect());
    }

    /// As [`relink`](Self::relink), with the neighbours themselves, each with the address at which it listens for
    /// servers.
    pub fn relink_with(&self, wanted: Vec<(Neighbour, Address)>) {
        self.state().relink(wanted, &*self.journal);
        self.relinked.notify_one();
    }

    /// Why no client is accepted, or `None` if clients are accepted.
    pub fn shut(&self) -> Option<CloseReason> {
        let shut = self.pulse.shut[Beat::Clients as usize].lock();
        shut.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sets the time, in whole milliseconds, after which a listener that waits counts. It takes
    /// effect after the listener's next count.
    pub fn pulse_every(&self, pause: Duration) {
        let millis = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX).max(1);
        self.pulse.every.store(millis, Ordering::Relaxed);
    }

    /// The counter of each listener. A server whose counters both grow accepts connections. Its
    /// decisions are not stuck either, since this call takes the Node's lock.
    pub fn pulse(&self) -> [u64; 2] {
        self.clients();
        let [clients, peers] = &self.pulse.beats;
        [clients, peers].map(|count| count.load(Ordering::Relaxed))
    }
}

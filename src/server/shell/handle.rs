//! How the process of a running server reads its state and controls it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use parking_lot::{Mutex as FairMutex, MutexGuard as FairMutexGuard};
use tokio::sync::{Notify, watch};

use super::neighbours::State;
use super::{Limits, Timing, config};
use crate::herd::{Herd, Name, ServerId};
use crate::journal::{CloseReason, Journal};
use crate::node::{ForgetError, Forgotten, LinkStatus};
use crate::protocol::time::Timestamp;

/// What may change while a server runs.
#[derive(Clone, Copy)]
pub(super) struct Tuning {
    pub(super) timing: Timing,
    pub(super) limits: Limits,
}

/// Counts on as long as a server gets on: each listener for itself, since each can get stuck for itself.
pub(super) struct Pulse {
    beats: [AtomicU64; 2],
    /// In milliseconds: a listener that waits counts on this often.
    every: AtomicU64,
    /// Why nobody can come in by each.
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

/// A listener, as its pulse sees it.
#[derive(Clone, Copy)]
pub(super) enum Beat {
    Clients = 0,
    Peers = 1,
}

impl Pulse {
    pub(super) fn beat(&self, beat: Beat) {
        self.beats[beat as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// From here on nobody can come in by this listener, for this reason; or somebody can again.
    pub(super) fn shut(&self, beat: Beat, why: Option<CloseReason>) {
        let shut = self.shut[beat as usize].lock();
        *shut.unwrap_or_else(PoisonError::into_inner) = why;
    }

    pub(super) fn every(&self) -> Duration {
        Duration::from_millis(self.every.load(Ordering::Relaxed))
    }
}

/// A running server, from outside.
#[derive(Clone)]
pub struct Handle {
    pub(super) state: Arc<FairMutex<State>>,
    pub(super) tune: watch::Sender<Tuning>,
    pub(super) pulse: Arc<Pulse>,
    pub(super) relinked: Arc<Notify>,
    pub(super) journal: Arc<dyn Journal>,
    pub(super) stop: watch::Receiver<bool>,
}

impl Handle {
    fn state(&self) -> FairMutexGuard<'_, State> {
        self.state.lock()
    }

    fn ask<T>(&self, ask: impl FnOnce(&State) -> T) -> T {
        ask(&self.state())
    }

    /// How many clients it knows.
    pub fn clients(&self) -> usize {
        self.ask(|state| state.node.clients())
    }

    /// How many clients it knows to be forgotten.
    pub fn forgotten(&self) -> usize {
        self.ask(|state| state.node.forgotten())
    }

    /// Has the whole herd forget a client: see [`Node::forget`](crate::node::Node::forget). `clock` is this server's.
    pub fn forget(&self, id: &[u8], clock: Timestamp) -> Result<Forgotten, ForgetError> {
        let mut state = self.state();
        let forgotten = state.node.forget(id, clock, &*self.journal);
        state.wake();
        forgotten
    }

    /// How the link with each neighbour is; nothing of one that is down.
    pub fn links(&self) -> Vec<(Name, Option<LinkStatus>)> {
        self.ask(|state| state.node.links().collect())
    }

    /// What it knows of a client, as `server skew id location time`, and how many links that crossed.
    pub fn record(&self, id: &[u8]) -> Option<(crate::protocol::record::Record, u32)> {
        self.ask(|state| {
            let (record, hops) = state.node.record(id)?;
            Some((record.clone(), hops))
        })
    }

    /// Whether it was told to stop.
    pub fn is_stopping(&self) -> bool {
        *self.stop.borrow()
    }

    /// Makes it wait and take as this says from now on. What waits already, waits as it began to.
    pub fn tune(&self, timing: Timing, limits: Limits) {
        self.state().node.keep(limits.keep);
        self.tune.send_replace(Tuning { timing, limits });
    }

    /// Gives it the neighbours that `herd` gives to `me`. Links with those that it had already, dialled by the same end
    /// at the same address, are not disturbed; others end at once, and new ones are dialled or waited for.
    pub fn relink(&self, herd: &Herd, me: ServerId) {
        let wanted = config::neighbours(herd, me).collect();
        self.state().relink(wanted, &*self.journal);
        self.relinked.notify_one();
    }

    /// Why no client can come in, as long as none can.
    pub fn shut(&self) -> Option<CloseReason> {
        let shut = self.pulse.shut[Beat::Clients as usize].lock();
        shut.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Makes listeners that wait count on this often, in whole milliseconds, once they have counted on the next time.
    pub fn pulse_every(&self, pause: Duration) {
        let millis = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX).max(1);
        self.pulse.every.store(millis, Ordering::Relaxed);
    }

    /// How far each listener has counted. Whoever sees each of them counting on sees a server that takes connections
    /// and whose decisions are not stuck, since this waits for one.
    pub fn pulse(&self) -> [u64; 2] {
        self.clients();
        let [clients, peers] = &self.pulse.beats;
        [clients, peers].map(|count| count.load(Ordering::Relaxed))
    }
}

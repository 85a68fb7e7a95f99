//! Keeps the disk up with the store: one task that takes what changed, at the pace of the disk.
//!
//! Nothing but answers ever waits for the disk, and these only where they are told to. A failing
//! disk is tried again and again; meanwhile the store goes on in memory.

use std::borrow::Cow;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::signal::Signal;
use super::{Shared, unless};
use crate::disk::{Durability, Files, Stored, write_record};
use crate::journal::EventKind;
use crate::net::Net;
use crate::protocol::record::Record;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Mutex, MutexGuard, Notify};

/// The number of records that are copied before clients get the Node's lock again.
const AT_ONCE: usize = 512;

/// The number of bytes from which on a batch takes no more records, so that the first of them does
/// not wait long for the others.
const BATCH: usize = 1 << 20;

/// How long after a failure the disk is tried again.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// How long after a failure another snapshot is begun. It costs as much as all that is live.
const COMPACT_AGAIN: Duration = Duration::from_secs(10);

/// A disk that takes this long for a batch counts as failing until it is done with it.
const STALLS: Duration = Duration::from_secs(5);

/// How far the disk is, for those who wait for it.
#[derive(Default)]
pub(super) struct Saving {
    progress: Mutex<Progress>,
    changed: Notify,
    /// Whether there is a disk.
    is_used: AtomicBool,
    /// There is something to save.
    work: Notify,
    /// Nothing will change any more.
    end: Signal,
}

#[derive(Default)]
struct Progress {
    /// When answers come; `None` without a disk.
    durability: Option<Durability>,
    /// Up to where everything is on the disk, as [`Node::take_unsaved`](crate::node::Node::take_unsaved) counts.
    saved: u64,
    is_failing: bool,
    /// The number of records that are being saved.
    taken: u64,
    /// Since when, at the earliest, something is not on the disk.
    behind_since: Option<Instant>,
    /// The number of bytes on the disk, about.
    bytes: u64,
}

/// How far a server's disk is behind its memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskStatus {
    /// When a client's update is answered.
    pub durability: Durability,
    /// Whether the disk takes nothing.
    pub is_failing: bool,
    /// The number of clients whose latest record is not on it.
    pub unsaved: u64,
    /// How long the oldest of them waits, at most.
    pub behind: Duration,
    /// The number of bytes on it, about.
    pub bytes: u64,
}

impl Saving {
    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Progress)) {
        change(&mut self.progress());
        self.changed.notify_waiters();
    }

    /// Completes when everything up to here is on the disk, with `true`, or when the disk fails.
    pub(super) async fn reached(&self, saved: u64) -> bool {
        loop {
            // The future exists before the check, so a change between the two is not lost.
            let changed = self.changed.notified();
            {
                let progress = self.progress();
                if progress.saved >= saved || progress.is_failing {
                    return progress.saved >= saved;
                }
            }
            changed.await;
        }
    }

    /// Whether there is a disk.
    pub(super) fn is_used(&self) -> bool {
        self.is_used.load(Ordering::Relaxed)
    }

    /// Whether the disk takes nothing.
    pub(super) fn is_failing(&self) -> bool {
        self.progress().is_failing
    }

    /// How far the disk is; `unsaved` changes are still in the Node. `None` without a disk.
    pub(super) fn status(&self, unsaved: usize) -> Option<DiskStatus> {
        let progress = self.progress();
        let unsaved = progress.taken + unsaved as u64;
        let since = progress.behind_since.filter(|_| unsaved > 0);
        Some(DiskStatus {
            durability: progress.durability?,
            is_failing: progress.is_failing,
            unsaved,
            behind: since.map_or(Duration::ZERO, |since| since.elapsed()),
            bytes: progress.bytes,
        })
    }

    /// There is something to save.
    pub(super) fn wake(&self) {
        self.work.notify_one();
    }

    /// Nothing will change any more, so the task ends when everything is saved, or can't be.
    pub(super) fn end(&self) {
        self.end.give();
    }
}

/// Lines of records on their way to the disk.
struct Batch {
    lines: Vec<u8>,
    records: u64,
    /// Up to where everything is saved once they are.
    saved: u64,
    /// When it was taken. What is not in it changed later.
    taken: Instant,
}

/// The task.
struct Saver<N: Net> {
    shared: Arc<Shared<N>>,
    files: Files,
    durability: Durability,
    sync_every: Duration,
    /// When the next batch is taken, in the background.
    due: Option<Instant>,
    /// When the next snapshot can begin.
    compacts_from: Instant,
    copied: Copied,
}

/// The progress of a snapshot.
#[derive(Clone, Copy)]
struct Copied {
    /// The position in the store from which on records are to be copied; `None` if all are.
    next: Option<usize>,
    records: u64,
}

impl Copied {
    const NOTHING: Self = Self {
        next: Some(0),
        records: 0,
    };
}

/// Saves what changes until the server ends.
pub(super) async fn save<N: Net>(shared: Arc<Shared<N>>, stored: Stored) {
    let Stored {
        files,
        durability,
        sync_every,
        ..
    } = stored;
    shared.saving.is_used.store(true, Ordering::Relaxed);
    shared.saving.change(|progress| {
        progress.durability = Some(durability);
        progress.bytes = files.bytes();
    });
    let saver = Saver {
        shared,
        files,
        durability,
        sync_every,
        due: None,
        compacts_from: Instant::now(),
        copied: Copied::NOTHING,
    };
    saver.run().await;
}

impl<N: Net> Saver<N> {
    async fn run(mut self) {
        loop {
            let ends = self.shared.saving.end.is_given();
            if let Some(batch) = self.take(ends) {
                if !self.save(batch).await {
                    return;
                }
            } else if ends {
                // A snapshot that is not complete is left behind; the next one removes it.
                return;
            } else if self.files.is_copying() {
                self.copy().await;
            } else if self.files.wants_snapshot() && Instant::now() >= self.compacts_from {
                self.files.begin_snapshot();
                self.copied = Copied::NOTHING;
            } else {
                self.wait().await;
            }
        }
    }

    /// Waits until there is something to do.
    async fn wait(&mut self) {
        let saving = &self.shared.saving;
        let wants_snapshot = self.files.wants_snapshot();
        let (due, compacts_from) = (self.due, self.compacts_from);
        let work = async {
            match due {
                Some(due) => sleep_until(due).await,
                None => saving.work.notified().await,
            }
        };
        let snapshot = async {
            if !wants_snapshot {
                std::future::pending::<()>().await;
            }
            sleep_until(compacts_from).await;
        };
        unless(saving.end.given(), futures_lite::future::or(work, snapshot)).await;
    }

    /// The next batch, if there is one and its time has come.
    fn take(&mut self, ends: bool) -> Option<Batch> {
        if self.shared.state().node.unsaved() == 0 {
            self.due = None;
            return None;
        }
        let taken = Instant::now();
        self.shared
            .saving
            .progress()
            .behind_since
            .get_or_insert(taken);
        if self.durability == Durability::Background && !ends {
            let due = *self.due.get_or_insert(taken + self.sync_every);
            if taken < due {
                return None;
            }
        }
        self.due = None;
        let mut batch = Batch {
            lines: Vec::new(),
            records: 0,
            saved: 0,
            taken,
        };
        // Clients get the lock in between.
        while batch.lines.len() < BATCH {
            let mut state = self.shared.state();
            batch.saved = state.node.take_unsaved(AT_ONCE, |record, hops| {
                write_record(&mut batch.lines, record, hops);
                batch.records += 1;
            });
            if state.node.unsaved() == 0 {
                break;
            }
        }
        self.shared.saving.progress().taken = batch.records;
        Some(batch)
    }

    /// Saves a batch, however often that takes. Returns whether it is saved: if not, the server
    /// ends.
    async fn save(&mut self, batch: Batch) -> bool {
        // Records that expired meanwhile leave nothing to write.
        while !batch.lines.is_empty() {
            let began = Instant::now();
            let saved = self.files.save(&batch.lines);
            let saved = patiently(&self.shared, batch.records, saved).await;
            match saved {
                Ok(()) => {
                    self.shared.journal.saved(began.elapsed());
                    break;
                }
                Err(error) => fail(&self.shared, batch.records, error.to_string().into()),
            }
            let saving = &self.shared.saving;
            if saving.end.is_given() || unless(saving.end.given(), sleep(TRY_AGAIN)).await.is_none()
            {
                return false;
            }
        }
        self.saved(&batch);
        true
    }

    fn saved(&self, batch: &Batch) {
        let shared = &self.shared;
        let (records, bytes) = (batch.records, batch.lines.len() as u64);
        if records > 0 {
            let what = EventKind::Saved { records, bytes };
            shared.journal.record(None, what);
        }
        works_again(shared);
        let is_behind = shared.state().node.unsaved() > 0;
        let on_disk = self.files.bytes();
        shared.saving.change(|progress| {
            progress.saved = batch.saved;
            progress.taken = 0;
            progress.behind_since = is_behind.then_some(batch.taken);
            progress.bytes = on_disk;
        });
    }

    /// Copies some more records into the snapshot; completes it when all are copied.
    async fn copy(&mut self) {
        let Some(from) = self.copied.next else {
            let ended = patiently(&self.shared, 0, self.files.end_snapshot()).await;
            if self.is_written(ended) {
                let (records, bytes) = (self.copied.records, self.files.bytes());
                self.shared.saving.progress().bytes = bytes;
                let what = EventKind::Compacted { records, bytes };
                self.shared.journal.record(None, what);
            }
            return;
        };
        let mut lines = Vec::new();
        let mut records = 0;
        let write = |record: &Record, hops| {
            write_record(&mut lines, record, hops);
            records += 1;
        };
        let next = self.shared.state().node.copy_records(from, AT_ONCE, write);
        let copied = patiently(&self.shared, 0, self.files.copy(&lines)).await;
        if self.is_written(copied) {
            self.copied.next = next;
            self.copied.records += records;
        }
    }

    /// Whether a part of a snapshot is written. If it is not, another snapshot is begun later.
    fn is_written(&mut self, written: io::Result<()>) -> bool {
        // If that took too long, the next batch shows how the disk is now.
        works_again(&self.shared);
        let Err(error) = written else {
            return true;
        };
        let why = error.to_string().into();
        self.shared
            .journal
            .record(None, EventKind::NotCompacted { why });
        self.compacts_from = Instant::now() + COMPACT_AGAIN;
        false
    }
}

/// Waits for the disk. If that takes too long, whoever waits for it is told.
async fn patiently<N: Net>(
    shared: &Shared<N>,
    taken: u64,
    work: impl Future<Output = io::Result<()>>,
) -> io::Result<()> {
    let mut work = pin!(work);
    if let Ok(done) = timeout(STALLS, work.as_mut()).await {
        return done;
    }
    fail(shared, taken, "it does not get done".into());
    work.await
}

/// The disk takes records again, if it did not.
fn works_again<N: Net>(shared: &Shared<N>) {
    if shared.saving.is_failing() {
        shared.state().node.set_disk_fails(false);
        shared.journal.record(None, EventKind::SavesAgain);
        shared.saving.change(|progress| progress.is_failing = false);
    }
}

/// The disk takes nothing. Whoever waits for it is told; what it lacks stays in memory.
fn fail<N: Net>(shared: &Shared<N>, taken: u64, why: Cow<'_, str>) {
    if !shared.saving.is_failing() {
        let unsaved = {
            let mut state = shared.state();
            state.node.set_disk_fails(true);
            taken + state.node.unsaved() as u64
        };
        let what = EventKind::SaveFailed { why, unsaved };
        shared.journal.record(None, what);
    }
    shared.saving.change(|progress| progress.is_failing = true);
}

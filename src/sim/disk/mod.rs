//! Simulated disks: one for each server, which stays when the server's process ends or its machine loses its power.
//!
//! A [`SimDisk`] is a [`Disk`] on a [`Medium`], with the time that its operations take and with what can be wrong with
//! it. All of that is drawn from the scenario's seed.

mod medium;

use std::fmt;
use std::future::Future;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::ChaCha8Rng;
use tokio::sync::Notify;
use tokio::time::sleep;

use crate::disk::{Data, Disk, Done};
use crate::herd::ServerId;
use crate::scenario::{DiskFault, DiskOperation, Scenario};
use crate::seed::stream;
use crate::sim::time::elapsed;
pub(super) use medium::Lost;
use medium::{Inode, Medium};

/// How long operations take, in microseconds: from the least to the most. Timers of the simulated servers go in whole
/// milliseconds, so what takes less still ends at the next of them.
const APPEND: (u64, u64) = (50, 200);
const SYNC: (u64, u64) = (1_000, 8_000);
const OTHERS: (u64, u64) = (50, 150);

/// When each operation of a disk that changes anything took effect, and what it is called.
pub(crate) type DiskOperations = Vec<(Duration, &'static str)>;

/// The disks of all servers; none if the scenario has no disks.
#[derive(Clone, Debug, Default)]
pub(super) struct Disks(Arc<Vec<SimDisk>>);

impl Disks {
    pub(super) fn new(scenario: &Scenario) -> Self {
        if scenario.disks.is_none() {
            return Self::default();
        }
        let servers = scenario.herd.servers().iter();
        let seed = scenario.seed.first();
        let disks = servers.map(|server| SimDisk::new(seed, &server.name));
        Self(Arc::new(disks.collect()))
    }

    /// Where a server's records are on disk, if it has one.
    pub(super) fn data(&self, scenario: &Scenario, server: ServerId) -> Option<Data> {
        let settings = scenario.disks?;
        let disk = Arc::new(self.of(server)?.clone());
        Some(Data {
            durability: settings.durability,
            snapshot_after: settings.snapshot_after,
            ..Data::new(disk)
        })
    }

    pub(super) fn of(&self, server: ServerId) -> Option<&SimDisk> {
        self.0.get(server.index())
    }

    /// When each operation of a disk that changes anything took effect, and what it is called.
    pub(super) fn operations(&self) -> DiskOperations {
        let all = self.0.iter();
        all.flat_map(|disk| std::mem::take(&mut disk.state().operations))
            .collect()
    }

    /// Draws from another seed from now on.
    pub(super) fn redraw(&self, seed: u64) {
        self.0.iter().for_each(|disk| disk.redraw(seed));
    }
}

/// The disk of one server.
#[derive(Clone)]
pub(super) struct SimDisk(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// Wakes operations that wait until the disk goes on. It wakes them in the order in which they came.
    goes_on: Notify,
}

struct State {
    medium: Medium,
    seed: u64,
    owner: String,
    /// What is wrong with it.
    fault: Option<DiskFault>,
    /// How many operations any fault has affected so far.
    affected: u64,
    /// When each operation that changes anything took effect, and what it is called.
    operations: DiskOperations,
}

impl fmt::Debug for SimDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the disk of {}", self.state().owner)
    }
}

impl SimDisk {
    pub(super) fn new(seed: u64, owner: &str) -> Self {
        Self(Arc::new(Shared {
            state: Mutex::new(State {
                medium: Medium::default(),
                seed,
                owner: owner.to_owned(),
                fault: None,
                affected: 0,
                operations: Vec::new(),
            }),
            goes_on: Notify::new(),
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Draws from another seed from now on.
    fn redraw(&self, seed: u64) {
        self.state().seed = seed;
    }

    /// Begins a fault, or ends the one that there is.
    pub(super) fn set(&self, fault: Option<DiskFault>) {
        self.state().fault = fault;
        self.0.goes_on.notify_waiters();
    }

    /// How many operations any fault has affected so far.
    pub(super) fn affected(&self) -> u64 {
        self.state().affected
    }

    /// The machine has lost its power at this moment. Its process is gone.
    pub(super) fn power_lost(&self, now: Duration) -> Lost {
        let mut state = self.state();
        let mut rng = state.generator("power", now);
        state.medium.power_lost(&mut rng)
    }

    /// Flips bits of what is on the disk at this moment; returns how many.
    pub(super) fn rot(&self, bits: u32, now: Duration) -> u64 {
        let mut state = self.state();
        let mut rng = state.generator("rot", now);
        state.medium.rot(bits, &mut rng)
    }

    /// An operation that does this when it begins, and this when it has taken its time.
    async fn operate<T, U>(
        &self,
        time: (u64, u64),
        begin: impl FnOnce(&mut State) -> io::Result<T>,
        end: impl FnOnce(&mut State, T) -> U,
    ) -> io::Result<U> {
        let was_stalled = self.not_stalled(false).await;
        let (takes, begun) = {
            let mut state = self.state();
            let takes = state.draw("time").random_range(time.0..=time.1);
            (Duration::from_micros(takes), begin(&mut state))
        };
        sleep(takes).await;
        self.not_stalled(was_stalled).await;
        Ok(end(&mut self.state(), begun?))
    }

    /// Waits until the disk goes on, if it stalls. An operation that `was_stalled` is counted already. Whether it is.
    async fn not_stalled(&self, mut was_stalled: bool) -> bool {
        loop {
            let mut goes_on = std::pin::pin!(self.0.goes_on.notified());
            // Whoever waits from here on hears of an end of the stall that comes before the wait.
            goes_on.as_mut().enable();
            {
                let mut state = self.state();
                if state.fault != Some(DiskFault::Stalls) {
                    return was_stalled;
                }
                state.affected += u64::from(!was_stalled);
                was_stalled = true;
            }
            goes_on.await;
        }
    }
}

impl State {
    /// What is drawn from for one purpose at one moment. So what happens at a moment follows from nothing that was
    /// drawn before, and a failure of power takes much the same when a step before it is left out.
    fn generator(&self, purpose: &str, now: Duration) -> ChaCha8Rng {
        let Self { seed, owner, .. } = self;
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        stream(*seed, &format!("{owner}'s disk: {purpose}"), now)
    }

    /// What an operation that begins now draws from.
    fn draw(&self, purpose: &str) -> ChaCha8Rng {
        self.generator(purpose, elapsed().unwrap_or_default())
    }

    /// An error, if operations of this kind fail.
    fn check(&mut self, operation: DiskOperation) -> io::Result<()> {
        if self.fault != Some(DiskFault::Fails(operation)) {
            return Ok(());
        }
        self.affected += 1;
        Err(io::Error::other("input/output error"))
    }

    /// An operation takes effect now.
    fn done(&mut self, operation: &'static str) {
        let now = elapsed().unwrap_or_default();
        self.operations.push((now, operation));
    }

    fn append(&mut self, file: &str, bytes: &[u8]) -> io::Result<()> {
        self.done("append");
        let failure = match self.fault {
            Some(DiskFault::Full) => io::Error::from(io::ErrorKind::StorageFull),
            Some(DiskFault::Fails(DiskOperation::Write)) => io::Error::other("input/output error"),
            Some(DiskFault::Misdirects) => {
                let mut rng = self.draw("place");
                let missed = self.medium.misdirect(file, bytes, &mut rng);
                self.affected += u64::from(missed);
                return Ok(());
            }
            _ => {
                self.medium.append(file, bytes);
                return Ok(());
            }
        };
        self.affected += 1;
        let written = self.draw("part").random_range(0..=bytes.len());
        self.medium.append(file, &bytes[..written]);
        Err(failure)
    }

    /// Begins a sync, unless it fails or is a lie. Of what fails, nothing ever reaches the disk, and nobody is told of
    /// it again.
    fn sync(&mut self, file: &str) -> io::Result<Option<(Inode, u64)>> {
        let inode = self.medium.find(file).ok_or(io::ErrorKind::NotFound)?;
        self.check(DiskOperation::Sync)
            .inspect_err(|_| self.medium.drop_pending(inode))?;
        let lies = self.lies();
        Ok((!lies).then(|| (inode, self.medium.last())))
    }

    fn sync_names(&mut self) -> io::Result<Option<u64>> {
        self.check(DiskOperation::Sync)
            .inspect_err(|_| self.medium.drop_changes())?;
        let lies = self.lies();
        Ok((!lies).then(|| self.medium.last()))
    }

    fn lies(&mut self) -> bool {
        let lies = self.fault == Some(DiskFault::Lies);
        self.affected += u64::from(lies);
        lies
    }
}

/// An error where there is no such file.
fn found(was_there: bool) -> io::Result<()> {
    let missing = || io::ErrorKind::NotFound.into();
    was_there.then_some(()).ok_or_else(missing)
}

impl Disk for SimDisk {
    fn list(&self) -> Done<'_, Vec<String>> {
        done(self.operate(
            OTHERS,
            |state| {
                state.check(DiskOperation::Read)?;
                Ok(state.medium.list())
            },
            |_, names| names,
        ))
    }

    fn read<'a>(&'a self, file: &'a str) -> Done<'a, Vec<u8>> {
        done(self.operate(
            OTHERS,
            |state| {
                state.check(DiskOperation::Read)?;
                let content = state.medium.read(file);
                Ok(content.ok_or(io::ErrorKind::NotFound)?)
            },
            |_, content| content,
        ))
    }

    fn append<'a>(&'a self, file: &'a str, bytes: &'a [u8]) -> Done<'a, ()> {
        done(self.operate(APPEND, |state| state.append(file, bytes), |_, ()| ()))
    }

    fn sync<'a>(&'a self, file: &'a str) -> Done<'a, ()> {
        done(self.operate(
            SYNC,
            |state| state.sync(file),
            |state, synced| {
                if let Some((inode, until)) = synced {
                    state.medium.sync(inode, until);
                    state.done("sync");
                }
            },
        ))
    }

    fn rename<'a>(&'a self, from: &'a str, to: &'a str) -> Done<'a, ()> {
        done(self.operate(
            OTHERS,
            |state| {
                state.check(DiskOperation::Write)?;
                state.done("rename");
                found(state.medium.rename(from, to))
            },
            |_, ()| (),
        ))
    }

    fn remove<'a>(&'a self, file: &'a str) -> Done<'a, ()> {
        done(self.operate(
            OTHERS,
            |state| {
                state.check(DiskOperation::Write)?;
                state.done("remove");
                found(state.medium.remove(file))
            },
            |_, ()| (),
        ))
    }

    fn sync_names(&self) -> Done<'_, ()> {
        done(self.operate(SYNC, State::sync_names, |state, until| {
            if let Some(until) = until {
                state.medium.sync_names(until);
                state.done("sync_names");
            }
        }))
    }
}

fn done<'a, T>(operation: impl Future<Output = io::Result<T>> + Send + 'a) -> Done<'a, T> {
    Box::pin(operation)
}

#[cfg(test)]
mod tests;

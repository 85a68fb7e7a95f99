//! Load for any herd that speaks the client protocol, and what comes of it.
//!
//! The requests follow from a seed ([`Plan`]); each answer is checked against its request. Times count from when a
//! request was sent or, at a fixed rate, from when it was *due*: a server that is frozen for a second then shows in
//! all the requests of that second, not in the one that happened to be under way.

mod answers;
mod body;
mod connect;
pub mod cpu;
mod probe;
mod schedule;
mod script;
mod totals;
mod worker;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use crate::herd::{Address, Name};
use crate::net::secure::CallerTls;

use totals::Totals;

pub use totals::{Cpu, Percentiles, Propagation, Summary};

/// A server to put under load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its name, if it is known: then nobody else may answer.
    pub name: Option<Name>,
    /// Where it listens for clients.
    pub address: Address,
}

/// Which load to put on which servers.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The servers. Connections are spread over them in turn.
    pub targets: Vec<Target>,
    /// Connections in all.
    pub connections: usize,
    /// Requests under way on each of them.
    pub window: usize,
    /// A connection for each request. Where a server ends connections behind their first answer, it comes to that anyway.
    pub reconnect: bool,
    /// How TLS is spoken, if it is,
    pub tls: Option<CallerTls>,
    /// and the name that each server's certificate must be for, if not for its name or else its host.
    pub tls_name: Option<String>,
    /// Requests a second in all; `None` for a closed loop.
    pub rate: Option<u64>,
    /// When it ends;
    pub duration: Option<Duration>,
    /// or after how many requests.
    pub count: Option<u64>,
    /// The percentage of requests that are WHATSAT.
    pub whatsat: u8,
    /// How long an answer, a connection or a probe may take.
    pub timeout: Duration,
    /// The number of updates a second that are followed to all servers.
    pub probes: u64,
    /// Processes whose processor time is of interest.
    pub pids: Vec<u32>,
    /// The seed from which all requests follow, but for their times.
    pub seed: u64,
}

/// A load under way.
pub struct Load {
    plan: Plan,
    began: Instant,
    /// What the processes had used before.
    cpu: Vec<(u32, Result<Duration, String>)>,
    totals: Mutex<Totals>,
    stop: AtomicBool,
}

impl Load {
    /// The load begins now; [`run`](Self::run) makes it.
    pub fn new(plan: Plan) -> Arc<Self> {
        let cpu = plan.pids.iter().map(|&pid| (pid, used(pid))).collect();
        Arc::new(Self {
            plan,
            began: Instant::now(),
            cpu,
            totals: Mutex::default(),
            stop: AtomicBool::new(false),
        })
    }

    /// Makes the load until it is over, and what is under way answered or given up.
    ///
    /// # Errors
    ///
    /// When something inside panicked, which only a bug can cause.
    pub async fn run(self: &Arc<Self>) -> Result<(), JoinError> {
        let mut tasks = JoinSet::new();
        for number in 0..self.plan.connections {
            tasks.spawn(worker::run(Arc::clone(self), number));
        }
        let mut probes = JoinSet::new();
        if self.plan.probes > 0 {
            probes.spawn(probe::run(Arc::clone(self)));
        }
        while let Some(ended) = tasks.join_next().await {
            ended?;
        }
        self.stop();
        while let Some(ended) = probes.join_next().await {
            ended?;
        }
        Ok(())
    }

    /// No more requests are sent; [`run`](Self::run) completes when what is under way is answered.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// The result so far.
    pub fn summary(&self) -> Summary {
        let cpu = self.cpu.iter().map(|(pid, before)| {
            let during = match (before, used(*pid)) {
                (Ok(before), Ok(after)) => {
                    let nanos = after.saturating_sub(*before).as_nanos();
                    Cpu::Used(u64::try_from(nanos).unwrap_or(u64::MAX))
                }
                (Err(why), _) => Cpu::Unknown(why.clone()),
                (_, Err(why)) => Cpu::Unknown(why),
            };
            (*pid, during)
        });
        Summary::new(&self.totals(), self.began, cpu.collect())
    }

    /// One line for a terminal.
    pub fn progress(&self) -> String {
        let totals = self.totals();
        let seconds = self.began.elapsed().as_secs();
        let percentile = |of_hundred| {
            let nanos = totals.iamat.percentile(of_hundred).as_nanos();
            totals::rounded(u64::try_from(nanos).unwrap_or(u64::MAX))
        };
        let (p50, p99) = (percentile(50.0), percentile(99.0));
        let Totals {
            wrong,
            lost,
            duplicate,
            ..
        } = *totals;
        let good = totals.good();
        drop(totals);
        format!(
            "{seconds}s  {good} answers, IAMAT p50 {p50} p99 {p99}, wrong {wrong}, lost {lost}, duplicate {duplicate}"
        )
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Only a panic elsewhere poisons the lock, and that ends the load anyway.
    fn totals(&self) -> MutexGuard<'_, Totals> {
        self.totals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn used(pid: u32) -> Result<Duration, String> {
    cpu::used(pid).map_err(|error| error.to_string())
}

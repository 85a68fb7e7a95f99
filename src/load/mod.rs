//! Load on any herd that implements the client protocol, and its results.
//!
//! The requests are derived from a seed ([`Plan`]), and each answer is checked against its request.
//! Latency counts from when a request was sent or, at a fixed rate, from when it was *due*. A
//! server that is frozen for a second then shows in all requests of that second, not only in one in
//! flight (coordinated omission).

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
    /// The server's name, if it is known. Then answers of another server are wrong.
    pub name: Option<Name>,
    /// The server's address for clients.
    pub address: Address,
}

/// The load, and the servers that it is for.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The servers. Connections are spread over them round-robin.
    pub targets: Vec<Target>,
    /// The number of connections in all.
    pub connections: usize,
    /// The number of requests in flight on each connection.
    pub window: usize,
    /// Whether each request gets its own connection. That also happens if a server closes
    /// connections after their first answer.
    pub reconnect: bool,
    /// The credentials for TLS, or `None` for plain TCP.
    pub tls: Option<CallerTls>,
    /// The name that every server's certificate must be for. By default it is the server's name, or
    /// else its host.
    pub tls_name: Option<String>,
    /// The requests per second in all, or `None` for a closed loop.
    pub rate: Option<u64>,
    /// The time after which the load ends.
    pub duration: Option<Duration>,
    /// The number of requests after which the load ends.
    pub count: Option<u64>,
    /// The percentage of requests that are WHATSAT.
    pub whatsat: u8,
    /// The time limit for an answer, a connect, or a probe.
    pub timeout: Duration,
    /// The number of updates per second that are followed to all servers.
    pub probes: u64,
    /// The processes whose CPU time is reported.
    pub pids: Vec<u32>,
    /// The seed of all requests, except for their times.
    pub seed: u64,
}

/// A running load.
pub struct Load {
    plan: Plan,
    began: Instant,
    /// The CPU time of each process before the load.
    cpu: Vec<(u32, Result<Duration, String>)>,
    totals: Mutex<Totals>,
    stop: AtomicBool,
}

impl Load {
    /// Creates a load, whose clock starts now. [`run`](Self::run) performs it.
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

    /// Runs the load until it ends and every request in flight is answered or lost.
    ///
    /// # Errors
    ///
    /// When a task panicked, which only a bug can cause.
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

    /// Stops sending requests. [`run`](Self::run) completes when those in flight are answered or
    /// lost.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// The results so far.
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

    /// The results so far, in one line for a terminal.
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

    /// Locks the totals. Only a panic elsewhere poisons the lock, and that ends the load anyway.
    fn totals(&self) -> MutexGuard<'_, Totals> {
        self.totals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn used(pid: u32) -> Result<Duration, String> {
    cpu::used(pid).map_err(|error| error.to_string())
}

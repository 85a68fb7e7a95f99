//! The servers' own events, fetched while they run.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::admin::{JOURNAL, JournalLine, get};
use crate::herd::{Address, Name};
use crate::journal::ConnId;
use crate::live::relay::Pair;
use crate::net::tokio::TokioNet;
use crate::sim::outside::Recorder;

/// How many events a server keeps until they are fetched.
pub(super) const KEPT: usize = 200_000;

/// The pause between two fetches from a server.
const PAUSE: Duration = Duration::from_millis(50);

/// How long a server may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// What one process of a server recorded.
pub(super) struct Process {
    pub(super) server: Name,
    pub(super) lines: Vec<JournalLine>,
    /// How many lines were lost, because they were not fetched in time.
    pub(super) dropped: u64,
    /// How many lines were fetched or lost.
    after: u64,
    /// Whether it has ended, so that nothing more is to come.
    is_over: bool,
}

/// What all processes recorded, and what tells which connections belong together.
#[derive(Default)]
pub(super) struct Fetched {
    pub(super) processes: Vec<Process>,
    /// The harness's own connections, by the address from which each was dialled, and to which. A system has several
    /// connections to different addresses from one port.
    pub(super) dialled: BTreeMap<(SocketAddr, SocketAddr), ConnId>,
    /// The connections through relays.
    pub(super) pairs: Vec<Pair>,
}

impl Fetched {
    /// How many lines were lost.
    pub(super) fn dropped(&self) -> u64 {
        self.processes.iter().map(|process| process.dropped).sum()
    }
}

/// The events of all servers so far.
#[derive(Clone, Default)]
pub(super) struct Journals(Arc<Mutex<Fetched>>);

impl Journals {
    pub(super) fn inner(&self) -> MutexGuard<'_, Fetched> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A process of a server begins: its number.
    pub(super) fn begin(&self, server: Name) -> usize {
        let mut inner = self.inner();
        inner.processes.push(Process {
            server,
            lines: Vec::new(),
            dropped: 0,
            after: 0,
            is_over: false,
        });
        inner.processes.len() - 1
    }

    /// Nothing more is fetched from a process.
    pub(super) fn end(&self, number: usize) {
        self.inner().processes[number].is_over = true;
    }

    /// Fetches what a process has recorded since the last time. Returns whether there may be more.
    pub(super) async fn fetch(
        &self,
        number: usize,
        at: &Address,
        recorder: Option<&Recorder>,
    ) -> bool {
        let after = self.inner().processes[number].after;
        let path = format!("{JOURNAL}?after={after}");
        let Ok(reply) = get(&TokioNet, at, &path, PATIENCE).await else {
            return false;
        };
        let text = String::from_utf8_lossy(&reply.body);
        let read = text.lines().map(serde_json::from_str::<JournalLine>);
        let Ok(lines) = read.collect::<Result<Vec<_>, _>>() else {
            return false;
        };
        let mut inner = self.inner();
        let process = &mut inner.processes[number];
        if process.is_over {
            return false;
        }
        // Another fetch was faster.
        if process.after != after {
            return true;
        }
        let mut has_more = false;
        for line in lines {
            match line {
                JournalLine::Next { after, dropped } => {
                    process.after = after;
                    process.dropped += dropped;
                }
                line => {
                    if let (JournalLine::Event(event), Some(recorder)) = (&line, recorder) {
                        recorder.observe(&event.who, &event.what);
                    }
                    has_more = true;
                    process.lines.push(line);
                }
            }
        }
        has_more
    }

    /// Fetches everything that a process has recorded so far.
    pub(super) async fn drain(&self, number: usize, at: &Address, recorder: Option<&Recorder>) {
        let until = Instant::now() + PATIENCE;
        while self.fetch(number, at, recorder).await && Instant::now() < until {}
    }

    /// Fetches from a process until it has ended.
    pub(super) async fn follow(
        self,
        number: usize,
        at: Address,
        recorder: Recorder,
    ) -> Result<(), String> {
        while !self.inner().processes[number].is_over {
            self.fetch(number, &at, Some(&recorder)).await;
            sleep(PAUSE).await;
        }
        Ok(())
    }
}

//! Simulated clients: connect, write lines, read the answers, close. A connection with a name stays open for later steps.
//!
//! All clients of a scenario share one simulated host, because the cost of a simulation grows with
//! the cube of the number of hosts.

mod board;
mod pieces;
mod talk;

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_lite::future::or;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::net::SimNet;
use super::recorder::Recorder;
use super::time::takes;
use crate::herd::{Address, Name, ServerId};
use crate::journal::{Actor, CloseReason, EventId, EventKind, Journal};
use crate::net::Net as _;
use crate::scenario::{CLIENT_PATIENCE, ClientStep, Close, Line, LineId, Outcome, Rendered};

pub(super) use board::Board;

/// As whom a participant speaks that the scenario speaks for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Speaker {
    /// It speaks to the port for clients, and each of its lines is answered.
    Client,
    /// It speaks to the port for other servers. What comes is no answer to a certain line.
    Peer,
}

impl Speaker {
    fn actor(self, name: Name) -> Actor {
        match self {
            Self::Client => Actor::Client(name),
            Self::Peer => Actor::Peer(name),
        }
    }
}

/// What a client sends to one server in one repetition of a step.
#[derive(Clone)]
pub(super) struct Job {
    /// The step, as an index into the scenario's steps.
    pub(super) step: usize,
    pub(super) what: Arc<ClientStep>,
    pub(super) speaker: Speaker,
    pub(super) to: ServerId,
    pub(super) server: Name,
    pub(super) address: Address,
    /// The number of the repetition, from 1.
    pub(super) repetition: u32,
}

/// A connection that later jobs write on: whose it is, its name, and where it leads.
type Key = (Name, Name, ServerId);

/// Performs all jobs, each connection in its own task, until the driver is gone.
pub(super) async fn run(
    net: SimNet,
    mut jobs: mpsc::UnboundedReceiver<Job>,
    board: Board,
    recorder: Recorder,
) -> Result<(), String> {
    let mut tasks: JoinSet<()> = JoinSet::new();
    let mut kept: BTreeMap<Key, mpsc::UnboundedSender<Job>> = BTreeMap::new();
    loop {
        let ended = async {
            match tasks.join_next().await {
                Some(ended) => Some(Err(ended)),
                None => std::future::pending().await,
            }
        };
        let job = async { jobs.recv().await.map(Ok) };
        let job = match or(ended, job).await {
            None => return Ok(()),
            Some(Err(ended)) => {
                ended.map_err(|error| error.to_string())?;
                continue;
            }
            Some(Ok(job)) => job,
        };
        let key = job.key();
        let closes = job.closes().is_some();
        let job = match key.as_ref().and_then(|key| kept.get(key)) {
            Some(give) => match give.send(job) {
                Ok(()) => None,
                Err(mpsc::error::SendError(job)) => Some(job),
            },
            None => Some(job),
        };
        if let Some(job) = job {
            let client = Client {
                net: net.clone(),
                journal: recorder.journal(job.speaker.actor(job.what.client.clone())),
                board: board.clone(),
            };
            let (give, later) = mpsc::unbounded_channel();
            tasks.spawn(async move { client.perform(job, later).await });
            if let Some(key) = key.clone() {
                kept.insert(key, give);
            }
        }
        // Who names the connection again after its close opens another.
        if let Some(key) = key.filter(|_| closes) {
            kept.remove(&key);
        }
    }
}

/// A client with one connection.
struct Client {
    net: SimNet,
    journal: Arc<dyn Journal>,
    board: Board,
}

/// Why there is no connection: the event that says so, and the reason.
type Over = (EventId, CloseReason);

impl Client {
    /// Performs a job and those that follow on the same connection, until none follows any more.
    async fn perform(&self, first: Job, mut later: mpsc::UnboundedReceiver<Job>) {
        let mut next = Some(first);
        let mut over: Option<Over> = None;
        loop {
            let job = match next.take() {
                Some(job) => job,
                None => match later.recv().await {
                    Some(job) => job,
                    None => return,
                },
            };
            if let Some(over) = over.as_ref().filter(|_| !job.what.connection.reconnects) {
                self.fail(&job, over);
                continue;
            }
            let connected =
                match timeout(takes(CLIENT_PATIENCE), self.net.connect(&job.address)).await {
                    Ok(Ok(connection)) => Ok(connection),
                    Ok(Err(error)) => Err((&error).into()),
                    Err(_) => Err(CloseReason::Silent),
                };
            over = Some(match connected {
                Ok(connection) => self.converse(job, &mut later, connection).await,
                Err(why) => {
                    let to = job.server.clone();
                    let failed = EventKind::ConnectFailed {
                        to,
                        why: why.clone(),
                    };
                    let over = (self.journal.record(None, failed), why);
                    self.fail(&job, &over);
                    // Those that came meanwhile waited for this attempt.
                    while let Ok(job) = later.try_recv() {
                        self.fail(&job, &over);
                    }
                    over
                }
            });
        }
    }

    /// Gives up a job that has no connection.
    fn fail(&self, job: &Job, (event, why): &Over) {
        for (index, line) in job.lines(&self.net).iter().enumerate() {
            job.unanswered(line, Some(*event), &*self.journal);
            self.board.tell(Outcome {
                lost: Some(why.clone()),
                ..job.outcome(index, None)
            });
        }
        self.board.answered();
        self.board.end();
    }
}

impl Job {
    /// The connection on which other jobs write, too, if it has a name.
    fn key(&self) -> Option<Key> {
        let name = self.what.connection.name.clone()?;
        Some((self.what.client.clone(), name, self.to))
    }

    /// Whether something is awaited after a line: always by a client, and by a peer where the scenario says so.
    fn awaits(&self, line: usize) -> bool {
        let is_said = |line: &Line| line.reply.is_some() || self.what.no_reply;
        self.speaker == Speaker::Client || self.what.lines.get(line).is_some_and(is_said)
    }

    /// Whether a line that comes is what is awaited after the line that was sent: anything for a client, since answers
    /// come in the order of the lines.
    fn is_awaited(&self, line: usize, sent: &Rendered, comes: &[u8]) -> bool {
        let reply = self
            .what
            .lines
            .get(line)
            .and_then(|line| line.reply.as_ref());
        self.speaker == Speaker::Client
            || reply.is_none_or(|reply| reply.matches(comes, self.repetition, sent.sent.as_deref()))
    }

    /// When the client closes the connection after this job, if it does.
    fn closes(&self) -> Option<Close> {
        let is_last = self.repetition == self.what.times;
        self.what.connection.closes(is_last)
    }

    /// The lines to send now. The client's clock is read only if a line contains it, so that a skew
    /// without a reader has no effect.
    fn lines(&self, net: &SimNet) -> Vec<Rendered> {
        let lines = self.what.lines.iter();
        let now = if lines.clone().any(|line| line.send.has_clock()) {
            net.client_now(&self.what.client).as_nanos().unsigned_abs()
        } else {
            0
        };
        lines
            .map(|line| line.send.render(self.repetition, now))
            .collect()
    }

    fn unanswered(&self, line: &Rendered, cause: Option<EventId>, journal: &dyn Journal) {
        let to = self.server.clone();
        let line = line.bytes.as_slice().into();
        journal.record(cause, EventKind::Unanswered { to, line });
    }

    /// The outcome of a line without an answer, which is no longer awaited.
    fn outcome(&self, line: usize, sent: Option<EventId>) -> Outcome {
        Outcome {
            line: LineId {
                step: self.step,
                to: self.to,
                repetition: self.repetition,
                line,
            },
            sent,
            clock: None,
            answer: None,
            lost: None,
            waits: false,
        }
    }
}

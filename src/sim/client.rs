//! Simulated clients: connect, write some lines at once, read the answers, close.
//!
//! All clients of a scenario share one simulated host, because the cost of a simulation grows with
//! the cube of the number of hosts.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_lite::future::or;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::net::{SimNet, SimStream};
use super::recorder::Recorder;
use crate::herd::{Address, Name, ServerId};
use crate::journal::{Actor, CloseReason, ConnId, End, EventId, EventKind, Journal, PeerRole};
use crate::net::{Connection, Net};
use crate::protocol::answers::Answers;
use crate::scenario::{CLIENT_PATIENCE, ClientStep, LineId, Outcome, Rendered};

/// One connection of a client to one server.
#[derive(Clone)]
pub(super) struct Job {
    /// The step, as an index into the scenario's steps.
    pub(super) step: usize,
    pub(super) what: Arc<ClientStep>,
    pub(super) to: ServerId,
    pub(super) server: Name,
    pub(super) address: Address,
    /// The number of the repetition, from 1.
    pub(super) repetition: u32,
}

/// Where the driver puts jobs, and finds their outcomes: each one as soon as it is known, since a run may end at any
/// moment.
#[derive(Clone, Default)]
pub(super) struct Board(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    outcomes: BTreeMap<LineId, Outcome>,
    /// Jobs that are not over: of clients that wait, or have not closed yet.
    pending: usize,
    /// The number of jobs with an answer outstanding.
    waiting: usize,
}

impl Board {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of jobs that are not finished.
    pub(super) fn pending(&self) -> usize {
        self.inner().pending
    }

    /// The number of jobs with an answer outstanding.
    pub(super) fn waiting(&self) -> usize {
        self.inner().waiting
    }

    /// Counts a job that was sent to the clients' host.
    pub(super) fn begin(&self) {
        let mut inner = self.inner();
        inner.pending += 1;
        inner.waiting += 1;
    }

    /// Stores the current outcome of a line.
    fn tell(&self, outcome: Outcome) {
        self.inner().outcomes.insert(outcome.line, outcome);
    }

    /// Counts a job whose answers have all arrived or been given up.
    fn answered(&self) {
        self.inner().waiting -= 1;
    }

    /// Counts a job that is finished.
    fn end(&self) {
        self.inner().pending -= 1;
    }

    /// Takes the outcomes of all lines, including those that could not be sent.
    pub(super) fn take(&self) -> Vec<Outcome> {
        std::mem::take(&mut self.inner().outcomes)
            .into_values()
            .collect()
    }
}

/// Performs all jobs, each in its own task, until the driver is gone.
pub(super) async fn run(
    net: SimNet,
    mut jobs: mpsc::UnboundedReceiver<Job>,
    board: Board,
    recorder: Recorder,
) -> Result<(), String> {
    let mut tasks: JoinSet<()> = JoinSet::new();
    loop {
        let ended = async {
            match tasks.join_next().await {
                Some(ended) => Some(Err(ended)),
                None => std::future::pending().await,
            }
        };
        let job = async { jobs.recv().await.map(Ok) };
        match or(ended, job).await {
            None => return Ok(()),
            Some(Err(ended)) => ended.map_err(|error| error.to_string())?,
            Some(Ok(job)) => {
                let journal = recorder.journal(Actor::Client(job.what.client.clone()));
                let board = board.clone();
                let net = net.clone();
                tasks.spawn(async move {
                    perform(&net, &job, &*journal, &board).await;
                    board.end();
                });
            }
        }
    }
}

async fn perform(net: &SimNet, job: &Job, journal: &dyn Journal, board: &Board) {
    let connected = match timeout(CLIENT_PATIENCE, net.connect(&job.address)).await {
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(error)) => Err((&error).into()),
        Err(_) => Err(CloseReason::Silent),
    };
    match connected {
        Ok(connection) => converse(net, job, connection, journal, board).await,
        Err(why) => {
            let to = job.server.clone();
            let failed = journal.record(None, EventKind::ConnectFailed { to, why });
            for (index, line) in job.lines(net).iter().enumerate() {
                job.unanswered(line, Some(failed), journal);
                board.tell(job.outcome(index, None));
            }
            board.answered();
        }
    }
}

async fn converse(
    net: &SimNet,
    job: &Job,
    connection: Connection<SimStream>,
    journal: &dyn Journal,
    board: &Board,
) {
    let conn = journal.open(End::Dialler, connection.local, connection.remote);
    let with = PeerRole::Server(job.server.clone());
    let end = End::Dialler;
    journal.record(None, EventKind::Opened { conn, end, with });
    let mut stream = connection.stream;
    let lines = job.lines(net);
    let mut outcomes: Vec<Outcome> = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let text = line.bytes.as_slice().into();
        let sent = journal.record(None, EventKind::LineOut { conn, line: text });
        let outcome = Outcome {
            clock: line.sent.clone(),
            waits: true,
            ..job.outcome(index, Some(sent))
        };
        board.tell(outcome.clone());
        outcomes.push(outcome);
    }
    let text: Vec<u8> = lines
        .iter()
        .flat_map(|line| [&line.bytes, &b"\n"[..]].concat())
        .collect();
    let mut why = match stream.write_all(&text).await {
        Ok(()) => CloseReason::Ended,
        Err(error) => (&error).into(),
    };
    let mut answers = Answers::default();
    let deadline = tokio::time::Instant::now() + CLIENT_PATIENCE;
    for (line, outcome) in lines.iter().zip(outcomes) {
        let answer = next_answer(&mut answers, &mut stream, &line.bytes);
        let answer = match tokio::time::timeout_at(deadline, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                why = (&error).into();
                None
            }
            Err(_) => {
                why = CloseReason::Silent;
                None
            }
        };
        match &answer {
            Some(answer) => {
                let line = answer.as_slice().into();
                journal.record(None, EventKind::LineIn { conn, line });
            }
            None => job.unanswered(line, outcome.sent, journal),
        }
        board.tell(Outcome {
            answer,
            waits: false,
            ..outcome
        });
    }
    board.answered();
    finish(&mut stream, answers, conn, journal).await;
    journal.record(None, EventKind::Closed { conn, why });
}

/// Half-closes and reads to the end. A server must send nothing more then; if it does, the bytes
/// are recorded.
async fn finish(stream: &mut SimStream, mut answers: Answers, conn: ConnId, journal: &dyn Journal) {
    let _ = stream.shutdown().await;
    let reading = async {
        while let Ok(read) = stream.read_buf(answers.buffer()).await {
            if read == 0 {
                break;
            }
        }
    };
    let _ = timeout(CLIENT_PATIENCE, reading).await;
    if !answers.rest().is_empty() {
        let line = answers.rest().into();
        journal.record(None, EventKind::LineIn { conn, line });
    }
}

impl Job {
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
            waits: false,
        }
    }
}

/// The next answer without its last line feeds; `None` at the end of the stream.
async fn next_answer(
    answers: &mut Answers,
    stream: &mut SimStream,
    line: &[u8],
) -> std::io::Result<Option<Vec<u8>>> {
    loop {
        if let Some(answer) = answers.next(line) {
            return Ok(Some(answer.text));
        }
        if stream.read_buf(answers.buffer()).await? == 0 {
            return Ok(None);
        }
    }
}

//! A client on its connection: it writes what its jobs say, and reads answers in the order of the lines.
//!
//! Writing and reading go on side by side in one task, so a client whose writes wait still reads.

use std::collections::VecDeque;
use std::future::{Future as _, pending, poll_fn};
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use futures_lite::future::or;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf, split};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};

use super::pieces::{Piece, pieces};
use super::{Client, Job, Over, Speaker};
use crate::journal::{CloseReason, ConnId, End, EventId, EventKind, PeerRole};
use crate::net::Connection;
use crate::protocol::answers::Answers;
use crate::scenario::{CLIENT_PATIENCE, Close, Outcome, Rendered};
use crate::sim::net::SimStream;
use crate::sim::time::takes;

/// A line whose answer has not arrived.
struct Line {
    /// Its job, as an index.
    job: usize,
    rendered: Rendered,
    outcome: Outcome,
    /// Whether anything is awaited after it.
    is_awaited: bool,
    /// When the client gives up waiting.
    deadline: Instant,
    /// Whether it did. Its answer may still come, before those of later lines.
    is_given_up: bool,
}

/// A job that was begun.
struct Begun {
    job: Job,
    /// The number of its lines that are neither answered nor given up.
    open: usize,
    /// Whether it is over only when the connection is closed.
    closes: bool,
}

/// What writing and reading share.
struct State {
    jobs: Vec<Begun>,
    waiting: VecDeque<Line>,
    /// Nothing is read before.
    reads_from: Instant,
    /// Whether no job follows, so that the connection is closed once nothing is waited for.
    is_last: bool,
    why: CloseReason,
}

/// How a conversation ends.
enum Ending {
    /// Everything is answered or given up, or the other end sends no more.
    Read,
    /// The client resets the connection.
    Reset,
}

/// Why lines that a client resets have no answer.
const RESET: CloseReason = CloseReason::Failed(std::borrow::Cow::Borrowed("reset by the client"));

struct Talk<'a> {
    client: &'a Client,
    speaker: Speaker,
    conn: ConnId,
    state: Mutex<State>,
}

impl Client {
    /// Performs a job and later ones on a connection until it is closed, and says why it is.
    pub(super) async fn converse(
        &self,
        first: Job,
        later: &mut mpsc::UnboundedReceiver<Job>,
        connection: Connection<SimStream>,
    ) -> Over {
        let end = End::Dialler;
        let conn = self.journal.open(end, connection.local, connection.remote);
        let with = PeerRole::Server(first.server.clone());
        self.journal
            .record(None, EventKind::Opened { conn, end, with });
        if let Some(kilobytes) = first.what.connection.receive_buffer {
            connection.stream.limit_buffer(kilobytes as usize * 1024);
        }
        let talk = Talk {
            client: self,
            speaker: first.speaker,
            conn,
            state: Mutex::new(State {
                jobs: Vec::new(),
                waiting: VecDeque::new(),
                reads_from: Instant::now(),
                is_last: false,
                why: CloseReason::Ended,
            }),
        };
        let mut answers = Answers::default();
        let (mut reader, mut writer) = split(connection.stream);
        let ending = or(
            talk.write(first, later, &mut writer),
            talk.read(&mut reader, &mut answers),
        );
        let ending = ending.await;
        talk.end(ending, reader.unsplit(writer), answers).await
    }
}

impl Talk<'_> {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what the jobs say, one after the other. It comes back only if nothing is to be read any more.
    async fn write(
        &self,
        first: Job,
        later: &mut mpsc::UnboundedReceiver<Job>,
        writer: &mut WriteHalf<SimStream>,
    ) -> Ending {
        let mut next = Some(first);
        loop {
            let job = match next.take() {
                Some(job) => job,
                None => match later.recv().await {
                    Some(job) => job,
                    // The run is over.
                    None => pending().await,
                },
            };
            let close = job.closes();
            let (pieces, deadline) = self.begin(job);
            for piece in pieces {
                if !piece.after.is_zero() {
                    sleep(takes(piece.after)).await;
                }
                self.send(piece.lines);
                match timeout_at(deadline, writer.write_all(&piece.text)).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => {
                        // What was answered before can still be read.
                        self.no_more((&error).into());
                        return pending().await;
                    }
                    // Half a line may be written, which must not count as one when the connection ends.
                    Err(_) => {
                        self.state().why = CloseReason::Slow;
                        return Ending::Reset;
                    }
                }
            }
            match close {
                None => continue,
                Some(Close::Answered) => {}
                Some(Close::Written) => {
                    let _ = writer.shutdown().await;
                }
                Some(Close::Reset) => {
                    self.state().why = RESET;
                    return Ending::Reset;
                }
            }
            self.state().is_last = true;
            return pending().await;
        }
    }

    /// No further line is written.
    fn no_more(&self, why: CloseReason) {
        let mut state = self.state();
        state.why = why;
        state.is_last = true;
    }

    /// Begins a job: what is to be written, and until when.
    fn begin(&self, job: Job) -> (Vec<Piece>, Instant) {
        let lines = job.lines(&self.client.net);
        let used = &job.what.connection;
        let pieces = pieces(&lines, used.unfinished);
        let pauses: Duration = pieces.iter().map(|piece| piece.after).sum();
        let now = Instant::now();
        let deadline = now + takes(pauses + used.reads_after + CLIENT_PATIENCE);
        let mut state = self.state();
        state.reads_from = state.reads_from.max(now + takes(used.reads_after));
        let number = state.jobs.len();
        let waiting = lines.into_iter().enumerate().map(|(index, rendered)| Line {
            job: number,
            is_awaited: job.awaits(index),
            outcome: Outcome {
                clock: rendered.sent.clone(),
                ..job.outcome(index, None)
            },
            rendered,
            deadline,
            is_given_up: false,
        });
        state.waiting.extend(waiting);
        let begun = Begun {
            open: job.what.lines.len(),
            closes: job.closes().is_some(),
            job,
        };
        if begun.open == 0 {
            self.settled(&begun);
        }
        state.jobs.push(begun);
        (pieces, deadline)
    }

    /// Records the next lines as sent.
    fn send(&self, lines: usize) {
        let mut state = self.state();
        let unsent = (state.waiting.iter_mut()).filter(|line| line.outcome.sent.is_none());
        for line in unsent.take(lines) {
            let text = line.rendered.bytes.as_slice().into();
            let conn = self.conn;
            let sent = (self.client.journal).record(None, EventKind::LineOut { conn, line: text });
            line.outcome.sent = Some(sent);
            self.client.board.tell(Outcome {
                waits: !line.is_given_up && line.is_awaited,
                ..line.outcome.clone()
            });
        }
        self.forget(&mut state);
    }

    /// Forgets lines of a peer after which nothing is awaited, or no more. A client still has the answer to each of
    /// its lines before those to later ones.
    fn forget(&self, state: &mut State) {
        if self.speaker == Speaker::Client {
            return;
        }
        let is_over =
            |line: &Line| line.outcome.sent.is_some() && (line.is_given_up || !line.is_awaited);
        let all = std::mem::take(&mut state.waiting).into_iter();
        let (over, waiting): (VecDeque<Line>, VecDeque<Line>) = all.partition(is_over);
        state.waiting = waiting;
        for line in over.iter().filter(|line| !line.is_given_up) {
            self.settle(state, line.job);
        }
    }

    /// Reads answers until everything is answered or given up and no job follows, or until the other end sends no more.
    async fn read(&self, reader: &mut ReadHalf<SimStream>, answers: &mut Answers) -> Ending {
        let mut alarm = pin!(sleep_until(Instant::now()));
        loop {
            let read = poll_fn(|context| {
                let (is_over, reads_from, deadline) = {
                    let state = self.state();
                    (state.is_over(), state.reads_from, state.deadline())
                };
                if is_over {
                    return Poll::Ready(Some(Ok(0)));
                }
                let pause = (Instant::now() < reads_from).then_some(reads_from);
                if pause.is_none() {
                    let reading = pin!(reader.read_buf(answers.buffer()));
                    if let Poll::Ready(read) = reading.poll(context) {
                        return Poll::Ready(Some(read));
                    }
                }
                let Some(next) = pause.into_iter().chain(deadline).min() else {
                    return Poll::Pending;
                };
                alarm.as_mut().reset(next);
                alarm.as_mut().poll(context).map(|()| None)
            });
            match read.await {
                Some(Ok(0)) => return Ending::Read,
                Some(Ok(_)) => self.hear(answers),
                Some(Err(error)) => {
                    self.state().why = (&error).into();
                    return Ending::Read;
                }
                None => self.give_up(),
            }
        }
    }

    /// Takes the answers that have arrived whole.
    fn hear(&self, answers: &mut Answers) {
        if self.speaker == Speaker::Peer {
            return self.hear_server(answers.buffer());
        }
        let mut state = self.state();
        let (conn, journal) = (self.conn, &*self.client.journal);
        while let Some(line) = state.waiting.front()
            && line.outcome.sent.is_some()
            && let Some(answer) = answers.next(&line.rendered.bytes)
        {
            let text = answer.text.as_slice().into();
            journal.record(None, EventKind::LineIn { conn, line: text });
            if let Some(line) = state.waiting.pop_front().filter(|line| !line.is_given_up) {
                self.client.board.tell(Outcome {
                    answer: Some(answer.text),
                    ..line.outcome
                });
                self.settle(&mut state, line.job);
            }
        }
        let is_asked = state
            .waiting
            .front()
            .is_some_and(|line| line.outcome.sent.is_some());
        if !is_asked && !state.is_last && !answers.rest().is_empty() {
            let line = answers.rest().into();
            journal.record(None, EventKind::LineIn { conn, line });
            answers.buffer().clear();
        }
    }

    /// Takes the lines that a server has sent whole to a peer. What is not awaited is skipped.
    fn hear_server(&self, buffer: &mut Vec<u8>) {
        let mut state = self.state();
        let mut begin = 0;
        while let Some(length) = memchr::memchr(b'\n', &buffer[begin..]) {
            let comes = &buffer[begin..begin + length];
            begin += length + 1;
            let (conn, line) = (self.conn, comes.into());
            (self.client.journal).record(None, EventKind::LineIn { conn, line });
            let State { jobs, waiting, .. } = &*state;
            let is_it = waiting.front().is_some_and(|line| {
                let job = &jobs[line.job].job;
                let number = line.outcome.line.line;
                line.outcome.sent.is_some() && job.is_awaited(number, &line.rendered, comes)
            });
            if is_it && let Some(line) = state.waiting.pop_front() {
                self.client.board.tell(Outcome {
                    answer: Some(comes.to_vec()),
                    ..line.outcome
                });
                self.settle(&mut state, line.job);
            }
        }
        buffer.drain(..begin);
    }

    /// Gives up the lines whose time is over.
    fn give_up(&self) {
        let now = Instant::now();
        self.lose(&CloseReason::Silent, None, |line| line.deadline <= now);
    }

    /// Gives up lines, for a reason that an event shows where a line was not sent.
    fn lose(&self, why: &CloseReason, event: Option<EventId>, whose: impl Fn(&Line) -> bool) {
        let mut state = self.state();
        let mut lost = Vec::new();
        let State { jobs, waiting, .. } = &mut *state;
        for line in waiting.iter_mut().filter(|line| !line.is_given_up) {
            if whose(line) {
                line.is_given_up = true;
                let (job, cause) = (&jobs[line.job].job, line.outcome.sent.or(event));
                job.unanswered(&line.rendered, cause, &*self.client.journal);
                self.client.board.tell(Outcome {
                    lost: Some(why.clone()),
                    ..line.outcome.clone()
                });
                lost.push(line.job);
            }
        }
        for job in lost {
            self.settle(&mut state, job);
        }
        self.forget(&mut state);
    }

    /// One more line of a job is answered or given up.
    fn settle(&self, state: &mut State, job: usize) {
        let begun = &mut state.jobs[job];
        begun.open -= 1;
        if begun.open == 0 {
            self.settled(begun);
        }
    }

    /// No line of a job is waited for any more.
    fn settled(&self, begun: &Begun) {
        self.client.board.answered();
        if !begun.closes {
            self.client.board.end();
        }
    }

    /// Closes the connection.
    async fn end(&self, ending: Ending, mut stream: SimStream, mut answers: Answers) -> Over {
        let why = {
            let state = self.state();
            let is_silent = state.is_over() && !state.waiting.is_empty();
            if is_silent {
                CloseReason::Silent
            } else {
                state.why.clone()
            }
        };
        self.lose(&why, None, |line| line.outcome.sent.is_some());
        match ending {
            Ending::Read => self.finish(&mut stream, &mut answers).await,
            Ending::Reset => stream.reset(),
        }
        let (conn, reason) = (self.conn, why.clone());
        let closed = EventKind::Closed { conn, why: reason };
        let closed = self.client.journal.record(None, closed);
        // What was still to be written never is.
        self.lose(&why, Some(closed), |_| true);
        for _ in self.state().jobs.iter().filter(|begun| begun.closes) {
            self.client.board.end();
        }
        (closed, why)
    }

    /// Half-closes and reads to the end. A server must send nothing more then; if it does, the bytes
    /// are recorded.
    async fn finish(&self, stream: &mut SimStream, answers: &mut Answers) {
        let _ = stream.shutdown().await;
        let reading = async {
            while let Ok(read) = stream.read_buf(answers.buffer()).await {
                if read == 0 {
                    break;
                }
                if self.speaker == Speaker::Peer {
                    self.hear_server(answers.buffer());
                }
            }
        };
        let _ = timeout(takes(CLIENT_PATIENCE), reading).await;
        if !answers.rest().is_empty() {
            let (conn, line) = (self.conn, answers.rest().into());
            self.client
                .journal
                .record(None, EventKind::LineIn { conn, line });
        }
    }
}

impl State {
    /// Whether nothing is waited for, and nothing will be.
    fn is_over(&self) -> bool {
        self.is_last && self.waiting.iter().all(|line| line.is_given_up)
    }

    /// When the next line is given up.
    fn deadline(&self) -> Option<Instant> {
        let waiting = self.waiting.iter().filter(|line| !line.is_given_up);
        waiting.map(|line| line.deadline).min()
    }
}

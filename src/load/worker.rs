//! A worker sends requests over one connection after another. It writes all requests that have room
//! at once, and handles all answers of a read at once.
//!
//! Many servers close each connection after its first answer. A worker detects that, repeats the
//! requests that were in flight, and then uses one connection per request.

use std::collections::VecDeque;
use std::future::{Future, pending};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use futures_lite::future::or;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::{Instant, Sleep, sleep, sleep_until, timeout};

use super::answers::{Again, Answers, Endless};
use super::connect::{Stream, is_end};
use super::schedule::{Due, Schedule};
use super::script::{RequestKind, Script, push_request};
use super::totals::Totals;
use super::{Load, Target};
use crate::net::{Net as _, tokio::TokioNet};

/// The room for each read, in bytes.
const READ: usize = 64 * 1024;

/// The number of bytes at which no further request is added to a write.
const WRITE: usize = 64 * 1024;

/// The pause after a failed connection.
const PAUSE: Duration = Duration::from_millis(100);

/// How often a waiting worker checks whether the load was stopped.
const LOOK_UP: Duration = Duration::from_millis(200);

/// The resolution of timers. Shorter waits yield in a loop instead.
const TICK: Duration = Duration::from_millis(2);

/// Runs the worker with this number.
pub(super) async fn run(load: Arc<Load>, number: usize) {
    let plan = &load.plan;
    let target = &plan.targets[number % plan.targets.len()];
    let schedule = Schedule::new(
        number,
        plan.connections,
        plan.rate,
        plan.count,
        plan.duration,
    );
    let mut worker = Worker {
        load: &load,
        target,
        script: Script::new(plan.seed, number, plan.whatsat),
        schedule,
        one_each: plan.reconnect,
        owed: None,
        again: VecDeque::new(),
        connected: Instant::now(),
        ever: false,
    };
    while worker.has_more().await {
        worker.connection().await;
    }
}

struct Worker<'a> {
    load: &'a Load,
    target: &'a Target,
    script: Script,
    schedule: Schedule,
    /// Whether each request gets a connection of its own.
    one_each: bool,
    /// When a request was due that waits for a connection of its own.
    owed: Option<Instant>,
    /// Requests to repeat, because the server closed their connection after its first answer.
    again: VecDeque<Again>,
    /// When the last connection ended. Before the first one it is when the worker began.
    connected: Instant,
    /// Whether any connect has succeeded.
    ever: bool,
}

/// The result of waiting on a connection.
enum Next {
    Wrote(io::Result<usize>),
    Flushed(io::Result<()>),
    Read(io::Result<usize>),
    /// A request may be due, or an answer overdue.
    Time,
}

/// The reason why a connection ended.
enum End {
    /// All requests were sent and answered.
    Done,
    /// The server closed the connection, or reset it.
    Closed(String),
    /// The worker gave the connection up.
    GivenUp(String),
}

impl Worker<'_> {
    fn now(&self) -> Duration {
        self.load.began.elapsed()
    }

    /// When the next request is due. After a stop none is.
    fn due(&self, now: Duration) -> Due {
        if self.load.stopped() {
            return Due::Never;
        }
        self.schedule.due(now)
    }

    /// Counts requests as lost whose deadline passed before they could be sent.
    fn lose_overdue(&mut self) {
        let Some(then) = self.now().checked_sub(self.load.plan.timeout) else {
            return;
        };
        let lost = self.schedule.take_before(then);
        if lost > 0 {
            self.load.totals().lost += lost;
        }
    }

    /// Waits until a connection is needed, and returns whether one is.
    async fn has_more(&mut self) -> bool {
        loop {
            self.lose_overdue();
            if self.owed.is_some() || !self.again.is_empty() {
                return true;
            }
            match self.due(self.now()) {
                Due::Never => return false,
                Due::At(at) if self.one_each => {
                    let wait = at.saturating_sub(self.now());
                    if wait > TICK {
                        sleep(wait.saturating_sub(TICK).min(LOOK_UP)).await;
                    } else {
                        tokio::task::yield_now().await;
                    }
                }
                Due::Since(since) if self.one_each => {
                    self.schedule.take();
                    self.owed = Some(self.load.began + since);
                    return true;
                }
                Due::At(_) | Due::Since(_) => return true,
            }
        }
    }

    /// Connects, and sends as many requests as the connection allows.
    async fn connection(&mut self) {
        let limit = self.load.plan.timeout;
        let connected = timeout(limit, Stream::connect(&self.load.plan, self.target)).await;
        match connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
            Ok(stream) => {
                self.load.totals().connected += 1;
                self.ever = true;
                let is_good = self.converse(stream).await;
                self.connected = Instant::now();
                if is_good {
                    return;
                }
            }
            Err(error) => {
                let mut lost = u64::from(self.owed.take().is_some());
                lost += std::mem::take(&mut self.again).len() as u64;
                // A server that was reachable once may come back until the time is over. A load
                // with a count has no end, so it gives up.
                let may_come_back = self.ever && self.load.plan.duration.is_some();
                if !may_come_back && self.connected.elapsed() > limit {
                    lost += self.schedule.end();
                }
                self.trouble(&error.to_string(), |totals| {
                    totals.refused += 1;
                    totals.lost += lost;
                });
            }
        }
        sleep(PAUSE.min(limit)).await;
    }

    fn trouble(&self, why: &str, count: impl FnOnce(&mut Totals)) {
        let mut totals = self.load.totals();
        totals.trouble = Some(format!("{}: {why}", self.target.address));
        count(&mut totals);
    }

    /// Sends requests and handles answers until none are left. Returns whether the connection ended
    /// as it should.
    async fn converse(&mut self, stream: Stream) -> bool {
        let mut answers = Answers::new(self.target.name.as_deref());
        let end = match stream {
            Stream::Plain(mut stream) => {
                let (mut reader, mut writer) = stream.split();
                self.talk_and_hear_out(&mut answers, &mut reader, &mut writer)
                    .await
            }
            Stream::Tls(stream) => {
                let (mut reader, mut writer) = tokio::io::split(stream);
                self.talk_and_hear_out(&mut answers, &mut reader, &mut writer)
                    .await
            }
        };
        let before = answers.waiting();
        answers.end(Instant::now(), &mut self.load.totals());
        let waiting = answers.waiting() as u64;
        let is_closing = matches!(end, End::Closed(_)) && answers.good() == 1;
        let mut totals = self.load.totals();
        totals.waiting -= before as u64;
        if is_closing {
            totals.closing += 1;
        }
        if is_closing && !self.one_each {
            totals.again += waiting;
            drop(totals);
            self.one_each = true;
            self.again = answers.take_waiting();
            return true;
        }
        totals.lost += waiting;
        drop(totals);
        match end {
            End::Closed(_) if is_closing && waiting == 0 => true,
            End::Closed(why) | End::GivenUp(why) => {
                self.script.forget();
                self.trouble(&why, |totals| totals.broken += 1);
                false
            }
            End::Done => true,
        }
    }

    async fn talk_and_hear_out(
        &mut self,
        answers: &mut Answers,
        reader: &mut (impl AsyncRead + Unpin),
        writer: &mut (impl AsyncWrite + Unpin),
    ) -> End {
        let end = self.talk(answers, reader, writer).await;
        if matches!(end, End::Done) {
            self.hear_out(answers, reader, writer).await;
        }
        end
    }

    async fn talk(
        &mut self,
        answers: &mut Answers,
        reader: &mut (impl AsyncRead + Unpin),
        writer: &mut (impl AsyncWrite + Unpin),
    ) -> End {
        let limit = self.load.plan.timeout;
        let broken = |error: io::Error| {
            let why = error.to_string();
            if is_end(&error) {
                End::Closed(why)
            } else {
                End::GivenUp(why)
            }
        };
        let mut out = Vec::new();
        // TLS sends buffered bytes only when it is flushed.
        let mut unflushed = false;
        let mut has_asked = false;
        let mut alarm = pin!(sleep_until(Instant::now() + LOOK_UP));
        loop {
            let due = if self.one_each && has_asked {
                Due::Never
            } else {
                self.ask(answers, &mut out)
            };
            has_asked = true;
            if matches!(due, Due::Never) && answers.waiting() == 0 {
                return End::Done;
            }
            answers.unread().reserve(READ);
            let write = async {
                match (out.is_empty(), unflushed) {
                    (false, _) => Next::Wrote(writer.write(&out).await),
                    (true, true) => Next::Flushed(writer.flush().await),
                    (true, false) => pending().await,
                }
            };
            let read = async { Next::Read(reader.read_buf(answers.unread()).await) };
            let time = async {
                wait(alarm.as_mut(), self.wait_for(due)).await;
                Next::Time
            };
            match or(or(write, read), time).await {
                Next::Wrote(Ok(written)) => {
                    out.drain(..written);
                    unflushed = self.load.plan.tls.is_some();
                }
                Next::Flushed(Ok(())) => unflushed = false,
                Next::Read(Ok(1..)) => {
                    if self.settle(answers).is_err() {
                        return End::GivenUp("an answer without an end".to_owned());
                    }
                }
                Next::Read(Ok(0)) => return End::Closed("closed by the server".to_owned()),
                // Answers that arrived before the error are still read.
                Next::Wrote(Err(error)) | Next::Flushed(Err(error)) if is_end(&error) => {
                    let _ = timeout(limit, self.hear(answers, reader)).await;
                    return broken(error);
                }
                Next::Wrote(Err(error)) | Next::Flushed(Err(error)) | Next::Read(Err(error)) => {
                    return broken(error);
                }
                Next::Time => {
                    let is_late = |oldest: Instant| oldest.elapsed() >= limit;
                    if answers.oldest().is_some_and(is_late) {
                        return End::GivenUp("no answer by the deadline".to_owned());
                    }
                    self.lose_overdue();
                }
            }
        }
    }

    /// The longest wait in which only arriving bytes need a reaction.
    fn wait_for(&self, due: Due) -> Duration {
        let look_up = LOOK_UP.min(self.load.plan.timeout);
        match due {
            Due::At(at) => at.saturating_sub(self.now()).min(look_up),
            Due::Since(_) | Due::Never => look_up,
        }
    }

    /// Appends all requests that are due and have room to `out`, and returns when the next is due.
    /// With one connection per request it appends one.
    fn ask(&mut self, answers: &mut Answers, out: &mut Vec<u8>) -> Due {
        if let Some(Again { asked, tail, since }) = self.again.pop_front() {
            push_request(asked, &tail, out);
            answers.expect(asked, &tail, since);
            self.load.totals().waiting += 1;
            return Due::Never;
        }
        let window = self.load.plan.window;
        let clock = u64::try_from(TokioNet.now().as_nanos()).unwrap_or(u64::MAX);
        let now = self.now();
        let (mut asked, mut introductions) = (0, 0);
        let due = loop {
            let (due, since) = match self.owed.take() {
                Some(since) => (None, since),
                None if self.one_each => break Due::Never,
                None => match self.due(now) {
                    Due::Since(since) => (Some(since), self.load.began + since),
                    other => break other,
                },
            };
            if answers.waiting() >= window || out.len() >= WRITE {
                break due.map_or(Due::Never, Due::Since);
            }
            let (what, tail) = self.script.next(clock, out);
            answers.expect(what, tail, since);
            if what == RequestKind::Introduction {
                introductions += 1;
                if due.is_none() {
                    // The request that is due goes over the next connection.
                    self.owed = Some(since);
                    break Due::Never;
                }
                continue;
            }
            if due.is_some() {
                self.schedule.take();
            }
            asked += 1;
        };
        if asked + introductions > 0 {
            let mut totals = self.load.totals();
            totals.sent += asked;
            totals.waiting += asked + introductions;
        }
        due
    }

    fn settle(&mut self, answers: &mut Answers) -> Result<(), Endless> {
        let mut totals = self.load.totals();
        let before = answers.waiting();
        let settled = answers.settle(Instant::now(), &mut totals);
        totals.waiting -= (before - answers.waiting()) as u64;
        settled
    }

    /// Reads answers until the server closes the connection.
    async fn hear(&mut self, answers: &mut Answers, reader: &mut (impl AsyncRead + Unpin)) {
        while matches!(reader.read_buf(answers.unread()).await, Ok(1..)) {
            if self.settle(answers).is_err() {
                return;
            }
        }
    }

    /// Closes the sending half, then reads any answers that should not come.
    async fn hear_out(
        &mut self,
        answers: &mut Answers,
        reader: &mut (impl AsyncRead + Unpin),
        writer: &mut (impl AsyncWrite + Unpin),
    ) {
        // A server that does not close its half only delays the end.
        let patience = self.load.plan.timeout.min(Duration::from_secs(1));
        let rest = async {
            if writer.shutdown().await.is_ok() {
                self.hear(answers, reader).await;
            }
        };
        let _ = timeout(patience, rest).await;
    }
}

/// Waits up to `time`. The timer is reset only if it has fired or must fire earlier, since for most
/// answers a reset would be wasted.
fn wait(mut alarm: Pin<&mut Sleep>, time: Duration) -> impl Future<Output = ()> {
    let until = Instant::now() + time.saturating_sub(TICK);
    if time > TICK && (alarm.is_elapsed() || until < alarm.deadline()) {
        alarm.as_mut().reset(until);
    }
    async move {
        if time > TICK {
            alarm.await;
        } else {
            tokio::task::yield_now().await;
        }
    }
}

//! One connection after the other on which requests are made: all that have room in one write,
//! all answers of one read at once.
//!
//! Many servers end each connection behind its first answer. A worker finds that out by itself, makes the requests
//! that were under way once more, and has a connection for each from then on.

use std::collections::VecDeque;
use std::future::{Future, pending};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use futures_lite::future::or;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::{Instant, Sleep, sleep, sleep_until, timeout};

use super::answers::{Again, Answers, Endless, RequestKind};
use super::connect::{Stream, is_end};
use super::schedule::{Due, Schedule};
use super::script::{Script, push_request};
use super::totals::Totals;
use super::{Load, Target};
use crate::net::{Net as _, tokio::TokioNet};

/// How much is read at a time.
const READ: usize = 64 * 1024;

/// How much is written at a time.
const WRITE: usize = 64 * 1024;

/// The pause behind a connection that failed.
const PAUSE: Duration = Duration::from_millis(100);

/// How often whoever waits checks whether the load was stopped.
const LOOK_UP: Duration = Duration::from_millis(200);

/// The system's timers are no finer than this, so shorter waits are waited out awake.
const TICK: Duration = Duration::from_millis(2);

/// Makes the requests of the connection `number`.
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
    /// Whether each request has a connection of its own.
    one_each: bool,
    /// A request that a connection of its own is made for, due since then.
    owed: Option<Instant>,
    /// Requests whose connection ended behind its first answer.
    again: VecDeque<Again>,
    /// When there was a connection last,
    connected: Instant,
    /// if there ever was one.
    ever: bool,
}

/// What a connection waited for.
enum Next {
    Wrote(io::Result<usize>),
    Flushed(io::Result<()>),
    Read(io::Result<usize>),
    /// Something may be due, or too late.
    Time,
}

/// How a connection ended.
enum End {
    /// All was sent and answered.
    Done,
    /// The server ended it, or it broke.
    Closed(String),
    /// There was no use in going on.
    GivenUp(String),
}

impl Worker<'_> {
    fn now(&self) -> Duration {
        self.load.began.elapsed()
    }

    /// What is due. Nothing any more once the load was stopped.
    fn due(&self, now: Duration) -> Due {
        if self.load.stopped() {
            return Due::Never;
        }
        self.schedule.due(now)
    }

    /// Counts what was due long enough ago that its deadline has passed before it could be sent.
    fn lose_overdue(&mut self) {
        let Some(then) = self.now().checked_sub(self.load.plan.timeout) else {
            return;
        };
        let lost = self.schedule.take_before(then);
        if lost > 0 {
            self.load.totals().lost += lost;
        }
    }

    /// Waits until there is something to connect for; whether there is.
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

    /// Makes a connection and all requests that it lives for.
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
                // Who was there once may come back until the time is over, but a count has no time.
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

    /// Requests and answers, until there are no more of either. Whether the connection was as it should be.
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
        // What TLS holds back is on its way only when it was flushed.
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
                // What it said before is still to be read.
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

    /// How long nothing can happen but that something arrives.
    fn wait_for(&self, due: Due) -> Duration {
        let look_up = LOOK_UP.min(self.load.plan.timeout);
        match due {
            Due::At(at) => at.saturating_sub(self.now()).min(look_up),
            Due::Since(_) | Due::Never => look_up,
        }
    }

    /// Appends all requests that are due and have room to `out`, and says what is due behind them. Where each has a
    /// connection of its own, that is one.
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
                    // What is due has the next connection.
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

    /// Reads all that still comes.
    async fn hear(&mut self, answers: &mut Answers, reader: &mut (impl AsyncRead + Unpin)) {
        while matches!(reader.read_buf(answers.unread()).await, Ok(1..)) {
            if self.settle(answers).is_err() {
                return;
            }
        }
    }

    /// Says that nothing more will be sent, and listens whether anything comes that should not.
    async fn hear_out(
        &mut self,
        answers: &mut Answers,
        reader: &mut (impl AsyncRead + Unpin),
        writer: &mut (impl AsyncWrite + Unpin),
    ) {
        // A server that does not close then only makes this take longer.
        let patience = self.load.plan.timeout.min(Duration::from_secs(1));
        let rest = async {
            if writer.shutdown().await.is_ok() {
                self.hear(answers, reader).await;
            }
        };
        let _ = timeout(patience, rest).await;
    }
}

/// Waits for this time, or less: an alarm is set anew only when it must go off sooner, or has gone off, since for
/// most answers that come it would be for nothing.
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

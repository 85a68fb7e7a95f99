//! A client's connection: it reads what has arrived, handles every whole line, and writes once.

use std::cell::OnceCell;
use std::future::{Future, pending};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_lite::future::or;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use super::answer::Answer;
use super::handle::Tuning;
use super::lines::{Lines, Next};
use super::look_ups::{LookUps, Released, WaitsFor};
use super::rate::{LOOK_UPS, Pace, TooFast};
use super::turn::Turn;
use super::until::Until;
use super::{CHUNK, Limits, Shared, unless, unproved};
use crate::journal::{Answered, CloseReason, ConnId, End, EventKind, Journal, PeerRole};
use crate::net::{Connection, Net, Proved, site};
use crate::node::mistakes::Mistake;
use crate::node::{ClientLineAt, LookUp, Waits};

pub(super) async fn serve_client<N: Net>(
    shared: Arc<Shared<N>>,
    connection: Connection<N::Stream>,
) {
    let conn = shared.opened(End::Acceptor, PeerRole::Client, &connection);
    let mut stream = connection.stream;
    let shaken = shake(&shared, &connection.proved, &mut stream).await;
    let why = match shaken {
        Ok(()) => converse(&shared, conn, connection.remote.ip(), &mut stream).await,
        Err(why) => why,
    };
    let why = unproved(why, &connection.proved);
    let (mut reader, mut writer) = tokio::io::split(stream);
    shared.last_words(&why, &mut reader, &mut writer).await;
    shared.closed(conn, why.into());
    if shared.config.mistake.makes(Mistake::KeepsTasks) {
        pending::<()>().await;
    }
}

/// Completes the client's handshake, if TLS is used.
async fn shake<N: Net>(
    shared: &Shared<N>,
    proved: &Proved,
    stream: &mut (impl AsyncWrite + Unpin),
) -> Result<(), CloseReason> {
    if !proved.is_under_way() {
        return Ok(());
    }
    let shaken = timeout(shared.timing().handshake_deadline, stream.flush()).await;
    let shaken = shaken.map_err(|_| CloseReason::NoHandshake)?;
    shaken.map_err(|error| CloseReason::from(&error))
}

/// The next step after some lines were handled.
enum Then {
    /// Every whole line was handled, so read more.
    Read,
    /// Lines may be left, but the answers are written first, or others get a turn.
    Again,
    /// Lines may be left, but the client exceeds its rate.
    Pause(TooFast),
    /// Lines may be left, but too many answers wait for Places.
    Wait,
    /// No further line is handled. The connection ends when all lines are answered.
    Close(CloseReason),
}

/// The latency of answers, with one reading of the clock for each read and each write.
struct Waiting {
    /// When the last bytes arrived.
    came: Instant,
    /// When the last answers were written, if nothing was read since.
    written: Option<Instant>,
    /// The number of answers in the write buffer that needed no look-up, and waited for none.
    at_once: u64,
    /// The arrival of the line whose looked-up answer is in the write buffer.
    looked_up: Option<Instant>,
    /// The number of answers in the write buffer that waited for the disk, and the arrival of the
    /// first of their lines.
    saved: Option<(u64, Instant)>,
}

impl Waiting {
    fn new() -> Self {
        Self {
            came: Instant::now(),
            written: None,
            at_once: 0,
            looked_up: None,
            saved: None,
        }
    }

    /// All answers are written, so their latencies are reported.
    fn end(&mut self, journal: &dyn Journal) {
        let now = Instant::now();
        self.written = Some(now);
        if self.at_once > 0 {
            journal.answered(Answered::AtOnce, self.at_once, now - self.came);
            self.at_once = 0;
        }
        if let Some(came) = self.looked_up.take() {
            journal.answered(Answered::LookedUp, 1, now - came);
        }
        if let Some((answers, came)) = self.saved.take() {
            journal.answered(Answered::Saved, answers, now - came);
        }
    }
}

/// The state of a conversation with a client.
struct Talk<'a, N: Net> {
    shared: &'a Shared<N>,
    conn: ConnId,
    tuning: watch::Receiver<Tuning>,
    limits: Limits,
    lines: Lines,
    look_ups: LookUps<'a>,
    /// The write buffer.
    out: Vec<u8>,
    /// The last answer that had to wait for the disk.
    answer: Vec<u8>,
    turn: Turn,
    waiting: Waiting,
    pace: Pace,
    /// When it was last recorded that a limit holds the client back.
    held_back: Option<Instant>,
    /// Why no further bytes are read, once that is so.
    ended: Option<CloseReason>,
    /// Why no further lines are handled, once that is so.
    over: Option<CloseReason>,
}

async fn converse<N: Net>(
    shared: &Shared<N>,
    conn: ConnId,
    remote: IpAddr,
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
) -> CloseReason {
    let mut talk = Talk::new(shared, conn, remote);
    let alarm = sleep_until(Instant::now() + shared.timing().idle);
    let mut until = Until::new(shared.stopping(), alarm);
    loop {
        look_ahead(shared, conn, stream).await;
        let mut then = talk.decide().await;
        if let Err(why) = talk.answer(stream).await {
            return why;
        }
        store_late(shared);
        let most = talk.limits.look_ups_per_connection;
        if let (Then::Read, Some(why)) = (&then, &talk.ended) {
            then = Then::Close(why.clone());
        }
        match then {
            Then::Again => {}
            Then::Close(why) if talk.look_ups.is_empty() => return why,
            Then::Close(why) => {
                talk.look_ups.ready(false, most).await;
                talk.over = Some(why);
            }
            Then::Pause(too_fast) => talk.pause(too_fast).await,
            Then::Read if talk.look_ups.has_room(most) => {
                if let Err(why) = talk.read(&mut until, stream).await {
                    return why;
                }
            }
            Then::Read | Then::Wait => {
                if talk.lines.has_more() && talk.look_ups.are_too_many(most) {
                    talk.hold_back(LOOK_UPS);
                }
                talk.look_ups.ready(true, most).await;
            }
        }
    }
}

impl<'a, N: Net> Talk<'a, N> {
    fn new(shared: &'a Shared<N>, conn: ConnId, remote: IpAddr) -> Self {
        let mut tuning = shared.tuning.clone();
        let limits = tuning.borrow_and_update().limits;
        Self {
            shared,
            conn,
            tuning,
            limits,
            lines: Lines::new(limits.client_line.min(Limits::MOST_CLIENT_LINE)),
            look_ups: LookUps::default(),
            out: Vec::new(),
            answer: Vec::new(),
            turn: Turn::new(),
            waiting: Waiting::new(),
            pace: Pace::new(site(remote)),
            held_back: None,
            ended: None,
            over: None,
        }
    }

    /// Handles lines of the read buffer, when it is this connection's turn.
    async fn decide(&mut self) -> Then {
        // Without a handle the settings can't change.
        if self.tuning.has_changed().unwrap_or(false) {
            self.limits = self.tuning.borrow_and_update().limits;
        }
        let permit = if self.turn.is_over() {
            let next = self.turn.next(&self.shared.gate);
            self.look_ups.meanwhile(next).await
        } else {
            None
        };
        if let Some(why) = self.over.take() {
            return Then::Close(why);
        }
        let most = match self.pace.allowed(&self.limits, &self.shared.addresses) {
            // A stopping server does not pause for a client.
            Err(too_fast) if !self.shared.stop.is_given() => return Then::Pause(too_fast),
            Err(_) => usize::MAX,
            Ok(most) => most,
        };
        let (then, handled) = self.handle(most);
        self.pace.take(handled, &self.limits);
        // A write may wait for a slow reader, so the permit is released before.
        drop(permit);
        then
    }

    /// Handles up to `most` whole lines, and returns how many it handled. Answers go to the write
    /// buffer, or behind look-ups that are in flight.
    fn handle(&mut self, most: usize) -> (Then, usize) {
        let Self {
            shared, conn, turn, ..
        } = self;
        let shared: &'a Shared<N> = shared;
        // The clock is read at most once for all these lines.
        let clock = OnceCell::new();
        let at = ClientLineAt {
            conn: *conn,
            clock: &|| *clock.get_or_init(|| shared.net.now()),
        };
        let most_look_ups = self.limits.look_ups_per_connection;
        let mut handled = 0;
        let mut state = shared.state();
        let then = loop {
            if self.out.len() >= CHUNK || turn.is_long_over() || handled == most {
                break Then::Again;
            }
            if !self.look_ups.has_room(most_look_ups) {
                break Then::Wait;
            }
            let line = self.lines.next();
            if line == Next::Nothing {
                break Then::Read;
            }
            handled += 1;
            let is_next = self.look_ups.is_empty();
            let withheld;
            let behind = if shared.config.mistake.makes(Mistake::AnswersOvertake) {
                None
            } else {
                self.look_ups.behind(&*shared.journal)
            };
            let (out, journal): (_, &dyn Journal) = match behind {
                None => (&mut self.out, &*shared.journal),
                Some((behind, journal)) => {
                    withheld = journal;
                    (behind, &withheld)
                }
            };
            match line {
                Next::Nothing => break Then::Read,
                Next::TooLong(beginning) => {
                    let node = &mut state.node;
                    node.client_line_too_long(beginning, *conn, journal, out);
                    break Then::Close(CloseReason::LineTooLong);
                }
                Next::Line(line) => {
                    turn.line(line.len());
                    let from = out.len();
                    match state.node.client_line(line, at, journal, out) {
                        Some(Waits::LookUp(look_up)) => {
                            turn.look_up();
                            let asked = ask(shared, look_up);
                            self.look_ups.begin(self.waiting.came, asked);
                        }
                        Some(Waits::Disk(to_be)) => {
                            self.answer.clear();
                            self.answer.extend_from_slice(&out[from..]);
                            out.truncate(from);
                            (self.look_ups).save(self.waiting.came, line, &self.answer, to_be);
                        }
                        None => self.waiting.at_once += u64::from(is_next),
                    }
                }
            }
        };
        state.wake();
        drop(state);
        self.look_ups.wait_for_disk(|saves| saves.answered(shared));
        (then, handled)
    }

    /// Writes the answers that wait for no look-up before them.
    async fn answer(&mut self, stream: &mut (impl AsyncWrite + Unpin)) -> Result<(), CloseReason> {
        let (look_ups, out) = (&mut self.look_ups, &mut self.out);
        if !look_ups.is_empty() {
            look_ups.get_on().await;
            // All that waited for the same sync are written at once.
            while out.len() < CHUNK
                && let Some(released) = look_ups.release(self.conn, &*self.shared.journal, out)
            {
                let Released { since, waited_for } = released;
                let WaitsFor::Disk(lines) = waited_for else {
                    self.waiting.looked_up = Some(since);
                    break;
                };
                let (answers, _) = self.waiting.saved.get_or_insert((0, since));
                *answers += lines;
            }
        }
        if out.is_empty() {
            return Ok(());
        }
        let write = self.shared.write(stream, out);
        if look_ups.is_empty() {
            write.await?;
        } else {
            look_ups.meanwhile(write).await?;
        }
        self.waiting.end(&*self.shared.journal);
        out.clear();
        // An answer of Places may have a megabyte. Ten thousand clients can be connected, so a
        // large buffer is freed.
        if out.capacity() > 4 * CHUNK {
            *out = Vec::new();
        }
        Ok(())
    }

    /// Reads once, unless an answer can be written before. After an error the connection is over.
    async fn read<S: Future<Output = ()>>(
        &mut self,
        until: &mut Until<S>,
        stream: &mut (impl AsyncRead + Unpin),
    ) -> Result<(), CloseReason> {
        let timing = self.shared.timing();
        let began = self.waiting.written.take().unwrap_or_else(Instant::now);
        let reading = until.read(&timing, began, &mut self.lines, stream);
        let read = if self.look_ups.is_empty() {
            Some(reading.await)
        } else {
            let reading = async { Some(reading.await) };
            let ready = async {
                self.look_ups.ready(false, 0).await;
                None
            };
            or(ready, reading).await
        };
        let came = Instant::now();
        self.turn.waited(came - began);
        match read {
            None => {}
            Some(Ok(0)) => {
                self.ended = Some(CloseReason::Ended);
                self.lines.end();
            }
            Some(Ok(_)) => {
                self.waiting.came = came;
                self.turn.exchange();
                // After a stop, available bytes are read once and no more. Otherwise a client that
                // never pauses would keep the server from ending.
                self.ended = self.shared.stop.is_given().then_some(CloseReason::Stopping);
            }
            // A client that waits for an answer may be silent.
            Some(Err(CloseReason::Silent)) if !self.look_ups.is_empty() => {}
            Some(Err(why @ CloseReason::Failed(_))) => return Err(why),
            Some(Err(why)) => self.over = Some(why),
        }
        Ok(())
    }

    /// Lets a client wait that exceeds its rate. The pause ends early when an answer can be
    /// written, or the server stops.
    async fn pause(&mut self, TooFast { limit, until }: TooFast) {
        self.hold_back(limit);
        let answer = async {
            if self.look_ups.is_empty() {
                pending::<()>().await;
            }
            self.look_ups.ready(false, 0).await;
        };
        let time_or_answer = or(answer, sleep_until(until));
        // If the server stops, the next call of `decide` does not pause again.
        let _ = unless(self.shared.stopping(), time_or_answer).await;
    }

    /// Records that a limit holds the client back, once for as long as that lasts.
    fn hold_back(&mut self, limit: &'static str) {
        let now = Instant::now();
        let goes_on = |last: Instant| now.duration_since(last) < SAME_AGAIN;
        if !self.held_back.is_some_and(goes_on) {
            self.held_back = Some(now);
            let (conn, limit) = (self.conn, limit.into());
            self.shared
                .journal
                .record(None, EventKind::HeldBack { conn, limit });
        }
    }
}

/// The hold-back counts as lasting if the limit is reached again within this time.
const SAME_AGAIN: Duration = Duration::from_secs(10);

/// Looks at what is held, and lets others go on before it is used. Only a server with the mistake `DropsTheLock` does so.
async fn look_ahead<N: Net>(
    shared: &Shared<N>,
    conn: ConnId,
    stream: &mut (impl AsyncWrite + Unpin),
) {
    if shared.config.mistake.makes(Mistake::DropsTheLock) {
        shared.state().node.look_ahead(conn);
        // There is nothing to flush, so this returns at once, unless it is somebody else's turn.
        let _ = stream.flush().await;
    }
}

/// Stores records that were answered before. Only a server with the mistake `AnswersFirst` does so.
fn store_late<N: Net>(shared: &Shared<N>) {
    if shared.config.mistake.makes(Mistake::AnswersFirst) {
        let mut state = shared.state();
        state.node.store_late(&*shared.journal);
        state.wake();
    }
}

/// Requests the answer to a WHATSAT: the AT line, the body from Places, and two LFs.
fn ask<N: Net>(shared: &Shared<N>, mut look_up: LookUp) -> impl Future<Output = Answer> + Send {
    let client = look_up.client.as_slice().into();
    let cause = shared
        .journal
        .record(Some(look_up.asked_by), EventKind::LookUp { client });
    look_up.asked_by = cause;
    let under_way = shared.look_ups.begin();
    async move {
        let counted = under_way;
        let body = shared.places.nearby(&look_up).await;
        if shared.config.mistake.makes(Mistake::AnswersWithTheLatest)
            && let Some((latest, _)) = shared.state().node.record(&look_up.client)
        {
            look_up.at_line = [b"AT ", latest.text(), b"\n"].concat();
        }
        let mut text = look_up.at_line;
        text.extend_from_slice(&body);
        text.extend_from_slice(b"\n\n");
        if shared.config.mistake.makes(Mistake::KeepsLookUps) {
            std::mem::forget(counted);
        }
        Answer::one(cause, text)
    }
}

//! A client's connection: read what is there, decide every whole line, write once.

use std::cell::OnceCell;
use std::future::Future;
use std::sync::Arc;

use futures_lite::future::or;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::time::{Instant, sleep_until, timeout};

use super::lines::{Lines, Next};
use super::look_ups::{Answer, LookUps};
use super::until::Until;
use super::{CHUNK, Limits, Shared, unproved};
use crate::journal::{Answered, ConnId, End, Journal, Other, What, Why};
use crate::net::{Connection, Net, Proved};
use crate::node::mistakes::{Mistake, makes};
use crate::node::{ClientLineAt, LookUp};

pub(super) async fn serve_client<N: Net>(
    shared: Arc<Shared<N>>,
    connection: Connection<N::Stream>,
) {
    let conn = shared.opened(End::Acceptor, Other::Client, &connection);
    let mut stream = connection.stream;
    let shaken = shake(&shared, &connection.proved, &mut stream).await;
    let why = match shaken {
        Ok(()) => converse(&shared, conn, &mut stream).await,
        Err(why) => why,
    };
    let why = unproved(why, &connection.proved);
    let (mut reader, mut writer) = tokio::io::split(stream);
    shared.last_words(&why, &mut reader, &mut writer).await;
    shared.closed(conn, why.into());
}

/// Drives the client's handshake to its end, where there is one.
async fn shake<N: Net>(
    shared: &Shared<N>,
    proved: &Proved,
    stream: &mut (impl AsyncWrite + Unpin),
) -> Result<(), Why> {
    if !proved.is_under_way() {
        return Ok(());
    }
    let shaken = timeout(shared.timing().handshake_deadline, stream.flush()).await;
    let shaken = shaken.map_err(|_| Why::NoHandshake)?;
    shaken.map_err(|error| Why::from(&error))
}

/// What to do behind the lines that were handled.
enum Then {
    /// Every whole line was handled.
    Read,
    /// There is more, but the answers so far should be written first.
    Again,
    /// There may be more, but so much waits for Places that no line is handled before there is room.
    Wait,
    /// Nothing more is handled: the connection ends when all is answered.
    Close(Why),
}

async fn converse<N: Net>(
    shared: &Shared<N>,
    conn: ConnId,
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
) -> Why {
    let limit = shared.limits().client_line;
    let mut lines = Lines::new(limit.min(Limits::MOST_CLIENT_LINE));
    let mut out = Vec::new();
    let mut look_ups = LookUps::default();
    let mut waiting = Waiting::new();
    // Why nothing more is read, and why nothing more is handled.
    let (mut ended, mut over) = (None, None);
    let alarm = sleep_until(Instant::now() + shared.timing().idle);
    let mut until = Until::new(shared.stopping(), alarm);
    loop {
        let most = shared.limits().look_ups_per_connection;
        let mut then = match over.take() {
            None => handle(
                shared,
                conn,
                &mut lines,
                &mut look_ups,
                &mut waiting,
                &mut out,
            ),
            Some(why) => Then::Close(why),
        };
        if !look_ups.is_empty() {
            look_ups.get_on().await;
            waiting.looked_up = look_ups.release(conn, &*shared.journal, &mut out);
        }
        if !out.is_empty() {
            if let Err(why) = write_out(shared, stream, &mut look_ups, &mut out).await {
                return why;
            }
            waiting.end(&*shared.journal);
        }
        store_late(shared);
        if let (Then::Read, Some(why)) = (&then, &ended) {
            then = Then::Close(Why::clone(why));
        }
        match then {
            Then::Again => {}
            Then::Close(why) if look_ups.is_empty() => return why,
            Then::Close(why) => {
                look_ups.ready(false, most).await;
                over = Some(why);
            }
            Then::Read if look_ups.has_room(most) => {
                let timing = shared.timing();
                let read = until.read(&timing, &mut lines, stream);
                let read = if look_ups.is_empty() {
                    Some(read.await)
                } else {
                    let read = async { Some(read.await) };
                    let ready = async {
                        look_ups.ready(false, most).await;
                        None
                    };
                    or(ready, read).await
                };
                if let Some(Ok(1..)) = read {
                    waiting.came = Instant::now();
                }
                match read {
                    // An answer is to be written first.
                    None => {}
                    Some(Ok(0)) => {
                        ended = Some(Why::Ended);
                        lines.end();
                    }
                    // Once told to stop, what is there is read and no more: a client that never
                    // pauses must not keep the server from ending.
                    Some(Ok(_)) => ended = shared.stop.borrow().then_some(Why::Stopping),
                    // A client that waits for an answer may be silent.
                    Some(Err(Why::Silent)) if !look_ups.is_empty() => {}
                    Some(Err(why @ Why::Failed(_))) => return why,
                    Some(Err(why)) => over = Some(why),
                }
            }
            Then::Read | Then::Wait => look_ups.ready(true, most).await,
        }
    }
}

/// Writes all that is answered, while look-ups get on.
async fn write_out<N: Net>(
    shared: &Shared<N>,
    stream: &mut (impl AsyncWrite + Unpin),
    look_ups: &mut LookUps<'_>,
    out: &mut Vec<u8>,
) -> Result<(), Why> {
    let write = shared.write(stream, out);
    if look_ups.is_empty() {
        write.await?;
    } else {
        look_ups.meanwhile(write).await?;
    }
    out.clear();
    // An answer of Places may have been a megabyte, and ten thousand clients may stay connected.
    if out.capacity() > 4 * CHUNK {
        *out = Vec::new();
    }
    Ok(())
}

/// How long a client waits: by one look at the clock for each read, and one for each write.
struct Waiting {
    /// When the last bytes had come.
    came: Instant,
    /// So many answers to what came then are to be written, and waited for nothing.
    at_once: u64,
    /// When the line had come whose look-up's answer is to be written.
    looked_up: Option<Instant>,
}

impl Waiting {
    fn new() -> Self {
        Self {
            came: Instant::now(),
            at_once: 0,
            looked_up: None,
        }
    }

    /// All is written.
    fn end(&mut self, journal: &dyn Journal) {
        let now = Instant::now();
        if self.at_once > 0 {
            journal.answered(Answered::AtOnce, self.at_once, now - self.came);
            self.at_once = 0;
        }
        if let Some(came) = self.looked_up.take() {
            journal.answered(Answered::LookedUp, 1, now - came);
        }
    }
}

/// What is answered before it is stored is stored now. No server does that but by mistake.
fn store_late<N: Net>(shared: &Shared<N>) {
    if makes(&shared.config.node.name, Mistake::AnswersFirst) {
        let mut state = shared.state();
        state.node.store_late(&*shared.journal);
        state.wake();
    }
}

/// Handles whole lines until there is a reason not to. Answers are appended to `out`, or to what waits for
/// look-ups.
fn handle<'a, N: Net>(
    shared: &'a Shared<N>,
    conn: ConnId,
    lines: &mut Lines,
    look_ups: &mut LookUps<'a>,
    waiting: &mut Waiting,
    out: &mut Vec<u8>,
) -> Then {
    // One look at the clock, if any, for all that came at once.
    let clock = OnceCell::new();
    let at = ClientLineAt {
        conn,
        clock: &|| *clock.get_or_init(|| shared.net.now()),
    };
    let most = shared.limits().look_ups_per_connection;
    let mut state = shared.state();
    let then = loop {
        if out.len() >= CHUNK {
            break Then::Again;
        }
        if !look_ups.has_room(most) {
            break Then::Wait;
        }
        let line = lines.next();
        if line == Next::Nothing {
            break Then::Read;
        }
        let is_next = look_ups.is_empty();
        let withheld;
        let (out, journal): (&mut Vec<u8>, &dyn Journal) = match look_ups.behind(&*shared.journal) {
            None => (out, &*shared.journal),
            Some((behind, journal)) => {
                withheld = journal;
                (behind, &withheld)
            }
        };
        match line {
            Next::Nothing => break Then::Read,
            Next::TooLong(beginning) => {
                let node = &mut state.node;
                node.client_line_too_long(beginning, conn, journal, out);
                break Then::Close(Why::LineTooLong);
            }
            Next::Line(line) => match state.node.client_line(line, at, journal, out) {
                Some(look_up) => look_ups.begin(waiting.came, ask(shared, look_up)),
                None => waiting.at_once += u64::from(is_next),
            },
        }
    };
    state.wake();
    then
}

/// Asks Places for the answer to a WHATSAT: the AT line, what Places says, two LFs.
fn ask<N: Net>(shared: &Shared<N>, mut look_up: LookUp) -> impl Future<Output = Answer> + Send {
    let client = look_up.client.as_slice().into();
    let cause = shared
        .journal
        .record(Some(look_up.asked_by), What::LookUp { client });
    look_up.asked_by = cause;
    async move {
        let body = shared.places.nearby(&look_up).await;
        let mut text = look_up.at_line;
        text.extend_from_slice(&body);
        text.extend_from_slice(b"\n\n");
        Answer { cause, text }
    }
}

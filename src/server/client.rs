//! A client's connection: read what is there, handle every whole line, write once.

use std::cell::OnceCell;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::time::{Instant, sleep_until, timeout};

use super::lines::{Lines, Next};
use super::until::Until;
use super::{CHUNK, Limits, Shared, unproved};
use crate::journal::{ConnId, End, Other, What, Why};
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
    /// Ask Places before the next line is handled: answers keep the order of the lines.
    Ask(LookUp),
    /// The connection must end.
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
    let mut ended = false;
    let mut stopping = false;
    let alarm = sleep_until(Instant::now() + shared.timing().idle);
    let mut until = Until::new(shared.stopping(), alarm);
    loop {
        let then = handle(shared, conn, &mut lines, &mut out);
        if !out.is_empty() {
            if let Err(why) = shared.write(stream, &out).await {
                return why;
            }
            out.clear();
            // An answer of Places may have been a megabyte, and ten thousand clients may stay connected.
            if out.capacity() > 4 * CHUNK {
                out = Vec::new();
            }
        }
        store_late(shared);
        match then {
            Then::Again => {}
            Then::Close(why) => return why,
            Then::Ask(look_up) => out = ask(shared, conn, look_up).await,
            Then::Read if ended => return Why::Ended,
            Then::Read if stopping => return Why::Stopping,
            Then::Read => match until.read(&shared.timing(), &mut lines, stream).await {
                Ok(0) => {
                    ended = true;
                    lines.end();
                }
                // Once told to stop, what is there is read and no more: a client that never
                // pauses must not keep the server from ending.
                Ok(_) => stopping = *shared.stop.borrow(),
                Err(why) => return why,
            },
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

/// Handles whole lines until there is a reason not to, appending all answers to `out`.
fn handle<N: Net>(shared: &Shared<N>, conn: ConnId, lines: &mut Lines, out: &mut Vec<u8>) -> Then {
    let journal = &*shared.journal;
    // One look at the clock, if any, for all that came at once.
    let clock = OnceCell::new();
    let mut state = shared.state();
    let then = loop {
        if out.len() >= CHUNK {
            break Then::Again;
        }
        match lines.next() {
            Next::Nothing => break Then::Read,
            Next::TooLong(beginning) => {
                state
                    .node
                    .client_line_too_long(beginning, conn, journal, out);
                break Then::Close(Why::LineTooLong);
            }
            Next::Line(line) => {
                let at = ClientLineAt {
                    conn,
                    clock: &|| *clock.get_or_init(|| shared.net.now()),
                };
                if let Some(look_up) = state.node.client_line(line, at, journal, out) {
                    break Then::Ask(look_up);
                }
            }
        }
    };
    state.wake();
    then
}

/// The whole answer to a WHATSAT: the AT line, what Places says, two LFs.
async fn ask<N: Net>(shared: &Shared<N>, conn: ConnId, mut look_up: LookUp) -> Vec<u8> {
    let client = look_up.client.as_slice().into();
    let asked = shared
        .journal
        .record(Some(look_up.asked_by), What::LookUp { client });
    look_up.asked_by = asked;
    let body = shared.places.nearby(&look_up).await;
    let mut answer = look_up.at_line;
    answer.extend_from_slice(&body);
    let line = answer.as_slice().into();
    shared
        .journal
        .record(Some(asked), What::LineOut { conn, line });
    answer.extend_from_slice(b"\n\n");
    answer
}

//! A client's connection: read what is there, handle every whole line, write once.

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::{Instant, timeout, timeout_at};

use super::lines::{Lines, Next};
use super::{CHUNK, Shared, unless};
use crate::journal::{ConnId, End, Other, What, Why};
use crate::net::{Connection, Net};
use crate::node::{ClientLineAt, LookUp};

/// How much of what a client goes on to send is read and forgotten before its connection is closed.
const LINGER_BYTES: u64 = 1 << 20;

pub(super) async fn serve_client<N: Net>(
    shared: Arc<Shared<N>>,
    connection: Connection<N::Stream>,
) {
    let conn = shared.opened(End::Acceptor, Other::Client, &connection);
    let (mut reader, mut writer) = tokio::io::split(connection.stream);
    let why = converse(&shared, conn, &mut reader, &mut writer).await;
    close(&shared, &mut reader, &mut writer, &why).await;
    shared.journal.record(None, What::Closed { conn, why });
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
    reader: &mut (impl AsyncRead + Unpin),
    writer: &mut (impl AsyncWrite + Unpin),
) -> Why {
    let mut lines = Lines::new(shared.config.limits.client_line);
    let mut out = Vec::new();
    let mut ended = false;
    let mut half_since = None;
    loop {
        let (then, handled) = handle(shared, conn, &mut lines, &mut out);
        if handled > 0 || !lines.has_half() {
            half_since = None;
        }
        if lines.has_half() {
            half_since.get_or_insert_with(Instant::now);
        }
        if !out.is_empty() {
            if let Err(why) = shared.write(writer, &out).await {
                return why;
            }
            out.clear();
        }
        match then {
            Then::Again => {}
            Then::Close(why) => return why,
            Then::Ask(look_up) => out = ask(shared, conn, look_up).await,
            Then::Read if ended => return Why::Ended,
            Then::Read => match read(shared, &mut lines, half_since, reader).await {
                Ok(0) => {
                    ended = true;
                    lines.end();
                }
                Ok(_) => {}
                Err(why) => return why,
            },
        }
    }
}

/// Handles whole lines until there is a reason not to, appending all answers to `out`; how many.
fn handle<N: Net>(
    shared: &Shared<N>,
    conn: ConnId,
    lines: &mut Lines,
    out: &mut Vec<u8>,
) -> (Then, usize) {
    let journal = &*shared.journal;
    let mut state = shared.state();
    let mut handled = 0;
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
                handled += 1;
                let at = ClientLineAt {
                    conn,
                    now: shared.net.now(),
                };
                if let Some(look_up) = state.node.client_line(line, at, journal, out) {
                    break Then::Ask(look_up);
                }
            }
        }
    };
    state.wake();
    (then, handled)
}

/// The whole answer to a WHATSAT: the AT line, what Places says, two LFs.
async fn ask<N: Net>(shared: &Shared<N>, conn: ConnId, look_up: LookUp) -> Vec<u8> {
    let client = look_up.client.as_slice().into();
    let asked = shared
        .journal
        .record(Some(look_up.asked_by), What::LookUp { client });
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

async fn read<N: Net>(
    shared: &Shared<N>,
    lines: &mut Lines,
    half_since: Option<Instant>,
    reader: &mut (impl AsyncRead + Unpin),
) -> Result<usize, Why> {
    let timing = &shared.config.timing;
    let (deadline, late) = match half_since {
        // Counted from the first byte: one byte now and then does not hold a connection.
        Some(since) => (since + timing.half_line, Why::HalfLine),
        None => (Instant::now() + timing.idle, Why::Silent),
    };
    let read = timeout_at(deadline, lines.read(reader));
    match unless(shared.stopping(), read).await {
        Some(Ok(Ok(read))) => Ok(read),
        Some(Ok(Err(error))) => Err((&error).into()),
        Some(Err(_)) => Err(late),
        None => Err(Why::Stopping),
    }
}

/// Ends the connection so that the last answer still arrives: a system that closes a connection
/// with unread bytes resets it, and a reset overtakes what was written.
async fn close<N: Net>(
    shared: &Shared<N>,
    reader: &mut (impl AsyncRead + Unpin),
    writer: &mut (impl AsyncWrite + Unpin),
    why: &Why,
) {
    // An error here changes nothing: the connection ends either way.
    let _ = timeout(shared.config.timing.write_deadline, writer.shutdown()).await;
    if matches!(why, Why::LineTooLong | Why::HalfLine) {
        let mut rest = reader.take(LINGER_BYTES);
        let mut nowhere = tokio::io::sink();
        let read_on = tokio::io::copy(&mut rest, &mut nowhere);
        let _ = timeout(shared.config.timing.hello_deadline, read_on).await;
    }
}

//! A link with a neighbour: greet, then read and write at the same time until one of them ends.

use std::sync::Arc;

use futures_lite::future::or;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use super::lines::{Lines, Next};
use super::{CHUNK, Shared, unless};
use crate::journal::{ConnId, End, Other, What, Why};
use crate::net::{Connection, Net};
use crate::node::NeighbourId;
use crate::protocol::peer::{LINE_LIMIT, PeerError, PeerLine};

/// A connection that came in by the listener for servers.
pub(super) async fn serve_peer<N: Net>(shared: Arc<Shared<N>>, connection: Connection<N::Stream>) {
    let conn = shared.opened(End::Acceptor, Other::Peer, &connection);
    let why = run(&shared, conn, connection.stream, None).await;
    shared.journal.record(None, What::Closed { conn, why });
}

/// A connection to a neighbour that was dialled. Returns why it ended and how long the link was up.
pub(super) async fn serve_dialled<N: Net>(
    shared: &Shared<N>,
    connection: Connection<N::Stream>,
    neighbour: NeighbourId,
) {
    let with = Other::Server(shared.config.node.neighbours[neighbour.0].name.clone());
    let conn = shared.opened(End::Dialler, with, &connection);
    let why = run(shared, conn, connection.stream, Some(neighbour)).await;
    shared.journal.record(None, What::Closed { conn, why });
}

async fn run<N: Net>(
    shared: &Shared<N>,
    conn: ConnId,
    stream: N::Stream,
    dialled: Option<NeighbourId>,
) -> Why {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let mut lines = Lines::new(LINE_LIMIT);
    let greeted = greet(shared, conn, &mut lines, &mut reader, &mut writer, dialled);
    let neighbour = match timeout(shared.config.timing.hello_deadline, greeted).await {
        Ok(Ok(neighbour)) => neighbour,
        Ok(Err(why)) => return why,
        Err(_) => return Why::NoHello,
    };
    let link = Link {
        shared,
        neighbour,
        conn,
        session: Arc::new(Notify::new()),
    };
    link.up();
    // Writing comes first, so that all that one line caused is on its way before the next is read.
    let why = or(link.write(&mut writer), link.read(&mut lines, &mut reader)).await;
    link.down(&why);
    why
}

/// Both say `HELLO`: the one that dialled first, the other only to a neighbour.
async fn greet<N: Net>(
    shared: &Shared<N>,
    conn: ConnId,
    lines: &mut Lines,
    reader: &mut (impl AsyncRead + Unpin),
    writer: &mut (impl AsyncWrite + Unpin),
    dialled: Option<NeighbourId>,
) -> Result<NeighbourId, Why> {
    let hello = shared.state().node.hello();
    if dialled.is_some() {
        say(shared, conn, writer, &hello).await?;
    }
    let line = hear(shared, conn, lines, reader).await?;
    if let Ok(PeerLine::Bye { reason }) = PeerLine::parse(&line) {
        return Err(Why::Refused(crate::protocol::escape(reason).into()));
    }
    let greeted = shared.state().node.greet(&line, dialled);
    match greeted {
        Ok(neighbour) => {
            if dialled.is_none() {
                say(shared, conn, writer, &hello).await?;
            }
            Ok(neighbour)
        }
        Err(reason) => {
            let bye = PeerLine::Bye {
                reason: reason.as_bytes(),
            };
            say(shared, conn, writer, &bye.to_bytes()).await?;
            Err(Why::Refused(reason.into()))
        }
    }
}

async fn say<N: Net>(
    shared: &Shared<N>,
    conn: ConnId,
    writer: &mut (impl AsyncWrite + Unpin),
    line: &[u8],
) -> Result<(), Why> {
    let text = line.into();
    shared
        .journal
        .record(None, What::LineOut { conn, line: text });
    shared.write(writer, &[line, b"\n"].concat()).await
}

async fn hear<N: Net>(
    shared: &Shared<N>,
    conn: ConnId,
    lines: &mut Lines,
    reader: &mut (impl AsyncRead + Unpin),
) -> Result<Vec<u8>, Why> {
    loop {
        match lines.next() {
            Next::Line(line) => {
                let text = line.into();
                shared
                    .journal
                    .record(None, What::LineIn { conn, line: text });
                return Ok(line.to_vec());
            }
            Next::TooLong(_) => return Err(Why::Protocol(PeerError::TooLong)),
            Next::Nothing => {}
        }
        match lines.read(reader).await {
            Ok(0) => return Err(Why::Ended),
            Ok(_) => {}
            Err(error) => return Err((&error).into()),
        }
    }
}

/// A link that is up, and the session that it belongs to.
struct Link<'a, N: Net> {
    shared: &'a Shared<N>,
    neighbour: NeighbourId,
    conn: ConnId,
    /// Woken when there is something to write, or when a newer session has taken the link.
    session: Arc<Notify>,
}

impl<N: Net> Link<'_, N> {
    fn up(&self) {
        let mut state = self.shared.state();
        state
            .node
            .link_up(self.neighbour, self.conn, &*self.shared.journal);
        let superseded = state.sessions[self.neighbour.0].replace(Arc::clone(&self.session));
        if let Some(superseded) = superseded {
            superseded.notify_one();
        }
        state.wake();
    }

    fn down(&self, why: &Why) {
        let mut state = self.shared.state();
        if self.is_current(&state) {
            let journal = &*self.shared.journal;
            state.node.link_down(self.neighbour, why.clone(), journal);
            state.sessions[self.neighbour.0] = None;
        }
    }

    fn is_current(&self, state: &super::State) -> bool {
        let current = state.sessions[self.neighbour.0].as_ref();
        current.is_some_and(|current| Arc::ptr_eq(current, &self.session))
    }

    async fn write(&self, writer: &mut (impl AsyncWrite + Unpin)) -> Why {
        let timing = &self.shared.config.timing;
        let mut stopping = std::pin::pin!(self.shared.stopping());
        let mut next_audit = Instant::now() + self.shared.jitter(timing.audit);
        let mut last_word = Instant::now();
        let mut out = Vec::new();
        loop {
            out.clear();
            {
                let mut state = self.shared.state();
                if !self.is_current(&state) {
                    return Why::Superseded;
                }
                state
                    .node
                    .pull(self.neighbour, CHUNK, &mut out, &*self.shared.journal);
            }
            if !out.is_empty() {
                if let Err(why) = self.shared.write(writer, &out).await {
                    return why;
                }
                last_word = Instant::now();
                continue;
            }
            let next_ping = last_word + timing.heartbeat;
            let time = tokio::time::sleep_until(next_ping.min(next_audit));
            let work_or_time = or(self.session.notified(), time);
            if unless(&mut stopping, work_or_time).await.is_none() {
                return Why::Stopping;
            }
            let now = Instant::now();
            let mut state = self.shared.state();
            if now >= next_audit {
                next_audit = now + self.shared.jitter(timing.audit);
                state.node.audit(self.neighbour);
            } else if now >= next_ping {
                state.node.ping(self.neighbour);
            }
        }
    }

    async fn read(&self, lines: &mut Lines, reader: &mut (impl AsyncRead + Unpin)) -> Why {
        let silence = self.shared.config.timing.heartbeat * 2;
        loop {
            if let Err(error) = self.handle(lines) {
                return Why::Protocol(error);
            }
            match timeout(silence, lines.read(reader)).await {
                Err(_) => return Why::Silent,
                Ok(Ok(0)) => return Why::Ended,
                Ok(Ok(_)) => {}
                Ok(Err(error)) => return (&error).into(),
            }
        }
    }

    /// Handles every whole line that was read.
    fn handle(&self, lines: &mut Lines) -> Result<(), PeerError> {
        let mut state = self.shared.state();
        if !self.is_current(&state) {
            // The writing half sees the same and says so.
            return Ok(());
        }
        let handled = loop {
            match lines.next() {
                Next::Nothing => break Ok(()),
                Next::TooLong(_) => break Err(PeerError::TooLong),
                Next::Line(line) => {
                    let journal = &*self.shared.journal;
                    if let Err(error) = state.node.peer_line(self.neighbour, line, journal) {
                        break Err(error);
                    }
                }
            }
        };
        state.wake();
        handled
    }
}

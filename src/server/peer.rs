//! A link with a neighbour: greet, then read and write at the same time until one of them ends.

use std::sync::Arc;

use futures_lite::future::or;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout, timeout_at};

use super::accept::Place;
use super::lines::{Lines, Next};
use super::neighbours::{Peer, State};
use super::{CHUNK, Over, Shared, unless, unproved};
use crate::journal::{ConnId, End, EventId, Other, What, Why};
use crate::net::{Connection, Net, Proved};
use crate::node::NeighbourId;
use crate::node::mistakes::{self, Mistake, makes};
use crate::protocol::escape;
use crate::protocol::peer::{LINE_LIMIT, PeerError, PeerLine};

/// How many lines of a neighbour are handled before others may have the lock.
const AT_ONCE: usize = 16;

/// A connection that came in by the listener for servers.
pub(super) async fn serve_peer<N: Net>(
    shared: Arc<Shared<N>>,
    connection: Connection<N::Stream>,
    place: Arc<Place>,
) {
    let conn = shared.opened(End::Acceptor, Other::Peer, &connection);
    run(&shared, conn, connection, None, &place).await;
}

/// A connection to a neighbour that was dialled; returns when it is over.
pub(super) async fn serve_dialled<N: Net>(
    shared: &Shared<N>,
    connection: Connection<N::Stream>,
    neighbour: NeighbourId,
    peer: &Arc<Peer>,
) {
    let with = Other::Server(Arc::clone(&peer.name));
    let conn = shared.opened(End::Dialler, with, &connection);
    run(
        shared,
        conn,
        connection,
        Some((neighbour, peer)),
        &Place::default(),
    )
    .await;
}

async fn run<N: Net>(
    shared: &Shared<N>,
    conn: ConnId,
    connection: Connection<N::Stream>,
    dialled: Option<(NeighbourId, &Arc<Peer>)>,
    place: &Place,
) {
    let Connection { stream, proved, .. } = connection;
    let (mut reader, mut writer) = tokio::io::split(stream);
    let talk = Talk {
        shared,
        conn,
        proved: &proved,
        place,
    };
    let mut over = talk.converse(&mut reader, &mut writer, dialled).await;
    over.why = unproved(over.why, &proved);
    if let Why::Protocol(error) = over.why {
        // The neighbour should know why; whether it still listens is its own affair.
        let reason = error.to_string();
        let _ = talk.say_bye(&mut writer, &reason, over.cause).await;
    }
    let last_words = shared.last_words(&over.why, &mut reader, &mut writer);
    // Who lost its place is not even heard out.
    let _ = unless(place.lost(), last_words).await;
    shared.closed(conn, over);
}

/// The lines before a link is up, and behind it.
struct Talk<'a, N: Net> {
    shared: &'a Shared<N>,
    conn: ConnId,
    proved: &'a Proved,
    place: &'a Place,
}

impl<N: Net> Talk<'_, N> {
    /// Greets, then reads and writes until one of the two ends.
    async fn converse(
        &self,
        reader: &mut (impl AsyncRead + Unpin),
        writer: &mut (impl AsyncWrite + Unpin),
        dialled: Option<(NeighbourId, &Arc<Peer>)>,
    ) -> Over {
        let shared = self.shared;
        let mut lines = Lines::new(LINE_LIMIT);
        let greeted = self.greet(&mut lines, reader, writer, dialled);
        let greeted = timeout(shared.timing().hello_deadline, greeted);
        let greeted = unless(shared.links_stopping(), greeted);
        let (neighbour, peer, heard) = match unless(self.place.lost(), greeted).await {
            Some(Some(Ok(Ok(greeted)))) => greeted,
            Some(Some(Ok(Err(over)))) => return over,
            Some(Some(Err(_))) => return Why::NoHello.into(),
            Some(None) => return Why::Stopping.into(),
            None => return Why::Full.into(),
        };
        self.place.keep();
        let link = Link {
            shared,
            neighbour,
            peer,
            conn: self.conn,
            session: Arc::new(Notify::new()),
        };
        link.up(heard);
        // Writing comes first, so that all that one line caused is on its way before the next is
        // read.
        let session = or(link.write(writer), link.read(&mut lines, reader));
        let too_late = async {
            shared.links_stopping().await;
            tokio::time::sleep(shared.timing().drain).await;
        };
        let ending = or(too_late, link.peer.left());
        let session = async { Ok(unless(ending, session).await) };
        // Who may no longer speak is not heard to the end of what was read already.
        let revoked = async { Err(self.proved.revoked().await) };
        let (over, bye) = match (or(revoked, session).await, link.peer.why_left()) {
            (Ok(over), None) => (over.unwrap_or_else(|| Why::Slow.into()), None),
            (Ok(_), Some(reason)) | (Err(reason), _) => {
                (Why::Refused(reason.clone().into()).into(), Some(reason))
            }
        };
        link.down(&over);
        if let Some(reason) = bye {
            // Whether it still listens is its own affair.
            let _ = self.say_bye(writer, &reason, None).await;
        }
        over
    }

    /// Both say `HELLO`: the one that dialled first, the other only to a neighbour.
    async fn greet(
        &self,
        lines: &mut Lines,
        reader: &mut (impl AsyncRead + Unpin),
        writer: &mut (impl AsyncWrite + Unpin),
        dialled: Option<(NeighbourId, &Arc<Peer>)>,
    ) -> Result<(NeighbourId, Arc<Peer>, EventId), Over> {
        let hello = self.shared.state().node.hello();
        if dialled.is_some() {
            self.say(writer, &hello, None).await?;
        }
        let (line, heard) = self.hear(lines, reader).await?;
        let refused = |reason: String| Over {
            why: Why::Refused(reason.into()),
            cause: Some(heard),
        };
        if let Ok(PeerLine::Bye { reason }) = PeerLine::parse(&line) {
            return Err(refused(escape(reason)));
        }
        let greeted = self.recognise(&line, dialled);
        let greeted = greeted.and_then(|(neighbour, peer)| {
            let refusal = self.proved.refusal(&peer.name);
            refusal.map_or(Ok((neighbour, peer)), Err)
        });
        match greeted {
            Ok((neighbour, peer)) => {
                if dialled.is_none() {
                    self.say(writer, &hello, Some(heard)).await?;
                }
                Ok((neighbour, peer, heard))
            }
            Err(reason) => {
                self.say_bye(writer, &reason, Some(heard)).await?;
                Err(refused(reason))
            }
        }
    }

    /// Whose greeting this is, if it is a neighbour's.
    fn recognise(
        &self,
        line: &[u8],
        dialled: Option<(NeighbourId, &Arc<Peer>)>,
    ) -> Result<(NeighbourId, Arc<Peer>), String> {
        let state = self.shared.state();
        let neighbour = state.node.greet(line, dialled.map(|(wanted, _)| wanted))?;
        // An id may have got to another neighbour while this one was dialled.
        let peer = dialled.map_or(&state.peers[neighbour.0], |(_, peer)| peer);
        Ok((neighbour, Arc::clone(peer)))
    }

    async fn say(
        &self,
        writer: &mut (impl AsyncWrite + Unpin),
        line: &[u8],
        cause: Option<EventId>,
    ) -> Result<(), Why> {
        let line_out = What::LineOut {
            conn: self.conn,
            line: line.into(),
        };
        self.shared.journal.record(cause, line_out);
        self.shared.write(writer, &[line, b"\n"].concat()).await
    }

    async fn say_bye(
        &self,
        writer: &mut (impl AsyncWrite + Unpin),
        reason: &str,
        cause: Option<EventId>,
    ) -> Result<(), Why> {
        let reason = reason.as_bytes();
        self.say(writer, &PeerLine::Bye { reason }.to_bytes(), cause)
            .await
    }

    async fn hear(
        &self,
        lines: &mut Lines,
        reader: &mut (impl AsyncRead + Unpin),
    ) -> Result<(Vec<u8>, EventId), Over> {
        loop {
            match lines.next() {
                Next::Line(line) => return Ok((line.to_vec(), self.heard(line))),
                Next::TooLong(line) => {
                    return Err(Over {
                        why: Why::Protocol(PeerError::TooLong),
                        cause: Some(self.heard(line)),
                    });
                }
                Next::Nothing => {}
            }
            match lines.read(reader).await {
                Ok(0) => return Err(Why::Ended.into()),
                Ok(_) => {}
                Err(error) => return Err(Why::from(&error).into()),
            }
        }
    }

    fn heard(&self, line: &[u8]) -> EventId {
        let line_in = What::LineIn {
            conn: self.conn,
            line: line.into(),
        };
        self.shared.journal.record(None, line_in)
    }
}

/// A link that is up, and the session that it belongs to.
struct Link<'a, N: Net> {
    shared: &'a Shared<N>,
    neighbour: NeighbourId,
    peer: Arc<Peer>,
    conn: ConnId,
    /// Woken when there is something to write, or when a newer session has taken the link.
    session: Arc<Notify>,
}

impl<N: Net> Link<'_, N> {
    fn up(&self, heard: EventId) {
        let journal = &*self.shared.journal;
        let mut state = self.shared.state();
        if self.peer.why_left().is_some() {
            // It left while it was greeted. The session sees so at once.
            return;
        }
        state
            .node
            .link_up(self.neighbour, self.conn, heard, journal);
        let superseded = state.sessions[self.neighbour.0].replace(Arc::clone(&self.session));
        if let Some(superseded) = superseded {
            superseded.notify_one();
        }
        state.wake();
    }

    fn down(&self, over: &Over) {
        let mut state = self.shared.state();
        if self.is_current(&state) {
            let (why, journal) = (over.why.clone(), &*self.shared.journal);
            state
                .node
                .link_down(self.neighbour, why, over.cause, journal);
            state.sessions[self.neighbour.0] = None;
        }
    }

    fn is_current(&self, state: &State) -> bool {
        let current = state.sessions[self.neighbour.0].as_ref();
        current.is_some_and(|current| Arc::ptr_eq(current, &self.session))
    }

    async fn write(&self, writer: &mut (impl AsyncWrite + Unpin)) -> Over {
        let timing = self.shared.timing();
        let mut stopping = std::pin::pin!(self.shared.links_stopping());
        let mut next_audit = Instant::now() + self.shared.jitter(timing.audit);
        let mut last_word = Instant::now();
        let mut out = Vec::new();
        loop {
            out.clear();
            let has_more;
            {
                let mut state = self.shared.state();
                if !self.is_current(&state) {
                    return Why::Superseded.into();
                }
                state
                    .node
                    .pull(self.neighbour, CHUNK, &mut out, &*self.shared.journal);
                has_more = state.node.has_work(self.neighbour);
            }
            if !out.is_empty() {
                if let Err(why) = self.shared.write(writer, &out).await {
                    return why.into();
                }
                last_word = Instant::now();
                continue;
            }
            if has_more {
                tokio::task::yield_now().await;
                continue;
            }
            let next_ping = last_word + timing.heartbeat;
            let time = tokio::time::sleep_until(next_ping.min(next_audit));
            let work_or_time = or(self.session.notified(), time);
            if unless(&mut stopping, work_or_time).await.is_none() {
                return Why::Stopping.into();
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

    async fn read(&self, lines: &mut Lines, reader: &mut (impl AsyncRead + Unpin)) -> Over {
        let silence = if makes(&self.shared.config.node.name, Mistake::WaitsForEver) {
            std::time::Duration::from_secs(1_000_000)
        } else {
            self.shared.timing().heartbeat * 2
        };
        let mut last_line = Instant::now();
        loop {
            loop {
                match self.handle(lines) {
                    Ok(0) => break,
                    Ok(_) => last_line = Instant::now(),
                    Err(over) => return over,
                }
            }
            // Only whole lines count as a sign of life.
            match timeout_at(last_line + silence, lines.read(reader)).await {
                Err(_) => return Why::Silent.into(),
                Ok(Ok(0)) => return Why::Ended.into(),
                Ok(Ok(_)) => {}
                Ok(Err(error)) => return Why::from(&error).into(),
            }
        }
    }

    /// Handles some whole lines that were read; how many. Not all at once: clients wait for the
    /// same lock.
    fn handle(&self, lines: &mut Lines) -> Result<usize, Over> {
        let journal = &*self.shared.journal;
        let mut state = self.shared.state();
        if !self.is_current(&state) {
            return Err(Why::Superseded.into());
        }
        mistakes::tell_time(|| self.shared.net.now());
        let mut handled = 0;
        let mut failed = None;
        while handled < AT_ONCE && failed.is_none() {
            match lines.next() {
                Next::Nothing => break,
                Next::TooLong(line) => {
                    let (conn, line) = (self.conn, line.into());
                    let heard = journal.record(None, What::LineIn { conn, line });
                    failed = Some((PeerError::TooLong, heard));
                }
                Next::Line(line) => {
                    failed = state.node.peer_line(self.neighbour, line, journal).err();
                    handled += 1;
                }
            }
        }
        state.wake();
        match failed {
            None => Ok(handled),
            Some((error, heard)) => Err(Over {
                why: Why::Protocol(error),
                cause: Some(heard),
            }),
        }
    }
}

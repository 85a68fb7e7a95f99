//! A link with a neighbour. It reads and writes concurrently until one of them ends, or this server
//! stops.

use std::sync::Arc;

use futures_lite::future::or;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::time::{Instant, timeout, timeout_at};

use super::lines::{Lines, Next};
use super::neighbours::{Peer, State};
use super::{CHUNK, Over, Shared, unless};
use crate::journal::{CloseReason, ConnId, EventId, EventKind};
use crate::net::Net;
use crate::node::mistakes::Mistake;
use crate::node::{Greeting, NeighbourId};
use crate::protocol::peer::PeerError;
use crate::sync::Notify;

/// The number of a neighbour's lines that are handled before other tasks get the lock.
const AT_ONCE: usize = 16;

/// The result of handling some lines.
struct Handled {
    /// The number of lines.
    lines: usize,
    /// This server is leaving, and the neighbour has confirmed that it has everything.
    is_over: bool,
}

/// A link, and the session that owns it.
pub(super) struct Link<'a, N: Net> {
    pub(super) shared: &'a Shared<N>,
    pub(super) neighbour: NeighbourId,
    /// The version of the protocol that both ends speak.
    pub(super) version: u32,
    pub(super) peer: Arc<Peer>,
    pub(super) conn: ConnId,
    /// Notifies the link that there is something to write, or that a newer session has replaced it.
    pub(super) session: Arc<Notify>,
}

impl<N: Net> Link<'_, N> {
    pub(super) fn up(&self, greeting: Greeting, heard: EventId) {
        let journal = &*self.shared.journal;
        let mut state = self.shared.state();
        if self.peer.why_left().is_some() {
            // The neighbour was removed during the greeting. The session notices that at once.
            return;
        }
        state.node.link_up(greeting, self.conn, heard, journal);
        let superseded = state.sessions[self.neighbour.0].replace(Arc::clone(&self.session));
        if let Some(superseded) = superseded {
            superseded.notify_one();
        }
        state.wake();
    }

    /// Marks the link as down. If either end has left, that is the reason, not the connection's
    /// error.
    pub(super) fn down(&self, over: &mut Over) {
        let mut state = self.shared.state();
        let makes = |mistake| self.shared.config.mistake.makes(mistake);
        if self.is_current(&state) || makes(Mistake::EndsItsSuccessor) {
            if state.node.is_left_by(self.neighbour) {
                over.why = CloseReason::Left;
            } else if state.node.is_confirmed(self.neighbour) {
                over.why = CloseReason::Stopping;
            }
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

    pub(super) async fn write(&self, writer: &mut (impl AsyncWrite + Unpin)) -> Over {
        let timing = self.shared.timing();
        let mut stopping = std::pin::pin!(self.shared.links_stopping());
        let (mut is_told, mut leaves) = (false, false);
        let mut next_round = Instant::now() + self.shared.jitter(timing.anti_entropy);
        let mut last_word = Instant::now();
        let mut out = Vec::new();
        loop {
            out.clear();
            let (has_more, has_left);
            {
                let mut state = self.shared.state();
                if !self.is_current(&state) {
                    return CloseReason::Superseded.into();
                }
                // The flag is checked here, too, since a link that always has lines to write never
                // waits below.
                if !leaves && (is_told || self.shared.stop_links.is_given()) {
                    leaves = true;
                    state.node.leave(self.neighbour);
                }
                let (now, journal) = (self.shared.net.now(), &*self.shared.journal);
                (state.node).pull(self.neighbour, CHUNK, now, &mut out, journal);
                has_more = state.node.has_work(self.neighbour);
                has_left = state.node.has_left(self.neighbour);
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
            if has_left && self.version == 1 {
                // Version 1 has no BYE that confirms. The end of the stream replaces it, and the
                // neighbour confirms by ending its own.
                let _ = timeout(self.shared.linger(), writer.shutdown()).await;
                std::future::pending::<()>().await;
            }
            let pause = if self.shared.config.mistake.makes(Mistake::PingsLate) {
                // A twentieth of a heartbeat is left.
                timing.heartbeat * 39 / 20
            } else {
                timing.heartbeat
            };
            let next_ping = last_word + pause;
            let time = tokio::time::sleep_until(next_ping.min(next_round));
            let work_or_time = or(self.session.notified(), time);
            if leaves {
                work_or_time.await;
            } else if unless(&mut stopping, work_or_time).await.is_none() {
                is_told = true;
                continue;
            }
            let now = Instant::now();
            let mut state = self.shared.state();
            if now >= next_round {
                next_round = now + self.shared.jitter(timing.anti_entropy);
                state.node.anti_entropy(self.neighbour);
            } else if now >= next_ping {
                // A link that is left is not pinged any more. The next time to do so must come later all the same:
                // otherwise this loop would not wait until the neighbour confirms the BYE, and keep a core busy.
                last_word = now;
                state.node.ping(self.neighbour);
            }
        }
    }

    pub(super) async fn read(
        &self,
        lines: &mut Lines,
        reader: &mut (impl AsyncRead + Unpin),
    ) -> Over {
        let makes = |mistake| self.shared.config.mistake.makes(mistake);
        let silence = if makes(Mistake::WaitsForEver) {
            std::time::Duration::from_secs(1_000_000)
        } else if makes(Mistake::GivesUpEarly) {
            self.shared.timing().heartbeat / 2
        } else {
            self.shared.timing().heartbeat * 2
        };
        let mut last_line = Instant::now();
        loop {
            loop {
                match self.handle(lines) {
                    Ok(Handled { is_over: true, .. }) => return CloseReason::Stopping.into(),
                    Ok(Handled { lines: 0, .. }) => break,
                    Ok(_) => last_line = Instant::now(),
                    Err(over) => return over,
                }
            }
            // Only whole lines count as heartbeats.
            match timeout_at(last_line + silence, lines.read(reader)).await {
                Err(_) => return CloseReason::Silent.into(),
                Ok(Ok(0)) => {
                    self.shared.state().node.hear_end(self.neighbour);
                    return CloseReason::Ended.into();
                }
                Ok(Ok(_)) => {}
                Ok(Err(error)) => return CloseReason::from(&error).into(),
            }
        }
    }

    /// Handles some of the lines that were read, and returns how many. Others get the lock in
    /// between, because clients need it, too.
    fn handle(&self, lines: &mut Lines) -> Result<Handled, Over> {
        let journal = &*self.shared.journal;
        let mut state = self.shared.state();
        if !self.is_current(&state) {
            return Err(CloseReason::Superseded.into());
        }
        let now = self.shared.net.now();
        let mut handled = 0;
        let mut failed = None;
        while handled < AT_ONCE && failed.is_none() {
            match lines.next() {
                Next::Nothing => break,
                Next::TooLong(line) => {
                    let (conn, line) = (self.conn, line.into());
                    let heard = journal.record(None, EventKind::LineIn { conn, line });
                    failed = Some((PeerError::TooLong, heard));
                }
                Next::Line(line) => {
                    let heard = (state.node).peer_line(self.neighbour, line, now, journal);
                    failed = heard.err();
                    handled += 1;
                }
            }
        }
        state.wake();
        match failed {
            None => Ok(Handled {
                lines: handled,
                is_over: state.node.is_confirmed(self.neighbour),
            }),
            Some((error, heard)) => Err(Over {
                why: CloseReason::Protocol(error),
                cause: Some(heard),
            }),
        }
    }
}

//! A link with a neighbour: greet, then read and write at the same time until one of them ends.

use std::sync::Arc;

use futures_lite::future::or;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout, timeout_at};

use super::accept::Place;
use super::lines::{Lines, Next};
use super::neighbours::{Peer, State};
use super::{CHUNK, Over, Shared, unless, unproved};
use crate::journal::{ConnId, End, EventId, Other, What, Why};
use crate::net::{Connection, Net, Proved};
use crate::node::mistakes::{self, Mistake, makes};
use crate::node::{Greeted, Greeting, Namesakes, NeighbourId, Refused};
use crate::protocol::escape;
use crate::protocol::peer::{self, LINE_LIMIT, PeerError, PeerLine};

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

/// Whom this end meant to reach, and how it greets.
#[derive(Clone, Copy)]
pub(super) struct Dialled<'a> {
    pub(super) neighbour: NeighbourId,
    pub(super) peer: &'a Arc<Peer>,
    pub(super) version: u32,
}

/// A connection to a neighbour that was dialled; returns why it is over when it is.
pub(super) async fn serve_dialled<N: Net>(
    shared: &Shared<N>,
    connection: Connection<N::Stream>,
    dialled: Dialled<'_>,
) -> Why {
    let with = Other::Server(Arc::clone(&dialled.peer.name));
    let conn = shared.opened(End::Dialler, with, &connection);
    run(shared, conn, connection, Some(dialled), &Place::default()).await
}

/// Asks a neighbour by which this server is dialled to do so now, over a connection that is for nothing else.
pub(super) async fn ask_to_be_dialled<N: Net>(
    shared: &Shared<N>,
    connection: Connection<N::Stream>,
    peer: &Peer,
) {
    let with = Other::Server(Arc::clone(&peer.name));
    let conn = shared.opened(End::Dialler, with, &connection);
    let Connection { stream, proved, .. } = connection;
    let (mut reader, mut writer) = tokio::io::split(stream);
    let place = Place::default();
    let talk = Talk {
        shared,
        conn,
        proved: &proved,
        place: &place,
    };
    let asked = async {
        let dial_me = shared.state().node.dial_me();
        talk.say(&mut writer, &dial_me, None).await?;
        let (line, heard) = talk.hear(&mut Lines::new(LINE_LIMIT), &mut reader).await?;
        match PeerLine::parse(&line) {
            // Version 1 does not know what is wanted of it, and says so. It dials when it does.
            Ok(PeerLine::Bye { .. }) => Ok(heard),
            Ok(_) => Err(Why::Protocol(PeerError::Unexpected).into()),
            Err(error) => Err(Why::Protocol(error).into()),
        }
    };
    let over = match timeout(shared.timing().hello_deadline, asked).await {
        Ok(Ok(heard)) => Over {
            why: Why::Left,
            cause: Some(heard),
        },
        Ok(Err(over)) => over,
        Err(_) => Why::NoHello.into(),
    };
    let over = Over {
        why: unproved(over.why, &proved),
        ..over
    };
    shared.last_words(&over.why, &mut reader, &mut writer).await;
    shared.closed(conn, over);
}

async fn run<N: Net>(
    shared: &Shared<N>,
    conn: ConnId,
    connection: Connection<N::Stream>,
    dialled: Option<Dialled<'_>>,
    place: &Place,
) -> Why {
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
    let why = over.why.clone();
    shared.closed(conn, over);
    why
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
        dialled: Option<Dialled<'_>>,
    ) -> Over {
        let shared = self.shared;
        let mut lines = Lines::new(LINE_LIMIT);
        let greeted = self.greet(&mut lines, reader, writer, dialled);
        let greeted = timeout(shared.timing().hello_deadline, greeted);
        let greeted = unless(shared.links_stopping(), greeted);
        let (greeting, peer, heard) = match unless(self.place.lost(), greeted).await {
            Some(Some(Ok(Ok(greeted)))) => greeted,
            Some(Some(Ok(Err(over)))) => return over,
            Some(Some(Err(_))) => return Why::NoHello.into(),
            Some(None) => return Why::Stopping.into(),
            None => return Why::Full.into(),
        };
        self.place.keep();
        let link = Link {
            shared,
            neighbour: greeting.neighbour,
            version: greeting.version,
            peer,
            conn: self.conn,
            session: Arc::new(Notify::new()),
        };
        link.up(greeting, heard);
        // Writing comes first, so that all that one line caused is on its way before the next is
        // read.
        let session = or(link.write(writer), link.read(&mut lines, reader));
        let too_late = async {
            shared.links_stopping().await;
            let half = shared.timing().drain / 2;
            tokio::time::sleep(half).await;
            // What comes in without end must not keep what waits from coming to one.
            shared.state().node.relay_no_more();
            tokio::time::sleep(half).await;
        };
        let ending = or(too_late, link.peer.left());
        let session = async { Ok(unless(ending, session).await) };
        // Who may no longer speak is not heard to the end of what was read already.
        let revoked = async { Err(self.proved.revoked().await) };
        let (mut over, bye) = match (or(revoked, session).await, link.peer.why_left()) {
            (Ok(over), None) => (over.unwrap_or_else(|| Why::Slow.into()), None),
            (Ok(_), Some(reason)) | (Err(reason), _) => {
                (Why::Refused(reason.clone().into()).into(), Some(reason))
            }
        };
        link.down(&mut over);
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
        dialled: Option<Dialled<'_>>,
    ) -> Result<(Greeting, Arc<Peer>, EventId), Over> {
        if let Some(Dialled { version, .. }) = dialled {
            let hello = self.shared.state().node.hello(version);
            self.say(writer, &hello, None).await?;
        }
        let (line, heard) = self.hear(lines, reader).await?;
        let over = |why| Over {
            why,
            cause: Some(heard),
        };
        if let Ok(PeerLine::Bye { reason }) = PeerLine::parse(&line) {
            let reason = escape(reason);
            if let Some(linked) = peer::namesake(&reason) {
                self.has_a_namesake(linked, heard);
            }
            return Err(over(Why::Refused(reason.into())));
        }
        match self.recognise(&line, dialled) {
            Ok((Greeted::Link(greeting), peer)) => {
                if dialled.is_none() {
                    let hello = self.shared.state().node.hello(greeting.version);
                    self.say(writer, &hello, Some(heard)).await?;
                }
                Ok((greeting, peer, heard))
            }
            Ok((Greeted::DialMe(_), peer)) => {
                peer.dial_now();
                self.say_bye(writer, "", Some(heard)).await?;
                Err(over(Why::Left))
            }
            Err(Refused { reason, namesakes }) => {
                if let Some(namesakes) = namesakes {
                    self.met_namesakes(namesakes, heard);
                }
                self.say_bye(writer, &reason, Some(heard)).await?;
                Err(over(Why::Refused(reason.into())))
            }
        }
    }

    /// Whose greeting this is, if it is a neighbour's.
    fn recognise(
        &self,
        line: &[u8],
        dialled: Option<Dialled<'_>>,
    ) -> Result<(Greeted, Arc<Peer>), Refused> {
        let state = self.shared.state();
        let wanted = dialled.map(|dialled| (dialled.neighbour, dialled.version));
        let greeted = state.node.greet(line, wanted)?;
        let neighbour = match greeted {
            Greeted::Link(greeting) => greeting.neighbour,
            Greeted::DialMe(neighbour) => neighbour,
        };
        // An id may have got to another neighbour while this one was dialled.
        let peer = dialled.map_or(&state.peers[neighbour.0], |dialled| dialled.peer);
        match self.proved.refusal(&peer.name) {
            Some(reason) => Err(reason.into()),
            None => Ok((greeted, Arc::clone(peer))),
        }
    }

    /// A neighbour has a link with another server of this one's name.
    fn has_a_namesake(&self, linked: &str, heard: EventId) {
        let config = &self.shared.config.node;
        let what = What::Namesakes {
            name: Arc::clone(&config.name),
            mine: true,
            linked: linked.into(),
            linked_by: None,
            refused: config.boot.to_string().into(),
            conn: self.conn,
        };
        self.shared.journal.record(Some(heard), what);
    }

    /// Two servers have the name of one neighbour.
    fn met_namesakes(&self, namesakes: Namesakes, heard: EventId) {
        let what = What::Namesakes {
            name: namesakes.name,
            mine: false,
            linked: namesakes.linked.to_string().into(),
            linked_by: namesakes.conn,
            refused: namesakes.refused.to_string().into(),
            conn: self.conn,
        };
        self.shared.journal.record(Some(heard), what);
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

/// What came of reading.
struct Handled {
    /// How many lines were handled.
    lines: usize,
    /// The neighbour confirmed to have everything, and this server leaves.
    is_over: bool,
}

/// A link that is up, and the session that it belongs to.
struct Link<'a, N: Net> {
    shared: &'a Shared<N>,
    neighbour: NeighbourId,
    /// Of the language that both speak.
    version: u32,
    peer: Arc<Peer>,
    conn: ConnId,
    /// Woken when there is something to write, or when a newer session has taken the link.
    session: Arc<Notify>,
}

impl<N: Net> Link<'_, N> {
    fn up(&self, greeting: Greeting, heard: EventId) {
        let journal = &*self.shared.journal;
        let mut state = self.shared.state();
        if self.peer.why_left().is_some() {
            // It left while it was greeted. The session sees so at once.
            return;
        }
        state.node.link_up(greeting, self.conn, heard, journal);
        let superseded = state.sessions[self.neighbour.0].replace(Arc::clone(&self.session));
        if let Some(superseded) = superseded {
            superseded.notify_one();
        }
        state.wake();
    }

    /// The link is down. If either end left it, that is why, whatever became of the connection.
    fn down(&self, over: &mut Over) {
        let mut state = self.shared.state();
        if self.is_current(&state) {
            if state.node.is_left_by(self.neighbour) {
                over.why = Why::Left;
            } else if state.node.is_confirmed(self.neighbour) {
                over.why = Why::Stopping;
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

    async fn write(&self, writer: &mut (impl AsyncWrite + Unpin)) -> Over {
        let timing = self.shared.timing();
        let mut stopping = std::pin::pin!(self.shared.links_stopping());
        let (mut is_told, mut leaves) = (false, false);
        let mut next_audit = Instant::now() + self.shared.jitter(timing.audit);
        let mut last_word = Instant::now();
        let mut out = Vec::new();
        loop {
            out.clear();
            let (has_more, has_left);
            {
                let mut state = self.shared.state();
                if !self.is_current(&state) {
                    return Why::Superseded.into();
                }
                // A link that always has something to say must see it, too.
                if !leaves && (is_told || *self.shared.stop_links.borrow()) {
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
                // It has no word for this: the end of what is written is one, and the neighbour's end confirms it.
                let _ = timeout(self.shared.linger(), writer.shutdown()).await;
                std::future::pending::<()>().await;
            }
            let next_ping = last_word + timing.heartbeat;
            let time = tokio::time::sleep_until(next_ping.min(next_audit));
            let work_or_time = or(self.session.notified(), time);
            if leaves {
                work_or_time.await;
            } else if unless(&mut stopping, work_or_time).await.is_none() {
                is_told = true;
                continue;
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
                    Ok(Handled { is_over: true, .. }) => return Why::Stopping.into(),
                    Ok(Handled { lines: 0, .. }) => break,
                    Ok(_) => last_line = Instant::now(),
                    Err(over) => return over,
                }
            }
            // Only whole lines count as a sign of life.
            match timeout_at(last_line + silence, lines.read(reader)).await {
                Err(_) => return Why::Silent.into(),
                Ok(Ok(0)) => {
                    self.shared.state().node.hear_end(self.neighbour);
                    return Why::Ended.into();
                }
                Ok(Ok(_)) => {}
                Ok(Err(error)) => return Why::from(&error).into(),
            }
        }
    }

    /// Handles some whole lines that were read; how many. Not all at once: clients wait for the
    /// same lock.
    fn handle(&self, lines: &mut Lines) -> Result<Handled, Over> {
        let journal = &*self.shared.journal;
        let mut state = self.shared.state();
        if !self.is_current(&state) {
            return Err(Why::Superseded.into());
        }
        let now = self.shared.net.now();
        mistakes::tell_time(|| now);
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
                why: Why::Protocol(error),
                cause: Some(heard),
            }),
        }
    }
}

//! A connection with another server. After the greeting it becomes a link, or ends with a reason.

use std::sync::Arc;

use futures_lite::future::or;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use super::lines::{Lines, Next};
use super::link::Link;
use super::neighbours::Peer;
use super::place::Place;
use super::{Over, Shared, unless, unproved};
use crate::journal::{CloseReason, ConnId, End, EventId, EventKind, PeerRole};
use crate::net::{Connection, Net, Proved};
use crate::node::{Greeted, Greeting, Namesakes, NeighbourId, Refused};
use crate::protocol::escape;
use crate::protocol::peer::{self, LINE_LIMIT, PeerError, PeerLine};
use crate::sync::Notify;

/// Serves a connection that the listener for servers has accepted.
pub(super) async fn serve_peer<N: Net>(
    shared: Arc<Shared<N>>,
    connection: Connection<N::Stream>,
    place: Arc<Place>,
) {
    let conn = shared.opened(End::Acceptor, PeerRole::Peer, &connection);
    run(&shared, conn, connection, None, &place).await;
}

/// The neighbour that this end dialled, and the version of its greeting.
#[derive(Clone, Copy)]
pub(super) struct Dialled<'a> {
    pub(super) neighbour: NeighbourId,
    pub(super) peer: &'a Arc<Peer>,
    pub(super) version: u32,
}

/// Serves a connection to a neighbour that this end dialled, and returns why it ended.
pub(super) async fn serve_dialled<N: Net>(
    shared: &Shared<N>,
    connection: Connection<N::Stream>,
    dialled: Dialled<'_>,
) -> CloseReason {
    let with = PeerRole::Server(Arc::clone(&dialled.peer.name));
    let conn = shared.opened(End::Dialler, with, &connection);
    run(shared, conn, connection, Some(dialled), &Place::default()).await
}

/// Sends a request to a neighbour to dial this server now. The connection serves no other purpose.
pub(super) async fn ask_to_be_dialled<N: Net>(
    shared: &Shared<N>,
    connection: Connection<N::Stream>,
    peer: &Peer,
) {
    let with = PeerRole::Server(Arc::clone(&peer.name));
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
            // Version 1 does not know the request and refuses it, also by BYE. It dials at its next
            // attempt.
            Ok(PeerLine::Bye { reason })
                if reason.is_empty() || *reason == *peer::HELLO_FIRST.as_bytes() =>
            {
                Ok(heard)
            }
            Ok(PeerLine::Bye { reason }) => Err(Over {
                why: CloseReason::Refused(escape(reason).into()),
                cause: Some(heard),
            }),
            Ok(_) => Err(CloseReason::Protocol(PeerError::Unexpected).into()),
            Err(error) => Err(CloseReason::Protocol(error).into()),
        }
    };
    let asked = timeout(shared.timing().hello_deadline, asked);
    let ending = or(shared.links_stopping(), peer.left());
    let over = match (unless(ending, asked).await, peer.why_left()) {
        (Some(Ok(Ok(heard))), _) => Over {
            why: CloseReason::Left,
            cause: Some(heard),
        },
        (Some(Ok(Err(over))), _) => over,
        (Some(Err(_)), _) => CloseReason::NoHello.into(),
        (None, Some(reason)) => CloseReason::Refused(reason.into()).into(),
        (None, None) => CloseReason::Stopping.into(),
    };
    let over = Over {
        why: unproved(over.why, &proved),
        ..over
    };
    // A server that stops waits for no neighbour that it has only asked for something.
    if over.why != CloseReason::Stopping {
        shared.last_words(&over.why, &mut reader, &mut writer).await;
    }
    shared.closed(conn, over);
}

async fn run<N: Net>(
    shared: &Shared<N>,
    conn: ConnId,
    connection: Connection<N::Stream>,
    dialled: Option<Dialled<'_>>,
    place: &Place,
) -> CloseReason {
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
    if let CloseReason::Protocol(error) = over.why {
        // The neighbour should get the reason, but it may no longer read.
        let reason = error.to_string();
        let _ = talk.say_bye(&mut writer, &reason, over.cause).await;
    }
    let last_words = shared.last_words(&over.why, &mut reader, &mut writer);
    // A connection that has lost its slot gets no grace.
    let _ = unless(place.lost(), last_words).await;
    let why = over.why.clone();
    shared.closed(conn, over);
    why
}

/// The lines of a connection outside a link: the greeting, and BYE.
struct Talk<'a, N: Net> {
    shared: &'a Shared<N>,
    conn: ConnId,
    proved: &'a Proved,
    place: &'a Place,
}

impl<N: Net> Talk<'_, N> {
    /// Greets, then reads and writes until either ends.
    async fn converse(
        &self,
        reader: &mut (impl AsyncRead + Unpin),
        writer: &mut (impl AsyncWrite + Unpin),
        dialled: Option<Dialled<'_>>,
    ) -> Over {
        let shared = self.shared;
        let mut lines = Lines::new(LINE_LIMIT);
        let greeted = self.greeted(&mut lines, reader, writer, dialled).await;
        let (greeting, peer, heard) = match greeted {
            Ok(greeted) => greeted,
            Err(over) => return over,
        };
        let link = Link {
            shared,
            neighbour: greeting.neighbour,
            version: greeting.version,
            peer,
            conn: self.conn,
            session: Arc::new(Notify::new()),
        };
        link.up(greeting, heard);
        // Writing is polled first, so all effects of a line are on their way before the next line
        // is read.
        let session = or(link.write(writer), link.read(&mut lines, reader));
        let too_late = async {
            shared.links_stopping().await;
            let half = shared.timing().drain / 2;
            tokio::time::sleep(half).await;
            // Otherwise an endless stream of incoming updates would keep the queue from getting
            // empty.
            shared.state().node.relay_no_more();
            tokio::time::sleep(half).await;
        };
        let ending = or(too_late, link.peer.left());
        let session = async { Ok(unless(ending, session).await) };
        // Revocation is polled first, so lines that were already read are no longer handled.
        let revoked = async { Err(self.proved.revoked().await) };
        let (mut over, bye) = match (or(revoked, session).await, link.peer.why_left()) {
            (Ok(over), None) => (over.unwrap_or_else(|| CloseReason::Slow.into()), None),
            (Ok(_), Some(reason)) | (Err(reason), _) => (
                CloseReason::Refused(reason.clone().into()).into(),
                Some(reason),
            ),
        };
        link.down(&mut over);
        if let Some(reason) = bye {
            // The neighbour may no longer read.
            let _ = self.say_bye(writer, &reason, None).await;
        }
        over
    }

    /// Greets, unless something else ends the connection before.
    async fn greeted(
        &self,
        lines: &mut Lines,
        reader: &mut (impl AsyncRead + Unpin),
        writer: &mut (impl AsyncWrite + Unpin),
        dialled: Option<Dialled<'_>>,
    ) -> Result<(Greeting, Arc<Peer>, EventId), Over> {
        let shared = self.shared;
        let ending = or(
            async {
                self.place.lost().await;
                CloseReason::Full
            },
            or(
                async {
                    shared.links_stopping().await;
                    CloseReason::Stopping
                },
                async {
                    let Some(Dialled { peer, .. }) = dialled else {
                        return std::future::pending().await;
                    };
                    // Otherwise the connection would last until the neighbour answers, which knows
                    // no more of it than this server does.
                    peer.left().await;
                    CloseReason::Refused(peer.why_left().unwrap_or_default().into())
                },
            ),
        );
        let greeted = timeout(
            shared.timing().hello_deadline,
            self.greet(lines, reader, writer, dialled),
        );
        let greeted = async { Ok(greeted.await) };
        let greeted = or(greeted, async { Err(ending.await) }).await;
        match greeted {
            Ok(Ok(Ok(greeted))) => Ok(greeted),
            Ok(Ok(Err(mut over))) => {
                over.why = unproved(over.why, self.proved);
                if dialled.is_none() && matches!(over.why, CloseReason::Refused(_)) {
                    for peer in &shared.state().peers {
                        peer.was_perhaps_refused();
                    }
                }
                Err(over)
            }
            Ok(Err(_)) => Err(CloseReason::NoHello.into()),
            Err(why) => {
                if let CloseReason::Refused(reason) = &why {
                    let _ = self.say_bye(writer, reason, None).await;
                }
                Err(why.into())
            }
        }
    }

    /// Exchanges `HELLO`. The dialler sends it first, and the other end only to a neighbour.
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
            return Err(over(CloseReason::Refused(reason.into())));
        }
        match self.recognise(&line, dialled) {
            Ok((Greeted::Link(greeting), peer)) => {
                if !self.place.keep() {
                    // The greeting came in the moment in which another connection got the slot.
                    return Err(over(CloseReason::Full));
                }
                if dialled.is_none() {
                    let hello = self.shared.state().node.hello(greeting.version);
                    self.say(writer, &hello, Some(heard)).await?;
                }
                Ok((greeting, peer, heard))
            }
            Ok((Greeted::DialMe(_), peer)) => {
                peer.dial_now();
                self.say_bye(writer, "", Some(heard)).await?;
                Err(over(CloseReason::Left))
            }
            Err(Refused { reason, namesakes }) => {
                if let Some(namesakes) = namesakes {
                    self.met_namesakes(namesakes, heard);
                }
                self.say_bye(writer, &reason, Some(heard)).await?;
                Err(over(CloseReason::Refused(reason.into())))
            }
        }
    }

    /// Identifies the neighbour that sent this greeting.
    fn recognise(
        &self,
        line: &[u8],
        dialled: Option<Dialled<'_>>,
    ) -> Result<(Greeted, Arc<Peer>), Refused> {
        let state = self.shared.state();
        // Another neighbour may have the id by now, and the one that was dialled another id.
        if let Some(reason) = dialled.and_then(|dialled| dialled.peer.why_left()) {
            return Err(reason.into());
        }
        let wanted = dialled.map(|dialled| (dialled.neighbour, dialled.version));
        let greeted = state.node.greet(line, wanted)?;
        let neighbour = match greeted {
            Greeted::Link(greeting) => greeting.neighbour,
            Greeted::DialMe(neighbour) => neighbour,
        };
        let peer = &state.peers[neighbour.0];
        match self.proved.refusal(&peer.name) {
            Some(reason) => Err(reason.into()),
            None => Ok((greeted, Arc::clone(peer))),
        }
    }

    /// Records that a neighbour has a link with another server of this one's name.
    fn has_a_namesake(&self, linked: &str, heard: EventId) {
        let config = &self.shared.config.node;
        let what = EventKind::Namesakes {
            name: Arc::clone(&config.name),
            mine: true,
            linked: linked.into(),
            linked_by: None,
            refused: config.boot.to_string().into(),
            conn: self.conn,
        };
        self.shared.journal.record(Some(heard), what);
    }

    /// Records that two servers use the name of one neighbour.
    fn met_namesakes(&self, namesakes: Namesakes, heard: EventId) {
        let what = EventKind::Namesakes {
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
    ) -> Result<(), CloseReason> {
        let line_out = EventKind::LineOut {
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
    ) -> Result<(), CloseReason> {
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
                        why: CloseReason::Protocol(PeerError::TooLong),
                        cause: Some(self.heard(line)),
                    });
                }
                Next::Nothing => {}
            }
            match lines.read(reader).await {
                Ok(0) => return Err(CloseReason::Ended.into()),
                Ok(_) => {}
                Err(error) => return Err(CloseReason::from(&error).into()),
            }
        }
    }

    fn heard(&self, line: &[u8]) -> EventId {
        let line_in = EventKind::LineIn {
            conn: self.conn,
            line: line.into(),
        };
        self.shared.journal.record(None, line_in)
    }
}

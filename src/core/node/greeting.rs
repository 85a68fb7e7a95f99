//! The handshake: the first line of a connection between servers decides whether a link opens, or
//! which reason the refusal gives.

use std::sync::Arc;

use crate::journal::ConnId;
use crate::protocol::escape;
use crate::protocol::peer::{self, BootId, Hello, PeerError, PeerLine};

use super::{NeighbourId, Node};

/// What the first line of a connection between servers asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Greeted {
    /// A link, by a valid `HELLO`.
    Link(Greeting),
    /// A connection at once from this server to this neighbour, by a valid `DIAL`.
    DialMe(NeighbourId),
}

/// The content of a valid `HELLO`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Greeting {
    /// The neighbour that sent the greeting.
    pub neighbour: NeighbourId,
    /// The version of the protocol that both ends speak.
    pub version: u32,
    /// The boot id of the neighbour, new at each restart.
    pub boot: BootId,
    /// The number of records that the neighbour holds; `None` in version 1.
    pub records: Option<u64>,
}

impl Greeting {
    /// The greeting of a neighbour of this build's version, in its run `boot`.
    pub fn of(neighbour: NeighbourId, boot: BootId) -> Self {
        Self {
            neighbour,
            version: peer::VERSION,
            boot,
            records: None,
        }
    }
}

/// Why a greeting is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The reason for a `BYE`.
    pub reason: String,
    /// Set if two running servers have the same name.
    pub namesakes: Option<Namesakes>,
}

/// Two servers with one name, which took the link from each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namesakes {
    /// The name of both servers.
    pub name: Arc<str>,
    /// The run that has the link.
    pub linked: BootId,
    /// The connection of the link.
    pub conn: Option<ConnId>,
    /// The run that had the link before, and greeted again.
    pub refused: BootId,
}

impl From<String> for Refused {
    fn from(reason: String) -> Self {
        let namesakes = None;
        Self { reason, namesakes }
    }
}

impl Node {
    /// The `HELLO` to send, without its terminator, in `version` of the protocol.
    pub fn hello(&self, version: u32) -> Vec<u8> {
        PeerLine::Hello(self.who(version)).to_bytes()
    }

    /// The `DIAL` to send, without its terminator, to a neighbour that dials this server: it asks
    /// to be dialled at once.
    pub fn dial_me(&self) -> Vec<u8> {
        PeerLine::Dial(self.who(peer::VERSION)).to_bytes()
    }

    fn who(&self, version: u32) -> Hello<'_> {
        Hello {
            version,
            herd: self.config.herd.as_bytes(),
            server: self.config.name.as_bytes(),
            boot: self.config.boot,
            records: (version > 1).then(|| self.store.len() as u64),
        }
    }

    /// Decides whether the sender of `line` may open a link, and as which neighbour. At the end
    /// that dialled, `dialled` holds the neighbour that it meant to reach and the version that it
    /// greeted with.
    ///
    /// # Errors
    ///
    /// Why the sender may not; nothing changed.
    pub fn greet(
        &self,
        line: &[u8],
        dialled: Option<(NeighbourId, u32)>,
    ) -> Result<Greeted, Refused> {
        let me = &self.config.name;
        // The end that was dialled answers with the lower of both versions.
        let speaks = self.config.speaks;
        let most = dialled.map_or(speaks, |(_, said)| said);
        // One that knows only the oldest version can't tell what a later one says.
        let is_exact = dialled.is_some() || speaks == peer::OLDEST_VERSION;
        let version = match peer::hello_version(line) {
            Some(theirs) if theirs < peer::OLDEST_VERSION || (theirs > most && is_exact) => {
                return Err(peer::unspoken(theirs, most).into());
            }
            theirs => theirs.map_or(most, |theirs| theirs.min(most)),
        };
        let (hello, wants_to_be_dialled) = match PeerLine::parse(line) {
            Ok(PeerLine::Hello(hello)) => (hello, false),
            Ok(PeerLine::Dial(hello)) if dialled.is_none() && speaks > 1 => (hello, true),
            Err(PeerError::Malformed) if line.starts_with(b"HELLO") => {
                return Err("this is no HELLO as it must be".to_owned().into());
            }
            _ => return Err(peer::HELLO_FIRST.to_owned().into()),
        };
        let server = escape(hello.server);
        if hello.herd != self.config.herd.as_bytes() {
            let (ours, theirs) = (&self.config.herd, escape(hello.herd));
            return Err(format!("this is herd {ours}, not {theirs}").into());
        }
        let mut neighbours = self.neighbours();
        let found = neighbours.find(|(_, known)| known.name.as_bytes() == hello.server);
        let (found, known) = found.ok_or_else(|| format!("{server} is no neighbour of {me}"))?;
        match dialled {
            Some((wanted, _)) if wanted != found => {
                let wanted = self.name_of(wanted);
                return Err(format!("{wanted} was dialled, not {server}").into());
            }
            None if known.dialled && wants_to_be_dialled => return Ok(Greeted::DialMe(found)),
            None if wants_to_be_dialled => {
                return Err(format!("{server} dials {me}, not the other way round").into());
            }
            // Two links between the same two servers would take turns in superseding each other.
            None if known.dialled => {
                return Err(format!("{me} dials {server}, not the other way round").into());
            }
            _ => {}
        }
        // While no link is up, there may be no second server any more: whoever stopped one of two, or
        // wrote a line in this name once, must not lock the other out for ever.
        let linked = self.runs[found.0].successor_of(hello.boot);
        if let Some(linked) = linked.filter(|_| self.is_up(found)) {
            return Err(self.namesakes(found, linked, hello.boot));
        }
        Ok(Greeted::Link(Greeting {
            neighbour: found,
            version,
            boot: hello.boot,
            records: hello.records.filter(|_| version > 1),
        }))
    }

    fn namesakes(&self, neighbour: NeighbourId, linked: BootId, refused: BootId) -> Refused {
        let name = self.name_of(neighbour);
        Refused {
            reason: peer::namesakes(&name, linked, refused),
            namesakes: Some(Namesakes {
                name,
                linked,
                conn: self.links[neighbour.0].as_ref().map(|link| link.conn),
                refused,
            }),
        }
    }
}

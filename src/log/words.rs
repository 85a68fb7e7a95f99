//! Events in words, for people who run a server.

use std::fmt;

use crate::journal::{End, Other, Source, What};

/// An event in plain words.
pub(super) struct Told<'a>(pub(super) &'a What<'a>);

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            What::Started { boot } => write!(f, "started, boot {boot}"),
            What::Stopped => f.write_str("stopped in good order"),
            What::Opened { end, with, .. } => write!(f, "{} {}", way(*end), Whom(with)),
            What::Closed { why, .. } => write!(f, "connection closed: {why}"),
            What::ConnectFailed { to, why } => write!(f, "can't reach {to}: {why}"),
            What::LineIn { line, .. } => write!(f, "in: {line}"),
            What::LineOut { line, .. } => write!(f, "out: {line}"),
            What::Refused { why } => write!(f, "a client's line is refused: {why:?}"),
            What::Accepted { record, hops, from } => {
                let (client, location) = (&record.client, &record.location);
                write!(
                    f,
                    "{client} is at {location}, says {}, {hops} hops",
                    From(from)
                )
            }
            What::Ignored { record, why, from } => {
                write!(
                    f,
                    "no news of {} from {}: {why:?}",
                    record.client,
                    From(from)
                )
            }
            What::LookUp { client } => write!(f, "asks Places about {client}"),
            What::LinkUp { peer, .. } => write!(f, "link to {peer} is up"),
            What::LinkDown { peer, why } => write!(f, "link to {peer} is down: {why}"),
            What::Synchronised {
                peer,
                sent,
                received,
            } => {
                write!(
                    f,
                    "synchronised with {peer}: {sent} sent, {received} received"
                )
            }
            // What only the simulator tells.
            other => write!(f, "{other:?}"),
        }
    }
}

const fn way(end: End) -> &'static str {
    match end {
        End::Dialler => "connected to",
        End::Acceptor => "connected by",
    }
}

/// Who is at the other end of a connection.
pub(super) struct Whom<'a>(pub(super) &'a Other);

impl fmt::Display for Whom<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Other::Client => f.write_str("a client"),
            Other::Peer => f.write_str("a server"),
            Other::Server(name) => f.write_str(name),
        }
    }
}

struct From<'a>(&'a Source);

impl fmt::Display for From<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Source::Client => f.write_str("the client"),
            Source::Server(name) => f.write_str(name),
        }
    }
}

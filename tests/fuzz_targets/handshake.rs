//! The greeting: which servers get a link, and the reason that others get.

use proxy_herd::journal::{ConnId, NullJournal};
use proxy_herd::node::{Greeted, Greeting, NeighbourId, Node, Refused};
use proxy_herd::protocol::escape;
use proxy_herd::protocol::peer::{PeerError, PeerLine, VERSION};

use super::{EVENT, JAQUEZ, JUZANG, NOW, lines, pull, riley};

/// A connection of a server whose lines are `data`: once accepted, and once as the answer of each
/// neighbour that was dialled.
pub fn handshake(data: &[u8]) {
    for dialled in [None, Some(JAQUEZ), Some(JUZANG)] {
        let mut node = riley();
        let mut lines = lines(data);
        let hello = lines.next().unwrap_or_default();
        match node.greet(hello, dialled.map(|neighbour| (neighbour, VERSION))) {
            Ok(Greeted::Link(greeting)) => {
                welcome(&node, hello, greeting, dialled);
                let neighbour = greeting.neighbour;
                node.link_up(greeting, ConnId(1), EVENT, &NullJournal);
                behind_the_greeting(&mut node, neighbour, hello, lines);
            }
            // This server dials Juzang, so only Juzang may send DIAL.
            Ok(Greeted::DialMe(neighbour)) => assert_eq!((neighbour, dialled), (JUZANG, None)),
            Err(Refused { reason, .. }) => {
                assert!(reason.len() < 1000, "{reason}");
                assert_eq!(
                    reason,
                    escape(reason.as_bytes()),
                    "more than a line of text"
                );
                let reason = reason.as_bytes();
                let bye = PeerLine::Bye { reason };
                assert_eq!(PeerLine::parse(&bye.to_bytes()), Ok(bye));
            }
        }
    }
}

fn welcome(node: &Node, hello: &[u8], greeting: Greeting, dialled: Option<NeighbourId>) {
    let Ok(PeerLine::Hello(said)) = PeerLine::parse(hello) else {
        panic!("welcome without a HELLO: {}", escape(hello));
    };
    assert_eq!(said.herd, b"riley");
    assert_eq!(greeting.version, said.version.min(VERSION));
    assert_eq!(said.server, node.name_of(greeting.neighbour).as_bytes());
    // This server dials Juzang. If it also accepted a greeting from Juzang, there would be two
    // links.
    assert_eq!(greeting.neighbour, dialled.unwrap_or(JAQUEZ));
}

/// Checks that a second greeting is an error, and that a server without records sends few lines.
fn behind_the_greeting<'a>(
    node: &mut Node,
    neighbour: NeighbourId,
    hello: &[u8],
    lines: impl Iterator<Item = &'a [u8]>,
) {
    for line in lines {
        let heard = node.peer_line(neighbour, line, NOW, &NullJournal);
        // They are the first query, an answer, SYNCED, and one more round, or a BYE.
        assert!(pull(node, neighbour) <= 4 + node.clients());
        if heard.is_err() {
            break;
        }
    }
    let again = node.peer_line(neighbour, hello, NOW, &NullJournal);
    assert_eq!(
        again.map_err(|(error, _)| error),
        Err(PeerError::Unexpected)
    );
}

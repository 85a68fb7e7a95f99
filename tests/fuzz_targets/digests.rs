//! Range-based set reconciliation with a neighbour that sends anything.

use proxy_herd::journal::{CloseReason, NullJournal};
use proxy_herd::node::{NeighbourId, Node};
use proxy_herd::protocol::peer::PeerLine;

use super::{JAQUEZ, JUZANG, MOST_QUESTIONS, NOW, at, lines, link_up, pull, riley};

/// The number of clients that are known at first. It is large enough for digests to be split, and
/// for lists.
const CLIENTS: usize = 40;

/// The limit on lines other than updates that wait for a neighbour that sends queries and does not
/// read.
const MOST_WORDS: usize = 32 * (MOST_QUESTIONS + 16);

/// Feeds `data` as the lines of a neighbour whose link is up. At an empty line the neighbour reads
/// what waits for it. After a line that violates the protocol the link is closed, then opened
/// again. This happens once with the dialler, once with the other end.
pub fn digests(data: &[u8]) {
    for neighbour in [JAQUEZ, JUZANG] {
        let mut node = riley();
        for client in 0..CLIENTS {
            let line = format!("IAMAT c{client} +1-1 {client}");
            node.client_line(line.as_bytes(), at(), &NullJournal, &mut Vec::new());
        }
        link_up(&mut node, neighbour);
        for line in lines(data) {
            if line.is_empty() {
                read(&mut node, neighbour);
            } else {
                say(&mut node, neighbour, line);
            }
        }
        read(&mut node, neighbour);
    }
}

fn say(node: &mut Node, neighbour: NeighbourId, line: &[u8]) {
    let known = node.clients();
    if let Err((error, heard)) = node.peer_line(neighbour, line, NOW, &NullJournal) {
        assert_eq!(
            node.clients(),
            known,
            "a refused line changed what is known"
        );
        node.link_down(
            neighbour,
            CloseReason::Protocol(error),
            Some(heard),
            &NullJournal,
        );
        assert!(!node.has_work(neighbour), "something waits for nobody");
        link_up(node, neighbour);
    } else {
        let is_update = matches!(PeerLine::parse(line), Ok(PeerLine::At(_)));
        assert!(node.clients() <= known + usize::from(is_update));
        assert!(node.clients() >= known, "a client was forgotten");
    }
}

/// Checks that the waiting lines are bounded, however many queries came: each record once, and a
/// limited number of other lines.
fn read(node: &mut Node, neighbour: NeighbourId) {
    let count = pull(node, neighbour);
    // A split that began below the limit, SYNCED, and the beginning of another round are added.
    let most = node.clients() + MOST_WORDS + 18;
    assert!(count <= most, "{count} lines, {most} at most");
}

//! Properties that hold for any bytes, with one function for each place where bytes arrive.
//!
//! A target takes any bytes and panics if a property fails. `fuzz/` gives them to libFuzzer, and
//! `tests/library/fuzzed.rs` runs them as property tests. Both include this folder by its path, so
//! the crate contains none of it.

mod client_line;
mod digests;
mod handshake;
mod peer_line;
mod places_answer;

use std::num::NonZeroU64;

use proxy_herd::journal::{ConnId, EventId, NullJournal};
use proxy_herd::node::{
    ClientLineAt, Greeting, Neighbour, NeighbourId, Node, NodeConfig, SyncBounds,
};
use proxy_herd::protocol::escape;
use proxy_herd::protocol::peer::{BootId, LINE_LIMIT, PeerLine};
use proxy_herd::protocol::time::Timestamp;

pub use client_line::client_line;
pub use digests::digests;
pub use handshake::handshake;
pub use peer_line::peer_line;
pub use places_answer::places_answer;

/// The neighbour that dials Riley.
const JAQUEZ: NeighbourId = NeighbourId(0);
/// The neighbour that Riley dials.
const JUZANG: NeighbourId = NeighbourId(1);

/// A cause for events. No target checks it.
const EVENT: EventId = EventId(NonZeroU64::MIN);

/// The clock of each server.
const NOW: Timestamp = Timestamp::EPOCH;

/// The limit on open queries, which is small so that short inputs reach it.
const MOST_QUESTIONS: usize = 64;

/// The node of Riley in the herd `riley`, with no link up.
fn riley() -> Node {
    let neighbours = [("Jaquez", false), ("Juzang", true)];
    let neighbours = neighbours.map(|(name, dialled)| Neighbour {
        name: name.into(),
        dialled,
    });
    Node::new(NodeConfig {
        herd: "riley".into(),
        name: "Riley".into(),
        boot: BootId(1),
        table_seed: 7,
        neighbours: neighbours.into(),
        bounds: SyncBounds {
            small: 4,
            most_questions: MOST_QUESTIONS,
            most_at_once: 20,
        },
        flood: None,
        speaks: proxy_herd::protocol::peer::VERSION,
    })
}

fn link_up(node: &mut Node, neighbour: NeighbourId) {
    let greeting = Greeting::of(neighbour, BootId(2));
    node.link_up(greeting, ConnId(1), EVENT, &NullJournal);
}

/// The arrival of a client's line, with a clock that is always the same.
fn at() -> ClientLineAt<'static> {
    ClientLineAt {
        conn: ConnId(2),
        clock: &|| Timestamp::new(1_400_000_000, 250_000_000),
    }
}

/// Splits bytes into lines as a stream would, with an unterminated rest.
fn lines(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    data.split(|&byte| byte == b'\n')
}

/// Takes all lines that wait for `neighbour`, checks that each can be parsed, and returns their
/// number.
fn pull(node: &mut Node, neighbour: NeighbourId) -> usize {
    let mut out = Vec::new();
    let mut pulls = 0;
    while node.has_work(neighbour) {
        node.pull(neighbour, usize::MAX, NOW, &mut out, &NullJournal);
        pulls += 1;
        assert!(pulls < 1000, "it never comes to an end");
    }
    let Some(whole) = out.strip_suffix(b"\n") else {
        assert!(out.is_empty(), "a line without an end: {}", escape(&out));
        return 0;
    };
    let mut count = 0;
    for line in lines(whole) {
        assert!(line.len() <= LINE_LIMIT, "{} bytes", line.len());
        let parsed = PeerLine::parse(line);
        assert!(parsed.is_ok(), "{}: {parsed:?}", escape(line));
        count += 1;
    }
    count
}

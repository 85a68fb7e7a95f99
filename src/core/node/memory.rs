//! How much memory a Node holds.

use serde::Serialize;

use super::Node;
use super::link::Link;

/// Bytes that a Node holds, counted from what it has room for. What the allocator adds to each piece is
/// not in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// For what it knows of clients: records, the table by which they are found, their digest.
    pub records: usize,
    /// For its links: what waits to be said, and what is still to be sent to each neighbour.
    pub links: usize,
}

impl Node {
    /// How much memory it holds.
    pub fn memory(&self) -> Memory {
        let slots = self.links.capacity() * size_of::<Option<Link>>();
        let links = self.links.iter().flatten().map(Link::heap);
        Memory {
            records: self.store.heap(),
            links: slots + links.sum::<usize>(),
        }
    }
}

//! How much memory a Node holds.

use serde::Serialize;

use super::Node;
use super::link::Link;
use super::unsaved::Unsaved;

/// Bytes that a Node holds, counted by capacity, without the allocator's overhead for each
/// allocation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// Bytes for clients: their records, the hash table and the digest.
    pub records: usize,
    /// Bytes for links: queued lines, and the dirty set of each neighbour, and of the disk.
    pub links: usize,
}

impl Node {
    /// Counts the memory held now; the count visits every leaf of the digest.
    pub fn memory(&self) -> Memory {
        let slots = self.links.capacity() * size_of::<Option<Link>>();
        let links = self.links.iter().flatten().map(Link::heap);
        let unsaved = self.unsaved.as_ref().map_or(0, Unsaved::heap);
        Memory {
            records: self.store.heap(),
            links: slots + links.sum::<usize>() + unsaved,
        }
    }
}

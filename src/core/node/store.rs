//! All records that a server holds, and their digest.

use hashbrown::HashTable;
use siphasher::sip::SipHasher13;

use crate::journal::EventId;
use crate::protocol::peer::{Prefix, Summary};
use crate::protocol::record::Record;

/// A client's index in the store. It is valid as long as the store holds a record of the client;
/// after that another client may get it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ClientIndex(u32);

impl ClientIndex {
    /// As an index into a vector that has one element for each client.
    pub(crate) fn position(self) -> usize {
        self.0 as usize
    }
}

/// A record, and how it arrived here.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) record: Record,
    /// How many links the record crossed on its way here.
    pub(crate) hops: u32,
    /// The event that accepted the record.
    pub(crate) accepted: EventId,
    /// The keyed hash of the whole record.
    pub(crate) hash: u64,
    /// The keyed hash of the client's id, by which the digest sorts.
    pub(crate) place: u64,
}

/// Records by client, found by hash, and the summary of any [`Prefix`].
///
/// Nothing iterates over the table, so the order of its hashes is not observable.
pub(crate) struct Store {
    /// Indexed by [`ClientIndex`]; `None` where a record was removed.
    entries: Vec<Option<Entry>>,
    /// Indices of removed clients, to be reused.
    free: Vec<ClientIndex>,
    table: HashTable<ClientIndex>,
    /// Keyed for this run alone, so that no client can choose ids that collide.
    table_hash: SipHasher13,
    /// Keyed alike in the whole herd, or digests could not be compared.
    digest_hash: SipHasher13,
    digest: Digest,
    /// The length of all records together, in bytes.
    bytes: usize,
    /// How many of the records are tombstones.
    tombstones: usize,
}

impl Store {
    /// An empty store. `herd` keys the digest, `table_seed` the hash table.
    pub(crate) fn new(herd: &str, table_seed: u64) -> Self {
        let key = SipHasher13::new_with_keys(0, 0).hash(herd.as_bytes());
        Self {
            entries: Vec::new(),
            free: Vec::new(),
            table: HashTable::new(),
            table_hash: SipHasher13::new_with_keys(table_seed, !table_seed),
            digest_hash: SipHasher13::new_with_keys(key, !key),
            digest: Digest::default(),
            bytes: 0,
            tombstones: 0,
        }
    }

    /// The length of all records together, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many records there are, tombstones included.
    pub(crate) fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    /// How many of the records are tombstones.
    pub(crate) fn tombstones(&self) -> usize {
        self.tombstones
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().flatten()
    }

    /// The entries from this position on.
    pub(crate) fn entries_from(&self, from: usize) -> impl Iterator<Item = Option<&Entry>> {
        let rest = self.entries.get(from..).unwrap_or_default();
        rest.iter().map(Option::as_ref)
    }

    /// Heap bytes of the store: capacities, and the texts of its records.
    pub(super) fn heap(&self) -> usize {
        let entries = self.entries.capacity() * size_of::<Option<Entry>>();
        let free = self.free.capacity() * size_of::<ClientIndex>();
        let leaves = self.digest.leaves.capacity() * size_of::<Leaf>();
        let members = self.digest.leaves.iter();
        let members = members.map(|leaf| leaf.members.capacity() * size_of::<ClientIndex>());
        let table = self.table.allocation_size();
        entries + self.bytes + free + leaves + members.sum::<usize>() + table
    }

    /// The indices of all clients.
    pub(crate) fn indices(&self) -> impl Iterator<Item = ClientIndex> {
        let held = (0..).map(ClientIndex).zip(&self.entries);
        held.filter_map(|(index, entry)| entry.as_ref().map(|_| index))
    }

    /// The lowest index that is neither in use nor to be reused. A new client gets it, or a reused
    /// one.
    pub(crate) fn end(&self) -> ClientIndex {
        // Four billion clients would fill the memory of any machine before this overflows.
        ClientIndex(u32::try_from(self.entries.len()).unwrap_or(u32::MAX))
    }

    pub(crate) fn entry(&self, index: ClientIndex) -> &Entry {
        held(&self.entries, index)
    }

    pub(crate) fn find(&self, id: &[u8]) -> Option<ClientIndex> {
        let found = self.table.find(self.table_hash.hash(id), |index| {
            self.entry(*index).record.id() == id
        });
        found.copied()
    }

    /// Makes room for this number of further clients, so that the table does not grow again and again
    /// while they are stored: each time it would hash all ids anew.
    pub(crate) fn reserve(&mut self, more: usize) {
        self.entries.reserve(more);
        let (entries, hash) = (&self.entries, &self.table_hash);
        self.table
            .reserve(more, |other| hash.hash(held(entries, *other).record.id()));
    }

    /// The keyed hash of a record, which need not be in the store.
    pub(crate) fn hash_of(&self, record: &Record) -> u64 {
        match record.generation() {
            0 => self.digest_hash.hash(record.text()),
            // The generation is hashed as a sixth field, which no record of generation 0 has.
            generation => {
                let generation = format!(" {generation}");
                let whole = [record.text(), generation.as_bytes()].concat();
                self.digest_hash.hash(&whole)
            }
        }
    }

    /// Stores `record` in the place of its client's earlier one.
    ///
    /// `known` is the result of [`find`](Self::find). The caller has decided that `record` is
    /// newer.
    pub(crate) fn put(
        &mut self,
        known: Option<ClientIndex>,
        record: Record,
        hops: u32,
        accepted: EventId,
    ) -> ClientIndex {
        let hash = self.hash_of(&record);
        self.bytes += record.text().len();
        self.tombstones += usize::from(record.is_tombstone());
        if let Some(index) = known {
            let Entry {
                place,
                hash: before,
                record: old,
                ..
            } = self.entry(index);
            let (place, before) = (*place, *before);
            let (old_bytes, was_tombstone) = (old.text().len(), old.is_tombstone());
            self.bytes -= old_bytes;
            self.tombstones -= usize::from(was_tombstone);
            self.digest.change(place, before ^ hash);
            self.entries[index.position()] = Some(Entry {
                record,
                hops,
                accepted,
                hash,
                place,
            });
            return index;
        }
        let index = self.free.pop().unwrap_or_else(|| {
            let index = self.end();
            self.entries.push(None);
            index
        });
        let place = self.digest_hash.hash(record.id());
        let table_hash = &self.table_hash;
        let entries = &self.entries;
        self.table
            .insert_unique(table_hash.hash(record.id()), index, |other| {
                table_hash.hash(held(entries, *other).record.id())
            });
        self.entries[index.position()] = Some(Entry {
            record,
            hops,
            accepted,
            hash,
            place,
        });
        let clients = self.len();
        self.digest.add(index, clients, &self.entries);
        index
    }

    /// Removes a client's record. Its index may go to another client from here on.
    pub(crate) fn remove(&mut self, index: ClientIndex) -> Option<Record> {
        let entry = self.entries[index.position()].take()?;
        let hash = self.table_hash.hash(entry.record.id());
        if let Ok(found) = self.table.find_entry(hash, |other| *other == index) {
            found.remove();
        }
        self.digest.remove(index, &entry);
        self.free.push(index);
        self.bytes -= entry.record.text().len();
        self.tombstones -= usize::from(entry.record.is_tombstone());
        if self.free.len() == self.entries.len() {
            // No index is in use any more, so the store starts over, without the room of its peak.
            self.entries = Vec::new();
            self.free = Vec::new();
            self.table = HashTable::new();
            self.digest = Digest::default();
        }
        Some(entry.record)
    }

    /// How many records are under `prefix`, and the XOR of their hashes.
    pub(crate) fn summary(&self, prefix: Prefix) -> Summary {
        if prefix.is_empty() {
            return Summary {
                count: self.len() as u64,
                hash: self.digest.all,
            };
        }
        let leaves = self.digest.leaves_under(prefix);
        if prefix.len() <= self.digest.depth {
            return leaves.iter().fold(Summary::default(), |sum, leaf| Summary {
                count: sum.count + leaf.members.len() as u64,
                hash: sum.hash ^ leaf.hash,
            });
        }
        self.under(prefix)
            .fold(Summary::default(), |sum, index| Summary {
                count: sum.count + 1,
                hash: sum.hash ^ self.entry(index).hash,
            })
    }

    /// The clients under `prefix`, in the digest's own order, which is the same in every run.
    pub(crate) fn under(&self, prefix: Prefix) -> impl Iterator<Item = ClientIndex> {
        self.digest
            .leaves_under(prefix)
            .iter()
            .flat_map(|leaf| leaf.members.iter().copied())
            .filter(move |&index| prefix.contains(self.entry(index).place))
    }
}

/// The entry of an index that is in use.
fn held(entries: &[Option<Entry>], index: ClientIndex) -> &Entry {
    let entry = entries[index.position()].as_ref();
    entry.expect("who keeps a number gives it up when its record is removed")
}

/// The clients, sorted into leaves by the first digits of their hash.
///
/// A changed record changes one word. The number of leaves grows with the number of clients, so
/// that a leaf holds about 1 to 16 of them.
struct Digest {
    /// How many hexadecimal digits distinguish the leaves: there are 16^depth.
    depth: u8,
    leaves: Vec<Leaf>,
    /// XOR of all records' hashes.
    all: u64,
}

#[derive(Clone, Default)]
struct Leaf {
    members: Vec<ClientIndex>,
    /// XOR of the hashes of the members' records.
    hash: u64,
}

impl Default for Digest {
    fn default() -> Self {
        Self {
            depth: 0,
            leaves: vec![Leaf::default()],
            all: 0,
        }
    }
}

impl Digest {
    /// With more digits than this, the leaves would cost more memory than they save work.
    const DEEPEST: u8 = 6;

    /// Applies a changed record of the client at `place`; `difference` is the XOR of the old and
    /// the new hash.
    fn change(&mut self, place: u64, difference: u64) {
        self.all ^= difference;
        let leaf = self.leaf_of(place);
        self.leaves[leaf].hash ^= difference;
    }

    fn insert(&mut self, index: ClientIndex, entry: &Entry) {
        let leaf = self.leaf_of(entry.place);
        self.leaves[leaf].members.push(index);
        self.leaves[leaf].hash ^= entry.hash;
    }

    fn remove(&mut self, index: ClientIndex, entry: &Entry) {
        self.change(entry.place, entry.hash);
        let leaf = self.leaf_of(entry.place);
        self.leaves[leaf].members.retain(|member| *member != index);
    }

    fn add(&mut self, index: ClientIndex, clients: usize, entries: &[Option<Entry>]) {
        let entry = held(entries, index);
        self.all ^= entry.hash;
        self.insert(index, entry);
        if clients > 16 * self.leaves.len() && self.depth < Self::DEEPEST {
            self.grow(entries);
        }
    }

    fn grow(&mut self, entries: &[Option<Entry>]) {
        self.depth += 1;
        let old = std::mem::replace(
            &mut self.leaves,
            vec![Leaf::default(); 1 << (4 * self.depth)],
        );
        for index in old.into_iter().flat_map(|leaf| leaf.members) {
            self.insert(index, held(entries, index));
        }
    }

    fn leaf_of(&self, place: u64) -> usize {
        match self.depth {
            0 => 0,
            // At most 24 bits remain, so this fits every usize.
            depth => usize::try_from(place >> (64 - 4 * u32::from(depth))).unwrap_or_default(),
        }
    }

    /// The leaves that hold all clients under `prefix`, and perhaps others.
    fn leaves_under(&self, prefix: Prefix) -> &[Leaf] {
        let first = self.leaf_of(prefix.first());
        let spare = self.depth.saturating_sub(prefix.len());
        &self.leaves[first..first + (1 << (4 * spare))]
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use super::Store;
    use crate::journal::EventId;
    use crate::protocol::record::Record;

    #[test]
    fn who_forgot_everybody_has_no_more_room_than_who_knew_nobody() {
        let mut store = Store::new("herd", 1);
        let empty = store.heap();
        for round in 0..2 {
            let clients: Vec<_> = (0..5000)
                .map(|n: u32| {
                    let id = format!("client-{round}-{n}");
                    let fields = ["Riley", "+0.100000000", &id, "+1-1", "5"].map(str::as_bytes);
                    let record = Record::from_fields(fields, 0).expect("a good record");
                    store.put(None, record, 0, EventId(NonZeroU64::MIN))
                })
                .collect();
            assert!(store.heap() > empty + 5000 * 40);
            for client in clients {
                store.remove(client).expect("it is there");
            }
            assert_eq!((store.len(), store.heap()), (0, empty));
        }
    }
}

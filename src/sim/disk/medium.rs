//! What is on a simulated disk for good, and what only its system's memory holds yet.
//!
//! The model is as strict as what POSIX promises: what was written is there for whoever reads it, but until a sync has
//! ended, any part of it may be lost with the power, in any order of its sectors. The same holds for names of files.
//! Nothing here takes time, and nothing fails.

use std::collections::BTreeMap;

use rand::RngExt as _;
use rand::rngs::ChaCha8Rng;

/// A disk writes this number of bytes as a whole or not at all.
pub(super) const SECTOR: usize = 512;

/// Identifies a file, whatever it is called.
pub(super) type Inode = u64;

/// The files of one server.
#[derive(Debug, Default)]
pub(super) struct Medium {
    files: BTreeMap<Inode, File>,
    /// The names that a program sees.
    names: BTreeMap<String, Inode>,
    /// The names that are there when the power is back.
    durable_names: BTreeMap<String, Inode>,
    /// What was done to names since they were synced, in its order.
    changes: Vec<(u64, Change)>,
    /// The number of the last write or change.
    last: u64,
    last_inode: Inode,
}

#[derive(Debug, Default)]
struct File {
    /// The content that a program reads.
    now: Vec<u8>,
    /// The content that is there when the power is back.
    durable: Vec<u8>,
    /// What was written since the last sync, in its order.
    pending: Vec<Write>,
}

/// A sector that a write changed.
#[derive(Debug)]
struct Write {
    /// Its number among all writes and changes.
    number: u64,
    /// Where the sector begins.
    at: usize,
    /// The sector as it is behind the write, up to the end of the file. A disk may write it any time from then on, so
    /// each version may be the one that survives.
    bytes: Vec<u8>,
}

/// Something that was done to a name.
#[derive(Debug)]
enum Change {
    Create(String, Inode),
    Rename(String, String, Inode),
    Remove(String),
}

impl Change {
    fn apply(self, names: &mut BTreeMap<String, Inode>) {
        match self {
            Self::Create(name, inode) => {
                names.insert(name, inode);
            }
            Self::Rename(from, to, inode) => {
                names.remove(&from);
                names.insert(to, inode);
            }
            Self::Remove(name) => {
                names.remove(&name);
            }
        }
    }
}

/// What a failure of power took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::sim) struct Lost {
    /// Bytes that are not there any more, or are what they had been before.
    pub(in crate::sim) bytes: u64,
    /// Changes of names that did not take place.
    pub(in crate::sim) names: u64,
}

impl Medium {
    /// The names of all files, sorted.
    pub(super) fn list(&self) -> Vec<String> {
        self.names.keys().cloned().collect()
    }

    /// The file of this name.
    pub(super) fn find(&self, name: &str) -> Option<Inode> {
        self.names.get(name).copied()
    }

    /// What a program reads in the file of this name.
    pub(super) fn read(&self, name: &str) -> Option<Vec<u8>> {
        let file = self.files.get(self.names.get(name)?)?;
        Some(file.now.clone())
    }

    /// The number of the last write or change of a name.
    pub(super) fn last(&self) -> u64 {
        self.last
    }

    fn number(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    fn change(&mut self, change: Change) {
        let number = self.number();
        self.changes.push((number, change));
    }

    /// Appends to the file of this name, which is created if it is not there.
    pub(super) fn append(&mut self, name: &str, bytes: &[u8]) {
        let inode = self.create(name);
        let end = self.files.get(&inode).map_or(0, |file| file.now.len());
        self.write(inode, end, bytes);
    }

    /// The file of this name, which is created if it is not there.
    pub(super) fn create(&mut self, name: &str) -> Inode {
        if let Some(inode) = self.find(name) {
            return inode;
        }
        self.last_inode += 1;
        let inode = self.last_inode;
        self.files.insert(inode, File::default());
        self.names.insert(name.to_owned(), inode);
        self.change(Change::Create(name.to_owned(), inode));
        inode
    }

    /// Writes within a file, from a place on that is not behind its end.
    fn write(&mut self, inode: Inode, at: usize, bytes: &[u8]) {
        let number = self.number();
        if let (Some(file), false) = (self.files.get_mut(&inode), bytes.is_empty()) {
            file.write(number, at, bytes);
        }
    }

    /// Writes what was meant for the end of a file into another place: into a file that is drawn, over what is there.
    /// Its own place stays empty. Whether there is another place.
    pub(super) fn misdirect(&mut self, name: &str, bytes: &[u8], rng: &mut ChaCha8Rng) -> bool {
        let inode = self.create(name);
        let length = |inode: &Inode| self.files.get(inode).map_or(0, |file| file.now.len());
        let places = self.names.values().map(|inode| (*inode, length(inode)));
        let places: Vec<(Inode, usize)> = places.filter(|(_, length)| *length > 0).collect();
        let Some(last) = places.len().checked_sub(1) else {
            self.append(name, bytes);
            return false;
        };
        let end = length(&inode);
        let (other, length) = places[rng.random_range(0..=last)];
        let at = rng.random_range(0..length);
        // It reaches sectors that belong to the other file, so that one does not get longer.
        let fits = bytes.len().min(length - at);
        self.write(other, at, &bytes[..fits]);
        self.write(inode, end, &vec![0; bytes.len()]);
        true
    }

    /// Renames a file; whether it was there.
    pub(super) fn rename(&mut self, from: &str, to: &str) -> bool {
        let Some(inode) = self.names.remove(from) else {
            return false;
        };
        self.names.insert(to.to_owned(), inode);
        self.change(Change::Rename(from.to_owned(), to.to_owned(), inode));
        true
    }

    /// Removes a file; whether it was there.
    pub(super) fn remove(&mut self, name: &str) -> bool {
        let was_there = self.names.remove(name).is_some();
        if was_there {
            self.change(Change::Remove(name.to_owned()));
        }
        was_there
    }

    /// What was written to a file up to this number is there for good.
    pub(super) fn sync(&mut self, inode: Inode, until: u64) {
        if let Some(file) = self.files.get_mut(&inode) {
            let synced = file
                .pending
                .extract_if(.., |write| write.number <= until)
                .collect::<Vec<_>>();
            for write in &synced {
                file.settle(write);
            }
        }
    }

    /// What was done to names up to this number is there for good.
    pub(super) fn sync_names(&mut self, until: u64) {
        let synced = self
            .changes
            .extract_if(.., |(number, _)| *number <= until)
            .collect::<Vec<_>>();
        for (_, change) in synced {
            change.apply(&mut self.durable_names);
        }
        self.drop_unnamed();
    }

    /// What was written to a file and not synced never reaches the disk, although programs read it.
    pub(super) fn drop_pending(&mut self, inode: Inode) {
        if let Some(file) = self.files.get_mut(&inode) {
            file.pending.clear();
        }
    }

    /// What was done to names and not synced never reaches the disk, although programs see it.
    pub(super) fn drop_changes(&mut self) {
        self.changes.clear();
    }

    /// Only what the disk has is left, and of all that was not synced any part: nothing, all up to some moment, or
    /// some of it whatever its order.
    pub(super) fn power_lost(&mut self, rng: &mut ChaCha8Rng) -> Lost {
        let mut lost = Lost::default();
        let changes = std::mem::take(&mut self.changes);
        let survives = survivors(changes.len(), rng);
        for ((_, change), survives) in changes.into_iter().zip(survives) {
            if survives {
                change.apply(&mut self.durable_names);
            } else {
                lost.names += 1;
            }
        }
        self.names.clone_from(&self.durable_names);
        self.drop_unnamed();
        for file in self.files.values_mut() {
            lost.bytes += file.power_lost(rng);
        }
        lost
    }

    /// Flips bits at places that are drawn from all that the disk has of the files. Returns how many: none if it has
    /// nothing.
    pub(super) fn rot(&mut self, bits: u32, rng: &mut ChaCha8Rng) -> u64 {
        let length = |inode: &Inode| self.files.get(inode).map_or(0, |file| file.durable.len());
        let places = self.names.values().map(|inode| (*inode, length(inode)));
        let places: Vec<(Inode, usize)> = places.collect();
        let all: usize = places.iter().map(|(_, length)| length).sum();
        if all == 0 {
            return 0;
        }
        for _ in 0..bits {
            let (mut at, bit) = (rng.random_range(0..all), 1 << rng.random_range(0..8));
            for (inode, length) in &places {
                if at >= *length {
                    at -= length;
                    continue;
                }
                if let Some(file) = self.files.get_mut(inode) {
                    file.flip(at, bit);
                }
                break;
            }
        }
        u64::from(bits)
    }

    /// Drops files that have no name any more, and can't get one back.
    fn drop_unnamed(&mut self) {
        let Self {
            files,
            names,
            durable_names,
            changes,
            ..
        } = self;
        let named = |inode: &Inode| {
            let mut all = names.values().chain(durable_names.values());
            let mut pending = changes.iter();
            all.any(|other| other == inode)
                || pending.any(|(_, change)| match change {
                    Change::Create(_, other) | Change::Rename(_, _, other) => other == inode,
                    Change::Remove(_) => false,
                })
        };
        files.retain(|inode, _| named(inode));
    }
}

impl File {
    fn write(&mut self, number: u64, at: usize, bytes: &[u8]) {
        let end = at + bytes.len();
        self.now.resize(self.now.len().max(end), 0);
        self.now[at..end].copy_from_slice(bytes);
        let first = at - at % SECTOR;
        for at in (first..end).step_by(SECTOR) {
            let sector = &self.now[at..self.now.len().min(at + SECTOR)];
            let bytes = sector.to_vec();
            self.pending.push(Write { number, at, bytes });
        }
    }

    /// The disk has this sector now. What a file lacks before it reads as zeros.
    fn settle(&mut self, write: &Write) {
        let Write { at, bytes, .. } = write;
        let end = at + bytes.len();
        self.durable.resize(self.durable.len().max(end), 0);
        self.durable[*at..end].copy_from_slice(bytes);
    }

    /// Returns the number of bytes that are lost.
    fn power_lost(&mut self, rng: &mut ChaCha8Rng) -> u64 {
        let pending = std::mem::take(&mut self.pending);
        let survives = survivors(pending.len(), rng);
        for (write, survives) in pending.iter().zip(survives) {
            if survives {
                self.settle(write);
            }
        }
        // The length of a file is no part of its sectors: it may have got longer without its content.
        let is_longer = self.now.len() > self.durable.len();
        if is_longer && !pending.is_empty() && rng.random_range(0..4) == 0 {
            self.durable.resize(self.now.len(), 0);
        }
        let before = std::mem::replace(&mut self.now, self.durable.clone());
        let survived = self.durable.iter().map(Some).chain(std::iter::repeat(None));
        let lost = before
            .iter()
            .zip(survived)
            .filter(|(was, is)| Some(*was) != *is);
        lost.count() as u64
    }

    /// Flips a bit of the disk. Programs see it, unless memory still has a later version of that sector.
    fn flip(&mut self, at: usize, bit: u8) {
        self.durable[at] ^= bit;
        let sector = at - at % SECTOR;
        if self.pending.iter().all(|write| write.at != sector) {
            self.now[at] ^= bit;
        }
    }
}

/// Which of `many` things survive: none, a prefix, or any subset.
fn survivors(many: usize, rng: &mut ChaCha8Rng) -> Vec<bool> {
    let first = match rng.random_range(0..3) {
        0 => 0,
        1 => rng.random_range(0..=many),
        _ => return (0..many).map(|_| rng.random_range(0..2) == 0).collect(),
    };
    (0..many).map(|at| at < first).collect()
}

#[cfg(test)]
mod tests;

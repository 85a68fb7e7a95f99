//! Writing a server's files: batches of records at the end of the log, and snapshots.
//!
//! A snapshot with the number N replaces every file with a lower number. Its number is taken, and
//! with it the log goes on in a segment with a higher one, before the first record is copied: so
//! what changes while it is written is in the log. It is synced before it gets its name, and its
//! name is synced before a file that it replaces is removed.
//!
//! After an error nothing is believed that was written since the last success: the segment is not
//! written to again, what it should have got goes to another one, and a snapshot replaces all.

use std::io;

use super::format::{File, Owner, write_header};
use super::load::Loaded;
use super::{DAMAGED, Data, Disk};
use crate::node::mistakes::{Made, Mistake};

/// How much of what is live the log may have before a snapshot replaces it: one part in this many.
/// While the snapshot is written there are both snapshots and the log, which is two and a half
/// times what is live, and what changes meanwhile.
const LOG_SHARE: u64 = 2;

/// After how many bytes a snapshot is synced while it is written. Batches of the log wait for each
/// sync, so that of all of it at once would let them wait for long.
const SYNC_EACH: usize = 1 << 20;

/// The number of damaged files that are kept under another name, for whoever wants to look at them.
const DAMAGED_KEPT: usize = 3;

/// The files of a server.
#[derive(Debug)]
pub(crate) struct Files {
    data: Data,
    owner: Owner,
    mistake: Made,
    /// All files that there may be.
    all: Vec<File>,
    /// The number of the next file.
    next: u64,
    /// The segment that is written to, if there is one.
    segment: Option<u64>,
    /// The number of bytes of the log since the last snapshot.
    log: u64,
    /// The number of bytes of the last snapshot.
    live: u64,
    /// Whether something that was written before is not to be believed.
    is_doubtful: bool,
    /// Files that were found damaged.
    damaged: Vec<String>,
    snapshot: Option<Snapshot>,
}

/// A snapshot that is being written.
#[derive(Debug)]
struct Snapshot {
    number: u64,
    bytes: u64,
    /// The number of bytes since the last sync.
    unsynced: usize,
    /// What the log had, and whether something before is not to be believed, if this fails.
    log: u64,
    was_doubtful: bool,
}

impl Files {
    /// The files that were read. Damaged ones are replaced soon.
    pub(crate) fn new(data: Data, owner: Owner, mistake: Made, loaded: &Loaded) -> Self {
        let mut damaged: Vec<String> = loaded.damages.iter().map(|it| it.file.clone()).collect();
        damaged.dedup();
        Self {
            data,
            owner,
            mistake,
            all: loaded.files.clone(),
            next: loaded.next(),
            segment: None,
            log: loaded.bytes - loaded.live,
            live: loaded.live,
            is_doubtful: loaded.is_damaged(),
            damaged,
            snapshot: None,
        }
    }

    fn disk(&self) -> &dyn Disk {
        &*self.data.disk
    }

    /// Whether a snapshot is being written.
    pub(crate) fn is_copying(&self) -> bool {
        self.snapshot.is_some()
    }

    /// Whether it is time for a snapshot.
    pub(crate) fn wants_snapshot(&self) -> bool {
        let enough = self.data.snapshot_after.max(self.live / LOG_SHARE);
        self.snapshot.is_none() && (self.is_doubtful || self.log >= enough)
    }

    /// The number of bytes on the disk, about.
    pub(crate) fn bytes(&self) -> u64 {
        let copied = self.snapshot.as_ref().map_or(0, |snapshot| snapshot.bytes);
        self.live + self.log + copied
    }

    fn take_number(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }

    /// Appends lines of records to the log, and syncs them.
    ///
    /// # Errors
    ///
    /// If the disk fails. The lines are to be written again then.
    pub(crate) async fn save(&mut self, lines: &[u8]) -> io::Result<()> {
        let saved = self.append(lines).await;
        if saved.is_err() {
            self.fail();
        }
        saved
    }

    async fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        let begins = self.segment.is_none();
        if let Some(number) = self.segment
            && self.mistake.makes(Mistake::AnswersBeforeSync)
        {
            self.sync(&File::Segment(number).name()).await?;
        }
        let number = match self.segment {
            Some(number) => number,
            None => self.take_number(),
        };
        let file = File::Segment(number);
        let name = file.name();
        if begins {
            self.segment = Some(number);
            self.all.push(file);
            let mut first = Vec::with_capacity(lines.len() + 64);
            write_header(&mut first, &self.owner);
            first.extend_from_slice(lines);
            self.disk().append(&name, &first).await?;
        } else {
            self.disk().append(&name, lines).await?;
        }
        if !self.mistake.makes(Mistake::AnswersBeforeSync) {
            self.sync(&name).await?;
        }
        if begins {
            self.sync_names().await?;
        }
        self.log += lines.len() as u64;
        Ok(())
    }

    async fn sync(&self, name: &str) -> io::Result<()> {
        if self.mistake.makes(Mistake::NeverSyncs) {
            return Ok(());
        }
        self.disk().sync(name).await
    }

    async fn sync_names(&self) -> io::Result<()> {
        if self.mistake.makes(Mistake::SyncsNoNames) {
            return Ok(());
        }
        self.disk().sync_names().await
    }

    /// Nothing of what was written since the last success is believed.
    fn fail(&mut self) {
        self.is_doubtful = true;
        self.segment = None;
    }

    /// Gives up a snapshot that could not be written. What it was to replace stays.
    async fn abandon_if(&mut self, failed: bool) {
        if let Some(snapshot) = self.snapshot.take_if(|_| failed) {
            self.log += snapshot.log;
            self.is_doubtful |= snapshot.was_doubtful;
            // Its room may be what the disk lacks.
            self.remove_unfinished().await;
        }
    }

    /// Removes snapshots that nobody goes on with: a server that is killed again and again while it
    /// writes one would fill its disk with them. An error is none: the next snapshot removes them.
    async fn remove_unfinished(&mut self) {
        let is_unfinished = |file: &File| matches!(file, File::Unfinished(_));
        let files = self.all.iter().copied().filter(is_unfinished);
        for file in files.collect::<Vec<File>>() {
            self.remove(file).await;
        }
    }

    /// Begins a snapshot. All records are to be copied into it after this, and all batches that are
    /// saved after this are in segments that it does not replace.
    pub(crate) fn begin_snapshot(&mut self) {
        let number = self.take_number();
        if !self.mistake.makes(Mistake::SnapshotForgets) {
            self.segment = None;
        }
        self.snapshot = Some(Snapshot {
            number,
            bytes: 0,
            unsynced: 0,
            log: std::mem::take(&mut self.log),
            was_doubtful: std::mem::take(&mut self.is_doubtful),
        });
    }

    /// Appends lines of records to the snapshot.
    ///
    /// # Errors
    ///
    /// If the disk fails. Another snapshot is to be begun then.
    pub(crate) async fn copy(&mut self, lines: &[u8]) -> io::Result<()> {
        let copied = self.copy_lines(lines).await;
        self.abandon_if(copied.is_err()).await;
        copied
    }

    async fn copy_lines(&mut self, lines: &[u8]) -> io::Result<()> {
        let Some(Snapshot { number, bytes, .. }) = self.snapshot else {
            return Ok(());
        };
        let file = File::Unfinished(number);
        let mut first = Vec::new();
        if bytes == 0 {
            self.remove_unfinished().await;
            self.all.push(file);
            write_header(&mut first, &self.owner);
        }
        first.extend_from_slice(lines);
        let name = file.name();
        self.disk().append(&name, &first).await?;
        let Some(snapshot) = &mut self.snapshot else {
            return Ok(());
        };
        snapshot.bytes += first.len() as u64;
        snapshot.unsynced += first.len();
        if snapshot.unsynced >= SYNC_EACH {
            snapshot.unsynced = 0;
            self.sync(&name).await?;
        }
        Ok(())
    }

    /// Ends a snapshot: it gets its name, and what it replaces is removed.
    ///
    /// # Errors
    ///
    /// If the disk fails. Another snapshot is to be begun then.
    pub(crate) async fn end_snapshot(&mut self) -> io::Result<()> {
        let ended = self.name_snapshot().await;
        self.abandon_if(ended.is_err()).await;
        ended
    }

    async fn name_snapshot(&mut self) -> io::Result<()> {
        let Some(Snapshot { number, bytes, .. }) = self.snapshot else {
            return Ok(());
        };
        let (from, to) = (File::Unfinished(number), File::Snapshot(number));
        let (name, new) = (from.name(), to.name());
        if self.mistake.makes(Mistake::RemovesTooEarly) {
            self.remove_before(number).await;
        }
        if self.mistake.makes(Mistake::RenamesBeforeSync) {
            self.disk().rename(&name, &new).await?;
        } else {
            self.sync(&name).await?;
            self.disk().rename(&name, &new).await?;
        }
        self.all.retain(|file| *file != from);
        self.all.push(to);
        self.sync_names().await?;
        self.snapshot = None;
        self.live = bytes;
        self.remove_before(number).await;
        Ok(())
    }

    /// Removes all files that a snapshot replaces. An error is none: they are removed with the next
    /// one, and until then nothing in them is newer than what replaced it.
    async fn remove_before(&mut self, number: u64) {
        let old = self
            .all
            .iter()
            .copied()
            .filter(|file| file.number() < number);
        for file in old.collect::<Vec<File>>() {
            self.remove(file).await;
        }
        self.remove_damaged().await;
    }

    /// Removes a file, or keeps it under another name if it is damaged.
    async fn remove(&mut self, file: File) {
        let name = file.name();
        let removed = if self.damaged.contains(&name) {
            let kept = format!("{DAMAGED}{name}");
            self.disk().rename(&name, &kept).await
        } else {
            self.disk().remove(&name).await
        };
        let is_missing = |error: io::Error| error.kind() == io::ErrorKind::NotFound;
        if removed.map_or_else(is_missing, |()| true) {
            self.all.retain(|other| *other != file);
            self.damaged.retain(|other| *other != name);
        }
    }

    /// Removes the oldest of the damaged files, so that a disk that goes bad is not filled by them.
    async fn remove_damaged(&self) {
        let Ok(names) = self.disk().list().await else {
            return;
        };
        let mut kept: Vec<String> = names
            .into_iter()
            .filter(|name| name.starts_with(DAMAGED))
            .collect();
        kept.sort_by_key(|name| File::of(&name[DAMAGED.len()..]).map(File::number));
        let most = kept.len().saturating_sub(DAMAGED_KEPT);
        for name in &kept[..most] {
            // It stays until the next snapshot then.
            let _ = self.disk().remove(name).await;
        }
    }
}

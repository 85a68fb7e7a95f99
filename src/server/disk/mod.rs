//! The records on disk: what a server writes of its store, and how it reads it back when it starts.
//!
//! Everything is in memory anyway, so a disk holds no index: an append-only log of records in
//! segments, and a snapshot that replaces older segments. Replay merges, so the order in which files
//! are read, or in which a disk wrote them, does not matter: the newest record of a client wins, as
//! between servers. All of this works on a [`Disk`]: a folder of this machine, or a simulated one.

mod files;
mod folder;
mod format;
mod inspect;
mod load;
#[cfg(test)]
mod tests;

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::node::mistakes::Made;

pub(crate) use files::Files;
pub use folder::{Folder, FolderError};
pub use format::Owner;
pub(crate) use format::write_record;
pub use inspect::{FileReport, inspect, lines, newest};
pub use load::{Damage, LoadError, Loaded, Read, Wrong};

/// What the name of a damaged file begins with when it was replaced.
const DAMAGED: &str = "damaged-";

/// An operation on a disk, under way. If it is dropped, it may or may not take place.
pub type Done<'a, T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send + 'a>>;

/// A flat folder of files, as a server needs it, and no more.
///
/// What is appended is in the file at once, for whoever reads it, but survives a failure of power
/// only after [`sync`](Self::sync); what files there are, and how they are called, survives only
/// after [`sync_names`](Self::sync_names). A program that is killed loses neither.
pub trait Disk: fmt::Debug + Send + Sync + 'static {
    /// The names of all files, sorted.
    fn list(&self) -> Done<'_, Vec<String>>;

    /// The whole content of a file.
    fn read<'a>(&'a self, file: &'a str) -> Done<'a, Vec<u8>>;

    /// Appends to a file, which is created if it is not there. After an error, any part of the bytes
    /// may have been written.
    fn append<'a>(&'a self, file: &'a str, bytes: &'a [u8]) -> Done<'a, ()>;

    /// Lets the content of a file survive a failure of power. After an error, nothing is known of
    /// what was appended since the last success, not even if the next call succeeds.
    fn sync<'a>(&'a self, file: &'a str) -> Done<'a, ()>;

    /// Renames a file, and replaces the one that has the new name.
    fn rename<'a>(&'a self, from: &'a str, to: &'a str) -> Done<'a, ()>;

    /// Removes a file.
    fn remove<'a>(&'a self, file: &'a str) -> Done<'a, ()>;

    /// Lets the names of files survive a failure of power: that some were created, renamed or
    /// removed.
    fn sync_names(&self) -> Done<'_, ()>;
}

/// When a client's update is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// At once. What changed is written and synced in the background, at the latest after
    /// [`Data::sync_every`] and the time that the disk takes.
    #[default]
    Background,
    /// When its record is on this server's disk. Whatever waits shares one sync.
    Answered,
}

impl Durability {
    /// Both, by the words that settings and scenarios have for them.
    pub const ALL: [(&'static str, Self); 2] = [
        ("background", Self::Background),
        ("answered", Self::Answered),
    ];

    /// Its word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Background => "background",
            Self::Answered => "answered",
        }
    }
}

/// Where a server's records are, and how they are written.
#[derive(Clone, Debug)]
pub struct Data {
    /// The folder.
    pub disk: Arc<dyn Disk>,
    /// When a client's update is answered.
    pub durability: Durability,
    /// How long a change waits at most, before it is written with all others, if answers do not wait for it.
    pub sync_every: Duration,
    /// A snapshot is written when the log has grown by this number of bytes, and by half of what is
    /// live.
    pub snapshot_after: u64,
    /// Whether damaged files stop the start.
    pub strict: bool,
}

impl Data {
    /// The usual time that a change waits.
    pub const SYNC_EVERY: Duration = Duration::from_millis(100);

    /// The usual number of bytes of the log at which a snapshot replaces it.
    pub const SNAPSHOT_AFTER: usize = 16 << 20;

    /// The usual settings for this disk.
    pub fn new(disk: Arc<dyn Disk>) -> Self {
        Self {
            disk,
            durability: Durability::default(),
            sync_every: Self::SYNC_EVERY,
            snapshot_after: Self::SNAPSHOT_AFTER as u64,
            strict: false,
        }
    }
}

/// A server's records as they were on its disk, and the way to write more.
#[derive(Debug)]
pub struct Stored {
    pub(crate) loaded: Loaded,
    pub(crate) files: Files,
    pub(crate) durability: Durability,
    pub(crate) sync_every: Duration,
}

impl Data {
    /// As [`open`](Self::open), for a server that makes no mistakes.
    pub(crate) async fn load(self, owner: (&str, &str)) -> Result<Stored, LoadError> {
        self.open(owner, Made::NONE).await
    }

    /// Reads what is on the disk of `server` of `herd`. Nothing is changed there.
    ///
    /// # Errors
    ///
    /// If the folder can't be read, or its files are another server's or of an unknown version; and
    /// if anything is damaged, where it is strict.
    pub(crate) async fn open(
        self,
        (herd, server): (&str, &str),
        mistake: Made,
    ) -> Result<Stored, LoadError> {
        let owner = Owner {
            herd: herd.to_owned(),
            server: server.to_owned(),
        };
        let loaded = load::load(&self, &owner, &mistake).await?;
        let (durability, sync_every) = (self.durability, self.sync_every);
        let files = Files::new(self, owner, mistake, &loaded);
        Ok(Stored {
            loaded,
            files,
            durability,
            sync_every,
        })
    }
}

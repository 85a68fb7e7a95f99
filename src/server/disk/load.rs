//! Reading a server's files when it starts.
//!
//! Every whole line whose checksum is right is taken, wherever it stands. What is damaged is passed
//! over and told of: a half line at the end is what a failure of power leaves of a write, anything
//! else a disk that does not keep what it was given.

use std::fmt;
use std::io;

use super::format::{CHECKSUM, File, Header, Line, Owner, VERSION, parse};
use super::{Data, Disk};
use crate::node::mistakes::{Made, Mistake};
use crate::protocol::escape;
use crate::protocol::peer::Update;

/// The number of damaged places that are told of one by one.
const MOST_TOLD: usize = 100;

/// What a server's files hold.
#[derive(Debug, Default)]
pub struct Loaded {
    /// The records, in the order in which they were read. A client can have several.
    pub updates: Vec<Read>,
    /// The files that were read, in the order in which they were written.
    pub(super) files: Vec<File>,
    /// The number of bytes that were read.
    pub bytes: u64,
    /// The number of those that are in snapshots.
    pub(super) live: u64,
    /// The first damaged places.
    pub damages: Vec<Damage>,
    /// The number of damaged places.
    pub damaged: usize,
}

/// A record that was read.
#[derive(Debug, PartialEq, Eq)]
pub struct Read {
    /// The record, and how many links it crossed.
    pub update: Update,
    /// Whether it is in a snapshot, which was synced before it got its name. What is in a segment
    /// may be in the system's memory alone: the server may have been killed before it synced that,
    /// or because it could not.
    pub is_synced: bool,
}

/// A damaged place of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The file's name.
    pub file: String,
    /// The offset of its first byte in the file.
    pub at: u64,
    /// The number of its bytes.
    pub bytes: u64,
    /// What is wrong.
    pub what: Wrong,
}

/// What is wrong with a place of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// The file ends in the midst of a line.
    Torn,
    /// A line is not what was written.
    Changed {
        /// The client of the record, as far as it can still be read. It may be another's name.
        client: Option<String>,
    },
    /// The first line is missing, or is not what was written.
    Headless,
    /// The file can't be read.
    Unreadable(String),
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            file,
            at,
            bytes,
            what,
        } = self;
        let bytes = match bytes {
            1 => "1 byte".to_owned(),
            many => format!("{many} bytes"),
        };
        match what {
            Wrong::Unreadable(why) => write!(f, "{file} can't be read: {why}"),
            Wrong::Torn => write!(
                f,
                "{file} ends in the midst of a line: {bytes} from byte {at} on"
            ),
            Wrong::Headless => write!(f, "{file} does not begin with its header"),
            Wrong::Changed { client: None } => {
                write!(f, "{file}, byte {at}: {bytes} damaged")
            }
            Wrong::Changed {
                client: Some(client),
            } => write!(
                f,
                "{file}, byte {at}: {bytes} damaged, perhaps of a record of {client}"
            ),
        }
    }
}

/// Why a server does not start with a folder.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The folder can't be read at all.
    #[error("can't read what the folder of records holds: {0}")]
    Folder(#[from] io::Error),
    /// A later build wrote a file.
    #[error(
        "{file} has version {version} of the format of records, and this build knows {VERSION}"
    )]
    Version {
        /// The file's name.
        file: String,
        /// Its version.
        version: u32,
    },
    /// The files are another server's.
    #[error("{file} holds records of {} of the herd {}", owner.server, owner.herd)]
    Foreign {
        /// The file's name.
        file: String,
        /// Whose it is.
        owner: Owner,
    },
    /// Something is damaged, and the server was told to be strict.
    #[error("{damaged} damaged place{} in the folder of records; the first: {first}", if *damaged == 1 { "" } else { "s" })]
    Damaged {
        /// How many places are.
        damaged: usize,
        /// The first one.
        first: Damage,
    },
}

impl LoadError {
    /// Advice for the operator.
    pub fn help(&self) -> &'static str {
        match self {
            Self::Folder(_) => "give a folder that this process may read and write (`--data-dir`)",
            Self::Version { .. } => {
                "start the later build again, or give another folder (`--data-dir`); nothing was changed in this one"
            }
            Self::Foreign { .. } => {
                "give each server a folder of its own (`--data-dir`); nothing was changed in this one"
            }
            Self::Damaged { .. } => {
                "look at it with `herd data verify`, or start without `--strict-data`: what is damaged is left out, and neighbours send what they know of it"
            }
        }
    }
}

/// Reads all files of a server. Nothing is changed on the disk.
///
/// # Errors
///
/// If the folder can't be read, or is not this server's or this build's; and, where `data` is
/// strict, if anything in it is damaged.
pub(crate) async fn load(data: &Data, owner: &Owner, mistake: &Made) -> Result<Loaded, LoadError> {
    let loaded = read(&*data.disk, Some(owner), mistake).await?;
    match loaded.damages.first() {
        Some(first) if data.strict => Err(LoadError::Damaged {
            damaged: loaded.damaged,
            first: first.clone(),
        }),
        _ => Ok(loaded),
    }
}

/// Reads all files on a disk, which are to be those of `owner`, if one is given.
///
/// # Errors
///
/// As [`load`], but damage is none.
pub(crate) async fn read(
    disk: &dyn Disk,
    owner: Option<&Owner>,
    mistake: &Made,
) -> Result<Loaded, LoadError> {
    let names = disk.list().await?;
    let mut loaded = Loaded::default();
    let files = names.iter().filter_map(|name| File::of(name));
    loaded.files = files.collect();
    loaded.files.sort_by_key(|file| (file.number(), *file));
    if mistake.makes(Mistake::ReplaysBackwards) {
        loaded.files.reverse();
    }
    let whole = |file: &&File| !matches!(file, File::Unfinished(_));
    for file in loaded.files.clone().iter().filter(whole) {
        let name = file.name();
        match disk.read(&name).await {
            Ok(content) => {
                let is_snapshot = matches!(file, File::Snapshot(_));
                let is_synced = is_snapshot || mistake.makes(Mistake::BelievesItsLog);
                loaded.live += u64::from(is_snapshot) * content.len() as u64;
                loaded.take((&name, is_synced), &content, owner, mistake)?;
            }
            Err(error) => loaded.is_unreadable(&name, &error),
        }
    }
    Ok(loaded)
}

impl Loaded {
    /// Whether everything on the disk is to be written anew, since some of it is damaged.
    pub(super) fn is_damaged(&self) -> bool {
        self.damaged > 0
    }

    /// The number of the next file.
    pub(super) fn next(&self) -> u64 {
        let last = self.files.iter().map(|file| file.number()).max();
        last.map_or(1, |last| last + 1)
    }

    /// A file can't be read.
    pub(super) fn is_unreadable(&mut self, name: &str, error: &io::Error) {
        self.damage(name, 0..0, Wrong::Unreadable(error.to_string()));
    }

    /// Takes the lines of a file.
    pub(super) fn take(
        &mut self,
        (name, is_synced): (&str, bool),
        content: &[u8],
        owner: Option<&Owner>,
        mistake: &Made,
    ) -> Result<(), LoadError> {
        self.bytes += content.len() as u64;
        let before = self.damaged;
        let mut at = 0;
        let mut is_headless = true;
        while at < content.len() {
            let rest = &content[at..];
            let end = memchr::memchr(b'\n', rest);
            let line = &rest[..end.unwrap_or(rest.len())];
            let range = at..at + line.len() + usize::from(end.is_some());
            let parsed = end.and_then(|_| parse(line, mistake));
            match parsed {
                Some(Line::Record(update)) => self.updates.push(Read { update, is_synced }),
                Some(Line::Header(header)) => {
                    is_headless = false;
                    check(name, header, owner)?;
                }
                None if end.is_none() => self.damage(name, range.clone(), Wrong::Torn),
                None => {
                    let client = client_of(line);
                    self.damage(name, range.clone(), Wrong::Changed { client });
                }
            }
            at = range.end;
        }
        // A file that was created, and of which nothing else survived, lacks nothing that was answered.
        if is_headless && !content.is_empty() && self.damaged == before {
            self.damage(name, 0..0, Wrong::Headless);
        }
        Ok(())
    }

    fn damage(&mut self, file: &str, range: std::ops::Range<usize>, what: Wrong) {
        self.damaged += 1;
        if self.damages.len() < MOST_TOLD {
            self.damages.push(Damage {
                file: file.to_owned(),
                at: range.start as u64,
                bytes: range.len() as u64,
                what,
            });
        }
    }
}

/// Whether a file is of this build's format, and of this server.
fn check(name: &str, header: Header, owner: Option<&Owner>) -> Result<(), LoadError> {
    let file = name.to_owned();
    let Header {
        version,
        owner: its,
    } = header;
    if version != VERSION {
        return Err(LoadError::Version { file, version });
    }
    match owner {
        Some(owner) if *owner != its => Err(LoadError::Foreign { file, owner: its }),
        _ => Ok(()),
    }
}

/// The client in a damaged line, as far as it can be read: the fourth word behind the checksum.
fn client_of(line: &[u8]) -> Option<String> {
    let (_, text) = line.split_at_checked(CHECKSUM)?;
    let id = text.split(|&byte| byte == b' ').nth(3)?;
    Some(escape(id)).filter(|id| !id.is_empty())
}

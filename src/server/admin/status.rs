//! A server's status as one value, which `/status` writes and `herd status` reads.

use serde::{Deserialize, Serialize};

/// A server's status. Later versions may add fields, so a reader ignores those that it does not
/// know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The herd's name.
    pub herd: String,
    /// The server's name in the herd.
    pub server: String,
    /// The version of the package.
    pub version: String,
    /// The commit that the program was built from, or `unknown`.
    pub commit: String,
    /// The commit's day, or `unknown`.
    pub date: String,
    /// The time since the server began, in whole seconds.
    pub up_seconds: u64,
    /// Whether clients should be sent to it.
    pub ready: bool,
    /// The reasons why the server is not ready. The list is empty if it is.
    pub not_ready_because: Vec<String>,
    /// The server became ready or its grace ended, and no neighbour had sent it any record from
    /// before its start.
    pub came_up_empty: bool,
    /// The number of clients whose record the server holds.
    pub records: u64,
    /// The server's disk, if it keeps records there.
    #[serde(default)]
    pub disk: Option<DiskReport>,
    /// The server's links, in the order of the herd file.
    pub links: Vec<LinkReport>,
}

/// How far a server's disk is behind its memory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DiskReport {
    /// When a client's update is answered: `background` or `answered`.
    pub durability: String,
    /// Whether the disk takes no records.
    pub failing: bool,
    /// The number of clients whose latest record is not on it.
    pub unsaved: u64,
    /// How long the oldest of them waits, at most, in milliseconds.
    pub behind_millis: u64,
    /// The number of bytes on it, about.
    pub bytes: u64,
}

/// The status of a link, as one of its ends sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LinkReport {
    /// The name of the neighbour.
    pub peer: String,
    /// The link is up, so updates flow.
    pub up: bool,
    /// The records that were missed before the link came up have been exchanged.
    pub synchronised: bool,
    /// The number of records that wait to be sent to the neighbour, so it shows how far the
    /// neighbour lags.
    pub waiting: u64,
    /// Whether both ends held the same records when they last compared digests.
    #[serde(default)]
    pub agree: Option<bool>,
    /// The round trip of a line, in nanoseconds. It is `None` before the first measurement, and
    /// with a neighbour of an older version.
    #[serde(default)]
    pub round_trip_nanos: Option<u64>,
    /// Nanoseconds by which the neighbour's clock is ahead, plus or minus half the round trip.
    #[serde(default)]
    pub clock_offset_nanos: Option<i64>,
}

impl Status {
    /// The number of records that wait to be sent, over all links.
    pub fn waiting(&self) -> u64 {
        self.links.iter().map(|link| link.waiting).sum()
    }

    /// The number of links that are up.
    pub fn links_up(&self) -> usize {
        self.links.iter().filter(|link| link.up).count()
    }
}

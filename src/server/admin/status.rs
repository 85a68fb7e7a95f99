//! How a server is, as one value: what `/status` tells and `herd status` reads.

use serde::{Deserialize, Serialize};

/// How a server is. Fields may come with later versions, so who reads this passes over what it does not know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Its herd.
    pub herd: String,
    /// Its name there.
    pub server: String,
    /// Of the package.
    pub version: String,
    /// That it was built from, or `unknown`.
    pub commit: String,
    /// The commit's day, or `unknown`.
    pub date: String,
    /// How long it has run.
    pub up_seconds: u64,
    /// Whether clients should be sent to it.
    pub ready: bool,
    /// Why not, if not.
    pub not_ready_because: Vec<String>,
    /// It was ready, or had waited long enough, and no neighbour had sent it anything from before its start.
    pub came_up_empty: bool,
    /// The number of clients' records that it holds.
    pub records: u64,
    /// Its links, in the order of the herd file.
    pub links: Vec<LinkReport>,
}

/// How a link is, as one of its ends sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LinkReport {
    /// The neighbour.
    pub peer: String,
    /// Updates flow.
    pub up: bool,
    /// What was missed before it came up was made good.
    pub synchronised: bool,
    /// The number of records that wait to be sent to the neighbour: how far that lags behind.
    pub waiting: u64,
    /// Whether both knew the same when they last compared digests.
    #[serde(default)]
    pub agree: Option<bool>,
    /// How long a line takes there and its answer back, in nanoseconds; not said by a neighbour of an older version.
    #[serde(default)]
    pub round_trip_nanos: Option<u64>,
    /// Nanoseconds by which the neighbour's clock is ahead, give or take half the round trip.
    #[serde(default)]
    pub clock_offset_nanos: Option<i64>,
}

impl Status {
    /// Records that wait to be sent to any neighbour.
    pub fn waiting(&self) -> u64 {
        self.links.iter().map(|link| link.waiting).sum()
    }

    /// How many links are up.
    pub fn links_up(&self) -> usize {
        self.links.iter().filter(|link| link.up).count()
    }
}

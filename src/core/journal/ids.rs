//! Numbers by which events and connections are told apart.

use std::num::NonZeroU64;

use serde::{Deserialize, Serialize};

/// An event's number in its journal: 1, 2, 3 and so on, in the order in which things happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventId(pub NonZeroU64);

/// A connection's number in its journal. If one journal records both ends, both have the same
/// number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ConnId(pub u64);

/// One end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// The end that connected.
    Dialler,
    /// The end that was connected to.
    Acceptor,
}

//! `PING`s to a neighbour: what it has confirmed, the round trip, and the offset of its clock.

use std::collections::VecDeque;
use std::time::Duration;

use crate::protocol::peer::PeerError;
use crate::protocol::time::Timestamp;

/// The `PING`s of a link. A `PONG` confirms that everything before its `PING` has been handled.
#[derive(Debug, Default)]
pub(super) struct Pings {
    /// Open `PING`s: when each was sent, by this server's clock, and how many of the updates
    /// accepted by then did not wait for the neighbour any more.
    open: VecDeque<(Timestamp, u64)>,
    /// Bytes sent since the last `PING`: records in bulk here, live ones below.
    bulk: usize,
    live: usize,
    /// How many of the accepted updates the neighbour has confirmed.
    pub(super) confirmed: u64,
    /// The round trip and the offset of the neighbour's clock in nanoseconds, by the last `PONG`.
    pub(super) measured: Option<(Duration, i64)>,
}

impl Pings {
    /// The bytes of bulk between two `PING`s. With [`MOST_OPEN`](Self::MOST_OPEN) it bounds the
    /// bulk in flight ahead of a live update: 256 KiB, which a server handles in some 10 ms.
    const BULK: usize = 64 * 1024;

    /// The number of open `PING`s at which bulk stops.
    const MOST_OPEN: usize = 4;

    /// For this number of bytes of live updates one byte of bulk is sent even without a
    /// confirmation: a neighbour that confirms late because live updates never end would otherwise
    /// never get what it lacks.
    const SHARE: usize = 4;

    /// The number of bytes by which bulk must be behind its share before the share releases it.
    /// Without this, an occasional live update would let bulk pass.
    const LOT: usize = 4 * 1024;

    /// Whether records may be sent in bulk.
    pub(super) fn allow_bulk(&self) -> bool {
        self.open.len() < Self::MOST_OPEN || self.bulk + Self::LOT <= self.live / Self::SHARE
    }

    /// Whether one more `PING` may ask for a `PONG`. A neighbour that answers none still gets
    /// heartbeats.
    pub(super) fn allow_more(&self) -> bool {
        self.open.len() < 4 * Self::MOST_OPEN
    }

    /// Counts bytes of bulk, and returns whether a `PING` is due.
    pub(super) fn sent_bulk(&mut self, bytes: usize) -> bool {
        self.bulk += bytes;
        self.bulk >= Self::BULK && self.open.len() < Self::MOST_OPEN
    }

    pub(super) fn sent_live(&mut self, bytes: usize) {
        self.live += bytes;
    }

    pub(super) fn ask(&mut self, clock: Timestamp, told: u64) {
        (self.bulk, self.live) = (0, 0);
        self.open.push_back((clock, told));
    }

    /// Matches a `PONG` with the oldest open `PING`, and measures by it.
    pub(super) fn answered(
        &mut self,
        ping: Timestamp,
        theirs: Timestamp,
        now: Timestamp,
    ) -> Result<(), PeerError> {
        let (asked, told) = (self.open.pop_front()).ok_or(PeerError::Unexpected)?;
        if asked != ping {
            return Err(PeerError::Unexpected);
        }
        self.confirmed = told;
        let way = now.as_nanos().saturating_sub(asked.as_nanos());
        // If this server's clock was set back meanwhile, nothing can be measured.
        if let Ok(way) = u64::try_from(way) {
            let middle = asked.as_nanos() + i128::from(way) / 2;
            let offset = theirs.as_nanos().saturating_sub(middle);
            let offset =
                i64::try_from(offset).unwrap_or(if offset < 0 { i64::MIN } else { i64::MAX });
            self.measured = Some((Duration::from_nanos(way), offset));
        }
        Ok(())
    }
}

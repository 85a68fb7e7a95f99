//! What a neighbour has confirmed, how long that took, and what its clock shows.

use std::collections::VecDeque;
use std::time::Duration;

use crate::protocol::peer::PeerError;
use crate::protocol::time::Timestamp;

/// Questions of whether all that was sent so far has been handled.
#[derive(Debug, Default)]
pub(super) struct Pings {
    /// When each was sent, by this server's clock, and how many updates had been accepted by then that were to be
    /// sent to the neighbour.
    open: VecDeque<(Timestamp, u64)>,
    /// Bytes of records in bulk, and of live ones, since the last one.
    bulk: usize,
    live: usize,
    /// How many updates of those accepted so far the neighbour has confirmed.
    pub(super) confirmed: u64,
    /// What the last answer said of the way and of the neighbour's clock.
    pub(super) measured: Option<(Duration, i64)>,
}

impl Pings {
    /// The number of bytes of bulk that are sent between two of these questions. With [`MOST_OPEN`](Self::MOST_OPEN)
    /// it bounds what a live update can find before it on its way: 256 KiB, which a server takes in within some 10
    /// ms.
    const BULK: usize = 64 * 1024;

    /// The maximum number that may be open while more is sent in bulk.
    const MOST_OPEN: usize = 4;

    /// For this number of bytes of live updates one of bulk is sent, whatever is confirmed: a neighbour that is slow because live
    /// updates never end would never get what it lacks.
    const SHARE: usize = 4;

    /// How many bytes must be due before that begins, or an update now and then would open the way.
    const LOT: usize = 4 * 1024;

    /// Whether records may be sent in bulk.
    pub(super) fn allow_bulk(&self) -> bool {
        self.open.len() < Self::MOST_OPEN || self.bulk + Self::LOT <= self.live / Self::SHARE
    }

    /// Whether one more may be sent. A neighbour that answers none is shown that this end is there all the same.
    pub(super) fn allow_more(&self) -> bool {
        self.open.len() < 4 * Self::MOST_OPEN
    }

    /// More was sent in bulk; whether it is time to ask.
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

    /// An answer came.
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
        // A clock that was set meanwhile tells nothing.
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

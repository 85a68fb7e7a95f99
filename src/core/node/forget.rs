//! Forgetting a client, which an operator wants when one of its records would win for ever.
//!
//! A tombstone of the next generation replaces the record. It is newer than every record of earlier
//! generations, wherever such a record still is and whenever it comes back. The tombstone is
//! flooded and synchronised as any record. The client's next update belongs to its generation and
//! replaces it.

use super::Node;
use crate::journal::{EventKind, Journal};
use crate::protocol::record::Record;
use crate::protocol::time::Timestamp;

/// The outcome of forgetting a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forgotten {
    /// The record that was held. If it was a tombstone, nothing has changed.
    pub was: Record,
    /// The generation of the tombstone.
    pub generation: u32,
}

/// Why a client can't be forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ForgetError {
    /// This server holds no record of the client. One may arrive later, so send the request to a
    /// server that holds it.
    #[error("nothing is known of this client")]
    Unknown,
    /// There is no later generation, which only a lying neighbour can cause.
    #[error("this client has been forgotten as often as can be")]
    TooOften,
}

impl Node {
    /// Makes the whole herd forget a client, whose next update is accepted as if it were the first.
    /// `clock` is this server's.
    ///
    /// # Errors
    ///
    /// If no record of the client is held here, or no later generation is left. Nothing changed
    /// then.
    pub fn forget(
        &mut self,
        id: &[u8],
        clock: Timestamp,
        journal: &dyn Journal,
    ) -> Result<Forgotten, ForgetError> {
        let known = self.store.find(id).ok_or(ForgetError::Unknown)?;
        let was = self.store.entry(known).record.clone();
        if was.is_tombstone() {
            let generation = was.generation();
            return Ok(Forgotten { was, generation });
        }
        let generation = was.generation().checked_add(1);
        let generation = generation.ok_or(ForgetError::TooOften)?;
        let record = Record::tombstone(&self.config.name, clock, id, generation);
        let accepted = journal.record(None, EventKind::forgotten(&record, None));
        self.take_in(Some(known), record, 0, accepted, None);
        Ok(Forgotten { was, generation })
    }
}

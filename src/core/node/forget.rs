//! Having a client forgotten, which an operator wants when a record of it would win for ever.
//!
//! A record is replaced by a tombstone of the next generation, which wins over whatever was said in the generations before
//! it, wherever that still is and whenever it comes back. The tombstone is flooded and synchronised as any record, and what
//! the client says afterwards belongs to its generation and replaces it.

use super::Node;
use crate::journal::{EventKind, Journal};
use crate::protocol::record::Record;
use crate::protocol::time::Timestamp;

/// What was forgotten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forgotten {
    /// What was known. If that was a tombstone, nothing has changed.
    pub was: Record,
    /// The generation that begins.
    pub generation: u32,
}

/// Why a client can't be forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ForgetError {
    /// There is no record of it here. One elsewhere may come later, so whoever knows it should be told.
    #[error("nothing is known of this client")]
    Unknown,
    /// There is no later generation. Only a neighbour that lies can bring that about.
    #[error("this client has been forgotten as often as can be")]
    TooOften,
}

impl Node {
    /// Has the whole herd forget what it knows of a client, whose next line is taken as if it were the first. `clock` is this
    /// server's.
    ///
    /// # Errors
    ///
    /// When nothing is known of it here, or it can't be overruled. Nothing changed then.
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

//! Takes over what is on the disk when a server starts.

use super::Shared;
use crate::disk::{Durability, Read, Stored};
use crate::journal::EventKind;
use crate::net::Net;

/// Stores what was on the disk, and tells what was found there.
pub(super) fn restore<N: Net>(shared: &Shared<N>, stored: &mut Stored) {
    let journal = &*shared.journal;
    let loaded = &mut stored.loaded;
    let mut state = shared.state();
    // So that what has expired meanwhile is not stored.
    state.node.expire(shared.net.now(), 0, journal);
    let answers_wait = stored.durability == Durability::Answered;
    state.node.save_changes(answers_wait);
    // Some clients have several records there, in a log that is shorter than all that is live.
    state.node.reserve(loaded.updates.len());
    for Read { update, is_synced } in std::mem::take(&mut loaded.updates) {
        state.node.restore(update, is_synced, journal);
    }
    let records = state.node.records().count() as u64;
    state.wake();
    drop(state);
    journal.record(
        None,
        EventKind::Loaded {
            records,
            bytes: loaded.bytes,
            damaged: loaded.damaged as u64,
            answers_wait,
        },
    );
    for damage in &loaded.damages {
        let place = damage.to_string().into();
        journal.record(None, EventKind::Damaged { place });
    }
}

//! The slots of a listener's connections, and which of them can be taken away.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use crate::sync::Notify;
use crate::sync::atomic::{AtomicBool, Ordering};

/// The slot of a connection, among the limited number of a listener.
#[derive(Default)]
pub(super) struct Place {
    is_kept: AtomicBool,
    lost: Notify,
}

impl Place {
    /// Protects the slot: from now on it can't be taken away.
    pub(super) fn keep(&self) {
        self.is_kept.store(true, Ordering::Relaxed);
    }

    /// Completes when the slot is taken for another connection.
    pub(super) async fn lost(&self) {
        self.lost.notified().await;
    }
}

/// The slots that can be taken away, oldest first.
#[derive(Default)]
pub(super) struct Unproved(VecDeque<Weak<Place>>);

impl Unproved {
    /// Adds the newest slot.
    pub(super) fn add(&mut self, place: &Arc<Place>) {
        // Slots of closed connections are removed here.
        self.0.retain(|place| place.strong_count() > 0);
        self.0.push_back(Arc::downgrade(place));
    }

    /// The oldest slot that is in use and unprotected, if any.
    pub(super) fn oldest(&mut self) -> Option<Arc<Place>> {
        while let Some(place) = self.0.front() {
            let place = place.upgrade();
            let place = place.filter(|place| !place.is_kept.load(Ordering::Relaxed));
            if place.is_some() {
                return place;
            }
            self.0.pop_front();
        }
        None
    }

    /// Takes away the oldest slot.
    pub(super) fn make_room(&mut self) {
        if let Some(oldest) = self.oldest() {
            oldest.lost.notify_one();
            self.0.pop_front();
        }
    }
}

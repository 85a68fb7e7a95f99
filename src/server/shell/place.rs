//! The slots of a listener's connections, and which of them can be taken away.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use crate::sync::Notify;
use crate::sync::atomic::{AtomicUsize, Ordering};

/// Nobody has decided yet whether the slot is kept or lost. Whoever decides first decides for good: the task of the
/// connection, or the listener that needs the slot.
const OPEN: usize = 0;
const KEPT: usize = 1;
const LOST: usize = 2;

/// The slot of a connection, among the limited number of a listener.
#[derive(Default)]
pub(super) struct Place {
    fate: AtomicUsize,
    lost: Notify,
}

impl Place {
    /// Protects the slot from now on, and returns whether that was in time. A slot that is lost belongs to another
    /// connection already.
    #[must_use]
    pub(super) fn keep(&self) -> bool {
        self.decide(KEPT)
    }

    /// Takes the slot away, unless it is protected.
    fn take(&self) -> bool {
        let is_taken = self.decide(LOST);
        if is_taken {
            self.lost.notify_one();
        }
        is_taken
    }

    fn decide(&self, fate: usize) -> bool {
        let decided = (self.fate).compare_exchange(OPEN, fate, Ordering::SeqCst, Ordering::SeqCst);
        decided.is_ok()
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
            let place = place.filter(|place| place.fate.load(Ordering::SeqCst) == OPEN);
            if place.is_some() {
                return place;
            }
            self.0.pop_front();
        }
        None
    }

    /// Takes away the oldest slot, and returns whether there was one.
    #[must_use]
    pub(super) fn make_room(&mut self) -> bool {
        while let Some(oldest) = self.oldest() {
            self.0.pop_front();
            // Its connection may have proved itself since.
            if oldest.take() {
                return true;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_kept_or_lost_and_never_both() {
        let (mut unproved, places) = (
            Unproved::default(),
            [(); 3].map(|()| Arc::<Place>::default()),
        );
        for place in &places {
            unproved.add(place);
        }
        let [first, second, third] = &places;
        assert!(first.keep());
        assert!(unproved.make_room());
        // The second was the oldest that nobody had kept. It is too late for that now.
        assert!(!second.keep());
        assert!(third.keep());
        assert!(!unproved.make_room());
    }
}

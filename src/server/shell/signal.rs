//! A signal that many tasks wait for, and that is given once.

use std::future::Future;
use std::sync::Arc;

use crate::sync::Notify;
use crate::sync::atomic::{AtomicBool, Ordering};

/// A signal. Those who wait for it are woken in the order in which they began to wait; tokio's `watch` wakes them in an
/// order that is drawn from no seed.
#[derive(Clone, Default)]
pub(super) struct Signal(Arc<Inner>);

#[derive(Default)]
struct Inner {
    given: AtomicBool,
    waiting: Notify,
}

impl Signal {
    /// Gives the signal.
    pub(super) fn give(&self) {
        self.0.given.store(true, Ordering::SeqCst);
        self.0.waiting.notify_waiters();
    }

    /// Whether it was given.
    pub(super) fn is_given(&self) -> bool {
        self.0.given.load(Ordering::SeqCst)
    }

    /// Completes when the signal is given, or was.
    pub(super) fn given(&self) -> impl Future<Output = ()> + Send + use<> {
        let inner = Arc::clone(&self.0);
        async move {
            // The future exists before the check, so a signal between the two is not lost.
            let waiting = inner.waiting.notified();
            if !inner.given.load(Ordering::SeqCst) {
                waiting.await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::Mutex;

    use futures_lite::future::poll_once;
    use tokio::task::JoinSet;

    use super::*;

    #[tokio::test]
    async fn who_comes_later_finds_it_given() {
        let signal = Signal::default();
        let mut before = pin!(signal.given());
        assert!(poll_once(before.as_mut()).await.is_none());
        signal.give();
        assert!(poll_once(before).await.is_some());
        assert!(poll_once(signal.given()).await.is_some());
    }

    #[tokio::test]
    async fn all_are_woken_in_the_order_in_which_they_came() {
        for _ in 0..20 {
            let (signal, woken) = (Signal::default(), Arc::new(Mutex::new(Vec::new())));
            let mut tasks = JoinSet::new();
            for number in 0..8 {
                let (given, woken) = (signal.given(), Arc::clone(&woken));
                tasks.spawn(async move {
                    given.await;
                    woken.lock().unwrap().push(number);
                });
            }
            tokio::task::yield_now().await;
            signal.give();
            tasks.join_all().await;
            assert_eq!(*woken.lock().unwrap(), [0, 1, 2, 3, 4, 5, 6, 7]);
        }
    }
}

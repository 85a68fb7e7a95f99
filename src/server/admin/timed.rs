//! The latency of look-ups, including the wait for a permit and retries.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tokio::time::Instant;

use super::Metrics;
use crate::places::{LookUp, Places};

/// Passes look-ups on, and measures how long each takes.
pub struct Timed {
    metrics: Arc<Metrics>,
    next: Arc<dyn Places>,
}

impl Timed {
    /// Passes look-ups on to `next`, and adds their times to `metrics`.
    pub fn new(metrics: Arc<Metrics>, next: Arc<dyn Places>) -> Self {
        Self { metrics, next }
    }
}

impl Places for Timed {
    fn nearby<'a>(
        &'a self,
        look_up: &'a LookUp,
    ) -> Pin<Box<dyn Future<Output = Vec<u8>> + Send + 'a>> {
        Box::pin(async move {
            let since = Instant::now();
            let body = self.next.nearby(look_up).await;
            self.metrics.looked_up_in(since.elapsed());
            body
        })
    }

    fn background_tasks(&self) -> usize {
        self.next.background_tasks()
    }
}

//! A source of places whose answers a story controls.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use proxy_herd::places::{LookUp, Places};
use tokio::sync::{oneshot, watch};

use super::wire::soon;

/// Holds every look-up until the story answers it.
#[derive(Default)]
pub(crate) struct Held {
    waiting: Mutex<Vec<(String, oneshot::Sender<Vec<u8>>)>>,
    /// The number of look-ups so far.
    asked: watch::Sender<usize>,
    /// The largest number of look-ups that waited at the same time.
    most: Mutex<usize>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Held {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Waits until this number of look-ups have begun.
    pub(crate) async fn wait_for(&self, asked: usize) {
        let mut all = self.asked.subscribe();
        let waited = soon(all.wait_for(|&all| all >= asked), || {
            format!(
                "look-up {asked}; so far there were {}",
                *self.asked.borrow()
            )
        });
        waited.await.expect("the places outlive the story");
    }

    /// Answers the look-up with this radius in metres.
    pub(crate) fn answer(&self, radius: &str, body: &str) {
        let mut waiting = lock(&self.waiting);
        let position = waiting.iter().position(|(of, _)| of == radius);
        let (_, tell) = waiting.remove(position.expect("it was asked"));
        tell.send(body.into()).expect("somebody waits");
    }

    /// Answers all look-ups that wait.
    pub(crate) fn answer_all(&self, body: &str) {
        for (_, tell) in std::mem::take(&mut *lock(&self.waiting)) {
            tell.send(body.into()).expect("somebody waits");
        }
    }

    /// The largest number of look-ups that waited at the same time.
    pub(crate) fn most_at_a_time(&self) -> usize {
        *lock(&self.most)
    }
}

impl Places for Held {
    fn nearby<'a>(
        &'a self,
        look_up: &'a LookUp,
    ) -> Pin<Box<dyn Future<Output = Vec<u8>> + Send + 'a>> {
        Box::pin(async move {
            let (tell, told) = oneshot::channel();
            {
                let mut waiting = lock(&self.waiting);
                waiting.push((look_up.radius_metres.clone(), tell));
                let mut most = lock(&self.most);
                *most = waiting.len().max(*most);
            }
            self.asked.send_modify(|asked| *asked += 1);
            told.await.expect("an answer")
        })
    }
}

//! The background tasks of look-ups. None outlives its owner, and no panic in one is lost.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::task::JoinSet;

use crate::net::Net;

/// Owns tasks, which `net` runs like those of a server. They end when it is dropped.
pub(super) struct Tasks<N> {
    net: N,
    set: Arc<Mutex<JoinSet<()>>>,
}

/// Spawns hyper's tasks. It holds its owner weakly, since the tasks would otherwise keep the owner
/// alive.
#[derive(Clone)]
pub(super) struct Executor<N> {
    net: N,
    set: Weak<Mutex<JoinSet<()>>>,
}

fn lock(set: &Mutex<JoinSet<()>>) -> MutexGuard<'_, JoinSet<()>> {
    set.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<N: Net> Tasks<N> {
    pub(super) fn new(net: N) -> Self {
        let set = Arc::default();
        Self { net, set }
    }

    pub(super) fn executor(&self) -> Executor<N> {
        Executor {
            net: self.net.clone(),
            set: Arc::downgrade(&self.set),
        }
    }

    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        lock(&self.set).spawn(self.net.task(task));
    }

    /// Removes the tasks that ended.
    ///
    /// # Panics
    ///
    /// When a task panicked. Its panic is resumed here.
    pub(super) fn look_after(&self) {
        while let Some(ended) = self.next_ended() {
            if let Err(error) = ended
                && error.is_panic()
            {
                std::panic::resume_unwind(error.into_panic());
            }
        }
    }

    /// This is no part of the loop's head, because the lock must be free while a panic unwinds.
    fn next_ended(&self) -> Option<Result<(), tokio::task::JoinError>> {
        lock(&self.set).try_join_next()
    }
}

impl<N: Net, F: Future<Output = ()> + Send + 'static> hyper::rt::Executor<F> for Executor<N> {
    fn execute(&self, task: F) {
        // Without an owner, no look-up waits for the task.
        if let Some(set) = self.set.upgrade() {
            lock(&set).spawn(self.net.task(task));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use hyper::rt::Executor as _;

    use super::Tasks;
    use crate::net::tokio::TokioNet;

    #[tokio::test]
    async fn a_panic_in_a_task_goes_on_where_tasks_are_looked_after() {
        let tasks = Tasks::new(TokioNet);
        tasks.executor().execute(async { panic!("a bug") });
        let seen = || catch_unwind(AssertUnwindSafe(|| tasks.look_after())).is_err();
        while !seen() {
            tokio::task::yield_now().await;
        }
        tasks.look_after();
    }

    #[tokio::test]
    async fn tasks_end_with_their_owner_and_none_begins_without_it() {
        let tasks = Tasks::new(TokioNet);
        let executor = tasks.executor();
        let (held, gone) = tokio::sync::oneshot::channel::<()>();
        tasks.spawn(async move {
            let _held = held;
            std::future::pending::<()>().await;
        });
        drop(tasks);
        gone.await.expect_err("the task is gone");
        let (held, gone) = tokio::sync::oneshot::channel::<()>();
        executor.execute(async move {
            let _held = held;
            std::future::pending::<()>().await;
        });
        gone.await.expect_err("it never ran");
    }
}

//! The tasks that look-ups need beside the one that waits for the answer: none outlives its owner, and no
//! panic in one is lost.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::task::JoinSet;

use crate::net::Net;

/// Owns tasks, which run as `net` runs a server's: they end when it is dropped.
pub(super) struct Tasks<N> {
    net: N,
    set: Arc<Mutex<JoinSet<()>>>,
}

/// Lets hyper begin tasks without keeping their owner alive, which the tasks themselves would else do.
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

    /// Forgets the tasks that ended.
    ///
    /// # Panics
    ///
    /// When one of them panicked: then that panic goes on here.
    pub(super) fn look_after(&self) {
        while let Some(ended) = self.next_ended() {
            if let Err(error) = ended
                && error.is_panic()
            {
                std::panic::resume_unwind(error.into_panic());
            }
        }
    }

    /// Not part of the loop's head, so that no lock is held while a panic goes on.
    fn next_ended(&self) -> Option<Result<(), tokio::task::JoinError>> {
        lock(&self.set).try_join_next()
    }
}

impl<N: Net, F: Future<Output = ()> + Send + 'static> hyper::rt::Executor<F> for Executor<N> {
    fn execute(&self, task: F) {
        // Without an owner there is nobody left to answer.
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

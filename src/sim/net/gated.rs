//! Runs a server's tasks as a machine does that can be frozen.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::ChaCha8Rng;

use super::{Faults, Machine};
use crate::sim::time::elapsed;

/// The maximum number of polls of a machine's tasks at one simulated time. The busiest moments of
/// the shipped scenarios need some thousands. A task that wakes itself for ever would be polled for
/// ever, since simulated time waits for it.
const MOST_POLLS: u64 = 5_000_000;

/// Where the seed decides the order of tasks, one poll in N, on average, lets all other ready tasks go first.
const WAITS: u32 = 3;

/// Whether a task lets others go on, by a machine's generator.
pub(super) fn waits(order: &mut ChaCha8Rng) -> bool {
    order.random_ratio(1, WAITS)
}

/// The number of polls of a machine's tasks at the current simulated time.
#[derive(Default)]
pub(super) struct Polls {
    at: Duration,
    count: u64,
}

impl Polls {
    /// Counts a poll. Returns whether there were too many.
    fn are_too_many(&mut self, now: Duration) -> bool {
        if self.at != now {
            *self = Self { at: now, count: 0 };
        }
        self.count += 1;
        self.count > MOST_POLLS
    }
}

/// A task that does not run while its machine is frozen. Wake-ups meanwhile (timers, bytes) are not
/// lost, as after SIGCONT.
pub(super) struct Gated<F> {
    task: Pin<Box<F>>,
    machine: Machine,
    /// The machine's life in which it began.
    life: u64,
    faults: Faults,
}

impl<F: Future> Gated<F> {
    pub(super) fn new(task: F, machine: Machine, faults: Faults) -> Self {
        let task = Box::pin(task);
        let life = {
            let state = &mut faults.inner().machines[machine];
            state.tasks += 1;
            state.life
        };
        Self {
            task,
            machine,
            life,
            faults,
        }
    }
}

impl<F> Drop for Gated<F> {
    fn drop(&mut self) {
        let state = &mut self.faults.inner().machines[self.machine];
        if state.life == self.life {
            state.tasks -= 1;
        }
    }
}

impl<F: Future> Future for Gated<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        if this.faults.progress.is_left() {
            // The run was abandoned, and ends after this poll.
            return Poll::Pending;
        }
        let now = elapsed().unwrap_or_default();
        let (spins, goes_on) = {
            let mut inner = this.faults.inner();
            let state = &mut inner.machines[this.machine];
            if state.life != this.life {
                return Poll::Pending;
            }
            if state.frozen {
                state.counts.stopped += 1;
                state.waiting.push(context.waker().clone());
                return Poll::Pending;
            }
            let too_many = state.polls.are_too_many(now);
            let goes_on = !state.order.as_mut().is_some_and(waits);
            (too_many.then(|| inner.names[this.machine].clone()), goes_on)
        };
        if let Some(name) = spins {
            panic!(
                "{name} spins at {now:?}: a task of it wakes itself again and again, and simulated time cannot go on"
            );
        }
        let task = this.task.as_mut();
        let progress = &this.faults.progress;
        progress.during(this.machine, now, || {
            if goes_on {
                task.poll(context)
            } else {
                context.waker().wake_by_ref();
                Poll::Pending
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::task::Poll;

    use crate::net::Net as _;
    use crate::sim::net::Faults;
    use crate::sim::time::follow;
    use crate::sim::worlds::turmoil::TurmoilSockets;

    fn alone() -> Faults {
        follow(turmoil::sim_elapsed, 1);
        let names = vec!["Riley".to_owned()];
        Faults::new(names, 0, &Arc::default(), Arc::new(TurmoilSockets))
    }

    #[test]
    fn a_task_that_wakes_itself_for_ever_ends_the_run() {
        let net = alone().net(0);
        let mut sim = turmoil::Builder::new().rng_seed(1).build();
        sim.client("Riley", async move {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            let spins = std::future::poll_fn(|context| {
                context.waker().wake_by_ref();
                Poll::<turmoil::Result>::Pending
            });
            net.task(spins).await
        });
        // Without the limit this would never end.
        let failed = sim.run().expect_err("it fails");
        assert!(
            failed.to_string().contains("Riley spins at 5ms"),
            "{failed}"
        );
    }

    #[test]
    fn a_task_that_waits_for_time_may_be_polled_as_often_as_it_likes() {
        let net = alone().net(0);
        let mut sim = turmoil::Builder::new()
            .rng_seed(1)
            .simulation_duration(std::time::Duration::from_mins(1))
            .build();
        sim.client("Riley", async move {
            net.task(async {
                for _ in 0..100 {
                    for _ in 0..1000 {
                        tokio::task::yield_now().await;
                    }
                    tokio::time::sleep(std::time::Duration::from_millis(1)).await;
                }
            })
            .await;
            Ok(())
        });
        sim.run().expect("it ends");
    }
}

//! The networks on which every story runs: real sockets, and the simulator.

use std::future::{Future, pending};
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use futures_lite::future::or;
use proxy_herd::herd::Address;
use proxy_herd::net::Net;
use proxy_herd::net::tokio::TokioNet;
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};

/// The work of a machine. An error fails the story.
pub(crate) type Job = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// A network of machines. The story itself runs on one of them.
pub(crate) trait World: Clone + 'static {
    type Net: Net;

    /// The network of the machine on which the story runs.
    fn net(&self) -> Self::Net;

    /// The network of a server's machine.
    fn net_of(&self, _server: &str) -> Self::Net {
        self.net()
    }

    /// Starts `job` on a machine.
    fn run_on(&self, machine: &str, job: Job);

    /// The address that a server binds on its first run, if `address` is in the herd file.
    fn first_bind(&self, address: &Address) -> Address;

    /// The address by which others reach a port that is `bound` on a machine.
    fn reach(&self, machine: &str, bound: SocketAddr) -> Address;
}

/// The machine on which the story runs.
pub(crate) const STORY: &str = "story";

/// The time limit for a story, by its own clock.
const LONGEST: Duration = Duration::from_mins(1);

/// Runs jobs until every sender is gone.
async fn machine(mut jobs: mpsc::UnboundedReceiver<Job>) -> Result<(), String> {
    enum Next {
        Ended(Result<Result<(), String>, JoinError>),
        Job(Option<Job>),
    }
    let mut running = JoinSet::new();
    loop {
        let ended = async {
            match running.join_next().await {
                Some(ended) => Next::Ended(ended),
                None => pending().await,
            }
        };
        let job = async { Next::Job(jobs.recv().await) };
        match or(ended, job).await {
            Next::Ended(ended) => ended.map_err(|error| error.to_string())??,
            Next::Job(None) => return Ok(()),
            Next::Job(Some(job)) => {
                running.spawn(job);
            }
        }
    }
}

/// The machine of the tests, with its own sockets and clock.
#[derive(Clone)]
pub(crate) struct Real {
    give: mpsc::UnboundedSender<Job>,
}

impl World for Real {
    type Net = TokioNet;

    fn net(&self) -> TokioNet {
        TokioNet
    }

    fn run_on(&self, _: &str, job: Job) {
        let given = self.give.send(job);
        given.expect("the machine runs as long as the story");
    }

    fn first_bind(&self, _: &Address) -> Address {
        local(0)
    }

    fn reach(&self, _: &str, bound: SocketAddr) -> Address {
        local(bound.port())
    }
}

fn local(port: u16) -> Address {
    let host = "127.0.0.1".to_owned();
    Address { host, port }
}

/// Runs a story over real sockets, on a runtime of several threads as in production.
pub(crate) fn on_real_sockets<F: Future<Output = ()>>(story: impl FnOnce(Real) -> F) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let (give, jobs) = mpsc::unbounded_channel();
    let story = async {
        let story = tokio::time::timeout(LONGEST, story(Real { give }));
        story.await.map_err(|_| "the story never ends".to_owned())
    };
    let told = (runtime.expect("a runtime")).block_on(or(story, machine(jobs)));
    told.expect("no server failed");
}

#[cfg(feature = "sim")]
pub(crate) use simulated::{Simulated, in_the_simulator};

#[cfg(feature = "sim")]
mod simulated {
    use proxy_herd::net::turmoil::TurmoilNet;
    use std::cell::RefCell;
    use std::collections::BTreeMap;
    use std::rc::Rc;

    use super::{Address, Duration, Future, Job, LONGEST, STORY, SocketAddr, World, machine, mpsc};

    /// The machines that a story can name servers after.
    const MACHINES: [&str; 5] = ["A", "B", "C", "D", "E"];

    /// Simulated machines, each with its own address.
    #[derive(Clone)]
    pub(crate) struct Simulated {
        give: Rc<BTreeMap<String, mpsc::UnboundedSender<Job>>>,
    }

    impl World for Simulated {
        type Net = TurmoilNet;

        fn net(&self) -> TurmoilNet {
            TurmoilNet
        }

        fn run_on(&self, machine: &str, job: Job) {
            let given = self.give[machine].send(job);
            given.expect("the machine runs as long as the story");
        }

        fn first_bind(&self, address: &Address) -> Address {
            address.clone()
        }

        fn reach(&self, machine: &str, bound: SocketAddr) -> Address {
            let (host, port) = (machine.to_owned(), bound.port());
            Address { host, port }
        }
    }

    /// Runs a story in the simulator.
    pub(crate) fn in_the_simulator<F: Future<Output = ()>>(
        story: impl FnOnce(Simulated) -> F + 'static,
    ) {
        let mut sim = build();
        let mut give = BTreeMap::new();
        for name in MACHINES {
            let (send, jobs) = mpsc::unbounded_channel();
            give.insert(name.to_owned(), send);
            let jobs = RefCell::new(Some(jobs));
            sim.host(name, move || {
                let jobs = jobs.take().expect("a machine is started once");
                async { Ok(machine(jobs).await?) }
            });
        }
        let give = Rc::new(give);
        sim.client(STORY, async move {
            story(Simulated { give }).await;
            Ok(())
        });
        sim.run().expect("the story ends well");
    }

    #[expect(
        clippy::disallowed_types,
        reason = "turmoil wants its epoch as a SystemTime; no clock is read"
    )]
    fn build() -> turmoil::Sim<'static> {
        let latency = Duration::from_millis(5);
        turmoil::Builder::new()
            .rng_seed(1)
            .epoch(std::time::SystemTime::UNIX_EPOCH + Duration::from_mins(27_024_415))
            .tick_duration(Duration::from_millis(1))
            .simulation_duration(LONGEST)
            .ip_version(turmoil::IpVersion::V4)
            .min_message_latency(latency)
            .max_message_latency(latency)
            .fail_rate(0.0)
            .repair_rate(0.0)
            // The number of segments that a connection holds in flight or unread. At the limit
            // writes wait, as on a real socket with full buffers.
            .tcp_capacity(64)
            .build()
    }
}

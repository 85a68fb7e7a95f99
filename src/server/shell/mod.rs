//! One server on a network. This part is asynchronous, and leaves all decisions to the [`Node`].
//!
//! [`Listeners::bind`] binds the ports, and [`serve`] runs until it is stopped. Every task is in a
//! [`JoinSet`] whose results are checked, so a panic anywhere ends the server with an error. The
//! Node is behind a lock that is never held over an await.

mod accept;
mod answer;
mod census;
mod client;
mod config;
mod dial;
mod handle;
mod lines;
mod link;
mod listeners;
mod look_ups;
mod neighbours;
mod peer;
mod place;
mod rate;
mod restore;
mod retention;
mod saving;
mod signal;
mod start;
#[cfg(all(test, feature = "threads"))]
mod threads;
mod turn;
mod until;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_lite::future::{or, poll_once};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::timeout;

use crate::disk::Stored;
use crate::journal::{CloseReason, ConnId, End, EventId, EventKind, Journal, PeerRole};
use crate::net::{Connection, Net, Proved};
use crate::node::{Node, Unconfirmed};
use crate::places::Places;
use crate::sync::{FairMutex, FairMutexGuard, Notify};

pub use crate::timing::Timing;
pub use census::Census;
pub(crate) use census::Counter;
use census::LookUpCount;
#[cfg(feature = "sim")]
pub(crate) use config::Jitter;
pub use config::{Config, Limits, neighbours};
pub use handle::Handle;
use handle::{Pulse, Tuning};
pub use listeners::{BindError, Listeners};
use neighbours::{NewPeer, State};
use rate::Addresses;
pub use rate::HOLD_BACK;
pub use saving::DiskStatus;
use saving::Saving;
use signal::Signal;
pub use start::{Reload, Start};
use turn::Gate;

/// The number of bytes of waiting answers from which on they are written, so that no answer waits
/// for a megabyte of others.
const CHUNK: usize = 64 * 1024;

/// The number of bytes that are read and dropped before a connection is closed, if its peer goes on
/// sending.
const LINGER_BYTES: u64 = 1 << 20;

/// Why a server ended without being stopped.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A task of the server panicked, which only a bug can cause. Records that are in memory only
    /// are lost.
    #[error("a task of the server panicked: {0}")]
    Panicked(#[from] JoinError),
}

/// The outcome of a graceful stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stopped {
    /// The neighbours that may lack some of the server's records. The list is empty if nothing is
    /// lost.
    pub unconfirmed: Vec<Unconfirmed>,
}

/// The state that all tasks of a server share.
struct Shared<N: Net> {
    net: N,
    config: Config,
    places: Arc<dyn Places>,
    journal: Arc<dyn Journal>,
    state: Arc<FairMutex<State>>,
    /// The settings that can change while the server runs.
    tuning: watch::Receiver<Tuning>,
    /// The progress of the listeners, for the watchdog.
    pulse: Arc<Pulse>,
    /// Who can change the server while it runs.
    told: Told,
    /// Notifies the main task that the neighbours have changed.
    relinked: Arc<Notify>,
    /// The queue of connections that exceed their share of work.
    gate: Gate,
    /// The rate limits of clients' addresses.
    addresses: Addresses,
    /// The number of look-ups under way.
    look_ups: LookUpCount,
    /// How far its disk is, if it has one.
    saving: Arc<Saving>,
    /// Stops the server's clients.
    stop: Signal,
    /// Stops the links. It follows after all clients have ended, so that neighbours get the last
    /// updates.
    stop_links: Signal,
}

/// Why a connection ended, and the event that caused this, if any.
struct Over {
    why: CloseReason,
    cause: Option<EventId>,
}

impl From<CloseReason> for Over {
    fn from(why: CloseReason) -> Self {
        Self { why, cause: None }
    }
}

/// The reason why a connection ended. If its handshake failed, the handshake's reason replaces the
/// system's error, which says less.
fn unproved(why: CloseReason, proved: &Proved) -> CloseReason {
    match (why, proved.failure()) {
        (CloseReason::Failed(_), Some(reason)) => CloseReason::Refused(reason.into()),
        (why, _) => why,
    }
}

impl<N: Net> Shared<N> {
    /// Locks the Node. The lock can't be poisoned, since a panic anywhere ends the server.
    fn state(&self) -> FairMutexGuard<'_, State> {
        self.state.lock()
    }

    /// The current timers and deadlines.
    fn timing(&self) -> Timing {
        self.tuning.borrow().timing
    }

    /// Whether a [`Handle`] looks at it. Without one, as in the simulator, nothing wakes up to show
    /// progress.
    fn is_watched(&self) -> bool {
        self.told == Told::All
    }

    /// Whether a task removes expired records: if there is a time to live, or one can be set.
    fn has_retention(&self) -> bool {
        self.told != Told::Nothing || self.limits().keep.time_to_live.is_some()
    }

    /// The current limits.
    fn limits(&self) -> Limits {
        self.tuning.borrow().limits
    }

    /// A random time between half of `duration` and all of it.
    fn jitter(&self, duration: Duration) -> Duration {
        self.config.jitter.of(duration)
    }

    /// Gives a new connection its number, and records that it is open.
    fn opened<S>(&self, end: End, with: PeerRole, connection: &Connection<S>) -> ConnId {
        let conn = self.journal.open(end, connection.local, connection.remote);
        self.journal
            .record(None, EventKind::Opened { conn, end, with });
        conn
    }

    /// Completes when the server stops serving clients.
    fn stopping(&self) -> impl Future<Output = ()> + use<N> {
        self.stop.given()
    }

    /// Completes when links should end, after all clients have ended.
    fn links_stopping(&self) -> impl Future<Output = ()> + use<N> {
        self.stop_links.given()
    }

    /// Ends a connection so that its last lines arrive. A system that closes a connection with
    /// unread bytes resets it, and a reset overtakes written bytes. So further input is read and
    /// dropped first.
    async fn last_words(
        &self,
        why: &CloseReason,
        reader: &mut (impl AsyncRead + Unpin),
        writer: &mut (impl AsyncWrite + Unpin),
    ) {
        let was_answered = matches!(
            why,
            CloseReason::LineTooLong
                | CloseReason::HalfLine
                | CloseReason::Refused(_)
                | CloseReason::Protocol(_)
                | CloseReason::Stopping
        );
        // An error changes nothing, since the connection ends either way. Plain TCP never waits
        // here, but TLS writes a last message, and the peer may not read it.
        let _ = timeout(self.linger(), writer.shutdown()).await;
        if was_answered {
            let mut rest = reader.take(LINGER_BYTES);
            let mut nowhere = tokio::io::sink();
            let read_on = tokio::io::copy(&mut rest, &mut nowhere);
            let _ = timeout(self.linger(), read_on).await;
        }
    }

    fn closed(&self, conn: ConnId, Over { why, cause }: Over) {
        self.journal.record(cause, EventKind::Closed { conn, why });
    }

    /// How long a connection that ends is still written and read.
    fn linger(&self) -> Duration {
        let timing = self.timing();
        timing.hello_deadline.min(timing.drain)
    }

    /// Writes all of `bytes` before the deadline, or returns why it failed.
    async fn write(
        &self,
        writer: &mut (impl AsyncWrite + Unpin),
        bytes: &[u8],
    ) -> Result<(), CloseReason> {
        let written = async {
            writer.write_all(bytes).await?;
            // An encrypting stream may buffer bytes that it has accepted.
            writer.flush().await
        };
        let mut written = pin!(written);
        // Usually the stream has room, and no timer is needed.
        let done = match poll_once(written.as_mut()).await {
            Some(done) => Ok(done),
            None => timeout(self.timing().write_deadline, written).await,
        };
        match done {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err((&error).into()),
            Err(_) => Err(CloseReason::Slow),
        }
    }
}

/// The result of `work`, or `None` if `stopping` completes first. If both are ready, `work` wins.
async fn unless<T>(stopping: impl Future<Output = ()>, work: impl Future<Output = T>) -> Option<T> {
    let work = async { Some(work.await) };
    let stopping = async {
        stopping.await;
        None
    };
    or(work, stopping).await
}

/// Runs a server until `stop` is `true` or its sender is dropped, then stops it gracefully.
///
/// # Errors
///
/// When a task panicked. No client or peer can cause an error.
pub async fn serve<N: Net>(
    net: N,
    listeners: Listeners<N>,
    config: Config,
    places: Arc<dyn Places>,
    journal: Arc<dyn Journal>,
    stop: watch::Receiver<bool>,
) -> Result<Stopped, ServeError> {
    let parts = (config, places, journal);
    let (serving, _) = begin_told(net, listeners, parts, None, stop, Told::Nothing);
    serving.await
}

/// Like [`serve`], but also returns a [`Handle`] that reads and controls the running server, and
/// with what its disk holds.
pub fn begin<N: Net>(
    net: N,
    listeners: Listeners<N>,
    config: Config,
    places: Arc<dyn Places>,
    journal: Arc<dyn Journal>,
    stored: Option<Stored>,
    stop: watch::Receiver<bool>,
) -> (
    impl Future<Output = Result<Stopped, ServeError>> + Send,
    Handle,
) {
    let parts = (config, places, journal);
    begin_told(net, listeners, parts, stored, stop, Told::All)
}

/// Who can change a server while it runs, which costs it some wake-ups.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    /// Nobody.
    Nothing,
    /// Whoever changes its files.
    Reloads,
    /// Whoever has its handle, and who looks at its progress.
    All,
}

fn begin_told<N: Net>(
    net: N,
    listeners: Listeners<N>,
    parts: (Config, Arc<dyn Places>, Arc<dyn Journal>),
    stored: Option<Stored>,
    stop: watch::Receiver<bool>,
    told: Told,
) -> (
    impl Future<Output = Result<Stopped, ServeError>> + Send,
    Handle,
) {
    let (shared, handle) = share(net, parts, &stop, told);
    (run(shared, listeners, stored, stop), handle)
}

/// The state of a server, and a handle to it.
fn share<N: Net>(
    net: N,
    (config, places, journal): (Config, Arc<dyn Places>, Arc<dyn Journal>),
    stop: &watch::Receiver<bool>,
    told: Told,
) -> (Arc<Shared<N>>, Handle) {
    let mut node = Node::new(config.node.clone()).making(config.mistake.clone());
    node.keep(config.limits.keep);
    let saving = Arc::<Saving>::default();
    let state = State::new(node, &config.addresses, Arc::clone(&saving));
    let state = Arc::new(FairMutex::new(state));
    let (tune, tuning) = watch::channel(Tuning {
        timing: config.timing,
        limits: config.limits,
    });
    let (pulse, relinked) = (Arc::default(), Arc::default());
    let handle = Handle {
        state: Arc::clone(&state),
        tune,
        pulse: Arc::clone(&pulse),
        relinked: Arc::clone(&relinked),
        journal: Arc::clone(&journal),
        saving: Arc::clone(&saving),
        stop: stop.clone(),
    };
    let shared = Arc::new(Shared {
        net,
        state,
        gate: Gate::default(),
        addresses: Addresses::default(),
        look_ups: LookUpCount::default(),
        config,
        tuning,
        pulse,
        told,
        relinked,
        places,
        journal,
        saving,
        stop: Signal::default(),
        stop_links: Signal::default(),
    });
    shared.config.counter.count(&shared);
    (shared, handle)
}

async fn run<N: Net>(
    shared: Arc<Shared<N>>,
    listeners: Listeners<N>,
    mut stored: Option<Stored>,
    mut stop: watch::Receiver<bool>,
) -> Result<Stopped, ServeError> {
    let boot = shared.config.node.boot.to_string().into();
    shared.journal.record(None, EventKind::Started { boot });
    if let Some(stored) = &mut stored {
        restore::restore(&shared, stored);
    }
    let mut saving = JoinSet::new();
    if let Some(stored) = stored {
        let save = saving::save(Arc::clone(&shared), stored);
        saving.spawn(shared.net.task(save));
    }
    let mut tasks = JoinSet::new();
    let clients = accept::clients(Arc::clone(&shared), listeners.clients);
    let stop_links = shared.stop_links.clone();
    let clients = shared.net.task(async move {
        let ended = clients.await;
        stop_links.give();
        ended
    });
    match &shared.config.clients_on {
        Some(runtime) => tasks.spawn_on(clients, runtime),
        None => tasks.spawn(clients),
    };
    let peers = accept::peers(Arc::clone(&shared), listeners.peers);
    tasks.spawn(shared.net.task(peers));
    if shared.has_retention() {
        tasks.spawn(shared.net.task(retention::forget(Arc::clone(&shared))));
    }
    let mut told = pin!(async {
        // A sender that was dropped also means stop, since it can't stop the server later.
        let _ = stop.wait_for(|&stop| stop).await;
        shared.stop.give();
        std::future::pending().await
    });
    loop {
        let new = shared.state().take_new();
        for NewPeer {
            neighbour,
            peer,
            dialled,
        } in new
        {
            let shared = Arc::clone(&shared);
            let net = shared.net.clone();
            if dialled {
                tasks.spawn(net.task(dial::keep_dialling(shared, neighbour, peer)));
            } else {
                tasks.spawn(net.task(dial::ask_to_be_dialled(shared, neighbour, peer)));
            }
        }
        let ended = async { Some(tasks.join_next().await) };
        let relinked = async {
            shared.relinked.notified().await;
            None
        };
        // As long as the server runs, only a panic ends that task.
        let failed = async {
            match saving.join_next().await {
                Some(Err(error)) => Some(Some(Err(error))),
                _ => std::future::pending().await,
            }
        };
        match or(or(ended, relinked), or(failed, told.as_mut())).await {
            None => {}
            Some(Some(task)) => task??,
            Some(None) => break,
        }
    }
    shared.saving.end();
    // What is not on the disk by then is in the memory of neighbours, if these confirm it.
    if let Ok(Some(ended)) = timeout(shared.timing().drain, saving.join_next()).await {
        ended?;
    }
    let unconfirmed = shared.state().node.farewell(&*shared.journal);
    shared.journal.record(None, EventKind::Stopped);
    Ok(Stopped { unconfirmed })
}

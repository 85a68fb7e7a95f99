//! Accepting connections, with limits on all connections and on those of one address. It continues
//! when descriptors run out.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_lite::future::or;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, timeout};

use super::handle::Beat;
use super::place::{Place, Unproved};
use super::{Limits, ServeError, Shared, client, peer, unless};
use crate::journal::{CloseReason, EventKind, PeerRole};
use crate::net::{Connection, Listener, Net, site};

/// The limits on a listener's connections.
struct Most {
    in_all: usize,
    from_one: usize,
}

/// The differences between the two listeners.
#[derive(Clone, Copy)]
struct Kind {
    with: fn() -> PeerRole,
    most: fn(&Limits) -> Most,
    beat: Beat,
    /// At the limit, a new connection replaces the oldest one that has not completed its greeting.
    /// So strangers that send nothing keep no server out.
    makes_room: bool,
    /// Connections may be refused until the neighbours have sent their records.
    may_wait_for_herd: bool,
}

pub(super) async fn clients<N: Net>(
    shared: Arc<Shared<N>>,
    listener: N::Listener,
) -> Result<(), ServeError> {
    let kind = Kind {
        with: || PeerRole::Client,
        most: |limits| Most {
            in_all: limits.client_connections,
            from_one: limits.clients_per_address,
        },
        beat: Beat::Clients,
        makes_room: false,
        may_wait_for_herd: true,
    };
    let stopping = shared.stopping();
    let serve = |shared, connection, _| client::serve_client(shared, connection);
    accept(&shared, stopping, &listener, kind, serve).await
}

pub(super) async fn peers<N: Net>(
    shared: Arc<Shared<N>>,
    listener: N::Listener,
) -> Result<(), ServeError> {
    let kind = Kind {
        with: || PeerRole::Peer,
        most: |limits| Most {
            in_all: limits.peer_connections,
            from_one: limits.peers_per_address,
        },
        beat: Beat::Peers,
        makes_room: true,
        may_wait_for_herd: false,
    };
    let stopping = shared.links_stopping();
    accept(&shared, stopping, &listener, kind, peer::serve_peer).await
}

/// The events that a listener waits for.
enum Next<S> {
    /// The task of a connection from this address ended, normally or by a panic.
    Ended(Result<IpAddr, JoinError>),
    Accepted(io::Result<Connection<S>>),
    Pulse,
}

/// The number of open connections of each address.
#[derive(Default)]
struct Open(BTreeMap<IpAddr, usize>);

impl Open {
    fn from(&self, site: IpAddr) -> usize {
        self.0.get(&site).copied().unwrap_or_default()
    }

    fn add(&mut self, site: IpAddr) {
        *self.0.entry(site).or_default() += 1;
    }

    fn remove(&mut self, site: IpAddr) {
        if let Some(open) = self.0.get_mut(&site) {
            *open -= 1;
            if *open == 0 {
                self.0.remove(&site);
            }
        }
    }
}

/// Accepts connections within the limits of `kind`, and runs `handle` on each in its own task.
async fn accept<N, H, F>(
    shared: &Arc<Shared<N>>,
    stopping: impl Future<Output = ()>,
    listener: &N::Listener,
    kind: Kind,
    handle: H,
) -> Result<(), ServeError>
where
    N: Net,
    H: Fn(Arc<Shared<N>>, Connection<N::Stream>, Arc<Place>) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    let began = Instant::now();
    let mut connections = JoinSet::new();
    let mut open = Open::default();
    let mut unproved = Unproved::default();
    let mut was_full = false;
    let mut stopping = std::pin::pin!(stopping);
    let not_accepted = |why, from| {
        let with = (kind.with)();
        let what = EventKind::NotAccepted { with, why, from };
        shared.journal.record(None, what);
    };
    // The last error for lack of descriptors, until accepting works again.
    let mut want_of_files = None;
    loop {
        let most = (kind.most)(&shared.limits());
        let is_full = connections.len() >= most.in_all;
        if is_full && !was_full {
            not_accepted(CloseReason::Full, None);
        }
        was_full = is_full;
        let must_wait = is_full && unproved.oldest().is_none();
        let shut = must_wait.then_some(CloseReason::Full);
        let shut = shut.or_else(|| want_of_files.clone());
        shared.pulse.shut(kind.beat, shut);
        let ended = async { Next::Ended(ended(&mut connections).await) };
        let accepted = async {
            if must_wait {
                std::future::pending().await
            } else {
                Next::Accepted(listener.accept().await)
            }
        };
        let pulse = async {
            pulse(shared).await;
            Next::Pulse
        };
        let next = or(ended, or(accepted, pulse));
        let Some(next) = unless(&mut stopping, next).await else {
            break;
        };
        shared.pulse.beat(kind.beat);
        match next {
            Next::Ended(ended) => open.remove(ended?),
            Next::Accepted(Ok(connection)) => {
                want_of_files = None;
                let site = site(connection.remote.ip());
                let is_crowded = open.from(site) >= most.from_one;
                let turned_away = turned_away(shared, kind, began, is_crowded);
                // The connection that had the last slot to give may have greeted meanwhile.
                let has_room = turned_away.is_some() || !is_full || unproved.make_room();
                let why = turned_away.or((!has_room).then_some(CloseReason::Full));
                if let Some(why) = why {
                    // The connection is closed without a line, since a client that opens so many
                    // reads none.
                    not_accepted(why, Some(connection.remote.ip()));
                    continue;
                }
                open.add(site);
                let place = Arc::default();
                if kind.makes_room {
                    unproved.add(&place);
                }
                let task = handle(Arc::clone(shared), connection, place);
                connections.spawn(shared.net.task(async move {
                    task.await;
                    site
                }));
            }
            // Descriptors ran out, or the client has left already. Neither ends the server.
            Next::Accepted(Err(error)) => {
                let why = CloseReason::from(&error);
                want_of_files = why.is_want_of_files().then(|| why.clone());
                shared.pulse.shut(kind.beat, want_of_files.clone());
                not_accepted(why, None);
                tokio::time::sleep(shared.timing().accept_pause).await;
            }
            // Accepting waited for a whole pulse without an error, so there are descriptors again.
            Next::Pulse => want_of_files = None,
        }
    }
    // Each connection sees the same stop, and finishes the lines that it has read.
    let patience = shared.timing().drain + shared.linger();
    drain(connections, patience).await
}

/// Why a connection is refused, or `None` if it is accepted. `began` is when the listener began.
fn turned_away<N: Net>(
    shared: &Shared<N>,
    kind: Kind,
    began: Instant,
    is_crowded: bool,
) -> Option<CloseReason> {
    if kind.may_wait_for_herd && waits_for_herd(shared, began) {
        return Some(CloseReason::Early);
    }
    is_crowded.then_some(CloseReason::Crowded)
}

/// Whether clients are still refused because neighbours' records are missing. `began` is when the
/// listener began.
fn waits_for_herd<N: Net>(shared: &Shared<N>, began: Instant) -> bool {
    shared.limits().refuse_until_synchronised
        && began.elapsed() < shared.timing().ready_grace
        && !shared.state().node.has_heard_all()
}

/// Waits for the next task that ends.
async fn ended(connections: &mut JoinSet<IpAddr>) -> Result<IpAddr, JoinError> {
    match connections.join_next().await {
        Some(ended) => ended,
        None => std::future::pending().await,
    }
}

/// Completes when a listener that waits should count, or never if there is no handle.
async fn pulse<N: Net>(shared: &Shared<N>) {
    if !shared.is_watched() {
        std::future::pending::<()>().await;
    }
    tokio::time::sleep(shared.pulse.every()).await;
}

/// Waits until the remaining connections have ended, for up to `patience`.
async fn drain(mut connections: JoinSet<IpAddr>, patience: Duration) -> Result<(), ServeError> {
    let drained = timeout(patience, async {
        while let Some(ended) = connections.join_next().await {
            ended?;
        }
        Ok(())
    });
    let drained = drained.await;
    // Connections that are left are aborted, so they send nothing more.
    connections.shutdown().await;
    drained.unwrap_or(Ok(()))
}

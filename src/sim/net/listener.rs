//! Listeners on the simulated network.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Context;

use futures_lite::future::or;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;

use super::{SimNet, SimStream};
use crate::net::{Connection, Listener};
use crate::sim::sockets::RawListener;

/// A listener whose port can be closed for a while.
///
/// As on a real machine, the system accepts connections even while the server is frozen; the server
/// fetches them from the system's queue.
pub struct SimListener {
    local: SocketAddr,
    taken: Mutex<mpsc::UnboundedReceiver<io::Result<Connection<SimStream>>>>,
    /// The task of the system's side, which ends with the listener.
    _system: JoinSet<()>,
}

impl SimListener {
    /// Accepts connections from now on. `changed` is notified when the machine begins or stops
    /// refusing connections.
    pub(super) fn new(
        net: SimNet,
        port: u16,
        bound: Box<dyn RawListener>,
        changed: Arc<Notify>,
    ) -> io::Result<Self> {
        let local = bound.local_addr()?;
        let (give, taken) = mpsc::unbounded_channel();
        let mut system = JoinSet::new();
        system.spawn(take(net, port, bound, changed, give));
        Ok(Self {
            local,
            taken: Mutex::new(taken),
            _system: system,
        })
    }
}

/// Accepts connections on the system's side, except while the machine refuses them. Accepted
/// connections that were not fetched stay in the queue.
async fn take(
    net: SimNet,
    port: u16,
    bound: Box<dyn RawListener>,
    changed: Arc<Notify>,
    give: mpsc::UnboundedSender<io::Result<Connection<SimStream>>>,
) {
    let mut bound = Some(bound);
    loop {
        let refusing = net.faults.inner().machines[net.machine].refusing;
        let taken = match &bound {
            _ if refusing => {
                bound = None;
                changed.notified().await;
                continue;
            }
            None => match net.faults.sockets.listen(net.machine, port).await {
                Ok(again) => {
                    bound = Some(again);
                    continue;
                }
                Err(error) => Some(Err(error)),
            },
            Some(bound) => {
                let accepted = async { Some(bound.accept().await) };
                let changed = async {
                    changed.notified().await;
                    None
                };
                or(accepted, changed).await
            }
        };
        let Some(taken) = taken else { continue };
        let failed = taken.is_err();
        let given = give.send(taken.map(|connection| net.wrap(connection)));
        if failed || given.is_err() {
            return;
        }
    }
}

impl Listener for SimListener {
    type Stream = SimStream;

    async fn accept(&self) -> io::Result<Connection<SimStream>> {
        let fetch = |context: &mut Context<'_>| {
            let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
            taken.poll_recv(context)
        };
        let gone = || Err(io::Error::other("the system takes no connections any more"));
        poll_fn(fetch).await.unwrap_or_else(gone)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.local)
    }
}

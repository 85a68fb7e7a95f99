//! The configuration with which a server starts.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use rand::rngs::ChaCha8Rng;
use rand::{Rng as _, RngExt as _, SeedableRng as _};

use super::Counter;
use crate::herd::{Address, Herd, ServerId};
use crate::node::mistakes::Made;
use crate::node::{Keep, Neighbour, NodeConfig, SyncBounds};
use crate::protocol::peer::BootId;
use crate::sync::{Mutex, MutexGuard};
use crate::timing::Timing;

/// The configuration for one run of one server.
#[derive(Clone, Debug)]
pub struct Config {
    /// The part that the Node's decisions depend on.
    pub node: NodeConfig,
    /// The address at which each neighbour listens for servers, in the order of the Node's
    /// neighbours.
    pub addresses: Vec<Address>,
    /// Its timers and deadlines.
    pub timing: Timing,
    /// Its limits on clients and servers.
    pub limits: Limits,
    /// The runtime for clients, or `None` for the runtime of the server itself. With a runtime of
    /// their own, clients that keep it busy don't delay links.
    pub clients_on: Option<tokio::runtime::Handle>,
    /// What it does wrong: nothing, but where a test wants it to.
    pub(crate) mistake: Made,
    /// Counts what it has under way while it runs.
    pub(crate) counter: Counter,
    /// Where its jitter comes from. Whoever starts it can keep a share.
    pub(crate) jitter: Jitter,
}

/// The generator of a server's jitter.
#[derive(Clone, Debug)]
pub(crate) struct Jitter(Arc<Mutex<ChaCha8Rng>>);

impl Jitter {
    fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(ChaCha8Rng::seed_from_u64(seed))))
    }

    /// Draws from another seed from now on.
    #[cfg(feature = "sim")]
    pub(crate) fn redraw(&self, seed: u64) {
        *self.rng() = ChaCha8Rng::seed_from_u64(seed);
    }

    /// A random time between half of `duration` and all of it.
    pub(super) fn of(&self, duration: Duration) -> Duration {
        let half = u64::try_from(duration.as_nanos() / 2).unwrap_or(u64::MAX / 2);
        Duration::from_nanos(half + self.rng().random_range(0..=half))
    }

    fn rng(&self) -> MutexGuard<'_, ChaCha8Rng> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The limits on what a server accepts from clients and servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The limit on a client's line, in bytes without its terminator. It is at most
    /// [`MOST_CLIENT_LINE`](Self::MOST_CLIENT_LINE), so that the update fits into a line between
    /// servers.
    pub client_line: usize,
    /// The number of clients that can be connected. Further ones wait to be accepted.
    pub client_connections: usize,
    /// The number of clients from one address (of IPv6, one /64). Further ones are closed at once.
    pub clients_per_address: usize,
    /// The number of look-ups of one client connection that can be in flight. At the limit the next
    /// line of the connection waits.
    pub look_ups_per_connection: usize,
    /// The lines per second of one client connection. Further lines wait. 0 means no limit.
    pub connection_rate: usize,
    /// The lines per second of all client connections of one address (of IPv6, one /64). Further
    /// lines wait. 0 means no limit.
    pub address_rate: usize,
    /// Whether to refuse clients until all neighbours have sent their records, or the grace for
    /// that is over. Otherwise a server that has just started answers that clients of the herd are
    /// unknown.
    pub refuse_until_synchronised: bool,
    /// The number of connections from servers, before and after the greeting.
    pub peer_connections: usize,
    /// The number of connections from servers of one address. Further ones are closed at once.
    pub peers_per_address: usize,
    /// The limits on stored records, and their time to live.
    pub keep: Keep,
}

impl Limits {
    /// The upper bound of [`client_line`](Self::client_line), which replaces larger values.
    pub const MOST_CLIENT_LINE: usize = 32 * 1024;
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            client_line: 4096,
            client_connections: 10_000,
            clients_per_address: 1000,
            look_ups_per_connection: 16,
            connection_rate: 0,
            address_rate: 0,
            refuse_until_synchronised: false,
            peer_connections: 256,
            peers_per_address: 64,
            keep: Keep {
                most_clients: 1_000_000,
                most_bytes: 512 << 20,
                time_to_live: None,
                // This exceeds the error of any honest clock, even in a wrong time zone, but
                // rejects times in milliseconds.
                future_limit: Some(Duration::from_hours(24)),
            },
        }
    }
}

impl Config {
    /// The configuration of server `me` of `herd`. All randomness of its run is derived from
    /// `seed`, so each run needs its own: in production from the system, in the simulator from the
    /// scenario.
    pub fn new(herd: &Herd, me: ServerId, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let (neighbours, addresses) = neighbours(herd, me).unzip();
        Self {
            node: NodeConfig {
                herd: herd.name().clone(),
                name: herd.server(me).name.clone(),
                boot: BootId(rng.next_u64()),
                table_seed: rng.next_u64(),
                neighbours,
                bounds: SyncBounds::default(),
                flood: None,
                speaks: crate::protocol::peer::VERSION,
            },
            addresses,
            timing: Timing::default(),
            limits: Limits::default(),
            clients_on: None,
            mistake: Made::NONE,
            counter: Counter::default(),
            jitter: Jitter::new(rng.next_u64()),
        }
    }
}

/// The neighbours of server `me` of `herd`, each with its address for servers.
pub fn neighbours(herd: &Herd, me: ServerId) -> impl Iterator<Item = (Neighbour, Address)> {
    herd.links().iter().filter_map(move |link| {
        let other = herd.server(link.other(me)?);
        let neighbour = Neighbour {
            name: other.name.clone(),
            dialled: link.a == me,
        };
        Some((neighbour, other.peer.clone()))
    })
}

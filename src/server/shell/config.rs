//! The configuration with which a server begins.

use std::time::Duration;

use rand::rngs::ChaCha8Rng;
use rand::{Rng as _, SeedableRng as _};

use crate::herd::{Address, Herd, ServerId};
use crate::node::mistakes::Made;
use crate::node::{Keep, Neighbour, NodeConfig, SyncBounds};
use crate::protocol::peer::BootId;
use crate::timing::Timing;

/// Everything about one run of one server.
#[derive(Clone, Debug)]
pub struct Config {
    /// What its decisions depend on.
    pub node: NodeConfig,
    /// Where each neighbour listens for servers, in the order of the Node's neighbours.
    pub addresses: Vec<Address>,
    /// How long it waits for what.
    pub timing: Timing,
    /// How much it takes from anybody.
    pub limits: Limits,
    /// Where clients are served; if not given, where everything else of the server runs. Where it is another runtime,
    /// clients that keep it busy leave threads of their own to links.
    pub clients_on: Option<tokio::runtime::Handle>,
    /// What it does wrong: nothing, but where a test wants it to.
    pub(crate) mistake: Made,
    /// Where its jitter comes from.
    seed: u64,
}

/// How much a server takes from anybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest line of a client, in bytes, its terminator not counted. At most
    /// [`MOST_CLIENT_LINE`](Self::MOST_CLIENT_LINE), so that the update that it makes fits into a
    /// line between servers.
    pub client_line: usize,
    /// Clients connected at a time; further ones wait to be accepted.
    pub client_connections: usize,
    /// The maximum number of these from one address (of IPv6, from one /64); further ones are closed at once.
    pub clients_per_address: usize,
    /// The maximum number of look-ups of one client connection that are under way at a time; while it is reached, the
    /// connection's next line waits to be decided.
    pub look_ups_per_connection: usize,
    /// Lines a second of one client connection; beyond that they wait. 0 is no limit.
    pub connection_rate: usize,
    /// Lines a second of all client connections of one address (of IPv6, one /64) together; beyond that they wait. 0 is
    /// no limit.
    pub address_rate: usize,
    /// Whether clients are refused until all neighbours have told what they know, or the grace for that is over: a server
    /// that has just started calls clients unknown that the herd knows.
    pub refuse_until_synchronised: bool,
    /// Servers connected at a time, greeted or not.
    pub peer_connections: usize,
    /// The maximum number of these from one address; further ones are closed at once.
    pub peers_per_address: usize,
    /// What is kept, and for how long.
    pub keep: Keep,
}

impl Limits {
    /// The most that [`client_line`](Self::client_line) can be; more is taken for this.
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
                // More than any honest clock is wrong by, a wrong time zone included; and a client whose time is in
                // milliseconds, or by a clock that was never set, is not taken.
                future_limit: Some(Duration::from_hours(24)),
            },
        }
    }
}

impl Config {
    /// The configuration of server `me` of `herd`. All that is random about this run follows from
    /// `seed`, so each run should have its own: in production from the system, in the simulator
    /// from the scenario.
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
            },
            addresses,
            timing: Timing::default(),
            limits: Limits::default(),
            clients_on: None,
            mistake: Made::NONE,
            seed: rng.next_u64(),
        }
    }

    pub(super) fn rng(&self) -> ChaCha8Rng {
        ChaCha8Rng::seed_from_u64(self.seed)
    }
}

/// The neighbours of server `me` of `herd`, and where each listens for servers.
pub(super) fn neighbours(herd: &Herd, me: ServerId) -> impl Iterator<Item = (Neighbour, Address)> {
    herd.links().iter().filter_map(move |link| {
        let other = herd.server(link.other(me)?);
        let neighbour = Neighbour {
            name: other.name.clone(),
            dialled: link.a == me,
        };
        Some((neighbour, other.peer.clone()))
    })
}

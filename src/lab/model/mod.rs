//! A herd of Nodes without a network: a link is a latency, and time is a queue of events.
//!
//! The Nodes are those of production and of the simulator, so the model decides as a herd does. It
//! has no sockets, handshakes, timers or reconnection: a link is up from the beginning or never.
//! Thousands of servers therefore take seconds. The tests of `survey` compare the model with the
//! simulator, event for event.

mod watch;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use rand::Rng as _;
use thiserror::Error;

use crate::herd::{Herd, ServerId};
use crate::journal::{ConnId, EventId};
use crate::node::mistakes::MadeBy;
use crate::node::{
    ClientLineAt, Greeting, Memory, Neighbour, NeighbourId, Node, NodeConfig, SyncBounds,
};
use crate::protocol::peer::{BootId, PeerError};
use crate::protocol::time::Timestamp;
use crate::seed::{derive, stream};
use crate::units::LatencyRange;

use watch::{Now, Watch};

/// The id that all connections between servers share: the model needs no more.
const TO_SERVER: ConnId = ConnId(1);

/// The time in every PING and PONG. The model does not use it.
const CLOCK: Timestamp = Timestamp::EPOCH;

/// The id that all clients' connections share.
const TO_CLIENT: ConnId = ConnId(0);

/// The time of all clocks when a model begins, in seconds since the POSIX epoch.
const EPOCH: u64 = 1_621_464_827;

/// The maximum number of lines per link until the herd is quiet. A flood, or a comparison of empty
/// stores, takes a few lines in each direction, so more of them means a livelock.
const MOST_LINES_A_LINK: usize = 1000;

/// Why a model stopped.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ModelError {
    /// A Node received a line that the protocol does not allow there.
    #[error("{server} has no place in the protocol for a line of {from}: {error}")]
    Protocol {
        /// The name of the server that received the line.
        server: String,
        /// The name of the server that sent the line.
        from: String,
        /// The violation of the protocol.
        error: PeerError,
    },
    /// The Nodes were still sending after this number of lines.
    #[error("the herd does not become quiet: {0} lines and more to come")]
    Restless(usize),
}

/// The failures of a herd, all of them in place before any link is up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Without {
    /// Servers that don't run.
    pub dead: Vec<ServerId>,
    /// Links that carry nothing, by their index in the herd's list.
    pub cut: Vec<usize>,
}

impl Without {
    /// Whether this server runs.
    pub fn is_alive(&self, id: ServerId) -> bool {
        !self.dead.contains(&id)
    }

    /// Whether this link is not cut. It carries messages if both its ends run, too.
    pub fn is_open(&self, link: usize) -> bool {
        !self.cut.contains(&link)
    }
}

/// The latencies of a herd's links.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Latency {
    /// The range from which each link's latency is drawn. The latency is constant and the same in
    /// both directions.
    pub range: LatencyRange,
    /// The seed of the draws.
    pub seed: u64,
}

impl Latency {
    /// One latency for all links.
    pub const fn equal(latency: Duration) -> Self {
        Self {
            range: LatencyRange::constant(latency),
            seed: 0,
        }
    }

    /// Draws the latency of each of `links` links.
    pub fn draw(&self, links: usize) -> Vec<Duration> {
        let LatencyRange { least, most } = self.range;
        let span = u64::try_from(most.saturating_sub(least).as_nanos()).unwrap_or(u64::MAX);
        let mut rng = stream(self.seed, "latencies of links", 0);
        // The upper half of a product is at most the factor, so this fits.
        let drawn = |draw: u64| (u128::from(draw) * (u128::from(span) + 1)) >> 64;
        let drawn = |draw| Duration::from_nanos(u64::try_from(drawn(draw)).unwrap_or(u64::MAX));
        (0..links).map(|_| least + drawn(rng.next_u64())).collect()
    }
}

/// What a server did with an update that it received.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reaction {
    /// The server stored the update.
    Accepted,
    /// The update was a duplicate.
    Known,
    /// The update was stale: the server had a newer record, or the update had expired.
    Older,
}

/// One receipt of an update by a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hearing {
    /// The time, in nanoseconds since the model began.
    pub at: u64,
    /// The server that received the update.
    pub server: ServerId,
    /// The sender, or `None` if a client sent the update.
    pub from: Option<ServerId>,
    /// The number of links that the update crossed.
    pub hops: u32,
    /// What the server did with the update.
    pub made: Reaction,
}

/// How one update spread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flood {
    /// By server: the first time that it stored the update. `None` for a server that never did.
    pub arrivals: Vec<Option<Arrival>>,
    /// The number of messages between servers that carried the update.
    pub sends: u64,
    /// All receipts of the update, in order of time.
    pub told: Vec<Hearing>,
}

/// The first time that a server stored an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// The number of links that the update crossed.
    pub hops: u32,
    /// Nanoseconds since the origin received the update.
    pub delay: u64,
    /// The neighbour that sent the update; `None` at the origin.
    pub from: Option<ServerId>,
}

impl Flood {
    /// The number of messages that were duplicates.
    pub fn duplicates(&self) -> usize {
        let known = self
            .told
            .iter()
            .filter(|told| told.made != Reaction::Accepted);
        known.count()
    }
}

/// A line in flight. `Ord` is the order of delivery: by time, then by receiver, sender and the
/// order of sending.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Coming {
    at: u64,
    to: ServerId,
    from: ServerId,
    number: u64,
    by: usize,
    line: Box<[u8]>,
}

/// A link as one of its Nodes sees it: the neighbour at the other end.
struct End {
    to: ServerId,
    /// This server's index among the neighbours of `to`.
    back: usize,
    latency: u64,
    /// Whether both ends run and the link is not cut.
    up: bool,
}

/// A herd of Nodes and the lines in flight between them.
pub struct Model<'h> {
    herd: &'h Herd,
    nodes: Vec<Node>,
    /// The ends of links, by server and neighbour.
    ends: Vec<Vec<End>>,
    coming: BinaryHeap<Reverse<Coming>>,
    now: u64,
    sent: u64,
    updates: u64,
    watch: Watch,
}

impl<'h> Model<'h> {
    /// Builds a herd whose links are up and synchronised, except for the failures in `without`.
    /// `latency` has one value for each link of the herd.
    ///
    /// # Errors
    ///
    /// If the Nodes violate the protocol or never become quiet: both are bugs of the server.
    pub fn new(
        herd: &'h Herd,
        latency: &[Duration],
        without: &Without,
    ) -> Result<Self, ModelError> {
        Self::with_mistake(herd, latency, without, &MadeBy::NONE)
    }

    /// The same, with the mistake that one of the servers makes, or all.
    ///
    /// # Errors
    ///
    /// When the Nodes do something that correct ones don't.
    pub(crate) fn with_mistake(
        herd: &'h Herd,
        latency: &[Duration],
        without: &Without,
        mistake: &MadeBy,
    ) -> Result<Self, ModelError> {
        let Some(first) = herd.ids().next() else {
            unreachable!("a herd has at least one server");
        };
        let mut model = Self {
            herd,
            nodes: herd.ids().map(|id| node(herd, id, mistake)).collect(),
            ends: ends(herd, latency, without),
            coming: BinaryHeap::new(),
            now: 0,
            sent: 0,
            updates: 0,
            watch: Watch::new(Now {
                at: 0,
                server: first,
                from: None,
            }),
        };
        model.bring_up();
        model.settle()?;
        model.watch.take();
        Ok(model)
    }

    fn bring_up(&mut self) {
        let greeted = EventId(std::num::NonZeroU64::MIN);
        for id in self.herd.ids() {
            for neighbour in 0..self.ends[id.index()].len() {
                if self.ends[id.index()][neighbour].up {
                    let neighbour = NeighbourId(neighbour);
                    let node = &mut self.nodes[id.index()];
                    let greeting = Greeting::of(neighbour, BootId(0));
                    node.link_up(greeting, TO_SERVER, greeted, &self.watch);
                }
            }
            self.write(id);
        }
    }

    /// A client that no server knows sends its location to `origin`. Returns when the update has
    /// spread as far as it can.
    ///
    /// # Errors
    ///
    /// If the Nodes violate the protocol or never become quiet: both are bugs of the server.
    pub fn flood(&mut self, origin: ServerId) -> Result<Flood, ModelError> {
        self.updates += 1;
        let began = self.now;
        self.watch.look(Now {
            at: began,
            server: origin,
            from: None,
        });
        let clock = Timestamp::new(EPOCH, 0).saturating_add(Duration::from_nanos(began));
        let at = ClientLineAt {
            conn: TO_CLIENT,
            clock: &|| clock,
        };
        let line = format!("IAMAT client{} +34.068930-118.445127 {EPOCH}", self.updates);
        let node = &mut self.nodes[origin.index()];
        node.client_line(line.as_bytes(), at, &self.watch, &mut Vec::new());
        self.write(origin);
        self.settle()?;
        let (sends, told) = self.watch.take();
        let mut arrivals = vec![None; self.nodes.len()];
        for told in told.iter().filter(|told| told.made == Reaction::Accepted) {
            let arrival: &mut Option<Arrival> = &mut arrivals[told.server.index()];
            arrival.get_or_insert(Arrival {
                hops: told.hops,
                delay: told.at - began,
                from: told.from,
            });
        }
        Ok(Flood {
            arrivals,
            sends,
            told,
        })
    }

    /// The memory of each Node, in the order of the herd's servers.
    pub fn memory(&self) -> impl Iterator<Item = Memory> {
        self.nodes.iter().map(Node::memory)
    }

    /// Delivers lines until none is in flight.
    fn settle(&mut self) -> Result<(), ModelError> {
        let most = MOST_LINES_A_LINK * self.herd.links().len();
        let mut heard = 0;
        while let Some(Reverse(coming)) = self.coming.pop() {
            heard += 1;
            if heard > most {
                return Err(ModelError::Restless(most));
            }
            self.now = coming.at;
            self.hear(&coming)?;
        }
        Ok(())
    }

    fn hear(&mut self, coming: &Coming) -> Result<(), ModelError> {
        let update = (coming.line.strip_prefix(b"AT ")).or(coming.line.strip_prefix(b"HAVE "));
        self.watch.look(Now {
            at: coming.at,
            server: coming.to,
            from: update.map(|update| (coming.from, hops_of(update))),
        });
        let node = &mut self.nodes[coming.to.index()];
        let by = NeighbourId(coming.by);
        let heard = node.peer_line(by, &coming.line, CLOCK, &self.watch);
        let name = |id| self.herd.server(id).name.to_string();
        heard.map_err(|(error, _)| ModelError::Protocol {
            server: name(coming.to),
            from: name(coming.from),
            error,
        })?;
        self.write(coming.to);
        Ok(())
    }

    /// Puts all lines that a server has queued for its neighbours in flight.
    fn write(&mut self, from: ServerId) {
        let node = &mut self.nodes[from.index()];
        let mut ready = Vec::new();
        node.take_ready(|neighbour| ready.push(neighbour));
        let mut out = Vec::new();
        for neighbour in ready {
            let end = &self.ends[from.index()][neighbour.0];
            out.clear();
            while node.has_work(neighbour) {
                node.pull(neighbour, usize::MAX, CLOCK, &mut out, &self.watch);
            }
            for line in out.split_inclusive(|&byte| byte == b'\n') {
                self.sent += 1;
                self.coming.push(Reverse(Coming {
                    at: self.now.saturating_add(end.latency),
                    to: end.to,
                    from,
                    number: self.sent,
                    by: end.back,
                    line: line.strip_suffix(b"\n").unwrap_or(line).into(),
                }));
            }
        }
    }
}

/// The number of links that an update crossed: the last field of its line.
fn hops_of(update: &[u8]) -> u32 {
    let last = update.rsplit(|&byte| byte == b' ').next();
    let last = last.and_then(|digits| std::str::from_utf8(digits).ok());
    last.and_then(|digits| digits.parse().ok())
        .unwrap_or(u32::MAX)
}

fn node(herd: &Herd, id: ServerId, mistake: &MadeBy) -> Node {
    let name = herd.server(id).name.clone();
    let mistake = mistake.at(&name);
    let node = Node::new(NodeConfig {
        herd: herd.name().clone(),
        boot: BootId(derive(0, &name, 1)),
        table_seed: derive(0, &name, 2),
        name,
        neighbours: (herd.dials_of(id))
            .map(|(other, dialled)| Neighbour {
                name: herd.server(other).name.clone(),
                dialled,
            })
            .collect(),
        bounds: SyncBounds::default(),
        flood: None,
        speaks: crate::protocol::peer::VERSION,
    });
    node.making(mistake)
}

fn ends(herd: &Herd, latency: &[Duration], without: &Without) -> Vec<Vec<End>> {
    let mut alive = vec![true; herd.servers().len()];
    for id in &without.dead {
        alive[id.index()] = false;
    }
    let mut open = vec![true; herd.links().len()];
    for &link in &without.cut {
        open[link] = false;
    }
    // By link: its index among the links of its end `a`, and among those of its end `b`.
    let mut places = vec![[0; 2]; herd.links().len()];
    for id in herd.ids() {
        for (place, (index, link)) in herd.links_of(id).enumerate() {
            places[index][usize::from(link.b == id)] = place;
        }
    }
    let end = |id: ServerId, index: usize, to: ServerId| End {
        to,
        back: places[index][usize::from(herd.links()[index].b == to)],
        latency: u64::try_from(latency[index].as_nanos()).unwrap_or(u64::MAX),
        up: open[index] && alive[id.index()] && alive[to.index()],
    };
    let of = |id: ServerId| {
        let links = herd.links_of(id);
        let ends = links.filter_map(|(index, link)| Some(end(id, index, link.other(id)?)));
        ends.collect()
    };
    herd.ids().map(of).collect()
}

#[cfg(test)]
mod tests;

//! A herd of Nodes without a network: links are latencies, and a queue of events is the time.
//!
//! The Nodes are the ones that run in production and in the simulator, so what they decide is what a
//! herd decides. Sockets, greetings, timers and reconnection are not there: a link is up from the
//! beginning or never. That makes thousands of servers a matter of seconds.
//! The tests of `survey` hold the model against the simulator, event for event.

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

/// The number of every connection between servers.
const TO_SERVER: ConnId = ConnId(1);

/// What servers' clocks show when they ask each other whether all was handled. Nobody looks at it here.
const CLOCK: Timestamp = Timestamp::EPOCH;

/// The number of every client's connection.
const TO_CLIENT: ConnId = ConnId(0);

/// What all clocks show when a model begins, in seconds since the POSIX epoch.
const EPOCH: u64 = 1_621_464_827;

/// A flood, and the comparison of empty stores, take a few lines over each link each way. Whatever takes this many
/// goes on for ever.
const MOST_LINES_A_LINK: usize = 1000;

/// Why a model can't go on.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ModelError {
    /// A Node did not understand another one.
    #[error("{server} has no place in the protocol for a line of {from}: {error}")]
    Protocol {
        /// Who heard it.
        server: String,
        /// Who said it.
        from: String,
        /// What is wrong with it.
        error: PeerError,
    },
    /// The Nodes go on telling each other things.
    #[error("the herd does not become quiet: {0} lines and more to come")]
    Restless(usize),
}

/// What is not there, from the beginning on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Without {
    /// Servers that don't run.
    pub dead: Vec<ServerId>,
    /// Links that carry nothing, by their place in the herd's list.
    pub cut: Vec<usize>,
}

impl Without {
    /// Whether this server runs.
    pub fn is_alive(&self, id: ServerId) -> bool {
        !self.dead.contains(&id)
    }

    /// Whether this link carries something, if both its ends run.
    pub fn is_open(&self, link: usize) -> bool {
        !self.cut.contains(&link)
    }
}

/// How long a message takes on each link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Latency {
    /// Each link has one of these, for good, either way.
    pub range: LatencyRange,
    /// By which it is drawn.
    pub seed: u64,
}

impl Latency {
    /// The same for every link.
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

/// What a server made of an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reaction {
    /// It took it in.
    Accepted,
    /// It knew it.
    Known,
    /// It knew something newer, or no longer wants it.
    Older,
}

/// A server heard an update and made something of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hearing {
    /// When, in nanoseconds since the model began.
    pub at: u64,
    /// Who.
    pub server: ServerId,
    /// The sender; none if it is the client.
    pub from: Option<ServerId>,
    /// Over how many links it came.
    pub hops: u32,
    /// What it made of it.
    pub made: Reaction,
}

/// The way of one update.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flood {
    /// By server, when it took the update in; none for who never did.
    pub arrivals: Vec<Option<Arrival>>,
    /// Messages between servers that carried it.
    pub sends: u64,
    /// Everything that servers made of it, by time.
    pub told: Vec<Hearing>,
}

/// A server took an update in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Over how many links it came.
    pub hops: u32,
    /// Nanoseconds since its origin had it.
    pub delay: u64,
    /// The server that it came from; none at its origin.
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

/// A line under way. The order of these is the order in which they are heard: by time, then at each
/// server by who sent them, then as they were sent.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Coming {
    at: u64,
    to: ServerId,
    from: ServerId,
    number: u64,
    by: usize,
    line: Box<[u8]>,
}

/// The other end of a link, from a Node's point of view.
struct End {
    to: ServerId,
    /// The place of this server among the neighbours of the other one.
    back: usize,
    latency: u64,
    /// Both ends run and the link is not cut.
    up: bool,
}

/// A herd of Nodes and the lines between them.
pub struct Model<'h> {
    herd: &'h Herd,
    nodes: Vec<Node>,
    /// By server and neighbour.
    ends: Vec<Vec<End>>,
    coming: BinaryHeap<Reverse<Coming>>,
    now: u64,
    sent: u64,
    updates: u64,
    watch: Watch,
}

impl<'h> Model<'h> {
    /// A herd whose links are up and synchronised, but for what is not there. `latency` is that of each link.
    ///
    /// # Errors
    ///
    /// When the Nodes do something that correct ones don't.
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

    /// A client that nobody knows tells `origin` where it is, and everybody else hears of it.
    ///
    /// # Errors
    ///
    /// When the Nodes do something that correct ones don't.
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

    /// How much memory each Node holds.
    pub fn memory(&self) -> impl Iterator<Item = Memory> {
        self.nodes.iter().map(Node::memory)
    }

    /// Delivers lines until none is under way.
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

    /// Everything that a server has to say is on its way.
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

/// Over how many links an update came, by the last field of its line.
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
    // The place of each link among those of either end.
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

//! The relays of a run: between which machines each stands, and what faults do to them.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::task::JoinSet;

use super::LiveError;
use crate::herd::{Address, Herd, Name, ServerId};
use crate::live::command::Ports;
use crate::live::relay::{Bandwidth, Pair, Relay, Way};
use crate::scenario::Party;
use crate::sim::outside::{Machine, Machines, Wire};

/// A relay, and the machines that it stands between.
struct Between {
    /// Whose connections it accepts.
    from: Machine,
    /// Where they lead.
    to: Machine,
    relay: Relay,
}

impl Between {
    /// The direction of its connections that a wire is, if it is one.
    fn way(&self, (a, b): Wire) -> Option<Way> {
        match (a, b) {
            there if there == (self.from, self.to) => Some(Way::There),
            back if back == (self.to, self.from) => Some(Way::Back),
            _ => None,
        }
    }
}

/// All relays.
pub(super) struct Network {
    relays: Vec<Between>,
    /// They serve until this is dropped.
    serving: JoinSet<()>,
}

/// Where everything really is.
pub(super) struct Ends {
    /// For each server, the ports of all as it is to use them.
    pub(super) ports: Vec<BTreeMap<Name, Ports>>,
    /// For each server, where it asks Places.
    pub(super) places: Vec<SocketAddr>,
    /// Where clients connect, by the address that the scenario has.
    pub(super) clients: BTreeMap<Address, SocketAddr>,
}

/// The address of a port of this machine.
pub(super) fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

impl Network {
    /// Relays for a herd whose servers listen at `own`, with Places at `places`. None stands between servers if they
    /// can't be told each other's ports.
    pub(super) async fn new(
        (herd, machines): (&Herd, &Machines),
        own: &[Ports],
        places: SocketAddr,
        between_servers: bool,
    ) -> Result<(Self, Ends), LiveError> {
        let mut network = Self {
            relays: Vec::new(),
            serving: JoinSet::new(),
        };
        let mut found = Ends {
            ports: Vec::new(),
            places: Vec::new(),
            clients: BTreeMap::new(),
        };
        for id in herd.ids() {
            let server = herd.server(id);
            let Ports { client, peer } = own[id.index()];
            let ends = (machines.clients(), id.index());
            for (port, real) in [(server.client.port, client), (server.peer.port, peer)] {
                let address = Address {
                    host: server.name.to_string(),
                    port,
                };
                let relay = network.relay(ends, local(real)).await?;
                found.clients.insert(address, relay);
            }
            let to_places = (id.index(), machines.of(Party::Places));
            let relay = network.relay(to_places, places).await?;
            found.places.push(relay);
            let mut ports: BTreeMap<Name, Ports> = (herd.ids())
                .map(|other| (herd.server(other).name.clone(), own[other.index()]))
                .collect();
            if between_servers {
                for other in neighbours(herd, id) {
                    let seen = network.neighbour(id, other, own[other.index()]).await?;
                    ports.insert(herd.server(other).name.clone(), seen);
                }
            }
            found.ports.push(ports);
        }
        Ok((network, found))
    }

    /// The ports at which one server reaches another: relays to its own ones.
    async fn neighbour(
        &mut self,
        from: ServerId,
        to: ServerId,
        real: Ports,
    ) -> Result<Ports, LiveError> {
        let ends = (from.index(), to.index());
        let client = self.relay(ends, local(real.client)).await?.port();
        let peer = if real.peer == real.client {
            client
        } else {
            self.relay(ends, local(real.peer)).await?.port()
        };
        Ok(Ports { client, peer })
    }

    async fn relay(&mut self, ends: Wire, to: SocketAddr) -> Result<SocketAddr, LiveError> {
        let bound = Relay::bind(to).await;
        let (relay, serving) = bound.map_err(LiveError::system("bind a port of this machine"))?;
        self.serving.spawn(serving);
        let at = relay.address();
        let (from, to) = ends;
        self.relays.push(Between { from, to, relay });
        Ok(at)
    }

    /// Relays that carry any of these wires, each with the direction.
    fn on(&self, wires: &[Wire]) -> impl Iterator<Item = (&Relay, Way)> {
        wires.iter().flat_map(|wire| {
            let ways = self.relays.iter();
            ways.filter_map(|between| Some((&between.relay, between.way(*wire)?)))
        })
    }

    /// Relays that lead to a machine.
    fn to(&self, machine: Machine) -> impl Iterator<Item = &Between> {
        self.relays
            .iter()
            .filter(move |between| between.to == machine)
    }

    pub(super) fn cut(&self, wires: &[Wire]) {
        self.on(wires).for_each(|(relay, way)| relay.cut(way));
    }

    pub(super) fn heal(&self, wires: &[Wire]) {
        self.on(wires).for_each(|(relay, way)| relay.heal(way));
    }

    pub(super) fn slow(&self, wires: &[Wire], latency: Duration) {
        self.on(wires)
            .for_each(|(relay, way)| relay.slow(way, latency));
    }

    pub(super) fn limit(&self, wires: &[Wire], bandwidth: Option<Bandwidth>) {
        self.on(wires)
            .for_each(|(relay, way)| relay.limit(way, bandwidth));
    }

    pub(super) fn sever(&self, a: Machine, b: Machine) {
        self.on(&[(a, b)]).for_each(|(relay, _)| relay.sever());
    }

    /// Closes the ports of a machine, or opens them.
    pub(super) fn refuse(&self, machine: Machine, refuses: bool) {
        self.to(machine)
            .for_each(|between| between.relay.refuse(refuses));
    }

    /// Cuts a machine off from everybody, or heals that.
    pub(super) fn isolate(&self, machine: Machine, is_cut_off: bool) {
        for between in self.touching(machine) {
            for way in [Way::There, Way::Back] {
                if is_cut_off {
                    between.relay.cut(way);
                } else {
                    between.relay.heal(way);
                }
            }
        }
    }

    /// The connections that were led on so far.
    pub(super) fn pairs(&self) -> Vec<Pair> {
        let relays = self.relays.iter();
        relays.flat_map(|between| between.relay.pairs()).collect()
    }

    /// Resets all connections of a machine.
    pub(super) fn forget(&self, machine: Machine) {
        self.touching(machine)
            .for_each(|between| between.relay.sever());
    }

    fn touching(&self, machine: Machine) -> impl Iterator<Item = &Between> {
        let relays = self.relays.iter();
        relays.filter(move |between| [between.from, between.to].contains(&machine))
    }
}

fn neighbours(herd: &Herd, id: ServerId) -> Vec<ServerId> {
    let links = herd.links().iter();
    links.filter_map(|link| link.other(id)).collect()
}

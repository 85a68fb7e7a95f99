//! The systems of all machines: what programs ask of them, and what happens to machines.
//!
//! TCP as far as a server can tell: a handshake of three, segments of up to an Ethernet frame, a window that the receiver
//! opens, FIN and RST, a queue of connections that wait to be accepted.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Buf as _;
use tokio::io::ReadBuf;

use super::connection::{
    BUFFER, Connection, ConnectionId, End, EndState, Endpoint, Fin, Lane, MSS, Segment,
};
use super::links::Links;
use crate::scenario;
use crate::sim::machines::Machine;
use crate::sim::worlds::Wire;

/// The ports of dialling sockets, in turn.
const EPHEMERAL: std::ops::RangeInclusive<u16> = 32_768..=60_999;

/// A port, and which of all listeners has it.
pub(super) type PortId = (u16, u64);

#[derive(Default)]
pub(super) struct Listener {
    /// Which of all listeners it is: a program that is started anew may have the port before the one that was killed
    /// is dropped.
    pub(super) id: u64,
    /// Connections that wait to be accepted.
    pub(super) ready: VecDeque<ConnectionId>,
    pub(super) accepting: Option<Waker>,
}

/// The system of one machine.
pub(super) struct System {
    pub(super) has_power: bool,
    pub(super) listeners: BTreeMap<u16, Listener>,
    next_port: u16,
}

/// When something arrives: the time, a number that keeps the order of what arrives at once, the connection, and the end
/// that sent it.
pub(super) type Arrival = Reverse<(Duration, u64, ConnectionId, End, Lane)>;

/// In a run by hand: machines below this number are servers, whose segments to each other wait.
#[derive(Clone, Copy, Default)]
pub(super) struct Held(pub(super) Option<(Machine, scenario::Held)>);

impl Held {
    /// Whether what is sent in this direction waits.
    pub(super) fn has(self, (from, to): Wire) -> bool {
        self.0
            .is_some_and(|(servers, _)| from < servers && to < servers)
    }

    /// Whether a segment between them waits to be chosen.
    pub(super) fn waits(self, segment: &Segment) -> bool {
        match (self.0, segment) {
            (Some((_, held)), Segment::Data(bytes)) => held.waits(bytes),
            _ => false,
        }
    }
}

/// The systems of all machines and what is in flight between them.
pub(super) struct Systems {
    pub(super) machines: Vec<System>,
    pub(super) links: Links,
    pub(super) connections: BTreeMap<ConnectionId, Connection>,
    opened: ConnectionId,
    pub(super) arrivals: BinaryHeap<Arrival>,
    pub(super) scheduled: u64,
    pub(super) held: Held,
    pub(super) came_up: u64,
    pub(super) now: Duration,
}

impl Systems {
    pub(super) fn new(machines: usize, links: Links) -> Self {
        let system = || System {
            has_power: true,
            listeners: BTreeMap::new(),
            next_port: *EPHEMERAL.start(),
        };
        Self {
            machines: (0..machines).map(|_| system()).collect(),
            links,
            connections: BTreeMap::new(),
            opened: 0,
            arrivals: BinaryHeap::new(),
            scheduled: 0,
            held: Held::default(),
            came_up: 0,
            now: Duration::ZERO,
        }
    }

    /// The address of a machine. It keeps it without power, too.
    pub(super) fn address(machine: Machine) -> IpAddr {
        let [.., high, low] = machine.to_be_bytes();
        Ipv4Addr::new(10, 0, high, low).into()
    }

    pub(super) fn machine(&self, address: IpAddr) -> Option<Machine> {
        let IpAddr::V4(address) = address else {
            return None;
        };
        let [_, _, high, low] = address.octets();
        let machine = usize::from(high) << 8 | usize::from(low);
        (Self::address(machine) == IpAddr::V4(address) && machine < self.machines.len())
            .then_some(machine)
    }

    /// When the next segment arrives.
    pub(super) fn next_arrival(&self) -> Option<Duration> {
        let Reverse((at, ..)) = self.arrivals.peek()?;
        Some(*at)
    }

    /// Which listener it is.
    pub(super) fn listen(&mut self, machine: Machine, port: u16) -> io::Result<PortId> {
        let listeners = &mut self.machines[machine].listeners;
        if listeners.contains_key(&port) {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        self.opened += 1;
        let id = self.opened;
        let listener = Listener {
            id,
            ..Listener::default()
        };
        listeners.insert(port, listener);
        Ok((port, id))
    }

    /// Closes a port, unless another listener has it by now. Connections that nobody accepted are reset.
    pub(super) fn close_port(&mut self, machine: Machine, (port, id): PortId) {
        let listeners = &mut self.machines[machine].listeners;
        let is_its = listeners
            .get(&port)
            .is_some_and(|listener| listener.id == id);
        if let Some(listener) = is_its.then(|| listeners.remove(&port)).flatten() {
            for id in listener.ready {
                self.abort(id, 1);
            }
        }
    }

    pub(super) fn poll_accept(
        &mut self,
        machine: Machine,
        (port, id): PortId,
        context: &Context<'_>,
    ) -> Poll<io::Result<ConnectionId>> {
        let listener = self.machines[machine].listeners.get_mut(&port);
        let Some(listener) = listener.filter(|listener| listener.id == id) else {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        };
        let Some(id) = listener.ready.pop_front() else {
            listener.accepting = Some(context.waker().clone());
            return Poll::Pending;
        };
        Poll::Ready(Ok(id))
    }

    pub(super) fn dial(&mut self, from: Machine, to: Machine, port: u16) -> ConnectionId {
        let system = &mut self.machines[from];
        let own = system.next_port;
        system.next_port = if own == *EPHEMERAL.end() {
            *EPHEMERAL.start()
        } else {
            own + 1
        };
        self.opened += 1;
        let id = self.opened;
        let end = |machine, port| Endpoint::new(machine, (Self::address(machine), port).into());
        let connection = Connection {
            ends: [end(from, own), end(to, port)],
            flights: [VecDeque::new(), VecDeque::new()],
            acknowledgements: [VecDeque::new(), VecDeque::new()],
            ranks: [None, None],
        };
        self.connections.insert(id, connection);
        self.send(id, 0, Segment::Syn);
        id
    }

    pub(super) fn poll_dialled(
        &mut self,
        id: ConnectionId,
        context: &Context<'_>,
    ) -> Poll<io::Result<()>> {
        let Some(connection) = self.connections.get_mut(&id) else {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        };
        let end = &mut connection.ends[0];
        match (end.state, end.error()) {
            (EndState::Opening, _) => {
                end.writer = Some(context.waker().clone());
                Poll::Pending
            }
            (_, Some(error)) => Poll::Ready(Err(error)),
            (_, None) => Poll::Ready(Ok(())),
        }
    }

    /// The own and the other end's address.
    pub(super) fn addresses(&self, id: ConnectionId, end: End) -> Option<(SocketAddr, SocketAddr)> {
        let ends = &self.connections.get(&id)?.ends;
        Some((ends[end].address, ends[1 - end].address))
    }

    pub(super) fn poll_read(
        &mut self,
        id: ConnectionId,
        end: End,
        context: &Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Some(connection) = self.connections.get_mut(&id) else {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        };
        let own = &mut connection.ends[end];
        if let Some(error) = own.error() {
            return Poll::Ready(Err(error));
        }
        if own.received.is_empty() {
            if own.is_at_end {
                return Poll::Ready(Ok(()));
            }
            own.reader = Some(context.waker().clone());
            return Poll::Pending;
        }
        let was_full = own.room() < MSS;
        let count = own.received.len().min(buffer.remaining());
        buffer.put_slice(&own.received[..count]);
        own.received.advance(count);
        let window = own.room();
        // A sender whose window was too small for a segment waits to hear of a larger one.
        if was_full && window >= MSS {
            self.send(id, end, Segment::Ack { bytes: 0, window });
        }
        Poll::Ready(Ok(()))
    }

    pub(super) fn poll_write(
        &mut self,
        id: ConnectionId,
        end: End,
        context: &Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Some(connection) = self.connections.get_mut(&id) else {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        };
        let own = &mut connection.ends[end];
        if let Some(error) = own.error() {
            return Poll::Ready(Err(error));
        }
        if own.fin != Fin::No {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let count = bytes.len().min(BUFFER - own.unsent.len().min(BUFFER));
        if count == 0 && !bytes.is_empty() {
            own.writer = Some(context.waker().clone());
            return Poll::Pending;
        }
        own.unsent.extend_from_slice(&bytes[..count]);
        self.transmit(id, end);
        Poll::Ready(Ok(count))
    }

    /// Sends no more after what was written so far.
    pub(super) fn shut_down(&mut self, id: ConnectionId, end: End) -> io::Result<()> {
        let Some(connection) = self.connections.get_mut(&id) else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        let own = &mut connection.ends[end];
        if let Some(error) = own.error() {
            return Err(error);
        }
        if own.fin == Fin::No {
            own.fin = Fin::Wanted;
            self.transmit(id, end);
        }
        Ok(())
    }

    /// Closes an end as `close` does: gracefully, or by a reset if there are bytes that the program did not read.
    pub(super) fn close(&mut self, id: ConnectionId, end: End) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let own = &mut connection.ends[end];
        match own.state {
            EndState::Open if own.received.is_empty() => {
                own.state = EndState::Closed;
                if own.fin == Fin::No {
                    own.fin = Fin::Wanted;
                }
                self.transmit(id, end);
            }
            EndState::Open | EndState::Opening => self.abort(id, end),
            EndState::Failed(_) => own.state = EndState::Gone,
            EndState::Closed | EndState::Gone => {}
        }
        self.forget_if_over(id);
    }

    /// Lets the end that dialled receive up to `bytes` that its program does not read. The acknowledgement that ends its
    /// handshake says so: it leaves at the moment at which the program has the connection.
    pub(super) fn limit_buffer(&mut self, id: ConnectionId, bytes: usize) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        connection.ends[0].capacity = bytes;
        for flight in &mut connection.acknowledgements[0] {
            if let Segment::Ack { window, .. } = &mut flight.segment {
                *window = bytes;
            }
        }
    }

    /// Resets a connection from one end.
    pub(super) fn abort(&mut self, id: ConnectionId, end: End) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let was_known = connection.ends[end].state != EndState::Gone;
        connection.ends[end].state = EndState::Gone;
        connection.ends[end].unsent.clear();
        if was_known {
            self.send(id, end, Segment::Rst);
        }
    }

    /// Closes all ports of a machine whose program was killed. Its connections are closed one by one.
    pub(super) fn close_ports(&mut self, machine: Machine) {
        let listeners = self.machines[machine].listeners.iter();
        let ports = listeners.map(|(port, listener)| (*port, listener.id));
        for port in ports.collect::<Vec<_>>() {
            self.close_port(machine, port);
        }
    }

    /// Takes a machine's power: its system forgets everything, and what is in flight from it is lost.
    pub(super) fn unplug(&mut self, machine: Machine) {
        let system = &mut self.machines[machine];
        system.has_power = false;
        system.listeners.clear();
        for connection in self.connections.values_mut() {
            for end in 0..2 {
                if connection.ends[end].machine == machine {
                    connection.ends[end].state = EndState::Gone;
                    connection.ends[end].unsent.clear();
                    connection.flights[end].clear();
                    connection.acknowledgements[end].clear();
                    connection.ranks[end] = None;
                }
            }
        }
        let over = |(id, connection): (&ConnectionId, &Connection)| {
            let is_over =
                |end: End| connection.ends[end].is_over() && connection.flights[end].is_empty();
            (is_over(0) && is_over(1)).then_some(*id)
        };
        let over: Vec<_> = self.connections.iter().filter_map(over).collect();
        for id in over {
            self.connections.remove(&id);
        }
    }

    pub(super) fn plug_in(&mut self, machine: Machine) {
        self.machines[machine].has_power = true;
    }
}

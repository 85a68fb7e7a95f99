//! Segments in flight: sent, lost, sent again, received.
//!
//! A segment that is lost is sent again after a time-out that doubles each time, and everything behind it on its
//! connection waits for it. That is what a receiver sees of any TCP: bytes in order, late.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use super::connection::{
    BUFFER, Connection, ConnectionId, End, EndState, Endpoint, Fin, Flight, Lane, MSS, Segment,
};
use super::links::{Loss, SYN_TIMEOUT};
use super::tcp::Systems;
use crate::sim::worlds::Wire;

/// How many connections wait to be accepted before others are refused. Linux has 4,096 and drops what is beyond, which
/// then comes again; a run of that many is none of a herd.
const BACKLOG: usize = 1 << 14;

impl Systems {
    /// Sends as much as the other end has room for.
    pub(super) fn transmit(&mut self, id: ConnectionId, end: End) {
        loop {
            let Some(connection) = self.connections.get_mut(&id) else {
                return;
            };
            let own = &mut connection.ends[end];
            if !matches!(own.state, EndState::Open | EndState::Closed) {
                return;
            }
            let room = own
                .window
                .min(own.congestion)
                .saturating_sub(own.unacknowledged);
            let count = own.unsent.len().min(room).min(MSS);
            if count > 0 {
                own.unacknowledged += count;
                let bytes = own.unsent.split_to(count).freeze();
                self.send(id, end, Segment::Data(bytes));
            } else if own.unsent.is_empty() && own.fin == Fin::Wanted {
                own.fin = Fin::Sent;
                self.send(id, end, Segment::Fin);
            } else {
                return;
            }
        }
    }

    pub(super) fn wire(connection: &Connection, end: End) -> Wire {
        (
            connection.ends[end].machine,
            connection.ends[1 - end].machine,
        )
    }

    pub(super) fn send(&mut self, id: ConnectionId, end: End, segment: Segment) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let wire = Self::wire(connection, end);
        let latency = self.links.latency(wire);
        let fate = (self.links.impairments).send(wire, segment.len(), self.now);
        let latency = latency + fate.extra;
        let connects = matches!(segment, Segment::Syn | Segment::SynAck);
        let due = self.now + latency + fate.late;
        let mut loss = Loss::new(self.now, latency, connects);
        loss.is_late = !fate.late.is_zero();
        loss.is_doomed = fate.is_lost;
        let mut flight = Flight { segment, due, loss };
        let lane = if matches!(flight.segment, Segment::Ack { .. }) {
            let before = &mut connection.acknowledgements[end];
            if let Some(lost) = before.pop_back_if(|before| before.loss.is_any()) {
                flight.segment.adds(&lost.segment);
            }
            before.push_back(flight);
            Lane::Acknowledgements
        } else {
            connection.flights[end].push_back(flight);
            Lane::Stream
        };
        self.schedule(id, end, lane, due);
    }

    /// Looks at what is in flight from an end at the moment `due`, or now if that is over.
    pub(super) fn schedule(&mut self, id: ConnectionId, end: End, lane: Lane, due: Duration) {
        self.scheduled += 1;
        let arrival = (due.max(self.now), self.scheduled, id, end, lane);
        self.arrivals.push(Reverse(arrival));
    }

    /// Lets everything arrive that is due by now.
    pub(super) fn arrive(&mut self) {
        while let Some(Reverse((at, _, id, end, lane))) = self.arrivals.peek().copied() {
            if at > self.now {
                return;
            }
            self.arrivals.pop();
            let Some(connection) = self.connections.get_mut(&id) else {
                continue;
            };
            let wire = Self::wire(connection, end);
            if self.held.has(wire) {
                continue;
            }
            match lane {
                Lane::Acknowledgements => self.acknowledgement_arrives(id, end),
                Lane::Stream => {
                    self.overtake(id, end);
                    self.first_arrives(id, end);
                }
            }
        }
    }

    /// What is due behind the first segment in flight waits for that, or is lost, too. What is not tells the sender that
    /// the first is missing.
    fn overtake(&mut self, id: ConnectionId, end: End) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let wire = Self::wire(connection, end);
        let mut all = connection.flights[end].iter_mut();
        let Some(first) = all.next() else {
            return;
        };
        let mut is_overtaken = false;
        for flight in all.filter(|flight| flight.due <= self.now) {
            let is_message = flight.segment.is_message();
            let is_lost = self.links.loses(wire, is_message, &mut flight.loss);
            is_overtaken |= !is_lost && !flight.loss.is_doomed;
        }
        let sooner = first.loss.sooner(self.now).filter(|_| is_overtaken);
        if let Some(sooner) = sooner.filter(|sooner| *sooner < first.due) {
            first.due = sooner;
            self.schedule(id, end, Lane::Stream, sooner);
        }
    }

    /// The first segment in flight from an end arrives, unless it is lost on the way.
    pub(super) fn first_arrives(&mut self, id: ConnectionId, end: End) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let wire = Self::wire(connection, end);
        let Some(first) = connection.flights[end].front_mut() else {
            return;
        };
        // It is looked at again when it is due.
        if first.due > self.now {
            return;
        }
        if first.loss.is_final() {
            self.give_up(id, end);
            return;
        }
        let is_dark = !self.machines[wire.1].has_power;
        let is_message = first.segment.is_message();
        let is_doomed = std::mem::take(&mut first.loss.is_doomed);
        if self.links.loses(wire, is_message, &mut first.loss) || is_dark || is_doomed {
            if matches!(first.segment, Segment::Rst) {
                self.lose_reset(id, end);
                return;
            }
            let is_first_loss = !first.loss.is_any();
            first.loss.is_doomed = self.links.impairments.loses(wire);
            let has_waited = first.due < self.now;
            let due = if is_doomed && has_waited {
                first.loss.at_last(self.now)
            } else {
                first.loss.again(self.now)
            };
            first.due = due;
            if is_first_loss {
                connection.ends[end].shrink();
            }
            self.schedule(id, end, Lane::Stream, due);
            return;
        }
        let Some(flight) = connection.flights[end].pop_front() else {
            return;
        };
        connection.ranks[end] = None;
        self.next(id, end);
        self.received(id, 1 - end, flight.segment);
        self.forget_if_over(id);
    }

    /// The first segment in flight, a reset, is lost, and nobody sends it again. But a dialler that has no answer dials
    /// again.
    fn lose_reset(&mut self, id: ConnectionId, end: End) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        connection.flights[end].pop_front();
        let dialler = &connection.ends[0];
        if end == 1 && dialler.state == EndState::Opening && connection.flights[0].is_empty() {
            self.send(id, 0, Segment::Syn);
            if let Some(connection) = self.connections.get_mut(&id)
                && let Some(syn) = connection.flights[0].back_mut()
            {
                syn.due += SYN_TIMEOUT;
                let due = syn.due;
                self.schedule(id, 0, Lane::Stream, due);
            }
        }
        self.next(id, end);
        self.forget_if_over(id);
    }

    /// What waited behind the first segment in flight comes next. What is not due yet comes by itself.
    fn next(&mut self, id: ConnectionId, end: End) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let next = connection.flights[end].front();
        if next.is_some_and(|next| next.due <= self.now) {
            self.schedule(id, end, Lane::Stream, self.now);
        }
    }

    /// When the last segment arrives that was lost and has a way again.
    pub(super) fn resent(&self) -> Duration {
        let mut last = Duration::ZERO;
        for connection in self.connections.values() {
            for end in 0..2 {
                let wire = Self::wire(connection, end);
                let first = connection.flights[end].front();
                let first = first
                    .into_iter()
                    .chain(connection.acknowledgements[end].front());
                for lost in first.filter(|first| first.loss.is_any()) {
                    if self.machines[wire.1].has_power && !self.links.is_cut(wire) {
                        last = last.max(lost.due);
                    }
                }
            }
        }
        last
    }

    /// A sender whose segments were lost too often gives the connection up.
    fn give_up(&mut self, id: ConnectionId, end: End) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.flights[end].clear();
            connection.ends[end].unsent.clear();
            connection.ends[end].fail(io::ErrorKind::TimedOut);
        }
        self.forget_if_over(id);
    }

    /// The system of an end gets a segment.
    pub(super) fn received(&mut self, id: ConnectionId, end: End, segment: Segment) {
        if !self.is_established(id, end, &segment) {
            return;
        }
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let own = &mut connection.ends[end];
        match segment {
            Segment::Syn => {
                let (machine, port) = (own.machine, own.address.port());
                // Whatever was here before the machine lost its power is forgotten.
                *own = Endpoint::new(machine, own.address);
                let listener = self.machines[machine].listeners.get(&port);
                if let Some(listener) = listener.filter(|listener| listener.ready.len() < BACKLOG) {
                    own.listener = Some(listener.id);
                    self.send(id, end, Segment::SynAck);
                } else {
                    self.abort(id, end);
                }
            }
            Segment::SynAck => match own.state {
                EndState::Opening => {
                    own.state = EndState::Open;
                    own.wake();
                    self.send(
                        id,
                        end,
                        Segment::Ack {
                            bytes: 0,
                            window: BUFFER,
                        },
                    );
                }
                _ => self.refuse(id, end),
            },
            Segment::Ack { bytes, window } => {
                own.unacknowledged = own.unacknowledged.saturating_sub(bytes);
                own.window = window;
                own.grow(bytes);
                if own.state == EndState::Opening {
                    self.established(id, end);
                    return;
                }
                if own.unsent.len() < BUFFER
                    && let Some(writer) = own.writer.take()
                {
                    writer.wake();
                }
                self.transmit(id, end);
            }
            Segment::Data(bytes) => match own.state {
                EndState::Open => {
                    own.received.extend_from_slice(&bytes);
                    let window = own.room();
                    if let Some(reader) = own.reader.take() {
                        reader.wake();
                    }
                    let bytes = bytes.len();
                    self.send(id, end, Segment::Ack { bytes, window });
                }
                _ => self.refuse(id, end),
            },
            Segment::Fin => {
                own.is_at_end = true;
                if let Some(reader) = own.reader.take() {
                    reader.wake();
                }
            }
            Segment::Rst => {
                let kind = match own.state {
                    EndState::Opening => io::ErrorKind::ConnectionRefused,
                    _ => io::ErrorKind::ConnectionReset,
                };
                own.unsent.clear();
                own.fail(kind);
                connection.flights[end].clear();
            }
        }
    }

    /// Whether the handshake is over before this segment counts. What the dialler sends acknowledges the handshake, too,
    /// if its acknowledgement was lost.
    fn is_established(&mut self, id: ConnectionId, end: End, segment: &Segment) -> bool {
        let state = |all: &BTreeMap<ConnectionId, Connection>| {
            all.get(&id).map(|connection| connection.ends[end].state)
        };
        let acknowledges = matches!(segment, Segment::Data(_) | Segment::Fin);
        if acknowledges && end == 1 && state(&self.connections) == Some(EndState::Opening) {
            self.established(id, end);
            return state(&self.connections) == Some(EndState::Open);
        }
        true
    }

    /// The handshake is over at the end that accepts.
    fn established(&mut self, id: ConnectionId, end: End) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let own = &mut connection.ends[end];
        let (machine, port) = (own.machine, own.address.port());
        // A listener that is closed takes with it what it had begun; another one with its port knows nothing of that.
        let listener = self.machines[machine].listeners.get_mut(&port);
        let Some(listener) = listener.filter(|listener| Some(listener.id) == own.listener) else {
            self.abort(id, end);
            return;
        };
        own.state = EndState::Open;
        listener.ready.push_back(id);
        if let Some(accepting) = listener.accepting.take() {
            accepting.wake();
        }
    }

    /// Answers a segment of a connection that the system does not know, or whose program has closed it.
    pub(super) fn refuse(&mut self, id: ConnectionId, end: End) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.ends[end].state = EndState::Gone;
            connection.ends[end].unsent.clear();
            self.send(id, end, Segment::Rst);
        }
    }

    pub(super) fn forget_if_over(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.get(&id) else {
            return;
        };
        let is_over =
            |end: End| connection.ends[end].is_over() && connection.flights[end].is_empty();
        if is_over(0) && is_over(1) {
            self.connections.remove(&id);
        }
    }
}

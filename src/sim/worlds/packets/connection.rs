//! What systems know of a connection, and what is in flight on it.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::task::Waker;
use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::links::Loss;
use crate::sim::machines::Machine;

/// The most bytes of a segment: an Ethernet frame without the headers of IP and TCP.
pub(super) const MSS: usize = 1460;

/// How many bytes a system keeps for a program that does not read, or for a receiver whose window is closed.
pub(super) const BUFFER: usize = 64 << 10;

/// How many bytes may be under way in the beginning: ten segments (RFC 6928).
const FIRST_WINDOW: usize = 10 * MSS;

/// A connection, by the order in which connections were dialled.
pub(super) type ConnectionId = u64;

/// The end of a connection: 0 dialled, 1 accepted.
pub(super) type End = usize;

/// A segment, or what else a system tells another about a connection.
#[derive(Debug)]
pub(super) enum Segment {
    Syn,
    SynAck,
    /// The receiver has taken `bytes`, and has room for `window` more.
    Ack {
        bytes: usize,
        window: usize,
    },
    Data(Bytes),
    Fin,
    Rst,
}

impl Segment {
    /// How many bytes of a program it carries.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Data(bytes) => bytes.len(),
            _ => 0,
        }
    }

    /// Whether it is a message that a program sent, or its wish to open or to end a connection.
    pub(super) const fn is_message(&self) -> bool {
        !matches!(self, Self::Ack { .. } | Self::SynAck)
    }
}

/// A segment in flight.
pub(super) struct Flight {
    pub(super) segment: Segment,
    /// When it arrives, if nothing on its connection delays it.
    pub(super) due: Duration,
    pub(super) loss: Loss,
}

/// What is in flight from an end, by whether it waits for what was sent before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lane {
    Stream,
    Acknowledgements,
}

/// What one end's system knows of a connection.
pub(super) struct Endpoint {
    pub(super) machine: Machine,
    pub(super) address: SocketAddr,
    pub(super) state: EndState,
    /// At the end that accepts: which listener the handshake began with.
    pub(super) listener: Option<u64>,
    /// Bytes for the program.
    pub(super) received: BytesMut,
    /// The most bytes that wait for the program; not less than a segment.
    pub(super) capacity: usize,
    /// Whether the other end sends no more.
    pub(super) is_at_end: bool,
    /// Bytes of the program that were not sent yet.
    pub(super) unsent: BytesMut,
    /// How many bytes were sent and not acknowledged.
    pub(super) unacknowledged: usize,
    /// How many bytes the other end has room for.
    pub(super) window: usize,
    /// How many bytes may be under way, so that the network is not congested.
    pub(super) congestion: usize,
    /// From where on `congestion` grows slowly.
    pub(super) threshold: usize,
    pub(super) fin: Fin,
    pub(super) reader: Option<Waker>,
    pub(super) writer: Option<Waker>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum EndState {
    /// The handshake is under way.
    Opening,
    Open,
    /// The program has closed it; what it sent before still arrives.
    Closed,
    /// Its system knows nothing of it.
    Gone,
    Failed(io::ErrorKind),
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Fin {
    No,
    Wanted,
    Sent,
}

impl Endpoint {
    pub(super) fn new(machine: Machine, address: SocketAddr) -> Self {
        Self {
            machine,
            address,
            state: EndState::Opening,
            listener: None,
            received: BytesMut::new(),
            capacity: BUFFER,
            is_at_end: false,
            unsent: BytesMut::new(),
            unacknowledged: 0,
            window: BUFFER,
            congestion: FIRST_WINDOW,
            threshold: BUFFER,
            fin: Fin::No,
            reader: None,
            writer: None,
        }
    }

    /// How many more bytes it can receive before its program reads.
    pub(super) fn room(&self) -> usize {
        self.capacity.saturating_sub(self.received.len())
    }

    pub(super) fn wake(&mut self) {
        let wakers = [self.reader.take(), self.writer.take()];
        wakers.into_iter().flatten().for_each(Waker::wake);
    }

    pub(super) fn fail(&mut self, kind: io::ErrorKind) {
        self.state = match self.state {
            EndState::Opening | EndState::Open => EndState::Failed(kind),
            // Its program is still to hear of the first failure.
            EndState::Failed(first) => EndState::Failed(first),
            EndState::Closed | EndState::Gone => EndState::Gone,
        };
        self.wake();
    }

    pub(super) fn error(&self) -> Option<io::Error> {
        match self.state {
            EndState::Failed(kind) => Some(kind.into()),
            EndState::Gone | EndState::Closed => Some(io::ErrorKind::NotConnected.into()),
            EndState::Opening | EndState::Open => None,
        }
    }

    /// Bytes were acknowledged: more may be under way (RFC 5681).
    pub(super) fn grow(&mut self, bytes: usize) {
        let more = if self.congestion < self.threshold {
            bytes
        } else {
            MSS * bytes / self.congestion
        };
        self.congestion = (self.congestion + more).min(BUFFER);
    }

    /// A segment was lost: half as much may be under way.
    pub(super) fn shrink(&mut self) {
        self.threshold = (self.congestion / 2).max(2 * MSS);
        self.congestion = self.threshold;
    }

    /// Whether its system still has anything to do for it.
    pub(super) fn is_over(&self) -> bool {
        match self.state {
            EndState::Gone => true,
            EndState::Closed => self.unsent.is_empty() && self.fin == Fin::Sent,
            _ => false,
        }
    }
}

pub(super) struct Connection {
    pub(super) ends: [Endpoint; 2],
    /// The stream in flight from each end, in the order of sending.
    pub(super) flights: [VecDeque<Flight>; 2],
    /// The acknowledgements among it, which are no part of the stream.
    pub(super) acknowledgements: [VecDeque<Flight>; 2],
    /// In a run by hand: when the first of them became possible, if it waits.
    pub(super) ranks: [Option<u64>; 2],
}

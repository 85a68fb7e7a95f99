//! What a world gives the machines' programs to talk over: ports and connections.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;

use tokio::io::{AsyncRead, AsyncWrite};

use super::machines::Machine;
use crate::herd::Address;

/// Sockets of the machines of a world.
pub(crate) trait Sockets: Send + Sync {
    /// Listens on a port of a machine.
    fn listen(&self, on: Machine, port: u16) -> Opening<'_, Box<dyn RawListener>>;

    /// Connects a machine to the port of another, whose name is the host of `to`.
    fn connect<'a>(&'a self, from: Machine, to: &'a Address) -> Opening<'a, RawConnection>;

    /// The name of the machine with this address, if there is one.
    fn name_of(&self, address: IpAddr) -> Option<String>;
}

/// A socket that is being opened.
pub(crate) type Opening<'a, T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send + 'a>>;

/// A listening socket.
pub(crate) trait RawListener: Send + Sync {
    /// Takes the next connection.
    fn accept(&self) -> Opening<'_, RawConnection>;

    /// Its own address.
    fn local_addr(&self) -> io::Result<SocketAddr>;
}

/// A connection with the addresses of both ends.
pub(crate) struct RawConnection {
    pub(crate) stream: Box<dyn RawStream>,
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
}

/// One end of a connection.
///
/// Not every world has what the methods do; [`WorldKind::lacks`](super::worlds::WorldKind::lacks) refuses scenarios that
/// need it in one that has not.
pub(crate) trait RawStream: AsyncRead + AsyncWrite + Send + Unpin {
    /// Resets the connection.
    fn reset(&mut self) {}

    /// Lets the system receive up to `bytes` that the program does not read. Before anything was received.
    fn limit_buffer(&mut self, _bytes: usize) {}
}

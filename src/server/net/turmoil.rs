//! The simulated network and simulated clocks.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use turmoil::net::{TcpListener, TcpStream};

use super::{Connection, Listener, Net, Proved};
use crate::herd::Address;
use crate::protocol::time::Timestamp;

/// The network of the simulated host that runs the caller. Host names are those of the simulation.
#[derive(Clone, Copy, Debug)]
pub struct TurmoilNet;

impl Net for TurmoilNet {
    type Stream = TcpStream;
    type Listener = TcpListener;

    async fn listen(&self, at: &Address) -> io::Result<TcpListener> {
        // A simulated host has one address, and turmoil's listeners bind the unspecified one.
        TcpListener::bind((Ipv4Addr::UNSPECIFIED, at.port)).await
    }

    async fn connect(&self, to: &Address) -> io::Result<Connection<TcpStream>> {
        describe(TcpStream::connect((to.host.as_str(), to.port)).await?)
    }

    fn now(&self) -> Timestamp {
        let since = turmoil::since_epoch().unwrap_or_default();
        Timestamp::from_nanos(since.as_nanos())
    }
}

impl Listener for TcpListener {
    type Stream = TcpStream;

    async fn accept(&self) -> io::Result<Connection<TcpStream>> {
        let (stream, _) = Self::accept(self).await?;
        describe(stream)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Self::local_addr(self)
    }
}

fn describe(stream: TcpStream) -> io::Result<Connection<TcpStream>> {
    Ok(Connection {
        local: stream.local_addr()?,
        remote: stream.peer_addr()?,
        stream,
        proved: Proved::default(),
    })
}
